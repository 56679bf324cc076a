//! Making databases anew from a copy of the archive: what is left when the disk of the data is lost.
//!
//! A copy has the journaled databases alone: SQL databases and durable objects. They are built in files beside
//! the data directory, read as a whole, and only then put in their places. A new directory appears under its name
//! when all of them are there, as with a backup that is restored. In one that is there already, for instance a backup that was
//! restored, each takes the place of the one that it has; if that breaks off, it is done again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use serde::Serialize;
use services::StoreError;
use services::care::CareError;

use super::repository::bad;
use crate::database::store_error;
use crate::depot::{Depot, Kept};
use crate::ledger::{Copied, Listing, Restored, at_once, build_copied};
use crate::sql::{begin_feed_after, newest_of_feed};
use crate::{DataDir, DataDirError, DataDirOptions, LocalObjects, disk};

use super::check;

/// How long closing what was made may take.
const CLOSE_WAIT: Duration = Duration::from_secs(60);

/// A copy of an archive.
#[derive(Debug, Clone, Serialize)]
pub struct ArchiveInfo {
    pub id: String,
    /// The data directory that it is of, on its machine.
    pub of: String,
    pub databases: u64,
    pub bytes: u64,
}

/// What is to be recovered.
#[derive(Debug, Clone)]
pub struct Recover {
    /// The copy; the only one there is, if none is named.
    pub id: Option<String>,
    pub at_ms: u64,
    /// Databases, or what their names begin with: `sql/local/shop/main`, `objects/local/shop`. All, if it is empty.
    pub only: Vec<String>,
    /// Whether databases of a data directory that is there are replaced.
    pub replace: bool,
}

/// What was recovered.
#[derive(Debug, Clone, Serialize)]
pub struct Recovered {
    pub id: String,
    pub databases: u64,
    pub bytes: u64,
    /// When the last commit in any of them was made.
    pub newest_ms: u64,
}

/// The copies in a depot.
pub fn archives(depot: &dyn Depot) -> Result<Vec<ArchiveInfo>, CareError> {
    let mut found: BTreeMap<String, (Listing, u64)> = BTreeMap::new();
    for Kept { name, bytes } in depot.list("")? {
        let parts: Vec<&str> = name.split('/').collect();
        if let [id, shelf @ .., file] = &parts[..] {
            let (listing, sum) = found.entry((*id).to_owned()).or_default();
            *sum += bytes;
            if !shelf.is_empty() {
                listing.entry(shelf.join("/")).or_default().insert((*file).to_owned());
            }
        }
    }
    let mut archives = Vec::new();
    for (id, (listing, bytes)) in found {
        if let Some(of) = (Copied { depot, id: id.clone() }).of()? {
            archives.push(ArchiveInfo { id, of, databases: listing.len() as u64, bytes });
        }
    }
    Ok(archives)
}

/// Recovers databases into a data directory, which is made if it is missing or empty. Blocks.
pub fn recover(depot: &dyn Depot, to: &Path, options: DataDirOptions, what: &Recover) -> Result<Recovered, CareError> {
    let fail = |error: io::Error| CareError::Store(disk::store_error(to, &error));
    let to = std::path::absolute(to).map_err(fail)?;
    let is_new = match fs::read_dir(&to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(fail(error)),
    };
    if !is_new && !what.replace {
        let help = "recover to a new directory, or say that databases of this one are replaced";
        return Err(bad(format!("{} is not empty; {help}", to.display())));
    }
    let copied = choose(depot, what.id.as_deref())?;
    let mut listing = copied.list("")?;
    listing.retain(|shelf, _| what.only.is_empty() || what.only.iter().any(|only| is_within(shelf, only)));
    if listing.is_empty() {
        return Err(bad(format!("{}/{} has none of these databases", depot.name(), copied.id)));
    }
    let (scratch, fresh) = (beside(&to, ".recovering"), beside(&to, ".restoring"));
    let parent = to.parent().unwrap_or(&to);
    fs::create_dir_all(parent).map_err(fail)?;
    for old in [&scratch, &fresh] {
        clear(old).map_err(fail)?;
    }
    disk::create_dir(&scratch).map_err(fail)?;
    let place = if is_new { &fresh } else { &to };
    let done = open_and_fill(&copied, listing, place, is_new, &scratch, options, what.at_ms);
    let cleared = clear(&scratch);
    let recovered = match done {
        Ok(recovered) => recovered,
        Err(error) => {
            // The error is what matters; what is left is removed by the next attempt.
            let _ = clear(&fresh);
            return Err(error);
        }
    };
    cleared.map_err(fail)?;
    if is_new {
        fs::rename(&fresh, &to).and_then(|()| disk::sync_dir(parent)).map_err(fail)?;
    }
    Ok(recovered)
}

/// The copy that is named, or the only one.
fn choose<'a>(depot: &'a dyn Depot, id: Option<&str>) -> Result<Copied<'a>, CareError> {
    if let Some(id) = id {
        let copied = Copied { depot, id: id.to_owned() };
        return match copied.of()? {
            Some(_) => Ok(copied),
            None => Err(bad(format!("{} holds no copy of an archive that is called {id}", depot.name()))),
        };
    }
    let mut found = archives(depot)?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(Copied { depot, id: only.id }),
        (None, _) => Err(bad(format!("{} holds no copy of an archive", depot.name()))),
        (Some(_), false) => {
            let many = found.len() + 1;
            Err(bad(format!("{} holds {many} copies; list them, and name one", depot.name())))
        }
    }
}

/// Whether a database is the one that is named, or one of those below it.
fn is_within(shelf: &str, only: &str) -> bool {
    let only = only.trim_end_matches('/');
    shelf.strip_prefix(only).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".db")
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    path.with_file_name(name)
}

fn clear(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn open_and_fill(
    copied: &Copied<'_>,
    listing: Listing,
    place: &Path,
    is_new: bool,
    scratch: &Path,
    options: DataDirOptions,
    at_ms: u64,
) -> Result<Recovered, CareError> {
    let failed = |error: DataDirError| CareError::BadBackup(error.to_string());
    // What is made here is copied by the node that serves it.
    let options = DataDirOptions { archive: None, create: is_new, ..options };
    let data = DataDir::open(place, options).map_err(failed)?;
    let released = data.released();
    let objects = data.objects().map_err(failed)?;
    let filling = Filling { copied, data, objects, is_new, scratch, at_ms, number: AtomicU64::new(0) };
    let made = at_once(listing.into_iter().collect(), |(shelf, names)| filling.make(&shelf, &names));
    drop(filling);
    let made = made.map_err(|error| match error {
        StoreError::Corrupt(what) => CareError::BadBackup(what),
        other => other.into(),
    })?;
    if !released.wait(CLOSE_WAIT) {
        return Err(StoreError::Failed(format!("{} could not be closed", place.display())).into());
    }
    let made: Vec<Restored> = made.into_iter().flatten().collect();
    Ok(Recovered {
        id: copied.id.clone(),
        databases: made.len() as u64,
        bytes: made.iter().map(|one| one.bytes).sum(),
        newest_ms: made.iter().map(|one| one.time_ms).max().unwrap_or(0),
    })
}

struct Filling<'a> {
    copied: &'a Copied<'a>,
    data: DataDir,
    objects: Arc<LocalObjects>,
    is_new: bool,
    scratch: &'a Path,
    at_ms: u64,
    number: AtomicU64,
}

impl Filling<'_> {
    /// Makes one database; nothing, if it was not there at the moment.
    fn make(&self, shelf: &str, names: &BTreeSet<String>) -> Result<Option<Restored>, StoreError> {
        let inside = Path::new(shelf);
        let is_plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
        if !is_plain || !(shelf.starts_with("sql/") || shelf.starts_with("objects/")) || !shelf.ends_with(".db") {
            return Err(StoreError::Corrupt(format!("{shelf:?} in the copy is no name of a database")));
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let built = self.scratch.join(format!("{number}.db"));
        let fetched = self.scratch.join(number.to_string());
        let Some(restored) = build_copied(self.copied, (shelf, names), self.at_ms, fetched, &built)? else {
            return Ok(None);
        };
        let wrong = check::database(&built).map_err(|error| store_error(&built, &error))?;
        if let Some(first) = wrong.first() {
            return Err(StoreError::Corrupt(format!("{shelf}: what was recovered is not sound: {first}")));
        }
        let path = self.data.path().join(inside);
        self.replace(&path, &built, shelf)?;
        if shelf.starts_with("objects/") {
            self.objects.index_alarm(&path)?;
        }
        Ok(Some(restored))
    }

    /// Puts a file that was built in its place.
    fn replace(&self, path: &Path, built: &Path, shelf: &str) -> Result<(), StoreError> {
        let fail = |error: io::Error| disk::store_error(path, &error);
        let sql = |error: rusqlite::Error| store_error(path, &error);
        let ledger = self.data.ledger();
        if path.try_exists().map_err(fail)? {
            if shelf.starts_with("sql/") {
                self.carry_feed(path, built).map_err(sql)?;
            }
            ledger.remove(path)?;
        }
        for end in ["-wal", "-shm"] {
            disk::remove(&beside(built, end)).map_err(fail)?;
        }
        let dirs: Vec<&str> = shelf.split('/').collect();
        self.data.root().create_dir(&dirs[..dirs.len() - 1]).map_err(fail)?;
        let file = File::open(built).map_err(fail)?;
        ledger.made(path, file.metadata().map_err(fail)?.len())?;
        disk::publish(&file, built, path).map_err(fail)?;
        if !self.is_new {
            // The ledger has to know that there is a file again, or its recovery removes it.
            let connection = Connection::open(path).map_err(sql)?;
            let journal = ledger.adopt(path, &connection)?;
            journal.close(&connection)?.wait()?;
        }
        Ok(())
    }

    /// The feed of changes goes on after every position that the database ever told.
    fn carry_feed(&self, path: &Path, built: &Path) -> rusqlite::Result<()> {
        let newest = newest_of_feed(&Connection::open(path)?)?;
        let Some(newest) = newest else { return Ok(()) };
        let past = Connection::open(built)?;
        begin_feed_after(&past, newest, self.data.root().options.clock.unix_ms())
    }
}
