//! WebAssembly of scripts: `import module from "./x.wasm"`, and the `WebAssembly` global over it.
//!
//! A module is rewritten ([`rewrite`]) so that it runs on the guest's own memory, compiled when the
//! script is prepared, and kept with the image ([`bundle`]). Its instances live in the store of the
//! sandbox ([`state`]), which makes them when asked ([`asks`]); calls into them come through the host
//! ([`calls`]), which ends a trap there.
//! The guest's half is `engine-guest/shim/wasm.c`, the prelude's `features/webassembly.ts`. How it
//! was decided and what it costs: `docs/decisions/0006`.

mod access;
mod asks;
mod body;
pub mod bundle;
pub mod calls;
mod layout;
mod rewrite;
mod shape;
mod snapshot;
mod stacks;
mod state;

pub use bundle::{Bundle, Compiled};
pub use calls::Shared;
pub use rewrite::VERSION;
pub use snapshot::Snapshot;
pub use state::{Interrupted, Wasm};
