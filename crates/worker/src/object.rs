//! Durable objects, as workers see them: whom to call, and what an instance that is one is given.
//!
//! An object is an instance that serves one id. It is started with its [`Seat`], and gets events as
//! any instance does; what is particular to it are events that nobody sends ([`ObjectEvent`]), and
//! that everything it lets out waits until what it has written is durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::socket::{Ended, Message, NotSent, SocketEnd, close_code};
use base::{Code, code};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use services::object::{ObjectClass, ObjectId, ObjectKey, ObjectStorage};

use crate::{Call, Event, Failure, Response};

/// One object, as a caller names it.
#[derive(Debug, Clone)]
pub struct Target {
    pub class: ObjectClass,
    pub id: ObjectId,
    /// What the id was made of, if the caller knows.
    pub name: Option<Arc<str>>,
}

impl Target {
    pub fn key(&self) -> ObjectKey {
        ObjectKey { class: self.class.clone(), id: self.id }
    }
}

/// Calls durable objects, wherever they are.
///
/// Promises:
/// - An object runs in one instance at a time, in the whole system.
/// - Events that one caller sends to one object arrive in their order.
/// - An object that sleeps wakes up for an event; dropping the future means that the caller left.
/// - A new deployment takes an object over between two events.
pub trait Objects: Send + Sync + 'static {
    /// Called on a core's thread; the future stays on it.
    fn invoke(&self, target: Target, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>>;
}

/// What an object gets without being called. The answer is empty, or a failure.
#[derive(Debug)]
pub enum ObjectEvent {
    /// Its alarm may be due.
    Alarm,
    /// A socket that it keeps has something to say.
    Message { socket: u32, message: Message },
    /// One has ended.
    Closed { socket: u32, ended: Ended },
}

/// What makes an instance an object.
pub struct Seat {
    pub target: Target,
    pub storage: Box<dyn ObjectStorage>,
    pub sockets: Arc<KeptSockets>,
    pub bounds: ObjectBounds,
}

/// The limits of an object that its instance keeps.
#[derive(Debug, Clone, Copy)]
pub struct ObjectBounds {
    pub alarm_retries: u64,
    pub keys: u64,
    pub attachment_bytes: u64,
    pub sockets: u64,
}

/// The sockets that an object has accepted for good: they outlive its instance.
///
/// They lie with whoever keeps the object, who reads them; the instance sends and closes while it is
/// awake.
#[derive(Default)]
pub struct KeptSockets {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    sockets: BTreeMap<u32, Kept>,
    last: u32,
    /// An answer to a message that needs no guest.
    auto: Option<AutoResponse>,
    /// Accepted since somebody asked last.
    fresh: Vec<u32>,
}

/// A message that is answered without waking the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoResponse {
    pub request: Bytes,
    pub response: Bytes,
}

struct Kept {
    near: Arc<SocketEnd>,
    tags: Box<[Box<str>]>,
    attachment: Bytes,
    auto_response_ms: Option<u64>,
}

impl KeptSockets {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn len(&self) -> usize {
        self.table().sockets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table().sockets.is_empty()
    }

    pub fn accept(&self, near: SocketEnd, tags: Box<[Box<str>]>) -> u32 {
        let mut table = self.table();
        table.last += 1;
        let id = table.last;
        let kept = Kept { near: Arc::new(near), tags, attachment: Bytes::new(), auto_response_ms: None };
        table.sockets.insert(id, kept);
        table.fresh.push(id);
        id
    }

    /// What was accepted since the last call: nobody reads those yet.
    pub fn take_fresh(&self) -> Vec<u32> {
        std::mem::take(&mut self.table().fresh)
    }

    pub fn near(&self, id: u32) -> Option<Arc<SocketEnd>> {
        self.table().sockets.get(&id).map(|kept| kept.near.clone())
    }

    pub fn send(&self, id: u32, message: Message) -> Result<(), NotSent> {
        let near = self.near(id).ok_or(NotSent::Closed)?;
        let sent = near.send(message);
        if let Err(NotSent::Overflow(_)) = sent {
            near.abort(Ended::new(close_code::ERROR, code::SOCKET_OVERFLOW.name).because(&code::SOCKET_OVERFLOW));
        }
        sent
    }

    pub fn close(&self, id: u32, ended: Ended) {
        if let Some(near) = self.near(id) {
            near.close(ended);
        }
    }

    /// The object has heard of its end, or never will.
    pub fn forget(&self, id: u32) {
        self.table().sockets.remove(&id);
    }

    /// Ends all of them.
    pub fn end_all(&self, close: u16, cause: Option<Code>) {
        let sockets = std::mem::take(&mut self.table().sockets);
        let ended = Ended { cause, ..Ended::new(close, cause.map_or("", |cause| cause.name)) };
        sockets.values().for_each(|kept| kept.near.close(ended.clone()));
    }

    /// Those with a tag, or all.
    pub fn open(&self, tag: Option<&str>) -> Vec<u32> {
        let table = self.table();
        let with_tag = |kept: &Kept| tag.is_none_or(|tag| kept.tags.iter().any(|own| **own == *tag));
        let open = table.sockets.iter().filter(|(_, kept)| !kept.near.is_closed() && with_tag(kept));
        open.map(|(&id, _)| id).collect()
    }

    pub fn tags(&self, id: u32) -> Option<Box<[Box<str>]>> {
        self.table().sockets.get(&id).map(|kept| kept.tags.clone())
    }

    pub fn attachment(&self, id: u32) -> Option<Bytes> {
        self.table().sockets.get(&id).map(|kept| kept.attachment.clone())
    }

    pub fn attach(&self, id: u32, attachment: Bytes) {
        if let Some(kept) = self.table().sockets.get_mut(&id) {
            kept.attachment = attachment;
        }
    }

    pub fn set_auto_response(&self, auto: Option<AutoResponse>) {
        self.table().auto = auto;
    }

    pub fn auto_response(&self) -> Option<AutoResponse> {
        self.table().auto.clone()
    }

    pub fn auto_response_ms(&self, id: u32) -> Option<u64> {
        self.table().sockets.get(&id)?.auto_response_ms
    }

    /// Answers a message that needs no guest; false if this one does.
    pub fn answer_alone(&self, id: u32, message: &Message, now_ms: u64) -> bool {
        let mut table = self.table();
        let Table { auto: Some(auto), sockets, .. } = &mut *table else { return false };
        let Message::Text(text) = message else { return false };
        let Some(kept) = sockets.get_mut(&id).filter(|_| *text == auto.request) else { return false };
        kept.auto_response_ms = Some(now_ms);
        // One who does not take it has other worries.
        let _ = kept.near.send(Message::Text(auto.response.clone()));
        true
    }
}
