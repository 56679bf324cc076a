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
}

impl Message {
    /// What it counts towards `rpc_buffer_bytes`.
    fn weight(&self) -> usize {
        self.bytes.len() + MESSAGE_BYTES
    }
}

/// The answer to an [`RpcEvent`], as it travels in a [`Response`]: what it says is the body.
#[derive(Debug)]
pub struct RpcAnswer {
    pub message: Message,
    /// If the result holds something by reference, and the event brought no session.
    pub session: Option<SessionEnd>,
}

/// What a response can't say by itself. It has to be cloneable there, and is taken once.
#[derive(Clone)]
struct Rest(Arc<Mutex<Option<(Vec<Body>, Option<SessionEnd>)>>>);

impl RpcAnswer {
    pub fn into_response(self) -> Response {
        let Message { bytes, bodies } = self.message;
        let mut response = Response::new(Body::full(bytes));
        response.extensions_mut().insert(Rest(Arc::new(Mutex::new(Some((bodies, self.session))))));
        response
    }

    /// `None` if the response answers something else.
    pub fn from_response(mut response: Response) -> Option<Self> {
        let rest = response.extensions_mut().remove::<Rest>()?;
        let (bodies, session) = rest.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let bytes = response.body_mut().take_whole()?;
        Some(Self { message: Message { bytes, bodies }, session })
    }
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// Either end is closed.
    Closed,
    /// The other side has not taken what it was sent before.
    Overflow,
}

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
    /// Bytes on their way to the other end, and to this one.
    sent: Arc<AtomicUsize>,
    arriving: Arc<AtomicUsize>,
    /// Told when this end is closed, so that whoever reads it hears so.
    closed: Notify,
}

/// The two ends of a session.
pub fn session() -> (SessionEnd, SessionEnd) {
    let (to_far, from_near) = unbounded_channel();
    let (to_near, from_far) = unbounded_channel();
    let (outward, inward) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let end = |outgoing, incoming, sent: &Arc<AtomicUsize>, arriving: &Arc<AtomicUsize>| SessionEnd {
        outgoing: Mutex::new(Some(outgoing)),
        incoming: tokio::sync::Mutex::new(incoming),
        sent: sent.clone(),
        arriving: arriving.clone(),
        closed: Notify::new(),
    };
    (end(to_far, from_far, &outward, &inward), end(to_near, from_near, &inward, &outward))
}

impl SessionEnd {
    /// At most `buffer_bytes` may wait for the other side, or one message.
    pub fn send(&self, message: Message, buffer_bytes: u64) -> Result<(), NotSent> {
        let outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = outgoing.as_ref().ok_or(NotSent::Closed)?;
        let weight = message.weight();
        let waiting = self.sent.load(Ordering::Relaxed);
        if waiting > 0 && waiting.saturating_add(weight) as u64 > buffer_bytes {
            return Err(NotSent::Overflow);
        }
        self.sent.fetch_add(weight, Ordering::Relaxed);
        sender.send(message).map_err(|_| NotSent::Closed)
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
        let weight = messages.iter().map(Message::weight).sum();
        self.arriving.fetch_sub(weight, Ordering::Relaxed);
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
