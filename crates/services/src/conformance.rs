//! Each contract's promises as tests. Every provider runs them, the memory model included; random
//! sequences of operations are compared with the memory model.
//!
//! A function panics at the first promise that does not hold. Durability is not here: what
//! survives a crash is for a provider's own crash tests to show.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use base::Clock;

mod access_key;
mod artifact;
mod blob;
mod blob_model;
mod blob_reads;
mod kv;
mod kv_model;
mod kv_more;
mod object;
mod object_past;
mod postgres;
mod release;
mod secret;
mod secret_model;
mod sequences;
mod sql;
mod sql_feed;
mod usage;

pub use access_key::access_keys;
pub use artifact::artifacts;
pub use blob::blobs;
pub use kv::kv;
pub use kv_more::{kv_limits, small_limits};
pub use object::objects;
pub use postgres::{PostgresSubject, postgres};
pub use release::releases;
pub use secret::secrets;
pub use sequences::random;
pub use sql::sql;

/// A fresh, empty provider, and the clock that it reads.
pub struct Subject<P> {
    pub provider: Arc<P>,
    pub clock: Arc<dyn Clock>,
    /// Moves the clock forward by so many milliseconds.
    pub advance: Box<dyn Fn(u64)>,
    /// What must live as long as the provider, such as its directory.
    pub keep: Box<dyn Any>,
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers needs nothing").block_on(future)
}
