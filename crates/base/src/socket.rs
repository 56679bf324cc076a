//! A WebSocket as it flows through every crate: messages, not bytes.
//!
//! A socket has two ends, joined by a queue in each direction. Whoever answers a handshake gives
//! one end away with its response ([`Upgrade`]); the protocol on the wire is then spoken by the
//! crate that owns the wire, or by nobody, where both ends lie in one process. An end that is
//! passed on (a worker that returns what another server answered) is moved, so that nothing stands
//! between the two that talk.
//!
//! **Back-pressure.** Who can wait, waits for [`SocketEnd::room`] before it takes more from its own
//! source. Who can't (a script's `send` returns at once) is refused beyond `buffer_bytes`; what
//! then becomes of the socket is its owner's decision. **Order** is kept, and the end comes after
//! everything that was sent before it, unless the socket is aborted. **Dropping** an end without
//! closing it tells the other end that this one is gone.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use crate::Body;
use crate::code::Code;
use crate::limits::WorkerLimits;

/// Beyond so many bytes on their way, a sender that can wait does.
const ROOM_BYTES: usize = 256 << 10;

/// What one message adds to its payload in the books, so that empty ones are not free.
const MESSAGE_BYTES: usize = 64;

/// The bounds of one socket, agreed when its pair is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketOptions {
    /// One message (`socket_message_bytes`).
    pub message_bytes: usize,
    /// What may wait in one direction (`socket_buffer_bytes`).
    pub buffer_bytes: usize,
    /// A peer that says nothing for so long, and answers no ping, is gone (`socket_idle_ms`).
    pub idle: Duration,
    /// How long the closing handshake may take (`socket_close_ms`).
    pub close: Duration,
    /// Control frames that a peer may send in one second (`socket_pings`).
    pub pings: u64,
}

impl From<&WorkerLimits> for SocketOptions {
    fn from(limits: &WorkerLimits) -> Self {
        let bytes = |limit| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            message_bytes: bytes(limits.socket_message_bytes),
            buffer_bytes: bytes(limits.socket_buffer_bytes),
            idle: Duration::from_millis(limits.socket_idle_ms),
            close: Duration::from_millis(limits.socket_close_ms),
            pings: limits.socket_pings,
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Valid UTF-8: whoever makes one has checked it.
    Text(Bytes),
    Binary(Bytes),
}

impl Message {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Bytes::from(text.into()))
    }

    pub fn data(&self) -> &Bytes {
        match self {
            Message::Text(data) | Message::Binary(data) => data,
        }
    }
}

/// How a socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// RFC 6455, section 7.4: 1005 stands for no code, 1006 for no closing handshake.
    pub code: u16,
    pub reason: String,
    /// Both sides closed, as the protocol has it.
    pub clean: bool,
    /// The rule that ended it, if it was not one of the two who talk.
    pub cause: Option<Code>,
}

/// Close codes (RFC 6455, section 7.4.1).
pub mod close_code {
    pub const NORMAL: u16 = 1000;
    /// The node stops.
    pub const AWAY: u16 = 1001;
    pub const PROTOCOL: u16 = 1002;
    pub const NONE: u16 = 1005;
    pub const ABNORMAL: u16 = 1006;
    /// Text that is not UTF-8.
    pub const INVALID: u16 = 1007;
    pub const POLICY: u16 = 1008;
    pub const TOO_BIG: u16 = 1009;
    pub const ERROR: u16 = 1011;
    /// The worker was replaced: connect again.
    pub const RESTART: u16 = 1012;

    /// What may stand in a close frame.
    pub fn is_sendable(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl Ended {
    pub fn new(code: u16, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), clean: false, cause: None }
    }

    /// Without a closing handshake.
    pub fn gone() -> Self {
        Self::new(close_code::ABNORMAL, "")
    }

    pub fn because(mut self, cause: Code) -> Self {
        self.cause = Some(cause);
        self
    }

    pub fn cleanly(mut self) -> Self {
        self.clean = true;
        self
    }
}

/// What an end receives. After the end it is given the same end again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    Message(Message),
    Ended(Ended),
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    #[error("the message has more than {0} bytes (limits.socket_message_bytes)")]
    TooLarge(usize),
    #[error("more than {0} bytes wait to be taken by the other side (limits.socket_buffer_bytes)")]
    Overflow(usize),
    #[error("the socket is closed")]
    Closed,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Message>,
    /// Of everything in the queue.
    bytes: usize,
    ended: Option<Ended>,
    /// The end overtook what was queued.
    aborted: bool,
    /// Nobody will read any more.
    deserted: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Lane {
    fn take(&mut self) -> Option<Received> {
        if let Some(message) = self.queue.pop_front() {
            self.bytes -= weight(&message);
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
            return Some(Received::Message(message));
        }
        self.ended.clone().map(Received::Ended)
    }

    fn end(&mut self, ended: Ended) {
        self.ended.get_or_insert(ended);
        self.wake_both();
    }

    fn wake_both(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }
}

fn weight(message: &Message) -> usize {
    message.data().len() + MESSAGE_BYTES
}

type Shared = Arc<Mutex<Lane>>;

fn lock(lane: &Shared) -> MutexGuard<'_, Lane> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One end of a socket.
#[derive(Debug)]
pub struct SocketEnd {
    options: SocketOptions,
    outgoing: Shared,
    incoming: Shared,
}

/// Two ends that are joined.
pub fn pair(options: SocketOptions) -> (SocketEnd, SocketEnd) {
    let (there, back) = (Shared::default(), Shared::default());
    let one = SocketEnd { options, outgoing: there.clone(), incoming: back.clone() };
    let other = SocketEnd { options, outgoing: back, incoming: there };
    (one, other)
}

impl SocketEnd {
    pub fn options(&self) -> &SocketOptions {
        &self.options
    }

    /// Sends without waiting. A message of the allowed size is always taken while nothing waits.
    pub fn send(&self, message: Message) -> Result<(), NotSent> {
        let SocketOptions { message_bytes, buffer_bytes, .. } = self.options;
        if message.data().len() > message_bytes {
            return Err(NotSent::TooLarge(message_bytes));
        }
        self.push(message, buffer_bytes)
    }

    /// Sends, whatever waits already: for a sender that has waited for room and whose own source
    /// bounds a message.
    pub fn deliver(&self, message: Message) -> Result<(), NotSent> {
        self.push(message, usize::MAX)
    }

    fn push(&self, message: Message, buffer_bytes: usize) -> Result<(), NotSent> {
        let mut lane = lock(&self.outgoing);
        if lane.ended.is_some() || lane.deserted {
            return Err(NotSent::Closed);
        }
        if !lane.queue.is_empty() && lane.bytes + weight(&message) > buffer_bytes {
            return Err(NotSent::Overflow(buffer_bytes));
        }
        lane.bytes += weight(&message);
        lane.queue.push_back(message);
        if let Some(reader) = lane.reader.take() {
            reader.wake();
        }
        Ok(())
    }

    /// Bytes of messages that the other side has not taken.
    pub fn buffered(&self) -> usize {
        let lane = lock(&self.outgoing);
        lane.bytes - lane.queue.len() * MESSAGE_BYTES
    }

    /// Waits until it is reasonable to send more, or sense has gone out of it.
    pub async fn room(&self) {
        let enough = ROOM_BYTES.min(self.options.buffer_bytes / 2);
        poll_fn(|cx| {
            let mut lane = lock(&self.outgoing);
            if lane.bytes <= enough || lane.ended.is_some() || lane.deserted {
                return Poll::Ready(());
            }
            lane.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Ends what this end sends, after all that it has sent. The first end counts.
    pub fn close(&self, ended: Ended) {
        lock(&self.outgoing).end(ended);
    }

    /// Ends it now; what was not taken yet is dropped.
    pub fn abort(&self, ended: Ended) {
        let mut lane = lock(&self.outgoing);
        lane.clear();
        lane.aborted = true;
        lane.ended = None;
        lane.end(ended);
    }

    /// True once this end was closed.
    pub fn is_closed(&self) -> bool {
        lock(&self.outgoing).ended.is_some()
    }

    pub fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Received> {
        let mut lane = lock(&self.incoming);
        match lane.take() {
            Some(received) => Poll::Ready(received),
            None => {
                lane.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next message, or the end. Cancelling it loses nothing.
    pub async fn receive(&self) -> Received {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// What is there without waiting.
    pub fn try_receive(&self) -> Option<Received> {
        lock(&self.incoming).take()
    }

    /// Waits until the other end was aborted. Not to be awaited beside `receive`.
    pub async fn aborted(&self) {
        poll_fn(|cx| {
            let mut lane = lock(&self.incoming);
            if lane.aborted {
                return Poll::Ready(());
            }
            lane.reader = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for SocketEnd {
    fn drop(&mut self) {
        lock(&self.outgoing).end(Ended::gone());
        let mut incoming = lock(&self.incoming);
        incoming.clear();
        incoming.deserted = true;
        incoming.wake_both();
    }
}

/// An end that travels with a response of status 101, until somebody takes it.
#[derive(Debug, Clone)]
pub struct Upgrade(Arc<Mutex<Option<SocketEnd>>>);

impl Upgrade {
    /// Gives an end away with a response.
    pub fn attach(response: &mut http::Response<Body>, end: SocketEnd) {
        response.extensions_mut().insert(Self(Arc::new(Mutex::new(Some(end)))));
    }

    pub fn is_in(response: &http::Response<Body>) -> bool {
        response.extensions().get::<Self>().is_some()
    }

    /// The end, if the response brings one.
    pub fn take(response: &mut http::Response<Body>) -> Option<SocketEnd> {
        let upgrade = response.extensions_mut().remove::<Self>()?;
        upgrade.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests;
