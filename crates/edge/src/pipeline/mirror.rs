//! Copies of requests for a shadow target, whose answers are compared with the real ones and thrown
//! away.
//!
//! The request knows nothing of it: the copy is sent by a task of its own, at most so many at a time
//! on each core, and only of what is at hand, so that nothing is held up. The answer passes a hash on
//! its way to the client. When both are complete, one of five outcomes is counted.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base::{Body, BodyError, Rng as _};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use manifest::RouteIndex;
use manifest::route::rules::{Mirror, WHOLE};
use net::Request;
use sha2::{Digest as _, Sha256};
use telemetry::{MirrorOutcome, Mirrored};
use tokio::sync::oneshot;

use super::rules::{Course, copy};
use super::{Outcome, Way, reach};

/// Copies under way on one core.
const IN_FLIGHT_MAX: usize = 64;
/// A shadow that has not answered in full by then has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many copies are under way.
#[derive(Default, Clone)]
pub(crate) struct InFlight(Rc<Cell<usize>>);

/// One of them; it ends when this is dropped.
struct Place(InFlight);

impl InFlight {
    fn take(&self) -> Option<Place> {
        let before = self.0.get();
        (before < IN_FLIGHT_MAX).then(|| {
            self.0.set(before + 1);
            Place(self.clone())
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

/// What an answer was: its status and the hash of its body.
type Seen = (u16, [u8; 32]);

/// The real side of a comparison.
pub(super) struct Shadow(oneshot::Sender<Seen>);

/// Sends the copy. `None` if this request has none.
pub(super) fn begin(
    way: &Way,
    index: RouteIndex,
    mirror: &Mirror,
    request: &Request,
    whole: &Option<Bytes>,
) -> Option<Shadow> {
    let mut draw = [0; 4];
    way.core.ids.fill(&mut draw);
    if u32::from_le_bytes(draw) % WHOLE >= mirror.share || !(request.method.is_safe() || mirror.changes) {
        return None;
    }
    let tell = {
        let (sink, app) = (way.core.sink.clone(), way.site.app_label().clone());
        let pattern = way.site.pattern(index).clone();
        move |outcome| sink.mirrored(Mirrored { app: app.clone(), route: pattern.clone(), outcome })
    };
    let (Some(bytes), Some(place)) = (whole, way.core.mirrors.take()) else {
        tell(MirrorOutcome::Skipped);
        return None;
    };
    let mut course = Course::new(way, index, mirror.target, request);
    // What the shadow says is for nobody, and is kept for nobody.
    course.target = uncached(course.target);
    course.route = None;
    let (way, request) = (way.aside(), copy(request, bytes.clone()));
    let (real, told) = oneshot::channel();
    tokio::task::spawn_local(async move {
        let _place = place;
        let outcome = match tokio::time::timeout(PATIENCE, shadow(&way, &course, request)).await {
            Ok(Some(mine)) => match told.await {
                Ok(real) if real == mine => MirrorOutcome::Same,
                Ok((status, _)) if status != mine.0 => MirrorOutcome::OtherStatus,
                Ok(_) => MirrorOutcome::OtherBody,
                // The client left, or the real answer broke off: there is nothing to compare.
                Err(_) => MirrorOutcome::Skipped,
            },
            Ok(None) | Err(_) => MirrorOutcome::Failed,
        };
        tell(outcome);
    });
    Some(Shadow(real))
}

fn uncached(target: manifest::Target) -> manifest::Target {
    match target {
        manifest::Target::Upstream { upstream, .. } => {
            manifest::Target::Upstream { upstream, cache: manifest::RouteCache::Off }
        }
        other => other,
    }
}

async fn shadow(way: &Way, course: &Course, request: Request) -> Option<Seen> {
    let (head, mut body) = reach(way, course, request).await.outcome.ok()?.into_parts();
    let mut hash = Sha256::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            hash.update(&data);
        }
    }
    Some((head.status.as_u16(), hash.finalize().into()))
}

impl Shadow {
    /// Sees the real answer pass.
    pub fn watch(self, outcome: Outcome) -> Outcome {
        let response = outcome?;
        let (head, mut body) = response.into_parts();
        let status = head.status.as_u16();
        let whole = if body.is_empty() { Some(Bytes::new()) } else { body.take_whole() };
        if let Some(bytes) = whole {
            // Whoever compares may be gone.
            let _ = self.0.send((status, Sha256::digest(&bytes).into()));
            let body = if bytes.is_empty() { Body::empty() } else { Body::full(bytes) };
            return Ok(http::Response::from_parts(head, body));
        }
        let passing = Passing { body, hash: Some(Sha256::new()), status, to: Some(self.0) };
        Ok(http::Response::from_parts(head, Body::stream(passing)))
    }
}

/// A body that is hashed while it passes.
struct Passing {
    body: Body,
    hash: Option<Sha256>,
    status: u16,
    to: Option<oneshot::Sender<Seen>>,
}

impl Passing {
    fn end(&mut self) {
        if let (Some(hash), Some(to)) = (self.hash.take(), self.to.take()) {
            let _ = to.send((self.status, hash.finalize().into()));
        }
    }
}

impl HttpBody for Passing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.end(),
            Some(Ok(frame)) => {
                if let (Some(data), Some(hash)) = (frame.data_ref(), self.hash.as_mut()) {
                    hash.update(data);
                }
                if self.body.is_end_stream() {
                    self.end();
                }
            }
            Some(Err(_)) => self.to = None,
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
