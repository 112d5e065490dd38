//! The media worker as a child process: a socketpair, lines both ways, and an end that cannot fail.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command as Program};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::event::{Generation, Input, WorkerNews};
use crate::media::protocol::{Command, Event, LINE_LIMIT};

/// Lines waiting to be read by the worker. One that lets so many lie is not alive, and is ended.
const UNREAD: usize = 64;
/// From closing its socket to its end.
const AFTER_EOF: Duration = Duration::from_millis(300);

/// A running worker. Dropping it ends the process.
#[derive(Debug)]
pub struct Worker {
    generation: Generation,
    lines: mpsc::Sender<Command>,
    kill: Option<oneshot::Sender<()>>,
}

impl Worker {
    /// Starts `program`; its news go to `inbox` as those of `generation`.
    pub fn spawn(
        program: &Path,
        generation: Generation,
        inbox: mpsc::Sender<Input>,
    ) -> std::io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Program::new(program);
        // stderr is the log, shared; a group of its own keeps the terminal's Ctrl-C from it, so that a call ends well.
        command
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
        let child = command.spawn()?;
        drop(command);
        let (reader, writer) = UnixStream::from_std(ours)?.into_split();
        let (lines, queue) = mpsc::channel(UNREAD);
        let (kill, killed) = oneshot::channel();
        tokio::spawn(supervise(child, reader, writer, queue, killed, generation, inbox));
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

    /// `SIGKILL`.
    pub fn kill(&mut self) {
        self.kill.take();
    }
}

async fn supervise(
    mut child: Child,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    queue: mpsc::Receiver<Command>,
    mut killed: oneshot::Receiver<()>,
    generation: Generation,
    inbox: mpsc::Sender<Input>,
) {
    let news = |news| Input::Worker { generation, news };
    let _ = inbox.send(news(WorkerNews::Started { pid: child.id().unwrap_or(0) })).await;
    let writing = tokio::spawn(write_lines(writer, queue));
    let mut lines = Lines { reader: BufReader::with_capacity(8 * 1024, reader), line: Vec::new() };
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
