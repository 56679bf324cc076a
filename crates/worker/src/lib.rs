//! What a worker is: an [`Event`] enters, an [`Engine`] runs it in an [`Instance`], a response and
//! a record of what it used come out. And what a worker may reach: its [`Env`], granted and metered.
//!
//! This crate is a contract with two sides. `engine` implements [`Engine`]; `dispatch` implements
//! [`Invoker`], which is how one worker calls another without the engine knowing dispatch.
//!
//! **Threads.** A node runs one current-thread runtime per core ([`Core`]). Instances and the
//! futures that run in them belong to one core and are not `Send`; engines, programs and the
//! environment's handles are shared by all cores.

pub mod core;
pub mod engine;
pub mod env;
pub mod event;
pub mod failure;
pub mod object;
pub mod response_cache;
pub mod rpc;
pub mod sql;

pub use crate::core::{Core, ToldTime};
pub use engine::{Engine, Instance, InstanceState, Program, Response, StartReport};
pub use env::{Env, Fetcher, Handle, Invoker, Meter, Outbound, SourceMap};
pub use event::{Call, Entry, Event, FetchEvent, Next};
pub use failure::{Again, Ended, Failure, Frame};
pub use object::{ObjectEvent, Objects};
pub use response_cache::{CacheRequest, CacheScope, Put, ResponseCache};
pub use rpc::RpcEvent;
pub use sql::{SqlBinding, SqlHeld, SqlTarget};
