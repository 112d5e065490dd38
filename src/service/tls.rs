//! HTTPS by rustls with ring.

use std::path::Path;
use std::sync::Arc;

use openssl::nid::Nid;
use openssl::x509::X509;
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::config::{ConfigError, Tls, read_file};

/// Why there is no HTTPS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// A file does not hold what it should.
    #[error("{what} {path}: {message}")]
    Pem {
        /// Which key names it.
        what: &'static str,
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The certificate and the key do not work together.
    #[error("tls.cert and tls.key cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Reads the files `[tls]` names.
pub fn acceptor(tls: &Tls) -> Result<TlsAcceptor, TlsError> {
    let chain = certificates("tls.cert", &tls.cert)?;
    let pem = read_file("tls.key", &tls.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| bad("tls.key", &tls.key, &e))?;
    let provider = Arc::new(default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("tls.client_ca", path)? {
                roots.add(certificate).map_err(|e| bad("tls.client_ca", path, &e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if tls.client_optional { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|e| bad("tls.client_ca", path, &e))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Who the other end is, by a certificate that was checked against `tls.client_ca`: the subject's common name, or else
/// its only DNS name.
pub fn peer<S>(stream: &tokio_rustls::server::TlsStream<S>) -> Option<String> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    name(certificate)
}

fn name(der: &[u8]) -> Option<String> {
    let certificate = X509::from_der(der).ok()?;
    let mut names = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    if let Some(name) = names.next() {
        // Two names are no name.
        let only = names.next().is_none();
        return name.data().to_string().ok().filter(|_| only);
    }
    let others = certificate.subject_alt_names()?;
    let mut names = others.iter().filter_map(|name| name.dnsname());
    names.next().filter(|_| names.next().is_none()).map(str::to_owned)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read_file(what, path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err(bad(what, path, &"no certificate in it")),
        Ok(all) => Ok(all),
        Err(e) => Err(bad(what, path, &e)),
    }
}

fn bad(what: &'static str, path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::Pem { what, path: path.display().to_string(), message: error.to_string() }
}
