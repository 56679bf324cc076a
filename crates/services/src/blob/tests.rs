use super::*;

fn info(etag: &str, uploaded_ms: u64) -> BlobInfo {
    BlobInfo {
        key: "k".into(),
        version: Version { number: 1, null: true },
        latest: true,
        marker: false,
        size: 10,
        etag: etag.into(),
        uploaded_ms,
        http: HttpMetadata::default(),
        custom: Map::new(),
        tags: Map::new(),
        checksum: None,
        parts: None,
    }
}

#[test]
fn ranges_are_read_and_resolved() {
    let check = |field: &str, size: u64, expect: Option<(u64, u64)>| {
        let found = RangeSpec::parse(field).and_then(|spec| spec.resolve(size).ok());
        assert_eq!(found.map(|range| (range.offset, range.length)), expect, "{field} of {size}");
    };
    check("bytes=0-4", 10, Some((0, 5)));
    check("bytes=5-", 10, Some((5, 5)));
    check("bytes=-3", 10, Some((7, 3)));
    check("bytes=-30", 10, Some((0, 10)));
    check("bytes=0-99", 10, Some((0, 10)));
    check("bytes=9-9", 10, Some((9, 1)));
    for bad in ["bytes=10-", "bytes=-0", "bytes=4-2", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=-"] {
        check(bad, 10, None);
    }
    check("bytes=0-", 0, None);
}

#[test]
fn conditions_are_judged_in_the_order_of_http() {
    let blob = info("abc", 1_500);
    let check = |conditions: Conditions, expect: Verdict| assert_eq!(conditions.judge(&blob), expect, "{conditions:?}");
    let tags = |text: &str| Some(Etags::parse(text));
    check(Conditions::default(), Verdict::Holds);
    check(Conditions { if_match: tags("\"x\", \"abc\""), ..Conditions::default() }, Verdict::Holds);
    check(Conditions { if_match: tags("\"x\""), ..Conditions::default() }, Verdict::Refused);
    check(Conditions { if_none_match: tags("W/\"abc\""), ..Conditions::default() }, Verdict::NotModified);
    check(Conditions { if_none_match: tags("*"), ..Conditions::default() }, Verdict::NotModified);
    let since = |ms| Conditions { if_modified_since_ms: Some(ms), ..Conditions::default() };
    check(since(1_000), Verdict::Holds);
    check(Conditions { whole_seconds: true, ..since(1_000) }, Verdict::NotModified);
    check(Conditions { if_none_match: tags("\"x\""), ..since(9_000) }, Verdict::Holds);
    let until = |ms| Conditions { if_unmodified_since_ms: Some(ms), ..Conditions::default() };
    check(until(1_000), Verdict::Refused);
    check(Conditions { if_match: tags("abc"), ..until(1_000) }, Verdict::Holds);
}

#[test]
fn checksums_are_those_that_others_compute() {
    let check = |algorithm: Algorithm, expect: &str| {
        let value: String = algorithm.of(b"123456789").value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(value, expect, "{algorithm:?}");
    };
    // The check values of the catalogue of CRCs, and of FIPS 180.
    check(Algorithm::Crc32, "cbf43926");
    check(Algorithm::Crc32c, "e3069283");
    check(Algorithm::Crc64Nvme, "ae8b14860a799888");
    check(Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441");
    check(Algorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
}

#[test]
fn the_checksum_of_a_whole_follows_from_those_of_its_parts() {
    let whole: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
        let parts = whole.chunks(33_333).map(|part| (algorithm.of(part), part.len() as u64));
        assert_eq!(algorithm.combine(parts), Some(algorithm.of(&whole)), "{algorithm:?}");
    }
    assert_eq!(Algorithm::Sha256.combine([(Algorithm::Sha256.of(&whole), 1)]), None);
}

#[test]
fn keys_count_to_their_common_prefix() {
    let check = |key, prefix, delimiter, expect| assert_eq!(group_of(key, prefix, delimiter), expect, "{key}");
    check("a/b/c", "", Some("/"), Some("a/"));
    check("a/b/c", "a/", Some("/"), Some("a/b/"));
    check("a/b", "a/", Some("/"), None);
    check("a//b", "a/", Some("/"), Some("a//"));
    check("a-%-b", "", Some("%-"), Some("a-%-"));
    check("a/b", "", None, None);
    check("a/b", "", Some(""), None);
}

#[test]
fn lifecycles_end_at_midnight() {
    const DAY_MS: u64 = 86_400_000;
    let rule = LifecycleRule { enabled: true, expiry: Some(Expiry::Days(1)), ..LifecycleRule::default() };
    let settings = Settings { lifecycle: vec![rule], ..Settings::default() };
    let blob = info("abc", DAY_MS / 2);
    assert!(!settings.expires(&blob, DAY_MS * 2 - 1));
    assert!(settings.expires(&blob, DAY_MS * 2));
    let off = Settings {
        lifecycle: settings.lifecycle.iter().cloned().map(|rule| LifecycleRule { enabled: false, ..rule }).collect(),
        ..Settings::default()
    };
    assert!(!off.expires(&blob, DAY_MS * 9));
}

#[test]
fn cors_rules_have_one_star() {
    let rule = CorsRule {
        origins: vec!["https://*.example.com".into()],
        methods: vec!["PUT".into()],
        headers: vec!["x-amz-*".into(), "content-type".into()],
        ..CorsRule::default()
    };
    assert!(rule.allows("https://a.example.com", "PUT", ["X-Amz-Date", "Content-Type"].into_iter()));
    assert!(!rule.allows("https://example.com", "PUT", [].into_iter()));
    assert!(!rule.allows("https://a.example.com", "GET", [].into_iter()));
    assert!(!rule.allows("https://a.example.com", "PUT", ["authorization"].into_iter()));
}
