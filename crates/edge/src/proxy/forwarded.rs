//! A request as a server gets it.
//!
//! It says who sent it (`Forwarded`, RFC 7239, and the fields that came before it) and that it passed
//! here (`Via`). What the client says of the kind is passed on only if it is a proxy that the listener
//! believes (`forwarded_from`); then this node is one more in the list. What such a proxy says of the URL is
//! read once (`sender`), and told as it was read. A client certificate that was verified here is told by
//! `Client-Cert`.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use base::Body;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use net::{Glance, Interim, PlainRequest, Protocol, Request};
use telemetry::TraceContext;

use super::NAME;
use super::heard::SharedHeard;
use super::sift::is_suspect;
use super::tier::NodeName;
use crate::sender::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, consistent};

/// The certificate that the client of this node showed (RFC 9440).
pub(super) const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

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
    /// Is told who answers.
    pub heard: Arc<SharedHeard>,
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
            heard: self.heard.clone(),
        }
    }
}

/// What a request says of who sent it.
const SENDER: [HeaderName; 4] = [X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, header::FORWARDED];

/// Whether it says anything. Most say nothing, and to look at the names that there are costs less than
/// to look for each that may be.
fn tells(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| matches!(name.as_str().len(), 9 | 15..=17) && SENDER.contains(name))
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
pub(super) fn forwarded(request: Request, heard: Arc<SharedHeard>) -> Forwarded {
    let (scheme, host, client) = (request.scheme(), request.asked_host().clone(), request.client());
    let peer = request.peer.ip();
    let mut headers = request.headers;
    net::strip_hop_by_hop(&mut headers);
    let told = host.to_str().unwrap_or_default();
    let Sender { node, address } = Sender::new(peer, told, scheme);
    if tells(&headers) {
        if let Some(before) = listed(&headers, &header::FORWARDED) {
            headers.remove(header::FORWARDED);
            let before = consistent(&before, scheme, told);
            let before =
                Some(before).filter(|before| !before.is_empty()).and_then(|list| HeaderValue::try_from(list).ok());
            headers.extend(before.map(|before| (header::FORWARDED, before)));
        }
        append(&mut headers, header::FORWARDED, node);
        append(&mut headers, X_FORWARDED_FOR, address);
        // What is in the key of a cache, and nothing else.
        headers.insert(X_FORWARDED_HOST, host);
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    } else {
        let made = [(header::FORWARDED, node), (X_FORWARDED_FOR, address)];
        for (name, value) in made {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.append(name, value);
            }
        }
        headers.append(X_FORWARDED_HOST, host);
        headers.append(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if let Some(shown) = request.secured.as_ref().and_then(|secured| secured.client.as_ref()?.field.clone()) {
        headers.insert(CLIENT_CERT, shown);
    }
    add_via(&mut headers, request.protocol.as_str());
    // Who sends the body is told to when it is read, which is when a server is there to take it.
    headers.remove(header::EXPECT);
    let Request { method, path_and_query, body, interim, .. } = request;
    Forwarded { method, path_and_query, headers, body, client, interim, heard }
}

/// Who sent a request, in the words of two fields.
struct Sender {
    /// Of `Forwarded`.
    node: String,
    address: String,
}

impl Sender {
    fn new(peer: IpAddr, host: &str, scheme: &str) -> Self {
        let address = text_of(peer);
        let (open, close) = quotes(peer);
        let node = ["for=", open, &address, close, ";host=\"", host, "\";proto=", scheme].concat();
        Self { node, address }
    }
}

/// RFC 7239, section 6: an address of version 6 stands in brackets and quotes.
fn quotes(address: IpAddr) -> (&'static str, &'static str) {
    if address.is_ipv6() { ("\"[", "]\"") } else { ("", "") }
}

/// As `Display` has it.
pub(super) fn text_of(address: IpAddr) -> String {
    String::from_utf8_lossy(AddressText::of(address).as_bytes()).into_owned()
}

/// An address as `Display` has it, in no memory but its own. The common kind is made without formatting.
struct AddressText {
    bytes: [u8; 48],
    length: usize,
}

impl AddressText {
    fn of(address: IpAddr) -> Self {
        let (mut bytes, mut length) = ([0; 48], 0);
        let IpAddr::V4(address) = address else {
            let mut left = &mut bytes[..];
            // No address is longer.
            let _ = write!(left, "{address}");
            length = 48 - left.len();
            return Self { bytes, length };
        };
        let mut put = |byte: u8| {
            bytes[length] = byte;
            length += 1;
        };
        for (at, octet) in address.octets().into_iter().enumerate() {
            if at > 0 {
                put(b'.');
            }
            for (unit, digit) in [(100, octet / 100), (10, octet / 10 % 10), (1, octet % 10)] {
                if octet >= unit || unit == 1 {
                    put(b'0' + digit);
                }
            }
        }
        Self { bytes, length }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Fields that are no matter of copying a line: others have their say in them, or there are rules for them.
const TOLD: [&str; 4] = ["via", "cdn-loop", "content-type", "expect"];

/// What the lines that are added take beside what differs.
const TOLD_BYTES: usize = 256;

/// A GET without a body, as it came.
pub(crate) struct Came<'a> {
    pub target: &'a str,
    pub authority: &'a str,
    pub peer: IpAddr,
    pub scheme: &'static str,
    pub protocol: Protocol,
    /// What it says of who sent it is believed.
    pub is_believed: bool,
    /// Of this node's span.
    pub traceparent: [u8; 55],
}

impl<'a> Came<'a> {
    pub fn of(glance: &Glance<'a>, is_believed: bool, trace: &TraceContext) -> Self {
        Self {
            target: glance.target(),
            authority: glance.authority,
            peer: glance.peer.ip(),
            scheme: glance.scheme(),
            protocol: glance.protocol,
            is_believed,
            traceparent: trace.traceparent_bytes(),
        }
    }

    /// As a server gets it, as [`forwarded`] and [`NodeName::mark`] make it of one that says nothing of who sent
    /// it, and nothing that may have to be sifted. `None` if it takes more than to leave out lines and to add some. Of each name there is one field.
    pub fn plain(self, fields: impl Iterator<Item = (&'a str, &'a [u8])>, node: &NodeName) -> Option<PlainRequest> {
        let mut request = PlainRequest::new(self.target, self.authority)?;
        for (name, value) in fields {
            let is = |other: &str| name.len() == other.len() && name.eq_ignore_ascii_case(other);
            if is("host") || is("content-length") || is("traceparent") || net::is_hop_by_hop(name.as_bytes()) {
                continue;
            }
            let tells = matches!(name.len(), 9 | 15..=17) && SENDER.iter().any(|sender| is(sender.as_str()));
            if tells && !self.is_believed {
                continue;
            }
            if tells || is_suspect(name) || TOLD.iter().any(|told| is(told)) {
                return None;
            }
            request.push(name, value);
        }
        let (address, (open, close)) = (AddressText::of(self.peer), quotes(self.peer));
        let (authority, scheme) = (self.authority.as_bytes(), self.scheme.as_bytes());
        let (via, node) = (via(self.protocol.as_str())?, node.as_bytes());
        let bytes = TOLD_BYTES + 2 * (address.length + authority.len() + scheme.len()) + via.len() + node.len();
        request.push_lines(7, bytes, |text| {
            text.extend_from_slice(b"traceparent: ");
            text.extend_from_slice(&self.traceparent);
            text.extend_from_slice(b"\r\nforwarded: for=");
            text.extend_from_slice(open.as_bytes());
            text.extend_from_slice(address.as_bytes());
            text.extend_from_slice(close.as_bytes());
            text.extend_from_slice(b";host=\"");
            text.extend_from_slice(authority);
            text.extend_from_slice(b"\";proto=");
            text.extend_from_slice(scheme);
            text.extend_from_slice(b"\r\nx-forwarded-for: ");
            text.extend_from_slice(address.as_bytes());
            text.extend_from_slice(b"\r\nx-forwarded-host: ");
            text.extend_from_slice(authority);
            text.extend_from_slice(b"\r\nx-forwarded-proto: ");
            text.extend_from_slice(scheme);
            text.extend_from_slice(b"\r\nvia: ");
            text.extend_from_slice(via.as_bytes());
            text.extend_from_slice(b"\r\ncdn-loop: ");
            text.extend_from_slice(node);
            text.extend_from_slice(b"\r\n");
        });
        (!request.is_full()).then_some(request)
    }
}

/// A field's lines as one list.
fn listed(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
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
    if let Some(value) = via(protocol) {
        headers.append(header::VIA, value);
    }
}

fn via(protocol: &str) -> Option<HeaderValue> {
    // Ready made, those of the versions that nearly everybody speaks.
    match protocol.strip_prefix("HTTP/").unwrap_or(protocol) {
        "1.1" => Some(HeaderValue::from_static("1.1 selvedge")),
        "2" => Some(HeaderValue::from_static("2 selvedge")),
        version => HeaderValue::try_from(format!("{version} {NAME}")).ok(),
    }
}
