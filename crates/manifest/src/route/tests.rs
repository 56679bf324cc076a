use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

fn route(pattern: &str, worker: u16) -> Route {
    let (host, path) = parse_pattern(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    Route::new(host, path, Target::Worker(WorkerIndex(worker)))
}

fn table(patterns: &[&str]) -> RouteTable {
    let routes = patterns.iter().enumerate().map(|(at, pattern)| route(pattern, at as u16));
    RouteTable::new(routes.collect()).expect("no two are equal")
}

/// The pattern that answers.
fn check(patterns: &[&str], host: &str, path: &str, expect: Option<&str>) {
    let table = table(patterns);
    let found = table.find(host, path).map(|m| m.route.pattern());
    assert_eq!(found.as_deref(), expect, "{host}{path} in {patterns:?}");
}

#[test]
fn a_prefix_matches_itself_and_below() {
    for path in ["/a", "/a/", "/a/b", "/a/b/c", "/a//"] {
        check(&["/a/*"], "h", path, Some("/a/*"));
    }
    for path in ["/ab", "/", "/A", "/%61", "", "*"] {
        check(&["/a/*"], "h", path, None);
    }
    for path in ["/", "/x", "//", "/x/y/"] {
        check(&["/*"], "h", path, Some("/*"));
    }
}

#[test]
fn an_exact_path_matches_only_itself() {
    check(&["/a"], "h", "/a", Some("/a"));
    check(&["/a"], "h", "/a/", None);
    check(&["/a/"], "h", "/a/", Some("/a/"));
    check(&["/a/"], "h", "/a", None);
    check(&["/"], "h", "/", Some("/"));
    check(&["/"], "h", "/a", None);
}

#[test]
fn a_parameter_is_one_segment_that_is_not_empty() {
    check(&["/u/:id"], "h", "/u/7", Some("/u/:id"));
    check(&["/u/:id"], "h", "/u/", None);
    check(&["/u/:id"], "h", "/u/7/", None);
    check(&["/u/:id/posts"], "h", "/u/7/posts", Some("/u/:id/posts"));
    check(&["/:a/*"], "h", "/x", Some("/:a/*"));
    check(&["/:a/*"], "h", "/", None);
}

#[test]
fn literal_before_parameter_before_star() {
    let all = ["/*", "/:a/b", "/a/*", "/a/:b", "/a/b", "/a/b/*"];
    check(&all, "h", "/a/b", Some("/a/b"));
    check(&all, "h", "/a/b/c", Some("/a/b/*"));
    check(&all, "h", "/a/c", Some("/a/:b"));
    check(&all, "h", "/a/c/d", Some("/a/*"));
    check(&all, "h", "/x/b", Some("/:a/b"));
    check(&all, "h", "/x/c", Some("/*"));
    // The literal wins even where it leads only to a star.
    check(&["/a/*", "/:x/b"], "h", "/a/b", Some("/a/*"));
    // And where it leads nowhere, the parameter is tried.
    check(&["/a/c", "/:x/b"], "h", "/a/b", Some("/:x/b"));
}

#[test]
fn exact_host_before_longer_wildcard_before_shorter_before_none() {
    let all = ["/*", "*.com/*", "*.example.com/*", "www.example.com/*"];
    check(&all, "www.example.com", "/", Some("www.example.com/*"));
    check(&all, "WWW.Example.COM", "/", Some("www.example.com/*"));
    check(&all, "a.b.example.com", "/", Some("*.example.com/*"));
    check(&all, "example.com", "/", Some("*.com/*"));
    check(&all, "com", "/", Some("/*"));
    check(&["*.com/*"], ".com", "/", None);
    check(&["*.com/*"], "xcom", "/", None);
    check(&["*.com/*"], "", "/", None);
}

#[test]
fn a_host_that_has_no_route_for_the_path_asks_the_next() {
    let all = ["www.example.com/a", "*.example.com/b", "/c"];
    check(&all, "www.example.com", "/a", Some("www.example.com/a"));
    check(&all, "www.example.com", "/b", Some("*.example.com/b"));
    check(&all, "www.example.com", "/c", Some("/c"));
    check(&all, "www.example.com", "/d", None);
}

#[test]
fn at_the_default_host_every_route_answers() {
    let table = table(&["b.example.com/*", "a.example.com/x", "/y"]);
    let at = |path: &str| table.find_at_any_host(path).map(|m| m.route.pattern());
    assert_eq!(at("/y").as_deref(), Some("/y"));
    assert_eq!(at("/x").as_deref(), Some("a.example.com/x"));
    assert_eq!(at("/z").as_deref(), Some("b.example.com/*"));
}

#[test]
fn two_routes_for_the_same_requests_make_no_table() {
    let same = RouteTable::new(vec![route("A.com/:x", 0), route("a.com/:y", 1)]);
    assert_eq!(same, Err(SamePattern("a.com/:x".to_owned(), "a.com/:y".to_owned())));
}

#[test]
fn a_pattern_is_refused_with_its_reason() {
    use PatternError::*;
    let cases = [
        ("", Empty),
        ("example.com", NoPath),
        ("exa_mple!.com/", BadHost("exa_mple!.com".to_owned())),
        (".com/", BadHost(".com".to_owned())),
        ("-a.com/", BadHost("-a.com".to_owned())),
        ("*/x", BadWildcard),
        ("*a.com/", BadWildcard),
        ("/a b", BadCharacter(' ')),
        ("/a\u{0}", BadCharacter('\u{0}')),
        ("/%zz", BadEscape),
        ("/a%2", BadEscape),
        ("/:", BadParam(String::new())),
        ("/:1a", BadParam("1a".to_owned())),
        ("/./a", DotSegment(".")),
        ("/**", StarInside),
        ("/*/", StarInside),
        ("/a#b", Query),
        ("[::1]/", Port),
    ];
    for (text, error) in cases {
        assert_eq!(parse_pattern(text), Err(error), "{text}");
    }
    assert_eq!(parse_pattern(&format!("/{}", "a".repeat(1024))), Err(TooLong(1025)));
}

/// The order of the module's documentation, as plainly as it can be said: of all routes that match,
/// the one before which no other comes.
fn naive_find<'a>(routes: &'a [Route], host: &str, path: &str) -> Option<&'a Route> {
    let matching = routes.iter().filter(|r| naive_host(&r.host, host) && naive_path(&r.path, path));
    matching.min_by(|a, b| naive_host_order(&a.host, &b.host).then_with(|| naive_path_order(&a.path, &b.path)))
}

fn naive_host(pattern: &HostPattern, host: &str) -> bool {
    let host = host.to_lowercase();
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(name) => *name == host,
        HostPattern::Wildcard(suffix) => {
            host.strip_suffix(&format!(".{suffix}")).is_some_and(|labels| !labels.is_empty())
        }
    }
}

fn naive_path(pattern: &PathPattern, path: &str) -> bool {
    let segments: Vec<_> = path.split('/').skip(1).collect();
    if !path.starts_with('/') || segments.len() < pattern.segments.len() {
        return false;
    }
    let (own, below) = segments.split_at(pattern.segments.len());
    let same = own.iter().zip(&pattern.segments).all(|(segment, wanted)| match wanted {
        Segment::Literal(text) => segment == text,
        Segment::Param(_) => !segment.is_empty(),
    });
    same && (pattern.prefix || below.is_empty())
}

fn naive_host_order(a: &HostPattern, b: &HostPattern) -> Ordering {
    let key = |h: &HostPattern| match h {
        HostPattern::Exact(_) => (0, 0),
        HostPattern::Wildcard(suffix) => (1, -(suffix.len() as i64)),
        HostPattern::Any => (2, 0),
    };
    key(a).cmp(&key(b))
}

fn naive_path_order(a: &PathPattern, b: &PathPattern) -> Ordering {
    let kind = |p: &PathPattern, at: usize| match p.segments.get(at) {
        Some(Segment::Literal(_)) => 0,
        Some(Segment::Param(_)) => 1,
        None if !p.prefix => 2,
        None => 3,
    };
    let deepest = a.segments.len().max(b.segments.len());
    let differing = (0..=deepest).map(|at| kind(a, at).cmp(&kind(b, at))).find(|o| o.is_ne());
    differing.unwrap_or(Ordering::Equal)
}

/// A small alphabet, so that patterns and requests often meet.
fn pattern() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["", "", "a.x", "b.a.x", "*.x", "*.a.x", "*.b.a.x", "x"]);
    let segment = prop::sample::select(vec!["a", "b", ":p", ":q", "A"]);
    let end = prop::sample::select(vec!["", "/", "/*"]);
    (host, prop::collection::vec(segment, 0..4), end).prop_map(|(host, segments, end)| {
        let mut names = 0;
        let mut text = host.to_owned();
        for segment in segments {
            text.push('/');
            text.push_str(segment);
            if segment.starts_with(':') {
                names += 1;
                text.push_str(&names.to_string());
            }
        }
        text.push_str(end);
        if text == host { text + "/" } else { text }
    })
}

fn when() -> impl Strategy<Value = Option<Box<When>>> {
    let of =
        |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<std::collections::BTreeSet<_>>();
    let test = prop::sample::select(vec![
        None,
        Some(when::Test::Present),
        Some(when::Test::Absent),
        Some(when::Test::OneOf(of(&["a", "ab"]))),
        Some(when::Test::OneOf(of(&["b"]))),
        Some(when::Test::Prefix("a".to_owned())),
    ]);
    let method = prop::sample::select(vec![of(&[]), of(&["GET"]), of(&["GET", "POST"])]);
    (method, test).prop_map(|(method, test)| {
        let header = test.map(|test| ("h".to_owned(), test)).into_iter().collect();
        let when = When { method, header, ..When::default() };
        (when.count() > 0).then(|| Box::new(when))
    })
}

fn request() -> impl Strategy<Value = (String, String)> {
    let label = prop::sample::select(vec!["a", "b", "x", "A", ""]);
    let segment = prop::sample::select(vec!["a", "b", "A", "c", ""]);
    let host = prop::collection::vec(label, 0..5).prop_map(|labels| labels.join("."));
    let path = prop::collection::vec(segment, 0..6).prop_map(|segments| format!("/{}", segments.join("/")));
    (host, path)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_table_finds_what_the_naive_matcher_finds(
        patterns in prop::collection::vec(pattern(), 0..16),
        requests in prop::collection::vec(request(), 1..16),
    ) {
        let mut routes: Vec<Route> = Vec::new();
        for (at, pattern) in patterns.iter().enumerate() {
            let new = route(pattern, at as u16);
            if routes.iter().all(|old| old.compare_specificity(&new).is_ne()) {
                routes.push(new);
            }
        }
        let table = RouteTable::new(routes.clone()).expect("equal ones were left out");
        for (host, path) in requests {
            let found = table.find(&host, &path).map(|m| m.route);
            prop_assert_eq!(found, naive_find(&routes, &host, &path), "{} {}", host, path);
            for route in &routes {
                prop_assert_eq!(route.host.matches(&host), naive_host(&route.host, &host));
            }
        }
    }

    /// The naive one tries all that match: by host and path, then priority, then what they ask.
    #[test]
    fn conditions_and_priorities_decide_among_routes_of_one_pattern(
        asked in prop::collection::vec((pattern(), when(), -1..2_i32), 0..16),
        requests in prop::collection::vec((request(), prop::sample::select(vec!["GET", "POST"]), "[ab]?"), 1..16),
    ) {
        let mut routes: Vec<Route> = Vec::new();
        for (at, (pattern, when, priority)) in asked.into_iter().enumerate() {
            let new = Route { when, priority, ..route(&pattern, at as u16) };
            if routes.iter().all(|old| old.compare_specificity(&new).is_ne()) {
                routes.push(new);
            }
        }
        let table = RouteTable::new(routes.clone()).expect("equal ones were left out");
        for ((host, path), method, field) in requests {
            let header = |_: &str| Some(field.as_str()).filter(|field| !field.is_empty());
            let facts = Facts { method, query: None, client: None, header: &header, country: &|| None };
            let found = table.find_for(&host, &path, &facts).map(|m| m.route);
            let holding: Vec<Route> =
                routes.iter().filter(|r| r.when.as_ref().is_none_or(|when| when.holds(&facts))).cloned().collect();
            match (found, naive_find(&holding, &host, &path)) {
                (None, None) => {}
                (Some(found), Some(naive)) => {
                    prop_assert!(found.compare_pattern(naive).is_eq(), "{} or {}", found.pattern(), naive.pattern());
                    prop_assert!(found.compare_precedence(naive).is_le(), "{:?} before {:?}", naive, found);
                }
                (found, naive) => prop_assert!(false, "{:?} is not {:?}", found, naive),
            }
            for route in &routes {
                prop_assert_eq!(route.path.matches(&path), naive_path(&route.path, &path), "{} {}", route.path, path);
            }
        }
    }

    /// What covers a condition holds wherever that holds, and what excludes it nowhere there.
    #[test]
    fn what_the_checker_believes_of_conditions_is_true(
        a in when(), b in when(), method in prop::sample::select(vec!["GET", "POST", "PUT"]), field in "[ab]{0,2}",
    ) {
        let (Some(a), Some(b)) = (a, b) else { return Ok(()) };
        let header = |_: &str| Some(field.as_str()).filter(|field| !field.is_empty());
        let facts = Facts { method, query: None, client: None, header: &header, country: &|| None };
        prop_assert!(!a.covers(&b) || !b.holds(&facts) || a.holds(&facts));
        prop_assert!(!(a.excludes(&b) && a.holds(&facts) && b.holds(&facts)));
        prop_assert!(a.covers(&a) && a.excludes(&b) == b.excludes(&a));
    }

    #[test]
    fn a_pattern_reads_back_as_it_is_written(text in pattern()) {
        let route = route(&text, 0);
        prop_assert_eq!(route.pattern(), text);
        let json = serde_json::to_string(&route).expect("it serialises");
        prop_assert_eq!(serde_json::from_str::<Route>(&json).expect("it reads back"), route);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}|[a-z/*:.%]{0,20}") {
        if let Err(error) = parse_pattern(&text) {
            error.help(&text);
        }
    }
}
