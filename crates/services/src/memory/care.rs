//! Care of what has no data.

use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::care::{ArchiveCopy, BackupOptions, BackupReport, Care, CareError, CheckReport};

/// [`Care`] of a node in memory: there is nothing to copy, and nothing that a disk could lose.
#[derive(Debug, Default)]
pub struct MemoryCare;

impl Care for MemoryCare {
    fn back_up<'a>(&'a self, _to: &'a Path, _options: BackupOptions) -> BoxFuture<'a, Result<BackupReport, CareError>> {
        async { Err(CareError::BadBackup("nothing of a node in memory can be backed up".into())) }.boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<CheckReport, CareError>> {
        async { Ok(CheckReport::default()) }.boxed()
    }

    fn archive_copy(&self) -> Option<ArchiveCopy> {
        None
    }
}
