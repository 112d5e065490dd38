//! Bounded JSON lines over the socket to `kioskd`.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::protocol::LINE_LIMIT;

/// How long a write may wait for `kioskd` to read; after that the worker is better dead.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes the socket away from fd 0 and points fd 1 at stderr, because codec libraries print.
///
/// When fd 0 is no socket (a person typing), lines are written to what stdout was.
///
/// # Errors
/// When the descriptors cannot be duplicated.
pub fn take() -> Result<(Reader<File>, Writer<File>)> {
    let inward = duplicate(0)?;
    let outward = if is_socket(0) { duplicate(0)? } else { duplicate(1)? };
    set_patience(&outward);
    let null = File::open("/dev/null")?;
    // SAFETY: dup2 on descriptors that are open; nothing in this process owns 0 or 1 yet.
    unsafe {
        if libc::dup2(null.as_raw_fd(), 0) < 0 || libc::dup2(2, 1) < 0 {
            return Err(Error::last_os_error());
        }
    }
    Ok((Reader::new(File::from(inward)), Writer::new(File::from(outward))))
}

fn duplicate(fd: i32) -> Result<OwnedFd> {
    // SAFETY: fcntl makes a new descriptor, close-on-exec, which nobody else owns.
    unsafe {
        let new = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
        if new < 0 {
            return Err(Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(new))
    }
}

fn is_socket(fd: i32) -> bool {
    // SAFETY: the file is not closed on drop, and only its metadata is read.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    use std::os::unix::fs::FileTypeExt;
    file.metadata().is_ok_and(|data| data.file_type().is_socket())
}

fn set_patience(fd: &OwnedFd) {
    let limit = libc::timeval { tv_sec: PATIENCE.as_secs() as libc::time_t, tv_usec: 0 };
    // SAFETY: a plain setsockopt with a struct of the right size; it fails harmlessly on what is no socket.
    unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDTIMEO,
            (&raw const limit).cast(),
            size_of::<libc::timeval>() as libc::socklen_t,
        );
    }
}

/// Reads lines.
#[derive(Debug)]
pub struct Reader<R> {
    inner: BufReader<R>,
    line: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner: BufReader::new(inner), line: Vec::new() }
    }

    /// The next value; `None` at the end of the stream.
    ///
    /// # Errors
    /// When reading does not work, a line is longer than [`LINE_LIMIT`], or it is not what was agreed. Empty lines
    /// are passed over.
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            self.line.clear();
            let mut limited = (&mut self.inner).take(LINE_LIMIT as u64 + 1);
            if limited.read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
            } else if self.line.len() > LINE_LIMIT {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    format!("a line from kioskd is longer than {LINE_LIMIT} bytes"),
                ));
            }
            if self.line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return serde_json::from_slice(&self.line).map(Some).map_err(|error| {
                let start = String::from_utf8_lossy(&self.line[..self.line.len().min(80)]).into_owned();
                Error::new(ErrorKind::InvalidData, format!("no command of ours: {error}: {start}"))
            });
        }
    }
}

/// Writes lines.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Writes one value as one line, at once.
    ///
    /// # Errors
    /// When it would be too long, or `kioskd` does not read.
    pub fn send<T: Serialize>(&mut self, value: &T) -> Result<()> {
        let mut line = serde_json::to_vec(value)?;
        if line.len() > LINE_LIMIT {
            return Err(Error::new(ErrorKind::InvalidData, "an event does not fit into a line"));
        }
        line.push(b'\n');
        self.inner.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::protocol::{Command, Event, Part};

    #[test]
    fn commands_come_in_order_and_the_end_is_told() {
        let text = b"{\"do\":\"capture\",\"on\":true}\n\n{\"do\":\"stop\"}\n";
        let mut reader = Reader::new(&text[..]);
        assert_eq!(reader.read().expect("first"), Some(Command::Capture { on: true }));
        assert_eq!(reader.read().expect("second"), Some(Command::Stop));
        assert_eq!(reader.read::<Command>().expect("end"), None);
    }

    #[test]
    fn a_line_of_the_limit_passes_and_a_longer_one_is_refused() {
        let with = |length: usize| {
            let shell = serde_json::to_string(&Command::Message {
                from: String::new(),
                text: String::new(),
                seconds: 1,
            })
            .expect("json");
            let fill = "x".repeat(length - shell.len());
            let mut line = shell.replace("\"text\":\"\"", &format!("\"text\":\"{fill}\""));
            line.push('\n');
            Reader::new(std::io::Cursor::new(line)).read::<Command>().is_ok()
        };
        assert!(with(LINE_LIMIT));
        assert!(!with(LINE_LIMIT + 1));
    }

    #[test]
    fn an_endless_line_costs_no_more_memory_than_the_limit() {
        let mut reader = Reader::new(std::io::repeat(b'x'));
        assert!(reader.read::<Command>().is_err());
        assert!(reader.line.capacity() <= 2 * LINE_LIMIT + 2);
    }

    #[test]
    fn an_event_is_one_line() {
        let mut out = Vec::new();
        Writer::new(&mut out)
            .send(&Event::Trouble { part: Part::Camera, detail: "two\nlines".into() })
            .expect("written");
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
