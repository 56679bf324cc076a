//! The change feed of a namespace: what was written, in the order of revisions.
//!
//! It tells *that* a key changed, not what it holds now: whoever needs the value reads it, and gets
//! a current one. So the feed costs a few bytes for each write, whatever the values weigh. It goes
//! back a named number of writes (`watch_changes`); who lies further behind is told so, and begins
//! again from a list, whose page says from where to watch.

use super::{KvError, KvLimits};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangesOptions {
    /// Only keys that start with this; empty for all.
    pub prefix: String,
    /// Tell what has a higher revision than this, which is no higher than the newest; `None` tells nothing,
    /// and where now is.
    pub since: Option<u64>,
    /// If there is nothing to tell, wait until there may be. The wait ends with the future.
    pub wait: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangesPage {
    /// In the order of their revisions; those of one transaction are never torn apart.
    pub changes: Vec<Change>,
    /// Everything up to this revision was told: where to go on.
    pub through: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: String,
    pub kind: ChangeKind,
    /// That of the write. A deletion and an expiry have revisions of their own.
    pub revision: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Put,
    Delete,
    Expire,
}

impl ChangeKind {
    pub const ALL: [ChangeKind; 3] = [ChangeKind::Put, ChangeKind::Delete, ChangeKind::Expire];

    pub fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Put => "put",
            ChangeKind::Delete => "delete",
            ChangeKind::Expire => "expire",
        }
    }
}

/// Changes in one page, more only if one transaction has more.
pub const PAGE_CHANGES: usize = 1_000;
/// Changes of other keys that are passed over for one page.
pub const PAGE_SCANNED: usize = 20_000;

impl KvLimits {
    /// Whether a watcher that was told everything through `since` has missed nothing and will miss nothing,
    /// where everything through `floor` is forgotten and `last` is the newest revision. One that is ahead was
    /// told of writes that are no more, since a backup was put back.
    pub fn check_since(&self, since: u64, floor: u64, last: u64) -> Result<(), KvError> {
        match (floor..=last).contains(&since) {
            true => Ok(()),
            false => Err(KvError::ChangesGone { since, oldest: floor, newest: last }),
        }
    }
}
