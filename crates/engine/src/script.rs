//! Scripts: JavaScript on QuickJS-ng, which itself is a WebAssembly module.
//!
//! One code module is compiled per node and shared by all scripts; a deployment is an image of
//! memory ([`image`]), made by evaluating its modules once ([`prepare`]). A [`sandbox`] is the two
//! linked together. The host drives it: an [`instance`] enters with one event at a time, the guest
//! runs it and all jobs that follow, and what it asked for meanwhile ([`guest::Effect`]) is carried
//! out afterwards ([`operations`]). So many requests are in flight in one instance, and nothing
//! ever waits inside the guest.

mod abi;
mod ask;
mod blobs;
mod codec;
mod coding;
mod compression;
#[cfg(test)]
mod fuzz;
mod guest;
mod held;
mod host;
mod ids;
mod image;
mod instance;
mod intl;
mod kv;
mod metering;
mod nested;
mod node;
mod objects;
mod operations;
mod places;
mod postgres;
mod prelude;
mod prepare;
mod program;
mod rewriter;
mod rpc;
mod sandbox;
mod sockets;
mod sql;
mod streams;
mod textcodec;
mod tokens;
mod unread;
mod wasm;
mod weburl;

pub use program::Scripts;
