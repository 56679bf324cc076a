//! The files of one kind of data that are open, one per app; the least recently used close.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use base::{AppName, Clock, Rng, TenantName};
use rusqlite::Connection;
use services::{AppId, KvNamespace, StoreError};
use tokio::sync::watch;

use super::write::Counts;
use crate::care::Removals;
use crate::content::{ContentId, Contents};
use crate::data_dir::{Reserve, Root};
use crate::database::{Database, Kind};
use crate::disk;
use crate::pool::{Lane, Pool};

/// The revision of the last write, for those who wait for changes. It outlives the open file, so
/// that nobody holds a file open by waiting.
pub type News = Arc<watch::Sender<u64>>;

/// One app's data. What counts and tells of changes is KV's.
pub struct Store {
    /// The turns of this app's blocking work.
    pub lane: Lane,
    pub database: Arc<Database>,
    pub contents: Arc<Contents>,
    pub counts: Arc<Counts>,
    pub news: News,
    named: Named,
    /// Whose it is.
    pub app: AppId,
}

/// Every content file that a row names, with its size.
pub type Named = fn(&Connection) -> rusqlite::Result<Vec<(ContentId, u64)>>;

/// What distinguishes the files of KV from others.
#[derive(Clone, Copy)]
pub struct Layout {
    pub kind: Kind,
    pub named: Named,
    /// Files kept open.
    pub open_max: usize,
}

impl Store {
    /// Removes content files that no row names; answers how many.
    pub fn sweep_orphans(&self) -> Result<usize, StoreError> {
        let referenced = || {
            let named = self.database.read(self.named)?;
            Ok(named.into_iter().map(|(id, _)| id).collect::<HashSet<_>>())
        };
        self.contents.sweep(referenced)
    }

    /// Checks the database and that every large value is there.
    pub fn check(&self) -> Result<(), StoreError> {
        self.database.check()?;
        self.contents.check(&self.database.read(self.named)?)
    }
}

/// All files of the node.
pub struct Stores {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    removals: Arc<Removals>,
    reserve: Arc<Reserve>,
    writers: Pool,
    readers: Pool,
    layout: Layout,
    uses: AtomicU64,
    slots: Mutex<HashMap<AppId, Arc<Slot>>>,
}

/// The place of an app's file, open or not. A slot is never given up, so that no file is ever open
/// twice; it is held for writing while its file opens or closes.
#[derive(Default)]
struct Slot {
    lane: Lane,
    store: RwLock<Option<Arc<Store>>>,
    used: AtomicU64,
    news: News,
}

impl Stores {
    pub fn new(path: PathBuf, layout: Layout, root: &Root) -> Self {
        let shared = Shared {
            path,
            clock: root.options.clock.clone(),
            rng: root.options.rng.clone(),
            removals: root.removals.clone(),
            reserve: root.reserve.clone(),
            writers: root.writers(),
            readers: root.readers(),
            layout,
            uses: AtomicU64::new(0),
            slots: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Runs what may block on a thread for it, when it is the store's turn.
    pub async fn run<T: Send + 'static>(
        &self,
        store: &Store,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.shared.readers.run(store.lane, job).await
    }

    /// The app's store, if it is open.
    pub fn open_now(&self, ns: &KvNamespace) -> Option<Arc<Store>> {
        self.shared.slot(&ns.app_id()).opened(&self.shared)
    }

    /// The app's store; none if the app never stored anything.
    pub async fn existing(&self, app: &AppId) -> Result<Option<Arc<Store>>, StoreError> {
        self.get(app, false).await
    }

    /// The app's store, made if the app never stored anything.
    pub async fn created(&self, app: &AppId) -> Result<Arc<Store>, StoreError> {
        self.get(app, true).await?.ok_or_else(|| StoreError::Failed("a file was not created".into()))
    }

    /// Tells of writes of an app from now on, whether it has a file or not.
    pub fn news(&self, app: &AppId) -> watch::Receiver<u64> {
        self.shared.slot(app).news.subscribe()
    }

    async fn get(&self, app: &AppId, create: bool) -> Result<Option<Arc<Store>>, StoreError> {
        let slot = self.shared.slot(app);
        if let Some(store) = slot.opened(&self.shared) {
            return Ok(Some(store));
        }
        let (shared, app, lane) = (self.shared.clone(), app.clone(), slot.lane);
        self.shared.readers.run(lane, move || shared.open(&app, &slot, create)).await?
    }

    /// The stores that are open.
    pub fn opened(&self) -> Vec<Arc<Store>> {
        let slots: Vec<Arc<Slot>> = self.shared.slots().values().cloned().collect();
        slots.iter().filter_map(|slot| slot.store.try_read().ok()?.clone()).collect()
    }

    /// The apps that have a file.
    pub fn on_disk(&self) -> Result<Vec<AppId>, StoreError> {
        let fail = |error: io::Error| disk::store_error(&self.shared.path, &error);
        let mut apps = Vec::new();
        for tenant in fs::read_dir(&self.shared.path).map_err(fail)? {
            let tenant = tenant.map_err(fail)?;
            let Some(owner) = tenant.file_name().to_str().and_then(|name| TenantName::parse(name).ok()) else {
                continue;
            };
            for file in fs::read_dir(tenant.path()).map_err(fail)? {
                let name = file.map_err(fail)?.file_name();
                let app = name.to_str().and_then(|name| AppName::parse(name.strip_suffix(".db")?).ok());
                apps.extend(app.map(|app| AppId::new(owner.clone(), app)));
            }
        }
        apps.sort();
        Ok(apps)
    }
}

impl Slot {
    fn opened(&self, shared: &Shared) -> Option<Arc<Store>> {
        let store = self.store.try_read().ok()?.clone()?;
        self.used.store(shared.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        Some(store)
    }
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, HashMap<AppId, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, app: &AppId) -> Arc<Slot> {
        let mut slots = self.slots();
        match slots.get(app) {
            Some(slot) => slot.clone(),
            None => slots.entry(app.clone()).or_default().clone(),
        }
    }

    fn open(&self, app: &AppId, slot: &Slot, create: bool) -> Result<Option<Arc<Store>>, StoreError> {
        let mut place = slot.store.write().unwrap_or_else(PoisonError::into_inner);
        slot.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        if let Some(store) = &*place {
            return Ok(Some(store.clone()));
        }
        let file = self.path.join(app.tenant.as_str()).join(format!("{}.db", app.app));
        if !create && !file.exists() {
            return Ok(None);
        }
        let store = Arc::new(self.open_store(app, slot)?);
        *place = Some(store.clone());
        drop(place);
        self.close_surplus();
        Ok(Some(store))
    }

    fn open_store(&self, app: &AppId, slot: &Slot) -> Result<Store, StoreError> {
        let dir = self.path.join(app.tenant.as_str());
        disk::create_dir(&dir).map_err(|error| disk::store_error(&dir, &error))?;
        let contents = dir.join(format!("{}.content", app.app));
        let (removals, reserve) = (self.removals.clone(), self.reserve.clone());
        let contents = Contents::open(contents, self.rng.clone(), self.readers.clone(), removals, reserve.clone())?;
        let file = dir.join(format!("{}.db", app.app));
        let (kind, clock, writers) = (self.layout.kind, self.clock.clone(), self.writers.clone());
        let database = Database::open_reserved(&file, kind, clock, writers, reserve)?;
        let (lane, news) = (slot.lane, slot.news.clone());
        let store = Store {
            lane,
            database,
            contents,
            counts: Arc::default(),
            news,
            named: self.layout.named,
            app: app.clone(),
        };
        let orphans = store.sweep_orphans()?;
        if orphans > 0 {
            tracing::info!(%app, orphans, "removed content files that no entry names");
        }
        Ok(store)
    }

    /// Closes the least recently used files that nobody uses, down to the limit.
    fn close_surplus(&self) {
        let mut open: Vec<(u64, Arc<Slot>)> = self
            .slots()
            .values()
            .filter(|slot| slot.store.try_read().is_ok_and(|store| store.is_some()))
            .map(|slot| (slot.used.load(Ordering::Relaxed), slot.clone()))
            .collect();
        let surplus = open.len().saturating_sub(self.layout.open_max);
        open.sort_by_key(|&(used, _)| used);
        for (_, slot) in open.into_iter().take(surplus) {
            let Ok(mut place) = slot.store.try_write() else { continue };
            // A new user needs the lock that is held here, and a queued write holds the database.
            let idle = |store: &Arc<Store>| Arc::strong_count(store) == 1 && Arc::strong_count(&store.database) == 1;
            if place.as_ref().is_some_and(idle) {
                *place = None;
            }
        }
    }
}
