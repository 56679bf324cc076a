//! The upgrade step of the pipeline: a request that asks for a WebSocket, and the answer that
//! opens one. From then on the record is open until the socket's end.

use std::sync::Arc;
use std::time::Duration;

use base::socket::Upgrade;
use base::{Body, Clock, code};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use net::{OnSocketEnd, Protocol, Request, websocket};
use telemetry::RecordHandle;
use worker::Failure;

use crate::respond::refuse;

/// What a request says about sockets, kept for its answer.
pub(crate) struct Asked {
    /// The sub-protocols that the client offers, if it asks for a WebSocket.
    offers: Option<Vec<String>>,
}

impl Asked {
    pub fn of(request: &Request) -> Self {
        let offers = || websocket::offers(&request.headers).map(str::to_owned).collect();
        Self { offers: request.upgrade.then(offers) }
    }

    /// Fields of the connection are gone by now; a worker still sees what is asked of it.
    pub fn tell(upgrade: bool, headers: &mut HeaderMap) {
        if upgrade {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
    }

    /// Judges an answer that brings a socket.
    pub fn shape(&self, response: &mut Response<Body>) -> Result<(), Failure> {
        let Some(offers) = &self.offers else {
            return Err(refuse(
                &code::UPGRADE_REQUIRED,
                "the worker answered with a WebSocket, which nobody asked for",
            ));
        };
        let invalid = |detail: String| Err(refuse(&code::INVALID_RESPONSE, detail));
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return invalid(format!("a response with a WebSocket has status 101, not {}", response.status()));
        }
        let mut chosen = response.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        match (chosen.next(), chosen.next()) {
            (None, _) => {}
            (Some(one), None) if offers.iter().any(|offer| one == offer.as_str()) => {}
            (Some(one), _) => {
                return invalid(format!("the worker chose a Sec-WebSocket-Protocol that was not offered: {one:?}"));
            }
        }
        net::strip_hop_by_hop(response.headers_mut());
        Ok(())
    }
}

/// An answer of status 426 names the protocol that is wanted (RFC 9110, section 15.5.22), where the
/// version of HTTP has such a field.
pub(crate) fn name(response: &mut Response<Body>, protocol: Protocol) {
    if response.status() == StatusCode::UPGRADE_REQUIRED && protocol == Protocol::Http11 {
        response.headers_mut().entry(header::UPGRADE).or_insert(HeaderValue::from_static("websocket"));
    }
}

/// Keeps the record of a request open until the socket that its answer opens has ended. False if
/// it opens none.
pub(crate) fn follow(
    response: &mut Response<Body>,
    record: &RecordHandle,
    clock: &Arc<dyn Clock>,
    started: Duration,
) -> bool {
    if !Upgrade::is_in(response) {
        return false;
    }
    let ending = Ending { record: record.clone(), clock: clock.clone(), started };
    OnSocketEnd::attach(response, move |summary| {
        let ending = &ending;
        let mut record = ending.record.edit();
        record.request_bytes = summary.received_bytes;
        record.response_bytes = summary.sent_bytes;
        if let Some(cause) = summary.ended.cause {
            record.code = Some(cause);
            record.detail = Some(format!("the socket ended with code {}", summary.ended.code));
        }
    });
    true
}

/// Writes down how long it took, also if the socket never came about.
struct Ending {
    record: RecordHandle,
    clock: Arc<dyn Clock>,
    started: Duration,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.record.edit().total = self.clock.monotonic().saturating_sub(self.started);
    }
}

#[cfg(test)]
mod tests;
