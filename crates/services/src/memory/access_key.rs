use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Clock, NodeLimits, Rng as _, SystemRng};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::AppId;
use crate::access_key::{
    AccessKey, AccessKeyError, AccessKeyPair, AccessKeyStore, Grant, ID_RANDOM_BYTES, SECRET_RANDOM_BYTES, id_of,
    secret_of,
};

/// [`AccessKeyStore`] on a list.
pub struct MemoryAccessKeys {
    clock: Arc<dyn Clock>,
    keys: Mutex<Vec<AccessKeyPair>>,
}

impl MemoryAccessKeys {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, keys: Mutex::default() }
    }

    fn keys(&self) -> MutexGuard<'_, Vec<AccessKeyPair>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessKeyStore for MemoryAccessKeys {
    fn create<'a>(&'a self, app: &'a AppId, grant: Grant) -> BoxFuture<'a, Result<AccessKeyPair, AccessKeyError>> {
        async move {
            let keys_max = NodeLimits::default().access_keys as usize;
            let mut keys = self.keys();
            if keys.iter().filter(|(key, _)| key.app == *app).count() >= keys_max {
                return Err(AccessKeyError::TooMany { keys_max });
            }
            let (mut id, mut secret) = ([0; ID_RANDOM_BYTES], [0; SECRET_RANDOM_BYTES]);
            SystemRng.fill(&mut id);
            SystemRng.fill(&mut secret);
            let key = AccessKey { id: id_of(id), app: app.clone(), grant, created_ms: self.clock.unix_ms() };
            let made = (key, secret_of(secret));
            keys.push(made.clone());
            Ok(made)
        }
        .boxed()
    }

    fn find<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<AccessKeyPair>, AccessKeyError>> {
        async move { Ok(self.keys().iter().find(|(key, _)| key.id == id).cloned()) }.boxed()
    }

    fn list<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<AccessKey>, AccessKeyError>> {
        async move { Ok(self.keys().iter().map(|(key, _)| key).filter(|key| key.app == *app).cloned().collect()) }
            .boxed()
    }

    fn delete<'a>(&'a self, app: &'a AppId, id: &'a str) -> BoxFuture<'a, Result<bool, AccessKeyError>> {
        async move {
            let mut keys = self.keys();
            let before = keys.len();
            keys.retain(|(key, _)| key.app != *app || key.id != id);
            Ok(keys.len() < before)
        }
        .boxed()
    }
}
