//! What an object put in this turn and no file has yet: a key that is put again takes the place of what
//! was put before, so that a counter that many count with in one turn is one statement.
//!
//! Whoever asks the file for anything else writes this first, in the order in which keys were put first.

use bytes::Bytes;

/// Keys and bytes of values that wait at most. What waits is only worth it for keys that are put again,
/// and they are looked for one after another.
const KEYS_MAX: usize = 8;
const BYTES_MAX: usize = 16 << 10;

#[derive(Default)]
pub struct Pending {
    entries: Vec<(Box<str>, Bytes)>,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a value in; false if there is no room for it.
    pub fn put(&mut self, key: &str, value: &Bytes) -> bool {
        if value.len() > BYTES_MAX / KEYS_MAX {
            return false;
        }
        if let Some((_, waiting)) = self.entries.iter_mut().find(|(known, _)| **known == *key) {
            *waiting = value.clone();
            return true;
        }
        if self.entries.len() >= KEYS_MAX {
            return false;
        }
        self.entries.push((key.into(), value.clone()));
        true
    }

    /// What is to be written now.
    pub fn take(&mut self) -> Vec<(Box<str>, Bytes)> {
        std::mem::take(&mut self.entries)
    }

    pub fn forget(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests;
