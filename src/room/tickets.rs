//! Where tickets lie, and which is taken.
//!
//! A ticket may be in three places: `[user] ticket_file` (or `ticket` beside `kioskd.toml`), the service's credentials,
//! and the state directory, where a renewed one is kept. Of those for our user **the one that expires last is tried
//! first**; when the server refuses it, the next. So a new ticket is taken wherever it appears, and an old one that
//! lies elsewhere does no harm.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::ticket::{self, Claims};

/// A ticket file is read up to here.
pub const MOST_TICKET: usize = 8 * 1024;
/// The name of a ticket among credentials and in the state directory.
pub const NAME: &str = "ticket";
/// What a credential says that the unit gives though nobody put it there.
const ABSENT: &str = "-";

/// A ticket and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The userSig.
    pub user_sig: String,
    /// What it says of itself, if that can be read.
    pub claims: Option<Claims>,
    /// The file.
    pub path: PathBuf,
}

/// The places.
#[derive(Clone, Debug, Default)]
pub struct Tickets {
    user: String,
    places: Vec<PathBuf>,
    state: Option<PathBuf>,
    /// The renewed one, which a full disk must not lose.
    renewed: Arc<Mutex<Option<String>>>,
}

/// What tells one version of the files from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version(Vec<Option<(u64, i64, i64, u64)>>);

impl Tickets {
    /// For `user`, from `places` in order, and from `state_dir`, where a renewed one is kept.
    #[must_use]
    pub fn new(user: &str, mut places: Vec<PathBuf>, state_dir: Option<&Path>) -> Self {
        let state = state_dir.map(|dir| dir.join(NAME));
        places.extend(state.clone());
        Self { user: user.to_owned(), places, state, renewed: Arc::default() }
    }

    /// Every ticket there is, the one to try first first, or why there is none: the place and what is wrong with it.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self) -> Result<Vec<Found>, (String, String)> {
        let mut found: Vec<Found> = Vec::new();
        let mut wrong = None;
        for path in &self.places {
            match read(path) {
                Ok(user_sig) => {
                    let claims = ticket::claims(&user_sig);
                    let other = claims.as_ref().and_then(|claims| claims.user.as_ref());
                    if let Some(other) = other.filter(|other| **other != self.user) {
                        let detail = format!("it is for {other}, not for {}", self.user);
                        wrong.get_or_insert((path.display().to_string(), detail));
                    } else if found.iter().all(|known| known.user_sig != user_sig) {
                        found.push(Found { user_sig, claims, path: path.clone() });
                    }
                }
                Err(detail) => {
                    wrong.get_or_insert((path.display().to_string(), detail));
                }
            }
        }
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(user_sig) = renewed.filter(|renewed| found.iter().all(|known| known.user_sig != *renewed))
        {
            let path = self.state.clone().unwrap_or_default();
            found.push(Found { claims: ticket::claims(&user_sig), user_sig, path });
        }
        // Stable: of equals, the first place wins.
        found
            .sort_by_key(|found| std::cmp::Reverse(found.claims.as_ref().map_or(0, |claims| claims.expires)));
        if found.is_empty() {
            return Err(
                wrong.unwrap_or_else(|| ("[user] ticket_file".into(), "nothing is named there".into()))
            );
        }
        Ok(found)
    }

    /// Changes whenever a file does.
    #[must_use]
    pub fn version(&self) -> Version {
        let look = |path: &PathBuf| {
            let data = fs::metadata(path).ok()?;
            Some((data.ino(), data.mtime(), data.mtime_nsec(), data.len()))
        };
        Version(self.places.iter().map(look).collect())
    }

    /// Keeps a renewed ticket across restarts: written beside, then renamed, so that a power cut leaves the old one or
    /// the new one.
    ///
    /// # Errors
    /// When there is nowhere to keep it, or that cannot be written.
    pub fn keep(&self, user_sig: &str) -> Result<(), String> {
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(user_sig.to_owned());
        let Some(path) = &self.state else {
            return Err("there is no state directory (--state-dir): it is lost with this process".into());
        };
        let write = || -> std::io::Result<()> {
            let beside = path.with_extension("new");
            // One that was left behind may have another mode.
            let _ = fs::remove_file(&beside);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(user_sig.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
        };
        write().map_err(|error| format!("{}: {error}; make room there", path.display()))
    }
}

/// Reads one ticket, bounded.
fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MOST_TICKET as u64 + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let text = text.trim();
    if text.is_empty() || text == ABSENT || text.len() > MOST_TICKET {
        return Err(format!("it has {} characters", text.len()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::room::ticket::tests::made;
    use std::os::unix::fs::PermissionsExt as _;

    struct Board {
        dir: tempfile::TempDir,
        tickets: Tickets,
    }

    impl Board {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let places = vec![dir.path().join("file"), dir.path().join("credential")];
            let tickets = Tickets::new("kiosk-7", places, Some(dir.path()));
            Self { dir, tickets }
        }

        fn put(&self, name: &str, text: &str) {
            fs::write(self.dir.path().join(name), text).unwrap();
        }

        fn order(&self) -> Vec<String> {
            let found = self.tickets.find().unwrap();
            found.iter().map(|found| found.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        }
    }

    #[test]
    fn the_ticket_that_expires_last_is_tried_first_wherever_it_lies() {
        let board = Board::new();
        board.put("credential", &made("kiosk-7", 1000, 500));
        assert_eq!(board.order(), ["credential"]);
        board.put("ticket", &made("kiosk-7", 1000, 900));
        assert_eq!(board.order(), ["ticket", "credential"]);
        board.put("file", &made("kiosk-7", 2000, 500));
        assert_eq!(board.order(), ["file", "ticket", "credential"]);
        board.put("file", "of another kind");
        assert_eq!(board.order(), ["ticket", "credential", "file"], "what says nothing of itself comes last");
    }

    #[test]
    fn a_ticket_of_another_user_is_passed_over_and_named() {
        let board = Board::new();
        board.put("ticket", &made("kiosk-6", 1000, 900));
        board.put("file", "-");
        let (place, detail) = board.tickets.find().unwrap_err();
        assert!(place.ends_with("/file"), "the first place is named: {place}: {detail}");
        board.put("file", &made("kiosk-6", 1000, 1));
        assert!(board.tickets.find().unwrap_err().1.contains("kiosk-6, not for kiosk-7"));
        board.put("credential", &made("kiosk-7", 1000, 1));
        assert_eq!(board.order(), ["credential"]);
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let tickets = Tickets::new("kiosk-7", vec!["/dev/zero".into()], Some(dir.path()));
        assert!(tickets.find().is_err());
    }

    #[test]
    fn a_renewed_ticket_is_kept_for_its_owner_alone_and_changes_the_version() {
        let board = Board::new();
        let before = board.tickets.version();
        board.put("ticket.new", "left behind by a power cut");
        board.tickets.keep("abc").unwrap();
        let path = board.dir.path().join("ticket");
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(board.tickets.version(), before);
        assert!(!board.dir.path().join("ticket.new").exists());
        let homeless = Tickets::new("a", Vec::new(), None);
        assert!(homeless.keep("abc").unwrap_err().contains("--state-dir"));
        assert_eq!(homeless.find().unwrap()[0].user_sig, "abc", "it serves this process");
    }
}
