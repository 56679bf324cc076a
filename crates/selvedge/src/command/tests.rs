use super::time;

#[test]
fn times_are_read_as_utc() {
    assert_eq!(time(0), "1970-01-01 00:00:00Z");
    assert_eq!(time(951_782_400_000), "2000-02-29 00:00:00Z");
    assert_eq!(time(1_795_413_599_999), "2026-11-23 05:59:59Z");
}
