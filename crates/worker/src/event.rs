//! What enters a worker. Every event comes through `Dispatcher::dispatch(target, event)`.

use std::net::IpAddr;
use std::sync::Arc;

use base::Body;
use http::{HeaderMap, Method};
use telemetry::RecordHandle;

use crate::object::ObjectEvent;
use crate::rpc::RpcEvent;

#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    Fetch(Box<FetchEvent>),
    Rpc(Box<RpcEvent>),
    /// Of an instance that is a durable object.
    Object(Box<ObjectEvent>),
}

/// An HTTP request for a worker's `fetch` handler.
#[derive(Debug)]
pub struct FetchEvent {
    pub method: Method,
    /// Absolute, as a client would type it.
    pub url: String,
    pub headers: HeaderMap,
    pub body: Body,
    pub client: Option<IpAddr>,
    /// What is known of the client's connection, as a JSON object, for `request.cf`.
    pub cf: Option<Arc<str>>,
    /// Of a service binding that names one; `None` for the default export.
    pub entry: Option<Arc<Entry>>,
}

/// Which export of a worker answers, and what the binding that calls it says to it. The caller's
/// code chooses neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `None` for the default export.
    pub name: Option<String>,
    /// `ctx.props`, as JSON.
    pub props: Option<String>,
}

/// The circumstances of one invocation: the first parameter of everything that acts for it.
#[derive(Clone)]
pub struct Call {
    pub record: RecordHandle,
    /// How many service bindings deep this is; 0 for a request from outside.
    pub depth: u64,
    /// Keeps the root's place in admission for as long as anything acts for it.
    pub admission: Option<Arc<dyn std::any::Any + Send + Sync>>,
}
