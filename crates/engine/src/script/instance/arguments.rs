//! What enters the guest: how each input becomes an event with its arguments.

use std::rc::Rc;

use http::header;
use worker::{Event, FetchEvent};

use super::{Input, ScriptInstance};
use crate::script::codec::Encoder;
use crate::script::guest::GuestCall;
use crate::script::operations::Completion;
use crate::script::sandbox::Sandbox;
use crate::script::{abi, host};

/// An entry into the guest.
pub(super) struct Entry {
    pub kind: i32,
    pub id: u32,
    pub request: u32,
    /// What kept the request going has ended.
    pub ended: bool,
}

impl ScriptInstance {
    /// Writes the arguments of an input's event; `None` where the guest need not be entered.
    pub(super) fn encode(self: &Rc<Self>, sandbox: &mut Sandbox, input: Input, out: &mut Encoder) -> Option<Entry> {
        let mut ended = false;
        let (kind, id, request) = match input {
            Input::Fetch { request, call, mut event } => {
                let body = self.encode_fetch(sandbox, &mut event, out);
                let call = GuestCall::new(call, Some(Event::Fetch(event)), body);
                sandbox.store.data_mut().calls.insert(request, call);
                let is_object = sandbox.store.data().object.is_some();
                (if is_object { abi::object::EVENT_FETCH } else { abi::event::FETCH }, request, request)
            }
            Input::Rpc { request, call, event } => {
                sandbox.store.data_mut().calls.insert(request, GuestCall::new(call, None, None));
                self.encode_rpc(sandbox, request, *event, out);
                let is_object = sandbox.store.data().object.is_some();
                (if is_object { abi::object::EVENT_RPC } else { abi::event::RPC }, request, request)
            }
            Input::Object { request, call, event } => {
                sandbox.store.data_mut().calls.insert(request, GuestCall::new(call, None, None));
                match self.encode_object(sandbox, request, *event, out) {
                    Some(kind) => (kind, request, request),
                    None => {
                        self.carry_out(sandbox);
                        return None;
                    }
                }
            }
            Input::Commit => {
                self.commit(sandbox);
                return None;
            }
            Input::Durable { result } => {
                self.durable(sandbox, result);
                return None;
            }
            Input::Complete { operation, request, completion } => {
                if self.strike(sandbox, operation).is_none() {
                    return None;
                }
                if self.is_handed_over(request) {
                    self.pass_on(sandbox, request, completion);
                    return None;
                }
                sandbox.store.data_mut().charge_native(request);
                ended = completion.is_end();
                completion.encode(request, self, sandbox.store.data_mut(), out);
                (abi::event::COMPLETE, operation, request)
            }
            Input::Abort { request } => {
                if !self.requests.borrow().contains_key(&request) {
                    return None;
                }
                if self.is_handed_over(request) {
                    self.abort_handed(sandbox, request);
                    return None;
                }
                (abi::event::ABORT, request, request)
            }
            Input::Expire { request } => {
                self.expire(sandbox, request);
                return None;
            }
            Input::Forget { operation } => {
                Completion::type_error("").encode(0, self, sandbox.store.data_mut(), out);
                (abi::event::COMPLETE, operation, 0)
            }
        };
        Some(Entry { kind, id, request, ended })
    }

    /// Writes the arguments of the FETCH event. A body that is not whole is put where the guest
    /// reads it, under the handle that this answers.
    pub(super) fn encode_fetch(&self, sandbox: &mut Sandbox, event: &mut FetchEvent, out: &mut Encoder) -> Option<u32> {
        let FetchEvent { method, url, headers, body, client: _, cf, entry } = event;
        out.0.reserve(256 + url.len() + headers.len() * 48);
        out.string(method.as_str()).string(url).string_with(|to| host::write_headers(headers, to));
        let mut handle = None;
        match body.whole() {
            Some([]) if !headers.contains_key(header::CONTENT_LENGTH) => {
                out.null().integer(0);
            }
            Some(whole) => {
                out.bytes(whole).integer(0);
            }
            None => {
                let fresh = sandbox.store.data_mut().fresh_id();
                self.bodies.borrow_mut().insert(fresh, std::mem::take(body));
                out.bool(true).integer(u64::from(fresh));
                handle = Some(fresh);
            }
        }
        out.optional_string(cf.as_deref());
        if let Some(entry) = entry {
            out.optional_string(entry.name.as_deref()).optional_string(entry.props.as_deref());
        }
        handle
    }
}
