//! How connections to RoomService are made: certificates, proxy, one kind of connection.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::exchange::innermost;

/// Every request is answered within this or has failed.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Where RoomService is and how to get there; `[server]` of `kioskd.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Up to and with the kind: `https://host:8443/weapp/double_room`.
    pub url: String,
    /// PEM file of the authority that signed the server's certificate; the system's authorities are then not asked.
    pub ca: Option<PathBuf>,
    /// PEM file of our own certificate, and its chain.
    pub client_cert: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key: Option<PathBuf>,
    /// `http://host:port` of a proxy; the environment is not asked.
    pub proxy: Option<String>,
}

/// Why no client could be made: the configuration is wrong.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file named in the configuration cannot be used.
    #[error("[server] {key} = \"{}\": {detail}", path.display())]
    File {
        /// The key.
        key: &'static str,
        /// Its value.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// A value in the configuration cannot be used.
    #[error("[{section}] {key} = \"{value}\": {detail}")]
    Value {
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why.
        detail: String,
    },
    /// The HTTP library refuses.
    #[error("[server]: {0}")]
    Library(String),
}

pub(super) fn connect(server: &Server, secure: bool) -> Result<reqwest::Client, SetupError> {
    builder(server, secure)?.build().map_err(|error| SetupError::Library(innermost(&error)))
}

/// The HTTP client: certificates, proxy, one kind of connection.
pub(super) fn builder(server: &Server, secure: bool) -> Result<reqwest::ClientBuilder, SetupError> {
    // Fails only when a provider is installed already, which then is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = |key, path: &PathBuf| {
        std::fs::read(path).map_err(|error| SetupError::File {
            key,
            path: path.clone(),
            detail: error.to_string(),
        })
    };
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(6)
        .tcp_keepalive(Duration::from_secs(15))
        .user_agent(concat!("rtcroom-kiosk/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &server.ca {
        let file = |detail: String| SetupError::File { key: "ca", path: path.clone(), detail };
        let certificates = reqwest::Certificate::from_pem_bundle(&read("ca", path)?)
            .map_err(|error| file(error.to_string()))?;
        if certificates.is_empty() {
            return Err(file("holds no PEM certificate".into()));
        }
        builder = builder.tls_certs_only(certificates);
    } else if !secure {
        // The system's authorities cost a megabyte, and plain HTTP asks none.
        builder = builder.tls_certs_only([]);
    }
    match (&server.client_cert, &server.client_key) {
        (Some(cert), Some(key)) => {
            let mut pem = read("client_cert", cert)?;
            pem.push(b'\n');
            pem.extend(read("client_key", key)?);
            let identity = reqwest::Identity::from_pem(&pem).map_err(|error| SetupError::File {
                key: "client_cert",
                path: cert.clone(),
                detail: innermost(&error),
            })?;
            builder = builder.identity(identity);
        }
        (None, None) => {}
        (Some(path), None) | (None, Some(path)) => {
            let detail = "client_cert and client_key go together".into();
            return Err(SetupError::File { key: "client_cert", path: path.clone(), detail });
        }
    }
    if let Some(proxy) = &server.proxy {
        let wrong = |error: reqwest::Error| SetupError::Value {
            section: "server",
            key: "proxy",
            value: proxy.clone(),
            detail: innermost(&error),
        };
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(wrong)?);
    }
    Ok(builder)
}
