//! What enters a worker. Every event comes through `Dispatcher::dispatch(target, event)`.

use std::net::IpAddr;
use std::sync::Arc;

use base::Body;
use http::{HeaderMap, Method};
use telemetry::RecordHandle;

#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    Fetch(Box<FetchEvent>),
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
