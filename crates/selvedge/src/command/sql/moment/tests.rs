use super::parse;
use crate::command::time;

const NOW_MS: u64 = 1_790_000_000_000;

#[test]
fn moments_are_read_as_they_are_shown() {
    for ms in [0, 951_782_400_000, 1_709_251_199_000, NOW_MS, 4_102_444_800_000] {
        let shown = time(ms);
        assert_eq!(parse(&shown, NOW_MS).expect("a moment"), ms / 1000 * 1000, "{shown}");
        assert_eq!(parse(&shown.replace(' ', "T"), NOW_MS).expect("a moment"), ms / 1000 * 1000);
        assert_eq!(parse(&ms.to_string(), NOW_MS).expect("a moment"), ms);
    }
    assert_eq!(parse("90s", NOW_MS).expect("a moment"), NOW_MS - 90_000);
    assert_eq!(parse("2d", NOW_MS).expect("a moment"), NOW_MS - 172_800_000);
    for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-01", "1969-12-31T00:00:00Z", "99999999999d", "-5m"] {
        parse(text, NOW_MS).expect_err(text);
    }
}
