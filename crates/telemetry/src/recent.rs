//! The last records, for who asks afterwards what became of a request.
//!
//! A ring in memory: a new record takes the place of the oldest. Its texts are copied into the memory that the
//! texts of the old one had, in one piece: to free what was written a thousand requests ago would mean to wait
//! for memory that no cache holds any more, once for each text, and that is more than everything else here costs.
//! Long texts of strangers are cut, so that the ring has a size. Where there is an access log, its writer puts
//! them in, and a request pays nothing for it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{GuestLine, Record, Sink};

/// Longer paths, hosts and details are cut.
const TEXT_BYTES_MAX: usize = 1_024;
/// Memory for texts that a place keeps for the next record. Most need less.
const TEXT_BYTES_KEPT: usize = 512;

/// A record without its runs of guest code, and its place in the order in which they were completed.
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
    fn holds(&self, place: &Place) -> bool {
        let record = &place.record;
        place.number > self.after
            && self.app.as_deref().is_none_or(|app| record.app.as_deref() == Some(app))
            && self.path.as_deref().is_none_or(|path| place.text(PATH).starts_with(path))
            && self.status.is_none_or(|status| status.holds(record.status))
            && self.slow_ms.is_none_or(|ms| record.total.as_millis() >= u128::from(ms))
            && self.request_id.as_deref().is_none_or(|id| place.text(REQUEST_ID) == id)
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
    /// In the order of their numbers from `next` on, once there are as many as there may be.
    places: Vec<Place>,
    next: usize,
    last: u64,
}

/// Where one record is kept.
#[derive(Debug, Default)]
struct Place {
    number: u64,
    /// Without its texts, and without anything else that is memory of its own.
    record: Record,
    /// Its texts, one behind the other.
    text: String,
    /// Where each of them ends.
    ends: [usize; TEXTS],
}

/// Which text is which.
const REQUEST_ID: usize = 0;
const METHOD: usize = 1;
const HOST: usize = 2;
const PATH: usize = 3;
const CACHE: usize = 4;
const DETAIL: usize = 5;
const TEXTS: usize = 6;

impl Place {
    /// Puts a record here. Its texts stay with whoever has it; those that are constants are kept as they are.
    fn put(&mut self, number: u64, from: &mut Record) {
        // All of its fields, so that none that is new is forgotten.
        let Record {
            started_unix_ms,
            request_id,
            trace,
            app,
            deployment,
            route,
            target,
            server,
            tries,
            cache,
            ttl_s,
            client,
            method,
            host,
            path,
            protocol,
            status,
            request_bytes,
            response_bytes,
            head,
            total,
            admission_wait,
            code,
            detail,
            invocations: _,
            steps: _,
        } = from;
        let (cache_text, constant) = match cache {
            Cow::Owned(text) => (&text[..], ""),
            Cow::Borrowed(constant) => ("", *constant),
        };
        let texts = [request_id, method, host, path, cache_text, detail.as_deref().unwrap_or_default()];
        self.number = number;
        self.text.clear();
        self.text.shrink_to(TEXT_BYTES_KEPT);
        for (text, end) in texts.into_iter().zip(&mut self.ends) {
            self.text.push_str(&text[..text.floor_char_boundary(TEXT_BYTES_MAX)]);
            *end = self.text.len();
        }
        let record = &mut self.record;
        record.started_unix_ms = *started_unix_ms;
        record.trace = *trace;
        record.app = app.take();
        record.deployment = deployment.take();
        record.route = route.take();
        record.target = target.take();
        record.server = server.take();
        record.tries = *tries;
        record.cache = Cow::Borrowed(constant);
        record.ttl_s = *ttl_s;
        record.client = *client;
        record.protocol = protocol;
        record.status = *status;
        (record.request_bytes, record.response_bytes) = (*request_bytes, *response_bytes);
        (record.head, record.total, record.admission_wait) = (*head, *total, *admission_wait);
        record.code = *code;
        record.detail = detail.is_some().then(String::new);
    }

    fn text(&self, which: usize) -> &str {
        let start = which.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start..self.ends[which]).unwrap_or_default()
    }

    fn read(&self) -> Numbered {
        let mut record = self.record.clone();
        let text = |which| self.text(which).to_owned();
        record.request_id = text(REQUEST_ID);
        record.method = text(METHOD);
        record.host = text(HOST);
        record.path = text(PATH);
        record.detail = record.detail.map(|_| text(DETAIL));
        if !self.text(CACHE).is_empty() {
            record.cache = text(CACHE).into();
        }
        Numbered { number: self.number, record }
    }
}

impl Recent {
    pub fn new(records_max: usize) -> Arc<Self> {
        Arc::new(Self { ring: Mutex::default(), records_max })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn put(&self, record: &mut Record) {
        if self.records_max == 0 {
            return;
        }
        let mut ring = self.ring();
        let Ring { places, next, last } = &mut *ring;
        *last += 1;
        if places.len() < self.records_max {
            places.push(Place::default());
        }
        places[*next].put(*last, record);
        *next = (*next + 1) % self.records_max;
    }

    /// The newest that are wanted, at most so many, in their order.
    pub fn find(&self, wanted: &Wanted, limit: usize) -> Vec<Numbered> {
        let ring = self.ring();
        let (newer, older) = ring.places.split_at(ring.next.min(ring.places.len()));
        let newest = newer.iter().rev().chain(older.iter().rev()).filter(|place| wanted.holds(place)).take(limit);
        let mut found: Vec<_> = newest.map(Place::read).collect();
        found.reverse();
        found
    }
}

impl Sink for Recent {
    fn record(&self, mut record: Record) {
        self.put(&mut record);
    }

    fn take(&self, record: &mut Record) {
        self.put(record);
    }

    fn line(&self, _: GuestLine) {}
}

#[cfg(test)]
mod tests;
