//! Maps by names of apps and routes.
//!
//! Whoever sends requests can only look such names up and adds none, and there are few of them. So their maps
//! need no hash that strangers can't foresee, which costs more than all else of a look-up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map whose keys no stranger chooses.
pub(super) type ByName<K, V> = HashMap<K, V, BuildHasherDefault<NameHasher>>;

/// FNV-1a.
#[derive(Debug, Clone, Copy)]
pub(super) struct NameHasher(u64);

impl Default for NameHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
