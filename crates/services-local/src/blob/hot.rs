//! Small blobs that were read lately, in memory: a get of one needs no statement, no key and no page
//! of the file.
//!
//! It answers only what the database would answer. A write tells which key it changes before it
//! changes it, and again when its fate is known ([`Hot::change`]); in between nothing is kept of that
//! key, so that whoever reads it asks the database. A reader takes a ticket before it asks, and what
//! it read is kept only if no write began or ended since: otherwise it may be what was there before.
//! A write whose fate stays unknown never ends in this sense, for it may show when the file is opened
//! again.
//!
//! What is kept lies on two shelves. What is read moves to the young one; when that has half of the
//! room, the old one is cleared and they change places. So there is no list to keep in order, and
//! what nobody reads is gone after one turn or two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use services::AppId;
use services::blob::BlobInfo;

/// What a kept blob takes besides its bytes and its names, about.
const OVERHEAD_BYTES: usize = 512;

pub struct Hot {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    young: Shelf,
    old: Shelf,
    /// Counts the beginnings and ends of writes.
    moves: u64,
    /// Keys that are being written, and by how many.
    changing: HashMap<(AppId, String, String), usize>,
}

/// By app, bucket and key.
#[derive(Default)]
struct Shelf {
    blobs: HashMap<AppId, HashMap<String, HashMap<String, Arc<Kept>>>>,
    bytes: usize,
}

struct Kept {
    info: BlobInfo,
    content: Bytes,
}

/// The moment at which a read began.
#[derive(Clone, Copy)]
pub struct Ticket(u64);

impl Hot {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default() }
    }

    /// The latest version of a key with its content, if it is at hand.
    pub fn get(&self, app: &AppId, bucket: &str, key: &str) -> Option<(BlobInfo, Bytes)> {
        if self.bytes_max == 0 {
            return None;
        }
        let mut state = self.lock();
        let kept = match state.young.get(app, bucket, key) {
            Some(kept) => kept.clone(),
            None => {
                let kept = state.old.take(app, bucket, key)?;
                state.put(app, bucket, kept.clone(), self.bytes_max);
                kept
            }
        };
        drop(state);
        Some((kept.info.clone(), kept.content.clone()))
    }

    /// To be taken before the database is asked.
    pub fn ticket(&self) -> Ticket {
        Ticket(self.lock().moves)
    }

    /// Keeps what was read since the ticket, if it is certain to be what is there.
    pub fn keep(&self, ticket: Ticket, app: &AppId, bucket: &str, info: &BlobInfo, content: &Bytes) {
        let kept = Kept { info: info.clone(), content: content.clone() };
        if kept.weight() > self.bytes_max / 4 {
            return;
        }
        let mut state = self.lock();
        let is_changing = || !state.changing.is_empty() && state.changing.contains_key(&place(app, bucket, &info.key));
        if state.moves == ticket.0 && !is_changing() {
            state.put(app, bucket, Arc::new(kept), self.bytes_max);
        }
    }

    /// Nothing is kept of this key until what is answered is dropped.
    pub fn change(self: &Arc<Self>, app: &AppId, bucket: &str, key: &str) -> Changing {
        let mut state = self.lock();
        state.moves += 1;
        state.young.take(app, bucket, key);
        state.old.take(app, bucket, key);
        let place = place(app, bucket, key);
        *state.changing.entry(place.clone()).or_default() += 1;
        drop(state);
        Changing { hot: self.clone(), place, is_known: true }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(app: &AppId, bucket: &str, key: &str) -> (AppId, String, String) {
    (app.clone(), bucket.to_owned(), key.to_owned())
}

/// A key that is being written.
pub struct Changing {
    hot: Arc<Hot>,
    place: (AppId, String, String),
    is_known: bool,
}

impl Changing {
    /// Nobody knows whether the write will be found when the file is opened again: its key is read
    /// from the database for good.
    pub fn stay(mut self) {
        self.is_known = false;
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        if !self.is_known {
            return;
        }
        let mut state = self.hot.lock();
        state.moves += 1;
        if let Some(writers) = state.changing.get_mut(&self.place) {
            *writers -= 1;
            if *writers == 0 {
                state.changing.remove(&self.place);
            }
        }
    }
}

impl State {
    fn put(&mut self, app: &AppId, bucket: &str, kept: Arc<Kept>, bytes_max: usize) {
        if self.young.bytes + kept.weight() > bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.put(app, bucket, kept);
    }
}

impl Shelf {
    fn get(&self, app: &AppId, bucket: &str, key: &str) -> Option<&Arc<Kept>> {
        self.blobs.get(app)?.get(bucket)?.get(key)
    }

    fn take(&mut self, app: &AppId, bucket: &str, key: &str) -> Option<Arc<Kept>> {
        let kept = self.blobs.get_mut(app)?.get_mut(bucket)?.remove(key)?;
        self.bytes -= kept.weight();
        Some(kept)
    }

    fn put(&mut self, app: &AppId, bucket: &str, kept: Arc<Kept>) {
        self.take(app, bucket, &kept.info.key);
        self.bytes += kept.weight();
        let buckets = self.blobs.entry(app.clone()).or_default();
        let keys = match buckets.get_mut(bucket) {
            Some(keys) => keys,
            None => buckets.entry(bucket.to_owned()).or_default(),
        };
        keys.insert(kept.info.key.clone(), kept);
    }
}

impl Kept {
    fn weight(&self) -> usize {
        let pairs = self.info.custom.iter().chain(&self.info.tags);
        let metadata: usize = pairs.map(|(name, value)| name.len() + value.len()).sum();
        OVERHEAD_BYTES + self.content.len() + 2 * self.info.key.len() + metadata
    }
}

#[cfg(test)]
mod tests;
