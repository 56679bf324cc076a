//! What a start does with the log that the last process left: the newest image of every page that
//! a database file may lack is written into it, and the log begins anew.
//!
//! A file may hold any part of what was being copied into it, torn or whole, when the power went.
//! All of that lies in the log, since nothing is copied before it is durable there, so writing the
//! images again mends it. Doing so twice, after a crash in the middle, leaves the same.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use services::StoreError;

use super::archive;
use super::begun::Begun;
use super::journal::beside;
use super::record::{self, Malformed, Record, Records};
use super::segment::{self, Header, Reader, Writer};
use crate::disk;

/// Threads that write and flush files; they wait for the disk, not for a core.
const THREADS: usize = 8;
/// So much of a file is written at once where it follows.
const RUN_BYTES: usize = 1 << 20;

/// What the log said.
pub struct Recovered {
    pub last_batch: u64,
    pub next_segment: u64,
    /// The segment that the log goes on with, if there was a log.
    pub writer: Option<Writer>,
    /// The databases of which it holds a whole.
    pub begun: Begun,
    /// Those whose files hold everything now, durably.
    pub whole: HashSet<String>,
}

/// The state of one database as the log tells it.
#[derive(Default)]
struct Pending {
    pages: HashMap<u32, Stored>,
    /// Parts of a commit whose last part is yet to come.
    open: Vec<(u32, Stored)>,
    size: Option<(u64, u32, u32)>,
    /// The file and the log have been at one: what lies beside the file is of no use.
    touched: bool,
    forgotten: bool,
    /// The segment and the batch that end a whole of it, for the archive.
    whole_at: Option<(u64, u64)>,
}

impl Pending {
    /// The log holds every page, as of a database that was made and whose name was lost.
    fn is_whole(&self, database_pages: u32) -> bool {
        (1..=database_pages).all(|page| self.pages.contains_key(&page))
    }
}

/// Where the image of a page lies.
#[derive(Clone, Copy)]
struct Stored {
    batch: u64,
    segment: usize,
    offset: u64,
    length: u32,
}

/// Reads the log in `dir` and brings every database below `root` up to date. Blocks.
pub fn run(root: &Path, dir: &Path) -> Result<Recovered, StoreError> {
    let fail = |error: io::Error| disk::store_error(dir, &error);
    let numbers = segment::list(dir).map_err(fail)?;
    let Some(&newest) = numbers.last() else {
        // An archive that came with a backup goes on.
        let last_batch = archive::newest_batch(&root.join("archive"))?;
        let (begun, whole) = (Begun::default(), HashSet::new());
        return Ok(Recovered { last_batch, next_segment: 1, writer: None, begun, whole });
    };
    let mut readers = open_needed(dir, &numbers)?;
    let (databases, last_batch) = scan(&mut readers)?;
    let files: Vec<File> =
        readers.iter().map(|reader| reader.file().try_clone()).collect::<Result<_, _>>().map_err(fail)?;
    apply(root, &files, &databases)?;
    // From here on the old segments are of no use to recovery.
    let number = newest + 1;
    let header = Header { number, after: last_batch, first: last_batch + 1, replay_from: number };
    let writer = Writer::create(dir, header).map_err(fail)?;
    let mut begun = Begun::default();
    for (name, pending) in &databases {
        if let Some((segment, batch)) = pending.whole_at {
            begun.note(segment, batch, name);
        }
    }
    // One that the log speaks of may be gone.
    let is_whole =
        |(name, pending): &(String, Pending)| pending.touched && !pending.forgotten && root.join(name).is_file();
    let whole = databases.into_iter().filter(is_whole).map(|(name, _)| name).collect();
    Ok(Recovered { last_batch, next_segment: number, writer: Some(writer), begun, whole })
}

/// Opens the segments that recovery needs. If one is missing, a batch will be.
fn open_needed(dir: &Path, numbers: &[u64]) -> Result<Vec<Reader>, StoreError> {
    let mut readers: Vec<Reader> = Vec::new();
    for &number in numbers.iter().rev() {
        let reader = Reader::open(dir, number)?;
        let is_first = reader.header.replay_from == number;
        readers.push(reader);
        if is_first {
            break;
        }
    }
    readers.reverse();
    Ok(readers)
}

fn scan(readers: &mut [Reader]) -> Result<(HashMap<String, Pending>, u64), StoreError> {
    let mut databases: HashMap<String, Pending> = HashMap::new();
    let afters: Vec<u64> = readers.iter().skip(1).map(|reader| reader.header.after).collect();
    for (at, reader) in readers.iter_mut().enumerate() {
        let mut names: HashMap<u32, String> = HashMap::new();
        let number = reader.header.number;
        while let Some(batch) = reader.next(afters.get(at).copied())? {
            let start = batch.payload.as_ptr() as usize;
            for read in Records::new(batch.payload) {
                let place = |stored: &[u8]| Stored {
                    batch: batch.number,
                    segment: at,
                    offset: batch.offset + (stored.as_ptr() as usize - start) as u64,
                    length: stored.len() as u32,
                };
                read.and_then(|read| note(&mut databases, &mut names, read, (number, batch.number), place)).map_err(
                    |Malformed| StoreError::Corrupt(format!("batch {} of the ledger can't be read", batch.number)),
                )?;
            }
        }
    }
    let last = readers.last().map_or(0, Reader::last_batch);
    Ok((databases, last))
}

/// Takes a record into account, of this segment and batch.
fn note(
    databases: &mut HashMap<String, Pending>,
    names: &mut HashMap<u32, String>,
    record: Record<'_>,
    at: (u64, u64),
    place: impl Fn(&[u8]) -> Stored,
) -> Result<(), Malformed> {
    let id = match record {
        Record::Name { id, path } => {
            names.insert(id, path.to_owned());
            databases.entry(path.to_owned()).or_default();
            return Ok(());
        }
        Record::Pages(pages) => pages.id,
        Record::Checkpoint { id, .. } | Record::Forget { id } | Record::Adopt { id } => id,
    };
    let pending = names.get(&id).and_then(|path| databases.get_mut(path)).ok_or(Malformed)?;
    if let Record::Pages(pages) = &record
        && pages.base
        && pages.last
    {
        pending.whole_at = Some(at);
    }
    match record {
        Record::Pages(pages) if !pages.base || pages.born => {
            for stored in pages.stored() {
                let (page, stored) = stored?;
                pending.open.push((page, place(stored)));
            }
            if pages.last {
                pending.pages.extend(pending.open.drain(..));
                let batch = pending.pages.values().map(|stored| stored.batch).max().unwrap_or(0);
                pending.size = Some((batch, pages.page_bytes, pages.database_pages));
                (pending.touched, pending.forgotten) = (true, false);
            }
        }
        Record::Checkpoint { batch, .. } => {
            pending.pages.retain(|_, stored| stored.batch > batch);
            pending.touched = true;
        }
        Record::Forget { .. } => {
            *pending = Pending { touched: true, forgotten: true, ..Pending::default() };
        }
        Record::Adopt { .. } => pending.forgotten = false,
        Record::Name { .. } | Record::Pages(_) => {}
    }
    Ok(())
}

/// Writes what is pending, by a few threads, and flushes it.
fn apply(root: &Path, segments: &[File], databases: &HashMap<String, Pending>) -> Result<(), StoreError> {
    let work: Mutex<Vec<(&String, &Pending)>> = Mutex::new(databases.iter().filter(|(_, p)| p.touched).collect());
    let next = || work.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let dirs = Mutex::new(BTreeSet::new());
    let one = || -> Result<(), StoreError> {
        while let Some((name, pending)) = next() {
            let path = below(root, name)?;
            apply_one(&path, segments, pending)?;
            if let Some(dir) = path.parent().filter(|dir| dir.is_dir()) {
                dirs.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned());
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(databases.len())).map(|_| scope.spawn(one)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(StoreError::Failed("recovery of the ledger panicked".into())))
        })
    })?;
    for dir in dirs.into_inner().unwrap_or_else(PoisonError::into_inner) {
        disk::sync_dir(&dir).map_err(|error| disk::store_error(&dir, &error))?;
    }
    Ok(())
}

/// The file that a name in the log means. The log is our own, but never leads out of the directory.
fn below(root: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let relative = Path::new(name);
    match relative.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(root.join(relative)),
        false => Err(StoreError::Corrupt(format!("the ledger names {name:?}, which is no file of this directory"))),
    }
}

fn apply_one(path: &Path, segments: &[File], pending: &Pending) -> Result<(), StoreError> {
    let fail = |error: io::Error| disk::store_error(path, &error);
    for suffix in ["-wal", "-shm"] {
        disk::remove(&beside(path, suffix)).map_err(fail)?;
    }
    if pending.forgotten {
        disk::remove(path).map_err(fail)?;
        return Ok(());
    }
    let Some((last, page_bytes, database_pages)) = pending.size else { return Ok(()) };
    if pending.pages.is_empty() {
        return Ok(());
    }
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && pending.is_whole(database_pages) => {
            disk::create_file(path).map_err(fail)?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(file = %path.display(), "the ledger holds changes of a database that is gone; they are dropped");
            return Ok(());
        }
        Err(error) => return Err(fail(error)),
    };
    let mut stored_bytes = Vec::new();
    let mut run = Run { file: &file, page_bytes: page_bytes as usize, first: 0, images: Vec::new() };
    let in_order: BTreeMap<u32, &Stored> = pending.pages.iter().map(|(&page, stored)| (page, stored)).collect();
    for (page, stored) in in_order {
        debug_assert!(stored.batch <= last);
        if page > database_pages {
            continue;
        }
        stored_bytes.resize(stored.length as usize, 0);
        segments[stored.segment].read_exact_at(&mut stored_bytes, stored.offset).map_err(fail)?;
        let image = run.place(page).map_err(fail)?;
        record::unpack(&stored_bytes, image)
            .map_err(|Malformed| StoreError::Corrupt(format!("the ledger's page {page} of {}", path.display())))?;
    }
    run.write().map_err(fail)?;
    file.set_len(u64::from(database_pages) * u64::from(page_bytes)).map_err(fail)?;
    file.sync_all().map_err(fail)
}

/// Pages that follow each other, written together.
struct Run<'a> {
    file: &'a File,
    page_bytes: usize,
    first: u32,
    images: Vec<u8>,
}

impl Run<'_> {
    /// Where the image of this page goes; those before it are written if it does not follow them.
    fn place(&mut self, page: u32) -> io::Result<&mut [u8]> {
        let count = self.images.len() / self.page_bytes;
        if u64::from(self.first) + count as u64 != u64::from(page) || self.images.len() >= RUN_BYTES {
            self.write()?;
            self.first = page;
        }
        let start = self.images.len();
        self.images.resize(start + self.page_bytes, 0);
        Ok(&mut self.images[start..])
    }

    fn write(&mut self) -> io::Result<()> {
        let offset = u64::from(self.first.saturating_sub(1)) * self.page_bytes as u64;
        self.file.write_all_at(&self.images, offset)?;
        self.images.clear();
        Ok(())
    }
}
