//! Credentials of the service: files that systemd reads as root, or decrypts, and shows to this service alone.
//!
//! `ca`, `client_cert`, `client_key` and `ticket_file` may be given as `credential:NAME`. Where nothing is given,
//! `ca.pem`, `client.pem` with `client.key`, and `ticket` are taken if they are there.

use std::path::{Path, PathBuf};

use crate::room::client::Server;
use crate::room::tickets;

/// What stands before a credential's name.
const SCHEME: &str = "credential:";
/// Where they are while the service runs, for a `kioskd check-config` beside it.
const OF_THE_SERVICE: &str = "/run/credentials/kioskd.service";
/// What a credential says that the unit gives though nobody put it there.
const ABSENT: &[u8] = b"-";

/// The directory they are in.
#[derive(Clone, Debug)]
pub struct Credentials(PathBuf);

impl Credentials {
    /// As the service manager says.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::at(
            std::env::var_os("CREDENTIALS_DIRECTORY").map_or_else(|| OF_THE_SERVICE.into(), PathBuf::from),
        )
    }

    /// In `dir`.
    #[must_use]
    pub fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// The file of this name, if somebody put one there.
    fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.0.join(name);
        let text = std::fs::read(&path).ok()?;
        let text = text.trim_ascii();
        (!text.is_empty() && text != ABSENT).then_some(path)
    }

    /// A path of the configuration: a credential's, or relative to the configuration's directory.
    #[must_use]
    pub fn place(&self, dir: &Path, path: &Path) -> PathBuf {
        match path.to_str().and_then(|text| text.strip_prefix(SCHEME)) {
            Some(name) => self.0.join(name),
            None => dir.join(path),
        }
    }

    /// Settles the paths of `[server]`.
    pub fn settle(&self, dir: &Path, server: &mut Server) {
        for path in [&mut server.ca, &mut server.client_cert, &mut server.client_key].into_iter().flatten() {
            *path = self.place(dir, path);
        }
        if server.ca.is_none() {
            server.ca = self.find("ca.pem");
        }
        if let (None, None, Some(certificate), Some(key)) =
            (&server.client_cert, &server.client_key, self.find("client.pem"), self.find("client.key"))
        {
            (server.client_cert, server.client_key) = (Some(certificate), Some(key));
        }
    }

    /// Where tickets may lie, the first place first.
    #[must_use]
    pub fn ticket_places(&self, dir: &Path, file: Option<&Path>) -> Vec<PathBuf> {
        let first = file.map_or_else(|| dir.join(tickets::NAME), |file| self.place(dir, file));
        let second = self.0.join(tickets::NAME);
        if first == second { vec![first] } else { vec![first, second] }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn server(ca: Option<&str>) -> Server {
        let mut server: Server = toml::from_str("url = \"https://host/weapp/double_room\"").unwrap();
        server.ca = ca.map(PathBuf::from);
        server
    }

    #[test]
    fn credentials_are_taken_where_the_configuration_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let credentials = Credentials::at(dir.path().to_owned());
        let etc = Path::new("/etc/rtcroom-kiosk");
        for (name, text) in [("ca.pem", "-----BEGIN"), ("client.pem", "-----BEGIN"), ("client.key", "-")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let mut given = server(Some("own.pem"));
        credentials.settle(etc, &mut given);
        assert_eq!(given.ca.as_deref(), Some(Path::new("/etc/rtcroom-kiosk/own.pem")));
        let mut silent = server(None);
        credentials.settle(etc, &mut silent);
        assert_eq!(silent.ca, Some(dir.path().join("ca.pem")));
        assert_eq!(silent.client_cert, None, "a key that is absent leaves the certificate alone");
        std::fs::write(dir.path().join("client.key"), "-----BEGIN").unwrap();
        credentials.settle(etc, &mut silent);
        assert_eq!(silent.client_key, Some(dir.path().join("client.key")));
    }

    #[test]
    fn a_credential_can_be_named() {
        let credentials = Credentials::at("/run/credentials/kioskd.service".into());
        let etc = Path::new("/etc/rtcroom-kiosk");
        let mut named = server(Some("credential:root"));
        credentials.settle(etc, &mut named);
        assert_eq!(named.ca.as_deref(), Some(Path::new("/run/credentials/kioskd.service/root")));
        let places = credentials.ticket_places(etc, Some(Path::new("credential:ticket")));
        assert_eq!(places, [Path::new("/run/credentials/kioskd.service/ticket")]);
        let places = credentials.ticket_places(etc, None);
        assert_eq!(places[0], Path::new("/etc/rtcroom-kiosk/ticket"));
        assert_eq!(places.len(), 2);
    }
}
