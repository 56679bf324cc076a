use cache::KeyRule;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{sift, without_shadows};

/// Which of the names are left, in their own order.
fn left(names: &[&'static str], believed: bool, key: Option<&KeyRule>) -> String {
    let mut headers = HeaderMap::new();
    for name in names {
        headers.append(*name, HeaderValue::from_static("1"));
    }
    sift(&mut headers, believed, key);
    let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    left.join(" ")
}

#[test]
fn what_the_node_vouches_for_passes_only_from_whom_it_believes() {
    let told = ["front-end-https", "x-forwarded-port", "x-http-method", "x-mine", "x-real-ip"];
    assert_eq!(left(&told, false, None), "x-http-method x-mine");
    assert_eq!(left(&told, true, None), told.join(" "));
    assert_eq!(left(&told, true, Some(&KeyRule::default())), "x-mine");
    let key = KeyRule { headers: vec![HeaderName::from_static("x-http-method")], ..KeyRule::default() };
    assert_eq!(left(&told, false, Some(&key)), "x-http-method x-mine");
}

#[test]
fn nobody_says_which_certificate_a_client_showed() {
    let told =
        ["client-cert", "client-cert-chain", "x-ssl-client-verify", "x_ssl_client_verify", "client_cert", "x-ssl"];
    for believed in [false, true] {
        assert_eq!(left(&told, believed, None), "x-ssl");
    }
}

#[test]
fn a_name_with_underscores_goes_where_it_would_pass_for_one_that_counts() {
    let told = ["x_forwarded_for", "x-forwarded_host", "x_real_ip", "accept_language", "content_length", "x_mine", "_"];
    assert_eq!(left(&told, false, None), "_ x_mine");
    assert_eq!(left(&told, true, None), "_ x_mine");
    let key = KeyRule { headers: vec![HeaderName::from_static("x-mine")], ..KeyRule::default() };
    assert_eq!(left(&["x_mine", "x-mine", "x_rewrite_url"], false, Some(&key)), "x-mine");
    let key = KeyRule { headers: vec![HeaderName::from_static("x_mine")], ..KeyRule::default() };
    assert_eq!(left(&["x_mine", "x_other"], false, Some(&key)), "x_mine x_other");
}

#[test]
fn what_is_set_has_no_shadow() {
    let mut headers = HeaderMap::new();
    for name in ["x-client", "x_client", "x_clients", "x-Other_one"] {
        headers.append(HeaderName::try_from(name).expect("a name"), HeaderValue::from_static("spoof"));
    }
    without_shadows(&mut headers, &HeaderName::from_static("x-client"));
    without_shadows(&mut headers, &HeaderName::from_static("x_other-one"));
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-client", "x_clients"]);
}
