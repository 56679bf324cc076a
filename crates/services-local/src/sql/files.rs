//! The databases that are open; the least recently used close, and so do those that nobody uses.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use services::sql::{Copied, SqlName};
use services::{AppId, SqlDatabase, SqlError, StoreError};

use super::Settings;
use super::file::SqlFile;
use super::past;
use crate::disk;
use crate::pool::Lane;

const EXTENSION: &str = ".db";
/// How often it is looked whether a database that is to be closed is still in use.
const CLOSE_LOOKS: u32 = 500;
const CLOSE_LOOK_EVERY: Duration = Duration::from_millis(1);

/// All databases of the node.
pub struct Files {
    shared: Arc<Shared>,
}

pub struct Shared {
    path: PathBuf,
    settings: Arc<Settings>,
    uses: AtomicU64,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    /// A slot stays while its file is open or about to be, so that no file is ever open twice.
    slots: HashMap<SqlDatabase, Arc<Slot>>,
    /// An app's turns, whichever of its databases they are for.
    lanes: HashMap<AppId, Lane>,
}

/// The place of a database's file, open or not; held for writing while its file opens or closes.
struct Slot {
    lane: Lane,
    door: tokio::sync::Mutex<()>,
    file: RwLock<Option<Arc<SqlFile>>>,
    used: AtomicU64,
    /// In milliseconds of the monotonic clock.
    used_ms: AtomicU64,
}

impl Files {
    pub fn new(path: PathBuf, settings: Arc<Settings>) -> Self {
        Self { shared: Arc::new(Shared { path, settings, uses: AtomicU64::new(0), places: Mutex::default() }) }
    }

    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// The database, if it is open.
    pub fn open_now(&self, database: &SqlDatabase) -> Option<Arc<SqlFile>> {
        let slot = self.shared.places().slots.get(database).cloned()?;
        self.shared.opened(&slot)
    }

    /// The database, made if it never held anything.
    pub async fn get(&self, database: &SqlDatabase) -> Result<Arc<SqlFile>, SqlError> {
        let slot = self.shared.slot(database);
        if let Some(file) = self.shared.opened(&slot) {
            return Ok(file);
        }
        // Who waits for it to open goes on in the order of coming.
        let _turn = slot.door.lock().await;
        if let Some(file) = self.shared.opened(&slot) {
            return Ok(file);
        }
        let (shared, database) = (self.shared.clone(), database.clone());
        let (lane, slot) = (slot.lane, slot.clone());
        Ok(self.shared.settings.run(lane, move || shared.open(&database, &slot)).await??)
    }

    /// Makes a database of another one's present or past, or puts one back that nobody uses.
    pub async fn copy(&self, from: &SqlDatabase, at_ms: Option<u64>, to: &SqlDatabase) -> Result<Copied, SqlError> {
        let slot = self.shared.slot(to);
        let (shared, from, to, lane) = (self.shared.clone(), from.clone(), to.clone(), slot.lane);
        self.shared.settings.run(lane, move || shared.copy(&from, at_ms, &to, &slot)).await?
    }

    /// Removes a database that nobody uses.
    pub async fn delete(&self, database: &SqlDatabase) -> Result<(), SqlError> {
        let slot = self.shared.slot(database);
        let (shared, database, lane) = (self.shared.clone(), database.clone(), slot.lane);
        self.shared.settings.run(lane, move || shared.delete(&database, &slot)).await?
    }

    pub fn open_count(&self) -> usize {
        let slots: Vec<Arc<Slot>> = self.shared.places().slots.values().cloned().collect();
        slots.iter().filter(|slot| slot.file.try_read().is_ok_and(|file| file.is_some())).count()
    }
}

/// Closes a database once those who use it are through, which new ones wait for meanwhile. Who stays for
/// longer (a transaction, a stream, a feed) is not waited for. Blocks.
fn close_held(held: &mut Option<Arc<SqlFile>>, database: &SqlDatabase) -> Result<(), SqlError> {
    let in_use = |file: &Arc<SqlFile>| Arc::strong_count(file) > 1;
    for _ in 0..CLOSE_LOOKS {
        if !held.as_ref().is_some_and(in_use) {
            *held = None;
            return Ok(());
        }
        std::thread::sleep(CLOSE_LOOK_EVERY);
    }
    Err(SqlError::InUse(database.name.to_string()))
}

fn names_in(path: &Path) -> Result<Vec<String>, StoreError> {
    let fail = |error: io::Error| disk::store_error(path, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(fail)? {
        names.extend(entry.map_err(fail)?.file_name().into_string());
    }
    Ok(names)
}

impl Shared {
    /// The databases of an app, open or not. Blocks.
    pub fn on_disk(&self, app: &AppId) -> Result<Vec<SqlDatabase>, StoreError> {
        let dir = self.path.join(app.tenant.as_str()).join(app.app.as_str());
        if !dir.exists() {
            return Ok(Vec::new());
        }
        let names = names_in(&dir)?.into_iter();
        let names = names.filter_map(|name| SqlName::parse(name.strip_suffix(EXTENSION)?).ok());
        let mut databases: Vec<SqlDatabase> = names.map(|name| SqlDatabase::new(app, name)).collect();
        databases.sort();
        Ok(databases)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.settings.clock.monotonic().as_millis() as u64
    }

    fn slot(&self, database: &SqlDatabase) -> Arc<Slot> {
        let mut places = self.places();
        if let Some(slot) = places.slots.get(database) {
            return slot.clone();
        }
        let lane = *places.lanes.entry(database.app_id()).or_default();
        let slot = Arc::new(Slot {
            lane,
            door: tokio::sync::Mutex::default(),
            file: RwLock::default(),
            used: AtomicU64::new(0),
            used_ms: AtomicU64::new(self.now_ms()),
        });
        places.slots.insert(database.clone(), slot.clone());
        slot
    }

    fn opened(&self, slot: &Slot) -> Option<Arc<SqlFile>> {
        let file = slot.file.try_read().ok()?.clone()?;
        self.touch(slot);
        Some(file)
    }

    fn touch(&self, slot: &Slot) {
        slot.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        slot.used_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn open(&self, database: &SqlDatabase, slot: &Arc<Slot>) -> Result<Arc<SqlFile>, SqlError> {
        let mut place = slot.file.write().unwrap_or_else(PoisonError::into_inner);
        self.touch(slot);
        if let Some(file) = &*place {
            return Ok(file.clone());
        }
        let path = self.place(database)?;
        if !path.exists() {
            self.check_quota(database, &path)?;
        }
        let file = SqlFile::open(database.clone(), &path, slot.lane, self.settings.clone())?;
        *place = Some(file.clone());
        // It may have been given up between the look-up and here.
        self.places().slots.insert(database.clone(), slot.clone());
        drop(place);
        self.close_surplus();
        Ok(file)
    }

    /// Where the file of a database lies; the directories above it are made.
    fn place(&self, database: &SqlDatabase) -> Result<PathBuf, StoreError> {
        let tenant = self.path.join(database.tenant.as_str());
        let dir = tenant.join(database.app.as_str());
        for dir in [&tenant, &dir] {
            disk::create_dir(dir).map_err(|error| disk::store_error(dir, &error))?;
        }
        Ok(dir.join(format!("{}{EXTENSION}", database.name)))
    }

    /// The slot of the new one is held, so that nobody opens it before it is whole.
    fn copy(&self, from: &SqlDatabase, at_ms: Option<u64>, to: &SqlDatabase, slot: &Slot) -> Result<Copied, SqlError> {
        let mut held = slot.file.write().unwrap_or_else(PoisonError::into_inner);
        let (source, path) = (self.place(from)?, self.place(to)?);
        if let (true, Some(at_ms), true) = (from == to, at_ms, path.exists()) {
            close_held(&mut held, to)?;
            return past::put_back(&path, at_ms, self.settings.quota(to), &self.settings);
        }
        self.check_quota(to, &path)?;
        if held.is_some() || path.exists() {
            return Err(SqlError::Copy(format!("there is a database {} already", to.name)));
        }
        let Some(at_ms) = at_ms else {
            if !source.exists() {
                return Err(SqlError::Copy(format!("there is no database {}", from.name)));
            }
            self.settings.ledger.branch(&source, &path)?;
            let bytes = fs::metadata(&path).map_err(|error| disk::store_error(&path, &error))?.len();
            self.settings.ledger.made(&path, bytes)?;
            return Ok(Copied { time_ms: None, bytes });
        };
        let temporary = path.with_extension("tmp");
        let restored = self.settings.ledger.restore(&source, at_ms, &temporary).map_err(past::refused)?;
        let published = fs::File::open(&temporary).and_then(|file| disk::publish(&file, &temporary, &path));
        published.map_err(|error| disk::store_error(&path, &error))?;
        self.settings.ledger.made(&path, restored.bytes)?;
        Ok(Copied { time_ms: Some(restored.time_ms), bytes: restored.bytes })
    }

    /// The slot is held, so that whoever asks for the database meanwhile finds it gone. Blocks.
    fn delete(&self, database: &SqlDatabase, slot: &Slot) -> Result<(), SqlError> {
        let mut held = slot.file.write().unwrap_or_else(PoisonError::into_inner);
        close_held(&mut held, database)?;
        let path = self.place(database)?;
        match path.try_exists() {
            Ok(true) => Ok(self.settings.ledger.remove(&path)?),
            Ok(false) => Ok(()),
            Err(error) => Err(disk::store_error(&path, &error).into()),
        }
    }

    /// Refuses a new database of an app that has all that it may have.
    fn check_quota(&self, database: &SqlDatabase, path: &Path) -> Result<(), SqlError> {
        let bytes_max = self.settings.quota(database);
        match self.settings.ledger.used(path)? >= bytes_max {
            true => Err(SqlError::AppFull { bytes_max }),
            false => Ok(()),
        }
    }

    /// What all databases of an app take. Blocks.
    pub fn used(&self, app: &AppId) -> Result<u64, StoreError> {
        let area = self.path.join(app.tenant.as_str()).join(app.app.as_str());
        self.settings.ledger.used(&area.join("any.db"))
    }

    /// Closes the least recently used files that nobody uses, down to the limit.
    fn close_surplus(&self) {
        let mut open = self.open_slots();
        let surplus = open.len().saturating_sub(self.settings.limits.sql_files_open as usize);
        if surplus == 0 {
            return;
        }
        open.sort_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
        open.iter().take(surplus).for_each(|(database, slot)| self.close(database, slot));
    }

    /// Closes what nobody has used for `sql_idle_ms`.
    pub fn close_idle(&self) {
        let idle = Duration::from_millis(self.settings.limits.sql_idle_ms).as_millis() as u64;
        let now = self.now_ms();
        for (database, slot) in self.open_slots() {
            if now.saturating_sub(slot.used_ms.load(Ordering::Relaxed)) > idle {
                self.close(&database, &slot);
            }
        }
    }

    fn open_slots(&self) -> Vec<(SqlDatabase, Arc<Slot>)> {
        let is_open = |slot: &Arc<Slot>| slot.file.try_read().is_ok_and(|file| file.is_some());
        let places = self.places();
        let open = places.slots.iter().filter(|(_, slot)| is_open(slot));
        open.map(|(database, slot)| (database.clone(), slot.clone())).collect()
    }

    /// Closes a file if nobody uses it. A new user needs the lock that is held here.
    fn close(&self, database: &SqlDatabase, slot: &Arc<Slot>) {
        let Ok(mut place) = slot.file.try_write() else { return };
        if !place.as_ref().is_some_and(|file| Arc::strong_count(file) == 1) {
            return;
        }
        *place = None;
        let mut places = self.places();
        // Held by the map and by this function alone: nobody waits to open it.
        if Arc::strong_count(slot) == 2 {
            places.slots.remove(database);
        }
    }
}
