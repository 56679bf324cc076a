//! Knows when a request has been sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use base::{Body, BodyError};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;

/// The request, and a wait for the end of its body: at once, for one that is at hand.
pub(super) fn watch(request: http::Request<Body>) -> (http::Request<Body>, impl Future<Output = ()>) {
    let (told, mut heard) = oneshot::channel::<()>();
    let request = if request.body().whole().is_some() {
        request
    } else {
        request.map(|body| Body::stream(Watched { body, told: Some(told) }))
    };
    let wait = std::future::poll_fn(move |cx| {
        // Whether it was told or dropped with the body: nothing more is sent.
        Pin::new(&mut heard).poll(cx).map(drop)
    });
    (request, wait)
}

struct Watched {
    body: Body,
    told: Option<oneshot::Sender<()>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.told = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
