//! What tests of several crates share: a clock that they own, mutated input, a check of histories, and
//! servers of others.
//!
//! It is a development dependency only, stays low, and knows nothing of the floors above `base`.

mod clock;
pub mod fuzz;
pub mod linear;
pub mod postgres;

pub use clock::ManualClock;
pub use postgres::PostgresServer;
