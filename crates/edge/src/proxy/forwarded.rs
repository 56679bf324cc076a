//! A request as a server gets it.
//!
//! It says who sent it (`Forwarded`, RFC 7239, and the fields that came before it) and that it passed
//! here (`Via`). What the client says of the kind is passed on only if it is a proxy that the listener
//! believes (`forwarded_from`); then this node is one more in the list.

use std::net::IpAddr;

use base::Body;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use net::{Interim, Request};

use super::NAME;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// A request on its way to an upstream.
pub(crate) struct Forwarded {
    pub method: Method,
    pub path_and_query: PathAndQuery,
    pub headers: HeaderMap,
    pub body: Body,
    /// Who asks.
    pub client: IpAddr,
    /// Where interim answers go.
    pub interim: Option<Interim>,
}

impl Forwarded {
    /// The same as a GET without a body.
    pub fn bodiless(&self) -> Self {
        Self {
            method: Method::GET,
            path_and_query: self.path_and_query.clone(),
            headers: self.headers.clone(),
            body: Body::empty(),
            client: self.client,
            interim: None,
        }
    }
}

/// What a request says of who sent it.
const SENDER: [HeaderName; 4] = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, header::FORWARDED];

/// Whether it says anything. Most say nothing, and to look at the names that there are costs less than
/// to look for each that may be.
fn tells(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| SENDER.contains(name))
}

/// Takes out what a request says of who sent it, where nobody is believed.
pub(crate) fn forget(headers: &mut HeaderMap) {
    if tells(headers) {
        for name in &SENDER {
            headers.remove(name);
        }
    }
}

/// The request as a server gets it. What it says already of who sent it is believed.
pub(super) fn forwarded(request: Request) -> Forwarded {
    let scheme = request.scheme();
    let mut headers = request.headers;
    net::strip_hop_by_hop(&mut headers);
    let (peer, host) = (request.peer.ip(), request.authority.clone());
    let told = host.to_str().unwrap_or_default();
    let sender = peer.to_string();
    // RFC 7239, section 6: an address of version 6 stands in brackets and quotes.
    let (open, close) = if peer.is_ipv6() { ("\"[", "]\"") } else { ("", "") };
    let node = ["for=", open, &sender, close, ";host=\"", told, "\";proto=", scheme].concat();
    let mut client = peer;
    if tells(&headers) {
        client = last_listed(&headers).unwrap_or(peer);
        append(&mut headers, header::FORWARDED, node);
        append(&mut headers, X_FORWARDED_FOR, sender);
        // The first proxy knows what the client asked for.
        headers.entry(X_FORWARDED_HOST).or_insert(host);
        headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static(scheme));
    } else {
        let made = [(header::FORWARDED, node), (X_FORWARDED_FOR, sender)];
        for (name, value) in made {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.append(name, value);
            }
        }
        headers.append(X_FORWARDED_HOST, host);
        headers.append(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    add_via(&mut headers, request.protocol.as_str());
    // Who sends the body is told to when it is read, which is when a server is there to take it.
    headers.remove(header::EXPECT);
    let Request { method, path_and_query, body, interim, .. } = request;
    Forwarded { method, path_and_query, headers, body, client, interim }
}

/// A field's lines as one list.
fn listed(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// What the proxy in front saw.
fn last_listed(headers: &HeaderMap) -> Option<IpAddr> {
    listed(headers, &X_FORWARDED_FOR)?.rsplit(',').next()?.trim().parse().ok()
}

fn append(headers: &mut HeaderMap, name: HeaderName, value: String) {
    let list = match listed(headers, &name) {
        Some(before) => format!("{before}, {value}"),
        None => value,
    };
    if let Ok(list) = HeaderValue::try_from(list) {
        headers.insert(name, list);
    }
}

/// RFC 9110, section 7.6.3.
pub(super) fn add_via(headers: &mut HeaderMap, protocol: &str) {
    // Ready made, those of the versions that nearly everybody speaks.
    let value = match protocol.strip_prefix("HTTP/").unwrap_or(protocol) {
        "1.1" => HeaderValue::from_static("1.1 selvedge"),
        "2" => HeaderValue::from_static("2 selvedge"),
        version => match HeaderValue::try_from(format!("{version} {NAME}")) {
            Ok(value) => value,
            Err(_) => return,
        },
    };
    headers.append(header::VIA, value);
}
