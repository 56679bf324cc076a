//! Making answers: of failures, and of what workers return.

use std::path::PathBuf;

use base::{Body, Code, Fault, Problem, code};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use telemetry::{InvocationRecord, Start};
use worker::Failure;

use crate::overlay;
use crate::told::{self, Giver};

/// What the making of an error's answer depends on.
pub(crate) struct Audience<'a> {
    pub request_id: &'a str,
    pub html: bool,
    /// The sources, if the client is the developer.
    pub dev: Option<&'a PathBuf>,
}

/// The answer to a failure: a problem document, or the developer's page.
pub(crate) fn failure(failure: &Failure, audience: &Audience<'_>) -> Response<Body> {
    let mut problem = failure.problem();
    let Some(sources) = audience.dev else {
        // The client's own mistakes are explained to it; everything else is for the log.
        if failure.code.fault == Fault::Client {
            problem = problem.detail(failure.detail.clone());
        }
        return problem.into_response(audience.request_id);
    };
    let retry_after_s = problem.retry_after_s;
    let mut response = if audience.html {
        overlay::page(failure, audience.request_id, sources)
    } else {
        let mut document = problem.detail(failure.detail.clone()).document(audience.request_id);
        if let Some(stack) = &failure.stack {
            document["stack"] = stack.as_str().into();
        }
        if let Some(frame) = &failure.frame {
            document["source"] = format!("{}:{}:{}", frame.file, frame.line, frame.column).into();
        }
        let mut response = Problem::new(failure.code).into_response("");
        *response.body_mut() = Body::full(document.to_string());
        response
    };
    *response.status_mut() = StatusCode::from_u16(failure.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer to a request that comes on a connection of a node that has been given up already.
pub(crate) fn given_up() -> Response<Body> {
    let mut response = Problem::new(&code::DRAINING).into_response("");
    told::tell_failure(response.headers_mut(), &code::DRAINING, Giver::Node);
    response
}

/// A failure that the edge found itself.
pub(crate) fn refuse(code: Code, detail: impl Into<String>) -> Failure {
    Failure::new(code, detail)
}

/// Brings a response into the shape that HTTP wants: no connection's own fields, no body where
/// none may be, one opinion about its length.
pub(crate) fn shape(response: &mut Response<Body>, method: &Method, bytes_max: u64) -> Result<(), Failure> {
    let status = response.status();
    if status.is_informational() {
        let detail = format!("the worker answered with status {status}, which is no final one");
        return Err(refuse(&code::INVALID_RESPONSE, detail));
    }
    net::strip_hop_by_hop(response.headers_mut());
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    if bodiless {
        // RFC 9110, section 8.6: 304 may tell the length of what it stands for, the others not.
        if status != StatusCode::NOT_MODIFIED {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        *response.body_mut() = Body::empty();
        return Ok(());
    }
    if *method == Method::HEAD {
        let size = http_body::Body::size_hint(response.body()).exact().filter(|_| !response.body().is_empty());
        if let Some(size) = size {
            response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(size));
        }
        *response.body_mut() = Body::empty();
        return Ok(());
    }
    if let Some(whole) = response.body_mut().take_whole() {
        if whole.len() as u64 > bytes_max {
            let detail = format!(
                "the response body has {} bytes, {bytes_max} are allowed (limits.response_body_bytes)",
                whole.len()
            );
            return Err(refuse(&code::RESPONSE_TOO_LARGE, detail));
        }
        // hyper counts it; what the worker wrote may be about another encoding.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::full(whole);
    }
    Ok(())
}

/// The `Server-Timing` field (W3C Server Timing): the phases of the first invocation, and the time
/// to the head.
pub(crate) fn server_timing(invocation: Option<&InvocationRecord>, head: std::time::Duration) -> HeaderValue {
    let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1000.0;
    let start = match invocation.map(|invocation| invocation.start) {
        Some(Start::Cold(p)) => format!(
            "load;dur={:.3}, instantiate;dur={:.3}, prepare;dur={:.3}, first_response;dur={:.3}, cold;dur={:.3}, ",
            ms(p.load),
            ms(p.instantiate),
            ms(p.prepare),
            ms(p.first_response),
            ms(p.total()),
        ),
        Some(Start::Warm) => "warm, ".to_owned(),
        None => String::new(),
    };
    let text = format!("{start}total;dur={:.3}", ms(head));
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The declared length of a request's body.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
