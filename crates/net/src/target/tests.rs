use proptest::prelude::*;

use super::*;

fn path(given: &str) -> Result<String, String> {
    normalise_path(given).map(Cow::into_owned).map_err(|refusal| {
        assert_eq!(refusal.code.name, "bad_path");
        refusal.detail
    })
}

#[test]
fn dot_segments_are_resolved() {
    for (given, normal) in [
        ("/", "/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/%2E/b", "/a/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a/..", "/"),
        ("/a//../b", "/a/b"),
        ("/...", "/..."),
        ("/a/..b", "/a/..b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a%2f..%2fb", "/a%2f..%2fb"),
        ("//a", "//a"),
    ] {
        assert_eq!(path(given).as_deref(), Ok(normal), "{given}");
    }
}

#[test]
fn where_paths_are_names_every_segment_counts() {
    for given in ["/b/a/../c", "/b/./x", "/b/..", "/b/%2e%2e/x", "/b//x", "/.."] {
        let target = normalise(&Method::GET, &given.parse().unwrap(), &mut with_host(), Paths::Names).ok();
        assert_eq!(target.map(|target| target.path_and_query.to_string()).as_deref(), Some(given));
    }
    assert!(normalise(&Method::GET, &"/b/a%00".parse().unwrap(), &mut with_host(), Paths::Names).is_err());
}

fn with_host() -> HeaderMap {
    HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("a"))])
}

#[test]
fn a_path_that_leaves_the_root_is_refused() {
    for given in ["/..", "/../a", "/a/../../b", "/%2e%2e/a", "/a/%2e%2e/%2E%2e/etc/passwd"] {
        assert_eq!(path(given).unwrap_err(), "the path leaves the root", "{given}");
    }
}

#[test]
fn what_a_url_parser_would_change_is_changed_or_refused() {
    assert_eq!(path("/{id}\"<>`^é").unwrap(), "/%7Bid%7D%22%3C%3E%60%5E%C3%A9");
    assert_eq!(path("/a\\..\\b").unwrap_err(), "a backslash can't stand in a path; write %5C");
    assert_eq!(path("/a%00b").unwrap_err(), "a path can't hold NUL or control characters");
    assert_eq!(path("a").unwrap_err(), "the path does not begin with a slash");
}

fn target(uri: &str, hosts: &[&str]) -> Result<(String, String, String), String> {
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
    }
    let target = normalise(&Method::GET, &uri.parse().unwrap(), &mut headers, Paths::Segments).map_err(|r| r.detail)?;
    let text = |v: &HeaderValue| v.to_str().unwrap().to_owned();
    Ok((text(&target.authority), target.path_and_query.to_string(), text(&headers[header::HOST])))
}

#[test]
fn the_host_of_an_absolute_target_wins() {
    let (authority, path, host) = target("http://Example.COM:8080/a?b", &["other"]).unwrap();
    assert_eq!((authority.as_str(), path.as_str()), ("example.com:8080", "/a?b"));
    assert_eq!(host, "example.com:8080", "the field agrees afterwards");
    assert_eq!(target("/x/../a?../b", &["Example.com"]).unwrap().1, "/a?../b", "a query is left alone");
    assert_eq!(target("/", &["[::1]:8080"]).unwrap().0, "[::1]:8080");
}

#[test]
fn a_host_that_is_none_is_refused() {
    for host in ["", "a b", "a/b", "a@b", "user:pw@host", "a%2eb", "[::1", "[nonsense]", "a,b", ".a", "a?b", "a#b", "é"]
    {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
        let refusal = normalise(&Method::GET, &"/".parse().unwrap(), &mut headers, Paths::Segments).unwrap_err();
        assert_eq!(
            (refusal.code.name, refusal.detail.as_str()),
            ("bad_request", "the host is not a host name"),
            "{host}"
        );
    }
    assert_eq!(target("/", &["a:b"]).unwrap_err(), "the port of the host is not a number");
    assert_eq!(target("/", &["a:99999"]).unwrap_err(), "the port of the host is not a number");
    assert_eq!(target("/", &["a", "a"]).unwrap_err(), "the request has two Host fields");
    assert_eq!(target("/", &[]).unwrap_err(), "the request has no host");
    assert_eq!(target("http://u:p@a/", &["a"]).unwrap_err(), "the host is not a host name");
    assert_eq!(target("ftp://a/", &["a"]).unwrap_err(), "the scheme of the target is neither http nor https");
    assert_eq!(target("*", &["a"]).unwrap_err(), "the asterisk form of a target is not served");
}

proptest! {
    /// A URL parser finds nothing to change in a normal path, and normalising again neither.
    #[test]
    fn a_second_parser_sees_the_same_path(given in "/([a-z.%/{}\"é|~'!+]|%2e|%2E|%2f|%zz|\\.\\.){0,12}") {
        if let Ok(normal) = path(&given) {
            let url = url::Url::parse(&format!("http://h{normal}")).unwrap();
            prop_assert_eq!(url.path(), normal.as_str(), "{}", given);
            prop_assert_eq!(path(&normal).unwrap(), normal);
        }
    }
}
