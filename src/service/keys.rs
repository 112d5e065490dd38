//! Making the keys tickets are signed with.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;

use super::random;
use crate::room::user_sig::KeyError;

/// Why no keys were made.
#[derive(Debug, thiserror::Error)]
pub enum KeygenError {
    /// A file is there already.
    #[error("{} exists already; keys are never overwritten, choose another directory", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// OpenSSL gave no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system gave no random bytes.
    #[error("no random bytes from the system: {0}")]
    Random(#[from] getrandom::Error),
}

/// A P-256 key pair: PKCS#8 and SPKI, both PEM.
pub fn new_pair() -> Result<(Vec<u8>, Vec<u8>), KeyError> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    Ok((key.private_key_to_pem_pkcs8()?, key.public_key_to_pem()?))
}

/// Writes `private.pem`, `public.pem` (v1) and `secret.hex` (v2), readable by the owner only.
pub fn generate(dir: &Path) -> Result<(), KeygenError> {
    let (private, public) = new_pair()?;
    let mut secret = random::hex::<32>()?.into_bytes();
    secret.push(b'\n');
    let files = [("private.pem", private), ("public.pem", public), ("secret.hex", secret)];
    if let Some((name, _)) = files.iter().find(|(name, _)| fs::symlink_metadata(dir.join(name)).is_ok()) {
        return Err(KeygenError::Exists(dir.join(name)));
    }
    let failed = |path: &Path, source| KeygenError::Write { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| failed(dir, e))?;
    for (name, text) in files {
        let path = dir.join(name);
        let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        open.and_then(|mut file| file.write_all(&text)).map_err(|e| failed(&path, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn keys_are_for_the_owner_only_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("new/keys");
        generate(&out).unwrap();
        for name in ["private.pem", "public.pem", "secret.hex"] {
            assert_eq!(fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let before = fs::read(out.join("private.pem")).unwrap();
        fs::remove_file(out.join("secret.hex")).unwrap();
        assert!(matches!(generate(&out), Err(KeygenError::Exists(_))));
        assert_eq!(fs::read(out.join("private.pem")).unwrap(), before);
        assert!(!out.join("secret.hex").exists());
    }
}
