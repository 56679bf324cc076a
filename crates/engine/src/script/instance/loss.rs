//! The end of an instance, and what becomes of the requests in it.
//!
//! The request that ended it gets its own failure. Another one that left no trace outside the
//! sandbox is given back, and may run in another instance as if it had never entered this one:
//! - It started no operation but timers. Whatever starts one takes `GuestCall::event` away, and a
//!   call that reached outside at once would have to do the same.
//! - Its body is all there: whole, or a stream that nobody asked for a frame, through whichever
//!   request's hands it went ([`base::Body::is_begun`] knows).
//! - It was not told to stop. What it logged, and what other requests of the instance may have
//!   learnt from it, does not count.

use std::rc::Rc;
use std::time::Duration;

use base::code;
use worker::{Again, Call, Ended, Event, Failure};

use super::{Input, ScriptInstance};
use crate::script::guest::CpuExhausted;
use crate::script::sandbox::Sandbox;

impl ScriptInstance {
    /// What becomes of a request whose instance another one ended: it is given back if it left no
    /// trace outside the sandbox, which `GuestCall::event` knows, and if its body is all there.
    fn bystander(&self, sandbox: &mut Sandbox, request: u32) -> Ended {
        let Some(call) = sandbox.store.data_mut().calls.get_mut(&request) else { return lost_to_another().into() };
        let Some(mut event) = call.event.take().filter(|_| call.interrupted_at.is_none()) else {
            return lost_to_another().into();
        };
        if let Some(handle) = call.body {
            match (&mut event, self.bodies.borrow_mut().remove(&handle)) {
                (Event::Fetch(event), Some(body)) if !body.is_begun() => event.body = body,
                _ => return lost_to_another().into(),
            }
        }
        given_back(call.call.clone(), event)
    }

    /// The sandbox trapped, or was ended: every request in it fails.
    pub(super) fn lose(self: &Rc<Self>, sandbox: &mut Sandbox, trap: &wasmtime::Error) {
        let culprit = sandbox.store.data().charged();
        let own = if trap.is::<CpuExhausted>() {
            self.cpu_exceeded()
        } else if sandbox.store.data().memory_denied {
            self.memory_exceeded()
        } else {
            Failure::new(&code::GUEST_TRAP, format!("{trap:#}"))
        };
        self.ruin(sandbox, &own, |request| request == culprit);
    }

    /// The object can't go on: every event in it fails, and nothing of it is left.
    pub(super) fn reset(self: &Rc<Self>, sandbox: &mut Sandbox, failure: &Failure) {
        self.ruin(sandbox, failure, |_| true);
    }

    /// Ends everything in here: those whose own failure it is get that.
    fn ruin(self: &Rc<Self>, sandbox: &mut Sandbox, own: &Failure, is_own: impl Fn(u32) -> bool) {
        self.lost.set(true);
        self.running.borrow_mut().drain().for_each(|(_, running)| running.abort());
        tracing::warn!(app = %self.env.app, worker = %self.env.worker, instance = self.id, code = own.code.name, "instance lost: {}", own.detail);
        self.held.borrow_mut().clear();
        self.uncommitted.borrow_mut().clear();
        for input in self.inbox.take() {
            let (request, call, event) = match input {
                Input::Fetch { request, call, event } => (request, call, Event::Fetch(event)),
                Input::Rpc { request, call, event } => (request, call, Event::Rpc(event)),
                Input::Object { request, call, event } => (request, call, Event::Object(event)),
                _ => continue,
            };
            self.fail(sandbox, request, given_back(call, event), false);
        }
        let requests: Vec<u32> = self.requests.borrow().keys().copied().collect();
        for request in requests {
            let ended = if is_own(request) { own.clone().into() } else { self.bystander(sandbox, request) };
            self.fail(sandbox, request, ended, false);
        }
        self.inbox.borrow_mut().clear();
        self.bodies.borrow_mut().clear();
        self.codings.borrow_mut().clear();
        self.streams.borrow_mut().clear();
        self.linked.borrow_mut().clear();
        self.sessions.borrow_mut().clear();
        self.postgres.borrow_mut().clear();
    }
}

/// The instance was lost to another event, and this one is as it was when it came.
pub(super) fn given_back(call: Call, event: Event) -> Ended {
    let again = Again { call, event, spent: Duration::ZERO };
    Ended { failure: lost_to_another(), again: Some(Box::new(again)) }
}

fn lost_to_another() -> Failure {
    Failure::new(&code::INSTANCE_LOST, "another request ended the instance")
}
