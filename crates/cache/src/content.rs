//! The body of a stored response: at hand, or somewhere from which it is read in pieces.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base::{Body, BodyError};
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::store::StoreError;

/// What a reader of a body that is elsewhere holds of it.
const PIECE_BYTES: u64 = 128 << 10;

/// A body that a store keeps elsewhere than in memory.
///
/// # Promises
///
/// 1. **What was put.** A part that is read is what was put, or the read fails: nothing else is ever
///    answered, whatever became of the medium.
/// 2. **It lasts.** It can be read as long as it is held, even if the entry was removed meanwhile.
pub trait Held: Send + Sync + 'static {
    fn bytes(&self) -> u64;

    /// A part that lies within.
    fn read(&self, part: Range<u64>) -> BoxFuture<'static, Result<Bytes, StoreError>>;
}

/// A body, or a part of one.
#[derive(Clone)]
pub enum Content {
    Whole(Bytes),
    Held { held: Arc<dyn Held>, part: Range<u64> },
}

impl Content {
    pub fn empty() -> Self {
        Self::Whole(Bytes::new())
    }

    pub fn held(held: Arc<dyn Held>) -> Self {
        let part = 0..held.bytes();
        Self::Held { held, part }
    }

    /// Contents one after the other.
    pub fn joined(mut contents: Vec<Self>) -> Self {
        match contents.len() {
            0 => Self::empty(),
            1 => contents.remove(0),
            _ => Self::held(Arc::new(Joined(contents))),
        }
    }

    pub fn len(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Held { part, .. } => part.end - part.start,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are at hand.
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Held { .. } => None,
        }
    }

    /// What it takes up in memory, in bytes.
    pub fn resident_bytes(&self) -> usize {
        self.whole().map_or(128, Bytes::len)
    }

    /// A part that lies within.
    pub fn slice(&self, wanted: Range<u64>) -> Self {
        match self {
            Self::Whole(bytes) => Self::Whole(bytes.slice(wanted.start as usize..wanted.end as usize)),
            Self::Held { held, part } => {
                Self::Held { held: held.clone(), part: part.start + wanted.start..part.start + wanted.end }
            }
        }
    }

    /// All of it in memory.
    pub async fn read(&self) -> Result<Bytes, StoreError> {
        let (held, part) = match self {
            Self::Whole(bytes) => return Ok(bytes.clone()),
            Self::Held { held, part } => (held, part),
        };
        let mut whole = BytesMut::with_capacity((part.end - part.start) as usize);
        for piece in pieces(part.clone()) {
            whole.extend_from_slice(&held.read(piece).await?);
        }
        Ok(whole.freeze())
    }

    /// As the body of a response; what is elsewhere is read as fast as the reader takes it.
    pub fn into_body(self) -> Body {
        match self {
            Self::Whole(bytes) => Body::full(bytes),
            Self::Held { part, .. } if part.is_empty() => Body::empty(),
            Self::Held { held, part } => Body::stream(HeldBody { held, left: part, reading: None }),
        }
    }
}

/// Its pieces, which begin where a multiple of their size does, so that none is read twice.
fn pieces(part: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut left = part;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let piece = next_piece(&left);
        left.start = piece.end;
        Some(piece)
    })
}

fn next_piece(left: &Range<u64>) -> Range<u64> {
    let end = (left.start / PIECE_BYTES + 1) * PIECE_BYTES;
    left.start..end.min(left.end)
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Held { part, .. } => write!(f, "Held({part:?})"),
        }
    }
}

impl PartialEq for Content {
    /// What is elsewhere equals itself alone.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a == b,
            (Self::Held { held: a, part: x }, Self::Held { held: b, part: y }) => Arc::ptr_eq(a, b) && x == y,
            _ => false,
        }
    }
}

impl Eq for Content {}

/// Several contents as one.
struct Joined(Vec<Content>);

impl Held for Joined {
    fn bytes(&self) -> u64 {
        self.0.iter().map(Content::len).sum()
    }

    fn read(&self, part: Range<u64>) -> BoxFuture<'static, Result<Bytes, StoreError>> {
        let mut at = 0;
        let mut slices = Vec::new();
        for content in &self.0 {
            let (from, to) = (part.start.max(at), part.end.min(at + content.len()));
            if from < to {
                slices.push(content.slice(from - at..to - at));
            }
            at += content.len();
        }
        Box::pin(async move {
            if let [Content::Whole(bytes)] = &slices[..] {
                return Ok(bytes.clone());
            }
            let mut whole = BytesMut::with_capacity((part.end - part.start) as usize);
            for slice in slices {
                match slice {
                    Content::Whole(bytes) => whole.extend_from_slice(&bytes),
                    Content::Held { held, part } => whole.extend_from_slice(&held.read(part).await?),
                }
            }
            Ok(whole.freeze())
        })
    }
}

struct HeldBody {
    held: Arc<dyn Held>,
    left: Range<u64>,
    reading: Option<BoxFuture<'static, Result<Bytes, StoreError>>>,
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let piece = next_piece(&self.left);
        let held = self.held.clone();
        let reading = self.reading.get_or_insert_with(|| held.read(piece));
        let read = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        match read {
            Ok(bytes) => {
                self.left.start += bytes.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => {
                // A failed stream has ended.
                self.left.start = self.left.end;
                Poll::Ready(Some(Err(BodyError::new(error.code(), error.to_string()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.end - self.left.start)
    }
}
