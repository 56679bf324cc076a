//! Point-in-time recovery: a database as it was at a moment, built beside it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use services::StoreError;

use super::archive::{Collected, Commit, Entry, Shelf, damaged};
use super::ltx::Header;
use super::segment::{self, Reader};
use super::{Copied, Inner, Ledger};
use crate::disk;

/// A moment may be so far ahead of the clock: each commit of one moment is a millisecond later than the last.
pub const AHEAD_MS: u64 = 1_000;

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// When the last commit in it was made.
    pub time_ms: u64,
    pub bytes: u64,
}

/// Why a moment can't be restored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RestoreError {
    #[error("nothing is archived of {0}; check its name")]
    Unknown(String),
    #[error("the archive of {name} begins at {earliest_ms} ms; ask for a later moment")]
    TooEarly { name: String, earliest_ms: u64 },
    #[error("the moment is yet to come; ask for one that has passed")]
    ToCome,
    #[error("this node keeps no archive (archive_days = 0)")]
    NoArchive,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RestoreError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> base::Code {
        match self {
            Self::Unknown(_) | Self::TooEarly { .. } | Self::ToCome | Self::NoArchive => &base::code::NOT_FOUND,
            Self::Store(error) => error.code(),
        }
    }
}

impl Ledger {
    /// Builds the database at `path` as it was at `at_ms`, with every commit that was made by then,
    /// in a new file `into`. The database itself is not touched, and may be in use. Blocks.
    ///
    /// If what is beside the data does not reach so far, it is fetched from elsewhere, if it is there.
    pub fn restore(&self, path: &Path, at_ms: u64, into: &Path) -> Result<Restored, RestoreError> {
        let error = match self.restore_from(path, at_ms, into, Vec::new()) {
            Err(error @ (RestoreError::TooEarly { .. } | RestoreError::Unknown(_))) => error,
            done => return done,
        };
        let Some(elsewhere) = &self.inner.elsewhere else { return Err(error) };
        // It may take long, and holds nobody up.
        match elsewhere.fetch(&self.name(path)?, at_ms)? {
            Some(fetched) => self.restore_from(path, at_ms, into, fetched.entries()?),
            None => Err(error),
        }
    }

    fn restore_from(
        &self,
        path: &Path,
        at_ms: u64,
        into: &Path,
        fetched: Vec<Entry>,
    ) -> Result<Restored, RestoreError> {
        let name = self.name(path)?;
        let Some(archive) = &self.inner.archive else { return Err(RestoreError::NoArchive) };
        if at_ms > self.inner.clock.unix_ms().saturating_add(AHEAD_MS) {
            return Err(RestoreError::ToCome);
        }
        // What is durable by now; a commit that is under way is not of the past.
        let _still = self.inner.moving();
        let mut entries = Shelf::of(archive, &name).entries()?;
        entries.extend(fetched);
        entries.sort_by_key(Entry::order);
        let collected = self.inner.unsorted(Some(&name))?;
        let sorted = entries.last().map_or(0, |entry| entry.batch);
        let commits = collected.commits.get(&name).map(Vec::as_slice).unwrap_or_default();
        let commits: Vec<&Commit> = commits.iter().filter(|commit| commit.batch > sorted).collect();
        let earliest = match (entries.first(), commits.first()) {
            (Some(entry), _) => entry.time_ms()?,
            (None, Some(commit)) => commit.time_ms,
            (None, None) => return Err(RestoreError::Unknown(name)),
        };
        if at_ms < earliest {
            return Err(RestoreError::TooEarly { name, earliest_ms: earliest });
        }
        let header = build(&entries, &commits, at_ms, into)?;
        let bytes = u64::from(header.page_bytes) * u64::from(header.database_pages);
        Ok(Restored { time_ms: header.time_ms, bytes })
    }
}

impl Inner {
    /// The segments that were not sorted yet, in order, with the last batch of each that counts.
    pub(super) fn segments(&self) -> Result<Vec<(Reader, u64)>, StoreError> {
        let durable = self.log.durable();
        let mut readers = Vec::new();
        for dir in self.archived_log().iter().chain([&self.dir]) {
            let numbers = segment::list(dir).map_err(|error| disk::store_error(dir, &error))?;
            for number in numbers {
                readers.push(Reader::open(dir, number)?);
            }
        }
        let afters: Vec<u64> = readers.iter().skip(1).map(|reader| reader.header.after).chain([durable]).collect();
        Ok(readers.into_iter().zip(afters).collect())
    }

    pub(super) fn archived_log(&self) -> Option<PathBuf> {
        self.archive.as_ref().map(|archive| archive.join(super::archive::LOG))
    }

    /// The commits that were not sorted yet, of one database or of all.
    pub(super) fn unsorted(&self, only: Option<&str>) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        for (reader, until) in self.segments()? {
            collected.take(reader, until, only)?;
        }
        Ok(collected)
    }
}

/// Builds a database as it was at a moment in a new file, from a copy of the archive; nothing, if it was not there
/// then. `scratch` is a directory to make, and to remove again.
pub fn build_copied(
    copied: &Copied<'_>,
    (shelf, names): (&str, &BTreeSet<String>),
    at_ms: u64,
    scratch: PathBuf,
    into: &Path,
) -> Result<Option<Restored>, StoreError> {
    let Some(fetched) = copied.fetch_listed(shelf, names, at_ms, scratch)? else { return Ok(None) };
    let entries = fetched.entries()?;
    if entries.first().map_or(Ok(u64::MAX), Entry::time_ms)? > at_ms {
        return Ok(None);
    }
    let header = build(&entries, &[], at_ms, into)?;
    // One of the same name may have begun after the mark, before it was taken away.
    if copied.removed_ms(shelf, names)?.is_some_and(|removed_ms| (header.time_ms..=at_ms).contains(&removed_ms)) {
        disk::remove(into).map_err(|error| disk::store_error(into, &error))?;
        return Ok(None);
    }
    let bytes = u64::from(header.page_bytes) * u64::from(header.database_pages);
    Ok(Some(Restored { time_ms: header.time_ms, bytes }))
}

/// Builds a database in a new file from a whole and what followed it.
pub fn build(entries: &[Entry], later: &[&Commit], at_ms: u64, into: &Path) -> Result<Header, StoreError> {
    let fail = |error: io::Error| disk::store_error(into, &error);
    let file = disk::create_file(into).map_err(fail)?;
    let mut target = Target { file, header: None };
    let outcome = target.build(entries, later, at_ms).and_then(|()| {
        let header = target.header.ok_or_else(|| StoreError::Corrupt("the archive holds no whole of it".into()))?;
        target.file.sync_all().map_err(fail)?;
        disk::sync_dir(into.parent().unwrap_or(into)).map_err(fail)?;
        Ok(header)
    });
    if outcome.is_err() {
        // What was begun is of no use, and the error is what matters.
        let _ = disk::remove(into);
    }
    outcome
}

struct Target {
    file: File,
    /// Of the last commit that was applied.
    header: Option<Header>,
}

impl Target {
    fn build(&mut self, entries: &[Entry], later: &[&Commit], at_ms: u64) -> Result<(), StoreError> {
        // The last whole of that time; older changes are in it.
        let mut start = 0;
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.first == 1) {
            if entry.time_ms()? <= at_ms {
                start = at;
            }
        }
        let mut last = 0;
        for (at, entry) in entries.iter().enumerate() {
            if at < start && entries[start].last >= entry.last {
                continue;
            }
            if entry.first > last + 1 {
                return Err(lacks(entry, last + 1));
            }
            if entry.last <= last {
                continue;
            }
            if last > 0 && entry.first == 1 && entry.last > last + 1 && entry.time_ms()? > at_ms {
                // What came before this whole is not here, and may have been made by then.
                return Err(lacks(entry, last + 1));
            }
            let go_on = self.apply_file(entry, at_ms, last).map_err(|error| damaged(&entry.path, &error))?;
            last = entry.last;
            if !go_on {
                return Ok(());
            }
        }
        for commit in later.iter().take_while(|commit| commit.time_ms <= at_ms) {
            let header = commit.header(if commit.base { 1 } else { 2 }, 2);
            self.begin(header)
                .and_then(|()| commit.each(|page, image| write(&self.file, page, image)))
                .and_then(|()| self.end(header))
                .map_err(|error| StoreError::Failed(format!("a restored file: {error}")))?;
        }
        Ok(())
    }

    /// Applies what lies in a file after `last`, up to the moment; answers whether to go on.
    fn apply_file(&mut self, entry: &Entry, at_ms: u64, last: u64) -> io::Result<bool> {
        let mut decoder = entry.open()?;
        while let Some(header) = decoder.next()? {
            if header.time_ms > at_ms {
                return Ok(false);
            }
            if header.last_txid <= last {
                decoder.pages(|_, _| Ok(()))?;
                continue;
            }
            self.begin(header)?;
            decoder.pages(|page, image| write(&self.file, page, image))?;
            self.end(header)?;
        }
        Ok(true)
    }

    fn begin(&mut self, header: Header) -> io::Result<()> {
        match header.is_snapshot() {
            true => self.file.set_len(0),
            false => Ok(()),
        }
    }

    fn end(&mut self, header: Header) -> io::Result<()> {
        self.header = Some(header);
        self.file.set_len(u64::from(header.page_bytes) * u64::from(header.database_pages))
    }
}

fn lacks(entry: &Entry, from: u64) -> StoreError {
    let dir = entry.path.parent().unwrap_or(&entry.path).display();
    StoreError::Corrupt(format!("{dir} lacks the changes from {from:x} on"))
}

fn write(file: &File, page: u32, image: &[u8]) -> io::Result<()> {
    file.write_all_at(image, u64::from(page - 1) * image.len() as u64)
}
