//! The encodings of `TextDecoder` other than UTF-8, which the shim decodes itself (WHATWG Encoding
//! Standard). The `encoding_rs` crate does the work.
//!
//! Nothing is kept here between two pieces of a stream: what a decoder would remember goes back to
//! the guest, as the number of bytes at the end of the piece that the next one must begin with, and,
//! for ISO-2022-JP, a word that says which of its character sets is selected. So a stream that is
//! never finished costs the host nothing, and one begun before an image was taken goes on after.

use encoding_rs::{Decoder as TextDecoder, DecoderResult, Encoding, ISO_2022_JP, UTF_16BE, UTF_16LE};

use super::codec::{Decoder, Encoder, Malformed};

/// The name of the encoding that a label means, in lower case; `None` if a `TextDecoder` has none
/// for it.
pub fn label(label: &str) -> Option<String> {
    Some(Encoding::for_label_no_replacement(label.as_bytes())?.name().to_ascii_lowercase())
}

/// TEXT_DECODE(name, word, bytes, fatal, last) → null if `fatal` and the bytes are malformed, else
/// [text, bytes to come again, word].
pub fn decode(args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Malformed> {
    let (name, word, bytes) = (args.next()?, args.next()?.as_u32()?, args.next()?);
    let (fatal, last) = (args.next()?.as_bool()?, args.next()?.as_bool()?);
    let encoding = Encoding::for_label(name.as_str()?.as_bytes()).ok_or(Malformed)?;
    let bytes = bytes.as_content()?;
    match Piece::decode(encoding, word, bytes, fatal, last) {
        Some(piece) => out.array(3).string(&piece.text).integer(piece.rest as u64).integer(u64::from(piece.word)),
        None => out.null(),
    };
    Ok(())
}

/// What came of a piece.
#[derive(Debug, PartialEq)]
struct Piece {
    text: String,
    rest: usize,
    word: u32,
}

impl Piece {
    fn decode(encoding: &'static Encoding, word: u32, bytes: &[u8], fatal: bool, last: bool) -> Option<Self> {
        if encoding == UTF_16LE || encoding == UTF_16BE {
            let rest = if last { 0 } else { utf16_rest(bytes, encoding == UTF_16BE) };
            let mut decoder = encoding.new_decoder_without_bom_handling();
            let text = run(&mut decoder, &bytes[..bytes.len() - rest], fatal, true)?;
            return Some(Self { text, rest, word });
        }
        let mut decoder = encoding.new_decoder_without_bom_handling();
        if encoding == ISO_2022_JP {
            run(&mut decoder, &Selected::from_word(word).prefix(), false, false)?;
        }
        let text = run(&mut decoder, bytes, fatal, last)?;
        if last {
            return Some(Self { text, rest: 0, word: 0 });
        }
        let rest = pending(&mut decoder).min(bytes.len());
        let word = if encoding == ISO_2022_JP {
            Selected::from_word(word).after(&bytes[..bytes.len() - rest]).word()
        } else {
            0
        };
        Some(Self { text, rest, word })
    }
}

/// Decodes all of `bytes`; `None` if `fatal` and they are malformed.
fn run(decoder: &mut TextDecoder, mut bytes: &[u8], fatal: bool, last: bool) -> Option<String> {
    let mut text = String::new();
    loop {
        // The longest answer for what is left, so that the second round is rare.
        let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len());
        text.reserve(room.max(16));
        let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut text, last);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return Some(text),
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) if fatal => return None,
            DecoderResult::Malformed(..) => text.push('\u{FFFD}'),
        }
    }
}

/// How many bytes the decoder has taken that are not yet a character: what would be malformed if
/// the stream ended here.
fn pending(decoder: &mut TextDecoder) -> usize {
    let mut scratch = [0; 16];
    match decoder.decode_to_utf8_without_replacement(b"", &mut scratch, true) {
        (DecoderResult::Malformed(bad, after), ..) => usize::from(bad) + usize::from(after),
        _ => 0,
    }
}

/// An odd byte, and the first half of a pair before it.
fn utf16_rest(bytes: &[u8], big_endian: bool) -> usize {
    let odd = bytes.len() % 2;
    let whole = &bytes[..bytes.len() - odd];
    let high = match whole {
        [.., high, _] if big_endian => *high,
        [.., _, high] => *high,
        _ => return odd,
    };
    if (0xD8..0xDC).contains(&high) { odd + 2 } else { odd }
}

/// Which character set ISO-2022-JP has selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Selected {
    escape: usize,
    /// Nothing has followed the escape yet: another one right after it is an error.
    fresh: bool,
}

/// The escapes (ASCII, Roman, Katakana, two for JIS X 0208), and a character in that set.
const ESCAPES: [(&[u8; 3], &[u8]); 5] =
    [(b"\x1B(B", b"a"), (b"\x1B(J", b"a"), (b"\x1B(I", b"!"), (b"\x1B$@", b"$\""), (b"\x1B$B", b"$\"")];

impl Selected {
    fn from_word(word: u32) -> Self {
        Self { escape: (word >> 1) as usize % ESCAPES.len(), fresh: word & 1 == 1 }
    }

    fn word(self) -> u32 {
        (self.escape as u32) << 1 | u32::from(self.fresh)
    }

    /// Bytes that bring a new decoder here.
    fn prefix(self) -> Vec<u8> {
        let (escape, character) = ESCAPES[self.escape];
        match self {
            Self { fresh: true, .. } => escape.to_vec(),
            Self { escape: 0, .. } => Vec::new(),
            _ => [escape.as_slice(), character].concat(),
        }
    }

    fn after(self, bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return self;
        }
        let found = bytes.windows(3).enumerate().rev().find_map(|(at, window)| {
            let escape = ESCAPES.iter().position(|(escape, _)| escape.as_slice() == window)?;
            Some(Self { escape, fresh: at + 3 == bytes.len() })
        });
        found.unwrap_or(Self { fresh: false, ..self })
    }
}

#[cfg(test)]
mod tests;
