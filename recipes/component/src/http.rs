//! wasi:http in the shape of a request and a response.

use std::io::Write as _;

use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};
use wasip2::io::streams::StreamError;

struct Component;

wasip2::http::proxy::export!(Component);

impl wasip2::exports::http::incoming_handler::Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let mut request = Request::new(request);
        crate::handle(&mut request).send(out);
    }
}

pub struct Request {
    inner: IncomingRequest,
    method: &'static str,
    path: String,
}

impl Request {
    fn new(inner: IncomingRequest) -> Self {
        let method = match inner.method() {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Patch => "PATCH",
            Method::Options => "OPTIONS",
            _ => "",
        };
        let target = inner.path_with_query().unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        Self { inner, method, path }
    }

    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Hands over the body as it arrives.
    pub fn read_body(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), String> {
        let body = self.inner.consume().map_err(|()| "the body was read before")?;
        let stream = body.stream().map_err(|()| "the body was read before")?;
        loop {
            match stream.blocking_read(64 << 10) {
                Ok(piece) => each(&piece),
                Err(StreamError::Closed) => return Ok(()),
                Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
            }
        }
    }
}

pub struct Response {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

impl Response {
    pub fn json(status: u16, content: &serde_json::Value) -> Self {
        Self { status, headers: vec![("content-type", "application/json")], body: format!("{content}\n") }
    }

    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn send(self, out: ResponseOutparam) {
        let headers = Fields::new();
        for (name, value) in self.headers {
            headers.append(name, value.as_bytes()).expect("a handler sets valid headers");
        }
        let response = OutgoingResponse::new(headers);
        response.set_status_code(self.status).expect("a handler sets a valid status");
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(out, Ok(response));
        let mut stream = body.write().expect("the stream is taken once");
        // A client that has left takes no body.
        let _ = stream.write_all(self.body.as_bytes());
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}
