//! What stands between the socket and hyper: it lets a request through only when its head is
//! whole and beyond doubt, and it knows at every byte whether that byte is head or body.
//!
//! hyper is a good parser and a lenient one, and it answers errors with an empty body. Behind the
//! gate it never sees half a head or a bad one: a bad head ends the stream for it, so that it
//! finishes what came before, in order, and the connection then answers with a problem document.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use base::Body;
use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ServerLimits;
use crate::chunked::Chunked;
use crate::head::{Framing, Head, Refusal, check_head};
use crate::interim::Line;
use crate::server::upgraded::Accepted;
use crate::stream::Stream;

mod at_once;

pub(crate) use at_once::Quick;
use at_once::{Awaited, Unsent};

/// What a connection's parts tell each other. Everything here belongs to one task.
pub(crate) struct State {
    /// Requests that were handed on.
    pub passed: Cell<u64>,
    /// Requests whose response was taken in full, or that were given up.
    pub finished: Cell<u64>,
    /// Requests that were given up before their response.
    pub cancelled: Cell<u64>,
    /// Requests in flight whose answer needs nothing of the node any more.
    pub alone: Cell<u64>,
    pub idle_since: Cell<Instant>,
    /// HTTP/1.1: a connection that is unused before this could rest before its timer looks.
    pub rests_early: Cell<Option<Instant>>,
    /// Since when part of a head is there.
    pub head_since: Cell<Option<Instant>>,
    /// Since when the client takes nothing of what is written.
    pub stalled_since: Cell<Option<Instant>>,
    /// HTTP/2: the requests whose client has not yet taken the piece of the answer that was handed
    /// over at this time. A client can leave the window of one stream closed while it reads others.
    pub handed_over: RefCell<Vec<(u64, Instant)>>,
    /// A deadline may have moved nearer.
    pub rearm: Cell<bool>,
    pub refusal: RefCell<Option<Refusal>>,
    /// The client closed its side, or broke the framing, in the middle of a request.
    pub gone: Cell<bool>,
    pub draining_since: Cell<Option<Instant>>,
    /// End now, whatever is in flight.
    pub cut: Cell<bool>,
    pub waker: RefCell<Option<Waker>>,
    pub upgrade: Cell<Upgrading>,
    /// The socket that the connection becomes (HTTP/1.1).
    pub accepted: RefCell<Option<Accepted>>,
    /// What goes out before answers (HTTP/1.1), once there was a request.
    pub interim: OnceCell<Arc<Line>>,
    /// The answer to the request that hyper sees next (HTTP/1.1), where it was there before.
    pub prepared: RefCell<Option<Box<http::Response<Body>>>>,
    /// Told with every wake: sockets, which are tasks of their own on HTTP/2.
    pub sockets: Notify,
}

/// Where a request that asks for another protocol stands. What its client sends after it is read
/// by nobody until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upgrading {
    No,
    Asked,
    /// What was held back is the next request.
    Refused,
    /// What was held back belongs to the new protocol.
    Accepted,
}

impl State {
    pub fn new(now: Instant) -> Rc<Self> {
        Rc::new(Self {
            passed: Cell::new(0),
            finished: Cell::new(0),
            cancelled: Cell::new(0),
            alone: Cell::new(0),
            idle_since: Cell::new(now),
            rests_early: Cell::new(None),
            head_since: Cell::new(None),
            stalled_since: Cell::new(None),
            handed_over: RefCell::default(),
            rearm: Cell::new(false),
            refusal: RefCell::new(None),
            gone: Cell::new(false),
            draining_since: Cell::new(None),
            cut: Cell::new(false),
            waker: RefCell::new(None),
            upgrade: Cell::new(Upgrading::No),
            accepted: RefCell::new(None),
            interim: OnceCell::new(),
            prepared: RefCell::new(None),
            sockets: Notify::new(),
        })
    }

    /// A piece of a request's answer is on its way, or was taken.
    pub fn hand_over(&self, request: u64, at: Option<Instant>) {
        let mut handed_over = self.handed_over.borrow_mut();
        let known = handed_over.iter().position(|(id, _)| *id == request);
        match (known, at) {
            (Some(known), Some(at)) => handed_over[known].1 = at,
            (Some(known), None) => drop(handed_over.swap_remove(known)),
            (None, Some(at)) => handed_over.push((request, at)),
            (None, None) => {}
        }
    }

    /// The last answer was taken. That the timer comes back in time is arranged once for many requests:
    /// only if it would look later than it would find a connection to lay down.
    pub fn note_unused(&self, now: Instant) {
        self.idle_since.set(now);
        if self.rests_early.get().is_some_and(|early| now < early) {
            self.rearm.set(true);
        }
    }

    /// How a write to the socket went.
    pub fn note_write<T>(&self, poll: &Poll<io::Result<T>>) {
        if poll.is_ready() {
            if self.stalled_since.take().is_some() && !self.is_busy() {
                // The last of an answer, which the timer may have waited for.
                self.rearm.set(true);
            }
        } else if self.stalled_since.get().is_none() {
            self.stalled_since.set(Some(Instant::now()));
            self.rearm.set(true);
        }
    }

    pub fn is_busy(&self) -> bool {
        self.passed.get() > self.finished.get()
    }

    /// Whether answers are on their way, and all of them without the node's help. A socket counts as a request
    /// in flight, or as none: neither makes this true.
    pub fn stands_alone(&self) -> bool {
        self.is_busy() && self.passed.get() - self.finished.get() == self.alone.get()
    }

    pub fn is_refused(&self) -> bool {
        self.refusal.borrow().is_some()
    }

    pub fn wake(&self) {
        self.rearm.set(true);
        self.sockets.notify_waiters();
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// The socket as hyper sees it on a connection of HTTP/1.1.
pub(crate) struct Wire {
    stream: Stream,
    /// Bytes that were read while the protocol was found out.
    before: Bytes,
    gate: Gate,
    /// Whether the last write was taken in full, so that an answer may follow.
    whole: bool,
    state: Rc<State>,
    /// Who has answers at hand.
    quick: Option<Box<Quick>>,
    /// What they wait for.
    awaited: Option<Awaited>,
    /// What is left of such an answer.
    unsent: Option<Unsent>,
    /// Nothing is read any more: the last answer said so.
    ended: bool,
}

struct Gate {
    limits: Rc<ServerLimits>,
    step: Step,
    /// The head so far, if it did not come in one piece.
    partial: BytesMut,
    searched: usize,
    /// Let through, not yet taken.
    through: BytesMut,
    malformed: Option<crate::chunked::Malformed>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Head,
    Body(u64),
    Chunked(Chunked),
    /// Behind a request that asks for another protocol.
    Held,
}

/// What a client may send behind such a request before it has its answer.
const HELD_BYTES: usize = 64 << 10;

impl Wire {
    pub fn new(stream: Stream, before: Bytes, limits: Rc<ServerLimits>, state: Rc<State>) -> Self {
        let gate = Gate {
            limits,
            step: Step::Head,
            partial: BytesMut::new(),
            searched: 0,
            through: BytesMut::new(),
            malformed: None,
        };
        Self { stream, before, gate, whole: true, state, quick: None, awaited: None, unsent: None, ended: false }
    }

    /// Who is asked before a request goes the long way.
    pub fn with_quick(mut self, quick: Quick) -> Self {
        self.quick = Some(Box::new(quick));
        self
    }

    /// Nothing of a request is here: what the client sends next begins one.
    pub fn is_at_rest(&self) -> bool {
        self.before.is_empty() && self.awaited.is_none() && self.unsent.is_none() && self.gate.is_at_rest()
    }

    /// Waits until the client sends something, and keeps that. False if it sends no more.
    pub fn poll_used(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if !self.before.is_empty() {
            return Poll::Ready(true);
        }
        let mut space = [MaybeUninit::uninit(); 2048];
        let mut first = ReadBuf::uninit(&mut space);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut first));
        self.before = Bytes::copy_from_slice(first.filled());
        Poll::Ready(read.is_ok() && !self.before.is_empty())
    }

    /// The socket, and what of it was read and not given to anybody.
    pub fn into_upgraded(self) -> (Stream, Vec<u8>) {
        (self.stream, [&self.gate.through[..], &self.gate.partial[..], &self.before[..]].concat())
    }

    /// The socket, and whether the client may still be sending a body that nobody read.
    pub fn into_stream(self) -> (Stream, bool) {
        let mid_body = !matches!(self.gate.step, Step::Head) || self.gate.malformed.is_some();
        (self.stream, mid_body)
    }
}

pub(crate) fn poll_source(
    before: &mut Bytes,
    stream: &mut Stream,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if before.is_empty() {
        return Pin::new(stream).poll_read(cx, buf);
    }
    let n = before.len().min(buf.remaining());
    buf.put_slice(&before[..n]);
    before.advance(n);
    if before.is_empty() {
        // An empty rest would keep its memory for as long as the connection lasts.
        *before = Bytes::new();
    }
    Poll::Ready(Ok(()))
}

impl Gate {
    fn is_at_rest(&self) -> bool {
        let waits = matches!(self.step, Step::Head) && self.malformed.is_none();
        waits && self.partial.is_empty() && self.through.is_empty()
    }

    /// How many of these bytes may go through. They begin where the last ones ended, or at the
    /// start of the head that `searched` bytes were known of. `known` is what is known of the first head.
    fn judge(&mut self, bytes: &[u8], mut known: Option<Head>, state: &State) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.step {
                Step::Head => match known
                    .take()
                    .map_or_else(|| check_head(&bytes[at..], self.searched, &self.limits), |head| Ok(Some(head)))
                {
                    Ok(Some(head)) => {
                        self.searched = 0;
                        at += head.bytes;
                        state.passed.set(state.passed.get() + 1);
                        if head.upgrade {
                            state.upgrade.set(Upgrading::Asked);
                            self.step = Step::Held;
                            break;
                        }
                        self.step = match head.framing {
                            Framing::Length(0) => Step::Head,
                            Framing::Length(n) => Step::Body(n),
                            Framing::Chunked => Step::Chunked(Chunked::default()),
                        };
                    }
                    Ok(None) => {
                        self.searched = bytes.len() - at;
                        break;
                    }
                    Err(refusal) => {
                        *state.refusal.borrow_mut() = Some(refusal);
                        break;
                    }
                },
                Step::Held => break,
                Step::Body(left) => {
                    let n = (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= n as u64;
                    at += n;
                    if *left == 0 {
                        self.step = Step::Head;
                    }
                }
                Step::Chunked(chunked) => match chunked.advance(&bytes[at..]) {
                    Ok(n) => {
                        at += n;
                        if chunked.is_end() {
                            self.step = Step::Head;
                        }
                    }
                    Err(malformed) => {
                        self.malformed = Some(malformed);
                        break;
                    }
                },
            }
        }
        at
    }

    /// Keeps what comes behind a request that asks for another protocol, until that is decided.
    /// Ready with the step unchanged means that the client left.
    fn hold(
        &mut self,
        before: &mut Bytes,
        stream: &mut Stream,
        state: &State,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match state.upgrade.get() {
                Upgrading::Asked if self.partial.len() < HELD_BYTES => {}
                // The answer wakes the connection.
                Upgrading::Asked | Upgrading::Accepted => return Poll::Pending,
                Upgrading::No | Upgrading::Refused => {
                    state.upgrade.set(Upgrading::No);
                    self.step = Step::Head;
                    let mut held = std::mem::take(&mut self.partial);
                    let through = self.judge(&held, None, state);
                    self.through = held.split_to(through);
                    self.partial = held;
                    self.note_partial(state);
                    return Poll::Ready(Ok(()));
                }
            }
            let mut space = [0; 2048];
            let mut more = ReadBuf::new(&mut space);
            ready!(poll_source(before, stream, cx, &mut more))?;
            if more.filled().is_empty() {
                state.gone.set(state.is_busy());
                return Poll::Ready(Ok(()));
            }
            self.partial.extend_from_slice(more.filled());
        }
    }

    fn note_partial(&self, state: &State) {
        if self.partial.is_empty() || matches!(self.step, Step::Held) {
            state.head_since.set(None);
        } else if state.head_since.get().is_none() {
            state.head_since.set(Some(Instant::now()));
            state.rearm.set(true);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.awaited.is_some() {
                ready!(this.poll_awaited(cx));
            }
            ready!(this.poll_unsent(cx))?;
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            let gate = &mut this.gate;
            if !gate.through.is_empty() {
                let n = gate.through.len().min(buf.remaining());
                buf.put_slice(&gate.through.split_to(n));
                return Poll::Ready(Ok(()));
            }
            if let Some(malformed) = gate.malformed {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, malformed)));
            }
            if let Step::Held = gate.step {
                ready!(gate.hold(&mut this.before, &mut this.stream, &this.state, cx))?;
                if let Step::Held = gate.step {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            if this.state.is_refused() {
                // The end of the stream, but not before earlier requests have their answers; the
                // last of them wakes this task.
                return if this.state.is_busy() { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            let whole = gate.partial.is_empty();
            let read = if whole {
                let start = buf.filled().len();
                ready!(poll_source(&mut this.before, &mut this.stream, cx, buf))?;
                let fresh = &buf.filled()[start..];
                let mut known = None;
                if this.takes(fresh, &mut known) {
                    buf.set_filled(start);
                    continue;
                }
                let gate = &mut this.gate;
                let (read, through) = (fresh.len(), gate.judge(fresh, known, &this.state));
                if through < read {
                    gate.partial.extend_from_slice(&fresh[through..]);
                }
                buf.set_filled(start + through);
                if through > 0 {
                    gate.note_partial(&this.state);
                    return Poll::Ready(Ok(()));
                }
                read
            } else {
                let mut space = [0; 2048];
                let mut more = ReadBuf::new(&mut space);
                ready!(poll_source(&mut this.before, &mut this.stream, cx, &mut more))?;
                let mut partial = std::mem::take(&mut gate.partial);
                partial.extend_from_slice(more.filled());
                let through = gate.judge(&partial, None, &this.state);
                gate.through = partial.split_to(through);
                gate.partial = partial;
                more.filled().len()
            };
            this.gate.note_partial(&this.state);
            if read == 0 {
                this.state.gone.set(this.state.is_busy());
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Wire {
    fn note_sent(&mut self, poll: &Poll<io::Result<usize>>, given: usize) {
        self.state.note_write(poll);
        self.whole = matches!(poll, Poll::Ready(Ok(n)) if *n == given);
    }

    /// Writes what goes out before an answer: when hyper has nothing to write, or when it was begun.
    fn poll_interim(&mut self, cx: &mut Context<'_>, flushes: bool) -> Poll<io::Result<()>> {
        let Some(line) = self.state.interim.get() else { return Poll::Ready(Ok(())) };
        if !line.waits() || !(flushes || line.is_begun()) {
            return Poll::Ready(Ok(()));
        }
        let poll = line.poll_write(&mut self.stream, cx);
        self.state.note_write(&poll);
        poll
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx, false))?;
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_sent(&poll, bytes.len());
        poll
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx, false))?;
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.note_sent(&poll, bytes.iter().map(|slice| slice.len()).sum());
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_interim(cx, true))?;
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        if self.stream.is_buffered() {
            self.state.note_write(&poll);
        }
        poll
    }

    /// The connection itself ends the stream, since it may have a last word to say.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
