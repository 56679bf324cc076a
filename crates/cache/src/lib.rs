//! HTTP caching (RFC 9111): the policy as pure functions, the contract of a store, and the store in
//! memory.
//!
//! The policy is that of a shared cache. [`admit`] says whether a response may be stored and for how
//! long it is fresh; [`select`] finds the stored response that fits a request and is fresh now;
//! [`answer`] makes of it the response that goes out, after preconditions and ranges. None of them
//! waits, reads a clock, or knows where responses are kept. A [`Store`] keeps them, and judges
//! nothing.
//!
//! It is not a proxy: it sends no request, and does not know who asks. On the path of a request it
//! serves `caches` in scripts (through `worker::Env`, step 7), and the edge in front of upstreams
//! (steps 5 and 8), whose questions stand in `proxy`.

mod admit;
mod answer;
mod codec;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod content;
mod control;
mod encoding;
mod key;
mod memory;
mod part;
mod proxy;
mod purge;
mod responses;
mod store;
mod stored;
mod tags;
mod tiered;
mod vary;

#[cfg(test)]
mod fuzz;

pub use admit::{Heuristic, Refusal, admit};
pub use answer::{Answer, answer};
pub use content::{Content, Held};
pub use control::CacheControl;
pub use encoding::{
    COMPRESSED_BYTES_MAX, COMPRESSED_BYTES_MIN, Coding, compressible, encode_header, may_encode, negotiate,
    recode_header, reduce_encodings, vary_by_encoding,
};
pub use key::{KeyRule, QueryRule, device};
pub use memory::{MemoryStore, MemoryStoreLimits};
pub use part::{Gap, Parts, Span, admit_part, answer_parts};
pub use proxy::{
    Asked, Reuse, Trouble, admit_proxied, for_one, invalidated, renewed, reuse, reuse_where, set_validators, updated,
    usable_in_trouble,
};
pub use purge::{Purge, Purged, Purges, Ticket, Verdict};
pub use responses::{Kept, Responses};
pub use store::{Amount, KEYS_MAX, Key, Store, StoreError, Usage, VARIANTS_MAX, Variants, page};
pub use stored::{Stored, Terms};
pub use tags::{TAG_BYTES_MAX, TAGS_MAX, Tags};
pub use tiered::Tiered;
pub use vary::{Vary, VaryValues};

use std::sync::Arc;

use http::HeaderMap;

/// The stored response that answers a request with these headers: of those that match it and are
/// fresh at `now_ms`, the youngest (RFC 9111, sections 4 and 4.1).
pub fn select<'a>(variants: &'a [Arc<Stored>], request: &HeaderMap, now_ms: u64) -> Option<&'a Arc<Stored>> {
    variants
        .iter()
        .filter(|stored| stored.vary.matches(request) && stored.is_fresh(now_ms))
        .max_by_key(|stored| stored.stored_at_ms)
}
