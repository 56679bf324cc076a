//! Calls of another worker's methods (decision 0005): the event, its answer, and the session that
//! goes on where something was passed by reference.
//!
//! A message is made and read by the preludes at the two ends. To everybody in between it is bytes,
//! and bodies that travel beside them.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base::Body;
use bytes::Bytes;
use futures_util::future::select;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{Entry, Response};

/// Messages that one `receive` answers at most, so that others have their turn.
const BATCH: usize = 64;

/// What a message counts besides its bytes, so that a million empty ones are not for free.
const MESSAGE_BYTES: usize = 256;

/// A call of a method, or a read of a property.
#[derive(Debug)]
pub struct RpcEvent {
    pub entry: Option<Arc<Entry>>,
    pub message: Message,
    /// If the arguments hold something by reference.
    pub session: Option<SessionEnd>,
}

#[derive(Debug, Default)]
pub struct Message {
    pub bytes: Bytes,
    /// Of requests, responses and streams in the message.
    pub bodies: Vec<Body>,
    _waits: Waits,
}

/// What one instance has said to others and they have not taken yet, in bytes.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<AtomicUsize>);

/// A message's part of that, until it is dropped.
#[derive(Debug, Default)]
struct Waits {
    waiting: Waiting,
    bytes: usize,
}

/// The others have not taken what was said to them before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

impl Message {
    /// At most `bytes_max` may wait together, or one message.
    pub fn new(bytes: Bytes, bodies: Vec<Body>, waiting: &Waiting, bytes_max: u64) -> Result<Self, Overflow> {
        let weight = bytes.len() + MESSAGE_BYTES;
        let before = waiting.0.load(Ordering::Relaxed);
        if before > 0 && before.saturating_add(weight) as u64 > bytes_max {
            return Err(Overflow);
        }
        Ok(Self::answer(bytes, bodies, waiting))
    }

    /// An answer, for which somebody waits: it is counted, and never refused.
    pub fn answer(bytes: Bytes, bodies: Vec<Body>, waiting: &Waiting) -> Self {
        let weight = bytes.len() + MESSAGE_BYTES;
        waiting.0.fetch_add(weight, Ordering::Relaxed);
        Self { bytes, bodies, _waits: Waits { waiting: waiting.clone(), bytes: weight } }
    }

    /// The same message, which waits for nobody: kept, in order to be sent once more.
    pub fn kept(&self) -> Self {
        Self { bytes: self.bytes.clone(), bodies: Vec::new(), _waits: Waits::default() }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.waiting.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The answer to an [`RpcEvent`], as it travels in a [`Response`] that says nothing else.
#[derive(Debug)]
pub struct RpcAnswer {
    pub message: Message,
    /// If the result holds something by reference, and the event brought no session.
    pub session: Option<SessionEnd>,
}

/// It has to be cloneable there, and is taken once.
#[derive(Clone)]
struct Rest(Arc<Mutex<Option<(Message, Option<SessionEnd>)>>>);

impl RpcAnswer {
    pub fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(Rest(Arc::new(Mutex::new(Some((self.message, self.session))))));
        response
    }

    /// `None` if the response answers something else.
    pub fn from_response(mut response: Response) -> Option<Self> {
        let rest = response.extensions_mut().remove::<Rest>()?;
        let (message, session) = rest.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Self { message, session })
    }
}

/// Either end is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// One end of a session.
///
/// Promises:
/// - What one end sends arrives at the other in order, and whole.
/// - An end that is dropped or closed ends the session: the other one hears so after what was sent
///   before.
#[derive(Debug)]
pub struct SessionEnd {
    outgoing: Mutex<Option<UnboundedSender<Message>>>,
    incoming: tokio::sync::Mutex<UnboundedReceiver<Message>>,
    /// Told when this end is closed, so that whoever reads it hears so.
    closed: Notify,
}

/// The two ends of a session.
pub fn session() -> (SessionEnd, SessionEnd) {
    let (to_far, from_near) = unbounded_channel();
    let (to_near, from_far) = unbounded_channel();
    let end = |outgoing, incoming| SessionEnd {
        outgoing: Mutex::new(Some(outgoing)),
        incoming: tokio::sync::Mutex::new(incoming),
        closed: Notify::new(),
    };
    (end(to_far, from_far), end(to_near, from_near))
}

impl SessionEnd {
    pub fn send(&self, message: Message) -> Result<(), Closed> {
        let outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        outgoing.as_ref().ok_or(Closed)?.send(message).map_err(|_| Closed)
    }

    /// What has arrived, at least one message; empty at the end, and once this end is closed.
    /// Cancelling it loses nothing.
    pub async fn receive(&self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut closed = pin!(self.closed.notified());
        closed.as_mut().enable();
        if self.is_closed() {
            return messages;
        }
        let mut incoming = self.incoming.lock().await;
        select(pin!(incoming.recv_many(&mut messages, BATCH)), closed).await;
        messages
    }

    /// Ends the session: the other end hears so, after what was sent before.
    pub fn close(&self) {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.closed.notify_waiters();
    }

    fn is_closed(&self) -> bool {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

#[cfg(test)]
mod tests;
