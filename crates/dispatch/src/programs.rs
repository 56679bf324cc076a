//! The loaded programs of the node: at most `loaded_images`, the least recently used goes first.
//!
//! A core that has instances of a program holds it too, so what goes from here is unmapped only
//! once no core needs it.

use std::collections::{BTreeMap, HashMap};

/// A map that forgets what was used least recently.
pub(crate) struct Recent<V> {
    entries_max: usize,
    tick: u64,
    entries: HashMap<u64, (u64, V)>,
    order: BTreeMap<u64, u64>,
}

impl<V> Recent<V> {
    pub fn new(entries_max: usize) -> Self {
        Self { entries_max: entries_max.max(1), tick: 0, entries: HashMap::new(), order: BTreeMap::new() }
    }

    /// The value, which counts as a use.
    pub fn get(&mut self, key: u64) -> Option<&V> {
        let (used, value) = self.entries.get_mut(&key)?;
        self.order.remove(used);
        self.tick += 1;
        *used = self.tick;
        self.order.insert(self.tick, key);
        Some(value)
    }

    /// Answers what had to go for it.
    pub fn insert(&mut self, key: u64, value: V) -> Vec<V> {
        let mut gone: Vec<V> = self.remove(key).into_iter().collect();
        self.tick += 1;
        self.entries.insert(key, (self.tick, value));
        self.order.insert(self.tick, key);
        while self.entries.len() > self.entries_max {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            gone.extend(self.entries.remove(&oldest).map(|(_, value)| value));
        }
        gone
    }

    pub fn remove(&mut self, key: u64) -> Option<V> {
        let (used, value) = self.entries.remove(&key)?;
        self.order.remove(&used);
        Some(value)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests;
