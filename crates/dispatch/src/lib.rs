//! One door to guest code: who gets in, which instance it runs in, and who stays out for a while.
//!
//! On the path of a request this is step 7 of the pipeline: `edge` calls an [`worker::Invoker`] on
//! a core's thread, and service bindings call the same kind of invoker from inside a guest. This
//! crate knows no wasmtime, no HTTP connection and no provider; an engine is what the
//! [`worker::Engine`] contract says.
//!
//! **The way in.** A request from outside takes a place in its app's admission, or waits for one
//! in a bounded queue, or is refused at once. A nested call keeps the place of its root and never
//! waits for another, so workers that call each other can't wait for themselves. Then it takes an
//! instance from this core's pool, or starts one: the program is loaded (and prepared again, where
//! the engine's cache lost it) only when it is needed. The place and the instance are held by a
//! lease in `Call::admission` until the engine lets go of the call, `waitUntil` included.
//!
//! **Threads.** A core is a thread with a current-thread runtime and a `LocalSet`, made known with
//! [`Dispatcher::install_core`]. Instances live and die on their core. What cores share is small:
//! the app's admission (one word), the loaded programs, the count of instances, and each worker's
//! record of failed starts. See `registry` for how an invoker finds the core it is called on.
//!
//! **The end of things.** A deployment retires when a newer one takes over, which it is told once
//! new requests reach it: the older one serves what chose it already and keeps nothing for later.
//! An instance that stands unused for `instance_idle_ms` is dropped; if the node holds
//! `instances_total`, the longest idle goes first. A program goes when `loaded_images` newer ones
//! are loaded and no core has an instance of it.
//!
//! **What is run again.** A request whose instance was lost to another one, and that left no trace
//! (the contract of [`worker::Instance`] says what that means), runs again in another instance, up
//! to `instance_retries` times, in its old place in admission and within its `head_ms`. Its record
//! shows every run. Any other fails with `instance_lost`, and its client may decide.
//!
//! **Durable objects** have instances of their own, one for each id, which no pool shares: see
//! [`objects`].
//!
//! Every policy here is pure and tested by itself: [`admission`], [`quarantine`], and the
//! least-recently-used store of programs.

pub mod admission;
mod cores;
mod deployed;
mod deployment;
mod dispatcher;
mod gauge;
mod invocation;
mod node;
pub mod objects;
mod pool;
mod programs;
pub mod quarantine;
mod registry;
mod snapshot;

pub use deployed::ArtifactSource;
pub use deployment::{Deployment, DeploymentSpec, Reservation, WorkerSpec};
pub use dispatcher::{CoreGuard, Dispatcher};
pub use objects::ObjectParts;
pub use snapshot::{AppSnapshot, QuarantineSnapshot, Snapshot, Totals, WorkerSnapshot};
