//! The rows that a file's puts replaced last.
//!
//! Who writes often, writes to the same keys, so that the writer most often has written the row that a
//! put replaces, and need not look for it. Only the writer changes rows. Whatever changes one
//! otherwise, or may have, takes it out of here first; it comes back once nothing of its write may fail
//! but the commit, and after a commit that failed nothing is known any more.

use std::collections::HashMap;

use super::rows::Found;

/// Rows that are remembered of one file. Beyond that, it begins anew.
const RECENT_ROWS_MAX: usize = 2_048;

/// A row, and what it is found by.
pub struct Known {
    pub namespace: i64,
    pub key: String,
    pub row: Found,
}

/// By their keys: of two namespaces that use the same one, the last.
#[derive(Default)]
pub struct Recent(HashMap<String, (i64, Found)>);

impl Recent {
    /// The row under a key, if it is known. It is forgotten.
    pub fn take(&mut self, namespace: i64, key: &str) -> Option<Known> {
        if self.0.get(key)?.0 != namespace {
            return None;
        }
        self.0.remove_entry(key).map(|(key, (namespace, row))| Known { namespace, key, row })
    }

    pub fn keep(&mut self, known: Known) {
        if self.0.len() >= RECENT_ROWS_MAX {
            self.0.clear();
        }
        self.0.insert(known.key, (known.namespace, known.row));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests;
