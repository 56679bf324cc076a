//! The last records, for who asks afterwards what became of a request.
//!
//! A ring in memory: a new record takes the place of the oldest, and to put one in costs a lock and a move, and no allocation. Long
//! texts of strangers are cut, so that the ring has a size. Where there is an access log, its writer puts them
//! in, and a request pays nothing for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{GuestLine, Record, Sink};

/// Longer paths, hosts and details are cut.
const TEXT_BYTES_MAX: usize = 1_024;
/// Runs of guest code that are kept of one request.
const INVOCATIONS_MAX: usize = 16;

/// A record, and its place in the order in which they were completed.
#[derive(Debug, Clone)]
pub struct Numbered {
    /// From 1.
    pub number: u64,
    pub record: Record,
}

/// Which records are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub app: Option<String>,
    /// The path begins with this.
    pub path: Option<String>,
    /// A status, or with `5xx` all of a class.
    pub status: Option<StatusFilter>,
    /// It took so long at least.
    pub slow_ms: Option<u64>,
    pub request_id: Option<String>,
    /// Only those with a higher number.
    pub after: u64,
}

/// Which statuses are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    Is(u16),
    Class(u16),
}

impl StatusFilter {
    /// `404`, or `5xx`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix("xx") {
            Some(class) => class.parse().ok().filter(|class| (1..=5).contains(class)).map(Self::Class),
            None => text.parse().ok().filter(|status| (100..=599).contains(status)).map(Self::Is),
        }
    }

    fn holds(self, status: u16) -> bool {
        match self {
            Self::Is(wanted) => status == wanted,
            Self::Class(class) => status / 100 == class,
        }
    }
}

impl Wanted {
    pub fn holds(&self, one: &Numbered) -> bool {
        let record = &one.record;
        one.number > self.after
            && self.app.as_deref().is_none_or(|app| record.app.as_deref() == Some(app))
            && self.path.as_deref().is_none_or(|path| record.path.starts_with(path))
            && self.status.is_none_or(|status| status.holds(record.status))
            && self.slow_ms.is_none_or(|ms| record.total.as_millis() >= u128::from(ms))
            && self.request_id.as_deref().is_none_or(|id| record.request_id == id)
    }
}

/// See the [module's documentation](self).
#[derive(Debug)]
pub struct Recent {
    ring: Mutex<Ring>,
    records_max: usize,
}

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<Numbered>,
    last: u64,
}

impl Recent {
    pub fn new(records_max: usize) -> Arc<Self> {
        Arc::new(Self { ring: Mutex::default(), records_max })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, mut record: Record) {
        if self.records_max == 0 {
            return;
        }
        for text in [&mut record.path, &mut record.host, &mut record.method].into_iter().chain(&mut record.detail) {
            cut(text);
        }
        record.invocations.truncate(INVOCATIONS_MAX);
        let mut ring = self.ring();
        ring.last += 1;
        let number = ring.last;
        let oldest = if ring.records.len() >= self.records_max { ring.records.pop_front() } else { None };
        ring.records.push_back(Numbered { number, record });
        drop(ring);
        drop(oldest);
    }

    /// The newest that are wanted, at most so many, in their order.
    pub fn find(&self, wanted: &Wanted, limit: usize) -> Vec<Numbered> {
        let ring = self.ring();
        let newest = ring.records.iter().rev().filter(|one| wanted.holds(one)).take(limit);
        let mut found: Vec<_> = newest.cloned().collect();
        found.reverse();
        found
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.shrink_to_fit();
    }
}

impl Sink for Recent {
    fn record(&self, record: Record) {
        self.put(record);
    }

    fn line(&self, _: GuestLine) {}
}

#[cfg(test)]
mod tests;
