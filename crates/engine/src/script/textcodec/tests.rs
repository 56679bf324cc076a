use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, ISO_2022_JP, SHIFT_JIS, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{Piece, label};

/// Decodes `bytes` cut into pieces, as a stream in the guest does.
fn in_pieces(encoding: &'static Encoding, bytes: &[u8], cuts: &[usize]) -> String {
    let (mut text, mut rest, mut word) = (String::new(), Vec::new(), 0);
    let mut from = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        rest.extend_from_slice(&bytes[from..end]);
        from = end;
        let last = end == bytes.len();
        let piece = Piece::decode(encoding, word, &rest, false, last).unwrap();
        text.push_str(&piece.text);
        word = piece.word;
        rest.drain(..rest.len() - piece.rest);
    }
    text
}

#[test]
fn labels_mean_what_the_standard_says() {
    assert_eq!(label(" Latin1\n").as_deref(), Some("windows-1252"));
    assert_eq!(label("utf-16").as_deref(), Some("utf-16le"));
    assert_eq!(label("replacement"), None);
    assert_eq!(label("\u{A0}utf-8"), None);
}

#[test]
fn a_stream_cut_anywhere_decodes_as_the_whole() {
    let cases: [(&'static Encoding, &[u8]); 10] = [
        (WINDOWS_1252, b"caf\xE9 \x80"),
        (UTF_16LE, b"a\0\x3D\xD8\0\xDE\x3D\xD8b\0\x3D\xD8z"),
        (UTF_16BE, b"\0a\xD8\x3D\xDE\0\xD8\x3D\0b\xD8\x3D"),
        (GB18030, b"\x81\x30\x81\x30a\xC4\xE3\x81\x30\x81a\xFE"),
        (BIG5, b"\xA7\x41a\xA7\x88\x62z\xA7"),
        (EUC_JP, b"\xA4\xA2\x8F\xB0\xA1a\x8E\xB1\x8F\xB0"),
        (EUC_KR, b"\xB0\xA1a\xB0"),
        (SHIFT_JIS, b"\x82\xA0\xB1a\x82"),
        (ISO_2022_JP, b"a\x1B$B$\"$$\x1B(Jb\\\x1B(I!\x1B(B\x1B$@$\"\x1B(Bz\x1B(\x1B"),
        (ISO_2022_JP, b"\x1B$B\x1B(Ba\x1B$B$\x1B(B$\n\x1B$"),
    ];
    for (encoding, bytes) in cases {
        let (whole, _) = encoding.decode_without_bom_handling(bytes);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let got = in_pieces(encoding, bytes, &[first, second]);
                assert_eq!(got, whole, "{} cut at {first} and {second}", encoding.name());
            }
        }
    }
}

#[test]
fn a_fatal_decoder_refuses_what_is_malformed() {
    assert_eq!(Piece::decode(SHIFT_JIS, 0, b"\x82", true, true), None);
    let piece = Piece::decode(SHIFT_JIS, 0, b"a\x82", true, false).unwrap();
    assert_eq!(piece, Piece { text: "a".into(), rest: 1, word: 0 });
}
