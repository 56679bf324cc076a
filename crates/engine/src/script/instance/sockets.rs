//! What open sockets mean to the life of a request.
//!
//! The guest is done with a request when it has answered, nothing in it was passed to `waitUntil`,
//! and the socket that its answer opened has ended; a socket that it listens to holds the request
//! all the same. When the last one has ended, what its handlers began may go on for
//! `wait_until_ms`. That is also the time in which the worker has to accept its end.

use std::rc::Rc;

use base::socket::{Ended, Upgrade, close_code};
use worker::Response;

use super::ScriptInstance;
use crate::script::sandbox::Sandbox;

impl ScriptInstance {
    /// The guest has nothing more to do for this request, unless a socket calls it, or what a
    /// socket's handlers began goes on.
    pub(super) fn done(self: &Rc<Self>, sandbox: &mut Sandbox, request: u32) {
        let held = self.is_held(request);
        let goes_on = || self.sockets.any() && self.had_socket(request) && works(sandbox, request);
        if !held && !goes_on() {
            return self.finish(sandbox, request);
        }
        if let Some(entry) = self.requests.borrow_mut().get_mut(&request) {
            entry.done = true;
        }
        self.linger(sandbox, request);
    }

    /// A socket that it listens to, or a session that it serves, keeps the request going.
    pub(super) fn is_held(&self, request: u32) -> bool {
        self.sockets.hold(request) || self.sessions.borrow().hold(request)
    }

    fn had_socket(&self, request: u32) -> bool {
        self.requests.borrow().get(&request).is_some_and(|entry| entry.socket)
    }

    /// A response of status 101 takes its end of a socket along.
    pub(super) fn attach_socket(&self, request: u32, response: &mut Response) {
        if response.status() == http::StatusCode::SWITCHING_PROTOCOLS
            && let Some(end) = self.sockets.answer(request)
        {
            if let Some(entry) = self.requests.borrow_mut().get_mut(&request) {
                entry.socket = true;
            }
            Upgrade::attach(response, end);
        }
    }

    /// An entry on behalf of this request is over: does anything hold it still?
    pub(super) fn settle_socket(self: &Rc<Self>, sandbox: &mut Sandbox, request: u32, ended: bool) {
        let (answered, done) = match self.requests.borrow().get(&request) {
            Some(entry) => (entry.answered, entry.done),
            None => return,
        };
        if !(ended || done) || self.is_held(request) {
            return;
        }
        if done && !works(sandbox, request) {
            self.finish(sandbox, request);
        } else if ended && answered {
            // The time begins anew.
            let earlier = self.requests.borrow_mut().get_mut(&request).and_then(|entry| entry.watch.take());
            if let Some(earlier) = earlier {
                earlier.abort();
            }
            self.watch(request);
        }
    }

    /// The successor of this deployment serves already.
    pub(super) fn close_for_successor(&self) {
        self.sockets.close_all(&Ended::new(close_code::RESTART, "the worker was replaced").cleanly());
    }
}

/// Something is under way for this request that is more than waiting.
fn works(sandbox: &Sandbox, request: u32) -> bool {
    sandbox.store.data().calls.get(&request).is_some_and(|call| call.operations > 0)
}
