//! Bodies on their way out of the guest: of responses, of outgoing requests, of what is stored.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use base::Body;
use worker::object::Target;

use super::{Input, ScriptInstance};
use crate::script::streams::{Linked, StreamSender};

/// What was called last, for it is mostly called again.
#[derive(Default)]
pub(in crate::script) struct LastCalled {
    /// The stub of an object, and what it names.
    pub stub: RefCell<Option<(Box<str>, Target)>>,
    /// The URL of a request to a worker or an object.
    pub url: RefCell<String>,
}

impl ScriptInstance {
    /// The reader's end of a stream, for a response or an outgoing request.
    pub(in crate::script) fn take_stream(self: &Rc<Self>, id: u32, request: Option<u32>) -> Option<Body> {
        if let Some(body) = self.linked.borrow_mut().remove(&id) {
            let idle = Duration::from_millis(self.env.limits.stream_idle_ms);
            return Some(Body::stream(Linked::new(body, idle)));
        }
        let mut streams = self.streams.borrow_mut();
        let stream = streams.get_mut(&id)?;
        stream.request = request;
        let (body, left) = stream.body.take()?;
        if let Some(request) = request {
            let instance = self.clone();
            tokio::task::spawn_local(async move {
                // Nothing is ever sent: it ends when the body is dropped.
                let _ = left.await;
                // A stream that the guest ended is no longer listed.
                if instance.streams.borrow().contains_key(&id) {
                    instance.push_and_spawn(Input::Abort { request });
                }
            });
        }
        Some(Body::stream(body))
    }

    pub(in crate::script) fn stream_sender(&self, id: u32) -> Option<StreamSender> {
        self.streams.borrow().get(&id).map(|stream| stream.sender.clone())
    }

    pub(super) fn end_stream(self: &Rc<Self>, id: u32, abort: Option<String>) {
        let Some(stream) = self.streams.borrow_mut().remove(&id) else { return };
        if let Some(message) = abort {
            tokio::task::spawn_local(stream.sender.abort(message));
        }
        let Some(request) = stream.request else { return };
        // Another one may be on its way for the same request.
        let other = self.streams.borrow().iter().find(|(_, s)| s.request == Some(request)).map(|(&id, _)| id);
        if let Some(entry) = self.requests.borrow_mut().get_mut(&request) {
            entry.stream = other;
        }
        self.watch(request);
    }
}
