//! A WebAssembly component that answers HTTP: it exports `wasi:http/incoming-handler`, and needs
//! nothing that is peculiar to one host.
//!
//! `GET /` greets, `POST /upper` answers with the body in upper case, piece by piece.

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

struct Component;

wasip2::http::proxy::export!(Component);

impl Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        match (request.method(), path) {
            (Method::Get | Method::Head, "/") => respond(out, 200, "Hello from a component.\n"),
            (Method::Post, "/upper") => upper(&request, out),
            (_, "/" | "/upper") => respond(out, 405, "GET / or POST /upper\n"),
            _ => respond(out, 404, "There is nothing at this path.\n"),
        }
    }
}

fn respond(out: ResponseOutparam, status: u16, text: &str) {
    let Some(body) = start(out, status) else { return };
    if let Ok(stream) = body.write() {
        // If it fails, the client is gone.
        let _ = stream.blocking_write_and_flush(text.as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}

/// Sends the head of a response; its body follows.
fn start(out: ResponseOutparam, status: u16) -> Option<OutgoingBody> {
    let headers = Fields::new();
    headers.append("content-type", b"text/plain; charset=utf-8").ok()?;
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).ok()?;
    let body = response.body().ok()?;
    ResponseOutparam::set(out, Ok(response));
    Some(body)
}

fn upper(request: &IncomingRequest, out: ResponseOutparam) {
    let Ok(incoming) = request.consume() else {
        return ResponseOutparam::set(out, Err(ErrorCode::HttpProtocolError));
    };
    let Some(outgoing) = start(out, 200) else { return };
    let copied = match (incoming.stream(), outgoing.write()) {
        (Ok(from), Ok(to)) => copy_upper(&from, &to),
        _ => Err(StreamError::Closed),
    };
    drop(IncomingBody::finish(incoming));
    // A body that is not finished tells the client that it broke off.
    if copied.is_ok() {
        let _ = OutgoingBody::finish(outgoing, None);
    }
}

/// Reads no faster than the client takes.
fn copy_upper(from: &InputStream, to: &OutputStream) -> Result<(), StreamError> {
    loop {
        match from.blocking_read(4096) {
            Ok(mut piece) => {
                piece.make_ascii_uppercase();
                to.blocking_write_and_flush(&piece)?;
            }
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
