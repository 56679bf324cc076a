//! What open sockets mean to the life of a request.
//!
//! The guest is done with a request when it has answered and nothing in it was passed to
//! `waitUntil`; a socket that it listens to holds the request all the same. When the last one has
//! ended, what its handlers began may go on for `wait_until_ms`.

use base::socket::{Ended, Upgrade, close_code};
use worker::Response;

use super::ScriptInstance;
use crate::script::sandbox::Sandbox;

impl ScriptInstance {
    /// The guest has nothing more to do for this request, unless a socket calls it.
    pub(super) fn done(&self, sandbox: &mut Sandbox, request: u32) {
        if self.sockets.hold(request) {
            if let Some(entry) = self.requests.borrow_mut().get_mut(&request) {
                entry.done = true;
            }
            return;
        }
        self.finish(sandbox, request);
    }

    /// A response of status 101 takes its end of a socket along.
    pub(super) fn attach_socket(&self, request: u32, response: &mut Response) {
        if response.status() == http::StatusCode::SWITCHING_PROTOCOLS
            && let Some(end) = self.sockets.answer(request)
        {
            Upgrade::attach(response, end);
        }
    }

    /// An entry on behalf of this request is over: does anything hold it still?
    pub(super) fn settle_socket(self: &std::rc::Rc<Self>, sandbox: &mut Sandbox, request: u32, ended: bool) {
        let (answered, done) = match self.requests.borrow().get(&request) {
            Some(entry) => (entry.answered, entry.done),
            None => return,
        };
        if !(ended || done) || self.sockets.hold(request) {
            return;
        }
        let works = self.running.borrow().values().any(|running| running.request == request && !running.passive);
        if done && !works {
            self.finish(sandbox, request);
        } else if ended && answered {
            self.watch(request);
        }
    }

    /// The successor of this deployment serves already.
    pub(super) fn close_for_successor(&self) {
        self.sockets.close_all(&Ended::new(close_code::RESTART, "the worker was replaced").cleanly());
    }
}
