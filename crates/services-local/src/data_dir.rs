//! The data directory: where everything that a node keeps lies, and the lock on it.
//!
//! ```text
//! DATA/
//!   format                    "selvedge-data 1": the version of this layout
//!   lock                      locked while a process uses the directory; holds its id
//!   ledger/                   the log of all databases that are journaled
//!   archive/                  what they were at each moment of the last days
//!   node.db                   deployments, releases, sealed secrets
//!   kv/TENANT/APP.db          KV of one app: rows, and values up to 64 KiB
//!   kv/TENANT/APP.content/    its larger values, a file each
//!   blob/TENANT/APP.db        blobs of one app: rows, and small blobs, sealed
//!   blob/TENANT/APP.content/  larger blobs, and parts of them, a sealed file each
//!   blob/keys.db              access keys of the S3 protocol, their secrets sealed
//!   sql/TENANT/APP/NAME.db    one SQL database of an app
//!   objects/TENANT/APP/CLASS/ durable objects, a file each
//!   objects/alarms.db         which of them are to be woken when
//!   reserve                   room for a start on a full disk
//!   starts                    how often a process has opened this directory
//!   artifacts/TENANT/HH/      what was deployed, by SHA-256
//!   cache/                    compiled code; may be deleted while no node runs
//! ```
//!
//! A `.db` is a SQLite database; any other file never changes once it has its name. Backups rely on
//! both (`care`).
//!
//! The directory is its owner's alone (0700). The node key lies elsewhere, so that a copy of the
//! directory opens no secret.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base::{AppName, Clock, NodeLimits, Rng, SystemClock, SystemRng};
use services::{KvLimits, SqlLimits};

use crate::access_key::LocalAccessKeys;
use crate::artifact::LocalArtifacts;
use crate::blob::LocalBlobs;
use crate::care::{LocalCare, Removals};
use crate::database::Database;
use crate::depot::Depot;
use crate::disk;
use crate::kv::LocalKv;
use crate::ledger::Ledger;
use crate::maintenance::Maintenance;
use crate::node_key::NodeKey;
use crate::object::LocalObjects;
use crate::pool::{Pool, Threads};
use crate::quotas::Quotas;
use crate::release::LocalReleases;
use crate::secret::LocalSecrets;
use crate::sql::LocalSql;

mod error;
pub(crate) mod released;
mod reserve;

pub use error::DataDirError;
pub use released::Released;
pub(crate) use released::Releasing;
pub use reserve::Reserve;

/// The layout that this build writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;
const FORMAT_NAME: &str = "selvedge-data";

/// Threads that commit. They wait for the disk, not for a core, so there are more than cores.
const WRITER_THREADS: usize = 4;
/// Threads for everything else that may block: opening, listing, content files.
const READER_THREADS: usize = 4;

/// How a data directory is opened.
#[derive(Clone)]
pub struct DataDirOptions {
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub limits: NodeLimits,
    /// Apps that have quotas of their own at the start, with all limits as they are for each.
    pub apps: Arc<BTreeMap<AppName, NodeLimits>>,
    /// Where the archive is copied to, if it is.
    pub archive: Option<Arc<dyn Depot>>,
    /// The file of the key that seals secrets; made when the first one is set. Outside the data
    /// directory.
    pub node_key: PathBuf,
    /// Whether the directory is made, if it is missing or empty; otherwise that is an error, since
    /// whoever looks for what is there may have mistyped the name.
    pub create: bool,
}

impl DataDirOptions {
    /// The machine's clock and randomness, and the default limits.
    pub fn new(node_key: impl Into<PathBuf>) -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
            rng: Arc::new(SystemRng),
            limits: NodeLimits::default(),
            apps: Arc::default(),
            archive: None,
            node_key: node_key.into(),
            create: true,
        }
    }
}

/// An open data directory, locked for as long as it or a provider from it lives.
#[derive(Clone)]
pub struct DataDir {
    inner: Arc<Inner>,
}

struct Inner {
    _maintenance: Maintenance,
    kv: Arc<LocalKv>,
    sql: Arc<LocalSql>,
    artifacts: Arc<LocalArtifacts>,
    objects: OnceLock<Arc<LocalObjects>>,
    releases: Arc<LocalReleases>,
    secrets: OnceLock<Arc<LocalSecrets>>,
    blobs: OpenedBlobs,
    access_keys: OnceLock<Arc<LocalAccessKeys>>,
    care: Arc<LocalCare>,
    node: Arc<Database>,
    ledger: Arc<Ledger>,
    released: Released,
    root: Arc<Root>,
}

/// The blobs, once somebody asked for them, and the thread that cleans up after them.
pub(crate) type OpenedBlobs = Arc<OnceLock<(Maintenance, Arc<LocalBlobs>)>>;

/// What every provider holds. Its fields drop in this order: what is queued is run to its end,
/// then the lock goes.
pub(crate) struct Root {
    writers: Threads,
    readers: Threads,
    pub path: PathBuf,
    pub options: DataDirOptions,
    /// What apps may store, as it is now.
    pub quotas: Arc<Quotas>,
    /// How files that nothing refers to go.
    pub removals: Arc<Removals>,
    /// Whether there is room for the next start, without which apps write nothing.
    pub reserve: Arc<Reserve>,
    _lock: File,
    _releasing: Releasing,
}

impl Root {
    /// Threads that commit.
    pub fn writers(&self) -> Pool {
        self.writers.pool()
    }

    /// Threads for everything else that may block.
    pub fn readers(&self) -> Pool {
        self.readers.pool()
    }

    /// A directory below this one, created durably with what leads to it.
    pub fn create_dir(&self, names: &[&str]) -> io::Result<PathBuf> {
        let mut path = self.path.clone();
        for name in names {
            path.push(name);
            disk::create_dir(&path)?;
        }
        Ok(path)
    }
}

impl DataDir {
    /// Opens the directory; one that is missing or empty is made, if the options say so. Blocks.
    pub fn open(path: impl AsRef<Path>, options: DataDirOptions) -> Result<Self, DataDirError> {
        let path = path.as_ref();
        let fail = |error| DataDirError::from_io(path, error);
        match options.create {
            true => DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(fail)?,
            false => find(path)?,
        }
        let path = path.canonicalize().map_err(fail)?;
        let lock = take_lock(&path)?;
        check_format(&path)?;
        let (bytes, clock) = (options.limits.disk_reserve_bytes, options.clock.clone());
        let reserve =
            Arc::new(Reserve::open(&path, bytes, clock).map_err(|error| DataDirError::from_io(&path, error))?);
        let quotas = Arc::new(Quotas::new(&options.limits, &options.apps));
        let threads = |name, count| Threads::start(name, count).map_err(DataDirError::Threads);
        let (releasing, released) = released::pair();
        let root = Arc::new(Root {
            writers: threads("store-write", WRITER_THREADS)?,
            readers: threads("store-read", READER_THREADS)?,
            path,
            options,
            quotas,
            removals: Arc::default(),
            reserve,
            _lock: lock,
            _releasing: releasing,
        });
        let ledger = Ledger::open(&root)?;
        let node = crate::node::open(&root)?;
        let kv = Arc::new(LocalKv::open(root.clone(), KvLimits::from(&root.options.limits))?);
        let artifacts = Arc::new(LocalArtifacts::open(root.clone())?);
        let blobs = OpenedBlobs::default();
        let inner = Inner {
            _maintenance: Maintenance::start(&kv).map_err(DataDirError::Threads)?,
            objects: OnceLock::new(),
            care: Arc::new(LocalCare::open(
                root.clone(),
                kv.clone(),
                artifacts.clone(),
                blobs.clone(),
                ledger.clone(),
            )?),
            artifacts,
            releases: Arc::new(LocalReleases::open(node.clone(), root.clone())?),
            sql: Arc::new(LocalSql::open(root.clone(), ledger.clone(), SqlLimits::from(&root.options.limits))?),
            secrets: OnceLock::new(),
            blobs,
            access_keys: OnceLock::new(),
            kv,
            node,
            ledger,
            released,
            root,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The directory, as an absolute path without links.
    pub fn path(&self) -> &Path {
        &self.inner.root.path
    }

    /// Tells when nothing of the directory is open any more, and its lock is free.
    pub fn released(&self) -> Released {
        self.inner.released.clone()
    }

    /// What apps may store: what is set there is what the next write meets.
    pub fn quotas(&self) -> Arc<Quotas> {
        self.inner.root.quotas.clone()
    }

    pub fn kv(&self) -> Arc<LocalKv> {
        self.inner.kv.clone()
    }

    pub fn sql(&self) -> Arc<LocalSql> {
        self.inner.sql.clone()
    }

    pub fn artifacts(&self) -> Arc<LocalArtifacts> {
        self.inner.artifacts.clone()
    }

    /// The durable objects. The first call makes what they need.
    pub fn objects(&self) -> Result<Arc<LocalObjects>, DataDirError> {
        if let Some(objects) = self.inner.objects.get() {
            return Ok(objects.clone());
        }
        let objects = LocalObjects::open(self.inner.root.clone(), self.inner.ledger.clone())?;
        Ok(self.inner.objects.get_or_init(|| Arc::new(objects)).clone())
    }

    pub fn releases(&self) -> Arc<LocalReleases> {
        self.inner.releases.clone()
    }

    pub fn care(&self) -> Arc<LocalCare> {
        self.inner.care.clone()
    }

    pub(crate) fn root(&self) -> &Root {
        &self.inner.root
    }

    /// The log of the databases that are journaled.
    pub fn ledger(&self) -> Arc<Ledger> {
        self.inner.ledger.clone()
    }

    /// The secrets. The first call reads the node key, or makes it if there is none and nothing is
    /// sealed yet.
    pub fn secrets(&self) -> Result<Arc<LocalSecrets>, DataDirError> {
        if let Some(secrets) = self.inner.secrets.get() {
            return Ok(secrets.clone());
        }
        let secrets = LocalSecrets::open(self.node_key()?, self.inner.node.clone(), self.inner.root.clone())?;
        Ok(self.inner.secrets.get_or_init(|| Arc::new(secrets)).clone())
    }

    /// The blobs, which are sealed as well.
    pub fn blobs(&self) -> Result<Arc<LocalBlobs>, DataDirError> {
        if let Some((_, blobs)) = self.inner.blobs.get() {
            return Ok(blobs.clone());
        }
        let blobs = Arc::new(LocalBlobs::open(self.node_key()?, self.inner.node.clone(), self.inner.root.clone())?);
        let sweeping = Maintenance::start_blobs(&blobs).map_err(DataDirError::Threads)?;
        Ok(self.inner.blobs.get_or_init(|| (sweeping, blobs)).1.clone())
    }

    /// The access keys of the S3 protocol.
    pub fn access_keys(&self) -> Result<Arc<LocalAccessKeys>, DataDirError> {
        if let Some(keys) = self.inner.access_keys.get() {
            return Ok(keys.clone());
        }
        let keys = LocalAccessKeys::open(self.node_key()?, self.inner.node.clone(), self.inner.root.clone())?;
        Ok(self.inner.access_keys.get_or_init(|| Arc::new(keys)).clone())
    }

    fn node_key(&self) -> Result<NodeKey, DataDirError> {
        let (root, node) = (&self.inner.root, &self.inner.node);
        let sealed_with = LocalSecrets::sealed_with(node)?;
        NodeKey::load(&root.options.node_key, &root.path, &*root.options.rng, sealed_with)
    }

    /// The directory for compiled code; private (0700), and free to be deleted while no node runs.
    pub fn cache_dir(&self) -> Result<PathBuf, DataDirError> {
        self.inner.root.create_dir(&["cache"]).map_err(|error| DataDirError::from_io(self.path(), error))
    }
}

/// Looks whether there is a data directory, and leaves no trace where there is none.
fn find(path: &Path) -> Result<(), DataDirError> {
    let missing = || DataDirError::Missing { path: path.into() };
    match path.join("format").try_exists() {
        Ok(true) => Ok(()),
        Ok(false) if path.try_exists().is_ok_and(|there| !there) => Err(missing()),
        Ok(false) => refuse_foreign(path).and_then(|()| Err(missing())),
        Err(error) => Err(DataDirError::from_io(path, error)),
    }
}

/// Refuses a directory without a format that holds anything but what opening one leaves.
fn refuse_foreign(path: &Path) -> Result<(), DataDirError> {
    let ours = ["lock", "format.tmp"];
    let fail = |error| DataDirError::from_io(path, error);
    for entry in fs::read_dir(path).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        if !ours.iter().any(|own| name == *own) {
            return Err(DataDirError::Foreign { path: path.into(), found: name.display().to_string() });
        }
    }
    Ok(())
}

/// Locks the directory for this process. The lock goes with the process, however it ends.
fn take_lock(path: &Path) -> Result<File, DataDirError> {
    let file = path.join("lock");
    let fail = |error| DataDirError::from_io(&file, error);
    // Never truncated on opening: until the lock is ours, the content is the holder's.
    let mut lock =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&file).map_err(fail)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The number is a courtesy; the lock is held whether or not it can be read.
            let _ = lock.read_to_string(&mut holder);
            return Err(DataDirError::Locked { path: path.into(), pid: holder.trim().parse().ok() });
        }
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    lock.set_len(0).map_err(fail)?;
    match lock.write_all(format!("{}\n", std::process::id()).as_bytes()) {
        // Nothing of the directory is given up for a courtesy.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(lock),
        written => written.map(|()| lock).map_err(fail),
    }
}

/// Reads the version of the layout, or writes it into a directory that holds nothing else.
fn check_format(path: &Path) -> Result<(), DataDirError> {
    let file = path.join("format");
    let temporary = path.join("format.tmp");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            refuse_foreign(path)?;
            let fail = |error| DataDirError::from_io(path, error);
            let text = format!("{FORMAT_NAME} {FORMAT_VERSION}\n");
            disk::write_whole(&temporary, &file, text.as_bytes()).map_err(fail)?;
            return disk::sync_dir(path.parent().unwrap_or(path)).map_err(fail);
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(DataDirError::from_io(&file, error)),
    };
    let version = text.strip_prefix(FORMAT_NAME).and_then(|rest| rest.trim().parse::<u32>().ok());
    match version {
        Some(found) if found > FORMAT_VERSION => {
            Err(DataDirError::Newer { path: path.into(), found, known: FORMAT_VERSION })
        }
        Some(1..) => Ok(()),
        _ => Err(DataDirError::BadFormat { file }),
    }
}
