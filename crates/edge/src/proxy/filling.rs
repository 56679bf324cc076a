//! One fetch for all who ask for the same at the time: its head, and its body as it arrives.
//!
//! Who comes first leads: a task fetches, and whoever joined reads what it brings, each at their own
//! pace. What is to be stored is kept from its first byte, so that who joins late misses nothing. If it
//! turns out to be larger than the store takes, nobody joins any more, and the fetch waits for its fastest
//! reader. Others may be as far behind as was kept until then; who falls behind further goes on alone
//! ([`rest`](super::rest)) or breaks off, so that a reader never waits for a slower one.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use base::{Body, BodyError, code};
use bytes::{Bytes, BytesMut};
use cache::{Content, Held, StoreError, Stored};
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use worker::Failure;

use super::alone::Whom;
use super::rest::Rest;

/// Pieces that a fetch may be ahead of its fastest reader, once nothing is kept.
const PIECES_AHEAD: usize = 16;

/// So much a reader may be behind the fetch at least, once nothing is kept: several times what comes at once.
pub(super) const BEHIND_BYTES: usize = 4 << 20;

/// What became of a fetch.
#[derive(Clone)]
pub enum Head {
    /// Its response may be used by all who fit it; the body follows. Without the body.
    Streaming(Arc<Stored>),
    /// It is there as a whole; of what is stale, too.
    Whole(Arc<Stored>, Outcome),
    /// Its response is for the one who asked; all others ask themselves, or all others of that kind.
    Alone(Whom),
    Failed(Failure),
}

/// How a stored response came to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its origin says that it still holds.
    Validated,
    /// Its origin is in trouble.
    Stale,
}

#[derive(Default)]
pub struct Filling {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    head: Option<Head>,
    pieces: VecDeque<Bytes>,
    /// How many pieces went before the first that is here.
    gone: usize,
    bytes: usize,
    /// How many of them are not here any more.
    bytes_gone: usize,
    end: Option<Result<(), BodyError>>,
    /// The next piece of each reader; `None` for one that left.
    readers: Vec<Option<usize>>,
    /// Who may ask for any part of it.
    holders: usize,
    /// It is kept from its first piece.
    kept: bool,
    /// Else so many bytes of it are, at most.
    held_max: usize,
    waiting: Vec<Waker>,
    fetch: Option<Waker>,
}

impl State {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// The next piece of the reader that is furthest.
    fn furthest(&self) -> Option<usize> {
        self.readers.iter().flatten().copied().max()
    }

    /// Drops the pieces that no reader needs, and those that only a reader needs who is too far behind.
    fn trim(&mut self) {
        if self.kept {
            return;
        }
        let end = self.gone + self.pieces.len();
        let behind = self.readers.iter().flatten().copied().filter(|next| *next >= self.gone).min();
        let needed = if self.holders > 0 { self.gone } else { behind.unwrap_or(end) };
        let read = self.furthest().unwrap_or(end);
        while self.gone < needed || (self.gone < read && self.bytes - self.bytes_gone > self.held_max) {
            let Some(piece) = self.pieces.pop_front() else { break };
            self.gone += 1;
            self.bytes_gone += piece.len();
        }
        if let Some(fetch) = self.fetch.take() {
            fetch.wake();
        }
    }
}

impl State {
    /// A part that lies within what is here.
    fn part(&self, part: &Range<u64>) -> Bytes {
        let (start, end) = (part.start as usize, part.end as usize);
        let (mut at, mut whole) = (self.bytes_gone, BytesMut::with_capacity(end - start));
        for piece in &self.pieces {
            let (from, to) = (start.max(at), end.min(at + piece.len()));
            if from < to {
                whole.extend_from_slice(&piece[from - at..to - at]);
            }
            at += piece.len();
        }
        whole.freeze()
    }
}

/// A body that is still arriving, as the policy sees it.
struct Arriving {
    filling: Arc<Filling>,
    bytes: u64,
}

impl Held for Arriving {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&self, part: Range<u64>) -> BoxFuture<'static, Result<Bytes, StoreError>> {
        let filling = self.filling.clone();
        Box::pin(std::future::poll_fn(move |cx| filling.poll_part(&part, cx)))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut state = self.filling.state();
        state.holders -= 1;
        state.trim();
    }
}

impl Filling {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what became of the fetch.
    pub fn tell(&self, head: Head) {
        let mut state = self.state();
        state.kept = true;
        state.head.get_or_insert(head);
        state.wake();
    }

    /// Waits until it is known.
    pub async fn head(&self) -> Head {
        std::future::poll_fn(|cx| {
            let mut state = self.state();
            match &state.head {
                Some(head) => Poll::Ready(head.clone()),
                None => {
                    state.waiting.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// One more piece of the body. Answers how many bytes there were in all.
    pub fn push(&self, piece: Bytes) -> usize {
        let mut state = self.state();
        state.bytes += piece.len();
        state.pieces.push_back(piece);
        state.wake();
        state.bytes
    }

    /// From now on only readers that are here are served, and held is no more than now.
    pub fn keep_no_more(&self) {
        let mut state = self.state();
        state.kept = false;
        state.held_max = state.bytes.max(BEHIND_BYTES);
        state.trim();
    }

    /// Waits until the fastest reader is near. False if nobody reads any more.
    pub async fn room(&self) -> bool {
        std::future::poll_fn(|cx| {
            let mut state = self.state();
            let ahead = match state.furthest() {
                Some(next) => state.gone + state.pieces.len() - next,
                None if state.holders > 0 => 0,
                None => return Poll::Ready(false),
            };
            if ahead < PIECES_AHEAD {
                return Poll::Ready(true);
            }
            state.fetch = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    pub fn end(&self, end: Result<(), BodyError>) {
        let mut state = self.state();
        state.end.get_or_insert(end);
        state.wake();
    }

    /// Why its body ended before its time, if it did.
    pub fn broken(&self) -> Option<BodyError> {
        self.state().end.clone().and_then(Result::err)
    }

    /// The whole body, of one that was kept and has ended.
    pub fn whole(&self) -> Bytes {
        let state = self.state();
        if let [only] = state.pieces.as_slices().0
            && state.pieces.len() == 1
        {
            return only.clone();
        }
        let mut whole = BytesMut::with_capacity(state.bytes);
        state.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }

    /// The whole body, if it has arrived and is kept.
    pub fn arrived(&self) -> Option<Bytes> {
        let arrived = {
            let state = self.state();
            state.kept && state.gone == 0 && matches!(state.end, Some(Ok(())))
        };
        arrived.then(|| self.whole())
    }

    /// The body of a size that was told, parts of which are read as soon as they are here; `None` if its
    /// beginning is gone.
    pub fn held(self: &Arc<Self>, bytes: u64) -> Option<Content> {
        let mut state = self.state();
        if state.gone > 0 || !state.kept {
            return None;
        }
        state.holders += 1;
        Some(Content::held(Arc::new(Arriving { filling: self.clone(), bytes })))
    }

    /// The bytes of a part, once they are here.
    fn poll_part(&self, part: &Range<u64>, cx: &mut Context<'_>) -> Poll<Result<Bytes, StoreError>> {
        let mut state = self.state();
        if (part.start as usize) < state.bytes_gone {
            return Poll::Ready(Err(StoreError::Failed("it is kept no longer".to_owned())));
        }
        if state.bytes as u64 >= part.end {
            return Poll::Ready(Ok(state.part(part)));
        }
        match &state.end {
            None => {
                state.waiting.push(cx.waker().clone());
                Poll::Pending
            }
            Some(Ok(())) => Poll::Ready(Err(StoreError::Failed("the body is shorter than was told".to_owned()))),
            Some(Err(error)) => Poll::Ready(Err(StoreError::Failed(error.detail.clone()))),
        }
    }

    /// The body for one more reader, from its beginning; `None` if that is gone. `rest` is how it goes on if it falls
    /// behind.
    pub fn body(self: &Arc<Self>, size: Option<u64>, rest: Option<Rest>) -> Option<Body> {
        let mut state = self.state();
        if state.gone > 0 {
            return None;
        }
        let slot = state.readers.len();
        state.readers.push(Some(0));
        let goes = Goes::Along(rest);
        Some(Body::stream(Reader { filling: self.clone(), slot, size, read: 0, goes }))
    }
}

/// Ends a fetch that was given up, so that nobody waits for ever.
pub struct Ends(pub Arc<Filling>);

impl Drop for Ends {
    fn drop(&mut self) {
        let gone = "the request that fetched it was given up";
        self.0.tell(Head::Failed(Failure::new(&code::UPSTREAM_PROTOCOL, gone)));
        self.0.end(Err(BodyError::new(&code::UPSTREAM_PROTOCOL, gone)));
    }
}

struct Reader {
    filling: Arc<Filling>,
    slot: usize,
    size: Option<u64>,
    /// Bytes that it has.
    read: u64,
    goes: Goes,
}

/// How a reader goes on.
enum Goes {
    /// With the others; alone, in this way, if it falls behind.
    Along(Option<Rest>),
    /// It asked for the rest.
    Asking(BoxFuture<'static, Option<Body>>),
    Alone(Body),
    /// Nowhere.
    Ended,
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &self.goes {
            Goes::Along(_) => self.poll_along(cx),
            Goes::Asking(_) | Goes::Alone(_) => self.poll_alone(cx),
            Goes::Ended => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.goes {
            Goes::Along(_) => {}
            Goes::Asking(_) => return false,
            Goes::Alone(body) => return body.is_end_stream(),
            Goes::Ended => return true,
        }
        let state = self.filling.state();
        let next = state.readers[self.slot].unwrap_or(0);
        next >= state.gone + state.pieces.len() && matches!(state.end, Some(Ok(())))
    }

    fn size_hint(&self) -> SizeHint {
        match self.size {
            // Of the rest, which is the whole at first.
            Some(size) if self.read == 0 => SizeHint::with_exact(size),
            _ => SizeHint::default(),
        }
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Reader {
    fn poll_along(&mut self, cx: &mut Context<'_>) -> Polled {
        let filling = self.filling.clone();
        let mut state = filling.state();
        let next = state.readers[self.slot].unwrap_or(0);
        if next < state.gone {
            // What the others do is no matter of this one any more.
            state.readers[self.slot] = None;
            drop(state);
            let Goes::Along(Some(rest)) = std::mem::replace(&mut self.goes, Goes::Ended) else { return left_behind() };
            self.goes = Goes::Asking(rest(self.read));
            return self.poll_alone(cx);
        }
        if let Some(piece) = state.pieces.get(next - state.gone).cloned() {
            state.readers[self.slot] = Some(next + 1);
            state.trim();
            self.read += piece.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &state.end {
            None => {
                state.waiting.push(cx.waker().clone());
                Poll::Pending
            }
            Some(end) => {
                let end = end.clone();
                drop(state);
                self.goes = Goes::Ended;
                Poll::Ready(end.err().map(Err))
            }
        }
    }

    fn poll_alone(&mut self, cx: &mut Context<'_>) -> Polled {
        if let Goes::Asking(asking) = &mut self.goes {
            match ready!(asking.as_mut().poll(cx)) {
                Some(body) => self.goes = Goes::Alone(body),
                None => {
                    self.goes = Goes::Ended;
                    return left_behind();
                }
            }
        }
        match &mut self.goes {
            Goes::Alone(body) => Pin::new(body).poll_frame(cx),
            _ => Poll::Ready(None),
        }
    }
}

fn left_behind() -> Polled {
    let told = "others read the same response faster, and its rest is not to be had alone";
    Poll::Ready(Some(Err(BodyError::new(&code::CLIENT_TOO_SLOW, told))))
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.filling.state();
        state.readers[self.slot] = None;
        state.trim();
    }
}
