//! Requests that are answered before hyper hears of them.
//!
//! Only between two requests of hyper's: nothing of one is under way, nothing of an answer waits to be
//! written, and what was read is one whole head and no byte more. So the order of answers is that of
//! requests, and the two ways take turns on one connection as they like. What the socket does not take at
//! once is kept here; nothing is read before it is gone, and the connection counts as busy for so long, as
//! it does while hyper writes.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite as _;
use tokio::time::Instant;

use super::{Gate, State, Step, Upgrading, Wire};
use crate::glance::{FIELDS_MAX, Glance};
use crate::head::{Framing, Head, check_head};
use crate::server::Server;
use crate::server::connection::Guard;
use crate::target::split_port;

/// A body up to this is copied behind its head: one plain write costs less than one in two parts.
const JOINED_BYTES_MAX: usize = 4 << 10;
/// Memory for heads beyond this is given back.
const SCRATCH_BYTES_MAX: usize = 32 << 10;

/// Who is asked for answers, and on whose behalf.
pub(crate) struct Quick {
    pub server: Rc<Server>,
    pub peer: SocketAddr,
    pub listener: usize,
    pub secured: bool,
    pub guard: Option<Guard>,
}

/// An answer on its way out.
pub(super) struct Unsent {
    head: Vec<u8>,
    body: Bytes,
    sent: usize,
}

impl Unsent {
    fn left(&self) -> usize {
        self.head.len() + self.body.len() - self.sent
    }
}

impl Quick {
    /// The answer to a request whose head has passed the judge.
    fn answer(&self, head: &[u8]) -> Option<Unsent> {
        let at_once = self.server.at_once.get()?;
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let glance = Glance::read(head, &mut fields, (self.peer, self.listener, self.secured))?;
        if self.guard.as_ref().is_some_and(|guard| !guard.covers(split_port(glance.authority).0)) {
            return None;
        }
        let mut head = self.server.scratch.take();
        let Some(mut body) = at_once(&glance, &mut head) else {
            self.give_back(head);
            return None;
        };
        if body.len() <= JOINED_BYTES_MAX {
            head.extend_from_slice(&body);
            body = Bytes::new();
        }
        Some(Unsent { head, body, sent: 0 })
    }

    fn give_back(&self, mut head: Vec<u8>) {
        if head.capacity() <= SCRATCH_BYTES_MAX {
            head.clear();
            self.server.scratch.replace(head);
        }
    }
}

/// What came of a look at bytes that were read.
pub(super) enum Look {
    Answered(Unsent),
    /// It goes the long way; the judge's word on its first head, if that was asked for.
    Passed(Option<Head>),
}

/// Looks at what was read between two requests.
pub(super) fn look(quick: Option<&Quick>, gate: &Gate, state: &State, written: bool, fresh: &[u8]) -> Look {
    let Some(quick) = quick.filter(|_| written && is_quiet(gate, state)) else { return Look::Passed(None) };
    match check_head(fresh, 0, &gate.limits) {
        Ok(Some(head)) if head.bytes == fresh.len() && head.framing == Framing::Length(0) && !head.upgrade => {
            quick.answer(fresh).map_or(Look::Passed(Some(head)), Look::Answered)
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
    /// Sends what is left of an answer.
    pub(super) fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut unsent) = self.unsent.take() else { return Poll::Ready(Ok(())) };
        let sent = self.poll_send(&mut unsent, cx);
        if sent.is_pending() {
            self.unsent = Some(unsent);
            return Poll::Pending;
        }
        self.state.finished.set(self.state.finished.get() + 1);
        self.state.note_unused(Instant::now());
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
