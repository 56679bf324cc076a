use std::sync::Arc;

use super::*;
use crate::conformance;
use crate::{MemoryStore, MemoryStoreLimits};

const LIMITS: MemoryStoreLimits = MemoryStoreLimits { bytes: 8 << 20, app_bytes: 8 << 20, entry_bytes: 100_000 };

/// The tier below is a memory of its own here; what a disk does is shown with the one on disk.
#[test]
fn two_tiers_keep_the_promises_of_one() {
    conformance::store(|| Tiered::new(MemoryStore::new(LIMITS), Arc::new(MemoryStore::new(LIMITS))));
}

/// A store that answers a get only when it is told to, with what it had when it was asked.
struct Slow {
    inner: MemoryStore,
    gate: tokio::sync::Semaphore,
}

impl Store for Slow {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Variants, StoreError>> {
        let found = self.inner.find(key).unwrap_or_else(|| Vec::new().into());
        Box::pin(async move {
            self.gate.acquire().await.expect("it is open").forget();
            Ok(found)
        })
    }

    fn put(&self, key: Key, response: Stored) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.put(key, response)
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.inner.delete(key)
    }

    fn purge<'a>(&'a self, purge: &'a Purge) -> BoxFuture<'a, Result<u64, StoreError>> {
        self.inner.purge(purge)
    }

    fn keys<'a>(&'a self, app: &'a str, url: &'a str) -> BoxFuture<'a, Result<Vec<Key>, StoreError>> {
        self.inner.keys(app, url)
    }

    fn usage<'a>(&'a self, app: Option<&'a str>) -> BoxFuture<'a, Result<Usage, StoreError>> {
        self.inner.usage(app)
    }

    fn body_bytes_max(&self) -> usize {
        self.inner.body_bytes_max()
    }
}

fn stored(body: &'static str) -> Stored {
    Stored {
        status: http::StatusCode::OK,
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::from_static(body.as_bytes()).into(),
        stored_at_ms: 0,
        initial_age_s: 0,
        lifetime_s: 60,
        vary: crate::VaryValues::default(),
        terms: crate::Terms::default(),
        tags: crate::Tags::default(),
        body_id: 0,
    }
}

/// Each change, made while a read is on its way up.
#[tokio::test]
async fn a_read_brings_nothing_up_that_was_changed_meanwhile() {
    for change in 0..3 {
        let below = Arc::new(Slow { inner: MemoryStore::new(LIMITS), gate: tokio::sync::Semaphore::new(0) });
        let store = Arc::new(Tiered::new(MemoryStore::new(LIMITS), below.clone()));
        let key = Key { app: "shop".into(), cache: None, url: "http://a.test/".into() };
        store.put(key.clone(), stored("old")).await.expect("put");
        let mut reading = std::pin::pin!(store.get(&key));
        assert!(futures_util::FutureExt::now_or_never(reading.as_mut()).is_none(), "it waits below");
        match change {
            0 => drop(store.delete(&key).await.expect("delete")),
            1 => store.put(key.clone(), stored("new")).await.expect("put"),
            _ => {
                let what = crate::Purged::All;
                let purge = Purge { app: key.app.clone(), what, stale_at_ms: None, durable: false };
                assert_eq!(store.purge(&purge).await.expect("purge"), 1);
            }
        }
        below.gate.add_permits(1);
        assert_eq!(reading.await.expect("get").len(), 1, "it began before");
        assert!(store.memory.find(&key).is_none(), "change {change} is not undone");
        below.gate.add_permits(1);
        let found = store.get(&key).await.expect("get");
        assert_eq!(found.len(), usize::from(change == 1));
        assert!(found.iter().all(|found| found.body.whole().expect("at hand") == "new"));
    }
}
