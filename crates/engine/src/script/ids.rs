//! Maps by the ids that an instance gives to its requests, operations and bodies.
//!
//! They are drawn in order and never of a stranger's choosing, so that what they are mixed with need
//! withstand nobody. A request looks some twenty times into such maps.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub type IdMap<T> = HashMap<u32, T, BuildHasherDefault<IdHasher>>;

/// 2^64 over the golden ratio: neighbours lie far apart in the upper bits (Knuth, The Art of
/// Computer Programming, volume 3, section 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(u32::from(byte)));
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(SPREAD);
    }

    /// A map takes its place from the lower bits, and tells what shares it by the uppermost.
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests;
