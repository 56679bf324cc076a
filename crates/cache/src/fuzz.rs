//! What clients and origins say in header fields, fed with nonsense: see `testkit::fuzz`.

use std::sync::Arc;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use testkit::fuzz::Fuzz;

use crate::{
    Asked, CacheControl, Heuristic, KeyRule, QueryRule, Reuse, Stored, Tags, Trouble, Vary, admit_proxied, answer,
    for_one, invalidated, negotiate, renewed, reuse, updated, usable_in_trouble,
};

const NOW_MS: u64 = 1_790_000_000_000;

const WORDS: [&str; 44] = [
    "\n>cache-control: ",
    "\n<cache-control: ",
    "\n>range: bytes=",
    "\n>if-range: ",
    "\n>if-none-match: ",
    "\n>if-modified-since: ",
    "\n>accept-encoding: ",
    "\n>cookie: ",
    "\n>authorization: x",
    "\n<vary: ",
    "\n<age: ",
    "\n<date: ",
    "\n<expires: ",
    "\n<last-modified: ",
    "\n<etag: ",
    "\n<set-cookie: a=b",
    "\n<cache-tag: ",
    "\n<surrogate-key: ",
    "\n<cdn-cache-control: ",
    "\n<connection: ",
    "\n<content-type: text/html",
    "\n<location: ",
    "max-age=",
    "s-maxage=",
    "no-cache",
    "no-store",
    "private",
    "public",
    "must-revalidate",
    "must-understand",
    "stale-while-revalidate=",
    "stale-if-error=",
    "max-stale",
    "min-fresh=",
    "only-if-cached",
    "no-transform",
    "Fri, 25 Sep 2026 06:13:20 GMT",
    "W/\"a\"",
    "4294967296",
    "-",
    ",",
    ";",
    "=",
    "\"",
];

/// Lines of a request (`>`) and of a response (`<`).
fn parse(input: &[u8]) -> (HeaderMap, HeaderMap) {
    let (mut request, mut response) = (HeaderMap::new(), HeaderMap::new());
    for line in input.split(|&byte| byte == b'\n') {
        let Some((&side, line)) = line.split_first() else { continue };
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) else { continue };
        if side == b'>' { &mut request } else { &mut response }.append(name, value);
    }
    (request, response)
}

/// What holds of whatever was stored.
fn check(stored: &Stored, request: &HeaderMap, response: &HeaderMap) {
    let control = CacheControl::targeted(response).unwrap_or_else(|| CacheControl::parse(response));
    assert!(!control.private, "{response:?}");
    assert!(!control.no_store || control.must_understand, "{response:?}");
    assert_ne!(Vary::parse(response), Vary::Any);
    assert!(stored.vary.matches(request), "it answers the request that it was stored for");
    assert!(
        !stored.headers.contains_key(header::CONNECTION) && !stored.headers.contains_key(header::TRANSFER_ENCODING)
    );
    let for_all = control.public || control.s_maxage_s.is_some();
    assert!(for_all || !stored.headers.contains_key(header::SET_COOKIE), "a cookie of one for all: {response:?}");
    assert!(for_all || control.must_revalidate || !request.contains_key(header::AUTHORIZATION));
    assert_eq!(Stored::decode_head(&stored.encode_head()).as_ref(), Some(stored));
    assert!(stored.age_s(NOW_MS + 5_000) >= stored.age_s(NOW_MS) && !stored.clone().staled(NOW_MS).is_fresh(NOW_MS));
    if stored.terms.never_stale || stored.terms.always_validate {
        assert!(!usable_in_trouble(stored, Trouble::Unreachable, NOW_MS + 1_000));
    }
}

/// What goes out of what is stored.
fn check_answer(stored: &Stored, request: &HeaderMap) -> u16 {
    let body = stored.body.whole().expect("at hand").clone();
    let answer = answer(stored, request, NOW_MS + 1_000);
    let sent = answer.body.whole().expect("at hand");
    match answer.status.as_u16() {
        206 => {
            let told = answer.headers[header::CONTENT_RANGE].to_str().expect("text");
            let (first, last) =
                told["bytes ".len()..].split_once('/').expect("a length").0.split_once('-').expect("a range");
            let (first, last): (usize, usize) = (first.parse().expect("a number"), last.parse().expect("a number"));
            assert_eq!(*sent, body.slice(first..=last));
        }
        304 | 416 => assert!(sent.is_empty()),
        _ => assert_eq!(*sent, body),
    }
    answer.status.as_u16()
}

#[test]
fn cache_fields() {
    let seeds = [
        "<cache-control: max-age=60\n<etag: \"a\"\n>if-none-match: \"a\", W/\"b\"\n>range: bytes=2-4\n>if-range: \"a\"",
        "<cdn-cache-control: max-age=60, must-revalidate\n<cache-control: no-store\n<vary: accept, accept-language",
        "<expires: Fri, 25 Sep 2026 06:13:20 GMT\n<date: Fri, 25 Sep 2026 06:13:10 GMT\n<age: 3, 4\n<cache-tag: a, b",
        "<last-modified: Fri, 25 Sep 2026 06:13:20 GMT\n>cache-control: max-stale=5, min-fresh=2\n>authorization: x",
        "<cache-control: private=\"set-cookie\", stale-while-revalidate=60, stale-if-error=60\n<set-cookie: a=b",
    ];
    Fuzz::new("cache-fields").seeds(seeds).words(&WORDS).run(|input| {
        let (request, response) = parse(input);
        let asked = Asked::parse(&request);
        let _ = (negotiate(&request), Tags::parse(&response), crate::device(&request));
        let heuristic = Heuristic { default_s: 0, absence_s: 0, modified_s_max: 86_400 };
        let admitted = admit_proxied(&request, StatusCode::OK, response.clone(), heuristic, NOW_MS);
        let stored = match admitted {
            Ok(stored) => Stored { body: bytes::Bytes::from_static(b"0123456789").into(), ..stored },
            Err(refusal) => return (refusal.detail(), 0),
        };
        check(&Stored { body: crate::Content::empty(), ..stored.clone() }, &request, &response);
        let status = check_answer(&stored, &request);
        let _ = for_one(&response);
        let mut reduced = request.clone();
        crate::reduce_encodings(&mut reduced);
        assert_eq!(stored.vary.matches(&request), stored.vary.matches(&reduced));
        let headers = updated(&stored, &response);
        let renewed = headers.map(|headers| renewed(&stored, &request, headers, heuristic, NOW_MS + 1_000));
        if let Some(Ok(renewed)) = renewed {
            assert!(renewed.body == stored.body && renewed.vary == stored.vary);
        }
        let _ = invalidated(&Method::POST, "http://a.test/b/c?d", StatusCode::OK, &response);
        let word = match reuse(&[Arc::new(stored)], &request, &asked, NOW_MS + 1_000) {
            Reuse::Fresh(_) => "fresh",
            Reuse::StaleWhile(_) => "stale while",
            Reuse::Validate(_) => "validate",
            Reuse::Nothing => panic!("it is the one"),
        };
        (word, status)
    });
}

/// Whatever a client asks: what the origin gets is what the key says, and no part runs into another.
#[test]
fn cache_keys() {
    let seeds = ["a=1&b=2", "%61=1&utm_x=3;a=4&&=&", "a=%zz&b+c=d\n>cookie: theme=a; theme=b", "x\n>accept: a b"];
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    Fuzz::new("cache-keys").seeds(seeds).words(&["a=", "b*=", "%61", "utm_", "&", ";", "+", "\n>cookie: theme="]).run(
        |input| {
            let (query, rest) = input.split_at(input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len()));
            let query = String::from_utf8_lossy(query).replace(' ', "%20");
            let (request, _) = parse(rest);
            let mut kept = Vec::new();
            for choice in [QueryRule::All, QueryRule::Only(names(&["a", "b*"])), QueryRule::Except(names(&["utm_*"]))] {
                let rule = KeyRule {
                    query: choice,
                    sort_query: true,
                    headers: vec![header::ACCEPT],
                    cookies: names(&["theme"]),
                    device: true,
                };
                let once = rule.query(Some(&query)).map(|query| query.into_owned());
                assert_eq!(rule.query(once.as_deref()).as_deref(), once.as_deref());
                let page = rule.page("http", "A.test:80", "/p", Some(&query));
                let key = rule.key(page.clone(), &request);
                assert_eq!(crate::page(&key), page);
                assert_eq!(key.split(' ').count(), 4, "{key}");
                kept.push(once.map_or(0, |query| query.len()));
            }
            kept
        },
    );
}
