//! What is noted of a request of the S3 protocol: a record like that of any other, in the access log and in
//! the metrics, under the app whose key has signed it and the route `s3`.

use std::sync::Arc;

use ::s3::{S3, Told};
use base::{Body, Clock, SystemRng, code};
use net::Request;
use telemetry::{Record, RecordHandle, Sink, TraceContext};

/// Of an answer, there is no bound but the blob's own size.
const BYTES_MAX: u64 = u64::MAX;

pub struct Books {
    pub clock: Arc<dyn Clock>,
    pub sink: Arc<dyn Sink>,
}

impl Books {
    /// Answers a request. Its record ends when the last byte of the answer has gone, or the client.
    pub async fn respond(&self, service: &S3, request: Request) -> http::Response<Body> {
        let started = self.clock.monotonic();
        let record = RecordHandle::new(self.begun(&request), self.sink.clone());
        let mut response = service.respond(into_http(request)).await;
        let head = self.clock.monotonic().saturating_sub(started);
        let told = response.extensions_mut().remove::<Told>();
        let mut entry = record.edit();
        (entry.status, entry.head, entry.total, entry.code) = (response.status().as_u16(), head, head, None);
        if let Some(Told { app, request_id, refused }) = told {
            entry.app = app.map(|app| app.app.as_str().into());
            (entry.request_id, entry.code) = (request_id, refused);
        }
        if let Some(whole) = response.body_mut().take_whole() {
            entry.response_bytes = whole.len() as u64;
            drop(entry);
            *response.body_mut() = Body::full(whole);
            return response;
        }
        drop(entry);
        let (record, clock) = (record.clone(), self.clock.clone());
        response.map(|body| edge::bounded_response(body, BYTES_MAX, record, clock, started))
    }

    fn begun(&self, request: &Request) -> Record {
        let field = |name: http::HeaderName| request.headers.get(name);
        let length = field(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let traceparent = request.headers.get("traceparent").map(http::HeaderValue::as_bytes);
        Record {
            started_unix_ms: self.clock.unix_ms(),
            trace: TraceContext::accept(traceparent, &SystemRng),
            route: Some("s3".into()),
            client: Some(request.client()),
            method: request.method.as_str().to_owned(),
            host: request.host().to_owned(),
            path: request.path().to_owned(),
            protocol: request.protocol.as_str(),
            request_bytes: length.unwrap_or(0),
            code: Some(&code::CLIENT_GONE),
            ..Record::default()
        }
    }
}

fn into_http(request: Request) -> http::Request<Body> {
    let mut converted = http::Request::new(request.body);
    *converted.method_mut() = request.method;
    *converted.uri_mut() = http::Uri::from(request.path_and_query);
    *converted.headers_mut() = request.headers;
    converted
}
