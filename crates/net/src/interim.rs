//! Interim answers (RFC 9110, section 15.2): what a server says before its answer, such as
//! `103 Early Hints` (RFC 8297), on their way to the client.
//!
//! hyper's server sends none by itself. On HTTP/1.1 their bytes are written between hyper's: when it
//! flushes, all that it had to say has been said, and the answer to the request has not begun. So
//! they are written then, and the answer waits for them. On HTTP/3 each is a head of its own. On
//! HTTP/2 hyper keeps the stream to itself, so there are none.
//!
//! They are of one request: what comes when its answer has begun goes nowhere.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use http::{HeaderMap, StatusCode};
use tokio::io::AsyncWrite;

use crate::connector::strip_hop_by_hop;
use crate::head::put_fields;

/// Interim answers of one request that wait to be written; more are left out.
const WAITING_MAX: usize = 8;
/// Of the head of one; a larger one is left out.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Where the interim answers of a request go.
#[derive(Clone)]
pub struct Interim {
    line: Arc<Line>,
    request: u64,
}

impl fmt::Debug for Interim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interim({})", self.request)
    }
}

impl Interim {
    /// Passes one on. What asks for something between two ends of a connection is for nobody else.
    pub fn pass(&self, status: StatusCode, headers: &HeaderMap) {
        let is_for_all = status.is_informational() && ![100, 101].contains(&status.as_u16());
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if !is_for_all || bytes > HEAD_BYTES_MAX || self.line.request.load(Ordering::Relaxed) != self.request {
            return;
        }
        let mut headers = headers.clone();
        strip_hop_by_hop(&mut headers);
        let waker = {
            let mut queue = self.line.queue();
            if queue.heads.len() >= WAITING_MAX {
                return;
            }
            queue.heads.push_back((status, headers));
            queue.writer.clone()
        };
        self.line.waits.store(true, Ordering::Relaxed);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The interim answers of a connection (HTTP/1.1), or of a stream (HTTP/3).
#[derive(Default)]
pub(crate) struct Line {
    /// The request that is being answered; 0 for none.
    request: AtomicU64,
    /// There is something to write.
    waits: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    heads: VecDeque<(StatusCode, HeaderMap)>,
    /// What is being written, and how much of it was.
    writing: Vec<u8>,
    written: usize,
    /// Who writes them, and who waits for that.
    writer: Option<Waker>,
    waiting: Option<Waker>,
}

impl Line {
    /// Of a connection whose task is woken by `writer`.
    pub fn new(writer: Option<Waker>) -> Arc<Self> {
        let line = Arc::<Self>::default();
        line.queue().writer = writer;
        line
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request, with a number that none had before.
    pub fn begin(self: &Arc<Self>, request: u64) -> Interim {
        self.request.store(request, Ordering::Relaxed);
        Interim { line: self.clone(), request }
    }

    pub fn waits(&self) -> bool {
        self.waits.load(Ordering::Relaxed)
    }

    /// The answer is there: nothing more is taken, and what there is goes first.
    pub async fn end(&self) {
        self.request.store(0, Ordering::Relaxed);
        if !self.waits() {
            return;
        }
        poll_fn(|cx| {
            let mut queue = self.queue();
            if !self.waits() {
                return Poll::Ready(());
            }
            queue.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether one is half written, so that nothing else may be.
    pub fn is_begun(&self) -> bool {
        self.waits() && self.queue().written > 0
    }

    /// Writes what there is (HTTP/1.1).
    pub fn poll_write<S: AsyncWrite + Unpin>(&self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut queue = self.queue();
        loop {
            if queue.written == queue.writing.len() {
                (queue.writing, queue.written) = (Vec::new(), 0);
                let Some((status, headers)) = queue.heads.pop_front() else { break };
                queue.writing = head_of(status, &headers);
            }
            let written = queue.written;
            let bytes = ready!(Pin::new(&mut *stream).poll_write(cx, &queue.writing[written..]))?;
            if bytes == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            queue.written += bytes;
        }
        self.waits.store(false, Ordering::Relaxed);
        if let Some(waiting) = queue.waiting.take() {
            waiting.wake();
        }
        Poll::Ready(Ok(()))
    }

    /// The next one (HTTP/3).
    pub async fn next(&self) -> (StatusCode, HeaderMap) {
        poll_fn(|cx| {
            let mut queue = self.queue();
            match queue.heads.pop_front() {
                Some(head) => Poll::Ready(head),
                None => {
                    queue.writer = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// What is left, once there is an answer (HTTP/3).
    pub fn rest(&self) -> VecDeque<(StatusCode, HeaderMap)> {
        self.request.store(0, Ordering::Relaxed);
        std::mem::take(&mut self.queue().heads)
    }
}

fn head_of(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default());
    head.reserve(64 * headers.len());
    let mut head = head.into_bytes();
    put_fields(&mut head, headers);
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests;
