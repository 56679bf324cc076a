use std::time::Duration;

use super::*;

fn record(path: &str, status: u16, ms: u64) -> Record {
    let (path, total) = (path.to_owned(), Duration::from_millis(ms));
    Record { path, status, total, app: Some("shop".into()), ..Record::default() }
}

fn paths(found: &[Numbered]) -> Vec<&str> {
    found.iter().map(|one| one.record.path.as_str()).collect()
}

#[test]
fn the_oldest_goes_and_the_newest_are_found_in_their_order() {
    let recent = Recent::new(3);
    ["/a", "/b", "/c", "/d"].into_iter().for_each(|path| recent.put(&mut record(path, 200, 1)));
    assert_eq!(paths(&recent.find(&Wanted::default(), 10)), ["/b", "/c", "/d"]);
    assert_eq!(paths(&recent.find(&Wanted::default(), 2)), ["/c", "/d"]);
    assert_eq!(paths(&recent.find(&Wanted { after: 3, ..Wanted::default() }, 10)), ["/d"]);
}

#[test]
fn each_filter_holds_for_what_it_names() {
    let recent = Recent::new(10);
    for (path, status, ms) in [("/a", 200, 5), ("/a/b", 404, 50), ("/c", 503, 500)] {
        recent.put(&mut record(path, status, ms));
    }
    let check = |wanted: Wanted, expect: &[&str]| assert_eq!(paths(&recent.find(&wanted, 10)), expect, "{wanted:?}");
    check(Wanted { path: Some("/a".into()), ..Wanted::default() }, &["/a", "/a/b"]);
    check(Wanted { status: StatusFilter::parse("404"), ..Wanted::default() }, &["/a/b"]);
    check(Wanted { status: StatusFilter::parse("5xx"), ..Wanted::default() }, &["/c"]);
    check(Wanted { slow_ms: Some(50), ..Wanted::default() }, &["/a/b", "/c"]);
    check(Wanted { app: Some("other".into()), ..Wanted::default() }, &[]);
    check(Wanted { request_id: Some("x".into()), ..Wanted::default() }, &[]);
}

#[test]
fn a_status_is_three_digits_or_a_class() {
    assert_eq!(StatusFilter::parse("404"), Some(StatusFilter::Is(404)));
    assert_eq!(StatusFilter::parse("2xx"), Some(StatusFilter::Class(2)));
    for text in ["", "xx", "9xx", "4x", "40", "1000", "-4"] {
        assert_eq!(StatusFilter::parse(text), None, "{text}");
    }
}

#[test]
fn what_strangers_send_is_cut_between_characters() {
    let recent = Recent::new(1);
    recent.put(&mut record(&"é".repeat(5_000), 200, 1));
    let found = recent.find(&Wanted::default(), 1);
    assert!(found[0].record.path.len() <= TEXT_BYTES_MAX);
    let none = Recent::new(0);
    none.put(&mut record("/", 200, 1));
    assert!(none.find(&Wanted::default(), 1).is_empty());
}

#[test]
fn what_is_remembered_of_a_request_is_all_its_own() {
    let recent = Recent::new(2);
    let long = Record {
        request_id: "a".repeat(36),
        method: "OPTIONS".to_owned(),
        host: "long.example".to_owned(),
        cache: "hit; collapsed".to_owned().into(),
        detail: Some("what went wrong".to_owned()),
        ..record(&"/x".repeat(900), 503, 7)
    };
    let short = Record { request_id: "b".to_owned(), host: "s".to_owned(), cache: "hit".into(), ..record("/", 200, 1) };
    for one in [&long, &long, &short, &long, &short] {
        recent.put(&mut one.clone());
    }
    let found = recent.find(&Wanted::default(), 10);
    let texts = |record: &Record| {
        let Record { request_id, method, host, path, cache, detail, .. } = record.clone();
        (request_id, method, host, path.len(), cache, detail)
    };
    let (mut cut, numbers) = (long.clone(), found.iter().map(|one| one.number).collect::<Vec<_>>());
    cut.path.truncate(TEXT_BYTES_MAX);
    assert_eq!(numbers, [4, 5]);
    assert_eq!(texts(&found[0].record), texts(&cut));
    assert_eq!(texts(&found[1].record), texts(&short));
    let wanted = Wanted { request_id: Some("b".to_owned()), ..Wanted::default() };
    assert_eq!(recent.find(&wanted, 10).len(), 1);
}
