use super::*;

fn redirects(text: &str) -> Redirects {
    let (redirects, faults) = Redirects::parse(text);
    assert_eq!(faults, []);
    redirects
}

fn found(redirects: &Redirects, path: &str) -> String {
    match redirects.find(path, Some("q=1")) {
        Some(Elsewhere::Redirect { status, location }) => format!("{status} {location}"),
        Some(Elsewhere::File(path)) => format!("file {path}"),
        None => "none".to_owned(),
    }
}

#[test]
fn a_line_leads_from_its_source_to_its_target() {
    let rules = redirects(
        "# moved\n/home / 301\n/blog/* /news/:splat\n/movies/:title /media/:title 308\n\n\
         /app/* /index.html 200\n/ext/* https://example.com:8443/:splat\n/home /second\n/blog/special /one#part\n",
    );
    for (path, expected) in [
        ("/home", "301 /?q=1"),
        ("/blog/2024/a", "302 /news/2024/a?q=1"),
        ("/blog", "302 /news/?q=1"),
        ("/blog/special", "302 /one?q=1#part"),
        ("/movies/up", "308 /media/up?q=1"),
        ("/movies/up/2", "none"),
        ("/app/deep/link", "file /index.html"),
        ("/ext/a", "302 https://example.com:8443/a?q=1"),
        ("/blog//evil.example", "302 /news//evil.example?q=1"),
        ("/none", "none"),
    ] {
        assert_eq!(found(&rules, path), expected, "{path}");
    }
    assert_eq!(rules.len(), 6, "what stands twice counts once");
    assert_eq!(found(&redirects("/x/* /:splat"), "/x//evil.example"), "302 /evil.example?q=1");
}

#[test]
fn what_is_no_redirect_is_told_with_its_line() {
    let wrong = |line: &str| {
        let (rules, faults) = Redirects::parse(&format!("/a /b\n{line}\n"));
        assert_eq!((rules.len(), faults.len()), (1, 1), "{line}: {faults:?}");
        assert_eq!(faults[0].line, 2);
    };
    wrong("/alone");
    wrong("/x /y 404");
    wrong("/x /y 302 Country=de");
    wrong("x /y");
    wrong("example.com/x /y");
    wrong("/x //evil.example");
    wrong("/x https:///y");
    wrong("/x https://me@evil.example/");
    wrong("/x javascript:alert(1)");
    wrong("/x/* /x/y/:splat");
    wrong("/x https://example.com/ 200");
}

#[test]
fn a_hundred_thousand_lines_are_a_map() {
    let text: String = (0..100_001).map(|n| format!("/old/{n} /new/{n} 301\n")).collect();
    let (rules, faults) = Redirects::parse(&text);
    assert_eq!(found(&rules, "/old/99999"), "301 /new/99999?q=1");
    assert_eq!((rules.len(), faults.len()), (100_000, 1), "one more than there may be");
}

#[test]
fn fields_of_all_patterns_that_match_add_up() {
    let (headers, faults) = SiteHeaders::parse(
        "/*\n  X-Frame-Options: DENY\n  Cache-Control: no-cache\n\n/static/*\n  ! Cache-Control\n  \
         X-Frame-Options: SAMEORIGIN\nhttps://www.example.com/m/:id\n  x-id: movie :id at 10:30\n",
    );
    assert_eq!(faults, []);
    let set = |host: &str, path: &str| headers.changes(host, path);
    assert_eq!(
        set("a", "/x").set,
        [("x-frame-options".into(), "DENY".into()), ("cache-control".into(), "no-cache".into())]
    );
    let fixed = set("a", "/static/x");
    assert_eq!(fixed.set, [("x-frame-options".to_owned(), "DENY, SAMEORIGIN".to_owned())]);
    assert_eq!(fixed.remove, ["cache-control"]);
    assert_eq!(set("www.example.com", "/m/7").set[2].1, "movie 7 at 10:30");
    assert_eq!(set("a", "/m/7").set.len(), 2);
    let wrong = "  x: y\n/*\n  nonsense\n  Content-Length: 3\n  x y: z\n  x:\n";
    let lines: Vec<_> = SiteHeaders::parse(wrong).1.into_iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [1, 3, 4, 5, 6]);
}
