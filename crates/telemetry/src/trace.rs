//! W3C Trace Context (Recommendation, 23 November 2021): taken in and passed on.

use base::Rng;

/// The identity of a trace and of the span that is current in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    /// The span of this request.
    pub span_id: [u8; 8],
    /// The caller's span, all zero if there is none.
    pub parent_id: [u8; 8],
    pub sampled: bool,
}

impl TraceContext {
    /// Continues the caller's trace, or begins one if `traceparent` is absent or malformed
    /// (section 3.2.2.5: a malformed header is ignored).
    pub fn accept(traceparent: Option<&[u8]>, rng: &dyn Rng) -> Self {
        let mut fresh = [0u8; 24];
        rng.fill(&mut fresh);
        let mut span_id = [0; 8];
        span_id.copy_from_slice(&fresh[16..]);
        if let Some((trace_id, parent_id, sampled)) = traceparent.and_then(parse) {
            return Self { trace_id, span_id, parent_id, sampled };
        }
        let mut trace_id = [0; 16];
        trace_id.copy_from_slice(&fresh[..16]);
        Self { trace_id, span_id, parent_id: [0; 8], sampled: false }
    }

    /// The header for a sub-request: this request's span is its parent.
    pub fn traceparent(&self) -> String {
        String::from_utf8_lossy(&self.traceparent_bytes()).into_owned()
    }

    /// The same, for who writes it somewhere.
    pub fn traceparent_bytes(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_hex(&self.trace_id, &mut text[3..35]);
        write_hex(&self.span_id, &mut text[36..52]);
        text[54] = if self.sampled { b'1' } else { b'0' };
        text
    }

    pub fn trace_id_hex(&self) -> String {
        let mut text = [0; 32];
        write_hex(&self.trace_id, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Lower-case hexadecimal digits, two for each byte, into as much room.
pub fn write_hex(bytes: &[u8], out: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair.copy_from_slice(&PAIRS[usize::from(*byte)]);
    }
}

/// The digits of every byte.
static PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

type Parsed = ([u8; 16], [u8; 8], bool);

fn parse(header: &[u8]) -> Option<Parsed> {
    // version "-" trace-id "-" parent-id "-" flags; a later version may append fields.
    if header.len() < 55 || (header.len() > 55 && (header[..2] == *b"00" || header[55] != b'-')) {
        return None;
    }
    if header[..2] == *b"ff" || [2, 35, 52].iter().any(|&i| header[i] != b'-') {
        return None;
    }
    let mut version = [0; 1];
    let mut trace_id = [0; 16];
    let mut parent_id = [0; 8];
    let mut flags = [0; 1];
    unhex(&header[..2], &mut version)?;
    unhex(&header[3..35], &mut trace_id)?;
    unhex(&header[36..52], &mut parent_id)?;
    unhex(&header[53..55], &mut flags)?;
    if trace_id == [0; 16] || parent_id == [0; 8] {
        return None;
    }
    Some((trace_id, parent_id, flags[0] & 1 == 1))
}

/// Lower-case digits only, as the recommendation has it.
fn unhex(text: &[u8], out: &mut [u8]) -> Option<()> {
    for (pair, byte) in text.chunks_exact(2).zip(out) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(())
}

fn nibble(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
