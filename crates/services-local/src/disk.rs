//! Files that survive power loss: the few steps, in the one order that works.
//!
//! A file is durable when its bytes are flushed *and* the directory that names it is. A rename is
//! the only way a name appears, and it comes after the flush of the bytes, so that whoever finds
//! the name finds the whole content.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use services::StoreError;

/// Flushes the names in a directory.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates a directory that only its owner may enter, and flushes its name. Its parent exists.
pub fn create_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(error),
    }
    // Also if it was there: whoever made it may have died before this line.
    sync_dir(path.parent().unwrap_or(path))
}

/// Creates the file anew, readable by its owner only.
pub fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Puts `bytes` under `path` as a whole or not at all, and durably. A leftover `temporary` from an
/// earlier attempt is overwritten.
pub fn write_whole(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_file(temporary)?;
    file.write_all(bytes)?;
    publish(&file, temporary, path)
}

/// Gives a written temporary file its name, durably.
pub fn publish(file: &File, temporary: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(temporary, path)?;
    sync_dir(path.parent().unwrap_or(path))
}

/// Takes the space of so many bytes at once, so that a full disk is noticed before something depends
/// on it. Answers false if the file system can't promise any.
#[cfg(target_os = "linux")]
pub fn take_room(file: &File, bytes: u64) -> io::Result<bool> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
pub fn take_room(_: &File, _: u64) -> io::Result<bool> {
    Ok(false)
}

/// Up to where a file holds something, from its beginning on; room that was only taken is nothing.
#[cfg(target_os = "linux")]
pub fn filled_bytes(file: &File) -> u64 {
    rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(0)).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
pub fn filled_bytes(_: &File) -> u64 {
    0
}

/// How much more the disk of a file takes; nothing if it can't be told.
pub fn free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Removes a file; one that is gone already is no error.
pub fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What a failed file operation means to a contract.
pub fn store_error(path: &Path, error: &io::Error) -> StoreError {
    let what = format!("{}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(what),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => StoreError::ReadOnly(what),
        _ => StoreError::Failed(what),
    }
}
