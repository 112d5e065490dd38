//! The media worker as a process: lines both ways, and an end that cannot fail.
//!
//! There are two ways to one. On a board, systemd starts it: each connection to the socket of `kiosk-media.socket` is a
//! fresh `kiosk-media@.service` with a user and a sandbox of its own. Elsewhere it is a child on a socketpair.
//!
//! A child is ended by `SIGKILL`. A process of another user cannot be: its socket is shut for writing, which ends a
//! healthy one at once; one that hangs is ended by its unit's watchdog, and its end shows on the reading side of the
//! socket, which stays open until then. So the next worker starts when camera and screen are free again, or when the
//! machine has waited long enough.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command as Program};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::event::{Generation, Input, WorkerNews};
use crate::media::protocol::{Command, Event, LINE_LIMIT};

/// Lines waiting to be read by the worker. One that lets so many lie is not alive, and is ended.
const UNREAD: usize = 64;
/// From closing its socket to its end.
const AFTER_EOF: Duration = Duration::from_millis(300);
/// systemd's socket is always there to connect to; its queue may be full.
const CONNECT: Duration = Duration::from_secs(5);
/// A worker that was let go and is not gone after this is nobody's: its unit's watchdog has failed, too.
const LET_GO: Duration = Duration::from_secs(30);

/// How to come by a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A child of our own: the program.
    Program(PathBuf),
    /// systemd's: the socket of `kiosk-media.socket`.
    Socket(PathBuf),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Program(path) | Self::Socket(path)) = self;
        path.display().fmt(f)
    }
}

/// A running worker. Dropping it ends the process.
#[derive(Debug)]
pub struct Worker {
    generation: Generation,
    lines: mpsc::Sender<Command>,
    kill: Option<oneshot::Sender<()>>,
}

impl Worker {
    /// Starts a worker; its news go to `inbox` as those of `generation`.
    ///
    /// # Errors
    /// When a program cannot be started; what is wrong with a socket comes as news.
    pub fn start(
        source: &Source,
        generation: Generation,
        inbox: mpsc::Sender<Input>,
    ) -> std::io::Result<Self> {
        let (lines, queue) = mpsc::channel(UNREAD);
        let (kill, killed) = oneshot::channel();
        match source {
            Source::Program(program) => {
                let (child, stream) = spawn(program)?;
                tokio::spawn(supervise(child, stream, queue, killed, generation, inbox));
            }
            Source::Socket(path) => {
                tokio::spawn(converse(path.clone(), queue, killed, generation, inbox));
            }
        }
        Ok(Self { generation, lines, kill: Some(kill) })
    }

    /// Which worker this is.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Queues a line for it; a worker that reads nothing any more is ended.
    pub fn tell(&mut self, command: Command) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.lines.try_send(command) {
            log::warn!("media worker {} reads nothing any more", self.generation);
            self.kill();
        }
    }

    /// Ends it at once, as far as that is ours to do.
    pub fn kill(&mut self) {
        self.kill.take();
    }
}

/// Starts a child on a socketpair.
fn spawn(program: &Path) -> std::io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Program::new(program);
    // stderr is the log, shared; a group of its own keeps the terminal's Ctrl-C from it, so that a call ends well.
    // The service manager's socket and watchdog are ours, not the child's.
    command
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let parent = std::process::id();
    // SAFETY: prctl, getppid and _exit are async-signal-safe, and nothing is allocated between fork and exec.
    unsafe {
        command.pre_exec(move || {
            // If we die without a word, so does it: the camera must not stay open.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() as u32 != parent {
                libc::_exit(1);
            }
            Ok(())
        });
    }
    Ok((command.spawn()?, UnixStream::from_std(ours)?))
}

async fn supervise(
    mut child: Child,
    stream: UnixStream,
    queue: mpsc::Receiver<Command>,
    mut killed: oneshot::Receiver<()>,
    generation: Generation,
    inbox: mpsc::Sender<Input>,
) {
    let news = |news| Input::Worker { generation, news };
    let _ = inbox.send(news(WorkerNews::Started { pid: child.id() })).await;
    let (writing, mut lines) = open(stream, queue);
    let reason = loop {
        tokio::select! {
            line = lines.next() => match line {
                Ok(Some(event)) => {
                    if inbox.send(news(WorkerNews::Said(Box::new(event)))).await.is_err() {
                        return;
                    }
                }
                Ok(None) => match timeout(AFTER_EOF, child.wait()).await {
                    Ok(status) => break ended(status),
                    Err(_) => break String::from("it closed its socket and does not end"),
                },
                Err(reason) => break reason,
            },
            status = child.wait() => break ended(status),
            // Also when the sender is dropped: then nobody wants it any more.
            _ = &mut killed => break String::from("killed"),
        }
    };
    writing.abort();
    let _ = child.start_kill();
    let _ = child.wait().await;
    let _ = inbox.send(news(WorkerNews::Gone { reason })).await;
}

/// The whole life of a worker of systemd's.
async fn converse(
    path: PathBuf,
    queue: mpsc::Receiver<Command>,
    mut killed: oneshot::Receiver<()>,
    generation: Generation,
    inbox: mpsc::Sender<Input>,
) {
    let news = |news| Input::Worker { generation, news };
    let gone = |reason| inbox.send(news(WorkerNews::Gone { reason }));
    let stream = match timeout(CONNECT, UnixStream::connect(&path)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let cure = "start it: systemctl enable --now kiosk-media.socket";
            let _ = gone(format!("nobody listens on {} ({error}); {cure}", path.display())).await;
            return;
        }
        Err(_) => {
            let _ = gone(format!("{} takes no connection", path.display())).await;
            return;
        }
    };
    // Who accepts is systemd; the worker tells its own process id when it is ready.
    let _ = inbox.send(news(WorkerNews::Started { pid: None })).await;
    let (writing, mut lines) = open(stream, queue);
    let reason = loop {
        tokio::select! {
            line = lines.next() => match line {
                Ok(Some(event)) => {
                    if inbox.send(news(WorkerNews::Said(Box::new(event)))).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break String::from("it ended; journalctl -u 'kiosk-media@*' says why"),
                Err(reason) => break reason,
            },
            _ = &mut killed => break String::from("let go"),
        }
    };
    // With the writing half the worker's way to end goes in; what it still says is of no interest.
    writing.abort();
    let _ = writing.await;
    let _ = timeout(LET_GO, lines.drain()).await;
    let _ = gone(reason).await;
}

/// Starts writing what is queued; the other half is for reading.
fn open(stream: UnixStream, queue: mpsc::Receiver<Command>) -> (JoinHandle<()>, Lines) {
    let (reader, writer) = stream.into_split();
    let writing = tokio::spawn(write_lines(writer, queue));
    (writing, Lines { reader: BufReader::with_capacity(8 * 1024, reader), line: Vec::new() })
}

fn ended(status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => format!("it ended with {status}"),
        Err(error) => format!("it cannot be waited for: {error}"),
    }
}

async fn write_lines(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Command>) {
    while let Some(command) = queue.recv().await {
        let Ok(mut line) = serde_json::to_vec(&command) else { continue };
        if line.len() > LINE_LIMIT {
            log::error!("a line of {} bytes is too long for the media worker", line.len());
            continue;
        }
        line.push(b'\n');
        // What is wrong with the socket shows on the reading side.
        if writer.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// Bounded lines; keeps what it has when it is interrupted.
struct Lines {
    reader: BufReader<OwnedReadHalf>,
    line: Vec<u8>,
}

impl Lines {
    /// Reads until the other end is closed.
    async fn drain(&mut self) {
        while let Ok(chunk) = self.reader.fill_buf().await {
            let length = chunk.len();
            if length == 0 {
                return;
            }
            self.reader.consume(length);
        }
    }

    async fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            let chunk = self.reader.fill_buf().await.map_err(|error| format!("its socket broke: {error}"))?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let take = end.unwrap_or(chunk.len());
            if self.line.len() + take > LINE_LIMIT {
                return Err(format!("it said a line of more than {LINE_LIMIT} bytes"));
            }
            self.line.extend_from_slice(&chunk[..take]);
            self.reader.consume(take + usize::from(end.is_some()));
            if end.is_some() {
                let event = serde_json::from_slice(&self.line);
                self.line.clear();
                return event.map(Some).map_err(|error| format!("it said something unknown: {error}"));
            }
        }
    }
}
