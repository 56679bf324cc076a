use super::*;

#[test]
fn the_time_is_told_as_it_is() {
    let dates = Dates::default();
    for (unix_ms, expect) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (999, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (784_111_776_999, "Sun, 06 Nov 1994 08:49:36 GMT"),
    ] {
        assert_eq!(dates.with(unix_ms, str::to_owned), expect);
    }
}
