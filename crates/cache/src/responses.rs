//! The store as its users see it: with purges, which no response gets around.

use std::sync::Arc;

use tokio::sync::RwLock;

use crate::purge::{Purge, Purged, Purges, Ticket, Verdict};
use crate::store::{Key, Store, StoreError, Usage, Variants};
use crate::stored::Stored;

/// What became of a response that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Kept(Arc<Stored>),
    /// It was purged while it arrived.
    Purged,
}

/// All responses of a node.
pub struct Responses {
    store: Arc<dyn Store>,
    purges: Arc<Purges>,
    /// Puts share it and a purge has it alone, so that none that was judged before a purge is stored
    /// after it.
    turn: RwLock<()>,
}

impl Responses {
    pub fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { store, purges: Arc::default(), turn: RwLock::default() })
    }

    /// Before an origin is asked for what is put later.
    pub fn ticket(&self) -> Ticket {
        self.purges.ticket()
    }

    pub async fn get(&self, key: &Key) -> Result<Variants, StoreError> {
        self.store.get(key).await
    }

    /// The same as `get`, if it is known without a wait.
    pub fn at_hand(&self, key: &Key) -> Option<Variants> {
        self.store.at_hand(key)
    }

    /// Stores a response, unless it was purged since its ticket was taken.
    pub async fn put(&self, key: Key, mut response: Stored, ticket: &Ticket) -> Result<Kept, StoreError> {
        let _turn = self.turn.read().await;
        match ticket.verdict(&key, &response.tags) {
            Verdict::Keep => {}
            Verdict::Stale { at_ms } => response = response.staled(at_ms),
            Verdict::Drop => return Ok(Kept::Purged),
        }
        let held = Arc::new(response.clone());
        self.store.put(key, response).await?;
        Ok(Kept::Kept(held))
    }

    /// Removes one entry, and keeps out what was asked for before. True if there was one.
    pub async fn delete(&self, key: &Key) -> Result<bool, StoreError> {
        let what = Purged::Entry { cache: key.cache.clone(), url: key.url.clone() };
        let _turn = self.turn.write().await;
        self.purges.record(Purge { app: key.app.clone(), what, stale_at_ms: None, durable: false });
        self.store.delete(key).await
    }

    /// How many responses it found. When it answers, none of them is served any more (as fresh, if it is
    /// a soft one), and none that was asked for before will be.
    pub async fn purge(&self, purge: Purge) -> Result<u64, StoreError> {
        let _turn = self.turn.write().await;
        self.purges.record(purge.clone());
        self.store.purge(&purge).await
    }

    /// The keys that have the URL of this one.
    pub async fn keys(&self, like: &Key) -> Result<Vec<Key>, StoreError> {
        self.store.keys(&like.app, like.page()).await
    }

    /// The entries of one URL, whatever else their keys have.
    pub async fn entries(&self, app: &str, url: &str) -> Result<Vec<(Key, Variants)>, StoreError> {
        let mut entries = Vec::new();
        for key in self.store.keys(app, url).await? {
            let variants = self.store.get(&key).await?;
            entries.push((key, variants));
        }
        Ok(entries)
    }

    pub async fn usage(&self, app: Option<&str>) -> Result<Usage, StoreError> {
        self.store.usage(app).await
    }

    pub fn body_bytes_max(&self) -> usize {
        self.store.body_bytes_max()
    }
}
