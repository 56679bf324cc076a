//! Purges, and what they mean for a response that is on its way into the store.
//!
//! A purge is about what was asked of the origin before it. What is stored is easily found; what is
//! still arriving is not, and would lie in the store after the purge as if it were news. So whoever
//! fetches takes a [`Ticket`] first, and a purge that was made since is held against the response
//! before it is stored. Purges are remembered only as long as somebody holds a ticket from before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::Key;
use crate::tags::Tags;

/// Purges that are remembered. Who fetched since before the first of more than these stores nothing.
const REMEMBERED_MAX: usize = 4_096;

/// What of an app's responses is purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purged {
    /// Everything under one URL, in all caches of the app.
    Url(Arc<str>),
    /// Everything whose URL begins so.
    Prefix(Arc<str>),
    /// Everything that has this tag.
    Tag(Arc<str>),
    All,
    /// One entry.
    Entry {
        cache: Option<Arc<str>>,
        url: Arc<str>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    pub app: Arc<str>,
    pub what: Purged,
    /// When it is made, if what it finds is not removed but is stale from then on.
    pub stale_at_ms: Option<u64>,
    /// Whether it has to survive the loss of power, as what an operator asks for has.
    pub durable: bool,
}

impl Purge {
    /// Whether it is about this key, as far as the key can tell.
    pub fn hits_key(&self, key: &Key) -> bool {
        *self.app == *key.app
            && match &self.what {
                Purged::Url(url) => key.page() == &**url,
                Purged::Prefix(prefix) => key.url.starts_with(&**prefix),
                Purged::All | Purged::Tag(_) => true,
                Purged::Entry { cache, url } => key.cache == *cache && key.url == *url,
            }
    }

    pub fn hits_tags(&self, tags: &Tags) -> bool {
        match &self.what {
            Purged::Tag(tag) => tags.contains(tag),
            _ => true,
        }
    }
}

/// What purges say of a response that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    /// It has been stale since.
    Stale {
        at_ms: u64,
    },
    /// It is not stored.
    Drop,
}

/// The purges that matter to somebody.
#[derive(Debug, Default)]
pub struct Purges(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    made: u64,
    /// With their numbers, in order.
    remembered: VecDeque<(u64, Purge)>,
    /// How many tickets there are from after so many purges.
    tickets: BTreeMap<u64, usize>,
    /// Purges up to this number are forgotten although they mattered.
    forgotten: u64,
}

impl State {
    fn forget(&mut self) {
        let oldest = self.tickets.keys().next().copied().unwrap_or(self.made);
        while self.remembered.front().is_some_and(|(number, _)| *number <= oldest) {
            self.remembered.pop_front();
        }
        while self.remembered.len() > REMEMBERED_MAX {
            self.forgotten = self.remembered.pop_front().map_or(self.forgotten, |(number, _)| number);
        }
    }
}

/// What was asked of an origin at a moment.
#[derive(Debug)]
pub struct Ticket {
    purges: Arc<Purges>,
    since: u64,
}

impl Purges {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the origin is asked.
    pub fn ticket(self: &Arc<Self>) -> Ticket {
        let mut state = self.state();
        let since = state.made;
        *state.tickets.entry(since).or_default() += 1;
        Ticket { purges: self.clone(), since }
    }

    /// From now on, no response from before is stored without being held against this.
    pub fn record(&self, purge: Purge) {
        let mut state = self.state();
        state.made += 1;
        let number = state.made;
        state.remembered.push_back((number, purge));
        state.forget();
    }
}

impl Ticket {
    pub fn verdict(&self, key: &Key, tags: &Tags) -> Verdict {
        let state = self.purges.state();
        if state.forgotten > self.since {
            return Verdict::Drop;
        }
        let mut verdict = Verdict::Keep;
        let later = state.remembered.iter().filter(|(number, _)| *number > self.since);
        for (_, purge) in later.filter(|(_, purge)| purge.hits_key(key) && purge.hits_tags(tags)) {
            match (purge.stale_at_ms, verdict) {
                (None, _) => return Verdict::Drop,
                (Some(at_ms), Verdict::Keep) => verdict = Verdict::Stale { at_ms },
                (Some(_), _) => {}
            }
        }
        verdict
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.purges.state();
        if let Some(count) = state.tickets.get_mut(&self.since) {
            *count -= 1;
            if *count == 0 {
                state.tickets.remove(&self.since);
                state.forget();
            }
        }
    }
}

#[cfg(test)]
mod tests;
