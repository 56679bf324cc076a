use super::*;

#[test]
fn defaults_lie_within_their_bounds_and_codes_exist() {
    for row in WORKER.iter().chain(APP).chain(NODE).chain(POSTGRES).chain(UPSTREAM) {
        assert!(row.min <= row.default && row.default <= row.max, "{}", row.name);
        assert!(
            row.code.is_empty() || crate::code::ALL.iter().any(|c| c.name == row.code),
            "{}: {}",
            row.name,
            row.code
        );
        assert!(row.about.ends_with('.'), "{}", row.name);
    }
}

#[test]
fn a_limit_is_read_and_set_by_name() {
    let mut limits = WorkerLimits::default();
    assert!(limits.set("cpu_ms", 5));
    assert_eq!(limits.get("cpu_ms"), Some(5));
    assert!(!limits.set("cpu", 5));
}
