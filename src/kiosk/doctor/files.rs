//! Files: who may read the secrets, whether the devices may be opened, and room in the state directory.

use std::ffi::CString;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::finding::{Finding, Part, Verdict};

/// Where systemd keeps the service's state (`StateDirectory=kioskd`).
pub(super) const STATE: &str = "/var/lib/kioskd";
/// What is written to try it: more than a ticket and the note of a call.
const PROBE: usize = 64 * 1024;
/// Less free than this and the next log or update fills it, bytes.
const LITTLE: u64 = 16 << 20;

/// A kind of device the board uses, and the user that opens it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// What the path of its nodes begins with.
    pub(super) prefix: &'static str,
    /// The user of the unit that opens it.
    pub(super) user: &'static str,
}

/// Secrets that everybody may read, and devices that their user may not open.
#[must_use]
pub(super) fn permissions(secrets: &[PathBuf], uses: &[Use]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in secrets {
        let Ok(data) = fs::metadata(path) else { continue };
        let mode = data.mode() & 0o7777;
        if mode & 0o007 != 0 {
            let path = path.display();
            let detail = format!("{path} can be read by everybody on this board (mode {mode:04o})");
            findings.push(Finding::fail(Part::Permissions, detail, format!("chmod 640 {path}")));
        }
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let group = fs::read_to_string("/etc/group").unwrap_or_default();
    for Use { prefix, user } in uses {
        for node in nodes(prefix) {
            let Ok(data) = fs::metadata(&node) else { continue };
            let may = match account(&passwd, &group, user) {
                Some(account) => may_open(data.mode(), data.uid(), data.gid(), &account),
                // No unit's user here: whoever runs this runs the kiosk.
                None => accessible(&node),
            };
            if !may {
                let owner = group_name(&group, data.gid());
                let path = node.display();
                let detail =
                    format!("{user} may not open {path} (group {owner}, mode {:04o})", data.mode() & 0o7777);
                let cure = format!("usermod -aG {owner} {user}, and start kioskd again");
                findings.push(Finding::fail(Part::Permissions, detail, cure));
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(Part::Permissions, "secrets are private, devices can be opened"));
    }
    findings
}

fn nodes(prefix: &str) -> Vec<PathBuf> {
    let Some((folder, name)) = prefix.rsplit_once('/') else { return Vec::new() };
    let mut nodes: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(name))
        .map(|entry| entry.path())
        .collect();
    nodes.sort();
    nodes
}

/// A user's number and the numbers of its groups.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    uid: u32,
    groups: Vec<u32>,
}

/// From the texts of `/etc/passwd` and `/etc/group` (passwd(5), group(5)).
fn account(passwd: &str, group: &str, user: &str) -> Option<Account> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
    let fields: Vec<&str> = line.split(':').collect();
    let (uid, own) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
    let member =
        |line: &&str| line.rsplit(':').next().is_some_and(|all| all.split(',').any(|one| one == user));
    let others = group.lines().filter(member).filter_map(|line| line.split(':').nth(2)?.parse().ok());
    Some(Account { uid, groups: std::iter::once(own).chain(others).collect() })
}

fn group_name(group: &str, gid: u32) -> String {
    let gid = gid.to_string();
    let line = group.lines().find(|line| line.split(':').nth(2) == Some(&gid));
    line.and_then(|line| line.split(':').next()).map_or(gid.clone(), str::to_owned)
}

fn may_open(mode: u32, uid: u32, gid: u32, account: &Account) -> bool {
    let class = if account.uid == uid {
        mode >> 6
    } else if account.groups.contains(&gid) {
        mode >> 3
    } else {
        mode
    };
    account.uid == 0 || class & 0o6 == 0o6
}

fn accessible(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: a string that ends with zero, and lives as long as the call.
    unsafe { libc::access(path.as_ptr(), libc::R_OK | libc::W_OK) == 0 }
}

/// Tries the state directory.
#[must_use]
pub(super) fn disk(named: Option<&Path>) -> Finding {
    let Some(dir) = named else {
        return Finding::ok(
            Part::Disk,
            format!("no state directory ({STATE} or --state-dir): a renewed ticket is not kept"),
        );
    };
    if let Err(error) = try_write(dir) {
        let cure = match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => {
                "make room there: journalctl --vacuum-size=50M, apt-get clean"
            }
            Some(libc::EROFS) => "mount it writable: the medium may be failing, see dmesg",
            Some(libc::ENOENT) => "make it, or start kioskd.service once: it makes its own",
            _ => "it has to belong to kioskd's user, with mode 0700",
        };
        return Finding::fail(Part::Disk, format!("{} cannot be written: {error}", dir.display()), cure);
    }
    match free(dir) {
        Some(bytes) if bytes < LITTLE => Finding::new(
            Part::Disk,
            Verdict::Warn,
            format!("only {} KiB are free in {}", bytes >> 10, dir.display()),
            "make room there: journalctl --vacuum-size=50M, apt-get clean",
        ),
        Some(bytes) => {
            Finding::ok(Part::Disk, format!("{} can be written, {} MiB free", dir.display(), bytes >> 20))
        }
        None => Finding::ok(Part::Disk, format!("{} can be written", dir.display())),
    }
}

fn try_write(dir: &Path) -> std::io::Result<()> {
    let path = dir.join(format!(".doctor-{}", std::process::id()));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(&[0; PROBE])?;
        file.sync_all()
    })();
    let _ = fs::remove_file(&path);
    written
}

fn free(dir: &Path) -> Option<u64> {
    let path = CString::new(dir.as_os_str().as_bytes()).ok()?;
    // SAFETY: a structure of plain numbers, filled by the call; the string ends with zero.
    let told = unsafe {
        let mut told: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &raw mut told) == 0).then_some(told)
    }?;
    // The types differ from one architecture to the next.
    #[allow(clippy::unnecessary_cast)]
    Some(told.f_bavail as u64 * told.f_frsize as u64)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nkiosk-media:x:998:997::/:/usr/sbin/nologin\n";
    const GROUP: &str = "root:x:0:\nvideo:x:44:alice,kiosk-media\naudio:x:29:alice\nkiosk-media:x:997:\n";

    #[test]
    fn a_user_may_open_what_its_groups_may() {
        let media = account(PASSWD, GROUP, "kiosk-media").expect("it is there");
        assert_eq!(media, Account { uid: 998, groups: vec![997, 44] });
        assert!(may_open(0o20660, 0, 44, &media), "video");
        assert!(!may_open(0o20660, 0, 29, &media), "audio");
        assert!(may_open(0o20666, 0, 29, &media), "everybody");
        assert!(!may_open(0o20640, 0, 44, &media), "reading alone is not enough");
        assert_eq!(account(PASSWD, GROUP, "alice"), None);
        assert_eq!((group_name(GROUP, 29), group_name(GROUP, 5)), ("audio".into(), "5".into()));
    }

    #[test]
    fn a_secret_that_everybody_may_read_is_named_with_the_cure() {
        let dir = tempfile::tempdir().expect("a folder");
        let key = dir.path().join("client.key");
        fs::write(&key, "key").expect("a file");
        for (mode, verdict) in [(0o600, Verdict::Ok), (0o640, Verdict::Ok), (0o644, Verdict::Fail)] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).expect("a mode");
            let findings = permissions(std::slice::from_ref(&key), &[]);
            assert_eq!(findings[0].verdict, verdict, "{mode:o}");
            if verdict == Verdict::Fail {
                assert!(findings[0].cure.starts_with("chmod 640 /"), "{}", findings[0]);
            }
        }
    }

    #[test]
    fn a_state_directory_that_is_missing_is_named_and_one_that_works_is_left_clean() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_ne!(disk(Some(dir.path())).verdict, Verdict::Fail);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
        let missing = disk(Some(&dir.path().join("nothing")));
        assert_eq!(missing.verdict, Verdict::Fail);
        assert!(missing.to_string().contains("nothing cannot be written"), "{missing}");
    }
}
