//! `fetch()`: an HTTP exchange on behalf of a guest.

use std::sync::Arc;

use base::{Body, SocketOptions, code};
use bytes::Bytes;
use data_url::DataUrl;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use url::Url;
use worker::Outbound;

use super::{Completion, Operation};
use crate::script::codec::{Decoder, Value};
use crate::script::host::parse_headers_if;

/// Whether a field belongs to the connection, or is written by the host itself.
pub fn is_forwarded(name: &HeaderName) -> bool {
    !matches!(
        name.as_str(),
        "connection"
            | "host"
            | "content-length"
            | "transfer-encoding"
            | "te"
            | "trailer"
            | "upgrade"
            | "expect"
            | "keep-alive"
            | "proxy-connection"
            | "traceparent"
    )
}

/// Whether a field says that its request asks for a WebSocket.
pub fn asks_for_socket(name: &HeaderName, value: &HeaderValue) -> bool {
    *name == header::UPGRADE && value.as_bytes().eq_ignore_ascii_case(b"websocket")
}

/// Redirects that one request follows (Fetch Standard, section 4.4).
const REDIRECTS_MAX: usize = 20;

/// What goes to the origin of the request that is being answered, by a worker in its way, goes to the
/// next step of that way, with nothing added and no redirect followed: it is the client's own request.
///
/// FETCH(method, url, headers, body, stream, redirect)
pub async fn perform(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (method, url, headers) = (args.next()?, args.next()?, args.next()?);
    let (body, stream, redirect) = (args.next()?, args.next()?, args.next()?);
    // Taken first: whatever is refused below, nothing of the body stays behind.
    let body = operation.body(&body, &stream)?;
    let method = Method::from_bytes(method.as_str()?.as_bytes())
        .map_err(|_| Completion::type_error("the method is not a token"))?;
    let url = parse_url(url.as_str()?)?;
    if url.scheme() == "data" {
        return from_data_url(&url);
    }
    let mut upgrade = false;
    let mut headers = parse_headers_if(headers.as_optional_str()?.unwrap_or(""), |name, value| {
        upgrade |= asks_for_socket(name, value);
        is_forwarded(name)
    })?;
    let (call, _) = operation.metered()?;
    let traceparent = HeaderValue::from_str(&call.record.edit().trace.traceparent());
    if let Ok(value) = traceparent {
        headers.insert(HeaderName::from_static("traceparent"), value);
    }
    let mode = Redirect::read(&redirect)?;
    if let Some(next) = call.next.as_ref().filter(|next| next.takes(&as_http(url.clone()))) {
        if upgrade {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        let outbound = Outbound { method, url: as_http(url.clone()), headers, body };
        let response = next.fetch(call, outbound).await?;
        return Ok(Completion::Response { response, url: url.into(), redirected: false });
    }
    default_headers(&mut headers);
    exchange(operation, Exchange { method, url, headers, body, mode, upgrade }).await
}

fn parse_url(text: &str) -> Result<Url, Completion> {
    Url::parse(text).map_err(|_| Completion::type_error("the URL is not valid"))
}

/// What a `data:` URL holds (Fetch Standard, section 6). It takes no network, and so no grant.
fn from_data_url(url: &Url) -> Result<Completion, Completion> {
    let invalid = || Completion::type_error("the data: URL is not valid");
    let data = DataUrl::process(url.as_str()).map_err(|_| invalid())?;
    let (bytes, _) = data.decode_to_vec().map_err(|_| invalid())?;
    let mut response = http::Response::new(Body::full(bytes));
    let media_type = HeaderValue::from_str(&data.mime_type().to_string()).map_err(|_| invalid())?;
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(Completion::Response { response, url: url.as_str().to_owned(), redirected: false })
}

/// What a request says when its script leaves it out (Fetch Standard, HTTP-network-or-cache fetch).
/// A part of a body is asked for as it is: a part of a coded one could not be decoded.
fn default_headers(headers: &mut HeaderMap) {
    let codings = if headers.contains_key(header::RANGE) { "identity" } else { "br, gzip, deflate" };
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static(codings));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirect {
    Follow,
    Manual,
    Error,
}

impl Redirect {
    fn read(value: &Value<'_>) -> Result<Self, Completion> {
        Ok(match value.as_optional_str()?.unwrap_or("follow") {
            "manual" => Redirect::Manual,
            "error" => Redirect::Error,
            _ => Redirect::Follow,
        })
    }
}

struct Exchange {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Body,
    mode: Redirect,
    /// It asks for a WebSocket.
    upgrade: bool,
}

/// Requests and follows redirects. Every hop is a new exchange under the same egress policy, so
/// that a public address can't lead to a private one.
async fn exchange(operation: &Operation, request: Exchange) -> Result<Completion, Completion> {
    let Exchange { mut method, mut url, mut headers, mut body, mode, upgrade } = request;
    let env = operation.env().clone();
    for hop in 0..=REDIRECTS_MAX {
        if upgrade {
            url = as_http(url);
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Completion::type_error(format!(
                "{}: URLs can't be fetched, only http: and https:",
                url.scheme()
            )));
        }
        url.set_fragment(None);
        let whole = body.take_whole();
        let sent = whole.clone().map_or_else(|| std::mem::take(&mut body), Body::full);
        let outbound = Outbound { method: method.clone(), url: url.clone(), headers: headers.clone(), body: sent };
        let policy = Arc::clone(&env.egress);
        let response = if upgrade {
            env.fetcher.upgrade(policy, outbound, SocketOptions::from(&env.limits)).await?
        } else {
            env.fetcher.fetch(policy, outbound).await?
        };
        let target = location(&response.status(), response.headers(), &url);
        let Some(target) = target.filter(|_| mode != Redirect::Manual) else {
            return Ok(Completion::Response { response, url: url.into(), redirected: hop > 0 });
        };
        if mode == Redirect::Error {
            return Err(Completion::type_error(format!(
                "{url} answered with a redirect, which redirect: \"error\" refuses"
            )));
        }
        let target = target?;
        body = redirected_body(response.status(), &mut method, &mut headers, whole)?;
        if target.origin() != url.origin() {
            headers.remove(header::AUTHORIZATION);
            headers.remove(header::COOKIE);
        }
        url = target;
    }
    Err(Completion::Failed {
        name: "TypeError",
        message: format!("more than {REDIRECTS_MAX} redirects (egress_redirects)"),
        code: code::UPSTREAM_PROTOCOL.name,
    })
}

/// `ws:` and `wss:` mean what `http:` and `https:` do, to one who asks for a WebSocket.
fn as_http(mut url: Url) -> Url {
    let scheme = match url.scheme() {
        "ws" => "http",
        "wss" => "https",
        _ => return url,
    };
    // Both are special schemes with the same rules, so this can't fail.
    let _ = url.set_scheme(scheme);
    url
}

/// Where a redirect leads; `None` if it is none.
fn location(status: &StatusCode, headers: &HeaderMap, from: &Url) -> Option<Result<Url, Completion>> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let value = headers.get(header::LOCATION)?;
    let target = std::str::from_utf8(value.as_bytes()).ok().and_then(|text| from.join(text).ok());
    Some(target.ok_or_else(|| Completion::type_error(format!("{from} redirects to what is no URL"))))
}

/// The method and body of the next hop (Fetch Standard, HTTP-redirect fetch, steps 11 and 12).
fn redirected_body(
    status: StatusCode,
    method: &mut Method,
    headers: &mut HeaderMap,
    whole: Option<Bytes>,
) -> Result<Body, Completion> {
    let code = status.as_u16();
    let becomes_get = (matches!(code, 301 | 302) && *method == Method::POST)
        || (code == 303 && *method != Method::GET && *method != Method::HEAD);
    if becomes_get {
        *method = Method::GET;
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION]
        {
            headers.remove(name);
        }
        return Ok(Body::empty());
    }
    whole.map(Body::full).ok_or_else(|| Completion::type_error("a redirect can't repeat a body that was a stream"))
}
