//! URLs whose response was for one alone just now: nobody waits for another's fetch of such a one.
//!
//! What is remembered is a guess that saves waiting, and no more than that. A stranger can make many a response
//! one for himself alone, so it never keeps a response from being validated or stored: whoever goes alone stores
//! what may be stored, and with that the URL is forgotten here. And what lies in a request (`Authorization`) says
//! something only about requests of that kind.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cache::Key;

/// For how long a URL is remembered.
const ALONE_MS: u64 = 10_000;
/// URLs that are remembered; they are all forgotten when there are more.
const ALONE_MAX: usize = 10_000;

/// Requests for a URL that a response says something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whom {
    All,
    /// Those with `Authorization`.
    Authorized,
}

impl Whom {
    pub fn of(authorized: bool) -> Self {
        if authorized { Self::Authorized } else { Self::All }
    }
}

/// Until when they go alone, in milliseconds of Unix time.
#[derive(Default)]
pub(super) struct Alone(Mutex<HashMap<Key, Until>>);

#[derive(Default, Clone, Copy)]
struct Until {
    all: u64,
    authorized: u64,
}

impl Alone {
    fn urls(&self) -> MutexGuard<'_, HashMap<Key, Until>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether such a request asks without waiting for others.
    pub fn goes(&self, key: &Key, whom: Whom, now_ms: u64) -> bool {
        let until = self.urls().get(key).copied().unwrap_or_default();
        until.all > now_ms || (whom == Whom::Authorized && until.authorized > now_ms)
    }

    pub fn remember(&self, key: &Key, whom: Whom, now_ms: u64) {
        let mut urls = self.urls();
        if urls.len() >= ALONE_MAX {
            urls.clear();
        }
        let until = urls.entry(key.clone()).or_default();
        match whom {
            Whom::All => until.all = now_ms + ALONE_MS,
            Whom::Authorized => until.authorized = now_ms + ALONE_MS,
        }
    }

    /// Its response is for all after all.
    pub fn forget(&self, key: &Key) {
        let mut urls = self.urls();
        if let Some(until) = urls.get_mut(key) {
            until.all = 0;
            if until.authorized == 0 {
                urls.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
