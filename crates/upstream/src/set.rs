//! A set of targets, by their position.

use crate::TARGETS_MAX;

/// Positions below [`TARGETS_MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Set(u64);

impl Set {
    pub const NOBODY: Self = Self(0);

    pub fn insert(&mut self, at: usize) {
        assert!(at < TARGETS_MAX, "a pool has at most {TARGETS_MAX} targets");
        self.0 |= 1 << at;
    }

    pub fn contains(self, at: usize) -> bool {
        at < TARGETS_MAX && self.0 >> at & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Those that are not in the other.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            Some(at)
        })
    }
}

impl FromIterator<usize> for Set {
    fn from_iter<I: IntoIterator<Item = usize>>(positions: I) -> Self {
        let mut set = Self::default();
        positions.into_iter().for_each(|at| set.insert(at));
        set
    }
}
