//! Requests that are answered before hyper hears of them.
//!
//! Only between two requests of hyper's: nothing of one is under way, nothing of an answer waits to be
//! written, and what was read is one whole head and no byte more. So the order of answers is that of
//! requests, and the two ways take turns on one connection as they like. What the socket does not take at
//! once is kept here; nothing is read before it is gone, and the connection counts as busy for so long, as
//! it does while hyper writes.
//!
//! An answer that somebody has to be asked for is waited for here as well. Meanwhile the client is listened to
//! as hyper listens: what it sends is the next request and waits, and if it leaves, the answer is given up. One
//! that turns out to need framing (a stream, a status without a body) is left for hyper, which is then shown
//! a request, and finds it answered ([`State::prepared`]).

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

use super::{Gate, State, Step, Upgrading, Wire};
use crate::glance::{FIELDS_MAX, Found, Glance, Late, Later};
use crate::head::{Framing, Head, check_head};
use crate::server::Server;
use crate::server::connection::Guard;
use crate::target::split_port;
use crate::tls::Secured;

/// A body up to this is copied behind its head: one plain write costs less than one in two parts.
const JOINED_BYTES_MAX: usize = 4 << 10;
/// Memory for heads beyond this is given back.
const SCRATCH_BYTES_MAX: usize = 32 << 10;

/// Who is asked for answers, and on whose behalf.
pub(crate) struct Quick {
    pub server: Rc<Server>,
    pub peer: SocketAddr,
    pub listener: usize,
    pub secured: Option<Arc<Secured>>,
    pub guard: Option<Guard>,
}

/// An answer on its way out.
pub(super) struct Unsent {
    head: Vec<u8>,
    body: Bytes,
    sent: usize,
    /// Nothing comes after it.
    last: bool,
}

/// An answer that is waited for.
pub(super) struct Awaited(Later);

/// What is read at once of a request that may be plain.
const PIECE_BYTES: usize = 8 << 10;

/// What hyper is shown if it is to frame an answer: a request as plain as the one that was answered, of which it
/// wants to know no more.
const ANSWERED: &[u8] = b"GET / HTTP/1.1\r\nhost: answered\r\n\r\n";

impl Unsent {
    fn new(mut head: Vec<u8>, mut body: Bytes) -> Self {
        if body.len() <= JOINED_BYTES_MAX {
            head.extend_from_slice(&body);
            body = Bytes::new();
        }
        Self { head, body, sent: 0, last: false }
    }

    /// The connection ends with it, and it says so at the end of its head, which has so many bytes.
    fn last(mut text: Vec<u8>, head: usize, body: Bytes) -> Self {
        let end = head.saturating_sub(2).min(text.len());
        text.splice(end..end, *b"connection: close\r\n");
        Self { last: true, ..Self::new(text, body) }
    }

    fn left(&self) -> usize {
        self.head.len() + self.body.len() - self.sent
    }
}

impl Quick {
    /// What is known of a request whose head has passed the judge.
    fn find(&self, request: &[u8]) -> Option<Look> {
        let at_once = self.server.at_once.get()?;
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let glance = Glance::read(request, &mut fields, (self.peer, self.listener, self.secured.as_ref()))?;
        if self.guard.as_ref().is_some_and(|guard| !guard.covers(split_port(glance.authority).0)) {
            return None;
        }
        let mut head = self.server.scratch.take();
        match at_once(&glance, &mut head) {
            Some(Found::Answer(body)) => Some(Look::Answered(Unsent::new(head, body))),
            Some(Found::Later(answer)) => {
                self.give_back(head);
                Some(Look::Asked(Awaited(answer)))
            }
            None => {
                self.give_back(head);
                None
            }
        }
    }

    fn give_back(&self, mut head: Vec<u8>) {
        if head.capacity() <= SCRATCH_BYTES_MAX {
            head.clear();
            self.server.scratch.replace(head);
        }
    }
}

/// What came of a look at bytes that were read.
enum Look {
    Answered(Unsent),
    Asked(Awaited),
    /// It goes the long way; the judge's word on its first head, if that was asked for.
    Passed(Option<Head>),
}

/// Looks at what was read between two requests.
fn look(quick: Option<&Quick>, gate: &Gate, state: &State, written: bool, fresh: &[u8]) -> Look {
    let Some(quick) = quick.filter(|_| written && is_quiet(gate, state)) else { return Look::Passed(None) };
    match check_head(fresh, 0, &gate.limits) {
        Ok(Some(head)) if head.bytes == fresh.len() && head.framing == Framing::Length(0) && !head.upgrade => {
            quick.find(fresh).unwrap_or(Look::Passed(Some(head)))
        }
        Ok(head) => Look::Passed(head),
        // The judge says it again.
        Err(_) => Look::Passed(None),
    }
}

fn is_quiet(gate: &Gate, state: &State) -> bool {
    matches!(gate.step, Step::Head)
        && gate.searched == 0
        && !state.is_busy()
        && state.draining_since.get().is_none()
        && state.upgrade.get() == Upgrading::No
}

impl Wire {
    /// Takes a request that was read, if it is one of those. If not, `known` is what is known of its head.
    pub(super) fn takes(&mut self, fresh: &[u8], known: &mut Option<Head>) -> bool {
        match look(self.quick.as_deref(), &self.gate, &self.state, self.whole, fresh) {
            Look::Answered(unsent) => self.unsent = Some(unsent),
            Look::Asked(awaited) => self.awaited = Some(awaited),
            Look::Passed(head) => {
                *known = head;
                return false;
            }
        }
        self.state.passed.set(self.state.passed.get() + 1);
        true
    }

    /// Answers requests of that kind, one after the other, and nothing else: ready with true when what comes is
    /// for hyper, all of which is kept for it; with false when nothing comes any more.
    pub fn poll_plainly(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            ready!(self.poll_awaited(cx));
            ready!(self.poll_unsent(cx))?;
            if self.ended {
                return Poll::Ready(Ok(false));
            }
            if !self.is_at_rest() && self.before.is_empty() {
                return Poll::Ready(Ok(true));
            }
            let mut known = None;
            if !self.before.is_empty() {
                let before = std::mem::take(&mut self.before);
                if self.takes(&before, &mut known) {
                    continue;
                }
                self.before = before;
                return Poll::Ready(Ok(true));
            }
            // A connection that waits has no buffer.
            let mut space = [MaybeUninit::uninit(); PIECE_BYTES];
            let mut piece = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
            if piece.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            if !self.takes(piece.filled(), &mut known) {
                self.before = Bytes::copy_from_slice(piece.filled());
                return Poll::Ready(Ok(true));
            }
        }
    }

    /// Waits for an answer that somebody was asked for.
    pub(super) fn poll_awaited(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(Awaited(answer)) = &mut self.awaited else { return Poll::Ready(()) };
        let Poll::Ready(late) = answer.as_mut().poll(cx) else {
            if self.before.is_empty()
                && let Poll::Ready(false) = self.poll_used(cx)
            {
                // It does not want its answer any more.
                self.awaited = None;
                self.state.gone.set(true);
            }
            return Poll::Pending;
        };
        self.awaited = None;
        let (text, head, body) = match late {
            Late::Whole { head, body } => {
                let bytes = head.len();
                (head, bytes, body)
            }
            Late::Short { text, head } => (text, head, Bytes::new()),
            Late::Response(response) => {
                self.state.prepared.replace(Some(Box::new(response)));
                self.gate.through = BytesMut::from(ANSWERED);
                return Poll::Ready(());
            }
        };
        let is_last = self.state.draining_since.get().is_some();
        self.unsent = Some(if is_last { Unsent::last(text, head, body) } else { Unsent::new(text, body) });
        Poll::Ready(())
    }

    /// Sends what is left of an answer.
    pub(super) fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut unsent) = self.unsent.take() else { return Poll::Ready(Ok(())) };
        let sent = self.poll_send(&mut unsent, cx);
        if sent.is_pending() {
            self.unsent = Some(unsent);
            // It is the only one in flight, and all of it is here.
            self.state.alone.set(1);
            return Poll::Pending;
        }
        self.state.alone.set(0);
        self.state.finished.set(self.state.finished.get() + 1);
        self.state.note_unused(Instant::now());
        self.ended |= unsent.last;
        if let Some(quick) = &self.quick {
            quick.give_back(unsent.head);
        }
        sent
    }

    fn poll_send(&mut self, unsent: &mut Unsent, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while unsent.left() > 0 {
            let (head, body) = (unsent.head.len(), &unsent.body);
            let poll = match unsent.head.get(unsent.sent..).filter(|left| !left.is_empty()) {
                Some(left) if body.is_empty() => Pin::new(&mut *self).poll_write(cx, left),
                Some(left) => {
                    let parts = [io::IoSlice::new(left), io::IoSlice::new(body)];
                    Pin::new(&mut *self).poll_write_vectored(cx, &parts)
                }
                None => Pin::new(&mut *self).poll_write(cx, &body[unsent.sent - head..]),
            };
            match ready!(poll)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => unsent.sent += n,
            }
        }
        if self.stream.is_buffered() { Pin::new(self).poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }
}
