//! No hardware: a line is a file that holds `0` or `1`, its level at the pin. For the simulator and for tests, which
//! pull the plug by deleting the file.

use std::path::PathBuf;

use super::fault::Fault;
use super::line::Line;

/// A line that is read or driven.
#[derive(Debug)]
pub(crate) struct Port {
    path: PathBuf,
    active_low: bool,
}

impl Port {
    /// The file of that name in the folder that is the chip.
    pub(crate) fn open(line: &Line) -> Result<Self, Fault> {
        let folder = PathBuf::from(line.chip.as_deref().unwrap_or("."));
        let port = Self { path: folder.join(line.line.to_string()), active_low: line.active_low };
        if !folder.is_dir() {
            return Err(Fault::NoChip { chip: folder.display().to_string(), found: "no such folder".into() });
        }
        port.level().map(|_| port)
    }

    /// Where it is.
    pub(crate) fn place(&self) -> String {
        format!("simulated, {}", self.path.display())
    }

    /// Whether it is active now.
    pub(crate) fn level(&self) -> Result<bool, Fault> {
        let text = std::fs::read(&self.path).map_err(|error| self.fault(&error))?;
        Ok((text.first() == Some(&b'1')) != self.active_low)
    }

    /// Makes it active or not.
    pub(crate) fn set(&self, active: bool) -> Result<(), Fault> {
        // Opened, not made: a file that is gone is a line that is gone.
        let level = if active == self.active_low { "0" } else { "1" };
        std::fs::OpenOptions::new()
            .write(true)
            .open(&self.path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, level.as_bytes()))
            .map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &std::io::Error) -> Fault {
        let path = self.path.display().to_string();
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => Fault::Denied { path },
            std::io::ErrorKind::NotFound => Fault::NoLine { line: path, looked: "the folder".into() },
            _ => {
                let line = format!("file {path}");
                Fault::Unable { line, chip: "the simulator".into(), what: "used", detail: error.to_string() }
            }
        }
    }
}
