use base::code;

use super::*;

fn text(failure: &Failure, sources: &Path) -> String {
    let mut response = page(failure, "r1", sources);
    String::from_utf8(response.body_mut().take_whole().unwrap().to_vec()).unwrap()
}

#[test]
fn the_source_line_is_shown_and_nothing_is_markup() {
    let sources = tempfile::tempdir().unwrap();
    std::fs::write(sources.path().join("index.ts"), "one\nconst x = \"<b>\";\nthree\n").unwrap();
    let mut failure = Failure::new(&code::GUEST_EXCEPTION, "<script>alert(1)</script>").with_stack("at <anonymous>");
    failure.frame = Some(Frame { file: "index.ts".into(), line: 2, column: 7 });
    let html = text(&failure, sources.path());
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !html.contains("<script"), "{html}");
    assert!(html.contains("<code>index.ts:2:7</code>"), "{html}");
    assert!(html.contains("    1 one\n<mark>    2 const x = &quot;&lt;b&gt;&quot;;</mark>    3 three\n"), "{html}");
    assert!(html.contains("<pre>at &lt;anonymous&gt;</pre>"), "{html}");
}

#[test]
fn no_file_outside_the_sources_is_read() {
    let sources = tempfile::tempdir().unwrap();
    let inner = sources.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let secret = sources.path().join("secret");
    std::fs::write(&secret, "hush").unwrap();
    for file in ["../secret".to_owned(), secret.display().to_string(), "missing".to_owned()] {
        let mut failure = Failure::new(&code::GUEST_EXCEPTION, "x");
        failure.frame = Some(Frame { file, line: 1, column: 1 });
        assert!(!text(&failure, &inner).contains("hush"));
    }
}

#[test]
fn a_line_number_beyond_the_file_shows_nothing() {
    let sources = tempfile::tempdir().unwrap();
    std::fs::write(sources.path().join("a.ts"), "one\n").unwrap();
    let frame = Frame { file: "a.ts".into(), line: u32::MAX, column: 1 };
    assert_eq!(excerpt(&frame, sources.path()), None);
}
