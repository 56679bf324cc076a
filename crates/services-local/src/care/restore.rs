//! Making a data directory of a backup.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use services::care::CareError;

use super::repository::{Backup, BackupInfo, Repository, bad};
use crate::disk;

/// Restores a backup, the newest if none is named, to a directory that is missing or empty. It
/// appears there as a whole or not at all. Blocks.
pub fn restore(from: &Path, id: Option<u64>, to: &Path) -> Result<BackupInfo, CareError> {
    let repository = Repository::open(from)?;
    let newest = || repository.ids()?.pop().ok_or_else(|| bad(format!("{} holds no backup yet", from.display())));
    let backup = repository.load(id.map_or_else(newest, Ok)?)?;
    let fail = |error: io::Error| CareError::Store(disk::store_error(to, &error));
    let occupied = match fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(fail(error)),
    };
    if occupied {
        return Err(bad(format!("{} is not empty; restore to a new directory", to.display())));
    }
    let to = std::path::absolute(to).map_err(fail)?;
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    let place = to.with_file_name(name);
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let parent = to.parent().unwrap_or(&to);
    fs::create_dir_all(parent).map_err(fail)?;
    write(&repository, &backup, &place)?;
    // An empty directory makes way; the name is flushed with the parent.
    fs::rename(&place, &to).and_then(|()| disk::sync_dir(parent)).map_err(fail)?;
    let bytes = backup.files.values().map(|entry| entry.bytes).sum();
    Ok(BackupInfo { id: backup.id, files: backup.files.len() as u64, bytes })
}

/// Writes the files of a backup below `to`, durably.
pub fn write(repository: &Repository, backup: &Backup, to: &Path) -> Result<(), CareError> {
    let fail = |path: &Path, error: &io::Error| CareError::Store(disk::store_error(path, error));
    disk::create_dir(to).map_err(|error| fail(to, &error))?;
    for (name, entry) in &backup.files {
        let path = to.join(name);
        for dir in dirs(Path::new(name)) {
            disk::create_dir(&to.join(dir)).map_err(|error| fail(&path, &error))?;
        }
        let mut file = disk::create_file(&path).map_err(|error| fail(&path, &error))?;
        let mut bytes = 0;
        for digest in &entry.chunks {
            let chunk = repository.get_chunk(digest)?;
            bytes += chunk.len() as u64;
            file.write_all(&chunk).map_err(|error| fail(&path, &error))?;
        }
        if bytes != entry.bytes {
            return Err(bad(format!("{name} has {bytes} bytes in its chunks where the backup says {}", entry.bytes)));
        }
        let dir = path.parent().unwrap_or(to);
        file.sync_all().and_then(|()| disk::sync_dir(dir)).map_err(|error| fail(&path, &error))?;
    }
    Ok(())
}

/// The directories above a file, outermost first.
fn dirs(name: &Path) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> =
        name.ancestors().skip(1).filter(|dir| !dir.as_os_str().is_empty()).map(Path::to_owned).collect();
    dirs.reverse();
    dirs
}
