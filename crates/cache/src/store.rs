//! Where responses are kept.

use std::sync::Arc;

use base::{Code, code};
use futures_util::future::BoxFuture;

use crate::purge::Purge;
use crate::stored::Stored;

/// Responses to one URL that vary by the request: at most so many; one more displaces the oldest.
pub const VARIANTS_MAX: usize = 16;

/// What one URL has in one cache.
pub type Variants = Arc<[Arc<Stored>]>;

/// Keys that one question answers.
pub const KEYS_MAX: usize = 64;

/// Names what is stored: responses to GET requests for one URL, in one cache of one app.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub app: Arc<str>,
    /// `None` for the default cache, which is none of the named ones.
    pub cache: Option<Arc<str>>,
    /// Absolute, without a fragment. After a space, which no URL has, may follow what else of a request
    /// its key is made of.
    pub url: Arc<str>,
}

impl Key {
    /// The URL alone.
    pub fn page(&self) -> &str {
        page(&self.url)
    }

    /// What it takes up, in bytes; its app is shared by many.
    pub fn bytes(&self) -> usize {
        self.url.len() + self.cache.as_ref().map_or(0, |name| name.len())
    }
}

/// The URL of a key's text.
pub fn page(url: &str) -> &str {
    url.split_once(' ').map_or(url, |(page, _)| page)
}

/// What is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    pub entries: u64,
    pub bytes: u64,
}

/// What is stored, where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub memory: Amount,
    /// What is in memory is mostly on the disk too.
    pub disk: Option<Amount>,
}

/// Keeps responses for a while.
///
/// # Promises
///
/// 1. **Isolation.** Keys that differ in app, cache or URL share nothing but space.
/// 2. **It may forget.** An entry can be gone at any time; nothing here is durable.
/// 3. **It never invents.** What is found under a key was put there, whole, and unchanged.
/// 4. **Order.** A get that begins after a put was acknowledged finds that response, or a later one
///    of the same variant, or nothing of that variant; after a delete, nothing that was put before.
/// 5. **Variants.** A put replaces the response with equal [`Stored::vary`] and leaves the others, up
///    to [`VARIANTS_MAX`] in all; the one stored longest ago makes room.
/// 6. **Bounds.** A response that is larger than the store's limit for one is refused, and changes
///    nothing. All together stay within the store's capacity, but for what is being put.
/// 7. **No judgement.** Freshness is not looked at: a stale response is found like any other.
/// 8. **Cancellation.** Dropping the future of a put, delete or purge leaves it done or not done.
/// 9. **Purge.** A get that begins after a purge was acknowledged finds nothing that was put before it
///    and that the purge is about, or finds it stale, if that is what the purge asked for. What the
///    purge is not about stays. It holds after a restart, and one that is [`Purge::durable`] after the
///    loss of power.
pub trait Store: Send + Sync + 'static {
    /// All variants under a key, in no order.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Variants, StoreError>>;

    /// The same, from what is at hand; `None` if there is nothing, or that takes a wait to know.
    fn at_hand(&self, _key: &Key) -> Option<Variants> {
        None
    }

    fn put(&self, key: Key, response: Stored) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes all variants. True if there was one.
    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Says that an entry answered a request without having been asked for here. A store may make of it
    /// what it likes.
    fn used(&self, _key: &Key) {}

    /// Removes what a purge is about, or makes it stale. How many responses that were.
    fn purge<'a>(&'a self, purge: &'a Purge) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// The keys of an app with this URL, at most [`KEYS_MAX`].
    fn keys<'a>(&'a self, app: &'a str, url: &'a str) -> BoxFuture<'a, Result<Vec<Key>, StoreError>>;

    /// What an app has, or all together.
    fn usage<'a>(&'a self, app: Option<&'a str>) -> BoxFuture<'a, Result<Usage, StoreError>>;

    /// The largest response that it takes, in bytes of its body.
    fn body_bytes_max(&self) -> usize;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the response has {bytes} bytes; the cache takes {max} (cache_entry_bytes)")]
    TooLarge { bytes: usize, max: usize },
    #[error("the cache failed: {0}")]
    Failed(String),
    /// More is on its way into it than it can take.
    #[error("the cache is busy: {0}")]
    Busy(String),
}

impl StoreError {
    pub fn code(&self) -> Code {
        match self {
            StoreError::TooLarge { .. } => &code::VALUE_TOO_LARGE,
            StoreError::Failed(_) => &code::STORE_FAILED,
            StoreError::Busy(_) => &code::NODE_OVERLOADED,
        }
    }
}
