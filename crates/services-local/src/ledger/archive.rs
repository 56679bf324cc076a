//! The archive: what every journaled database was at each moment of the last days.
//!
//! ```text
//! DATA/archive/log/NNN.log                      segments that recovery needs no more
//! DATA/archive/log/NNN.begun                    whose whole is in there (`begun`)
//! DATA/archive/PATH/FIRST-LAST.BATCH.ltx        changes of one database, from such segments
//! DATA/archive/PATH/0…1-LAST.BATCH.ltx          the whole of it
//! DATA/archive/PATH/removed                     what is called so next begins with a whole
//! ```
//!
//! A segment of the ledger that is no longer needed is first moved here as it is, which costs
//! nothing while much is written. From time to time the segments are *sorted*: the commits of each
//! database are appended to its own directory, in LTX (`ltx`), one LTX file per commit, many of
//! them in one file of the disk, one after the other. The names say which commits and up to which
//! batch of the ledger, so sorting again after a crash repeats nothing.
//!
//! A whole is kept at the first commit that the ledger saw, and again when the changes since have
//! grown beyond it. What is older than `archive_days`, and lies before a whole that is, goes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use services::StoreError;

use super::ltx::{Decoder, Encoder, Header, lock_page};
use super::record::{self, Malformed, Pages, Record, Records};
use super::segment::Reader;
use crate::disk;

/// Changes in bytes, beside the size of the last whole, before a new whole is kept.
const WHOLE_EVERY_BYTES: u64 = 4 << 20;
/// A whole is kept at least so often while a database changes, so that what is older can go.
const WHOLE_EVERY_MS: u64 = 24 * 3_600_000;
/// So many files of changes that follow each other, none larger than this, become one.
const MERGED_FILES: usize = 32;
const MERGED_BYTES_MAX: u64 = 1 << 20;
const EXTENSION: &str = "ltx";
/// Segments that were not sorted yet.
pub const LOG: &str = "log";
pub const REMOVED: &str = "removed";

/// One commit, by where its pages lie.
pub struct Commit {
    pub batch: u64,
    pub time_ms: u64,
    pub page_bytes: u32,
    pub database_pages: u32,
    /// It holds every page: what the database was when the ledger first saw it.
    pub base: bool,
    pages: BTreeMap<u32, Located>,
}

struct Located {
    file: Arc<File>,
    offset: u64,
    length: u32,
}

/// The commits in some segments, in their order, by database.
#[derive(Default)]
pub struct Collected {
    pub commits: HashMap<String, Vec<Commit>>,
    /// Commits whose last part is yet to come, and the segment in which they began.
    open: HashMap<String, (u64, Commit)>,
}

impl Collected {
    /// The first segment that a commit needs whose end was not found.
    pub fn open_since(&self) -> Option<u64> {
        self.open.values().map(|(segment, _)| *segment).min()
    }

    /// Takes a segment in; `only` one database, if one is named. Segments come in order.
    pub fn take(&mut self, mut reader: Reader, until: u64, only: Option<&str>) -> Result<(), StoreError> {
        let segment = reader.header.number;
        let file = reader.file().try_clone().map_err(|error| StoreError::Failed(error.to_string()))?;
        let file = Arc::new(file);
        let mut names: HashMap<u32, String> = HashMap::new();
        while let Some(batch) = reader.next(Some(until))? {
            let start = batch.payload.as_ptr() as usize;
            for read in Records::new(batch.payload) {
                let taken = read.and_then(|read| match read {
                    Record::Name { id, path } => {
                        names.insert(id, path.to_owned());
                        Ok(())
                    }
                    Record::Pages(pages) => {
                        let name = names.get(&pages.id).ok_or(Malformed)?;
                        if only.is_some_and(|only| only != name) {
                            return Ok(());
                        }
                        let locate = |stored: &[u8]| Located {
                            file: file.clone(),
                            offset: batch.offset + (stored.as_ptr() as usize - start) as u64,
                            length: stored.len() as u32,
                        };
                        self.add(name, segment, batch.number, pages, locate)
                    }
                    Record::Checkpoint { .. } | Record::Forget { .. } | Record::Adopt { .. } => Ok(()),
                });
                taken.map_err(|Malformed| {
                    StoreError::Corrupt(format!("batch {} of the ledger can't be read", batch.number))
                })?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        name: &str,
        segment: u64,
        batch: u64,
        pages: Pages<'_>,
        locate: impl Fn(&[u8]) -> Located,
    ) -> Result<(), Malformed> {
        let begun = self.open.remove(name).filter(|(_, open)| open.base == pages.base);
        let (since, mut commit) = begun.unwrap_or_else(|| {
            let commit = Commit {
                batch,
                time_ms: pages.time_ms,
                page_bytes: pages.page_bytes,
                database_pages: pages.database_pages,
                base: pages.base,
                pages: BTreeMap::new(),
            };
            (segment, commit)
        });
        for stored in pages.stored() {
            let (page, stored) = stored?;
            commit.pages.insert(page, locate(stored));
        }
        commit.batch = batch;
        match pages.last {
            true => self.commits.entry(name.to_owned()).or_default().push(commit),
            false => drop(self.open.insert(name.to_owned(), (since, commit))),
        }
        Ok(())
    }
}

impl Commit {
    /// Hands over each page that the database has afterwards.
    pub fn each(&self, mut page: impl FnMut(u32, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let (mut stored, mut image) = (Vec::new(), vec![0; self.page_bytes as usize]);
        for (&number, located) in &self.pages {
            if number > self.database_pages || number == lock_page(self.page_bytes) {
                continue;
            }
            stored.resize(located.length as usize, 0);
            located.file.read_exact_at(&mut stored, located.offset)?;
            record::unpack(&stored, &mut image).map_err(io::Error::other)?;
            page(number, &image)?;
        }
        Ok(())
    }
}

/// A file of a database's directory, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: PathBuf,
    pub first: u64,
    pub last: u64,
    pub batch: u64,
}

impl Entry {
    pub fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let (range, batch) = name.split_once('.')?;
        let (first, last) = range.split_once('-')?;
        let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
        Some(Self { first: number(first)?, last: number(last)?, batch: number(batch)?, path })
    }

    fn file_name(first: u64, last: u64, batch: u64) -> String {
        format!("{first:016x}-{last:016x}.{batch:016x}.{EXTENSION}")
    }

    /// By the last commit; a whole comes after the changes that it ends with.
    pub fn order(&self) -> (u64, Reverse<u64>) {
        (self.last, Reverse(self.first))
    }

    /// Whether it has every commit of the other.
    pub fn covers(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub fn open(&self) -> io::Result<Decoder<BufReader<File>>> {
        Ok(Decoder::new(BufReader::with_capacity(128 << 10, File::open(&self.path)?)))
    }

    /// The time of its first commit.
    pub fn time_ms(&self) -> Result<u64, StoreError> {
        let header = self.open().and_then(|mut decoder| decoder.next()).map_err(|error| damaged(&self.path, &error))?;
        Ok(header.map_or(0, |header| header.time_ms))
    }
}

pub fn damaged(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            StoreError::Corrupt(format!("{}: {error}", path.display()))
        }
        _ => disk::store_error(path, error),
    }
}

/// The directory of one database.
pub struct Shelf {
    pub dir: PathBuf,
}

impl Shelf {
    pub fn of(archive: &Path, name: &str) -> Self {
        Self { dir: archive.join(name) }
    }

    /// Its files, by their last commit; a whole comes after the changes that it ends with.
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let fail = |error: io::Error| disk::store_error(&self.dir, &error);
        let mut entries = Vec::new();
        match fs::read_dir(&self.dir) {
            Ok(found) => {
                for entry in found {
                    entries.extend(Entry::parse(entry.map_err(fail)?.path()));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
        }
        entries.sort_by_key(Entry::order);
        Ok(entries)
    }

    /// Whether what follows can be told from what is here, or is in the log and not sorted yet.
    pub fn goes_on(&self, is_begun: bool) -> Result<bool, StoreError> {
        Ok(!self.is_marked_removed() && (is_begun || !self.entries()?.is_empty()))
    }

    /// The database is being removed: whatever is called so next begins with a whole. The mark says when.
    pub fn mark_removed(&self, archive: &Path, now_ms: u64) -> Result<(), StoreError> {
        create_dirs(archive, &self.dir)?;
        let fail = |error: io::Error| disk::store_error(&self.dir, &error);
        let text = now_ms.to_string();
        disk::write_whole(&self.dir.join("removed.tmp"), &self.dir.join(REMOVED), text.as_bytes()).map_err(fail)
    }

    pub fn is_marked_removed(&self) -> bool {
        self.dir.join(REMOVED).exists()
    }

    pub fn unmark_removed(&self) -> Result<(), StoreError> {
        let fail = |error: io::Error| disk::store_error(&self.dir, &error);
        disk::remove(&self.dir.join(REMOVED)).and_then(|_| disk::sync_dir(&self.dir)).map_err(fail)
    }

    /// Appends the commits that are not here yet, durably.
    pub fn append(&self, archive: &Path, commits: &[Commit]) -> Result<(), StoreError> {
        let entries = self.entries()?;
        let (last, batch) = entries.last().map_or((0, 0), |entry| (entry.last, entry.batch));
        let new: Vec<&Commit> = commits.iter().filter(|commit| commit.batch > batch).collect();
        let Some(newest) = new.last() else { return Ok(()) };
        create_dirs(archive, &self.dir)?;
        let name = Entry::file_name(last + 1, last + new.len() as u64, newest.batch);
        self.write(&name, |mut into| {
            for (txid, commit) in (last + 1..).zip(&new) {
                let whole = commit.base || (txid == 1 && commit.pages.len() as u32 >= commit.database_pages);
                let mut encoder = Encoder::begin(into, commit.header(if whole { 1 } else { txid }, txid))?;
                commit.each(|page, image| encoder.page(page, image))?;
                into = encoder.finish()?;
            }
            Ok(into)
        })?;
        Ok(())
    }

    fn write(
        &self,
        name: &str,
        fill: impl FnOnce(BufWriter<File>) -> io::Result<BufWriter<File>>,
    ) -> Result<(), StoreError> {
        let (temporary, path) = (self.dir.join("new.tmp"), self.dir.join(name));
        let write = || -> io::Result<()> {
            let mut written = fill(BufWriter::with_capacity(128 << 10, disk::create_file(&temporary)?))?;
            written.flush()?;
            disk::publish(written.get_ref(), &temporary, &path)
        };
        write().map_err(|error| damaged(&path, &error))
    }

    /// Keeps a whole if it is time for one, and removes what nothing within reach needs.
    pub fn tidy(&self, now_ms: u64, keep_ms: u64) -> Result<(), StoreError> {
        let fail = |error: io::Error| disk::store_error(&self.dir, &error);
        let mut entries = self.entries()?;
        let Some(newest) = entries.last().cloned() else { return Ok(()) };
        let size = |entry: &Entry| fs::metadata(&entry.path).map(|metadata| metadata.len()).map_err(fail);
        let whole = entries.iter().rev().find(|entry| entry.first == 1).cloned();
        if let Some(whole) = whole.filter(|whole| *whole != newest) {
            let later = entries.iter().filter(|entry| entry.last > whole.last);
            let changes = later.map(size).sum::<Result<u64, _>>()?;
            let aged = now_ms.saturating_sub(whole.time_ms()?) > WHOLE_EVERY_MS;
            if aged || changes > WHOLE_EVERY_BYTES.max(size(&whole)?) {
                self.keep_whole(&newest)?;
                entries = self.entries()?;
            }
        }
        self.merge(&entries)?;
        self.prune(now_ms, keep_ms)
    }

    /// Removes what nothing within reach needs.
    pub fn prune(&self, now_ms: u64, keep_ms: u64) -> Result<(), StoreError> {
        let fail = |error: io::Error| disk::store_error(&self.dir, &error);
        let entries = self.entries()?;
        let horizon = now_ms.saturating_sub(keep_ms);
        let mut reached = None;
        for entry in entries.iter().filter(|entry| entry.first == 1 && entry.is_single()) {
            if entry.time_ms()? <= horizon {
                reached = Some(entry.last);
            }
        }
        if let Some(reached) = reached {
            for entry in
                entries.iter().filter(|entry| entry.last < reached || (entry.last == reached && entry.first > 1))
            {
                disk::remove(&entry.path).map_err(fail)?;
            }
        }
        Ok(())
    }

    /// Makes one file of many small ones: what is sorted every minute would be too many of them.
    fn merge(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut parts: Vec<&Entry> = Vec::new();
        for entry in entries.iter().filter(|entry| entry.first > 1) {
            let small = fs::metadata(&entry.path).is_ok_and(|metadata| metadata.len() <= MERGED_BYTES_MAX);
            let follows = parts.last().is_none_or(|before| entry.first == before.last + 1);
            if !small || !follows {
                parts.clear();
            }
            if small {
                parts.push(entry);
            }
        }
        let (Some(first), Some(last), true) = (parts.first(), parts.last(), parts.len() >= MERGED_FILES) else {
            return Ok(());
        };
        let name = Entry::file_name(first.first, last.last, last.batch);
        self.write(&name, |mut into| {
            for part in &parts {
                io::copy(&mut File::open(&part.path)?, &mut into)?;
            }
            Ok(into)
        })?;
        // The whole of them has its name.
        let removed = parts.iter().try_for_each(|part| disk::remove(&part.path).map(drop));
        removed.map_err(|error| disk::store_error(&self.dir, &error))
    }

    fn keep_whole(&self, newest: &Entry) -> Result<(), StoreError> {
        let built = self.dir.join("whole.tmp");
        let found = super::restore::build(&self.entries()?, &[], u64::MAX, &built)?;
        let name = Entry::file_name(1, newest.last, newest.batch);
        let file = File::open(&built).map_err(|error| disk::store_error(&built, &error))?;
        self.write(&name, |into| {
            let header = Header { first_txid: 1, last_txid: newest.last, ..found };
            let mut encoder = Encoder::begin(into, header)?;
            let mut image = vec![0; header.page_bytes as usize];
            for page in (1..=header.database_pages).filter(|&page| page != lock_page(header.page_bytes)) {
                file.read_exact_at(&mut image, u64::from(page - 1) * u64::from(header.page_bytes))?;
                encoder.page(page, &image)?;
            }
            encoder.finish()
        })?;
        disk::remove(&built).map_err(|error| disk::store_error(&built, &error))?;
        Ok(())
    }
}

impl Entry {
    /// Whether it holds one LTX file that is a whole, rather than a whole and what followed.
    fn is_single(&self) -> bool {
        let read = || -> io::Result<bool> {
            let header = self.open()?.next()?;
            Ok(header.is_some_and(|header| header.is_snapshot() && header.last_txid == self.last))
        };
        read().unwrap_or(false)
    }
}

impl Commit {
    pub fn header(&self, first_txid: u64, last_txid: u64) -> Header {
        let Self { page_bytes, database_pages, time_ms, .. } = *self;
        Header { page_bytes, database_pages, first_txid, last_txid, time_ms }
    }
}

/// A file, and what is wrong with it.
pub type Checked = (PathBuf, Result<(), String>);

/// Reads every file of an archive to its end; each with what is wrong with it.
pub fn check(archive: &Path) -> Result<Vec<Checked>, StoreError> {
    let mut checked = Vec::new();
    for dir in shelves(archive)? {
        let mut last = None;
        for entry in (Shelf { dir }).entries()? {
            let gap = last.is_some_and(|last| entry.first > last + 1);
            let whole = match gap {
                true => Err("changes are missing before it".to_owned()),
                false => check_file(&entry).map_err(|error| error.to_string()),
            };
            last = Some(entry.last);
            // It may be too old by now, or in another with those beside it.
            if whole.is_ok() || entry.path.exists() {
                checked.push((entry.path, whole));
            }
        }
    }
    Ok(checked)
}

/// The directories below an archive that may be those of databases.
pub fn shelves(archive: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let (mut shelves, mut dirs) = (Vec::new(), vec![archive.to_owned()]);
    while let Some(dir) = dirs.pop() {
        let found = match fs::read_dir(&dir) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(disk::store_error(&dir, &error)),
        };
        for entry in found {
            let entry = entry.map_err(|error| disk::store_error(&dir, &error))?;
            let name = entry.file_name();
            let is_other = |name: &str| name == LOG || name.starts_with(super::SCRATCH);
            if dir == archive && name.to_str().is_some_and(is_other) {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(entry.path());
            }
        }
        if dir != archive {
            shelves.push(dir);
        }
    }
    Ok(shelves)
}

/// The last batch that an archive has anything of.
pub fn newest_batch(archive: &Path) -> Result<u64, StoreError> {
    let mut newest = 0;
    for dir in shelves(archive)? {
        newest = (Shelf { dir }).entries()?.iter().map(|entry| entry.batch).fold(newest, u64::max);
    }
    Ok(newest)
}

fn check_file(entry: &Entry) -> io::Result<()> {
    let mut decoder = entry.open()?;
    while decoder.next()?.is_some() {
        decoder.pages(|_, _| Ok(()))?;
    }
    Ok(())
}

/// Creates what leads from the archive to a directory below it, durably.
fn create_dirs(archive: &Path, dir: &Path) -> Result<(), StoreError> {
    let mut path = archive.to_owned();
    for part in dir.strip_prefix(archive).unwrap_or(dir).components() {
        path.push(part);
        if !path.is_dir() {
            disk::create_dir(&path).map_err(|error| disk::store_error(&path, &error))?;
        }
    }
    Ok(())
}
