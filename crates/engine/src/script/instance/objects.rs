//! The gates of an instance that is a durable object.
//!
//! **Out.** When an entry is over, what it wants to let out (responses, sub-requests, messages,
//! everything that is an effect) waits until what it wrote is durable, in order. To commit costs
//! several times what an event does, so the entries of all that is ready to run are one commit: it
//! comes when the core has gone once over what was ready. An entry that wrote nothing waits for those
//! before it, for what it says may follow from what it read. With nothing to wait for, nothing is
//! queued.
//!
//! **In.** No gate is needed: to read and to write is answered within the entry. What holds events
//! back is `blockConcurrencyWhile`, which the guest does by itself.
//!
//! **Reset.** A commit or a ticket that fails ends the instance: every event in it fails, nothing that
//! waits leaves, what is not committed is undone, and the next event wakes the object anew.

use std::rc::Rc;

use base::Body;
use services::StoreError;
use services::object::Ticket;
use worker::object::ObjectEvent;
use worker::{Failure, Response};

use super::{Input, ScriptInstance};
use crate::lines::Line;
use crate::script::abi;
use crate::script::codec::Encoder;
use crate::script::guest::Effect;
use crate::script::objects::{AlarmBegun, Asked, Left, Which};
use crate::script::sandbox::Sandbox;

/// What waits for a ticket.
pub(super) struct Held {
    ticket: Ticket,
    effects: Vec<Effect>,
}

impl ScriptInstance {
    /// An entry is over: lets out what it asked for, now or when its writes are durable.
    pub(super) fn through_the_gate(self: &Rc<Self>, sandbox: &mut Sandbox, mut effects: Vec<Effect>) {
        let Some(object) = sandbox.store.data_mut().object.as_deref_mut() else { return };
        match object.end_entry() {
            Ok(Left::Written) => {
                self.uncommitted.borrow_mut().append(&mut effects);
                if !std::mem::replace(&mut object.shared, true) {
                    self.commit_soon();
                }
            }
            Ok(Left::Nothing) if object.shared => self.uncommitted.borrow_mut().append(&mut effects),
            Ok(Left::Nothing) if self.held.borrow().is_empty() => {
                self.perform(sandbox, &mut effects);
                // The vector's capacity serves the next entry.
                sandbox.store.data_mut().effects = effects;
            }
            Ok(Left::Nothing) => self.let_out(sandbox, None, effects),
            Err(failure) => drop(self.ending.replace(Some(failure))),
        }
    }

    /// Ends the turn behind everything that is ready to run.
    fn commit_soon(self: &Rc<Self>) {
        let instance = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            let Some(instance) = instance.upgrade() else { return };
            instance.inbox.borrow_mut().push_back(Input::Commit);
            std::future::poll_fn(|cx| {
                instance.drive(cx);
                std::task::Poll::Ready(())
            })
            .await;
        });
    }

    /// Commits what the last entries wrote.
    pub(super) fn commit(self: &Rc<Self>, sandbox: &mut Sandbox) {
        let Some(object) = sandbox.store.data_mut().object.as_deref_mut() else { return };
        match object.end_turn() {
            Ok(ticket) => {
                let effects = std::mem::take(&mut *self.uncommitted.borrow_mut());
                self.let_out(sandbox, ticket, effects);
            }
            Err(failure) => drop(self.ending.replace(Some(failure))),
        }
    }

    /// Lets out what entries asked for, now or when what was written is durable.
    fn let_out(self: &Rc<Self>, sandbox: &mut Sandbox, ticket: Option<Ticket>, mut effects: Vec<Effect>) {
        let mut held = self.held.borrow_mut();
        match ticket.filter(|ticket| ticket.peek() != Some(Ok(()))) {
            Some(ticket) => held.push_back(Held { ticket, effects }),
            None if held.is_empty() => {
                drop(held);
                return self.perform(sandbox, &mut effects);
            }
            None => {
                if let Some(last) = held.back_mut() {
                    last.effects.append(&mut effects);
                }
                return;
            }
        }
        if held.len() == 1 {
            drop(held);
            self.wait_for_ticket();
        }
    }

    /// Until the first that waits may go.
    fn wait_for_ticket(self: &Rc<Self>) {
        let Some(ticket) = self.held.borrow().front().map(|held| held.ticket.clone()) else { return };
        let instance = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            let result = ticket.await;
            if let Some(instance) = instance.upgrade() {
                instance.push_and_spawn(Input::Durable { result });
            }
        });
    }

    /// A ticket has come to its end.
    pub(super) fn durable(self: &Rc<Self>, sandbox: &mut Sandbox, result: Result<(), StoreError>) {
        if let Err(error) = result {
            tracing::warn!(code = error.code().name, "what an object wrote may be lost: {error}");
            let detail = format!("the object was reset, for what it wrote may be lost: {}", error.code().title);
            self.ending.replace(Some(Failure::new(error.code(), detail)));
            return;
        }
        loop {
            let mut held = self.held.borrow_mut();
            if !held.front().is_some_and(|first| first.ticket.peek() == Some(Ok(()))) {
                break;
            }
            let first = held.pop_front();
            drop(held);
            if let Some(mut first) = first {
                self.perform(sandbox, &mut first.effects);
            }
        }
        self.wait_for_ticket();
    }

    /// Nothing waits to be let out.
    pub(super) fn holds_nothing(&self) -> bool {
        self.held.borrow().is_empty() && self.uncommitted.borrow().is_empty()
    }

    pub(super) fn carry_out_object(&self, asked: Asked, sandbox: &Sandbox) {
        let guest = sandbox.store.data();
        let Some(object) = guest.object.as_deref() else { return };
        match asked {
            // One whose peer is gone is heard of as an event.
            Asked::Send { socket: Which::Kept(id), message } => drop(object.seat.sockets.send(id, message)),
            Asked::Send { socket: Which::Own(id), message } => drop(self.sockets.send(id, message)),
            Asked::Close { socket: Which::Kept(id), ended } => object.seat.sockets.close(id, ended),
            Asked::Close { socket: Which::Own(id), ended } => self.sockets.close(id, ended),
        }
    }

    /// Which object it is, before its first event.
    pub(super) async fn introduce(&self, sandbox: &mut Sandbox) -> wasmtime::Result<()> {
        let Some(object) = sandbox.store.data_mut().object.as_deref_mut() else { return Ok(()) };
        let stored = object.seat.storage.name().ok().flatten();
        let target = object.seat.target.clone();
        if let (Some(name), None) = (&target.name, &stored) {
            object.seat.storage.set_name(name);
        }
        let name = target.name.as_deref().or(stored.as_deref());
        let mut arguments = Encoder::default();
        arguments.string(target.class.name.as_str()).string(&target.id.to_string()).optional_string(name);
        sandbox.enter(abi::object::EVENT_INIT, 0, 0, &arguments.0).await?;
        Ok(())
    }

    /// Writes the arguments of an event that nobody sent; `None` if there is nothing to do.
    pub(super) fn encode_object(
        self: &Rc<Self>,
        sandbox: &mut Sandbox,
        request: u32,
        event: ObjectEvent,
        out: &mut Encoder,
    ) -> Option<i32> {
        match event {
            ObjectEvent::Message { socket, message } => {
                out.integer(u64::from(socket));
                match message {
                    base::socket::Message::Text(text) => drop(out.string_with(|to| to.extend_from_slice(&text))),
                    base::socket::Message::Binary(data) => drop(out.bytes(&data)),
                }
                Some(abi::object::EVENT_MESSAGE)
            }
            ObjectEvent::Closed { socket, ended } => {
                out.integer(u64::from(socket)).integer(u64::from(ended.code)).string(&ended.reason).bool(ended.clean);
                out.optional_string(ended.cause.map(|cause| cause.name));
                Some(abi::object::EVENT_CLOSED)
            }
            ObjectEvent::Alarm => {
                let now_ms = self.clock_ms();
                let object = sandbox.store.data_mut().object.as_deref_mut()?;
                match object.begin_alarm(request, now_ms) {
                    Ok(AlarmBegun::Run { scheduled_ms, retries }) => {
                        out.integer(scheduled_ms).integer(u64::from(retries));
                        return Some(abi::object::EVENT_ALARM);
                    }
                    Ok(AlarmBegun::Nothing) => {}
                    Ok(AlarmBegun::GivenUp) => {
                        let text = "the alarm was given up: its handler failed too often (object_alarm_retries)";
                        let line = Line { level: telemetry::Level::Error, text, site: None };
                        sandbox.store.data_mut().log(request, line);
                    }
                    Err(failure) => object.reset(failure),
                }
                self.answer(request, Ok(no_content()));
                self.finish(sandbox, request);
                // What was written about the alarm is kept.
                self.through_the_gate(sandbox, Vec::new());
                None
            }
        }
    }

    /// Somebody outside wants the instance to end. One that is on the stack ends when it leaves it.
    pub(super) fn end_with(self: &Rc<Self>, failure: Failure) {
        self.ending.replace(Some(failure));
        self.push_and_spawn(Input::Durable { result: Ok(()) });
    }

    /// A request that the guest gave no sign of while it was told to stop.
    pub(super) fn interrupt_object(&self, sandbox: &mut Sandbox) -> bool {
        let Some(object) = sandbox.store.data_mut().object.as_deref_mut() else { return false };
        // Its turn is half done, and so is what it holds in memory.
        object.reset(self.cpu_exceeded());
        true
    }
}

fn no_content() -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::NO_CONTENT;
    response
}
