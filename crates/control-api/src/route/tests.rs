use super::*;

#[test]
fn every_row_is_found_at_its_own_path() {
    let mut seen = std::collections::HashSet::new();
    for row in ROUTES {
        assert!(seen.insert(row.operation) && seen.len() <= ROUTES.len(), "{} stands twice", row.id);
        let path = row.operation.path(&["a/b", "c d", "e?%ä"]);
        let found = find(&row.method, &path).expect(row.id);
        assert_eq!(found.row.operation, row.operation, "{path}");
        let values = ["a/b", "c d", "e?%ä"];
        assert_eq!(found.parameters, values[..found.parameters.len()], "{path}");
        assert_eq!(row.path.matches('{').count(), found.parameters.len());
    }
}

#[test]
fn a_request_for_nothing_says_which_part_is_wrong() {
    let check = |method: Method, path: &str, expect: Miss| {
        assert_eq!(find(&method, path).map(|m| m.row.id), Err(expect), "{method} {path}");
    };
    check(Method::GET, "/", Miss::Path);
    check(Method::GET, "/v1", Miss::Path);
    check(Method::GET, "/v1/status/", Miss::Path);
    check(Method::GET, "/v1/apps//releases", Miss::Path);
    check(Method::POST, "/v1/status", Miss::Method(vec![Method::GET, Method::HEAD]));
    check(
        Method::PATCH,
        "/v1/apps/a/kv/n/k",
        Miss::Method(vec![Method::GET, Method::PUT, Method::DELETE, Method::HEAD]),
    );
    check(Method::GET, "/v1/apps/a/kv/n/%FF", Miss::Encoding);
    assert_eq!(find(&Method::HEAD, "/healthz").expect("GET is there").row.operation, Operation::Health);
}

#[test]
fn a_fixed_segment_comes_before_a_parameter() {
    // `PUT /v1/blobs/missing` is a blob with a bad digest, and no other route may take it.
    assert_eq!(find(&Method::POST, "/v1/blobs/missing").expect("a route").row.operation, Operation::MissingBlobs);
    assert_eq!(find(&Method::PUT, "/v1/blobs/missing").expect("a route").row.operation, Operation::PutBlob);
}
