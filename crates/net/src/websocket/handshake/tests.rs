use super::*;

fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
const VERSION: (&str, &str) = ("sec-websocket-version", "13");
const UPGRADE: (&str, &str) = ("upgrade", "WebSocket");
const CONNECTION: (&str, &str) = ("connection", "keep-alive, Upgrade");

fn check(fields: &[(&'static str, &'static str)], expect: Result<bool, &str>) {
    let read = read(&Method::GET, Version::HTTP_11, &head(fields));
    match read {
        Ok(key) => assert_eq!(Ok(key.is_some()), expect, "{fields:?}"),
        Err(refusal) => assert_eq!(Err(refusal.code.name), expect, "{fields:?}"),
    }
}

#[test]
fn the_example_of_the_rfc_is_answered_as_it_says() {
    assert_eq!(accept(&HeaderValue::from_static(KEY.1)), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn a_handshake_is_in_order_or_refused() {
    check(&[UPGRADE, CONNECTION, VERSION, KEY], Ok(true));
    check(&[UPGRADE, VERSION, KEY], Ok(false));
    check(&[CONNECTION, VERSION, KEY], Ok(false));
    check(&[("upgrade", "h2c"), CONNECTION, VERSION, KEY], Ok(false));
    check(&[UPGRADE, CONNECTION, KEY], Err("bad_handshake"));
    check(&[UPGRADE, CONNECTION, ("sec-websocket-version", "8"), KEY], Err("socket_version"));
    check(&[UPGRADE, CONNECTION, VERSION], Err("bad_handshake"));
    check(&[UPGRADE, CONNECTION, VERSION, KEY, KEY], Err("bad_handshake"));
    for key in ["", "dGhlIHNhbXBsZQ==", "not base64 at all======="] {
        check(&[UPGRADE, CONNECTION, VERSION, ("sec-websocket-key", key)], Err("bad_handshake"));
    }
    check(&[UPGRADE, CONNECTION, VERSION, KEY, ("content-length", "3")], Err("bad_handshake"));
    let fields = head(&[UPGRADE, CONNECTION, VERSION, KEY]);
    assert!(read(&Method::POST, Version::HTTP_11, &fields).is_err());
    assert!(read(&Method::GET, Version::HTTP_10, &fields).unwrap().is_none());
}

#[test]
fn a_servers_answer_is_not_believed_unseen() {
    let key = HeaderValue::from_static(KEY.1);
    let accept = ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let offered = ["chat".to_owned()];
    let check = |fields: &[(&'static str, &'static str)]| check_answer(&head(fields), &key, &offered);
    assert_eq!(check(&[UPGRADE, CONNECTION, accept]), Ok(()));
    assert_eq!(check(&[UPGRADE, CONNECTION, accept, ("sec-websocket-protocol", "chat")]), Ok(()));
    assert!(check(&[UPGRADE, CONNECTION, accept, ("sec-websocket-protocol", "other")]).is_err());
    assert!(check(&[UPGRADE, CONNECTION, accept, ("sec-websocket-extensions", "permessage-deflate")]).is_err());
    assert!(check(&[UPGRADE, CONNECTION, ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=")]).is_err());
    assert!(check(&[UPGRADE, accept]).is_err() && check(&[CONNECTION, accept]).is_err());
}
