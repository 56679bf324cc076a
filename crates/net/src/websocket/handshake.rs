//! The opening handshake (RFC 6455, section 4): pure functions of heads.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base::code;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, Version, header};

use crate::head::Refusal;

/// RFC 6455, section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// True if these fields ask for a WebSocket. The gate in front of the parser asks the same of the
/// bytes of a head.
pub fn asks(headers: &HeaderMap) -> bool {
    headers.get_all(header::UPGRADE).iter().any(|value| is_websocket(value.as_bytes()))
}

pub(crate) fn is_websocket(value: &[u8]) -> bool {
    value.trim_ascii().eq_ignore_ascii_case(b"websocket")
}

/// The key of a request that asks for a WebSocket; `None` if it does not, or may be read as if it
/// did not: a client that means it sends both fields.
pub(crate) fn read(method: &Method, version: Version, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    if !asks(headers) || !connection_has_upgrade(headers) || version != Version::HTTP_11 {
        return Ok(None);
    }
    let bad = |detail: &str| Refusal::new(&code::BAD_HANDSHAKE, detail);
    if *method != Method::GET {
        return Err(bad("the method of a WebSocket handshake is GET"));
    }
    if headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
    {
        return Err(bad("a WebSocket handshake has no body"));
    }
    check_version(headers)?;
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if STANDARD.decode(key.as_bytes()).is_ok_and(|key| key.len() == 16) => Ok(Some(key.clone())),
        (None, _) => Err(bad("the handshake has no Sec-WebSocket-Key")),
        (Some(_), Some(_)) => Err(bad("the handshake has two Sec-WebSocket-Key fields")),
        _ => Err(bad("Sec-WebSocket-Key is not 16 bytes in base64")),
    }
}

pub(crate) fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(header::SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => Ok(()),
        Some(_) => Err(Refusal::new(&code::SOCKET_VERSION, "the only Sec-WebSocket-Version served is 13")),
        None => Err(Refusal::new(&code::BAD_HANDSHAKE, "the handshake has no Sec-WebSocket-Version")),
    }
}

fn connection_has_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("upgrade"))
}

/// The sub-protocols that a request offers.
pub fn offers(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// What proves that a key was understood.
pub(crate) fn accept(key: &HeaderValue) -> HeaderValue {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
    HeaderValue::try_from(STANDARD.encode(digest.as_ref())).unwrap_or(HeaderValue::from_static(""))
}

/// A key nobody can guess.
pub(crate) fn fresh_key(rng: &dyn base::Rng) -> HeaderValue {
    let mut key = [0; 16];
    rng.fill(&mut key);
    HeaderValue::try_from(STANDARD.encode(key)).unwrap_or(HeaderValue::from_static(""))
}

/// Makes the head of an answer one that switches protocols (HTTP/1.1).
pub(crate) fn switch(headers: &mut HeaderMap, key: &HeaderValue) {
    tidy(headers);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, WEBSOCKET);
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept(key));
}

/// Removes what an answer that opens a socket can't say.
pub(crate) fn tidy(headers: &mut HeaderMap) {
    for name in [
        header::CONNECTION,
        header::UPGRADE,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::SEC_WEBSOCKET_ACCEPT,
        header::SEC_WEBSOCKET_EXTENSIONS,
    ] {
        headers.remove(name);
    }
}

/// The fields with which a client asks.
pub(crate) fn ask(headers: &mut HeaderMap, key: &HeaderValue) {
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, WEBSOCKET);
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, key.clone());
}

/// Judges a server's answer of status 101; the error is what is wrong with it.
pub(crate) fn check_answer(answer: &HeaderMap, key: &HeaderValue, offered: &[String]) -> Result<(), String> {
    if !asks(answer) || !connection_has_upgrade(answer) {
        return Err("the answer switches to another protocol than WebSocket".to_owned());
    }
    if answer.get(header::SEC_WEBSOCKET_ACCEPT) != Some(&accept(key)) {
        return Err("the answer's Sec-WebSocket-Accept is wrong".to_owned());
    }
    if answer.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err("the answer chose an extension that was not offered".to_owned());
    }
    let mut chosen = answer.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    match (chosen.next(), chosen.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if offered.iter().any(|offer| one == offer.as_str()) => Ok(()),
        _ => Err("the answer chose a sub-protocol that was not offered".to_owned()),
    }
}

#[cfg(test)]
mod tests;
