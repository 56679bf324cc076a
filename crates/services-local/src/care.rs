//! Care of a whole data directory: backups, restoring them, and checking everything.
//!
//! Which files there are follows from three rules that every provider keeps, so that a new one needs
//! nothing here: a file named `*.db` is a SQLite database; any other file never changes once it has
//! its name, and goes only after the row that refers to it; what begins anew with each process, and
//! what may be made again, stands in [`files::LEFT_OUT`].
//!
//! Of each database a backup takes one read transaction, of which SQLite makes a copy. Files follow
//! after all databases, and none is removed meanwhile ([`Removals`]), so that whatever the copies
//! refer to is found.
//!
//! The archive comes last, with every commit that the copies have. What is restored is another time line than
//! the one that the archive goes on with, so each of its databases is marked there as if it had been removed: its
//! next commit begins with a whole.

mod backup;
mod check;
mod files;
mod recover;
mod removals;
mod repository;
mod restore;

use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use services::StoreError;
use services::care::{ArchiveCopy, BackupOptions, BackupReport, Care, CareError, CheckReport};

use crate::data_dir::{OpenedBlobs, Root};
use crate::pool::{Lane, Threads};
use crate::{DataDir, DataDirError, DataDirOptions, Ledger, LocalArtifacts, LocalKv};

pub use recover::{ArchiveInfo, Recover, Recovered, archives, recover};
pub use removals::Removals;
pub use repository::{BackupInfo, backups};
pub use restore::restore;

/// [`Care`] of a data directory.
pub struct LocalCare {
    kv: Arc<LocalKv>,
    artifacts: Arc<LocalArtifacts>,
    /// Their content is looked at once they are open, for it takes the node key.
    blobs: OpenedBlobs,
    ledger: Arc<Ledger>,
    /// One, so that backups and checks follow each other and slow nothing else down.
    thread: Threads,
    root: Arc<Root>,
}

impl LocalCare {
    pub(crate) fn open(
        root: Arc<Root>,
        kv: Arc<LocalKv>,
        artifacts: Arc<LocalArtifacts>,
        blobs: OpenedBlobs,
        ledger: Arc<Ledger>,
    ) -> Result<Self, DataDirError> {
        let thread = Threads::start("store-care", 1).map_err(DataDirError::Threads)?;
        Ok(Self { kv, artifacts, blobs, ledger, thread, root })
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
        self.thread.pool().run(Lane::default(), job).await
    }
}

impl Care for LocalCare {
    fn back_up<'a>(&'a self, to: &'a Path, options: BackupOptions) -> BoxFuture<'a, Result<BackupReport, CareError>> {
        let (root, ledger, to) = (self.root.clone(), self.ledger.clone(), to.to_owned());
        async move { self.run(move || backup::back_up(&root, &ledger, &to, options)).await? }.boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<CheckReport, CareError>> {
        let (root, kv, artifacts) = (self.root.clone(), self.kv.clone(), self.artifacts.clone());
        let (blobs, ledger) = (self.blobs.clone(), self.ledger.clone());
        let check = move || {
            let blobs = blobs.get().map(|(_, blobs)| &**blobs);
            check::check(&root, &kv, &artifacts, blobs, &ledger)
        };
        async move { self.run(check).await? }.boxed()
    }

    fn archive_copy(&self) -> Option<ArchiveCopy> {
        self.ledger.archive_copy()
    }
}

/// Opens a restored directory and reads all of it.
fn check_restored(path: &Path, root: &Root) -> Result<CheckReport, CareError> {
    let unverified = |error: DataDirError| CareError::Unverified(error.to_string());
    // It is no node, and its past is copied nowhere.
    let options = DataDirOptions { archive: None, ..root.options.clone() };
    let data = DataDir::open(path, options).map_err(unverified)?;
    let (kv, artifacts, blobs) = (data.kv(), data.artifacts(), data.blobs().map_err(unverified)?);
    check::check(data.root(), &kv, &artifacts, Some(&blobs), &data.ledger())
}
