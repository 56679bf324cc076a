//! What a proxy in front says of the request that it passes on, where the listener takes its word
//! (`forwarded_from`): who asks, and for which URL. Pure: a request's fields in, facts out.
//!
//! It is read once, when a request arrives, and every part of the node goes by the same facts: the
//! conditions of routes, templates, logs, the key of the cache, and what the next server is told. A fact that
//! can't be read is none.
//!
//! **Who.** `X-Forwarded-For` lists those through whose hands a request went. Each proxy adds to its end who
//! asked it, so the end is read first, and the first address that is no believed proxy's is the client: what
//! stands before it is a stranger's word. **What.** `X-Forwarded-Proto` and `-Host` are the first proxy's to
//! say. `Forwarded` (RFC 7239) counts where these are silent.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue, header};
use net::{Believed, Glance, Request};

use crate::door::Door;

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The facts of a request, if the other end of its connection is believed.
pub(crate) fn of_request(door: &Door, request: &Request) -> Option<Box<Believed>> {
    let lines = |name: &HeaderName| {
        let lines = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        lines.collect::<Vec<_>>().join(", ")
    };
    door.believes(request.peer.ip()).then(|| Box::new(read(door, request.peer.ip(), lines)))
}

/// The same of a request that is looked at.
pub(crate) fn of_glance(door: &Door, glance: &Glance<'_>) -> Option<Box<Believed>> {
    let lines = |name: &HeaderName| {
        let lines = glance.lines(name.as_str()).filter_map(|line| std::str::from_utf8(line).ok());
        lines.filter(|line| HeaderValue::from_str(line).is_ok()).collect::<Vec<_>>().join(", ")
    };
    door.believes(glance.peer.ip()).then(|| Box::new(read(door, glance.peer.ip(), lines)))
}

fn read(door: &Door, peer: IpAddr, lines: impl Fn(&HeaderName) -> String) -> Believed {
    let first = |name: &HeaderName| {
        let list = lines(name);
        list.split(',').next().unwrap_or_default().trim().to_ascii_lowercase()
    };
    let mut senders = lines(&X_FORWARDED_FOR);
    let (mut scheme, mut host) = (first(&X_FORWARDED_PROTO), first(&X_FORWARDED_HOST));
    let elements = elements(&lines(&header::FORWARDED)).unwrap_or_default();
    if senders.is_empty() {
        let told = elements.iter().flatten().filter(|pair| pair.name == "for").map(|pair| pair.value.as_str());
        senders = told.collect::<Vec<_>>().join(",");
    }
    let said = |name: &str| elements.iter().flatten().find(|pair| pair.name == name).map(|pair| pair.value.clone());
    if scheme.is_empty() {
        scheme = said("proto").unwrap_or_default().to_ascii_lowercase();
    }
    if host.is_empty() {
        host = said("host").unwrap_or_default().to_ascii_lowercase();
    }
    Believed {
        client: client(door, peer, &senders),
        scheme: match scheme.as_str() {
            "https" | "wss" => Some("https"),
            "http" | "ws" => Some("http"),
            _ => None,
        },
        authority: match net::target::is_normal_authority(&host) {
            true => HeaderValue::try_from(host).ok(),
            false => None,
        },
    }
}

/// The last of a list who is no proxy that is believed; if all are, the first of them.
fn client(door: &Door, peer: IpAddr, senders: &str) -> IpAddr {
    let mut client = peer;
    for sender in senders.rsplit(',') {
        let Some(address) = address(sender.trim()) else { break };
        client = address;
        if !door.believes(address) {
            break;
        }
    }
    client
}

/// An address, with which some proxies write a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse().or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

/// One pair of an element of `Forwarded`.
#[derive(Debug, PartialEq, Eq)]
struct Pair {
    /// In lower case.
    name: String,
    /// Without quotes.
    value: String,
    /// As it was written.
    text: String,
}

/// The elements of `Forwarded` (RFC 7239, section 4); `None` if it is not well formed.
fn elements(list: &str) -> Option<Vec<Vec<Pair>>> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let value = match value.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"')?,
            None => value,
        };
        // An escape makes of two spellings one, and no address or host needs one.
        let is_plain = !value.contains(['"', '\\', ',', ';']) && !name.is_empty();
        is_plain.then(|| Pair { name: name.to_ascii_lowercase(), value: value.to_owned(), text: text.to_owned() })
    };
    let element = |element: &str| -> Option<Vec<Pair>> {
        element.split(';').map(str::trim).filter(|text| !text.is_empty()).map(pair).collect()
    };
    list.split(',').filter(|text| !text.trim().is_empty()).map(element).collect()
}

/// What earlier proxies say in `Forwarded`, without what contradicts the facts that this node goes by: a
/// server must not find another URL there than the cache has in its key.
pub(crate) fn consistent(list: &str, scheme: &str, host: &str) -> String {
    let keeps = |pair: &Pair| match pair.name.as_str() {
        "proto" => pair.value.eq_ignore_ascii_case(scheme),
        "host" => pair.value.eq_ignore_ascii_case(host),
        _ => true,
    };
    let elements = elements(list).unwrap_or_default();
    let kept = elements.iter().map(|element| {
        let pairs: Vec<_> = element.iter().filter(|pair| keeps(pair)).map(|pair| pair.text.as_str()).collect();
        pairs.join(";")
    });
    kept.filter(|element| !element.is_empty()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
