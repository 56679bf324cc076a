use proptest::prelude::*;

use super::*;

fn index(paths: &[&str]) -> Arc<AssetIndex> {
    index_with(paths, HtmlHandling::AutoTrailingSlash)
}

fn index_with(paths: &[&str], html: HtmlHandling) -> Arc<AssetIndex> {
    let entries = paths.iter().map(|path| AssetEntry {
        path: (*path).to_owned(),
        digest: Digest::of(path.as_bytes()),
        size: 1,
        file: PathBuf::from(path),
    });
    AssetIndex::new(entries, &AssetMemory::new(0), html)
}

/// The file, `-> path` for a redirect, or what else it is.
fn look(index: &AssetIndex, path: &str) -> String {
    match index.look_up(path) {
        Lookup::File(asset) => asset.file.display().to_string(),
        Lookup::Redirect(to) => format!("-> {to}"),
        Lookup::Missing => "missing".into(),
        Lookup::Refused => "refused".into(),
    }
}

#[test]
fn paths_stand_for_files() {
    let index =
        index(&["index.html", "about.html", "docs/index.html", "a b/ü.txt", "100%.txt", ".well-known/x", ".env"]);
    for (path, file) in [
        ("/", "index.html"),
        ("/index.html", "-> /"),
        ("/about", "about.html"),
        ("/about.html", "-> /about"),
        ("/about/", "-> /about"),
        ("/docs/", "docs/index.html"),
        ("/docs", "-> /docs/"),
        ("/a%20b/%C3%BC.txt", "a b/ü.txt"),
        ("/100%25.txt", "100%.txt"),
        ("/.well-known/x", ".well-known/x"),
        ("/.env", "missing"),
        ("/%2eenv", "missing"),
        ("/none", "missing"),
        ("/docs/none/", "missing"),
        ("//", "missing"),
        ("//docs", "missing"),
        ("/About", "missing"),
    ] {
        assert_eq!(look(&index, path), file, "{path}");
    }
}

/// As wrangler's static assets do it. One column for each path; `=` is the file itself.
#[test]
fn a_page_has_one_address() {
    let files = &["index.html", "file.html", "dir/index.html", "both.html", "both/index.html", "plain.txt"];
    let paths = "/ /index.html /index /file /file/ /file.html /dir /dir/ /dir/index.html /dir/index /both /plain.txt";
    let check = |html: HtmlHandling, expected: &str| {
        let index = index_with(files, html);
        for (path, expected) in paths.split(' ').zip(expected.split_whitespace()) {
            let found = match look(&index, path).as_str() {
                "missing" => "none".to_owned(),
                found => found.strip_prefix("-> ").unwrap_or("=").to_owned(),
            };
            assert_eq!(found, expected, "{html:?} {path}");
        }
    };
    check(HtmlHandling::AutoTrailingSlash, "= / / = /file /file /dir/ = /dir/ /dir/ = =");
    check(HtmlHandling::ForceTrailingSlash, "= / / /file/ = /file/ /dir/ = /dir/ /dir/ /both/ =");
    check(HtmlHandling::DropTrailingSlash, "= / / = /file /file = /dir /dir /dir = =");
    check(HtmlHandling::None, "none = none none none = none none = none none =");
}

#[test]
fn an_encoded_slash_is_no_slash_and_escapes_are_decoded_once() {
    let index = index(&["docs/a.txt", "docs%2Fa.txt", "%2e"]);
    for path in ["/docs%2fa.txt", "/docs%2Fa.txt", "/docs%5ca.txt", "/a%00", "/%", "/%4", "/%zz", "/%ff"] {
        assert_eq!(look(&index, path), "refused", "{path}");
    }
    assert_eq!(look(&index, "/docs%252Fa.txt"), "docs%2Fa.txt");
    assert_eq!(look(&index, "/%252e"), "%2e");
}

#[test]
fn content_types_say_their_charset() {
    for (path, expected) in [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.wasm", "application/wasm"),
        ("a.woff2", "font/woff2"),
        ("LICENSE", "application/octet-stream"),
    ] {
        assert_eq!(content_type(path), expected, "{path}");
    }
}

#[test]
fn a_scan_stays_within_the_directory() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "x").unwrap();
    let inside = tempfile::tempdir().unwrap();
    let path = |name: &str| inside.path().join(name);
    std::fs::create_dir_all(path("sub/.git")).unwrap();
    for name in ["a.txt", ".env", "sub/b.txt", "sub/.git/config"] {
        std::fs::write(path(name), name).unwrap();
    }
    std::os::unix::fs::symlink(outside.path().join("secret"), path("leak")).unwrap();
    std::os::unix::fs::symlink(outside.path(), path("leaks")).unwrap();
    std::os::unix::fs::symlink("a.txt", path("link.txt")).unwrap();
    std::os::unix::fs::symlink("nowhere", path("broken")).unwrap();
    std::os::unix::fs::symlink("..", path("sub/up")).unwrap();
    let index = AssetIndex::scan(inside.path(), &AssetMemory::new(0), HtmlHandling::None).unwrap();
    let mut served: Vec<_> = index.files.keys().map(|path| path.as_ref()).collect();
    served.sort_unstable();
    assert_eq!(served, ["/a.txt", "/link.txt", "/sub/b.txt"]);
    let mut skipped: Vec<_> = index.skipped().iter().map(|(_, why)| *why).collect();
    skipped.sort_unstable();
    assert_eq!(
        skipped,
        ["it is a link out of the directory", "it is a link out of the directory", "it is a link to nothing"]
    );
    let error = AssetIndex::scan(&path("missing"), &AssetMemory::new(0), HtmlHandling::None).unwrap_err();
    assert!(error.to_string().starts_with("can't read the asset directory at "), "{error}");
}

#[test]
fn memory_is_bounded_and_comes_back() {
    let memory = AssetMemory::new(10);
    let entries =
        ["a", "b"].map(|path| AssetEntry { path: path.into(), digest: Digest::of(b""), size: 6, file: path.into() });
    let index = AssetIndex::new(entries, &memory, HtmlHandling::None);
    index.file("/a").unwrap().keep(&Bytes::from_static(b"sixsix"));
    index.file("/b").unwrap().keep(&Bytes::from_static(b"sixsix"));
    assert_eq!(memory.used(), 6);
    assert!(index.file("/b").unwrap().in_memory().is_none(), "there was no room");
    drop(index);
    assert_eq!(memory.used(), 0);
}

#[test]
fn the_nearest_404_page_is_found() {
    let index = index(&["404.html", "docs/404.html"]);
    for (path, file) in
        [("/x", "404.html"), ("/docs/x", "docs/404.html"), ("/docs/a/b", "docs/404.html"), ("/%", "404.html")]
    {
        assert_eq!(index.nearest_404(path).unwrap().file.display().to_string(), file, "{path}");
    }
    assert!(super::tests::index(&["docs/404.html"]).nearest_404("/x").is_none());
}

proptest! {
    /// Every file is found at its own encoded path.
    #[test]
    fn what_is_there_is_found(name in "[a-zA-Z0-9 %#?ü+&=~]{1,10}") {
        let index = index(&[&name]);
        let path = format!("/{}", encode(&name));
        prop_assert_eq!(look(&index, &path), name);
    }

    #[test]
    fn no_path_makes_it_panic(path in "/[a-z%/.0-9ü]{0,12}") {
        let index = index(&["a", "b/index.html"]);
        index.look_up(&path);
        index.nearest_404(&path);
    }
}
