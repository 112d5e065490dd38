//! The control socket: `kioskd press`, `hangup`, `status` and `metrics` reach the running `kioskd` through it.
//!
//! One JSON object a line: `{"do":"press"}` is answered by `{"ok":true,"state":"joining"}`, `{"do":"status"}` by all of
//! [`super::status::Status`].

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// More than any request.
const MOST_LINE: u64 = 4096;
/// A client that says nothing for so long is let go.
const SILENCE: Duration = Duration::from_secs(60);
/// For the short commands: the loop answers at once or is stuck.
const ANSWER: Duration = Duration::from_secs(5);

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Presses the button.
    Press,
    /// Ends a call.
    Hangup,
    /// Tells everything.
    Status,
    /// Tells the numbers, as Prometheus text.
    Metrics,
}

/// A question and where its answer goes.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub ask: Ask,
    /// The answer, one line of JSON.
    pub answer: oneshot::Sender<Value>,
}

/// The socket in `dir`.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// Listens in `dir`, for this user alone. Fails when another `kioskd` does already.
pub fn listen(dir: &Path) -> Result<UnixListener> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("runtime directory {}", dir.display()))?;
    let path = path(dir);
    if std::os::unix::net::UnixStream::connect(&path).is_ok() {
        bail!("another kioskd is listening on {}; end it or give --runtime-dir", path.display());
    }
    let _ = std::fs::remove_file(&path);
    // SAFETY: only sets the mask; no other thread makes files yet.
    let mask = unsafe { libc::umask(0o177) };
    let listener = UnixListener::bind(&path);
    // SAFETY: as above.
    unsafe { libc::umask(mask) };
    let listener = listener.with_context(|| format!("control socket {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers connections until the loop is gone. A few at a time: whoever may connect could as well stop us.
pub async fn serve(listener: UnixListener, inbox: mpsc::Sender<Question>) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(8));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                log::warn!("control socket: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let inbox = inbox.clone();
        tokio::spawn(async move {
            if let Err(error) = converse(stream, inbox).await {
                log::debug!("control socket: {error:#}");
            }
            drop(place);
        });
    }
}

async fn converse(stream: UnixStream, inbox: mpsc::Sender<Question>) -> Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = tokio::io::BufReader::with_capacity(1024, reader);
    loop {
        let mut line = Vec::new();
        timeout(SILENCE, (&mut reader).take(MOST_LINE).read_until(b'\n', &mut line)).await??;
        if line.is_empty() {
            return Ok(());
        }
        let reply = match serde_json::from_slice(&line) {
            Ok(ask) => {
                let (answer, reply) = oneshot::channel();
                inbox.send(Question { ask, answer }).await?;
                reply.await?
            }
            Err(error) => serde_json::json!({ "ok": false, "error": error.to_string() }),
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        timeout(SILENCE, writer.write_all(&text)).await??;
    }
}

/// Asks the `kioskd` that runs in `dir`.
pub fn ask(dir: &Path, ask: Ask) -> Result<Value> {
    let path = path(dir);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).with_context(|| {
        format!("no kioskd answers on {}; is it running, is --runtime-dir right?", path.display())
    })?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let mut line = serde_json::to_vec(&ask)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = String::new();
    BufReader::new(stream.take(1 << 20)).read_line(&mut reply).context("kioskd does not answer")?;
    serde_json::from_str(&reply).context("kioskd closed the connection")
}
