use http::HeaderValue;

use super::*;

#[test]
fn the_client_chooses_the_coding_and_the_size_breaks_ties() {
    let check = |field: &str, expected: Option<&str>| {
        let mut headers = HeaderMap::new();
        if !field.is_empty() {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(field).unwrap());
        }
        let variants = [("br", 20), ("zstd", 25), ("gzip", 30)];
        assert_eq!(coding(&headers, &variants).map(|at| variants[at].0), expected, "{field}");
    };
    check("", None);
    check("gzip, deflate, br, zstd", Some("br"));
    check("gzip", Some("gzip"));
    check("x-gzip", Some("gzip"));
    check("GZIP;q=1.0, br;q=0.5", Some("gzip"));
    check("br;q=0, zstd;q=0.1", Some("zstd"));
    check("*", Some("br"));
    check("*;q=0", None);
    check("br;q=0, *;q=0.1", Some("zstd"));
    check("identity, gzip;q=0.5", None);
    check("deflate", None);
    check("brotli", None);
}

#[test]
fn a_fingerprint_is_hardly_anything_else() {
    for name in ["/app.3f9a1c.js", "/a/index-BxK3z9aQ.js", "/style.0a1b2c3d4e.min.css", "/logo-9f8e7d6c.svg"] {
        assert!(is_fingerprinted(name), "{name}");
    }
    for name in [
        "/app.js",
        "/jquery-3.6.0.min.js",
        "/report.20240101.pdf",
        "/photo-20240101.jpg",
        "/defaced.js",
        "/my.defaced.js",
        "/index-JavaScript.js",
        "/app.3f9a1c.html",
        "/3f9a1c",
        "/v1.2beta3.txt",
    ] {
        assert!(!is_fingerprinted(name), "{name}");
    }
}
