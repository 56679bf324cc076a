//! What a request's failure is called, and requests that nobody will answer any more.

use std::rc::Rc;

use base::code;
use worker::Failure;

use super::ScriptInstance;
use crate::script::guest::GuestError;
use crate::script::sandbox::Sandbox;

impl ScriptInstance {
    /// Nothing is under way that could ever wake the guest: what still waits, waits for ever. Not so
    /// in a durable object, where the next event may settle what this one waits for.
    pub(super) fn settle_the_hopeless(self: &Rc<Self>, sandbox: &mut Sandbox) {
        if self.requests.borrow().is_empty() || sandbox.store.data().object.is_some() {
            return;
        }
        let waiting: Vec<u32> = {
            let requests = self.requests.borrow();
            requests.iter().filter(|(_, entry)| !self.is_streaming(entry)).map(|(&request, _)| request).collect()
        };
        for request in waiting {
            let detail = "the handler's promise is pending and nothing is left that could settle it; timers and \
                          operations end with the request that began them";
            let failure = Failure::new(&code::NEVER_SETTLED, detail);
            let answered = self.requests.borrow().get(&request).is_some_and(|entry| entry.answered);
            if answered { self.finish(sandbox, request) } else { self.fail(sandbox, request, failure, false) }
        }
    }

    /// The script gave way to an interrupt: the request it was meant for ends.
    pub(super) fn end_interrupted(self: &Rc<Self>, sandbox: &mut Sandbox) -> wasmtime::Result<()> {
        sandbox.clear_interrupt()?;
        let calls = &sandbox.store.data().calls;
        let ended: Vec<u32> = calls.iter().filter(|(_, c)| c.interrupted_at.is_some()).map(|(&id, _)| id).collect();
        for request in ended {
            self.abort_operations(sandbox, request);
            self.fail(sandbox, request, self.cpu_exceeded(), false);
        }
        Ok(())
    }

    pub(super) fn cpu_exceeded(&self) -> Failure {
        Failure::new(
            &code::CPU_EXCEEDED,
            format!("more than {} ms of CPU time (limits.cpu_ms)", self.env.limits.cpu_ms),
        )
    }

    /// What a guest's error means to the outside.
    pub(super) fn failure(&self, sandbox: &Sandbox, error: GuestError) -> Failure {
        let error = error.cut(self.env.limits.log_bytes);
        let GuestError { name, message, .. } = &error;
        let failure = match name.as_str() {
            "InvalidResponse" => Failure::new(&code::INVALID_RESPONSE, message),
            "NoHandler" => Failure::new(&code::NO_HANDLER, message),
            _ if sandbox.store.data().memory_denied && is_want_of_memory(&error) => self.memory_exceeded(),
            _ => match error.host_code() {
                Some(code) => Failure::new(code, message),
                None => Failure::new(&code::GUEST_EXCEPTION, format!("{name}: {message}")),
            },
        };
        self.env.located(failure, error.stack)
    }

    /// The instance takes no more requests: its memory stays as large as it is, and the next would find it full.
    pub(super) fn memory_exceeded(&self) -> Failure {
        self.worn.set(true);
        let max = self.env.limits.memory_mib;
        Failure::new(&code::MEMORY_EXCEEDED, format!("more than {max} MiB of memory (limits.memory_mib)"))
    }
}

/// Whether an error of a sandbox that was refused memory tells of that. There may have been none left for the error
/// itself: then `null` is what is thrown.
fn is_want_of_memory(error: &GuestError) -> bool {
    let GuestError { name, message, .. } = error;
    message.contains("out of memory") || (name.is_empty() && message.is_empty()) || message == NULL_THROWN
}

/// What `describeError` of the prelude makes of it.
const NULL_THROWN: &str = "a value that is no Error was thrown: null";
