use super::*;

#[test]
fn a_level_that_does_not_exist_is_the_nearest() {
    for format in ["gzip", "deflate", "deflate-raw"] {
        let made = |level: f64| deflate(&[7; 1000], format, level).expect("it compresses");
        assert_eq!(made(200.0), made(9.0), "{format}");
        assert_eq!(made(f64::INFINITY), made(9.0), "{format}");
        assert!(!made(f64::NAN).is_empty(), "{format}");
    }
    assert_eq!(brotli_encode(&[7; 1000], 1e300, u32::MAX), brotli_encode(&[7; 1000], 11.0, 24));
}
