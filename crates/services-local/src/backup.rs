//! Backups: consistent copies of a data directory, taken while it is in use, and put back.
//!
//! ```text
//! DEST/files/HH/SHA256     what was copied, by its digest, so that nothing is copied twice
//! DEST/TIME.json           one backup: which file had which content
//! ```
//!
//! A database is copied by SQLite, page by page in one read transaction, and checked as a whole;
//! every other file is written once and never changed, and is copied after the databases that may
//! name it. If an app replaced a large KV value in between, its database is copied once more. A
//! backup counts when its list is there, which is written last. What has the size and times that it
//! had the last time is not read again.
//!
//! What a backup does not hold: the node key (without which the secrets in it open for nobody),
//! compiled code, the log of commits, whose content is in the databases, and the archive. Each
//! database is as it was at one moment; two databases may be from moments a little apart.
//!
//! Putting back goes into an empty directory, checks every digest, and writes last what makes it a
//! data directory, so that half of one is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use base::{Clock, Code, Digest, code};
use rusqlite::backup::Backup as Copying;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use services::StoreError;

use crate::database::store_error;
use crate::{content, disk, kv};

const FORMAT: u32 = 1;
/// Pages that are copied before others get a turn.
const STEP_PAGES: i32 = 1_000;
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often a database is copied again because a value went meanwhile.
const ATTEMPTS: usize = 8;
const CHUNK_BYTES: usize = 256 << 10;
/// How old the times of a file must be before they tell that it is unchanged.
const SETTLED_MS: u64 = 2_000;
/// What a data directory can do without, at its top.
const LEFT_OUT: [&str; 5] = ["lock", "cache", "ledger", "archive", "format.tmp"];

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    format: u32,
    taken_ms: u64,
    files: BTreeMap<String, Row>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    sha256: Digest,
    bytes: u64,
    /// The sizes and times of the source, by which the next backup knows that it has it.
    stamp: String,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// The name of the backup: when it was begun.
    pub taken_ms: u64,
    pub files: usize,
    pub bytes: u64,
    /// Of these, what was not there from an earlier backup.
    pub new_files: usize,
    pub new_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{0} holds no backup; name the directory that selvedge backup wrote to")]
    None(PathBuf),
    #[error("{dir} holds no backup of {taken_ms}; it has {}", list(.found), dir = .dir.display())]
    NoSuch { dir: PathBuf, taken_ms: u64, found: Vec<u64> },
    #[error("{0} is not empty; restore into a new directory")]
    NotEmpty(PathBuf),
    #[error("{0} lies inside of the data directory; choose another place for backups")]
    Inside(PathBuf),
    #[error("{0} was written by a newer Selvedge; use that version or a newer one")]
    Newer(PathBuf),
    #[error("{0} in the backup is damaged or missing; take another backup, or use an earlier one")]
    Damaged(String),
    #[error("values of {0} change faster than they can be copied; try again when less is written")]
    Busy(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(found: &[u64]) -> String {
    found.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

impl BackupError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            Self::None(_) | Self::NoSuch { .. } => &code::NOT_FOUND,
            Self::NotEmpty(_) | Self::Inside(_) => &code::DATA_UNUSABLE,
            Self::Newer(_) => &code::DATA_NEWER,
            Self::Damaged(_) => &code::STORE_CORRUPT,
            Self::Busy(_) => &code::NODE_OVERLOADED,
            Self::Store(error) => error.code(),
        }
    }
}

/// Copies the data directory, which may be in use by this process or another, into `into`, beside
/// the backups that are there. Blocks.
pub fn backup(data: &Path, into: &Path, clock: &dyn Clock) -> Result<BackupReport, BackupError> {
    let data = data.canonicalize().map_err(|error| disk::store_error(data, &error))?;
    let fail = |error| disk::store_error(into, &error);
    DirBuilder::new().recursive(true).mode(0o700).create(into.join("files")).map_err(fail)?;
    let into = into.canonicalize().map_err(fail)?;
    if into.starts_with(&data) {
        return Err(BackupError::Inside(into));
    }
    let earlier = match taken(&into)?.last() {
        Some(&last) => read_list(&into, last)?.files,
        None => BTreeMap::new(),
    };
    let taken_ms = taken(&into)?.last().map_or(0, |last| last + 1).max(clock.unix_ms());
    let now_ms = clock.unix_ms();
    let mut copier = Copier { data, into, earlier, now_ms, files: BTreeMap::new(), new_files: 0, new_bytes: 0 };
    copier.copy_databases()?;
    copier.copy_files()?;
    copier.complete_values()?;
    let list = List { format: FORMAT, taken_ms, files: copier.files };
    let bytes = list.files.values().map(|row| row.bytes).sum();
    let text = serde_json::to_vec_pretty(&list).expect("a list is JSON");
    let (temporary, path) = (copier.into.join("list.tmp"), list_path(&copier.into, taken_ms));
    disk::write_whole(&temporary, &path, &text).map_err(|error| disk::store_error(&path, &error))?;
    let (new_files, new_bytes) = (copier.new_files, copier.new_bytes);
    Ok(BackupReport { taken_ms, files: list.files.len(), bytes, new_files, new_bytes })
}

struct Copier {
    data: PathBuf,
    into: PathBuf,
    earlier: BTreeMap<String, Row>,
    now_ms: u64,
    files: BTreeMap<String, Row>,
    new_files: usize,
    new_bytes: u64,
}

impl Copier {
    fn copy_databases(&mut self) -> Result<(), BackupError> {
        for name in walk(&self.data)?.into_iter().filter(|name| is_database(name)) {
            self.copy_database(&name)?;
        }
        Ok(())
    }

    /// Copies what is not copied yet.
    fn copy_files(&mut self) -> Result<(), BackupError> {
        for name in walk(&self.data)?.into_iter().filter(|name| !is_database(name)) {
            let path = self.data.join(&name);
            // What is no database never changes once it is there.
            let copied = self.files.contains_key(&name);
            if copied || self.has_still(&name, &path) {
                continue;
            }
            let Some(stamp) = stamp(&path) else { continue };
            let temporary = self.into.join("copy.tmp");
            match copy_hashed(&path, &temporary) {
                Ok((sha256, bytes)) => self.keep(&name, &temporary, Row { sha256, bytes, stamp })?,
                // It went meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(disk::store_error(&path, &error).into()),
            }
        }
        Ok(())
    }

    fn copy_database(&mut self, name: &str) -> Result<(), BackupError> {
        let path = self.data.join(name);
        if self.has_still(name, &path) {
            return Ok(());
        }
        let Some(stamp) = stamp(&path) else { return Ok(()) };
        let temporary = self.into.join("copy.tmp");
        disk::remove(&temporary).map_err(|error| disk::store_error(&temporary, &error))?;
        copy_pages(&path, &temporary).map_err(|error| store_error(&path, &error))?;
        let (sha256, bytes) = hash(&temporary).map_err(|error| disk::store_error(&temporary, &error))?;
        self.keep(name, &temporary, Row { sha256, bytes, stamp })
    }

    /// Whether the last backup has this file as it is now; then this one has it too.
    fn has_still(&mut self, name: &str, path: &Path) -> bool {
        let Some(row) = self.earlier.get(name) else { return false };
        let same = stamp(path).is_some_and(|stamp| stamp == row.stamp) && file(&self.into, &row.sha256).exists();
        if same {
            self.files.insert(name.to_owned(), row.clone());
        }
        same
    }

    fn keep(&mut self, name: &str, temporary: &Path, mut row: Row) -> Result<(), BackupError> {
        if changed_ms(&self.data.join(name)).is_none_or(|changed_ms| changed_ms + SETTLED_MS > self.now_ms) {
            // The clock of a file system is coarse: a change may yet leave the times as they are.
            row.stamp.clear();
        }
        let path = file(&self.into, &row.sha256);
        let fail = |error: io::Error| disk::store_error(&path, &error);
        if path.exists() {
            disk::remove(temporary).map_err(fail)?;
        } else {
            disk::create_dir(path.parent().unwrap_or(&self.into)).map_err(fail)?;
            disk::publish(&File::open(temporary).map_err(fail)?, temporary, &path).map_err(fail)?;
            self.new_files += 1;
            self.new_bytes += row.bytes;
        }
        self.files.insert(name.to_owned(), row);
        Ok(())
    }

    /// Sees that every large value that a copied row names was copied, too.
    fn complete_values(&mut self) -> Result<(), BackupError> {
        let names: Vec<String> = self.files.keys().filter(|name| is_kv(name)).cloned().collect();
        for name in names {
            let mut attempt = 0;
            while !self.is_complete(&name)? {
                attempt += 1;
                if attempt == ATTEMPTS {
                    return Err(BackupError::Busy(name));
                }
                self.copy_database(&name)?;
                self.copy_files()?;
            }
        }
        Ok(())
    }

    fn is_complete(&self, name: &str) -> Result<bool, BackupError> {
        let Some(row) = self.files.get(name) else { return Ok(true) };
        let copy = file(&self.into, &row.sha256);
        let named = named_values(&copy).map_err(|error| store_error(&copy, &error))?;
        let dir = values_dir(name);
        let has = |(id, bytes): &(content::ContentId, u64)| {
            self.files.get(&format!("{dir}/{}", id.file_name())).is_some_and(|row| row.bytes == *bytes)
        };
        Ok(named.iter().all(has))
    }
}

/// Puts a backup back into a directory that is missing or empty: the one of this name, or the last.
/// Answers which it was, and how many files it has. Blocks.
pub fn restore(from: &Path, taken_ms: Option<u64>, data: &Path) -> Result<(u64, usize), BackupError> {
    let found = taken(from)?;
    let last = *found.last().ok_or_else(|| BackupError::None(from.into()))?;
    let taken_ms = taken_ms.unwrap_or(last);
    if !found.contains(&taken_ms) {
        return Err(BackupError::NoSuch { dir: from.into(), taken_ms, found });
    }
    let list = read_list(from, taken_ms)?;
    let fail = |error| disk::store_error(data, &error);
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(fail)?;
    if fs::read_dir(data).map_err(fail)?.next().is_some() {
        return Err(BackupError::NotEmpty(data.into()));
    }
    let mut dirs = BTreeSet::new();
    let (format, others): (Vec<_>, Vec<_>) = list.files.iter().partition(|(name, _)| name.as_str() == "format");
    for (name, row) in others.into_iter().chain(format) {
        if name == "format" {
            dirs.iter().try_for_each(|dir: &PathBuf| disk::sync_dir(dir)).map_err(fail)?;
        }
        let path = data.join(name);
        let dir = path.parent().unwrap_or(data);
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
        dirs.extend(dir.ancestors().take_while(|dir| dir.starts_with(data)).map(Path::to_owned));
        let source = file(from, &row.sha256);
        match copy_hashed(&source, &path) {
            Ok((sha256, _)) if sha256 == row.sha256 => {}
            Ok(_) => return Err(BackupError::Damaged(name.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BackupError::Damaged(name.clone())),
            Err(error) => return Err(disk::store_error(&path, &error).into()),
        }
    }
    disk::sync_dir(data).map_err(fail)?;
    Ok((taken_ms, list.files.len()))
}

/// Removes all backups but the last few, and what only they had. Answers how many went.
pub fn prune(dir: &Path, keep: usize) -> Result<usize, BackupError> {
    let fail = |error| disk::store_error(dir, &error);
    let found = taken(dir)?;
    let (old, kept) = found.split_at(found.len().saturating_sub(keep.max(1)));
    let mut needed = BTreeSet::new();
    for &taken_ms in kept {
        needed.extend(read_list(dir, taken_ms)?.files.into_values().map(|row| row.sha256));
    }
    for &taken_ms in old {
        disk::remove(&list_path(dir, taken_ms)).map_err(fail)?;
    }
    disk::sync_dir(dir).map_err(fail)?;
    for name in walk(&dir.join("files"))? {
        let digest = name.rsplit('/').next().and_then(Digest::parse);
        if digest.is_none_or(|digest| !needed.contains(&digest)) {
            disk::remove(&dir.join("files").join(name)).map_err(fail)?;
        }
    }
    Ok(old.len())
}

/// The backups in a directory, by name, in order.
fn taken(dir: &Path) -> Result<Vec<u64>, BackupError> {
    let fail = |error| disk::store_error(dir, &error);
    let mut found = Vec::new();
    match fs::read_dir(dir) {
        Ok(entries) => {
            for entry in entries {
                let name = entry.map_err(fail)?.file_name();
                found.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok()));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error).into()),
    }
    found.sort_unstable();
    Ok(found)
}

fn list_path(dir: &Path, taken_ms: u64) -> PathBuf {
    dir.join(format!("{taken_ms}.json"))
}

fn read_list(dir: &Path, taken_ms: u64) -> Result<List, BackupError> {
    let path = list_path(dir, taken_ms);
    let text = fs::read(&path).map_err(|error| disk::store_error(&path, &error))?;
    let list: List = serde_json::from_slice(&text).map_err(|_| BackupError::Damaged(path.display().to_string()))?;
    if list.format > FORMAT {
        return Err(BackupError::Newer(path));
    }
    // Names that lead out of a directory are not ours.
    let leads_out = |name: &String| name.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    match list.files.keys().find(|name| leads_out(name)) {
        Some(name) => Err(BackupError::Damaged(name.clone())),
        None => Ok(list),
    }
}

fn file(dir: &Path, sha256: &Digest) -> PathBuf {
    let name = sha256.to_string();
    dir.join("files").join(&name[..2]).join(name)
}

/// The files below a data directory that it can't do without, by their relative names.
pub fn walk(data: &Path) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let mut dirs = vec![data.to_owned()];
    while let Some(dir) = dirs.pop() {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(disk::store_error(&dir, &error)),
        };
        for entry in entries {
            let path = entry.map_err(|error| disk::store_error(&dir, &error))?.path();
            let Some(name) = path.strip_prefix(data).ok().and_then(Path::to_str) else { continue };
            if LEFT_OUT.contains(&name) || [".tmp", "-wal", "-shm", "-journal"].iter().any(|end| name.ends_with(end)) {
                continue;
            }
            match path.is_dir() {
                true => dirs.push(path),
                false => found.push(name.to_owned()),
            }
        }
    }
    found.sort();
    Ok(found)
}

pub fn is_database(name: &str) -> bool {
    name.ends_with(".db")
}

/// Whether this is the database of an app's KV.
pub fn is_kv(name: &str) -> bool {
    is_database(name) && name.starts_with("kv/")
}

/// Where the large values of a KV database lie.
pub fn values_dir(name: &str) -> String {
    format!("{}.content", name.trim_end_matches(".db"))
}

/// The large values that the rows of a KV database name.
pub fn named_values(path: &Path) -> rusqlite::Result<Vec<(content::ContentId, u64)>> {
    let connection = open_beside(path)?;
    // One that was only just made has no table yet.
    let made = connection.table_exists(None, "entry")?;
    if made { kv::contents(&connection) } else { Ok(Vec::new()) }
}

/// A connection to a database that others may use, which changes nothing, by closing either.
pub fn open_beside(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

/// Copies a database and checks the copy.
fn copy_pages(path: &Path, to: &Path) -> rusqlite::Result<()> {
    let source = open_beside(path)?;
    let mut copy = Connection::open(to)?;
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    // All steps see one moment, since they share a read transaction.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")?;
    Copying::new(&source, &mut copy)?.run_to_completion(STEP_PAGES, Duration::ZERO, None)?;
    let sound: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    match sound.as_str() {
        "ok" => Ok(()),
        damage => {
            let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            Err(rusqlite::Error::SqliteFailure(error, Some(damage.to_owned())))
        }
    }
}

/// The sizes and times by which a file is known again; none if it is gone.
fn stamp(path: &Path) -> Option<String> {
    let one = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some(format!("{} {}.{:09}", metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = one(Path::new(&log)).unwrap_or_default();
    one(path).map(|own| format!("{own}/{log}"))
}

/// When a file, or the log of a database, was changed last.
fn changed_ms(path: &Path) -> Option<u64> {
    let one = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some(metadata.mtime() as u64 * 1_000 + metadata.mtime_nsec() as u64 / 1_000_000)
    };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    one(path).max(one(Path::new(&log)))
}

fn hash(path: &Path) -> io::Result<(Digest, u64)> {
    read_hashed(path, |_| Ok(()))
}

/// Copies a file, durably but for its name, and answers its digest and size.
fn copy_hashed(from: &Path, to: &Path) -> io::Result<(Digest, u64)> {
    let mut target: Option<File> = None;
    let copied = read_hashed(from, |chunk| {
        let file = match &mut target {
            Some(file) => file,
            None => target.insert(disk::create_file(to)?),
        };
        file.write_all(chunk)
    })?;
    match target {
        Some(file) => file.sync_all()?,
        None => disk::create_file(to)?.sync_all()?,
    }
    Ok(copied)
}

fn read_hashed(path: &Path, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(Digest, u64)> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut hash, mut bytes) = (Context::new(&SHA256), 0);
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        hash.update(&chunk[..length]);
        each(&chunk[..length])?;
        bytes += length as u64;
    }
    let sum = hash.finish().as_ref().try_into().expect("32 bytes");
    Ok((Digest::from_bytes(sum), bytes))
}
