use proptest::prelude::*;

use super::*;

fn advance(body: &[u8]) -> Result<(usize, bool), &'static str> {
    let mut chunked = Chunked::default();
    let n = chunked.advance(body).map_err(|m| m.0)?;
    Ok((n, chunked.is_end()))
}

#[test]
fn a_body_ends_where_it_says() {
    let body = b"5\r\nhello\r\n1A;name=value\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: x\r\n\r\n";
    assert_eq!(advance(body), Ok((body.len(), true)));
    let next = [&body[..], b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(advance(&next), Ok((body.len(), true)), "what follows is not part of it");
    assert_eq!(advance(b"0\r\n\r"), Ok((4, false)));
}

#[test]
fn a_body_that_lies_is_malformed() {
    for (body, reason) in [
        (&b"3\r\nhello\r\n"[..], "a chunk is longer than its size"),
        (b"5\nhello\r\n", "a chunk size is not a hexadecimal number"),
        (b"\r\n", "a chunk size is not a hexadecimal number"),
        (b"-1\r\n", "a chunk size is not a hexadecimal number"),
        (b"0x5\r\n", "a chunk size is not a hexadecimal number"),
        (b"5 \r\n", "a chunk size is not a hexadecimal number"),
        (b"1000000000000000\r\n", "a chunk size has more than 15 digits"),
        (b"5;a\nhello", "a line ends in LF without CR"),
        (b"5\rX", "a CR stands without LF"),
        (b"0\r\n\n", "a line ends in LF without CR"),
        (b"0\r\nA: b\n", "a line ends in LF without CR"),
        (b"0\r\n folded", "a trailer continues on a second line"),
    ] {
        assert_eq!(advance(body), Err(reason), "{:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let long = format!("5;{}", "x".repeat(5000));
    assert_eq!(advance(long.as_bytes()), Err("a line is longer than 4096 bytes"));
    let many = format!("1;{}\r\na\r\n", "x".repeat(4000)).repeat(5);
    assert_eq!(advance(many.as_bytes()), Err("its extensions and trailers have more than 16384 bytes"));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(chunks in proptest::collection::vec(1usize..40, 0..5), cut in 0usize..200) {
        let mut body = Vec::new();
        for n in chunks {
            body.extend_from_slice(format!("{n:x}\r\n{}\r\n", "d".repeat(n)).as_bytes());
        }
        body.extend_from_slice(b"0\r\n\r\n");
        let cut = cut.min(body.len());
        let mut chunked = Chunked::default();
        prop_assert_eq!(chunked.advance(&body[..cut]).unwrap(), cut);
        prop_assert_eq!(chunked.advance(&body[cut..]).unwrap(), body.len() - cut);
        prop_assert!(chunked.is_end());
    }
}
