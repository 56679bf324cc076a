//! What enters a worker. Every event comes through `Dispatcher::dispatch(target, event)`.

use std::net::IpAddr;
use std::sync::Arc;

use base::Body;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use telemetry::RecordHandle;

use crate::object::ObjectEvent;
use crate::rpc::RpcEvent;
use crate::{Failure, Outbound, Response};

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
    /// Of a worker in the way of a request: what comes behind it.
    pub next: Option<Next>,
}

impl Call {
    /// A call from outside, of a worker that nothing comes behind.
    pub fn new(record: RecordHandle) -> Self {
        Self { record, depth: 0, admission: None, next: None }
    }

    /// The call of another worker on behalf of this one. What comes behind this one is not its own.
    pub fn deeper(&self) -> Self {
        Self { depth: self.depth + 1, next: None, ..self.clone() }
    }
}

/// The next step of a request that a worker has in its hands. What the worker fetches of the request's
/// own origin goes there, whatever its grants say of the network, and what the step answers is the
/// response, redirects included.
#[derive(Clone)]
pub struct Next {
    origin: url::Origin,
    step: Step,
}

type Step = Arc<dyn Fn(Call, Outbound) -> BoxFuture<'static, Result<Response, Failure>> + Send + Sync>;

impl Next {
    /// `url` is that of the request.
    pub fn new(
        url: &url::Url,
        step: impl Fn(Call, Outbound) -> BoxFuture<'static, Result<Response, Failure>> + Send + Sync + 'static,
    ) -> Self {
        Self { origin: url.origin(), step: Arc::new(step) }
    }

    pub fn takes(&self, url: &url::Url) -> bool {
        url.origin() == self.origin
    }

    /// A request of `call`, which is answered as one of its sub-requests.
    pub fn fetch(&self, call: &Call, request: Outbound) -> BoxFuture<'static, Result<Response, Failure>> {
        (self.step)(call.deeper(), request)
    }
}
