//! roomservice.toml. Unknown keys are refused; relative paths are relative to the file.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::roles::{Role, Roles};
use super::rooms::Limits;
use crate::room::user_sig::{KeyError, Keys, Mint};

/// The application of `--dev`.
pub const DEV_SDK_APP_ID: u64 = 1_400_000_001;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {what} {}: {source}", path.display())]
    Read {
        /// Which key names it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML, or has a key we do not know, or a value of the wrong type.
    #[error("{}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, key and value.
        message: String,
    },
    /// A value cannot be.
    #[error("{}: {key}: {message}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What is wrong and how to cure it.
        message: String,
    },
    /// A key file holds no usable key.
    #[error("{what} {}: {source}", path.display())]
    Key {
        /// Which key names it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    public_url: Option<String>,
    sdk_app_id: u64,
    #[serde(default)]
    account_type: String,
    tls: Option<Tls>,
    #[serde(default)]
    tickets: Tickets,
    #[serde(default)]
    relay: Relay,
    #[serde(default)]
    rooms: RoomSettings,
    #[serde(default)]
    roles: Vec<Role>,
}

/// `[tls]`: PEM files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who connects must show a certificate of this authority.
    pub client_ca: Option<PathBuf>,
    /// May, not must: for kiosks with and browsers without one at the same port.
    #[serde(default)]
    pub client_optional: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tickets {
    public_key: Option<PathBuf>,
    private_key: Option<PathBuf>,
    secret_file: Option<PathBuf>,
    /// Whoever shows a client certificate gets a ticket for its name, good for so many days.
    renew_days: Option<u64>,
}

/// `[relay]`: the media port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// The UDP address; by default the same address and number as `listen`.
    pub listen: Option<SocketAddr>,
    /// The addresses members are told to send media to.
    #[serde(default)]
    pub advertise: Vec<IpAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomSettings {
    multi_seats: Option<usize>,
    live_seats: Option<usize>,
    heartbeat_secs: Option<u64>,
    #[serde(default)]
    creator_can_destroy: bool,
}

/// How tickets are renewed.
#[derive(Debug)]
pub struct Renew {
    /// Makes them.
    pub mint: Mint,
    /// How long they are good, in seconds.
    pub life: u64,
}

/// What the server runs with.
#[derive(Debug)]
pub struct Config {
    /// The TCP address.
    pub listen: SocketAddr,
    /// How clients reach us, when that is not what they put into `Host`.
    pub public_url: Option<String>,
    /// The application tickets must be for.
    pub sdk_app_id: u64,
    /// Given out with a development ticket, compared with nothing.
    pub account_type: String,
    /// HTTPS.
    pub tls: Option<Tls>,
    /// What tickets are checked with.
    pub keys: Keys,
    /// With `--dev`: `get_login_info` gives tickets to anybody.
    pub dev_mint: Option<Mint>,
    /// Tickets for whoever shows a client certificate.
    pub renew: Option<Renew>,
    /// The media port.
    pub relay: Relay,
    /// Seats and times.
    pub limits: Limits,
    /// Who may do what.
    pub roles: Roles,
}

impl Config {
    /// Loopback, plain HTTP, a key made now, tickets for anybody.
    pub fn dev() -> Result<Self, KeyError> {
        let (private, public) = super::keys::new_pair()?;
        Ok(Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            sdk_app_id: DEV_SDK_APP_ID,
            account_type: "0".to_owned(),
            tls: None,
            keys: Keys::default().with_public_pem(&public)?,
            dev_mint: Some(Mint::from_private_pem(&private)?),
            renew: None,
            relay: Relay::default(),
            limits: Limits::default(),
            roles: Roles::default(),
        })
    }

    /// Reads roomservice.toml and the keys it names.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (file, base) = read(path)?;
        let wrong = |key, message: String| ConfigError::Value { path: path.to_owned(), key, message };
        let public = file.tickets.public_key.map(|p| base.join(p));
        let secret = file.tickets.secret_file.map(|p| base.join(p));
        let private = file.tickets.private_key.map(|p| base.join(p));
        let renew = match file.tickets.renew_days {
            None => None,
            Some(days @ 1..=3650) => {
                if file.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none()) {
                    let cure = "renewal goes by client certificates: give [tls] client_ca";
                    return Err(wrong("tickets.renew_days", cure.to_owned()));
                }
                let mint = match (&private, &secret) {
                    (Some(path), _) => {
                        let what = "tickets.private_key";
                        let key = Mint::from_private_pem(&read_file(what, path)?);
                        key.map_err(|source| ConfigError::Key { what, path: path.clone(), source })?
                    }
                    (None, Some(path)) => {
                        let what = "tickets.secret_file";
                        let text = String::from_utf8_lossy(&read_file(what, path)?).into_owned();
                        let key = Mint::from_secret(&text);
                        key.map_err(|source| ConfigError::Key { what, path: path.clone(), source })?
                    }
                    (None, None) => {
                        let cure = "no key to sign with: give private_key (v1) or secret_file (v2)";
                        return Err(wrong("tickets.renew_days", cure.to_owned()));
                    }
                };
                Some(Renew { mint, life: days * 24 * 3600 })
            }
            Some(days) => return Err(wrong("tickets.renew_days", format!("{days} is not from 1 to 3650"))),
        };
        let mut keys = Keys::default();
        if let Some(path) = public {
            let what = "tickets.public_key";
            let pem = read_file(what, &path)?;
            keys = keys.with_public_pem(&pem).map_err(|source| ConfigError::Key { what, path, source })?;
        }
        if let Some(path) = secret {
            let what = "tickets.secret_file";
            let text = String::from_utf8_lossy(&read_file(what, &path)?).into_owned();
            keys = keys.with_secret(&text).map_err(|source| ConfigError::Key { what, path, source })?;
        }
        if keys.is_empty() {
            let cure = "give public_key (v1) or secret_file (v2); `roomservice keygen --out DIR` makes both";
            return Err(wrong("tickets", cure.to_owned()));
        }
        if let Some(url) = &file.public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(wrong("public_url", format!("{url:?} does not start with https:// or http://")));
        }
        let seats = |key, value: Option<usize>| match value {
            Some(n @ 1..=50) => Ok(n),
            Some(n) => Err(wrong(key, format!("{n} is not from 1 to 50"))),
            None => Ok(4),
        };
        let heartbeat = match file.rooms.heartbeat_secs {
            Some(secs @ 1..=3600) => Duration::from_secs(secs),
            Some(secs) => return Err(wrong("rooms.heartbeat_secs", format!("{secs} is not from 1 to 3600"))),
            None => Limits::default().heartbeat,
        };
        let limits = Limits {
            multi_seats: seats("rooms.multi_seats", file.rooms.multi_seats)?,
            live_seats: seats("rooms.live_seats", file.rooms.live_seats)?,
            heartbeat,
            creator_can_destroy: file.rooms.creator_can_destroy,
        };
        let tls = file.tls.map(|tls| Tls {
            cert: base.join(tls.cert),
            key: base.join(tls.key),
            client_ca: tls.client_ca.map(|p| base.join(p)),
            client_optional: tls.client_optional,
        });
        Ok(Self {
            listen: file.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8443))),
            public_url: file.public_url,
            sdk_app_id: file.sdk_app_id,
            account_type: file.account_type,
            tls,
            keys,
            dev_mint: None,
            renew,
            relay: file.relay,
            limits,
            roles: Roles::new(file.roles).map_err(|message| wrong("roles", message))?,
        })
    }
}

/// What `roomservice sign --config` needs: the application, and the paths of the private key and the secret.
pub fn signing_keys(path: &Path) -> Result<(u64, Option<PathBuf>, Option<PathBuf>), ConfigError> {
    let (file, base) = read(path)?;
    let at = |p: Option<PathBuf>| p.map(|p| base.join(p));
    Ok((file.sdk_app_id, at(file.tickets.private_key), at(file.tickets.secret_file)))
}

fn read(path: &Path) -> Result<(File, PathBuf), ConfigError> {
    let text = String::from_utf8_lossy(&read_file("configuration", path)?).into_owned();
    let parse = |e: toml::de::Error| ConfigError::Parse { path: path.to_owned(), message: e.to_string() };
    let file = toml::from_str(&text).map_err(parse)?;
    Ok((file, path.parent().unwrap_or(Path::new("")).to_owned()))
}

/// Reads a file that `what` names.
pub(crate) fn read_file(what: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|source| ConfigError::Read { what, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        super::super::keys::generate(dir.path().join("keys").as_path()).unwrap();
        let path = dir.path().join("roomservice.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path).map_err(|e| e.to_string())
    }

    const LEAST: &str = "sdk_app_id = 1400000001\n[tickets]\npublic_key = \"keys/public.pem\"\n";

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = load(LEAST).unwrap();
        assert_eq!(config.sdk_app_id, 1_400_000_001);
        assert!(config.dev_mint.is_none(), "nobody gets a ticket without being known");
        assert_eq!(config.limits.heartbeat, Duration::from_secs(20));
    }

    #[test]
    fn an_error_names_file_key_and_value() {
        for (text, parts) in [
            (LEAST.replace("public_key", "publik_key"), vec!["roomservice.toml", "publik_key"]),
            (format!("lissen = \"x\"\n{LEAST}"), vec!["roomservice.toml", "lissen"]),
            (format!("listen = \"nowhere\"\n{LEAST}"), vec!["roomservice.toml", "listen", "nowhere"]),
            (LEAST.replace("public.pem", "none.pem"), vec!["tickets.public_key", "keys/none.pem"]),
            (LEAST.replace("public.pem", "secret.hex"), vec!["tickets.public_key", "secret.hex"]),
            (format!("{LEAST}[rooms]\nmulti_seats = 0"), vec!["roomservice.toml", "rooms.multi_seats", "0"]),
            (
                format!("{LEAST}[rooms]\nheartbeat_secs = 0"),
                vec!["roomservice.toml", "rooms.heartbeat_secs", "0"],
            ),
            ("sdk_app_id = 1".to_owned(), vec!["roomservice.toml", "tickets", "keygen"]),
            (format!("{LEAST}renew_days = 30"), vec!["roomservice.toml", "tickets.renew_days", "client_ca"]),
            (format!("public_url = \"host\"\n{LEAST}"), vec!["roomservice.toml", "public_url", "host"]),
        ] {
            let error = load(&text).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{part:?} is not in {error:?}");
            }
        }
    }
}
