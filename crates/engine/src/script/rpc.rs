//! Calls of other workers' methods, as the guest asks for them (decision 0005).
//!
//! What is said is between the preludes. The host sees to it that it is well-formed and not too
//! large, knows whose sessions there are, and moves bodies along.

use std::collections::HashMap;
use std::sync::Arc;

use base::{Body, WorkerLimits, code};
use bytes::Bytes;
use worker::rpc::{Message, Overflow, RpcAnswer, RpcEvent, SessionEnd, Waiting, session};
use worker::{Event, Failure};

use super::abi::rpc as abi;
use super::codec::{Decoder, Encoder, Malformed, Value};
use super::guest::Guest;
use super::host::Refusal;
use super::instance::ScriptInstance;
use super::operations::{Completion, Operation};
use super::prelude;

/// The sessions of an instance.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: HashMap<u32, Session>,
    /// What the instance has said, in sessions and besides, and nobody has taken.
    waiting: Waiting,
}

#[derive(Debug)]
struct Session {
    near: Arc<SessionEnd>,
    /// The other end, if it was made here, until it is given away.
    far: Option<SessionEnd>,
    request: u32,
    /// The request serves it, and lasts as long as it does.
    served: bool,
}

impl Sessions {
    /// A message of this instance, unless too much waits already.
    pub fn message(&self, bytes: Bytes, bodies: Vec<Body>, limits: &WorkerLimits) -> Result<Message, Overflow> {
        Message::new(bytes, bodies, &self.waiting, limits.rpc_buffer_bytes)
    }

    pub fn answer(&self, bytes: Bytes, bodies: Vec<Body>) -> Message {
        Message::answer(bytes, bodies, &self.waiting)
    }

    pub fn open(&mut self, id: u32, request: u32, served: bool) {
        let (near, far) = session();
        self.sessions.insert(id, Session { near: Arc::new(near), far: Some(far), request, served });
    }

    /// Enters an end that came with an event or an answer.
    pub fn insert(&mut self, id: u32, request: u32, served: bool, near: SessionEnd) {
        self.sessions.insert(id, Session { near: Arc::new(near), far: None, request, served });
    }

    pub fn far(&mut self, id: u32) -> Option<SessionEnd> {
        self.sessions.get_mut(&id)?.far.take()
    }

    pub fn near(&self, id: u32) -> Option<Arc<SessionEnd>> {
        self.sessions.get(&id).map(|session| session.near.clone())
    }

    pub fn close(&mut self, id: u32) {
        if let Some(session) = self.sessions.remove(&id) {
            session.near.close();
        }
    }

    /// True if this request serves one that goes on.
    pub fn hold(&self, request: u32) -> bool {
        !self.sessions.is_empty() && self.sessions.values().any(|session| session.served && session.request == request)
    }

    /// The request is over, and its sessions with it.
    pub fn end_request(&mut self, request: u32) {
        self.sessions.retain(|_, session| {
            let stays = session.request != request;
            if !stays {
                session.near.close();
            }
            stays
        });
    }

    pub fn clear(&mut self) {
        self.sessions.drain().for_each(|(_, session)| session.near.close());
    }
}

/// What a guest asked for, carried out after its entry.
#[derive(Debug)]
pub enum Asked {
    Open { session: u32, request: u32, served: bool },
    Send { session: u32, message: Vec<u8>, streams: Vec<u32> },
    Close { session: u32 },
    Answer(Box<Answer>),
}

#[derive(Debug)]
pub struct Answer {
    pub request: u32,
    pub message: Vec<u8>,
    pub streams: Vec<u32>,
    /// The session that goes out with it.
    pub session: Option<u32>,
    /// Work remains: a DONE follows.
    pub pending: bool,
    /// The method threw.
    pub threw: bool,
}

/// Refuses what is larger than a message may be.
pub fn check_size(guest: &Guest, arguments: &[u8]) -> Result<(), Refusal> {
    let max = guest.limits.rpc_message_bytes;
    if arguments.len() as u64 <= max {
        return Ok(());
    }
    let message =
        format!("a message of {} bytes to another worker (limits.rpc_message_bytes allows {max})", arguments.len());
    Err(Refusal { name: "Error", message: message.into(), code: code::RPC_TOO_LARGE.name })
}

/// The calls that are answered at once.
pub fn answer(guest: &mut Guest, code: i32, mut args: Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let asked = match code {
        abi::STACK => {
            stack(guest, args.next()?.as_str()?, out);
            return Ok(());
        }
        abi::LIMIT => {
            out.integer(guest.limits.rpc_stubs);
            return Ok(());
        }
        abi::OPEN => {
            if guest.is_evaluating() {
                return Err(Refusal::at_start("a call of another worker"));
            }
            let (session, request) = (guest.fresh_id(), guest.charged());
            out.integer(u64::from(session));
            Asked::Open { session, request, served: args.next()?.as_bool()? }
        }
        abi::SEND => {
            let session = args.next()?.as_u32()?;
            let message = args.raw()?.to_vec();
            check_size(guest, &message)?;
            Asked::Send { session, message, streams: numbers(&args.next()?)? }
        }
        abi::CLOSE => Asked::Close { session: args.next()?.as_u32()? },
        abi::ANSWER => {
            let request = args.next()?.as_u32()?;
            let message = args.raw()?.to_vec();
            check_size(guest, &message)?;
            let (streams, session) = (numbers(&args.next()?)?, args.next()?.as_u32()?);
            let (pending, threw) = (args.next()?.as_bool()?, args.next()?.as_bool()?);
            let session = Some(session).filter(|&session| session != 0);
            Asked::Answer(Box::new(Answer { request, message, streams, session, pending, threw }))
        }
        _ => return Err(Refusal::type_error("there is no such call")),
    };
    guest.effects.push(super::guest::Effect::Rpc(asked));
    Ok(())
}

/// STACK(text): the stack trace as it may leave the worker, or null. The platform's own calls say
/// nothing to those who read it.
fn stack(guest: &Guest, text: &str, out: &mut Encoder) {
    let Some(env) = guest.env.as_ref().filter(|env| env.dev) else {
        out.null();
        return;
    };
    let is_script = |line: &&str| !line.contains(prelude::PREFIX) && !line.trim_end().ends_with("(native)");
    let lines: Vec<&str> = text.lines().filter(is_script).collect();
    out.string(&env.original(&lines.join("\n")));
}

fn numbers(value: &Value<'_>) -> Result<Vec<u32>, Malformed> {
    match value {
        Value::Array(items) => items.iter().map(Value::as_u32).collect(),
        _ => Err(Malformed),
    }
}

/// CALL(binding, message, streams, session or 0)
pub async fn call(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let callee = args.next()?;
    let bytes = Bytes::copy_from_slice(args.raw()?);
    let streams = numbers(&args.next()?)?;
    let session = args.next()?.as_u32()?;
    // Taken first: whatever is refused below, nothing of the call stays behind.
    let bodies = operation.instance.take_streams(&streams);
    let session = operation.instance.sessions().borrow_mut().far(session);
    let limits = &operation.env().limits;
    let message = operation.instance.sessions().borrow().message(bytes, bodies, limits);
    let message = message.map_err(|_| failed(overflow(limits)))?;
    let (call, _) = operation.metered()?;
    let call = call.deeper();
    let event = RpcEvent { entry: None, message, session };
    let response = operation.invoke(&callee, call, Event::Rpc(Box::new(event)))?.await.map_err(failed)?;
    let answer = RpcAnswer::from_response(response)
        .ok_or_else(|| Completion::type_error("what this binding leads to has no methods"))?;
    Ok(Completion::Answered(answer))
}

/// A call that came to nothing is an Error with its code.
fn failed(failure: Failure) -> Completion {
    Completion::failed(failure.code, format!("{}: {}", failure.code.title, failure.detail))
}

/// READ(session) → [[message, handles], …], or null at the end
pub async fn read(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let session = args.next()?.as_u32()?;
    // Two that talk without end let others have their turn.
    tokio::task::consume_budget().await;
    let near = operation.instance.sessions().borrow().near(session);
    let messages = match near {
        Some(near) => near.receive().await,
        None => Vec::new(),
    };
    Ok(Completion::Session { session, messages })
}

/// [message, handles, session or 0]
pub fn encode_answer(answer: RpcAnswer, request: u32, instance: &ScriptInstance, guest: &mut Guest, out: &mut Encoder) {
    out.bool(true).array(3);
    encode_message(answer.message, request, instance, guest, out);
    let session = answer.session.map_or(0, |near| {
        let id = guest.fresh_id();
        // For a request that is over it has ended already, as the guest will find when it reads.
        if guest.calls.contains_key(&request) {
            instance.sessions().borrow_mut().insert(id, request, false, near);
        }
        id
    });
    out.integer(u64::from(session));
}

pub fn encode_messages(
    session: u32,
    messages: Vec<Message>,
    request: u32,
    instance: &ScriptInstance,
    guest: &mut Guest,
    out: &mut Encoder,
) {
    out.bool(true);
    if messages.is_empty() {
        instance.sessions().borrow_mut().close(session);
        out.null();
        return;
    }
    out.array(messages.len() as u32);
    for message in messages {
        out.array(2);
        encode_message(message, request, instance, guest, out);
    }
}

/// A message, and the handles of its bodies, which nobody reads once the request is over.
pub fn encode_message(message: Message, request: u32, instance: &ScriptInstance, guest: &mut Guest, out: &mut Encoder) {
    let Message { bytes, bodies, .. } = message;
    out.0.extend_from_slice(&bytes);
    out.array(bodies.len() as u32);
    for body in bodies {
        let handle = guest.fresh_id();
        if let Some(call) = guest.calls.get_mut(&request) {
            call.bodies.push(handle);
            instance.bodies.borrow_mut().insert(handle, body);
        }
        out.integer(u64::from(handle));
    }
}

pub fn overflow(limits: &WorkerLimits) -> Failure {
    let max = limits.rpc_buffer_bytes;
    let detail = format!("others have not taken {max} bytes of what was said to them (limits.rpc_buffer_bytes)");
    Failure::new(&code::RPC_OVERFLOW, detail)
}
