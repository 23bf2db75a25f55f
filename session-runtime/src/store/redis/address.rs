//! The address of the servers, as text.
//!
//! The address of one server is written as the `redis` crate reads it. The address of several servers has a list of
//! hosts: `redis-cluster://user:password@one:7000,two:7000` or
//! `redis-sentinel://user:password@one:26379,two:26379/master/2`. With `rediss` in front the connection uses TLS.

/// The problem with a login that is not percent-encoded (RFC 3986, section 3.2.1).
///
/// Read as it is, such an address would lead to another host, or the password would be cut off or changed.
const NOT_ENCODED: &str = "has a user name or password with `/`, `?`, `#`, `@` or `%` in it, so percent-encode it (`/` is \
     `%2F`, `?` is `%3F`, `#` is `%23`, `@` is `%40` and `%` is `%25`)";

/// The port of a sentinel whose address names no port.
const SENTINEL_PORT: u16 = 26379;

/// An address, split into addresses that the `redis` crate reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    One(String),
    Sentinel {
        sentinels: Vec<String>,
        master: String,
        /// The address of any of the servers, with a host that is not used: it has the login and the database.
        node: String,
    },
    Cluster(Vec<String>),
}

impl Address {
    /// Reads an address. If `sentinel_tls` is set, it decides whether sentinels are asked over TLS, not the scheme.
    ///
    /// # Errors
    /// A text that says what is wrong. It does not show the address, which may contain a password.
    pub(super) fn parse(text: &str, sentinel_tls: Option<bool>) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme")?;
        if !is_encoded(scheme, rest) {
            return Err(NOT_ENCODED);
        }
        let (tls, kind) = match scheme.split_once('-') {
            None => return Ok(Self::One(text.to_owned())),
            Some(("redis" | "valkey", kind)) => ("redis", kind),
            Some(("rediss" | "valkeys", kind)) => ("rediss", kind),
            Some(_) => return Err("has another scheme"),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (format!("{login}@"), hosts),
            None => (String::new(), authority),
        };
        let hosts: Vec<_> = hosts.split(',').map(str::trim).collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return Err("names no host, or an empty one");
        }
        match kind {
            "cluster" if path.is_empty() => {
                let nodes = hosts.iter().map(|host| format!("{tls}://{login}{host}"));
                Ok(Self::Cluster(nodes.collect()))
            }
            "cluster" => Err("names a database, and a cluster has only one"),
            "sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, "0"));
                if master.is_empty() {
                    return Err("does not name the master, which is the path, as in `/mymaster`");
                }
                let asked = match sentinel_tls {
                    None => tls,
                    Some(false) => "redis",
                    Some(true) => "rediss",
                };
                let sentinel = |host: &&str| match has_port(host) {
                    true => format!("{asked}://{host}"),
                    false => format!("{asked}://{host}:{SENTINEL_PORT}"),
                };
                Ok(Self::Sentinel {
                    sentinels: hosts.iter().map(sentinel).collect(),
                    master: master.to_owned(),
                    node: format!("{tls}://{login}localhost/{database}"),
                })
            }
            _ => Err("has another scheme"),
        }
    }
}

/// True if the login in an address is percent-encoded.
///
/// Behind the login no `@` is possible, so what stands before the last one is all of it, whatever is in it. The address
/// of a socket has the login in the query, and its path may contain anything but `#` and `%`.
fn is_encoded(scheme: &str, rest: &str) -> bool {
    let (login, reserved) = if scheme.ends_with("unix") {
        (rest, &['#'][..])
    } else {
        let login = rest.rsplit_once('@').map_or("", |(login, _)| login);
        (login, &['/', '?', '#', '@'][..])
    };
    let is_code = |code: &str| {
        let digits = code.bytes().take(2);
        digits.filter(u8::is_ascii_hexdigit).count() == 2
    };
    !login.contains(reserved) && login.split('%').skip(1).all(is_code)
}

/// True if a host is followed by a port. The colons of an IPv6 address are in brackets.
fn has_port(host: &str) -> bool {
    let behind = host.rsplit_once(']').map_or(host, |(_, behind)| behind);
    behind.contains(':')
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_one_server_stays_as_it_is() {
        for text in [
            "redis://localhost",
            "rediss://u:p@h:1/2",
            "unix:///run/redis.sock",
        ] {
            assert_eq!(
                Address::parse(text, None),
                Ok(Address::One(text.to_owned()))
            );
        }
    }

    #[test]
    fn a_cluster_is_a_list_of_hosts() {
        let cluster =
            Address::parse("rediss-cluster://joe:a%40b@one:7000,[::1]:7001", None).unwrap();
        let urls = [
            "rediss://joe:a%40b@one:7000",
            "rediss://joe:a%40b@[::1]:7001",
        ];
        assert_eq!(cluster, Address::Cluster(urls.map(str::to_owned).into()));
        assert!(Address::parse("redis-cluster://one:7000/", None).is_ok());
        assert!(Address::parse("redis-cluster://one:7000/3", None).is_err());
        assert!(Address::parse("redis-cluster://one:7000,", None).is_err());
    }

    #[test]
    fn sentinels_name_a_master_and_are_asked_without_its_password() {
        let sentinel = Address::parse("redis-sentinel://:pass@one:26379,two/main/3", None).unwrap();
        assert_eq!(
            sentinel,
            Address::Sentinel {
                sentinels: ["redis://one:26379", "redis://two:26379"]
                    .map(str::to_owned)
                    .into(),
                master: "main".to_owned(),
                node: "redis://:pass@localhost/3".to_owned(),
            }
        );
        assert!(Address::parse("redis-sentinel://one:26379", None).is_err());
    }

    #[test]
    fn sentinels_are_spoken_to_as_the_servers_are_unless_told_otherwise() {
        let sentinels = |address: &str, tls| match Address::parse(address, tls) {
            Ok(Address::Sentinel {
                sentinels, node, ..
            }) => (sentinels.concat(), node),
            other => panic!("{other:?}"),
        };
        let plain = "redis-sentinel://[::1],[::1]:9/main";
        let (one, node) = ("redis://[::1]:26379redis://[::1]:9", "redis://localhost/0");
        assert_eq!(sentinels(plain, None), (one.to_owned(), node.to_owned()));
        let (one, node) = (
            "rediss://[::1]:26379rediss://[::1]:9",
            "redis://localhost/0",
        );
        assert_eq!(
            sentinels(plain, Some(true)),
            (one.to_owned(), node.to_owned())
        );
        let tls = "rediss-sentinel://one/main";
        let (one, node) = ("redis://one:26379", "rediss://localhost/0");
        assert_eq!(
            sentinels(tls, Some(false)),
            (one.to_owned(), node.to_owned())
        );
    }

    #[test]
    fn a_login_that_is_not_percent_encoded_is_refused() {
        for login in [
            "u:a/b", "u:1/2", "u:a?b", "u:a#b", "u:a@b", "u:a%b", "u:a%", "u:a%4", "u/x:p", ":/",
            ":100%@",
        ] {
            for address in [
                format!("redis://{login}@host:1/2"),
                format!("rediss-cluster://{login}@one:1,two:2"),
                format!("redis-sentinel://{login}@one,two/main/3"),
            ] {
                assert_eq!(
                    Address::parse(&address, None),
                    Err(NOT_ENCODED),
                    "{address}"
                );
            }
        }
        for address in [
            "redis://u:a%2Fb%25@host/1",
            "redis://:a:b,c$&+!*'()[]@host",
            "unix:///run/a@b/redis.sock?db=0&pass=a%23b",
            "redis://host?protocol=resp3",
        ] {
            assert!(Address::parse(address, None).is_ok(), "{address}");
        }
        for address in [
            "unix:///run/redis.sock?pass=a#b",
            "unix:///run/redis.sock?pass=100%",
        ] {
            assert_eq!(Address::parse(address, None), Err(NOT_ENCODED), "{address}");
        }
    }

    #[test]
    fn another_scheme_is_refused() {
        for text in [
            "localhost:6379",
            "redis-clusters://one",
            "http-cluster://one",
            "-://",
        ] {
            assert!(Address::parse(text, None).is_err(), "{text}");
        }
    }
}
