//! What the runner in the guest asks of the driver: to tell the app another time, to empty its data.

use std::sync::Arc;

use base::{Body, Clock, SystemClock};
use futures_util::future::LocalBoxFuture;
use http::StatusCode;
use worker::{Call, Event, Failure, Invoker, Response, ToldTime};

use super::data::Data;

/// Answers `…/clock?us=N`, which tells a time, `…/clock`, which takes that back, and `…/reset`.
pub struct Control {
    pub told: ToldTime,
    pub data: Arc<Data>,
}

impl Control {
    fn obey(&self, url: &str) -> StatusCode {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        match path.rsplit('/').next() {
            Some("clock") => self.told.tell(query.strip_prefix("us=").and_then(|us| us.parse().ok())),
            Some("reset") => self.data.clear(),
            _ => return StatusCode::NOT_FOUND,
        }
        StatusCode::NO_CONTENT
    }
}

impl Invoker for Control {
    fn invoke(&self, _: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let status = match &event {
            Event::Fetch(event) => self.obey(&event.url),
            _ => StatusCode::NOT_FOUND,
        };
        let mut response = Response::new(Body::default());
        *response.status_mut() = status;
        Box::pin(std::future::ready(Ok(response)))
    }
}

/// The clock of an app's data: the time that was told, or the machine's.
pub struct ToldClock {
    pub told: ToldTime,
    pub machine: SystemClock,
}

impl Clock for ToldClock {
    fn unix_ms(&self) -> u64 {
        let told = self.told.get().map(|us| (us / 1000).max(0) as u64);
        told.unwrap_or_else(|| self.machine.unix_ms())
    }

    fn monotonic(&self) -> std::time::Duration {
        self.machine.monotonic()
    }
}
