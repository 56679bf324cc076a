//! The engine from outside: artifacts and events in, responses and records out.

mod components;
mod crypto;
mod fixture;
mod limits;
mod scripts;
