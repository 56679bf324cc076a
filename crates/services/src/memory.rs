//! The memory model of each contract: the simplest thing that keeps its promises.
//!
//! It is the oracle that providers are compared with, and what tests of higher floors run on. It
//! is not a provider for production: nothing outlives the process, and receipts say so
//! ([`Durability::Memory`](crate::Durability::Memory)).

mod artifact;
mod care;
mod kv;
mod object;
mod release;
mod secret;

pub use artifact::MemoryArtifacts;
pub use care::MemoryCare;
pub use kv::{KvSnapshot, MemoryKv};
pub use object::MemoryObjects;
pub use release::MemoryReleases;
pub use secret::MemorySecrets;

#[cfg(test)]
mod tests;
