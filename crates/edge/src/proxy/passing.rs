//! A response body on its way through: it holds its place at the target until it has ended, and it may
//! pause only for so long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use base::{Body, BodyError, code};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use upstream::Outcome;

use super::upstream::Slot;

pub(super) struct Passing {
    body: Body,
    slot: Option<Slot>,
    between: Duration,
    /// Runs while nothing comes.
    pause: Option<Pin<Box<Sleep>>>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Passing {
    /// A body that is at hand needs none of it.
    pub fn wrap(body: Body, slot: Slot, between: Duration, deadline: Option<Instant>) -> Body {
        if body.whole().is_some() {
            return body;
        }
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        Body::stream(Self { body, slot: Some(slot), between, pause: None, deadline })
    }

    /// The target failed in the middle.
    fn broke(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(mut slot) = self.slot.take() {
            slot.judge(Outcome::Broke);
        }
        // What is left of the exchange is given up.
        self.body = Body::empty();
        Poll::Ready(Some(Err(error)))
    }

    fn late(&mut self, cx: &mut Context<'_>) -> Option<BodyError> {
        let is_over = |sleep: &mut Pin<Box<Sleep>>, cx: &mut Context<'_>| sleep.as_mut().poll(cx).is_ready();
        if self.deadline.as_mut().is_some_and(|deadline| is_over(deadline, cx)) {
            return Some(BodyError::new(&code::UPSTREAM_TIMEOUT, "the response took longer than total_ms"));
        }
        let between = self.between;
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(between)));
        let text = || format!("the response paused for {} ms (between_bytes_ms)", between.as_millis());
        is_over(pause, cx).then(|| BodyError::new(&code::UPSTREAM_TIMEOUT, text()))
    }
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => self.broke(error),
            Poll::Ready(frame) => {
                self.pause = None;
                if frame.is_none() || self.body.is_end_stream() {
                    self.slot = None;
                }
                Poll::Ready(frame)
            }
            Poll::Pending => match self.late(cx) {
                Some(error) => self.broke(error),
                None => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
