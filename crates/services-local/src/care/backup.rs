//! Making a backup of a directory in use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rusqlite::backup::Backup as Copy;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use services::care::{BackupOptions, BackupReport, CareError};

use super::files;
use super::repository::{Backup, Entry, Repository, bad};
use super::{check_restored, restore};
use crate::data_dir::Root;
use crate::database::store_error;
use crate::disk;
use crate::ledger::{self, Ledger};

/// Pages of one step of a copy. Between two steps SQLite lets go of nothing that the copy needs, so
/// this is only how often it looks up.
const ALL_PAGES: i32 = -1;
const ARCHIVE: &str = "archive";

pub fn back_up(root: &Root, ledger: &Ledger, to: &Path, options: BackupOptions) -> Result<BackupReport, CareError> {
    let to = outside(root, to)?;
    let mut repository = Repository::create(&to)?;
    let backup = match collect(root, ledger, &mut repository) {
        Ok(backup) => backup,
        Err(error) => {
            repository.undo();
            return Err(error);
        }
    };
    if options.verify {
        verify(root, &repository, &backup)?;
    }
    let removed = options.keep.map_or(Ok(0), |keep| repository.prune(keep))?;
    Ok(BackupReport {
        id: backup.id,
        files: backup.files.len() as u64,
        bytes: backup.files.values().map(|entry| entry.bytes).sum(),
        new_bytes: repository.new_bytes,
        verified: options.verify,
        removed,
    })
}

/// Stores what there is, and makes the backup exist.
fn collect(root: &Root, ledger: &Ledger, repository: &mut Repository) -> Result<Backup, CareError> {
    let ids = repository.ids()?;
    let last = ids.last().map(|id| repository.load(*id)).transpose()?;
    // A clock that was set back must not make a backup look older than the one before it.
    let id = root.options.clock.unix_ms().max(ids.last().map_or(0, |last| last + 1));
    let mut backup = Backup { id, files: Default::default() };

    let hold = root.removals.hold();
    for path in files::list(&root.path)?.databases {
        if let Some(entry) = database(repository, &root.path.join(&path))? {
            backup.files.insert(name(&path)?, entry);
        }
    }
    for path in files::list(&root.path)?.others {
        let name = name(&path)?;
        let before = last.as_ref().and_then(|last| last.files.get(&name));
        if let Some(entry) = file(repository, &root.path.join(&path), before)? {
            backup.files.insert(name, entry);
        }
    }
    archive(root, ledger, repository, &mut backup, last.as_ref())?;
    drop(hold);
    repository.commit(&backup)?;
    Ok(backup)
}

/// Stores the past of the databases, up to what was durable by now.
fn archive(
    root: &Root,
    ledger: &Ledger,
    repository: &mut Repository,
    backup: &mut Backup,
    last: Option<&Backup>,
) -> Result<(), CareError> {
    ledger.sort()?;
    for (shelf, names) in ledger::list_archive(&root.path.join(ARCHIVE))? {
        for file_name in names.iter().filter(|name| *name != ledger::REMOVED) {
            let name = format!("{ARCHIVE}/{shelf}/{file_name}");
            let path = root.path.join(&name);
            // Another time line may have made one that is called so: what is younger than the last backup is read.
            let before = last.filter(|last| is_older(&path, last.id)).and_then(|last| last.files.get(&name));
            if let Some(entry) = file(repository, &path, before)? {
                backup.files.insert(name, entry);
            }
        }
        let mark = format!("{ARCHIVE}/{shelf}/{}", ledger::REMOVED);
        backup.files.insert(mark, Entry { bytes: 0, chunks: Vec::new() });
    }
    Ok(())
}

fn is_older(path: &Path, than_ms: u64) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    let since = modified.ok().and_then(|modified| modified.duration_since(UNIX_EPOCH).ok());
    since.is_some_and(|since| since.as_millis() < u128::from(than_ms))
}

/// The absolute path, which does not lie in the data directory: a backup of backups would never end.
fn outside(root: &Root, to: &Path) -> Result<PathBuf, CareError> {
    let fail = |error: io::Error| CareError::Store(disk::store_error(to, &error));
    fs::create_dir_all(to).map_err(fail)?;
    let to = to.canonicalize().map_err(fail)?;
    match to.starts_with(&root.path) {
        true => Err(bad(format!("{} lies in the data directory; choose a place outside of it", to.display()))),
        false => Ok(to),
    }
}

fn name(path: &Path) -> Result<String, CareError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| bad(format!("{} is no name that Selvedge gives to a file", path.display())))
}

/// One moment of a database; `None` if it has gone.
fn database(repository: &mut Repository, path: &Path) -> Result<Option<Entry>, CareError> {
    if !path.exists() {
        return Ok(None);
    }
    let copy = repository.temporary("database")?;
    let fail = |error: rusqlite::Error| CareError::Store(store_error(path, &error));
    {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let source = Connection::open_with_flags(path, flags).map_err(fail)?;
        let at_copy = |error: rusqlite::Error| CareError::Store(store_error(&copy, &error));
        let mut target = Connection::open(&copy).map_err(at_copy)?;
        // Nobody relies on this file before it was read again.
        target.execute_batch("PRAGMA synchronous = OFF;").map_err(at_copy)?;
        let copied = Copy::new(&source, &mut target).and_then(|backup| backup.step(ALL_PAGES));
        copied.map_err(|error| match error.sqlite_error_code() {
            // The source is only read: the disk of the backups is full.
            Some(ErrorCode::DiskFull) => at_copy(error),
            _ => fail(error),
        })?;
    }
    let entry = repository.put(&copy)?;
    repository.temporary("database")?;
    Ok(Some(entry))
}

/// A file that never changes: one that the last backup has under this name, and of this length, is
/// not read again.
fn file(repository: &mut Repository, path: &Path, before: Option<&Entry>) -> Result<Option<Entry>, CareError> {
    match fs::metadata(path) {
        Ok(found) => match before.filter(|before| before.bytes == found.len()) {
            Some(before) => Ok(Some(before.clone())),
            None => repository.put(path).map(Some),
        },
        // A value that never came to its row.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk::store_error(path, &error).into()),
    }
}

fn verify(root: &Root, repository: &Repository, backup: &Backup) -> Result<(), CareError> {
    let place = repository.temporary("verify")?;
    let checked = restore::write(repository, backup, &place).and_then(|()| check_restored(&place, root));
    repository.temporary("verify")?;
    match checked?.damage.first() {
        None => Ok(()),
        Some(damage) => Err(CareError::Unverified(format!("{}: {}", damage.place, damage.what))),
    }
}
