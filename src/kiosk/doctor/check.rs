//! `kiosk-media --check`: a process of its own listens, plays a tone, codes pictures and takes one. It says each finding
//! as a line of JSON; when a driver hangs in it, it is ended, and the part it was at is named.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::finding::{Finding, Part};
use crate::media::protocol::Settings;

/// What the process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It begins with a part.
    Begin(Part),
    /// It has found something.
    Found(Finding),
}

/// No part takes longer.
const SILENCE: Duration = Duration::from_secs(25);
/// More than the process has to say.
const MOST: u64 = 64 * 1024;
/// Of what it logs, when it ends badly.
const MOST_LOG: u64 = 16 * 1024;

/// Runs it; `picture` is where to save what the camera sees. `begins` is told of each part, for whoever waits.
pub async fn run(
    program: &Path,
    settings: &Settings,
    picture: Option<&Path>,
    mut begins: impl FnMut(Part),
    mut tell: impl FnMut(Finding),
) {
    let cure = "install rtcroom-kiosk again, or see [media] worker in kioskd.toml";
    let mut command = Command::new(program);
    command.arg("--check").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(picture) = picture {
        command.arg("--picture").arg(picture);
    }
    let mut child = match command.kill_on_drop(true).spawn() {
        Ok(child) => child,
        Err(error) => {
            let detail = format!("{} does not start: {error}", program.display());
            return tell(Finding::fail(Part::Worker, detail, cure));
        }
    };
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return;
    };
    // Read beside, so that a chatty library does not fill the pipe and stand still.
    let log = tokio::spawn(async move {
        let mut text = Vec::new();
        let _ = stderr.take(MOST_LOG).read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    });
    if let Ok(text) = serde_json::to_vec(settings) {
        let _ = stdin.write_all(&text).await;
    }
    drop(stdin);
    let mut lines = BufReader::new(stdout.take(MOST)).lines();
    let mut at = Part::Worker;
    loop {
        match timeout(SILENCE, lines.next_line()).await {
            Ok(Ok(Some(line))) => match serde_json::from_str(&line) {
                Ok(Said::Begin(part)) => {
                    at = part;
                    begins(part);
                }
                Ok(Said::Found(finding)) => tell(finding),
                Err(_) => {}
            },
            Ok(Ok(None) | Err(_)) => break,
            Err(_) => {
                let _ = child.start_kill();
                let detail = format!("its driver or codec did nothing for {} s", SILENCE.as_secs());
                tell(Finding::fail(at, detail, "unplug the device and plug it in again, or choose another"));
                return;
            }
        }
    }
    let status = timeout(SILENCE, child.wait()).await;
    if !matches!(&status, Ok(Ok(status)) if status.success()) {
        let log = timeout(Duration::from_secs(1), log).await.ok().and_then(Result::ok).unwrap_or_default();
        let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
        let ended = match status {
            Ok(Ok(status)) => status.to_string(),
            _ => "no end".into(),
        };
        tell(Finding::fail(at, format!("{} --check ended with {ended}: {last}", program.display()), cure));
    }
}
