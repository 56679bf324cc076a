//! A connection that hyper is given in the middle of an exchange.
//!
//! The request was sent already, and some of the answer may have been read. hyper is asked the same request:
//! what it writes of it goes nowhere, and what it reads first is what was read before; then it has the
//! connection to itself. So it finds itself where it would be if it had been there from the beginning.
//!
//! What it writes is compared with what was sent, byte for byte, and a difference is an error that ends the
//! exchange. To count up to the end of the head would do if both are the same, and if they are not, it would
//! hide that hyper frames the answer to a request that the server never got.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::bare::Exchange;
use super::upgrade::Stream;

pub(super) struct Resumed {
    stream: Box<dyn Stream>,
    /// What of the request hyper has not written yet.
    sent: Bytes,
    /// What it has not read yet.
    read: Bytes,
    /// What comes behind that.
    failure: Option<io::Error>,
    /// Waits for the end of the request.
    reader: Option<Waker>,
}

impl Resumed {
    /// A connection, and what of an exchange was made on it.
    pub fn new(stream: Box<dyn Stream>, begun: Option<Exchange>) -> Self {
        let (sent, read, failure) = begun
            .map(|Exchange { request, read, failure, .. }| (request.into(), read.into(), failure))
            .unwrap_or_default();
        Self { stream, sent, read, failure, reader: None }
    }

    /// The connection, if hyper has caught up.
    pub fn into_stream(self) -> Option<Box<dyn Stream>> {
        let caught_up = self.sent.is_empty() && self.read.is_empty() && self.failure.is_none();
        caught_up.then_some(self.stream)
    }

    /// Compares what is written with what was sent.
    fn skip(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.sent.len());
        if self.sent[..n] != bytes[..n] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request is not the one that was sent"));
        }
        self.sent.advance(n);
        if self.sent.is_empty()
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        Ok(n)
    }
}

impl AsyncRead for Resumed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.sent.is_empty() {
            // hyper takes what it reads before it has asked for what nobody asked for.
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if !this.read.is_empty() {
            let n = this.read.len().min(buf.remaining());
            buf.put_slice(&this.read[..n]);
            this.read.advance(n);
            return Poll::Ready(Ok(()));
        }
        match this.failure.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut this.stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Resumed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.sent.is_empty() {
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        Poll::Ready(self.skip(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.sent.is_empty() {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        }
        let first = pieces.iter().find(|piece| !piece.is_empty());
        Poll::Ready(first.map_or(Ok(0), |piece| self.skip(piece)))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
