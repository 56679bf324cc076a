//! The socket as HTTP/2 sees it: what is read is looked at frame by frame, and what is written is
//! put together.
//!
//! h2 hands over each piece of an answer by itself, and asks for it to be flushed before it makes
//! the next one. Requests that came together are answered together, so that would be a record of
//! TLS and a system call for every answer where one is enough for ten. So a small piece waits here
//! until h2 has nothing more to say ([`Outlet::poll_send`], which the task of the connection calls
//! at the end of its turn), or until there is as much as one would want to send at once. Nothing waits longer
//! than that turn of the task. Large pieces are sent as they come, and are not copied.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use base::code;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::ServerLimits;
use crate::frames::Frames;
use crate::gate::{State, poll_source};
use crate::head::Refusal;
use crate::stream::Stream;

/// Two full records of TLS.
const TOGETHER_BYTES: usize = 32 << 10;
/// What is not worth being kept back, and copied.
const LARGE_BYTES: usize = 8 << 10;

pub(crate) struct Outlet {
    stream: Stream,
    /// Bytes that were read while the protocol was found out.
    before: Bytes,
    frames: Frames,
    /// Written by h2; the first `sent` of it are with the socket.
    waiting: Vec<u8>,
    sent: usize,
    /// What the client was sent, or soon will be.
    written_bytes: u64,
    /// Whether the last write was taken in full, so that another frame may follow.
    whole: bool,
    state: Rc<State>,
}

impl Outlet {
    pub fn new(stream: Stream, before: Bytes, limits: &ServerLimits, state: Rc<State>) -> Self {
        let frames = Frames::new(limits);
        Self { stream, before, frames, waiting: Vec::new(), sent: 0, written_bytes: 0, whole: true, state }
    }

    /// Sends what waits.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            let poll = Pin::new(&mut self.stream).poll_write(cx, &self.waiting[self.sent..]);
            self.state.note_write(&poll);
            match ready!(poll)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.sent += n,
            }
        }
        if !self.waiting.is_empty() {
            // Given back: a connection that nobody uses holds none.
            self.waiting = Vec::new();
            self.sent = 0;
        }
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        if self.stream.is_buffered() {
            self.state.note_write(&poll);
        }
        poll
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let given = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if self.waiting.len() + given > TOGETHER_BYTES || given > LARGE_BYTES {
            ready!(self.poll_send(cx))?;
        }
        let poll = if given > LARGE_BYTES {
            let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
            self.state.note_write(&poll);
            poll
        } else {
            if self.waiting.is_empty() {
                self.waiting.reserve(TOGETHER_BYTES);
            }
            pieces.iter().for_each(|piece| self.waiting.extend_from_slice(piece));
            Poll::Ready(Ok(given))
        };
        if let Poll::Ready(Ok(n)) = &poll {
            self.written_bytes += *n as u64;
        }
        self.whole = matches!(poll, Poll::Ready(Ok(n)) if n == given);
        poll
    }

    /// Reads frames, and looks at them. At a flood the client gets a last word, and HTTP an error.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buf.filled().len();
        ready!(poll_source(&mut self.before, &mut self.stream, cx, buf))?;
        let fresh = &buf.filled()[start..];
        let Err(flood) = self.frames.judge(fresh, self.written_bytes, Instant::now()) else {
            return Poll::Ready(Ok(()));
        };
        *self.state.refusal.borrow_mut() = Some(Refusal::new(&code::H2_FLOOD, flood.to_string()));
        if self.whole {
            self.waiting.extend_from_slice(&self.frames.goaway());
            // The client may read it or not; nobody waits for that.
            let _ = self.poll_send(cx);
        }
        Poll::Ready(Err(io::Error::other(flood)))
    }
}

/// What h2 is given. The task of the connection keeps the other, to send at the end of its turns.
pub(crate) struct Pieces(pub Rc<RefCell<Outlet>>);

impl AsyncRead for Pieces {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Whoever drives the connection does that when h2 is done.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outlet = self.0.borrow_mut();
        ready!(outlet.poll_send(cx))?;
        Pin::new(&mut outlet.stream).poll_shutdown(cx)
    }
}
