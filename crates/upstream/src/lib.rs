//! The policy behind an upstream: which of its targets gets a request, whether a failed one goes out
//! again, and when it is better to send nothing at all.
//!
//! Everything here is a function of (state, input, now): it opens no connection, reads no clock, rolls
//! no dice and waits for nothing. The edge owns the sockets; it asks [`Pool::begin`] where a request
//! goes and tells [`Pool::judge`] what came of it. That is why this is a crate of its own and not a
//! module of the edge: years of outages can be played in a test within a second.
//!
//! - [`target`]: a target's states: healthy, ejected, tried again, warming, down.
//! - [`balance`]: who of those that may be used gets the request.
//! - [`budget`]: how many requests may go out again ([`retry`] says which).
//! - [`breaker`]: when the errors of all targets together say that none should be asked.
//! - [`gradient`]: how many requests at once a target answers without growing slower.
//! - [`latency`]: what is late, for a second request beside the first.
//!
//! It does not know HTTP beyond a status: what identifies a client or a key is hashed by the caller.

pub mod balance;
pub mod breaker;
pub mod budget;
pub mod gradient;
pub mod latency;
pub mod pool;
pub mod retry;
pub mod set;
pub mod target;

pub use balance::{Balance, hash};
pub use breaker::BreakerSettings;
pub use budget::BudgetSettings;
pub use gradient::GradientSettings;
pub use pool::{Ask, Begin, Pick, Pool, PoolSettings, PoolView, Refusal, TargetSettings, TargetView};
pub use retry::{Outcome, Retry};
pub use set::Set;
pub use target::{State, TargetPolicy};

/// Targets that one pool may have: their set is a word of the machine.
pub const TARGETS_MAX: usize = 64;
