//! Answers that come from elsewhere: a handler returned the promise of another request, and kept nothing.
//!
//! A worker that passes a request on (`return env.API.fetch(request)`, `return stub.fetch(request)`, `return fetch(…)`) is
//! done when it has asked. Nothing in the guest could tell whether the answer ever came by it, so it does not: what ends
//! is the answer, with its body as it comes, and the guest, which has forgotten all of it, is not entered again.

use std::rc::Rc;
use std::time::Duration;

use base::socket::Upgrade;
use base::{Body, code};
use http::StatusCode;
use worker::Response;

use super::ScriptInstance;
use crate::script::coding::{AlreadyCoded, Coding};
use crate::script::guest::{GuestError, Handed};
use crate::script::nested;
use crate::script::operations::{Completion, NO_SOCKET};
use crate::script::sandbox::Sandbox;
use crate::script::streams::Linked;

impl ScriptInstance {
    /// From here on the end of what was begun for this request is its answer.
    pub(super) fn hand_over(&self, request: u32, handed: Handed) {
        if handed != Handed::No
            && let Some(entry) = self.requests.borrow_mut().get_mut(&request)
        {
            entry.handed = handed;
        }
    }

    pub(super) fn is_handed_over(&self, request: u32) -> bool {
        self.requests.borrow().get(&request).is_some_and(|entry| entry.handed != Handed::No)
    }

    /// What was begun for a request that was handed over has ended.
    pub(super) fn pass_on(self: &Rc<Self>, sandbox: &mut Sandbox, request: u32, completion: Completion) {
        match self.answered_by(completion) {
            Ok(response) => {
                self.answer(request, Ok(response));
                self.done(sandbox, request);
            }
            Err(error) => {
                let failure = self.failure(sandbox, error);
                self.fail(sandbox, request, failure, false);
            }
        }
    }

    fn answered_by(&self, completion: Completion) -> Result<Response, GuestError> {
        let mut response = match completion {
            Completion::Whole { response, .. } | Completion::Response { response, .. } => response,
            Completion::Failed { name, message, code } => {
                return Err(GuestError { name: name.into(), message, code: code.into(), ..GuestError::default() });
            }
            _ => return Err(GuestError { name: "InvalidResponse".into(), ..GuestError::default() }),
        };
        let socket = Upgrade::take(&mut response);
        if socket.is_none() && response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(GuestError {
                name: "Error".into(),
                message: NO_SOCKET.into(),
                code: code::UPSTREAM_PROTOCOL.name.into(),
                ..GuestError::default()
            });
        }
        let (head, body) = response.into_parts();
        let body = match body {
            _ if nested::has_null_body(head.status) => Body::empty(),
            body if body.whole().is_some() => body,
            body => {
                let idle = Duration::from_millis(self.env.limits.stream_idle_ms);
                Body::stream(Linked::new(body, idle))
            }
        };
        // What else came with it was for who asked.
        let mut passed = http::Response::new(body);
        (*passed.status_mut(), *passed.headers_mut()) = (head.status, head.headers);
        if Coding::of(passed.headers()).is_some() {
            passed.extensions_mut().insert(AlreadyCoded);
        }
        if let Some(end) = socket {
            Upgrade::attach(&mut passed, end);
        }
        Ok(passed)
    }

    /// The client of a request that was handed over left.
    pub(super) fn abort_handed(self: &Rc<Self>, sandbox: &mut Sandbox, request: u32) {
        let handed = self.requests.borrow().get(&request).map(|entry| entry.handed);
        if handed == Some(Handed::Over { owned: true }) {
            self.abort_operations(sandbox, request);
        }
        self.after_abort(sandbox, request);
    }
}
