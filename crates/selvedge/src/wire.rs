//! Where an operator's configuration becomes running parts: the only file that names an engine or
//! a provider. Everything else in the binary sees contracts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base::{AppName, Clock, NodeLimits, SystemClock, SystemRng};
use cache::{MemoryStore, MemoryStoreLimits, Tiered};
use dispatch::{Dispatcher, ObjectParts};
use engine::{Engine, RuntimeOptions};
use services::access_key::AccessKeyStore;
use services::artifact::ArtifactStore;
use services::blob::{BlobLimits, Blobs};
use services::care::{Care, CareError};
use services::kv::{Kv, KvLimits};
use services::memory::{MemoryBlobs, MemoryKv};
use services::object::{Leases, ObjectStore};
use services::release::ReleaseStore;
use services::secret::SecretStore;
use services::sql::Sql;
use services_cluster::{Network, PostgresPools};
use services_local::{
    ArchiveInfo, BackupInfo, DataDir, DataDirError, DataDirOptions, DirectoryDepot, LocalResponses, Recovered,
    Released, ResponseLimits,
};
pub use services_local::{Depot, Kept, QUOTAS, Quotas, Recover};
use telemetry::NullSink;
use worker::ResponseCache;

use crate::bucket::BucketDepot;
use crate::config::ArchiveConfig;

/// The stores of a node, opened.
#[derive(Clone)]
pub struct Stores {
    pub kv: Arc<dyn Kv>,
    pub blobs: Arc<dyn Blobs>,
    pub access_keys: Arc<dyn AccessKeyStore>,
    pub sql: Arc<dyn Sql>,
    pub care: Arc<dyn Care>,
    pub artifacts: Arc<dyn ArtifactStore>,
    pub releases: Arc<dyn ReleaseStore>,
    pub secrets: Arc<dyn SecretStore>,
    pub objects: Arc<dyn ObjectStore>,
    pub leases: Arc<dyn Leases>,
    pub responses: ResponseCache,
    /// How they are given up.
    pub locks: Locks,
    /// What apps may store; the next write meets what is set there.
    pub quotas: Arc<Quotas>,
    pub data: PathBuf,
    cache: PathBuf,
    engine_key: PathBuf,
}

/// What of the stores another process waits for.
#[derive(Clone)]
pub struct Locks {
    released: Vec<Released>,
    /// What was fetched from upstreams may still arrive, and is kept in memory only.
    tiered: Option<Arc<Tiered>>,
}

impl Locks {
    /// Waits until nothing is locked any more. Blocks; false if somebody holds on to a store for longer than
    /// this. All that is left of the cache is its part in memory.
    pub fn give_up(self, within: Duration) -> bool {
        if let Some(tiered) = &self.tiered {
            tiered.give_up_below();
        }
        self.released.iter().all(|released| released.wait(within))
    }
}

/// Another process holds the data directory.
#[derive(Debug, thiserror::Error)]
#[error("the data directory {} is in use by process {}", .path.display(), .pid.map_or("?".to_owned(), |pid| pid.to_string()))]
pub struct Locked {
    pub path: PathBuf,
    pub pid: Option<u32>,
}

/// Apps that have quotas of their own, with all limits as they are for each.
pub type Apps = Arc<BTreeMap<AppName, NodeLimits>>;

/// What of an operator's configuration decides how data is kept.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    pub limits: NodeLimits,
    pub apps: Apps,
    /// Where the archive is copied to.
    pub archive: Option<ArchiveConfig>,
}

/// Opens the data directory, whose providers serve every contract of a laptop; it is made if it is
/// missing.
pub fn open_stores(data: &Path, storage: &Storage) -> Result<Stores> {
    open(data, storage, true)
}

/// The same for a directory that must be there.
pub fn find_stores(data: &Path, storage: &Storage) -> Result<Stores> {
    open(data, storage, false)
}

fn open(data: &Path, storage: &Storage, create: bool) -> Result<Stores> {
    let keys = key_dir(data);
    let options = DataDirOptions { create, ..options(data, storage)? };
    let opened = match DataDir::open(data, options) {
        Ok(opened) => opened,
        Err(DataDirError::Locked { path, pid }) => return Err(Locked { path, pid }.into()),
        Err(error) => return Err(error.into()),
    };
    Ok(Stores {
        kv: opened.kv(),
        blobs: opened.blobs()?,
        access_keys: opened.access_keys()?,
        sql: opened.sql(),
        care: opened.care(),
        artifacts: opened.artifacts(),
        releases: opened.releases(),
        secrets: opened.secrets()?,
        objects: opened.objects()?,
        leases: opened.objects()?,
        responses: memory_responses(&storage.limits),

        locks: Locks { released: vec![opened.released()], tiered: None },
        quotas: opened.quotas(),
        cache: opened.cache_dir()?,
        engine_key: keys.join("engine.key"),
        data: opened.path().to_owned(),
    })
}

fn options(data: &Path, storage: &Storage) -> Result<DataDirOptions> {
    let Storage { limits, apps, archive } = storage.clone();
    let archive = archive.map(|archive| open_depot(&archive)).transpose()?;
    Ok(DataDirOptions { limits, apps, archive, ..DataDirOptions::new(key_dir(data).join("node.key")) })
}

/// Where archives are copied to.
pub fn open_depot(archive: &ArchiveConfig) -> Result<Arc<dyn Depot>> {
    Ok(match archive {
        ArchiveConfig::Directory(dir) => Arc::new(DirectoryDepot::new(dir)),
        ArchiveConfig::Bucket(bucket) => Arc::new(BucketDepot::open(bucket.clone(), clock())?),
    })
}

/// The copies of archives that are there.
pub fn archives(from: &dyn Depot) -> Result<Vec<ArchiveInfo>> {
    services_local::archives(from).map_err(refused)
}

/// Makes databases of a data directory anew from a copy of its archive.
pub fn recover(from: &dyn Depot, data: &Path, storage: &Storage, what: &Recover) -> Result<Recovered> {
    services_local::recover(from, data, options(data, storage)?, what).map_err(refused)
}

/// Stores in a directory that its owner throws away, with compiled code that outlives them: what
/// tests run on. `compiled` is laid out like a data directory.
pub fn open_throwaway(data: &Path, compiled: &Path, limits: &NodeLimits) -> Result<Stores> {
    let stores = open_stores(data, &Storage { limits: limits.clone(), ..Storage::default() })?;
    Ok(Stores { cache: cache_of(compiled), engine_key: key_dir(compiled).join("engine.key"), ..stores })
}

/// The backups in a directory, oldest first.
pub fn backups(from: &Path) -> Result<Vec<BackupInfo>> {
    services_local::backups(from).map_err(refused)
}

/// Makes a data directory of a backup.
pub fn restore(from: &Path, id: Option<u64>, to: &Path) -> Result<BackupInfo> {
    services_local::restore(from, id, to).map_err(refused)
}

/// The error as the control plane would tell it.
fn refused(error: CareError) -> anyhow::Error {
    control_api::ApiError::new(error.code(), error.to_string()).into()
}

/// Where compiled code lies in a data directory.
pub fn cache_of(data: &Path) -> PathBuf {
    data.join("cache")
}

/// The KV of one file of tests: the memory model, whose content can be put back between tests.
pub fn memory_kv(clock: Arc<dyn Clock>, limits: &NodeLimits) -> Arc<MemoryKv> {
    Arc::new(MemoryKv::new(clock, KvLimits::from(limits)))
}

/// The blobs of one file of tests, likewise.
pub fn memory_blobs(clock: Arc<dyn Clock>, limits: &NodeLimits) -> Arc<MemoryBlobs> {
    Arc::new(MemoryBlobs::new(clock, BlobLimits::from(limits)))
}

/// A dispatcher for one file of tests, over durable objects of its own.
pub fn test_dispatcher<O: ObjectStore + Leases + 'static>(
    engine: Arc<dyn worker::Engine>,
    limits: &NodeLimits,
    objects: Arc<O>,
) -> Arc<Dispatcher> {
    let parts = ObjectParts { store: objects.clone(), leases: objects, sink: Arc::new(NullSink) };
    Dispatcher::with_objects(engine, clock(), limits.clone(), parts)
}

/// Responses in memory, of one file of tests.
pub fn memory_responses(limits: &NodeLimits) -> ResponseCache {
    ResponseCache::new(Arc::new(MemoryStore::new(MemoryStoreLimits::from(limits))), limits)
}

/// Puts responses into memory above a directory of theirs.
pub fn open_disk_responses(stores: &mut Stores, disk: &Path, limits: &NodeLimits) -> Result<()> {
    let kept = ResponseLimits {
        bytes: limits.cache_disk_bytes,
        app_bytes: limits.cache_disk_app_bytes,
        entry_bytes: limits.cache_entry_bytes,
        filling_bytes: limits.cache_filling_bytes,
    };
    let below = LocalResponses::open(disk, kept, &SystemRng).context("the cache's disk tier did not open")?;
    stores.locks.released.push(below.released());
    let memory = MemoryStore::new(MemoryStoreLimits::from(limits));
    let tiered = Arc::new(Tiered::new(memory, Arc::new(below)));
    stores.locks.tiered = Some(tiered.clone());
    stores.responses = ResponseCache::new(tiered, limits);
    Ok(())
}

/// Databases that the owners of apps run, reached through this connector.
pub fn open_postgres(network: Arc<dyn Network>) -> Arc<PostgresPools> {
    Arc::new(PostgresPools::new(network))
}

/// Starts the engine for these stores' cache.
pub fn open_engine(stores: &Stores, limits: &NodeLimits) -> Result<Arc<dyn worker::Engine>> {
    let options = RuntimeOptions { instances_max: limits.instances_total as u32 };
    let engine = Engine::open(&stores.cache, &stores.engine_key, options).context("the engine did not start")?;
    if !engine.fresh_is_cheap() {
        tracing::info!(
            "this kernel has no pagemap_scan (Linux 6.7): a fresh sandbox per request works, but costs more"
        );
    }
    Ok(Arc::new(engine))
}

/// Keys lie beside the data directory, never in it: a copy of the data alone opens nothing.
fn key_dir(data: &Path) -> PathBuf {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let mut name = absolute.file_name().unwrap_or_default().to_owned();
    name.push(".keys");
    absolute.with_file_name(name)
}

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}
