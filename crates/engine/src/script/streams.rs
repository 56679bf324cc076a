//! Bodies that leave an instance piece by piece, with back-pressure: one piece is on its way, and
//! the guest hears when there is room for the next.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use base::{Body, BodyError, code};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep};

/// What flows from the guest to the reader of a body.
type Piece = Result<Bytes, BodyError>;

/// The guest's end.
#[derive(Debug, Clone)]
pub struct StreamSender {
    pieces: mpsc::Sender<Piece>,
    /// Set when all has been written: a body whose sender is just gone was cut off.
    complete: Arc<AtomicBool>,
}

/// The reader's end.
#[derive(Debug)]
pub struct StreamBody {
    pieces: mpsc::Receiver<Piece>,
    complete: Arc<AtomicBool>,
    ended: bool,
    /// What is still to come, if that was said beforehand.
    rest: Option<u64>,
    /// Dropped with the body, which tells the guest's side.
    _reading: oneshot::Sender<()>,
}

/// Ends when the reader has given the body up or has read all of it.
pub type Left = oneshot::Receiver<()>;

/// A body of so many bytes, if that is known: who sends it on can say so in its head.
pub fn stream(bytes: Option<u64>) -> (StreamSender, StreamBody, Left) {
    let (sender, pieces) = mpsc::channel(1);
    let (reading, left) = oneshot::channel();
    let complete = Arc::new(AtomicBool::new(false));
    let body = StreamBody { pieces, complete: complete.clone(), ended: false, rest: bytes, _reading: reading };
    (StreamSender { pieces: sender, complete }, body, left)
}

/// The reader gave the body up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl StreamSender {
    /// Hands over a piece once there is room.
    pub async fn write(&self, piece: Bytes) -> Result<(), Gone> {
        self.pieces.send(Ok(piece)).await.map_err(|_| Gone)
    }

    /// Ends the body: what was written is all of it.
    pub fn end(self) {
        self.complete.store(true, Ordering::Relaxed);
    }

    /// Ends the body with an error, so that nobody takes a part for the whole.
    pub async fn abort(self, message: String) {
        // If the reader is gone there is nobody to tell.
        let _ = self.pieces.send(Err(BodyError::new(&code::GUEST_EXCEPTION, message))).await;
    }
}

impl HttpBody for StreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut piece = std::task::ready!(self.pieces.poll_recv(cx));
        if piece.is_none() && !self.complete.load(Ordering::Relaxed) {
            piece = Some(Err(BodyError::new(&code::INSTANCE_LOST, "the instance ended before the body did")));
        }
        self.ended = !matches!(piece, Some(Ok(_)));
        if let (Some(rest), Some(Ok(piece))) = (&mut self.rest, &piece) {
            *rest = rest.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A body that came in and goes out again, which no script sees: the host's own way between the
/// two. It ends, as it would on its way through a script, when no data comes for `stream_idle_ms`.
pub struct Linked {
    body: Body,
    idle: Duration,
    /// Runs while a frame is being waited for.
    deadline: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Linked {
    pub fn new(body: Body, idle: Duration) -> Self {
        Self { body, idle, deadline: Box::pin(tokio::time::sleep(idle)), waiting: false }
    }
}

impl HttpBody for Linked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = false;
            // Trailers end a body here as they do for a script, which does not see them.
            return Poll::Ready(frame.and_then(|frame| frame.map(|f| f.into_data().ok().map(Frame::data)).transpose()));
        }
        let idle = self.idle;
        if !std::mem::replace(&mut self.waiting, true) {
            self.deadline.as_mut().reset(Instant::now() + idle);
        }
        std::task::ready!(self.deadline.as_mut().poll(cx));
        self.body = Body::empty();
        let detail = format!("no data for {} ms (limits.stream_idle_ms)", idle.as_millis());
        Poll::Ready(Some(Err(BodyError::new(&code::STREAM_IDLE, detail))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
