//! Servers that speak TLS beside the plain text by which tests look into them.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::{Cluster, Sentinels, Server, ports};

/// A server with a certificate of an authority that nobody trusts who is not told to.
pub struct TlsServer {
    /// The server, as it is without.
    pub server: Server,
    tls_port: u16,
    authority: Authority,
}

impl TlsServer {
    /// Starts one, with a new authority.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start() -> Self {
        let authority = Authority::new();
        let tls_port = ports::free();
        let args = authority.args(tls_port);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Self {
            server: Server::start_with(&args),
            tls_port,
            authority,
        }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port)
    }

    /// Where it speaks TLS, and nothing else.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// The certificate of the authority, for `SSL_CERT_FILE`.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.authority.path()
    }
}

/// A cluster whose nodes speak TLS among themselves, too.
pub struct TlsCluster {
    /// The cluster, as it is without.
    pub cluster: Cluster,
    authority: Authority,
}

impl TlsCluster {
    /// Starts as many masters.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(masters: usize) -> Self {
        let authority = Authority::new();
        Self {
            cluster: Cluster::start_in(masters, 0, Some(&authority)),
            authority,
        }
    }

    /// The address of its first node, which knows of the others.
    #[must_use]
    pub fn url(&self) -> String {
        format!("rediss-cluster://localhost:{}", self.cluster.port())
    }

    /// The certificate of the authority, for `SSL_CERT_FILE`.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.authority.path()
    }
}

/// Who speaks TLS of a master and its sentinels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The sentinels, to who asks them.
    Sentinels,
    /// The servers, to all.
    Servers,
    /// All of them.
    Both,
}

/// A master with a replica and sentinels, some of which speak TLS.
pub struct TlsSentinels {
    /// They, as they are without.
    pub sentinels: Sentinels,
    authority: Authority,
}

impl TlsSentinels {
    /// Starts a master, a replica and three sentinels.
    ///
    /// # Panics
    /// They do not start.
    #[must_use]
    pub fn start(over: Over) -> Self {
        let authority = Authority::new();
        Self {
            sentinels: Sentinels::start_in(1, Some((&authority, over))),
            authority,
        }
    }

    /// The certificate of the authority, for `SSL_CERT_FILE`.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.authority.path()
    }
}

/// A new authority, and a certificate of it for this host.
pub(crate) struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
        certify(dir.path()).unwrap_or_else(|error| panic!("a certificate: {error}"));
        Self(dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("authority.pem")
    }

    /// What a server is started with; one of a cluster uses it among its like, too.
    pub(crate) fn args(&self, tls_port: u16) -> Vec<String> {
        let file = |name: &str| self.0.path().join(name).display().to_string();
        [
            ("--tls-port", tls_port.to_string()),
            ("--tls-cert-file", file("server.pem")),
            ("--tls-key-file", file("key.pem")),
            ("--tls-ca-cert-file", file("authority.pem")),
            ("--tls-auth-clients", "no".to_owned()),
            ("--tls-cluster", "yes".to_owned()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }
}

fn certify(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut authority = CertificateParams::new(vec![])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Redis takes who has the name of its authority for the authority itself.
    authority
        .distinguished_name
        .push(DnType::CommonName, "authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let names = CertificateParams::new(names)?;
    let certificate = names.signed_by(&key, &authority)?;
    std::fs::write(dir.join("authority.pem"), authority.pem())?;
    std::fs::write(dir.join("server.pem"), certificate.pem())?;
    std::fs::write(dir.join("key.pem"), key.serialize_pem())?;
    Ok(())
}
