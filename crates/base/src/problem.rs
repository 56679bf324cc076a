//! Problem details (RFC 9457): the body of every error that Selvedge itself answers with.

use http::{HeaderValue, Response, StatusCode, header};

use crate::{Body, Code};

/// The media type of a problem document (RFC 9457, section 6.1).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error on its way to a client: what the client may know, and nothing else.
#[derive(Debug, Clone)]
pub struct Problem {
    pub code: Code,
    /// A sentence about this occurrence. Never internals.
    pub detail: Option<String>,
    /// Seconds for `Retry-After`.
    pub retry_after_s: Option<u32>,
}

impl Problem {
    pub fn new(code: Code) -> Self {
        Self { code, detail: None, retry_after_s: None }
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The document, for the request with this id.
    pub fn document(&self, request_id: &str) -> serde_json::Value {
        let mut document = serde_json::json!({
            "type": format!("urn:selvedge:error:{}", self.code.name),
            "title": self.code.title,
            "status": self.code.status,
            "code": self.code.name,
        });
        let fields = document.as_object_mut().expect("an object was just made");
        if let Some(detail) = &self.detail {
            fields.insert("detail".into(), detail.as_str().into());
        }
        if !request_id.is_empty() {
            fields.insert("instance".into(), format!("urn:selvedge:request:{request_id}").into());
        }
        document
    }

    pub fn into_response(self, request_id: &str) -> Response<Body> {
        let body = self.document(request_id).to_string();
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = StatusCode::from_u16(self.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
