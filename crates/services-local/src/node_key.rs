//! The node key: 32 random bytes in a private file outside the data directory, from which the
//! keys that seal things are derived.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_lc_rs::hkdf::{self, HKDF_SHA256, Salt};
use base::{Rng, Secret};

use crate::{DataDirError, disk};

const KEY_BYTES: usize = 32;

pub struct NodeKey(Secret<[u8; KEY_BYTES]>);

impl NodeKey {
    /// Reads the key; makes one if the file is missing, unless something is already sealed with
    /// another. `sealed_with` is the check value of the key that was used so far.
    pub fn load(
        file: &Path,
        data_dir: &Path,
        rng: &dyn Rng,
        sealed_with: Option<[u8; KEY_BYTES]>,
    ) -> Result<Self, DataDirError> {
        refuse_inside(file, data_dir)?;
        let key = match fs::read_to_string(file) {
            Ok(text) => Self::read(file, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && sealed_with.is_some() => {
                return Err(DataDirError::NodeKeyMissing { file: file.into() });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(file, rng)?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(DataDirError::NodeKeyDamaged { file: file.into() });
            }
            Err(error) => return Err(DataDirError::from_io(file, error)),
        };
        match sealed_with {
            Some(check_value) if check_value != key.check_value() => {
                Err(DataDirError::NodeKeyWrong { file: file.into() })
            }
            _ => Ok(key),
        }
    }

    fn read(file: &Path, text: &str) -> Result<Self, DataDirError> {
        let mode = fs::metadata(file).map_err(|error| DataDirError::from_io(file, error))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(DataDirError::NodeKeyExposed { file: file.into() });
        }
        let mut bytes = [0; KEY_BYTES];
        let digits = text.trim_end_matches(['\r', '\n']);
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| DataDirError::NodeKeyDamaged { file: file.into() })?;
        Ok(Self(Secret::new(bytes)))
    }

    fn create(file: &Path, rng: &dyn Rng) -> Result<Self, DataDirError> {
        let fail = |error| DataDirError::from_io(file, error);
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(fail)?;
        let mut bytes = [0; KEY_BYTES];
        rng.fill(&mut bytes);
        // Under its final name only when whole, and never over a key that appeared meanwhile.
        let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
        let write = || -> io::Result<()> {
            let mut new: File = disk::create_file(&temporary)?;
            new.write_all(format!("{}\n", hex::encode(bytes)).as_bytes())?;
            new.sync_all()?;
            fs::hard_link(&temporary, file)?;
            disk::remove(&temporary)?;
            disk::sync_dir(parent)
        };
        let written = write();
        if written.is_err() {
            let _ = disk::remove(&temporary);
        }
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::read(file, &fs::read_to_string(file).map_err(fail)?)
            }
            written => written.map(|()| Self(Secret::new(bytes))).map_err(fail),
        }
    }

    /// A key for one purpose.
    pub fn derive(&self, purpose: &str) -> Secret<[u8; KEY_BYTES]> {
        let info = [b"selvedge ".as_slice(), purpose.as_bytes()];
        let mut key = [0; KEY_BYTES];
        Salt::new(HKDF_SHA256, &[])
            .extract(self.0.expose())
            .expand(&info, Length)
            .and_then(|okm| okm.fill(&mut key))
            .expect("32 bytes are within what HKDF-SHA256 can give");
        Secret::new(key)
    }

    /// Tells keys apart and tells nothing about them.
    pub fn check_value(&self) -> [u8; KEY_BYTES] {
        *self.derive("node key check value").expose()
    }
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

/// Judges the nearest directory above the file that exists: the rest would be made inside it.
fn refuse_inside(file: &Path, data_dir: &Path) -> Result<(), DataDirError> {
    let fail = |error| DataDirError::from_io(file, error);
    let above = std::path::absolute(file).map_err(fail)?;
    let existing = above.ancestors().skip(1).find_map(|parent| parent.canonicalize().ok());
    let data_dir = data_dir.canonicalize().map_err(fail)?;
    match existing.is_some_and(|existing| existing.starts_with(data_dir)) {
        true => Err(DataDirError::NodeKeyInside { file: file.into() }),
        false => Ok(()),
    }
}
