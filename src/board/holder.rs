//! Who holds a device node open: as root every process, otherwise our own.

use std::fmt;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// A process that holds a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// The name of its program.
    pub name: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The processes that hold this file or device node, but for ourselves. Without root, those of other users are not seen.
#[must_use]
pub fn of(path: &Path) -> Vec<Holder> {
    let mut holders = in_tree(Path::new("/proc"), path);
    holders.retain(|holder| holder.pid != std::process::id());
    holders
}

/// "held by …", for a sentence; what to do to learn it when nothing is seen.
#[must_use]
pub fn sentence(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "run `kioskd doctor` as root to see which process holds it".into();
    }
    let names: Vec<String> = holders.iter().map(ToString::to_string).collect();
    format!("held by {}", names.join(", "))
}

/// What makes two paths the same thing: a device's number, or a file's place.
fn identity(path: &Path) -> Option<(bool, u64, u64)> {
    let data = fs::metadata(path).ok()?;
    let kind = data.file_type();
    Some(if kind.is_char_device() || kind.is_block_device() {
        (true, data.rdev(), 0)
    } else {
        (false, data.dev(), data.ino())
    })
}

fn in_tree(proc: &Path, path: &Path) -> Vec<Holder> {
    let Some(wanted) = identity(path) else { return Vec::new() };
    let mut holders = Vec::new();
    for process in fs::read_dir(proc).into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        if files.into_iter().any(|file| identity(&file.path()) == Some(wanted)) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            holders.push(Holder { pid, name: name.trim().to_owned() });
        }
    }
    holders.sort_by_key(|holder| holder.pid);
    holders
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_process_that_holds_a_file_is_named_and_we_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("held");
        let ours = fs::File::create(&path).expect("a file");
        assert_eq!(of(&path), [], "we hold it ourselves");
        let input = fs::File::open(&path).expect("a file");
        let mut child =
            Command::new("sleep").arg("60").stdin(Stdio::from(input)).spawn().expect("coreutils' sleep");
        let holders = of(&path);
        let _ = child.kill();
        let _ = child.wait();
        assert_eq!(holders, [Holder { pid: child.id(), name: "sleep".into() }]);
        assert!(sentence(&holders).contains("sleep (process"), "{}", sentence(&holders));
        drop(ours);
        assert_eq!(of(&folder.path().join("nothing")), []);
    }

    #[test]
    fn a_device_is_the_same_by_every_name_it_has() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("by-id");
        std::os::unix::fs::symlink("/dev/null", &link).expect("a link");
        assert_eq!(identity(&link), identity(Path::new("/dev/null")));
        assert_ne!(identity(&link), identity(Path::new("/dev/zero")));
    }
}
