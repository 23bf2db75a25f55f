//! A server that speaks TLS beside the plain text by which tests look into it.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::{Server, ports};

/// A server with a certificate of an authority that nobody trusts who is not told to.
pub struct TlsServer {
    /// The server, as it is without.
    pub server: Server,
    tls_port: u16,
    dir: TempDir,
}

impl TlsServer {
    /// Starts one, with a new authority and a certificate for `localhost`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("a directory: {error}"));
        certify(dir.path()).unwrap_or_else(|error| panic!("a certificate: {error}"));
        let file = |name: &str| dir.path().join(name).display().to_string();
        let tls_port = ports::free();
        let server = Server::start_with(&[
            "--tls-port",
            &tls_port.to_string(),
            "--tls-cert-file",
            &file("server.pem"),
            "--tls-key-file",
            &file("key.pem"),
            "--tls-ca-cert-file",
            &file("authority.pem"),
            "--tls-auth-clients",
            "no",
        ]);
        Self {
            server,
            tls_port,
            dir,
        }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port)
    }

    /// The certificate of the authority, for `SSL_CERT_FILE`.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("authority.pem")
    }
}

fn certify(dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut authority = CertificateParams::new(vec![])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = CertificateParams::new(vec!["localhost".to_owned()])?;
    let certificate = names.signed_by(&key, &authority)?;
    std::fs::write(dir.join("authority.pem"), authority.pem())?;
    std::fs::write(dir.join("server.pem"), certificate.pem())?;
    std::fs::write(dir.join("key.pem"), key.serialize_pem())?;
    Ok(())
}
