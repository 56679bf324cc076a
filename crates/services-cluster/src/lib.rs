//! Providers that are clients of engines which run elsewhere: PostgreSQL. Their protocols are spoken
//! here and nowhere else.
//!
//! It knows no manifest, no guest and no quota, and opens no connection itself: how a machine is
//! reached, with what TLS, is a [`Network`] that the binary hands in, so that one connector judges every
//! address that leaves the node. On the path of a request it is step 7's far end.

pub mod network;
pub mod postgres;

pub use network::{Check, Link, LinkError, Network, Stream};
pub use postgres::{PostgresPools, PostgresUsage};
