//! Calls of methods: how they enter the guest, and what it does about their sessions.

use std::cell::RefCell;
use std::rc::Rc;

use base::{Body, code};
use bytes::Bytes;
use worker::Event;
use worker::rpc::{Overflow, RpcAnswer, RpcEvent};

use super::ScriptInstance;
use crate::lines::Line;
use crate::script::codec::Encoder;
use crate::script::rpc::{self, Answer, Asked, Sessions};
use crate::script::sandbox::Sandbox;

impl ScriptInstance {
    pub(in crate::script) fn sessions(&self) -> &RefCell<Sessions> {
        &self.sessions
    }

    /// Writes the arguments of the RPC event: name, props, message, handles, session. The event is
    /// kept as it came, if it may run a second time.
    pub(super) fn encode_rpc(&self, sandbox: &mut Sandbox, request: u32, event: RpcEvent, out: &mut Encoder) {
        let RpcEvent { entry, message, session } = event;
        let repeatable = session.is_none() && message.bodies.is_empty();
        let again = repeatable
            .then(|| Event::Rpc(Box::new(RpcEvent { entry: entry.clone(), message: message.kept(), session: None })));
        let entry = entry.as_deref();
        out.optional_string(entry.and_then(|entry| entry.name.as_deref()));
        out.optional_string(entry.and_then(|entry| entry.props.as_deref()));
        let guest = sandbox.store.data_mut();
        rpc::encode_message(message, request, self, guest, out);
        if let Some(call) = guest.calls.get_mut(&request) {
            call.event = again;
        }
        let id = session.map_or(0, |near| {
            let id = guest.fresh_id();
            self.sessions.borrow_mut().insert(id, request, true, near);
            id
        });
        out.integer(u64::from(id));
    }

    /// Carries out what the guest asked for.
    pub(super) fn carry_out_rpc(self: &Rc<Self>, sandbox: &mut Sandbox, asked: Asked) {
        match asked {
            Asked::Open { session, request, served } => {
                // Nobody would end that of a request that is over.
                if self.requests.borrow().contains_key(&request) {
                    self.sessions.borrow_mut().open(session, request, served);
                }
            }
            Asked::Send { session, message, streams } => self.send_rpc(sandbox, session, message, &streams),
            Asked::Close { session } => self.sessions.borrow_mut().close(session),
            Asked::Answer(answer) => self.answer_rpc(sandbox, *answer),
        }
    }

    /// A session whose other side does not keep up is over.
    fn send_rpc(self: &Rc<Self>, sandbox: &mut Sandbox, session: u32, message: Vec<u8>, streams: &[u32]) {
        let bodies = self.take_streams(streams);
        let mut sessions = self.sessions.borrow_mut();
        let Some(near) = sessions.near(session) else { return };
        match sessions.message(Bytes::from(message), bodies, &self.env.limits) {
            // An end that is closed is heard of as such.
            Ok(message) => drop(near.send(message)),
            Err(Overflow) => {
                sessions.close(session);
                let failure = rpc::overflow(&self.env.limits);
                let guest = sandbox.store.data_mut();
                let request = guest.charged();
                let text = format!("{}: a call of another worker was ended: {}", failure.code.name, failure.detail);
                guest.log(request, Line { level: telemetry::Level::Warn, text: &text, site: None });
            }
        }
    }

    fn answer_rpc(self: &Rc<Self>, sandbox: &mut Sandbox, answer: Answer) {
        let Answer { request, message, streams, session, pending, threw } = answer;
        let bodies = self.take_streams(&streams);
        let message = self.sessions.borrow().answer(Bytes::from(message), bodies);
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
}
