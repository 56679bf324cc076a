//! The body of a request or response, as it flows through every crate.
//!
//! A body that is already whole stays whole: no stream object, no channel, no copy.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;

use crate::code::{self, Code};

/// Why a body ended before its end.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.detail)]
pub struct BodyError {
    pub code: Code,
    /// For the log; a client sees the code's title at most.
    pub detail: String,
}

impl BodyError {
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The peer went away.
    pub fn gone() -> Self {
        Self::new(&code::CLIENT_GONE, "the peer closed the connection")
    }
}

/// A body: empty, whole, or a stream of frames (data, then trailers).
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream {
        frames: UnsyncBoxBody<Bytes, BodyError>,
        /// A frame was asked for.
        asked: bool,
    },
}

impl Body {
    pub fn empty() -> Self {
        Self::default()
    }

    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) })
    }

    pub fn stream(body: impl HttpBody<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Self(Kind::Stream { frames: body.boxed_unsync(), asked: false })
    }

    /// The whole body, if it is at hand without waiting. Leaves an empty body behind.
    pub fn take_whole(&mut self) -> Option<Bytes> {
        match std::mem::take(&mut self.0) {
            Kind::Empty => Some(Bytes::new()),
            Kind::Full(bytes) => Some(bytes),
            stream @ Kind::Stream { .. } => {
                self.0 = stream;
                None
            }
        }
    }

    /// The same, to look at.
    pub fn whole(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Empty => Some(&[]),
            Kind::Full(bytes) => Some(bytes),
            Kind::Stream { .. } => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self.0, Kind::Empty)
    }

    /// True for a stream that was asked for a frame: what is left of it may not be all of it.
    pub fn is_begun(&self) -> bool {
        matches!(self.0, Kind::Stream { asked: true, .. })
    }

    /// Reads the body to its end, up to `bytes_max`; beyond, it fails with `body_too_large`.
    pub async fn collect(mut self, bytes_max: usize) -> Result<Bytes, BodyError> {
        let too_large = || BodyError::new(&code::BODY_TOO_LARGE, format!("the body has more than {bytes_max} bytes"));
        if let Some(bytes) = self.take_whole() {
            return if bytes.len() > bytes_max { Err(too_large()) } else { Ok(bytes) };
        }
        let mut whole = Vec::new();
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame?.into_data() {
                if whole.len() + data.len() > bytes_max {
                    return Err(too_large());
                }
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.into())
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream { frames, asked } => {
                *asked = true;
                Pin::new(frames).poll_frame(cx)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Stream { frames, .. } => frames.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream { frames, .. } => frames.size_hint(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body::Empty"),
            Kind::Full(bytes) => write!(f, "Body::Full({} bytes)", bytes.len()),
            Kind::Stream { .. } => f.write_str("Body::Stream"),
        }
    }
}
