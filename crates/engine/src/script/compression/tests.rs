use proptest::prelude::*;

use super::*;

const FORMATS: [&str; 4] = ["gzip", "deflate", "deflate-raw", "brotli"];

/// Runs a codec over `pieces` to its end. No step may produce more than its bound.
fn run(format: &str, compress: bool, pieces: &[&[u8]]) -> Result<Vec<u8>, CodecError> {
    let mut codec = Codec::open(format, compress, None).expect("a known format");
    let (mut whole, mut out) = (Vec::new(), Vec::new());
    for (index, piece) in pieces.iter().chain([&&b""[..]]).enumerate() {
        let finish = index == pieces.len();
        codec.feed(piece);
        loop {
            out.clear();
            let next = codec.step(finish, &mut out)?;
            assert!(out.len() <= 2 * OUTPUT_MAX, "{} bytes in one step of {format}", out.len());
            whole.extend_from_slice(&out);
            if next != Next::More {
                assert_eq!(finish, next == Next::Ended);
                break;
            }
        }
    }
    Ok(whole)
}

/// Text that compresses, and noise that does not.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..length)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if (i / 4096) % 2 == 0 { b"selvedge "[i % 9] } else { (state >> 24) as u8 }
        })
        .collect()
}

#[test]
fn what_was_compressed_comes_back() {
    for format in FORMATS {
        for length in [0, 1, 100, 70_000, 1 << 20] {
            let data = sample(length);
            let small = run(format, true, &[&data]).unwrap();
            assert!(length < 70_000 || small.len() < data.len(), "{format}");
            assert_eq!(run(format, false, &[&small]).unwrap(), data, "{format}, {length} bytes");
        }
    }
}

#[test]
fn any_cut_of_the_input_gives_the_same() {
    let data = sample(20_000);
    for format in FORMATS {
        let small = run(format, true, &data.chunks(777).collect::<Vec<_>>()).unwrap();
        assert_eq!(run(format, false, &small.chunks(1).collect::<Vec<_>>()).unwrap(), data, "{format}");
    }
}

#[test]
fn a_bomb_unfolds_one_bounded_step_at_a_time() {
    for format in FORMATS {
        let small = run(format, true, &[&vec![0; 32 << 20]]).unwrap();
        assert!(small.len() < 64 << 10);
        assert_eq!(run(format, false, &[&small]).unwrap().len(), 32 << 20, "{format}");
    }
}

#[test]
fn damaged_input_is_an_error() {
    let data = sample(10_000);
    for format in FORMATS {
        let small = run(format, true, &[&data]).unwrap();
        assert_eq!(run(format, false, &[&small[..small.len() - 1]]), Err(CodecError::Truncated), "{format}");
        assert_eq!(run(format, false, &[]), Err(CodecError::Truncated), "{format}");
        assert_eq!(run(format, false, &[&small, b"x"]), Err(CodecError::Trailing), "{format}");
        assert_eq!(run(format, false, &[&[&small[..], b"x"].concat()]), Err(CodecError::Trailing), "{format}");
    }
    for format in ["gzip", "deflate"] {
        let mut small = run(format, true, &[&data]).unwrap();
        let last = small.len() - 6;
        small[last] ^= 1;
        assert_eq!(run(format, false, &[&small]), Err(CodecError::Invalid), "{format}");
        assert_eq!(run(format, false, &[b"not compressed"]), Err(CodecError::Invalid), "{format}");
    }
}

#[test]
fn a_window_is_weighed_before_it_is_allocated() {
    // The header of a stream with a window of 16 MiB.
    let mut codec = Codec::open("brotli", false, None).unwrap();
    let small = codec.weight();
    codec.feed(&[0x0f, 0x00]);
    assert_eq!(codec.step(false, &mut Vec::new()), Ok(Next::More));
    assert!(small < 1 << 20 && codec.weight() > 16 << 20);
    // A large window is no brotli stream of RFC 7932.
    assert!(run("brotli", false, &[&[0x11, 0x1e, 0x00, 0x00]]).is_err());
}

#[test]
fn formats_that_do_not_exist_are_none() {
    assert!(Codec::open("zip", true, None).is_none());
    assert!(Codec::open("", false, None).is_none());
}

proptest! {
    #[test]
    fn nonsense_never_panics(data in prop::collection::vec(any::<u8>(), 0..2_000), format in 0usize..4) {
        let _ = run(FORMATS[format], false, &[&data]);
    }

    #[test]
    fn round_trip(data in prop::collection::vec(any::<u8>(), 0..4_000), cut in 1usize..500, format in 0usize..4) {
        let pieces: Vec<&[u8]> = data.chunks(cut).collect();
        let small = run(FORMATS[format], true, &pieces).unwrap();
        let back = run(FORMATS[format], false, &small.chunks(cut).collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(back, data);
    }
}
