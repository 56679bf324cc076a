//! What the runner in the guest asks of the driver: to tell the app another time, to ring alarms, to
//! empty its data.

use std::sync::Arc;

use base::{Body, Clock, SystemClock, WorkerName};
use futures_util::future::LocalBoxFuture;
use http::StatusCode;
use worker::{Call, Event, Failure, Invoker, Response, ToldTime};

use super::alarms;
use super::data::Data;
use crate::site::OnFailure;

/// Answers `…/clock?us=N`, which tells a time, `…/clock?us=N&step`, which rings alarms on the way
/// there, `…/clock`, which takes that back, `…/alarm?ID`, `…/objects`, and `…/reset`.
#[derive(Clone)]
pub struct Control {
    pub told: ToldTime,
    pub data: Arc<Data>,
    /// Hears of alarms that fail with nobody who waits for them.
    pub on_failure: OnFailure,
    /// Under this name.
    pub name: WorkerName,
}

impl Control {
    async fn obey(self, url: &str, call: Call) -> (StatusCode, String) {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let done = (StatusCode::NO_CONTENT, String::new());
        match path.rsplit('/').next() {
            Some("clock") => {
                self.move_clock(query, &call).await;
                done
            }
            Some("alarm") => match alarms::ring_now(&self.told, &self.data, &call, query).await {
                Ok(true) => done,
                Ok(false) => (StatusCode::NOT_FOUND, String::new()),
                Err(failure) => (StatusCode::INTERNAL_SERVER_ERROR, failure.detail),
            },
            Some("objects") => {
                let ids = alarms::ids(&self.data).await;
                (StatusCode::OK, ids.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
            Some("reset") => {
                self.data.clear();
                done
            }
            _ => (StatusCode::NOT_FOUND, String::new()),
        }
    }

    async fn move_clock(&self, query: &str, call: &Call) {
        let (time, steps) = query.split_once('&').map_or((query, false), |(time, rest)| (time, rest == "step"));
        let us = time.strip_prefix("us=").and_then(|us| us.parse().ok());
        let Some(us) = us else { return self.told.tell(None) };
        if !steps {
            // Whatever the test does next is told the new time, and not one on the way there.
            self.told.tell(Some(us));
        }
        if let Err(failure) = alarms::move_to(&self.told, &self.data, call, us).await {
            (self.on_failure)(&self.name, &failure);
        }
    }
}

impl Invoker for Control {
    fn invoke(&self, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let Event::Fetch(event) = event else {
            return Box::pin(std::future::ready(Ok(answer(StatusCode::NOT_FOUND, String::new()))));
        };
        let control = self.clone();
        let mut obeyed = Box::pin(async move { control.obey(&event.url, call).await });
        // Begun at once: what the test asks for next comes after it.
        let begun = futures_util::FutureExt::now_or_never(&mut obeyed);
        Box::pin(async move {
            let (status, text) = match begun {
                Some(done) => done,
                None => obeyed.await,
            };
            Ok(answer(status, text))
        })
    }
}

fn answer(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response
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
