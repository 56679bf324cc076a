//! What the app under test stores, and how that is put back between tests.

use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use dispatch::Dispatcher;
use services::memory::{BlobSnapshot, KvSnapshot, MemoryBlobs, MemoryKv};

use super::objects::{ObjectSnapshot, TestObjects};
use super::sql::{SqlSnapshot, TestSql};

/// The data of one file of tests. It is used on the core that runs them.
pub struct Data {
    pub kv: Arc<MemoryKv>,
    pub blobs: Arc<MemoryBlobs>,
    pub sql: Arc<TestSql>,
    pub objects: Arc<TestObjects>,
    pub dispatcher: Arc<Dispatcher>,
    /// What there was before anything ran: nothing but what migrations made.
    pub first: OnceLock<Snapshot>,
}

/// What was stored at one moment.
#[derive(Clone, Default)]
pub struct Snapshot {
    kv: KvSnapshot,
    blobs: BlobSnapshot,
    sql: SqlSnapshot,
    objects: ObjectSnapshot,
}

impl Data {
    pub async fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            kv: self.kv.snapshot(),
            blobs: self.blobs.snapshot(),
            sql: self.sql.snapshot().await.context("the databases can't be kept for the next test")?,
            objects: self.objects.snapshot().await.context("the objects can't be kept for the next test")?,
        })
    }

    /// Puts it back. Objects that are awake end, and with them what they had in memory.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.kv.restore(&snapshot.kv);
        self.blobs.restore(&snapshot.blobs);
        self.sql.restore(&snapshot.sql);
        self.dispatcher.end_objects();
        self.objects.restore(&snapshot.objects);
    }

    /// Puts back what there was before anything ran.
    pub fn clear(&self) {
        self.restore(self.first.get().unwrap_or(&Snapshot::default()));
    }
}
