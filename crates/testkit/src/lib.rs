//! What tests of several crates share: a clock that they own, mutated input, a check of histories, and later fake servers.
//!
//! It is a development dependency only, stays low, and knows nothing of the floors above `base`.

mod clock;
pub mod fuzz;
pub mod linear;

pub use clock::ManualClock;
