//! HTTP/3 as a browser meets it, and what a configuration can't ask of it.

use base64::Engine as _;

use super::*;
use crate::harness::Browser;

const LISTENER: &str = r#"
[[listeners]]
listen = "127.0.0.1:0"
http3 = true
tls = { certificates = [{ cert = "a.pem", key = "a.key" }] }
"#;

#[test]
fn a_browser_asks_by_http3_and_others_are_told_of_it() {
    if !has_curl() {
        return;
    }
    let place = Place::new();
    let authority = Authority::new(&place);
    let key = authority.issue("a", &["app.example"]);
    let node = serve(&place, LISTENER);
    let port = &ports(&node, "https")[0];

    let resolve = format!("app.example:{port}:127.0.0.1");
    let url = format!("https://app.example:{port}/x?y=1");
    let answer = curl(&place, &place.path("ca.pem"), &["--include", "--resolve", &resolve, &url]).expect("an answer");
    assert!(answer.contains(&format!("alt-svc: h3=\":{port}\"; ma=86400\r\n")), "{answer}");

    let spki = base::Digest::of(&key);
    let spki = base64::engine::general_purpose::STANDARD.encode(spki.as_bytes());
    let browser = Browser::open_with(&[
        "--enable-quic".to_owned(),
        format!("--origin-to-force-quic-on=app.example:{port}"),
        "--host-resolver-rules=MAP app.example 127.0.0.1".to_owned(),
        format!("--ignore-certificate-errors-spki-list={spki}"),
    ]);
    let Some(mut browser) = browser else { return };
    browser.go(&url);
    let json: serde_json::Value = serde_json::from_str(&browser.text("body")).expect("JSON");
    assert_eq!(json["url"], url);
    assert_eq!(json["cf"]["httpProtocol"], "HTTP/3");
    assert_eq!(json["cf"]["tlsVersion"], "TLSv1.3");
    // Its connection is told goodbye, and nothing is waited for.
    node.stop();
}

#[test]
fn what_http3_can_not_do_is_said_where_it_is_asked_for() {
    let place = Place::new();
    let authority = Authority::new(&place);
    authority.issue("a", &["app.example"]);
    let tls = "tls = { certificates = [{ cert = \"a.pem\", key = \"a.key\" }]";
    let cases = [
        ("listen = \"127.0.0.1:0\"\nhttp3 = true".to_owned(), "HTTP/3 is always under TLS"),
        (format!("listen = \"unix:x\"\nhttp3 = true\n{tls} }}"), "HTTP/3 has no sockets of the file system"),
        (
            format!("listen = \"127.0.0.1:0\"\nproxy_protocol_from = [\"127.0.0.1\"]\nhttp3 = true\n{tls} }}"),
            "HTTP/3 has no PROXY header",
        ),
        (
            format!("listen = \"127.0.0.1:0\"\nhttp3 = true\n{tls}, client_ca = \"ca.pem\" }}"),
            "HTTP/3 asks no client for a certificate",
        ),
    ];
    for (listener, expect) in cases {
        write(&place.path("node.toml"), &format!("[[listeners]]\n{listener}\n"));
        let outcome = place.on_data(&["serve", "--config", "node.toml"]);
        assert!(!outcome.ok && outcome.stderr.contains(expect), "{expect}: {}", outcome.stderr);
    }
}
