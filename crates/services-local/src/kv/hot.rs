//! Small values that were read lately, in memory: a get of one needs no statement and no file.
//!
//! It answers only what the database would answer. A write tells which key it changes before it is
//! committed, and again when its fate is known ([`Hot::change`]); in between nothing is kept of that
//! key, so that whoever reads it asks the database. A reader takes a ticket before it asks, and what
//! it read is kept only if no write began or ended since: otherwise it may be what was there before.
//!
//! Keys are known by a hash that nobody outside can foresee. It chooses the part of the memory, each
//! with a lock of its own, and the stripe by which writes and tickets meet: a write of a key that
//! shares one only makes a reader's find be forgotten. What is kept has its names beside it, and two
//! keys of one hash take each other's place.
//!
//! What is kept lies on two shelves. What is read moves to the young one; when that has half of the
//! room, the old one is cleared and they change places.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{AppName, Body, Clock, ResourceName, TenantName};
use bytes::Bytes;
use services::{AppId, KvEntry, KvNamespace};

/// Powers of two.
const PARTS: usize = 16;
const STRIPES: usize = 64;
/// What a kept value takes besides its bytes and its key, about.
const OVERHEAD_BYTES: usize = 256;

pub struct Hot {
    /// Of one part.
    bytes_max: usize,
    hashes: RandomState,
    parts: Box<[Mutex<Part>]>,
}

struct Part {
    young: Shelf,
    old: Shelf,
    stripes: [Stripe; STRIPES],
}

/// How many writes of its keys began, and how many ended.
#[derive(Clone, Copy, Default)]
struct Stripe {
    begun: u64,
    ended: u64,
}

#[derive(Default)]
struct Shelf {
    values: HashMap<u64, Kept, BuildHasherDefault<Hashed>>,
    bytes: usize,
}

struct Kept {
    namespace: KvNamespace,
    key: Box<str>,
    value: Bytes,
    metadata: Option<Box<str>>,
    expires_at_ms: Option<u64>,
    revision: u64,
}

/// Where a key would be kept, and how many writes there had been when its read began.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    hash: u64,
    begun: u64,
}

/// A key that is being written, until this is dropped.
pub struct Changing {
    hot: Arc<Hot>,
    hash: u64,
}

impl Hot {
    pub fn new(bytes_max: usize) -> Self {
        let part = || Part { young: Shelf::default(), old: Shelf::default(), stripes: [Stripe::default(); STRIPES] };
        let parts = (0..PARTS).map(|_| Mutex::new(part())).collect();
        Self { bytes_max: bytes_max / PARTS, hashes: RandomState::new(), parts }
    }

    /// The entry, if it is at hand. If not, the database is to be asked, and with a ticket what it
    /// answers may be kept.
    pub fn get(&self, ns: &KvNamespace, key: &str, clock: &dyn Clock) -> Result<KvEntry, Option<Ticket>> {
        if self.bytes_max == 0 {
            return Err(None);
        }
        let hash = self.hash(&ns.tenant, &ns.app, &ns.name, key);
        let mut part = self.part(hash);
        if let Some(kept) = part.young.values.get(&hash)
            && kept.is_current(ns, key, clock)
        {
            return Ok(kept.entry());
        }
        if let Some(kept) = part.old.take(hash)
            && kept.is_current(ns, key, clock)
        {
            let entry = kept.entry();
            part.put(hash, kept, self.bytes_max);
            return Ok(entry);
        }
        let Stripe { begun, ended } = *part.stripe(hash);
        Err((begun == ended).then_some(Ticket { hash, begun }))
    }

    /// Keeps what was read since the ticket, if it is certain to be what is there. `value` is that of
    /// the entry.
    pub fn keep(&self, ticket: Ticket, ns: &KvNamespace, key: &str, entry: &KvEntry, value: &Bytes) {
        let kept = Kept {
            namespace: ns.clone(),
            key: key.into(),
            value: value.clone(),
            metadata: entry.metadata.as_deref().map(Into::into),
            expires_at_ms: entry.expires_at_ms,
            revision: entry.revision,
        };
        let mut part = self.part(ticket.hash);
        let Stripe { begun, ended } = *part.stripe(ticket.hash);
        if begun == ticket.begun && ended == begun && kept.weight() <= self.bytes_max / 4 {
            part.put(ticket.hash, kept, self.bytes_max);
        }
    }

    /// Nothing is kept of this key until what is answered is dropped.
    pub fn change(self: &Arc<Self>, app: &AppId, name: &ResourceName, key: &str) -> Changing {
        let hash = self.hash(&app.tenant, &app.app, name, key);
        let mut part = self.part(hash);
        part.stripe(hash).begun += 1;
        part.young.take(hash);
        part.old.take(hash);
        drop(part);
        Changing { hot: self.clone(), hash }
    }

    fn hash(&self, tenant: &TenantName, app: &AppName, name: &ResourceName, key: &str) -> u64 {
        self.hashes.hash_one((tenant, app, name, key))
    }

    /// By bits from the middle, for a map takes its places from the lower and the uppermost ones.
    fn part(&self, hash: u64) -> MutexGuard<'_, Part> {
        self.parts[(hash >> 40) as usize % PARTS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        self.hot.part(self.hash).stripe(self.hash).ended += 1;
    }
}

impl Part {
    fn stripe(&mut self, hash: u64) -> &mut Stripe {
        &mut self.stripes[(hash >> 48) as usize % STRIPES]
    }

    fn put(&mut self, hash: u64, kept: Kept, bytes_max: usize) {
        if self.young.bytes + kept.weight() > bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.take(hash);
        self.young.bytes += kept.weight();
        self.young.values.insert(hash, kept);
    }
}

impl Shelf {
    fn take(&mut self, hash: u64) -> Option<Kept> {
        let kept = self.values.remove(&hash)?;
        self.bytes -= kept.weight();
        Some(kept)
    }
}

impl Kept {
    fn is_current(&self, ns: &KvNamespace, key: &str, clock: &dyn Clock) -> bool {
        *self.key == *key && self.namespace == *ns && self.expires_at_ms.is_none_or(|at| clock.unix_ms() < at)
    }

    fn entry(&self) -> KvEntry {
        KvEntry {
            value: Body::full(self.value.clone()),
            size: self.value.len() as u64,
            metadata: self.metadata.as_deref().map(str::to_owned),
            expires_at_ms: self.expires_at_ms,
            revision: self.revision,
        }
    }

    fn weight(&self) -> usize {
        OVERHEAD_BYTES + self.key.len() + self.value.len() + self.metadata.as_deref().map_or(0, str::len)
    }
}

/// Hands on what is a hash already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
