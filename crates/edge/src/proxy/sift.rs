//! What a client may not say to the servers behind a route, taken out when its request is routed: before the
//! app's own rules and workers, whose word counts.
//!
//! **Vouched for.** The address of the client, the scheme and the host are the node's to tell; servers read
//! them under many names. A client's certificate (RFC 9440, section 4) likewise. Only a proxy that the
//! listener believes may say the former; the latter nobody may.
//!
//! **Not in the key.** Of what may be stored, more names lead origins astray ([`cache::KeyRule::misleads`]).
//!
//! **Shadows.** CGI and what descends from it (WSGI, Rack, PHP) read `X_Real_IP` as `X-Real-IP`. So a name
//! with underscores is taken for the one with hyphens: if the node strips, sets or compares that, it goes. Others
//! pass, as what they are.

use std::borrow::Cow;

use cache::KeyRule;
use http::{HeaderMap, HeaderName};

/// Takes out of a request what its client is no authority for. `key` is there if the response may be stored.
pub(crate) fn sift(headers: &mut HeaderMap, believed: bool, key: Option<&KeyRule>) {
    let goes = |name: &&HeaderName| {
        let own = match dashed(name) {
            Cow::Borrowed(name) => is_certificate(name) || (!believed && is_vouched(name)),
            Cow::Owned(name) => is_certificate(&name) || is_vouched(&name) || counts(&name),
        };
        own || key.is_some_and(|key| key.misleads(name))
    };
    // Most requests have nothing of the kind.
    if !headers.keys().any(|name| goes(&name)) {
        return;
    }
    let names: Vec<_> = headers.keys().filter(goes).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Takes out what a server would take for a field that is set.
pub(crate) fn without_shadows(headers: &mut HeaderMap, name: &HeaderName) {
    let shadows: Vec<_> =
        headers.keys().filter(|other| *other != name && dashed(other) == dashed(name)).cloned().collect();
    for shadow in shadows.iter().filter(|shadow| shadow.as_str().contains('_')) {
        headers.remove(shadow);
    }
}

/// Whether a name, in whatever case, may be one that [`sift`] takes out of what no cache keeps.
pub(super) fn is_suspect(name: &str) -> bool {
    if name.bytes().any(|byte| byte == b'_') {
        return true;
    }
    // Those that are known begin with few letters.
    if !name.starts_with(['c', 'f', 's', 't', 'x', 'C', 'F', 'S', 'T', 'X']) {
        return false;
    }
    let mut room = [0; 32];
    // No name that is known is longer.
    let length = name.len().min(room.len());
    room[..length].copy_from_slice(&name.as_bytes()[..length]);
    room.make_ascii_lowercase();
    let known = std::str::from_utf8(&room[..length]).unwrap_or_default();
    is_certificate(known) || is_vouched(known)
}

/// A name as CGI would have it, but for its case.
fn dashed(name: &HeaderName) -> Cow<'_, str> {
    let name = name.as_str();
    if name.contains('_') { name.replace('_', "-").into() } else { name.into() }
}

/// The client's address and the URL's scheme, by names that servers know.
fn is_vouched(name: &str) -> bool {
    matches!(
        name,
        "x-real-ip"
            | "x-client-ip"
            | "true-client-ip"
            | "x-cluster-client-ip"
            | "x-forwarded"
            | "x-forwarded-protocol"
            | "x-forwarded-scheme"
            | "x-forwarded-ssl"
            | "x-forwarded-port"
            | "front-end-https"
            | "x-url-scheme"
            | "x-scheme"
    )
}

/// What proxies that end TLS tell servers of a client's certificate.
fn is_certificate(name: &str) -> bool {
    matches!(name, "client-cert" | "client-cert-chain" | "x-forwarded-client-cert" | "x-client-cert")
        || name.starts_with("x-ssl-client-")
        || name.starts_with("ssl-client-")
}

/// A name that has a meaning to the node: what it strips, sets or compares.
fn counts(name: &str) -> bool {
    let is_own = matches!(
        name,
        "cf-connecting-ip"
            | "x-request-id"
            | "cdn-loop"
            | "content-length"
            | "content-type"
            | "content-encoding"
            | "transfer-encoding"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authorization"
            | "user-agent"
            | "cache-control"
    );
    // Those by which responses differ are compared by their proper names.
    is_own || ["x-forwarded-", "accept-", "if-", "sec-"].iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests;
