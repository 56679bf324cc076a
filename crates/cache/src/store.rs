//! Where responses are kept.

use std::sync::Arc;

use base::{Code, code};
use futures_util::future::BoxFuture;

use crate::stored::Stored;

/// Responses to one URL that vary by the request: at most so many; one more displaces the oldest.
pub const VARIANTS_MAX: usize = 16;

/// What one URL has in one cache.
pub type Variants = Arc<[Arc<Stored>]>;

/// Names what is stored: responses to GET requests for one URL, in one cache of one app.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub app: Arc<str>,
    /// `None` for the default cache, which is none of the named ones.
    pub cache: Option<Arc<str>>,
    /// Absolute, without a fragment.
    pub url: Arc<str>,
}

impl Key {
    /// What it takes up, in bytes; its app is shared by many.
    pub fn bytes(&self) -> usize {
        self.url.len() + self.cache.as_ref().map_or(0, |name| name.len())
    }
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
/// 8. **Cancellation.** Dropping the future of a put or delete leaves it done or not done.
pub trait Store: Send + Sync + 'static {
    /// All variants under a key, in no order.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Variants, StoreError>>;

    fn put(&self, key: Key, response: Stored) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes all variants. True if there was one.
    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// The largest response that it takes, in bytes of its body.
    fn body_bytes_max(&self) -> usize;
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the response has {bytes} bytes; the cache takes {max} (cache_entry_bytes)")]
    TooLarge { bytes: usize, max: usize },
    #[error("the cache failed: {0}")]
    Failed(String),
}

impl StoreError {
    pub fn code(&self) -> Code {
        match self {
            StoreError::TooLarge { .. } => &code::VALUE_TOO_LARGE,
            StoreError::Failed(_) => &code::STORE_FAILED,
        }
    }
}
