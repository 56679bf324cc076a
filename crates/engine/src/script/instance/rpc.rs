//! Calls of methods: how they enter the guest, and what it does about their sessions.

use std::cell::RefCell;
use std::rc::Rc;

use base::{Body, code};
use bytes::Bytes;
use worker::Event;
use worker::rpc::{Message, NotSent, RpcAnswer, RpcEvent};

use super::ScriptInstance;
use crate::lines::Line;
use crate::script::codec::Encoder;
use crate::script::rpc::{self, Answer, Asked, Sessions};
use crate::script::sandbox::Sandbox;

impl ScriptInstance {
    pub(in crate::script) fn sessions(&self) -> &RefCell<Sessions> {
        &self.sessions
    }

    /// Writes the arguments of the RPC event: name, props, message, handles, session. Answers the
    /// event as it came, if it may run a second time.
    pub(super) fn encode_rpc(
        &self,
        sandbox: &mut Sandbox,
        request: u32,
        event: RpcEvent,
        out: &mut Encoder,
    ) -> Option<Event> {
        let RpcEvent { entry, message, session } = event;
        let repeatable = session.is_none() && message.bodies.is_empty();
        let again = repeatable.then(|| {
            let message = Message { bytes: message.bytes.clone(), bodies: Vec::new() };
            Event::Rpc(Box::new(RpcEvent { entry: entry.clone(), message, session: None }))
        });
        let entry = entry.as_deref();
        out.optional_string(entry.and_then(|entry| entry.name.as_deref()));
        out.optional_string(entry.and_then(|entry| entry.props.as_deref()));
        let guest = sandbox.store.data_mut();
        rpc::encode_message(message, self, guest, out);
        let id = session.map_or(0, |near| {
            let id = guest.fresh_id();
            self.sessions.borrow_mut().insert(id, request, true, near);
            id
        });
        out.integer(u64::from(id));
        again
    }

    /// Carries out what the guest asked for.
    pub(super) fn carry_out_rpc(self: &Rc<Self>, sandbox: &mut Sandbox, asked: Asked) {
        match asked {
            Asked::Open { session, request, served } => {
                self.sessions.borrow_mut().open(session, request, served);
            }
            Asked::Send { session, message, streams } => {
                let message = Message { bytes: Bytes::from(message), bodies: self.take_streams(&streams) };
                let buffer_bytes = self.env.limits.rpc_buffer_bytes;
                let sent = rpc::send(&mut self.sessions.borrow_mut(), session, message, buffer_bytes);
                if let Err(NotSent::Overflow) = sent {
                    self.overflowed(sandbox);
                }
            }
            Asked::Close { session } => self.sessions.borrow_mut().close(session),
            Asked::Answer(answer) => self.answer_rpc(sandbox, *answer),
        }
    }

    fn answer_rpc(self: &Rc<Self>, sandbox: &mut Sandbox, answer: Answer) {
        let Answer { request, message, streams, session, pending, threw } = answer;
        let message = Message { bytes: Bytes::from(message), bodies: self.take_streams(&streams) };
        let session = session.and_then(|session| self.sessions.borrow_mut().far(session));
        if threw {
            self.note_failure(request, &code::GUEST_EXCEPTION);
        }
        self.streaming(request, &streams);
        self.answer(request, Ok(RpcAnswer { message, session }.into_response()));
        if pending { self.linger(sandbox, request) } else { self.done(sandbox, request) }
    }

    /// The readers' ends of streams; one that is gone is an empty body.
    pub(in crate::script) fn take_streams(self: &Rc<Self>, streams: &[u32]) -> Vec<Body> {
        streams.iter().map(|&id| self.take_stream(id, None).unwrap_or_default()).collect()
    }

    /// The request lasts as long as these streams, of which the readers may leave any.
    fn streaming(&self, request: u32, streams: &[u32]) {
        let mut open = self.streams.borrow_mut();
        for id in streams {
            let Some(stream) = open.get_mut(id) else { continue };
            stream.request = Some(request);
            if let Some(entry) = self.requests.borrow_mut().get_mut(&request) {
                entry.stream = Some(*id);
            }
        }
    }

    fn overflowed(&self, sandbox: &mut Sandbox) {
        let max = self.env.limits.rpc_buffer_bytes;
        let text = format!(
            "{}: a call of another worker was ended, for it has not taken {max} bytes of messages (limits.rpc_buffer_bytes)",
            code::RPC_OVERFLOW.name
        );
        let guest = sandbox.store.data_mut();
        let request = guest.charged();
        guest.log(request, Line { level: telemetry::Level::Warn, text: &text, site: None });
    }
}
