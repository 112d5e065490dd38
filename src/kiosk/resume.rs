//! Back into the call after `kioskd` itself was killed: the customer still stands there, and the clerk waits.
//!
//! While in a call there is a note in the runtime directory, which a reboot empties. Who is started and finds one that
//! is fresh presses the button in the customer's place, once. A `kioskd` that dies of the call itself does so twice at
//! most.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reboot::uptime;

/// The note's name.
const NOTE: &str = "in-call";
/// The other side waits this long for us (`alone_secs` is 30 by default), and the seat is kept for 20 s.
const FRESH: Duration = Duration::from_secs(30);
/// From the start to the state in which a press starts a call.
pub(crate) const GET_READY: Duration = Duration::from_secs(20);
/// Times in a row.
const MOST: u32 = 2;

/// What the note says: how long the board had been up when it was last touched, and how often it was resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    uptime: u64,
    resumed: u32,
}

fn parse(text: &str) -> Option<Said> {
    let (uptime, resumed) = text.trim().split_once(' ')?;
    Some(Said { uptime: uptime.parse().ok()?, resumed: resumed.parse().ok()? })
}

/// How often the call will have been resumed, if it is to be resumed at all.
fn resume(said: Said, uptime: u64) -> Option<u32> {
    let fresh = uptime.checked_sub(said.uptime).is_some_and(|age| age <= FRESH.as_secs());
    (fresh && said.resumed < MOST).then_some(said.resumed + 1)
}

/// The note.
#[derive(Debug)]
pub(crate) struct Note {
    path: PathBuf,
    /// Times this call was resumed.
    resumed: u32,
    written: Option<u64>,
}

impl Note {
    /// Looks whether the one before us died in a call; whether to go back into it.
    pub(crate) fn find(dir: &Path) -> (Self, bool) {
        let path = dir.join(NOTE);
        let said = std::fs::read_to_string(&path).ok().filter(|text| text.len() < 64);
        let resumed = said.and_then(|text| resume(parse(&text)?, uptime().as_secs()));
        let _ = std::fs::remove_file(&path);
        (Self { path, resumed: resumed.unwrap_or(0), written: None }, resumed.is_some())
    }

    /// Keeps the note as it should be; every ten seconds of a call it is touched.
    pub(crate) fn keep(&mut self, in_call: bool) {
        let now = uptime().as_secs();
        if !in_call {
            if self.written.take().is_some() {
                let _ = std::fs::remove_file(&self.path);
                self.resumed = 0;
            }
        } else if self.written.is_none_or(|at| now >= at + 10) {
            self.written = Some(now);
            if let Err(error) = std::fs::write(&self.path, format!("{now} {}", self.resumed)) {
                log::debug!("{}: {error}", self.path.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_note_brings_the_call_back_and_an_old_one_does_not() {
        let said = parse("100 0\n").expect("a note");
        assert_eq!(resume(said, 100), Some(1));
        assert_eq!(resume(said, 130), Some(1));
        assert_eq!(resume(said, 131), None);
        assert_eq!(resume(said, 5), None, "of another boot");
        assert_eq!(parse("in a call"), None);
    }

    #[test]
    fn a_call_that_kills_kioskd_is_not_resumed_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut resumes = 0;
        for _ in 0..5 {
            let (mut note, again) = Note::find(dir.path());
            resumes += u32::from(again);
            note.keep(true);
        }
        assert_eq!(resumes, 2 + 1, "twice, and then, as a new call, once more");
        let (mut note, _) = Note::find(dir.path());
        note.keep(true);
        note.keep(false);
        assert!(!Note::find(dir.path()).1, "the call was ended in good order");
    }
}
