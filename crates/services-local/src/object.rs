//! Durable objects on SQLite: a file for each, open while its object is awake.
//!
//! **Commits.** A turn is one transaction of the object's one connection: to commit is to append to
//! the file's own log and to the node's ledger, on the core that runs the object, and waits for
//! nothing. The ledger's flush, one for all that was committed meanwhile, resolves the ticket. What
//! the connection may do on a tenant's behalf, `tenant_sql` says.
//!
//! **Making.** An object that never wrote has no file. The first write gives it one that was made in
//! advance (`stock`), so that no half file ever has its name, and the ledger holds the whole of it
//! until the name is durable; one that holds nothing any more when it closes is removed.
//!
//! **Failing.** After a failure the storage takes nothing more, and is closed without another word
//! to the file. When it is opened again the ledger goes on where it was left.
//!
//! **Alarms** stand in the object's own file, which counts, and in an index for the node, which is
//! part of what a ticket waits for. What the index has too much of does no harm: an
//! object that is woken for nothing says so.
//!
//! **The past** is the ledger's archive ([`past`]).
//!
//! **Owners.** The node's lock on the directory leaves one process; within it a set of leases does
//! the rest. Fences count from a number that rises with each start of the node.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{AppName, ClassName, NodeLimits, TenantName};
use bytes::Bytes;
use futures_util::FutureExt as _;
use rusqlite::Connection;
use services::object::{
    Lease, LeaseError, Leases, ObjectClass, ObjectError, ObjectId, ObjectInfo, ObjectKey, ObjectLimits, ObjectStorage,
    ObjectStore,
};
use services::{AppId, BoxFuture, SqlLimits, StoreError};

use crate::data_dir::{DataDirError, Root};
use crate::database::store_error;
use crate::disk;
use crate::ledger::Ledger;
use crate::pool::{Lane, Pool, Threads};

mod alarms;
mod file;
mod past;
mod pending;
mod recent;
mod stock;
mod storage;

use alarms::Alarms;
use file::{Statements, Unsound};
use stock::Stock;
use storage::LocalStorage;

/// Threads that flush, open and close.
const THREADS: usize = 4;
/// Beside the directories of tenants, none of which has a name with a dot: files made in advance, and those of one moment.
const STOCK: &str = "stock.new";

/// Durable objects in the data directory.
pub struct LocalObjects {
    // Dropped first: what is queued runs to its end while the directory is locked.
    _threads: Threads,
    shared: Arc<Shared>,
}

struct Shared {
    root: Arc<Root>,
    limits: ObjectLimits,
    pool: Pool,
    /// `objects/` of the data directory.
    path: PathBuf,
    ledger: Arc<Ledger>,
    sql_limits: Arc<SqlLimits>,
    sql_ms: u64,
    statements: Statements,
    /// An empty object's file.
    template: Arc<[u8]>,
    stock: Arc<Stock>,
    alarms: Alarms,
    slots: Mutex<HashMap<ObjectKey, Arc<Slot>>>,
    leased: Arc<Mutex<HashSet<ObjectKey>>>,
    fence: AtomicU64,
}

/// The place of a file while anybody has it open.
#[derive(Default)]
struct Slot {
    lane: Lane,
    /// Held while the file is opened or closed.
    gate: Mutex<()>,
    /// Of the latest owner.
    fence: AtomicU64,
    /// The file, open for the latest owner; `None` while nothing is stored.
    open: Mutex<Option<file::Open>>,
    /// How often it was opened: one owner may open it again while what it had is on its way to be closed.
    opened: AtomicU64,
}

impl LocalObjects {
    pub(crate) fn open(root: Arc<Root>, ledger: Arc<Ledger>) -> Result<Self, DataDirError> {
        let path = root.path.join("objects");
        let fail = |error| DataDirError::from_io(&path, error);
        root.create_dir(&["objects"]).map_err(fail)?;
        let threads = Threads::start("objects", THREADS).map_err(DataDirError::Threads)?;
        let boot = next_boot(&root.path).map_err(fail)?;
        let limits = ObjectLimits::from(&root.options.limits);
        let mut secret = [0; 16];
        root.options.rng.fill(&mut secret);
        let template: Arc<[u8]> = file::template(&path)?.into();
        let making = root.create_dir(&["objects", STOCK]).map_err(fail)?;
        let shared = Shared {
            sql_limits: Arc::new(sql_limits(&root.options.limits, limits)),
            sql_ms: root.options.limits.object_sql_ms,
            statements: Statements::new(secret),
            ledger,
            limits,
            pool: threads.pool(),
            stock: Stock::open(making, template.clone(), threads.pool()).map_err(fail)?,
            template,
            alarms: Alarms::open(&root)?,
            slots: Mutex::default(),
            leased: Arc::default(),
            fence: AtomicU64::new(boot << 32),
            path,
            root,
        };
        Ok(Self { _threads: threads, shared: Arc::new(shared) })
    }
}

/// The limits on SQL, for a file whose size is the object's, and which holds its values too.
fn sql_limits(node: &NodeLimits, limits: ObjectLimits) -> SqlLimits {
    let row = (limits.key_bytes + limits.value_bytes) as u64 + 1_024;
    let sql = SqlLimits::from(node);
    SqlLimits { sql_database_bytes: limits.object_bytes, sql_value_bytes: sql.sql_value_bytes.max(row), ..sql }
}

/// How often this directory was opened.
fn next_boot(path: &Path) -> io::Result<u64> {
    let file = path.join("starts");
    let before = match fs::read_to_string(&file) {
        Ok(text) => text.trim().parse().map_err(|_| io::Error::other("the file `starts` holds no number"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0_u64,
        Err(error) => return Err(error),
    };
    let now = before + 1;
    disk::write_whole(&path.join("starts.new"), &file, now.to_string().as_bytes())?;
    Ok(now)
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, HashMap<ObjectKey, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, key: &ObjectKey) -> Arc<Slot> {
        self.slots().entry(key.clone()).or_default().clone()
    }

    /// Forgets the slot, if nobody else has it.
    fn leave(&self, key: &ObjectKey, slot: Arc<Slot>) {
        let mut slots = self.slots();
        drop(slot);
        if slots.get(key).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            slots.remove(key);
        }
    }

    /// Puts other data in the place of what an object has. Blocks.
    fn replace(&self, key: &ObjectKey, fence: u64, export: Option<Bytes>) -> Result<(), ObjectError> {
        let slot = self.slot(key);
        let gate = slot.clone();
        let _turn = lock(&gate.gate);
        if slot.fence.fetch_max(fence, Ordering::SeqCst) > fence {
            return Err(ObjectError::Fenced);
        }
        let path = self.file(key);
        let mut due_ms = None;
        if let Some(bytes) = &export {
            due_ms = file::check(&self.stock.scratch(), bytes).map_err(|unsound| match unsound {
                Unsound::Foreign(why) => ObjectError::BadExport(why),
                Unsound::Store(error) => ObjectError::Store(error),
            })?;
        }
        if let Some(bytes) = &export {
            self.check_quota(key, bytes.len())?;
        }
        if path.try_exists().map_err(|error| disk::store_error(&path, &error))? {
            self.ledger.remove(&path)?;
        }
        if let Some(bytes) = export {
            file::create(self, key, &path, &bytes)?;
            // The ledger has to know that there is a file again, or its recovery removes it.
            let opened = file::open(self, &path)?;
            file::close(self, &path, opened, false)?;
        }
        self.alarms.set_now(key, due_ms)?;
        self.leave(key, slot);
        Ok(())
    }

    /// Puts an object that is not open back to what it was. Blocks.
    fn restore(&self, key: &ObjectKey, fence: u64, at_ms: u64) -> Result<u64, ObjectError> {
        let slot = self.slot(key);
        let restored = {
            let _turn = lock(&slot.gate);
            match slot.fence.fetch_max(fence, Ordering::SeqCst) > fence {
                true => Err(ObjectError::Fenced),
                false => self.restore_held(key, &slot, at_ms),
            }
        };
        self.leave(key, slot);
        restored
    }

    /// The gate is held.
    fn restore_held(&self, key: &ObjectKey, slot: &Slot, at_ms: u64) -> Result<u64, ObjectError> {
        let path = self.file(key);
        // Its owner is gone, and was on the way to close it.
        if let Some(open) = lock(&slot.open).take() {
            file::close(self, &path, open, false)?;
        }
        // First, so that one that never was is not made.
        let restored = past::build(self, &path, at_ms)?;
        if !path.try_exists().map_err(|error| disk::store_error(&path, &error))? {
            file::create(self, key, &path, &self.template)?;
        }
        let (mut connection, mut journal) = file::journaled(self, &path)?;
        past::install(&path, &mut connection, &mut journal, past::Wish { number: None, at_ms })?;
        let opened = file::opened(self, &path, connection, journal)?;
        let alarm = opened.connection.trusted(past::alarm).map_err(|error| file::own(&path, error))?;
        file::close(self, &path, opened, false)?;
        self.alarms.set_now(key, alarm)?;
        Ok(restored.time_ms)
    }

    /// Refuses a new file that would take the app beyond its quota.
    fn check_quota(&self, key: &ObjectKey, bytes: usize) -> Result<(), ObjectError> {
        let max = self.root.quotas.object_bytes(&key.class.app.app);
        match self.ledger.used(&self.file(key))?.saturating_add(bytes as u64) > max {
            true => Err(ObjectError::AppFull { max }),
            false => Ok(()),
        }
    }

    fn class_dir(&self, class: &ObjectClass) -> PathBuf {
        let mut path = self.path.clone();
        path.extend([class.app.tenant.as_str(), class.app.app.as_str(), class.name.as_str()]);
        path
    }

    /// Whose file this is.
    fn key_of(&self, file: &Path) -> Option<ObjectKey> {
        let inside: Vec<&str> = file.strip_prefix(&self.path).ok()?.to_str()?.split('/').collect();
        let [tenant, app, name, file] = inside[..] else { return None };
        let app = AppId::new(TenantName::parse(tenant).ok()?, AppName::parse(app).ok()?);
        let class = ObjectClass::new(app, ClassName::parse(name).ok()?);
        let id = class.parse_id(file.strip_suffix(".db")?)?;
        Some(ObjectKey { class, id })
    }

    fn file(&self, key: &ObjectKey) -> PathBuf {
        self.class_dir(&key.class).join(format!("{}.db", key.id))
    }
}

impl ObjectStore for LocalObjects {
    fn open<'a>(
        &'a self,
        key: &'a ObjectKey,
        fence: u64,
    ) -> BoxFuture<'a, Result<Box<dyn ObjectStorage>, ObjectError>> {
        let (shared, key) = (self.shared.clone(), key.clone());
        let slot = shared.slot(&key);
        let (pool, lane) = (shared.pool.clone(), slot.lane);
        async move {
            let opened = pool.run(lane, move || LocalStorage::open(shared, key, slot, fence)).await??;
            Ok(Box::new(opened) as Box<dyn ObjectStorage>)
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        class: &'a ObjectClass,
        after: Option<ObjectId>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ObjectId>, ObjectError>> {
        let (path, class, pool) = (self.shared.class_dir(class), class.clone(), self.shared.pool.clone());
        async move { Ok(pool.run(Lane::default(), move || listed(&path, &class, after, limit)).await??) }.boxed()
    }

    fn info<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<ObjectInfo>, ObjectError>> {
        let (path, pool) = (self.shared.file(key), self.shared.pool.clone());
        async move { Ok(pool.run(Lane::default(), move || file::info(&path)).await??) }.boxed()
    }

    fn export<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Bytes>, ObjectError>> {
        let (shared, key, pool) = (self.shared.clone(), key.clone(), self.shared.pool.clone());
        let export = move || {
            let slot = shared.slot(&key);
            // One at a time of the same object.
            let turn = lock(&slot.gate);
            let exported = file::export(&shared.file(&key), &shared.stock.scratch());
            drop(turn);
            shared.leave(&key, slot);
            exported
        };
        async move { Ok(pool.run(Lane::default(), export).await??) }.boxed()
    }

    fn replace<'a>(
        &'a self,
        key: &'a ObjectKey,
        fence: u64,
        export: Option<Bytes>,
    ) -> BoxFuture<'a, Result<(), ObjectError>> {
        let (shared, key, pool) = (self.shared.clone(), key.clone(), self.shared.pool.clone());
        async move { pool.run(Lane::default(), move || shared.replace(&key, fence, export)).await? }.boxed()
    }

    fn restore<'a>(&'a self, key: &'a ObjectKey, fence: u64, at_ms: u64) -> BoxFuture<'a, Result<u64, ObjectError>> {
        let (shared, key, pool) = (self.shared.clone(), key.clone(), self.shared.pool.clone());
        async move { pool.run(Lane::default(), move || shared.restore(&key, fence, at_ms)).await? }.boxed()
    }

    fn used<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<u64, ObjectError>> {
        let area = self.shared.path.join(app.tenant.as_str()).join(app.app.as_str());
        let (shared, pool) = (self.shared.clone(), self.shared.pool.clone());
        async move { Ok(pool.run(Lane::default(), move || shared.ledger.used(&area.join("any.db"))).await??) }.boxed()
    }

    fn due(&self, now_ms: u64, limit: usize) -> BoxFuture<'_, Result<Vec<(ObjectKey, u64)>, ObjectError>> {
        let shared = self.shared.clone();
        let pool = self.shared.pool.clone();
        async move { Ok(pool.run(Lane::default(), move || shared.alarms.due(now_ms, limit)).await??) }.boxed()
    }

    fn next_alarm(&self) -> Option<u64> {
        self.shared.alarms.next()
    }

    fn alarms_changed(&self) -> BoxFuture<'static, ()> {
        self.shared.alarms.changed()
    }
}

impl LocalObjects {
    /// Sees to it that an object that was recovered is woken when its alarm is due. Blocks.
    pub(crate) fn index_alarm(&self, path: &Path) -> Result<(), StoreError> {
        let Some(key) = self.shared.key_of(path) else { return Ok(()) };
        let fail = |error: rusqlite::Error| store_error(path, &error);
        let connection = Connection::open(path).map_err(fail)?;
        let due_ms = past::alarm(&connection).map_err(fail)?;
        self.shared.alarms.set_now(&key, due_ms)
    }
}

/// The ids that have a file, in their order.
fn listed(
    path: &Path,
    class: &ObjectClass,
    after: Option<ObjectId>,
    limit: usize,
) -> Result<Vec<ObjectId>, StoreError> {
    let fail = |error| disk::store_error(path, &error);
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry.map_err(fail)?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".db")).and_then(|id| class.parse_id(id));
        ids.extend(id.filter(|id| after.is_none_or(|after| *id > after)));
    }
    ids.sort_unstable();
    ids.truncate(limit);
    Ok(ids)
}

impl Leases for LocalObjects {
    fn acquire<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Lease, LeaseError>> {
        let leased = self.shared.leased.clone();
        let lease = match lock(&leased).insert(key.clone()) {
            true => {
                let fence = self.shared.fence.fetch_add(1, Ordering::Relaxed) + 1;
                Ok(Lease::new(fence, Box::new(Returned { leased: leased.clone(), key: key.clone() })))
            }
            false => Err(LeaseError::Held),
        };
        std::future::ready(lease).boxed()
    }
}

/// Frees a lease when it is dropped.
struct Returned {
    leased: Arc<Mutex<HashSet<ObjectKey>>>,
    key: ObjectKey,
}

impl Drop for Returned {
    fn drop(&mut self) {
        lock(&self.leased).remove(&self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
