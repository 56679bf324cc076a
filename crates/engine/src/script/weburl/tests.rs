use url::Url;

use super::parser::parse;
use super::{resolve, setters};

fn check(input: &str, base: Option<&str>, expect: Option<&str>) {
    let href = resolve(input, base).map(|url| url.serialise().0);
    assert_eq!(href.as_deref(), expect, "{input:?} against {base:?}");
}

fn check_set(href: &str, field: &str, value: &str, expect: &str) {
    let mut url = parse(href, None).unwrap();
    setters::set(&mut url, field, value);
    assert_eq!(url.serialise().0, expect, "{href:?}: {field} = {value:?}");
}

#[test]
fn every_kind_of_url_is_read_and_written() {
    check(
        " HTTP://User:p@ss@EXAMPLE.com:080/a/./b/../c?q=ü#f ",
        None,
        Some("http://User:p%40ss@example.com/a/c?q=%C3%BC#f"),
    );
    check("https:example.org\\x", None, Some("https://example.org/x"));
    check("http:a/b", Some("http://h/c/d?q"), Some("http://h/c/a/b"));
    check("", Some("http://h/c/d?q#f"), Some("http://h/c/d?q"));
    check("//x/y", Some("http://h/c"), Some("http://x/y"));
    check("mailto:a b@c#d e", None, Some("mailto:a b@c#d%20e"));
    check("#x", Some("mailto:a@b"), Some("mailto:a@b#x"));
    check("x", Some("mailto:a@b"), None);
    check("non-special://h\\x", None, None);
    check("http://", None, None);
    check("http://a b/", None, None);
    check("http://h:65536/", None, None);
    check("x", None, None);
}

#[test]
fn hosts_have_one_spelling() {
    check("http://0x7f.1/", None, Some("http://127.0.0.1/"));
    check("http://0300.168.0xF0", None, Some("http://192.168.0.240/"));
    check("http://1.2.3.4.5/", None, None);
    check("http://256.1.1.1/", None, None);
    check("http://[1:0:0:2:0:0:0:3]/", None, Some("http://[1:0:0:2::3]/"));
    check("http://[::1.2.3.4]/", None, Some("http://[::102:304]/"));
    check("http://[::]/", None, Some("http://[::]/"));
    check("http://[1::", None, None);
    check("http://faß.example/", None, Some("http://xn--fa-hia.example/"));
    check("http://%65xample.com/", None, Some("http://example.com/"));
    check("foo://H%41/", None, Some("foo://H%41/"));
}

#[test]
fn file_urls_know_drive_letters_and_empty_hosts() {
    check("/", Some("file://h/C:/a/b"), Some("file://h/C:/"));
    check("file:\\\\//", None, Some("file:////"));
    check("file://localhost//a//../..//", None, Some("file://///"));
    check("////mouse", Some("file:///elephant"), Some("file:////mouse"));
    check("C|/x", Some("file://host/dir/file"), Some("file://host/C:/x"));
    check("/c:/foo", Some("file://host/path"), Some("file://host/c:/foo"));
    check("file:C|/..", None, Some("file:///C:/"));
    check("/x", Some("file:///C:/a"), Some("file:///C:/x"));
}

#[test]
fn a_path_that_begins_with_two_slashes_is_no_host() {
    check("non-spec:/.//p", None, Some("non-spec:/.//p"));
    check("non-spec:/..//p", None, Some("non-spec:/.//p"));
    check_set("non-spec:/", "pathname", "//p", "non-spec:/.//p");
    check_set("non-spec:/.//", "pathname", "p", "non-spec:/p");
    check_set("non-spec:/.//p", "hostname", "h", "non-spec://h//p");
}

#[test]
fn setters_change_what_they_may() {
    check_set("http://h:81/", "protocol", "https:", "https://h:81/");
    check_set("http://h:443/", "protocol", "https", "https://h/");
    check_set("http://h/", "protocol", "foo", "http://h/");
    check_set("http://h/", "username", "a:b", "http://a%3Ab@h/");
    check_set("file:///x", "username", "a", "file:///x");
    check_set("http://h/", "host", "x:99z/y", "http://x:99/");
    check_set("http://h:1/", "hostname", "x:99", "http://h:1/");
    check_set("http://h:1/", "host", "", "http://h:1/");
    check_set("http://h/", "port", "90x", "http://h:90/");
    check_set("http://h:90/", "port", "65536", "http://h:90/");
    check_set("http://h:90/", "port", "", "http://h/");
    check_set("http://h/a", "pathname", "?x#y", "http://h/%3Fx%23y");
    check_set("http://h/?a", "search", "", "http://h/");
    check_set("http://h/", "search", "?a#b'", "http://h/?a%23b%27");
    check_set("data:x #f", "hash", "", "data:x");
    check_set("mailto:x", "pathname", "y", "mailto:x");
}

/// The host reads what the guest wrote with the `url` crate: of the schemes that are fetched, the
/// two must agree.
#[test]
fn agrees_with_the_url_crate_on_what_can_be_fetched() {
    // No tab: the crate loses count of those before an @.
    const PIECES: &[&str] = &[
        "http://",
        "https:",
        "wss://",
        "h",
        "Ex.ample",
        "1.2",
        "0x7f.1",
        "[::1]",
        "ü",
        ":",
        ":80",
        ":443",
        "@",
        "u:p@",
        "/",
        "\\",
        "//",
        ".",
        "..",
        "%2e",
        "a b",
        "%41",
        "%",
        "?",
        "#",
        "'",
        "\"<>`{}^|",
        " ",
        "é",
    ];
    let bases = [None, Some("http://base.test/a/b?c#d"), Some("https://u@base.test:9/")];
    let mut seed = 7_u64;
    let mut next = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % bound
    };
    for _ in 0..20_000 {
        let input: String = (0..1 + next(9)).map(|_| PIECES[next(PIECES.len())]).collect();
        let base = bases[next(bases.len())];
        let ours = resolve(&input, base).map(|url| url.serialise().0);
        let parsed = base.map(|base| Url::parse(base).unwrap());
        // The crate refuses some that the standard takes: slashes of both kinds before a host.
        if let Ok(theirs) = Url::options().base_url(parsed.as_ref()).parse(&input)
            && matches!(theirs.scheme(), "http" | "https" | "ws" | "wss")
        {
            assert_eq!(ours.as_deref(), Some(theirs.as_str()), "{input:?} against {base:?}");
        }
        if let Some(href) = ours {
            assert_eq!(parse(&href, None).unwrap().serialise().0, href, "what was written is read as it is");
        }
    }
}

/// Whatever is read and set, the result is a URL that is read as it was written.
#[test]
fn every_href_is_read_as_it_was_written() {
    const PIECES: &[&str] = &[
        "file:",
        "foo:",
        "data:",
        "http:",
        "blob:",
        "/",
        "//",
        "\\",
        "/.",
        "..",
        ".",
        "%2E",
        "C:",
        "c|",
        "h",
        "@",
        ":",
        ":7",
        "?",
        "#",
        "[::1]",
        "localhost",
        "\u{0}",
        "\t",
        "\u{FFFD}",
        "\u{AD}",
        "xn--",
        "é",
        "😀",
        "%",
        "%zz",
        "'",
        "1",
    ];
    const FIELDS: &[&str] =
        &["protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash"];
    let mut seed = 11_u64;
    let mut next = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % bound
    };
    let mut urls = 0;
    for _ in 0..40_000 {
        let mut text = |most: usize| -> String { (0..next(most)).map(|_| PIECES[next(PIECES.len())]).collect() };
        let (input, value) = (text(9), text(5));
        let base = [None, Some("file:///C:/a/b"), Some("foo://h/a/b"), Some("foo:/a/b")][next(4)];
        let Some(mut url) = resolve(&input, base) else { continue };
        let field = FIELDS[next(FIELDS.len())];
        setters::set(&mut url, field, &value);
        let (href, places) = url.serialise();
        assert!(href.is_ascii(), "{href}");
        assert!(places.is_sorted() && places[7] <= href.len(), "{href}: {places:?}");
        let again = parse(&href, None).map(|url| url.serialise());
        assert_eq!(again, Some((href, places)), "{input:?} against {base:?}, {field} = {value:?}");
        urls += 1;
    }
    assert!(urls > 10_000, "{urls} inputs were URLs");
}
