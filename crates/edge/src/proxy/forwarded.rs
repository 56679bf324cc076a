//! A request as a server gets it.
//!
//! It says who sent it (`Forwarded`, RFC 7239, and the fields that came before it) and that it passed
//! here (`Via`). What the client says of the kind is passed on no further: nothing stands in front of
//! this node that would be believed.

use std::net::IpAddr;

use base::Body;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use net::Request;

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
}

/// The request as a server gets it.
pub(super) fn forwarded(request: Request) -> Forwarded {
    let scheme = request.scheme();
    let mut headers = request.headers;
    net::strip_hop_by_hop(&mut headers);
    let client = request.peer.ip();
    let host = request.authority.clone();
    for name in [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, header::FORWARDED] {
        headers.remove(name);
    }
    let node = match client {
        IpAddr::V4(address) => format!("for={address}"),
        // RFC 7239, section 6: an address of version 6 stands in brackets and quotes.
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    };
    let told = host.to_str().unwrap_or_default();
    let pairs = [
        (header::FORWARDED, format!("{node};host=\"{told}\";proto={scheme}")),
        (X_FORWARDED_FOR, client.to_string()),
        (X_FORWARDED_HOST, told.to_owned()),
        (X_FORWARDED_PROTO, scheme.to_owned()),
    ];
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    add_via(&mut headers, request.protocol.as_str());
    Forwarded { method: request.method, path_and_query: request.path_and_query, headers, body: request.body }
}

/// RFC 9110, section 7.6.3.
pub(super) fn add_via(headers: &mut HeaderMap, protocol: &str) {
    let version = protocol.strip_prefix("HTTP/").unwrap_or(protocol);
    if let Ok(value) = HeaderValue::try_from(format!("{version} {NAME}")) {
        headers.append(header::VIA, value);
    }
}
