//! The S3 protocol: requests that any S3 client sends, answered from the contract of blobs.
//!
//! [`S3::respond`] is the whole way of a request: it is taken apart ([`request`]), its signature is
//! checked against an access key ([`auth`], [`sigv4`]), the operation is found and done
//! ([`operation`]), and what came of it is written as the protocol has it ([`error`], [`xml`]).
//! Signatures, chunks, forms and dates are pure functions of bytes.
//!
//! [`client`] is the other side, for what this node keeps in somebody else's bucket.
//!
//! It is no listener and no store: sockets are `net`'s, bytes are those of `services::blob`. It
//! knows no worker and no manifest. A bucket of a request is one of the app that the access key
//! belongs to; without a key there is nothing to see here, for public buckets are a matter of
//! routes.

mod auth;
mod chunked;
pub mod client;
mod cors;
mod date;
mod error;
mod form;
mod operation;
pub mod presign;
mod request;
mod sigv4;
mod xml;

use std::sync::Arc;

use base::{Body, Clock, Code, NodeLimits, Rng};
use http::{Method, Response, StatusCode, header};
use services::AppId;
use services::access_key::AccessKeyStore;
use services::blob::Blobs;

use error::{Refused, Reply};
use request::Asked;

/// What the protocol is served from.
#[derive(Clone)]
pub struct Parts {
    pub blobs: Arc<dyn Blobs>,
    pub keys: Arc<dyn AccessKeyStore>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub limits: NodeLimits,
    /// Names of this endpoint: a host `BUCKET.NAME` means the bucket. Without ports.
    pub hosts: Vec<String>,
}

/// What a response is about, for those who keep books: among its extensions.
#[derive(Clone, Debug)]
pub struct Told {
    /// The app whose key has signed the request.
    pub app: Option<AppId>,
    pub request_id: String,
    /// What it refuses with.
    pub refused: Option<Code>,
}

/// The protocol over an app's buckets.
pub struct S3 {
    parts: Parts,
}

impl S3 {
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Answers one request. Whatever goes wrong is an answer too.
    pub async fn respond(&self, request: http::Request<Body>) -> Response<Body> {
        let id = self.request_id();
        let (head, body) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        let origin = cors::Origin::of(&head);
        let path = head.uri.path().to_owned();
        let asked = Asked::read(head, &self.parts.hosts);
        let mut app = None;
        let mut response = match asked {
            Ok(asked) if asked.method == Method::OPTIONS => cors::preflight(&self.parts, &asked, origin.as_ref())
                .await
                .unwrap_or_else(|error| error.respond(&path, &id)),
            Ok(asked) => {
                let answered = operation::answer(&self.parts, &asked, body).await;
                let mut response = match answered {
                    Ok(Reply(response)) => response,
                    Err(error) => error.respond(&path, &id),
                };
                if let Some(origin) = &origin {
                    cors::allow(&self.parts, &asked, origin, &mut response).await;
                }
                app = asked.app.into_inner();
                response
            }
            Err(error) => error.respond(&path, &id),
        };
        if is_head {
            *response.body_mut() = Body::empty();
        }
        let refused = response.extensions_mut().remove::<Refused>().map(|refused| refused.0);
        response.extensions_mut().insert(Told { app, request_id: id.clone(), refused });
        if let Ok(id) = http::HeaderValue::try_from(id) {
            response.headers_mut().insert("x-amz-request-id", id);
        }
        response.headers_mut().insert(header::SERVER, http::HeaderValue::from_static("Selvedge"));
        response
    }

    fn request_id(&self) -> String {
        let mut bytes = [0; 8];
        self.parts.rng.fill(&mut bytes);
        hex::encode_upper(bytes)
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
