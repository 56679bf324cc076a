use http::{HeaderMap, HeaderName, HeaderValue};

use super::{consistent, read};
use crate::door::Door;

/// Reads the fields as of 10.0.0.1, whose network is believed: the client, the scheme, the host.
#[track_caller]
fn check(fields: &[(&'static str, &str)], client: &str, scheme: Option<&str>, host: Option<&str>) {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).expect("a value"));
    }
    let lines = |name: &HeaderName| {
        let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        lines.collect::<Vec<_>>().join(", ")
    };
    let door = Door { believed: vec!["10.0.0.0/8".parse().expect("a network")], ..Door::default() };
    let told = read(&door, "10.0.0.1".parse().expect("an address"), lines);
    assert_eq!(told.client.to_string(), client, "{fields:?}");
    assert_eq!(told.scheme, scheme, "{fields:?}");
    assert_eq!(told.authority.as_ref().map(|host| host.to_str().expect("text")), host, "{fields:?}");
}

#[test]
fn the_client_is_the_last_who_is_no_believed_proxy() {
    let listed = |list: &str, client: &str| check(&[("x-forwarded-for", list)], client, None, None);
    listed("192.0.2.7", "192.0.2.7");
    listed("6.6.6.6, 192.0.2.7, 10.0.0.9", "192.0.2.7");
    listed("6.6.6.6, 10.9.9.9, 192.0.2.7", "192.0.2.7");
    listed("10.0.0.8, 10.0.0.9", "10.0.0.8");
    listed("192.0.2.7:1234", "192.0.2.7");
    listed("[2001:db8::7]:1234", "2001:db8::7");
    listed("[2001:db8::7]", "2001:db8::7");
    listed("::ffff:192.0.2.7", "192.0.2.7");
    for unknown in ["", "unknown", "192.0.2.7, unknown", "192.0.2.7,", "_hidden"] {
        listed(unknown, "10.0.0.1");
    }
    listed("6.6.6.6, unknown, 10.0.0.9", "10.0.0.9");
    check(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7")], "192.0.2.7", None, None);
    check(&[("forwarded", "for=6.6.6.6, for=\"[2001:db8::7]:80\";by=x")], "2001:db8::7", None, None);
}

#[test]
fn the_url_is_what_the_first_proxy_says() {
    let own = "10.0.0.1";
    let told = |scheme, host| {
        check(&[("x-forwarded-proto", scheme), ("x-forwarded-host", host)], own, Some("https"), Some("a.example:8443"));
    };
    told("https", "a.example:8443");
    told("HTTPS, http", "A.example:8443, b");
    check(&[("forwarded", "for=_x;proto=https;host=\"a.example\", proto=http")], own, Some("https"), Some("a.example"));
    check(&[("x-forwarded-proto", "http"), ("forwarded", "proto=https")], own, Some("http"), None);
    for scheme in ["", "ftp", "https://", "ht tp"] {
        check(&[("x-forwarded-proto", scheme)], own, None, None);
    }
    for host in ["", "a@b", "a/b", "a b", "\"a\"", "a\u{e9}", "a?b"] {
        check(&[("x-forwarded-host", host)], own, None, None);
    }
    check(&[("forwarded", "proto=\"https")], own, None, None);
}

#[test]
fn what_contradicts_the_facts_is_left_out() {
    let told = |list: &str| consistent(list, "https", "a.example");
    assert_eq!(told("for=192.0.2.7;proto=https"), "for=192.0.2.7;proto=https");
    assert_eq!(
        told("for=1.1.1.1;Host=evil ; proto=http, for=_b;host=\"a.example\""),
        "for=1.1.1.1, for=_b;host=\"a.example\""
    );
    assert_eq!(told("proto=http"), "");
    assert_eq!(told("for=\"x;host=evil\""), "", "what can't be read says nothing");
    assert_eq!(told("for=x;host=\"ev\\il\""), "");
}
