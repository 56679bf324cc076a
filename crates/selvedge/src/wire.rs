//! Where an operator's configuration becomes running parts: the only file that names an engine or
//! a provider. Everything else in the binary sees contracts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use base::{Clock, NodeLimits, SystemClock};
use cache::{MemoryStore, MemoryStoreLimits};
use engine::{Engine, RuntimeOptions};
use services::artifact::ArtifactStore;
use services::kv::{Kv, KvLimits};
use services::memory::MemoryKv;
use services::release::ReleaseStore;
use services::secret::SecretStore;
pub use services_local::FsckReport;
use services_local::{BackupReport, DataDir, DataDirError, DataDirOptions, Problem};
use worker::ResponseCache;

/// The stores of a node, opened.
#[derive(Clone)]
pub struct Stores {
    pub kv: Arc<dyn Kv>,
    pub artifacts: Arc<dyn ArtifactStore>,
    pub releases: Arc<dyn ReleaseStore>,
    pub secrets: Arc<dyn SecretStore>,
    pub responses: ResponseCache,
    pub data: PathBuf,
    cache: PathBuf,
    engine_key: PathBuf,
}

/// Another process holds the data directory.
#[derive(Debug, thiserror::Error)]
#[error("the data directory {} is in use by process {}", .path.display(), .pid.map_or("?".to_owned(), |pid| pid.to_string()))]
pub struct Locked {
    pub path: PathBuf,
    pub pid: Option<u32>,
}

/// Opens the data directory, whose providers serve every contract of a laptop.
pub fn open_stores(data: &Path, limits: &NodeLimits) -> Result<Stores> {
    let keys = key_dir(data);
    let mut options = DataDirOptions::new(keys.join("node.key"));
    options.limits = limits.clone();
    let opened = match DataDir::open(data, options) {
        Ok(opened) => opened,
        Err(DataDirError::Locked { path, pid }) => return Err(Locked { path, pid }.into()),
        Err(error) => return Err(error.into()),
    };
    Ok(Stores {
        kv: opened.kv(),
        artifacts: opened.artifacts(),
        releases: opened.releases(),
        secrets: opened.secrets()?,
        responses: memory_responses(limits),
        cache: opened.cache_dir()?,
        engine_key: keys.join("engine.key"),
        data: opened.path().to_owned(),
    })
}

/// Holds the data directory while no node does, so that none starts meanwhile and what a crash left
/// is mended; nothing if a node runs.
fn hold(data: &Path) -> Result<Option<DataDir>> {
    if !data.join("format").is_file() {
        bail!("{} is no data directory; name one with --data", data.display());
    }
    match DataDir::open(data, DataDirOptions::new(key_dir(data).join("node.key"))) {
        Ok(opened) => Ok(Some(opened)),
        Err(DataDirError::Locked { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Copies a data directory, live or not, beside the backups that are there.
pub fn backup(data: &Path, into: &Path) -> Result<BackupReport> {
    let _held = hold(data)?;
    Ok(services_local::backup(data, into, &*clock())?)
}

/// Removes all backups but the last few.
pub fn prune(dir: &Path, keep: usize) -> Result<usize> {
    Ok(services_local::prune(dir, keep)?)
}

/// Puts a backup back, and checks what is there then. Answers its name and its files.
pub fn restore(from: &Path, backup: Option<u64>, data: &Path) -> Result<(u64, usize, FsckReport)> {
    let (taken_ms, files) = services_local::restore(from, backup, data)?;
    Ok((taken_ms, files, services_local::fsck(data)?))
}

/// Checks a data directory, live or not.
pub fn fsck(data: &Path) -> Result<FsckReport> {
    let held = hold(data);
    let mut report = services_local::fsck(data)?;
    if let Err(error) = held {
        report.problems.push(Problem { path: data.display().to_string(), what: format!("{error:#}") });
    }
    Ok(report)
}

/// Stores in a directory that its owner throws away, with compiled code that outlives them: what
/// tests run on. `compiled` is laid out like a data directory.
pub fn open_throwaway(data: &Path, compiled: &Path, limits: &NodeLimits) -> Result<Stores> {
    let stores = open_stores(data, limits)?;
    Ok(Stores { cache: cache_of(compiled), engine_key: key_dir(compiled).join("engine.key"), ..stores })
}

/// Where compiled code lies in a data directory.
pub fn cache_of(data: &Path) -> PathBuf {
    data.join("cache")
}

/// The KV of one file of tests: the memory model, whose content can be put back between tests.
pub fn memory_kv(clock: Arc<dyn Clock>, limits: &NodeLimits) -> Arc<MemoryKv> {
    Arc::new(MemoryKv::new(clock, KvLimits::from(limits)))
}

/// Responses in memory, of one file of tests.
pub fn memory_responses(limits: &NodeLimits) -> ResponseCache {
    ResponseCache::new(Arc::new(MemoryStore::new(MemoryStoreLimits::from(limits))), limits)
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
