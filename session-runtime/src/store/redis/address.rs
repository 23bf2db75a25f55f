//! The address of the servers, as text.
//!
//! The address of one server is written as the `redis` crate reads it. The address of several servers has a list of
//! hosts: `redis-cluster://user:password@one:7000,two:7000` or
//! `redis-sentinel://user:password@one:26379,two:26379/master/2`. With `rediss` in front the connection uses TLS.

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
    /// Reads an address.
    ///
    /// # Errors
    /// A text that says what is wrong. It does not show the address, which may contain a password.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme")?;
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
        let each = |login: &str| {
            hosts
                .iter()
                .map(|host| format!("{tls}://{login}{host}"))
                .collect()
        };
        match kind {
            "cluster" if path.is_empty() => Ok(Self::Cluster(each(&login))),
            "cluster" => Err("names a database, and a cluster has only one"),
            "sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, "0"));
                if master.is_empty() {
                    return Err("does not name the master, which is the path, as in `/mymaster`");
                }
                Ok(Self::Sentinel {
                    sentinels: each(""),
                    master: master.to_owned(),
                    node: format!("{tls}://{login}localhost/{database}"),
                })
            }
            _ => Err("has another scheme"),
        }
    }
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
            assert_eq!(Address::parse(text), Ok(Address::One(text.to_owned())));
        }
    }

    #[test]
    fn a_cluster_is_a_list_of_hosts() {
        let cluster = Address::parse("rediss-cluster://joe:a@b@one:7000,[::1]:7001").unwrap();
        let urls = ["rediss://joe:a@b@one:7000", "rediss://joe:a@b@[::1]:7001"];
        assert_eq!(cluster, Address::Cluster(urls.map(str::to_owned).into()));
        assert!(Address::parse("redis-cluster://one:7000/").is_ok());
        assert!(Address::parse("redis-cluster://one:7000/3").is_err());
        assert!(Address::parse("redis-cluster://one:7000,").is_err());
    }

    #[test]
    fn sentinels_name_a_master_and_are_asked_without_its_password() {
        let sentinel = Address::parse("redis-sentinel://:pass@one:26379,two/main/3").unwrap();
        assert_eq!(
            sentinel,
            Address::Sentinel {
                sentinels: ["redis://one:26379", "redis://two"]
                    .map(str::to_owned)
                    .into(),
                master: "main".to_owned(),
                node: "redis://:pass@localhost/3".to_owned(),
            }
        );
        assert!(Address::parse("redis-sentinel://one:26379").is_err());
    }

    #[test]
    fn another_scheme_is_refused() {
        for text in [
            "localhost:6379",
            "redis-clusters://one",
            "http-cluster://one",
            "-://",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
