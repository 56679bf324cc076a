//! A connection that counts what it reads, and ends when a message takes too many bytes.
//!
//! tungstenite bounds a message's payload, and a fragment may be empty: without this a peer could
//! keep it busy with the pieces of a message that never ends.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a message may take beside its payload.
const OVERHEAD_BYTES: u64 = 64 << 10;

#[derive(Debug, thiserror::Error)]
#[error("a message in too many fragments")]
pub(super) struct TooManyFragments;

pub(super) struct Metered<S> {
    stream: S,
    read: u64,
    /// `read` when a message was complete last.
    since: u64,
    message_max: u64,
    /// Bytes that the connection took.
    written: Arc<AtomicU64>,
    /// What lies in the kernel is unbounded; a reader that is always given something must pause.
    streak: u32,
}

/// Reads in a row after which others get their turn.
const STREAK_MAX: u32 = 64;

impl<S> Metered<S> {
    pub fn new(stream: S, before: usize, message_bytes: usize) -> Self {
        let message_max = (message_bytes as u64).saturating_mul(2) + OVERHEAD_BYTES;
        Self { stream, read: before as u64, since: 0, message_max, written: Arc::default(), streak: 0 }
    }

    /// All that was read.
    pub fn read_bytes(&self) -> u64 {
        self.read
    }

    /// Goes up while the peer takes what is written.
    pub fn progress(&self) -> Arc<AtomicU64> {
        self.written.clone()
    }

    /// A message is complete.
    pub fn message(&mut self) {
        self.since = self.read;
        self.streak = 0;
    }

    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.read - this.since > this.message_max {
            return Poll::Ready(Err(io::Error::other(TooManyFragments)));
        }
        if this.streak >= STREAK_MAX {
            this.streak = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.streak = if polled.is_pending() { 0 } else { this.streak + 1 };
        ready!(polled)?;
        this.read += (buf.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.written.fetch_add(count as u64, Ordering::Relaxed);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
