//! What an object read and wrote last: to read it again asks no file.
//!
//! A read from SQLite is a transaction, which locks and unlocks the file; one from here is a look into
//! a table. The object's owner is the only one who writes its keys, so what the owner has seen holds,
//! until it is undone: then all is forgotten. So it is when there is no room for more, for what an
//! object goes on with is at hand again after its next read.

use std::collections::HashMap;

use bytes::Bytes;

/// Bytes of an entry beside its key and its value.
const ENTRY_BYTES: usize = 64;

pub struct Recent {
    /// What is stored under a key; nothing under one that is known not to be there.
    entries: HashMap<Box<str>, Option<Bytes>>,
    bytes: usize,
    bytes_max: usize,
}

impl Recent {
    pub fn new(bytes_max: usize) -> Self {
        Self { entries: HashMap::new(), bytes: 0, bytes_max }
    }

    /// `None` if it is not known here what is stored.
    pub fn get(&self, key: &str) -> Option<Option<Bytes>> {
        self.entries.get(key).cloned()
    }

    /// This is what is stored from now on.
    pub fn note(&mut self, key: &str, value: Option<Bytes>) {
        let bytes = ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Bytes::len);
        match self.entries.get_mut(key) {
            Some(known) => {
                let before = ENTRY_BYTES + key.len() + known.as_ref().map_or(0, Bytes::len);
                self.bytes = self.bytes - before + bytes;
                *known = value;
                if self.bytes > self.bytes_max {
                    self.forget_all();
                }
            }
            None => {
                if self.bytes + bytes > self.bytes_max {
                    self.forget_all();
                }
                if bytes <= self.bytes_max {
                    self.bytes += bytes;
                    self.entries.insert(key.into(), value);
                }
            }
        }
    }

    pub fn forget_all(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests;
