//! One copy of an archive, as it lies in a depot.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use services::StoreError;

use super::super::archive::{Entry, REMOVED, Shelf};
use super::super::ltx::{Decoder, HEADER_BYTES, Header};
use super::Listing;
use crate::depot::{Depot, read_error};
use crate::disk;

const FORMAT: &str = "selvedge-archive 1\n";
/// Of the note that a copy begins with; the rest is the name of a directory.
const FORMAT_BYTES_MAX: u64 = 8 << 10;

/// A copy, by its id.
pub struct Copied<'a> {
    pub depot: &'a dyn Depot,
    pub id: String,
}

/// A file of a copy, its size, and what is wrong with it.
pub struct CheckedCopy {
    pub name: String,
    pub bytes: u64,
    pub whole: Result<(), String>,
}

impl Copied<'_> {
    /// The name of a file in the depot.
    pub fn name(&self, shelf: &str, name: &str) -> String {
        format!("{}/{shelf}/{name}", self.id)
    }

    fn format(&self) -> String {
        format!("{}/format", self.id)
    }

    /// Begins a copy; `scratch` is a file that nobody else has.
    pub fn begin(&self, data: &Path, scratch: &Path) -> Result<(), StoreError> {
        let fail = |error: io::Error| disk::store_error(scratch, &error);
        fs::write(scratch, format!("{FORMAT}of {}\n", data.display())).map_err(fail)?;
        let put = File::open(scratch).map_err(fail).and_then(|mut file| self.depot.put(&self.format(), &mut file));
        disk::remove(scratch).map_err(fail)?;
        put
    }

    pub fn is_begun(&self) -> Result<bool, StoreError> {
        Ok(self.depot.open(&self.format(), Some(1))?.is_some())
    }

    /// The data directory that it is of, if it is a copy of a format that is known here.
    pub fn of(&self) -> Result<Option<String>, StoreError> {
        let name = self.format();
        let Some(note) = self.depot.open(&name, Some(FORMAT_BYTES_MAX))? else { return Ok(None) };
        let text = io::read_to_string(note).map_err(|error| read_error(self.depot, &name, &error))?;
        Ok(text.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix("of ")).map(|of| of.trim_end().to_owned()))
    }

    /// What there is, below a name that is empty or that of a shelf.
    pub fn list(&self, shelf: &str) -> Result<Listing, StoreError> {
        let mut listing = Listing::new();
        for (shelf, name, _) in self.files(shelf)? {
            listing.entry(shelf).or_default().insert(name);
        }
        Ok(listing)
    }

    /// Each with its shelf and its size.
    fn files(&self, shelf: &str) -> Result<Vec<(String, String, u64)>, StoreError> {
        let below = match shelf {
            "" => format!("{}/", self.id),
            shelf => format!("{}/{shelf}/", self.id),
        };
        let mut files = Vec::new();
        for kept in self.depot.list(&below)? {
            let inside = kept.name.strip_prefix(&self.id).and_then(|name| name.strip_prefix('/'));
            let Some((shelf, name)) = inside.and_then(|name| name.rsplit_once('/')) else { continue };
            if name == REMOVED || Entry::parse(PathBuf::from(name)).is_some() {
                files.push((shelf.to_owned(), name.to_owned(), kept.bytes));
            }
        }
        Ok(files)
    }

    /// The header that a file begins with.
    fn header(&self, name: &str) -> Result<Header, StoreError> {
        let fail = |error: io::Error| read_error(self.depot, name, &error);
        let gone = || StoreError::Failed(format!("{}/{name} is not there any more", self.depot.name()));
        let start = self.depot.open(name, Some(HEADER_BYTES as u64))?.ok_or_else(gone)?;
        Decoder::new(start).next().map_err(fail)?.ok_or_else(|| fail(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Removes what nothing needs from a moment on; answers what is left.
    pub fn prune(
        &self,
        shelf: &str,
        mut names: BTreeSet<String>,
        from_ms: u64,
    ) -> Result<BTreeSet<String>, StoreError> {
        let entries = entries(Path::new(""), &names);
        let mut reached = None;
        for entry in entries.iter().filter(|entry| entry.first == 1) {
            let header = match self.header(&self.name(shelf, &file_name(entry))) {
                Err(StoreError::Corrupt(_)) => continue,
                header => header?,
            };
            if header.time_ms > from_ms {
                break;
            }
            // It is a whole rather than a whole and what followed.
            if header.is_snapshot() && header.last_txid == entry.last {
                reached = Some(entry.last);
            }
        }
        let Some(reached) = reached else { return Ok(names) };
        for entry in entries.iter().filter(|entry| entry.last < reached || (entry.last == reached && entry.first > 1)) {
            let name = file_name(entry);
            self.depot.remove(&self.name(shelf, &name))?;
            names.remove(&name);
        }
        Ok(names)
    }

    /// Fetches what is needed for a database as it was at a moment into a new directory; nothing, if there is
    /// nothing of it.
    pub fn fetch(&self, shelf: &str, at_ms: u64, into: PathBuf) -> Result<Option<Fetched>, StoreError> {
        let names = self.list(shelf)?.remove(shelf).unwrap_or_default();
        self.fetch_listed(shelf, &names, at_ms, into)
    }

    /// The same where it is known what there is.
    pub fn fetch_listed(
        &self,
        shelf: &str,
        names: &BTreeSet<String>,
        at_ms: u64,
        into: PathBuf,
    ) -> Result<Option<Fetched>, StoreError> {
        let entries = entries(&into, names);
        if entries.is_empty() {
            return Ok(None);
        }
        let fetched = Fetched { dir: into };
        fs::create_dir(&fetched.dir).map_err(|error| disk::store_error(&fetched.dir, &error))?;
        let mut start = 0;
        for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.first == 1) {
            if self.header(&self.name(shelf, &file_name(entry)))?.time_ms > at_ms {
                break;
            }
            start = at;
        }
        // Up to the first that says that what follows is later.
        for entry in &entries[start..] {
            self.fetch_file(&self.name(shelf, &file_name(entry)), &entry.path)?;
            if entry.first > 1 && entry.time_ms()? > at_ms {
                break;
            }
        }
        Ok(Some(fetched))
    }

    fn fetch_file(&self, name: &str, into: &Path) -> Result<(), StoreError> {
        let gone = || StoreError::Failed(format!("{}/{name} is not there any more", self.depot.name()));
        let mut content = self.depot.open(name, None)?.ok_or_else(gone)?;
        let mut file = disk::create_file(into).map_err(|error| disk::store_error(into, &error))?;
        // Which of the two has failed is in the text.
        io::copy(&mut content, &mut file).map(drop).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => disk::store_error(into, &error),
            _ => read_error(self.depot, name, &error),
        })
    }

    /// When the database was removed, if it was and the mark tells: those of a backup that was restored do not,
    /// and their databases are there.
    pub fn removed_ms(&self, shelf: &str, names: &BTreeSet<String>) -> Result<Option<u64>, StoreError> {
        if !names.contains(REMOVED) {
            return Ok(None);
        }
        let name = self.name(shelf, REMOVED);
        let Some(mark) = self.depot.open(&name, None)? else { return Ok(None) };
        let text = io::read_to_string(mark).map_err(|error| read_error(self.depot, &name, &error))?;
        Ok(text.trim().parse().ok())
    }

    /// Reads all of it.
    pub fn check(&self) -> Result<Vec<CheckedCopy>, StoreError> {
        let mut files = self.files("")?;
        files.retain(|(_, name, _)| name != REMOVED);
        let parsed = |name: &str| Entry::parse(PathBuf::from(name));
        files.sort_by_cached_key(|(shelf, name, _)| (shelf.clone(), parsed(name).map(|entry| entry.order())));
        let mut checked: Vec<CheckedCopy> = Vec::new();
        let mut last: Option<(String, u64)> = None;
        for (shelf, name, bytes) in files {
            let Some(entry) = parsed(&name) else { continue };
            let before = last.as_ref().filter(|(before, _)| *before == shelf).map(|(_, last)| *last);
            let named = self.name(&shelf, &name);
            let whole = match before.is_some_and(|before| entry.first > before + 1) {
                true => Some(Err("changes are missing before it".to_owned())),
                false => self.check_file(&named)?,
            };
            last = Some((shelf, entry.last));
            let name = format!("{}/{named}", self.depot.name());
            checked.extend(whole.map(|whole| CheckedCopy { name, bytes, whole }));
        }
        Ok(checked)
    }

    /// What is wrong with a file; nothing of one that is too old by now, or in another with those beside it.
    fn check_file(&self, name: &str) -> Result<Option<Result<(), String>>, StoreError> {
        let Some(content) = self.depot.open(name, None)? else { return Ok(None) };
        let mut decoder = Decoder::new(BufReader::with_capacity(128 << 10, content));
        let mut read = || -> io::Result<()> {
            while decoder.next()?.is_some() {
                decoder.pages(|_, _| Ok(()))?;
            }
            Ok(())
        };
        match read() {
            Ok(()) => Ok(Some(Ok(()))),
            Err(error) => match read_error(self.depot, name, &error) {
                StoreError::Corrupt(_) => Ok(Some(Err(error.to_string()))),
                // The place has failed, not what lies there.
                failed => Err(failed),
            },
        }
    }
}

/// The files of a shelf in their order, as they lie or will lie in a directory.
fn entries(dir: &Path, names: &BTreeSet<String>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = names.iter().filter_map(|name| Entry::parse(dir.join(name))).collect();
    entries.sort_by_key(Entry::order);
    entries
}

fn file_name(entry: &Entry) -> String {
    entry.path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned()
}

/// Files that were fetched; they go with this.
pub struct Fetched {
    dir: PathBuf,
}

impl Fetched {
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        Shelf { dir: self.dir.clone() }.entries()
    }
}

impl Drop for Fetched {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            tracing::warn!(%error, dir = %self.dir.display(), "what was fetched of the archive could not be removed");
        }
    }
}
