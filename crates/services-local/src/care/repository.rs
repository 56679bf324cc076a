//! Where backups lie: chunks under their SHA-256, and a list of files for each backup.
//!
//! ```text
//! TO/
//!   format              "selvedge-backup 1"
//!   chunks/HH/DIGEST    up to 256 KiB of a file each, as it is
//!   backups/ID.json     the files of one backup, each a list of chunks; ID is when it began
//!   tmp/                what is on its way
//! ```
//!
//! Files are cut at fixed places, for databases change in place and other files never. A backup
//! exists once its list has its name, which comes after all of its chunks were flushed.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use base::Digest;
use serde::{Deserialize, Serialize};
use services::care::CareError;

use crate::disk;

const FORMAT: &str = "selvedge-backup 1\n";
const CHUNK_BYTES: usize = 256 << 10;

/// One backup.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// When it began, in milliseconds since the Unix epoch.
    pub id: u64,
    /// By its path below the data directory.
    pub files: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub bytes: u64,
    pub chunks: Vec<Digest>,
}

/// A backup, as a list shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BackupInfo {
    pub id: u64,
    pub files: u64,
    pub bytes: u64,
}

pub struct Repository {
    path: PathBuf,
    /// What was stored through this.
    pub new_bytes: u64,
    /// The chunks that were, which are of no backup before it has its list.
    stored: Vec<PathBuf>,
    /// Directories with a new name in them, to be flushed before a backup has its own.
    unflushed: HashSet<PathBuf>,
}

/// The backups in a directory, oldest first.
pub fn backups(path: &Path) -> Result<Vec<BackupInfo>, CareError> {
    let repository = Repository::open(path)?;
    let info = |id| {
        let backup = repository.load(id)?;
        let bytes = backup.files.values().map(|entry| entry.bytes).sum();
        Ok(BackupInfo { id, files: backup.files.len() as u64, bytes })
    };
    repository.ids()?.into_iter().map(info).collect()
}

impl Repository {
    /// Opens a directory that has backups.
    pub fn open(path: &Path) -> Result<Self, CareError> {
        let file = path.join("format");
        match fs::read_to_string(&file) {
            Ok(text) if text == FORMAT => {
                Ok(Self { path: path.to_owned(), new_bytes: 0, stored: Vec::new(), unflushed: HashSet::default() })
            }
            Ok(text) => {
                let found = text.lines().next().unwrap_or_default();
                Err(bad(format!("{} says {found:?}: this Selvedge knows {:?}", file.display(), FORMAT.trim())))
            }
            Err(error) => Err(bad(format!("{} holds no backups: {error}", path.display()))),
        }
    }

    /// Opens the directory, and makes it if it is missing or empty.
    pub fn create(path: &Path) -> Result<Self, CareError> {
        let fail = |error: io::Error| CareError::Store(disk::store_error(path, &error));
        fs::create_dir_all(path).map_err(fail)?;
        if fs::read_dir(path).map_err(fail)?.next().is_none() {
            disk::write_whole(&path.join("format.tmp"), &path.join("format"), FORMAT.as_bytes()).map_err(fail)?;
        }
        let repository = Self::open(path)?;
        for name in ["chunks", "backups", "tmp"] {
            disk::create_dir(&path.join(name)).map_err(fail)?;
        }
        Ok(repository)
    }

    /// A place for what is on its way, empty.
    pub fn temporary(&self, name: &str) -> Result<PathBuf, CareError> {
        let path = self.path.join("tmp").join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { disk::remove(&path).map(drop) };
        removed.map_err(|error| self.failed(&path, &error))?;
        Ok(path)
    }

    /// Stores a file.
    pub fn put(&mut self, file: &Path) -> Result<Entry, CareError> {
        let fail = |error: io::Error| CareError::Store(disk::store_error(file, &error));
        let mut source = File::open(file).map_err(fail)?;
        let mut entry = Entry { bytes: 0, chunks: Vec::new() };
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        loop {
            chunk.clear();
            let read = source.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk).map_err(fail)?;
            if read == 0 {
                return Ok(entry);
            }
            entry.bytes += read as u64;
            entry.chunks.push(self.put_chunk(&chunk)?);
        }
    }

    fn put_chunk(&mut self, bytes: &[u8]) -> Result<Digest, CareError> {
        let digest = Digest::of(bytes);
        let path = self.chunk(&digest);
        let dir = path.parent().unwrap_or(&self.path).to_owned();
        let fail = |error: io::Error| CareError::Store(disk::store_error(&path, &error));
        // One of another length was cut short by something; it is written anew.
        if !fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
            disk::create_dir(&dir).map_err(fail)?;
            let temporary = self.path.join("tmp/chunk");
            disk::write_whole(&temporary, &path, bytes).map_err(fail)?;
            self.new_bytes += bytes.len() as u64;
            self.stored.push(path);
        }
        // Whoever stored it may have died before its name was flushed.
        self.unflushed.insert(dir);
        Ok(digest)
    }

    /// Reads a chunk, if it is what its name says.
    pub fn get_chunk(&self, digest: &Digest) -> Result<Vec<u8>, CareError> {
        let path = self.chunk(digest);
        let bytes = fs::read(&path).map_err(|error| bad(format!("{} can't be read: {error}", path.display())))?;
        match Digest::of(&bytes) == *digest {
            true => Ok(bytes),
            false => Err(bad(format!("{} is damaged: it does not have its digest", path.display()))),
        }
    }

    fn chunk(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.path.join("chunks").join(&name[..2]).join(name)
    }

    /// Makes a backup exist.
    pub fn commit(&mut self, backup: &Backup) -> Result<(), CareError> {
        for dir in std::mem::take(&mut self.unflushed) {
            disk::sync_dir(&dir).map_err(|error| self.failed(&dir, &error))?;
        }
        let path = self.list(backup.id);
        let text = serde_json::to_vec(backup).expect("a list of files can be written as JSON");
        let written = disk::write_whole(&path.with_extension("tmp"), &path, &text);
        // If its list may be there, so must its chunks.
        if written.is_ok() || disk::remove(&path).is_err() {
            self.stored.clear();
        }
        written.map_err(|error| self.failed(&path, &error))
    }

    /// Removes what a backup stored that comes to nothing, for a full disk must not be fuller for it. What
    /// can't be removed is used by the next one, or removed when older backups are.
    pub fn undo(&mut self) {
        let kept = std::mem::take(&mut self.stored).iter().filter(|path| disk::remove(path).is_err()).count();
        let (temporary, lists) = (self.path.join("tmp"), self.path.join("backups"));
        let cleared = fs::remove_dir_all(&temporary).and_then(|()| disk::create_dir(&temporary));
        let lists = fs::read_dir(&lists).into_iter().flatten().flatten().map(|entry| entry.path());
        let unfinished = lists.filter(|path| path.extension().is_some_and(|extension| extension == "tmp"));
        let left = unfinished.filter(|path| disk::remove(path).is_err()).count();
        if kept + left > 0 || cleared.is_err() {
            tracing::warn!(place = %self.path.display(), "parts of a backup that failed could not be removed");
        }
    }

    /// Which backups there are, oldest first.
    pub fn ids(&self) -> Result<Vec<u64>, CareError> {
        let dir = self.path.join("backups");
        let entries = fs::read_dir(&dir).map_err(|error| self.failed(&dir, &error))?;
        let id = |entry: io::Result<fs::DirEntry>| {
            entry.ok()?.file_name().to_str()?.strip_suffix(".json")?.parse::<u64>().ok()
        };
        let mut ids: Vec<u64> = entries.filter_map(id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    pub fn load(&self, id: u64) -> Result<Backup, CareError> {
        let path = self.list(id);
        let text = fs::read(&path).map_err(|error| bad(format!("there is no backup {id}: {error}")))?;
        let backup: Backup =
            serde_json::from_slice(&text).map_err(|error| bad(format!("{} is damaged: {error}", path.display())))?;
        // A list may come from a stranger: nothing is ever written outside of where it is restored to.
        let escapes =
            |path: &&String| !Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        match backup.files.keys().find(escapes) {
            Some(escaping) => Err(bad(format!("{} names {escaping:?}, which is no path", path.display()))),
            None => Ok(backup),
        }
    }

    fn list(&self, id: u64) -> PathBuf {
        self.path.join("backups").join(format!("{id}.json"))
    }

    /// Removes all backups but the newest, and the chunks that only they had; answers how many.
    pub fn prune(&self, keep: usize) -> Result<u64, CareError> {
        let ids = self.ids()?;
        let (old, kept) = ids.split_at(ids.len().saturating_sub(keep.max(1)));
        if old.is_empty() {
            return Ok(0);
        }
        let mut referenced = HashSet::new();
        for id in kept {
            referenced.extend(self.load(*id)?.files.into_values().flat_map(|entry| entry.chunks));
        }
        for id in old {
            let path = self.list(*id);
            disk::remove(&path).map_err(|error| self.failed(&path, &error))?;
        }
        // A list that came back after a crash must find its chunks.
        let lists = self.path.join("backups");
        disk::sync_dir(&lists).map_err(|error| self.failed(&lists, &error))?;
        let chunks = self.path.join("chunks");
        for dir in fs::read_dir(&chunks).map_err(|error| self.failed(&chunks, &error))?.flatten() {
            for file in fs::read_dir(dir.path()).map_err(|error| self.failed(&chunks, &error))?.flatten() {
                let digest = file.file_name().to_str().and_then(Digest::parse);
                if digest.is_some_and(|digest| !referenced.contains(&digest)) {
                    disk::remove(&file.path()).map_err(|error| self.failed(&file.path(), &error))?;
                }
            }
        }
        Ok(old.len() as u64)
    }

    fn failed(&self, path: &Path, error: &io::Error) -> CareError {
        disk::store_error(path, error).into()
    }
}

pub fn bad(what: String) -> CareError {
    CareError::BadBackup(what)
}
