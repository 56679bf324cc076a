//! Bodies on their way out of the guest: of responses, of outgoing requests, of what is stored.

use std::rc::Rc;
use std::time::Duration;

use base::Body;

use super::{Input, ScriptInstance};
use crate::script::abi::operation;
use crate::script::codec::Decoder;
use crate::script::coding::AlreadyCoded;
use crate::script::guest::{Effect, GuestError, Responded, ResponseBody};
use crate::script::sandbox::Sandbox;
use crate::script::streams::{Linked, StreamSender};

impl ScriptInstance {
    pub(super) fn respond(self: &Rc<Self>, sandbox: &mut Sandbox, responded: Responded) {
        let Responded { request, status, headers, body, pending } = responded;
        let body = match body {
            ResponseBody::Whole(bytes) => Body::full(bytes),
            ResponseBody::Stream(id) => match self.take_stream(id, Some(request)) {
                Some(body) => {
                    if let Some(entry) = self.requests.borrow_mut().get_mut(&request) {
                        entry.stream = Some(id);
                    }
                    body
                }
                None => return,
            },
        };
        let mut response = http::Response::new(body);
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers;
        self.attach_socket(request, &mut response);
        if self.coded_answer.get() == request {
            self.coded_answer.set(0);
            response.extensions_mut().insert(AlreadyCoded);
        }
        self.answer(request, Ok(response));
        if pending { self.linger(sandbox, request) } else { self.done(sandbox, request) }
    }

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
        match abort {
            Some(message) => drop(tokio::task::spawn_local(stream.sender.abort(message))),
            None => stream.sender.end(),
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

/// Streams that failed before they gave anything, within the entry that answered with them: the first
/// pull threw, or what it waited for had failed already.
pub(super) fn broken_at_once(effects: &mut [Effect]) -> Vec<(u32, GuestError)> {
    if !effects.iter().any(|effect| matches!(effect, Effect::StreamAbort { .. })) {
        return Vec::new();
    }
    let mut fresh: Vec<u32> = Vec::new();
    let mut broken = Vec::new();
    for effect in effects {
        match effect {
            Effect::StreamOpen { stream, .. } => fresh.push(*stream),
            Effect::Start { code, arguments, .. } if *code == operation::STREAM_WRITE => {
                let written = Decoder::new(arguments).next().and_then(|stream| stream.as_u32());
                fresh.retain(|stream| written != Ok(*stream));
            }
            Effect::StreamAbort { stream, error } if fresh.contains(stream) => {
                broken.push((*stream, error.clone()));
            }
            _ => {}
        }
    }
    broken
}

/// Why the body of an answer failed before it began.
pub(super) fn take_broken(broken: &mut Vec<(u32, GuestError)>, responded: &Responded) -> Option<GuestError> {
    let ResponseBody::Stream(id) = responded.body else { return None };
    let at = broken.iter().position(|(stream, _)| *stream == id)?;
    Some(broken.swap_remove(at).1)
}
