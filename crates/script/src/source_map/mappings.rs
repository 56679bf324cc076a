//! The `mappings` of a source map, version 3 (ECMA-426).

/// One segment: a place in the generated text and where it comes from, all from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    pub line: u32,
    pub column: u32,
    pub source: u32,
    pub source_line: u32,
    pub source_column: u32,
}

#[derive(Debug)]
pub(crate) struct Mappings {
    /// In the order of the generated text.
    pub segments: Vec<Segment>,
    pub sources: Vec<String>,
}

impl Mappings {
    /// Reads a source map. `None` if it is damaged: an artifact may be a stranger's.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let map: serde_json::Value = serde_json::from_str(json).ok()?;
        let sources = map.get("sources").and_then(|s| s.as_array()).map(Vec::as_slice).unwrap_or_default();
        let sources: Vec<String> = sources.iter().map(|s| s.as_str().unwrap_or_default().to_string()).collect();
        let mut segments = Vec::new();
        let (mut source, mut source_line, mut source_column) = (0_i64, 0_i64, 0_i64);
        for (line, group) in map.get("mappings")?.as_str()?.split(';').enumerate() {
            let mut column = 0_i64;
            for segment in group.split(',').filter(|s| !s.is_empty()) {
                let fields = vlq(segment)?;
                column = column.checked_add(*fields.first()?)?;
                if let [_, source_delta, line_delta, column_delta, ..] = fields[..] {
                    source = source.checked_add(source_delta)?;
                    source_line = source_line.checked_add(line_delta)?;
                    source_column = source_column.checked_add(column_delta)?;
                    segments.push(Segment {
                        line: u32::try_from(line).ok()?,
                        column: u32::try_from(column).ok()?,
                        source: u32::try_from(source).ok()?,
                        source_line: u32::try_from(source_line).ok()?,
                        source_column: u32::try_from(source_column).ok()?,
                    });
                }
            }
        }
        segments.sort_by_key(|s| (s.line, s.column));
        Some(Self { segments, sources })
    }

    /// The nearest segment before the place on its line, else the first one on that line.
    pub(crate) fn lookup(&self, line: u32, column: u32) -> Option<Segment> {
        let after = self.segments.partition_point(|s| (s.line, s.column) <= (line, column));
        let before = after.checked_sub(1).map(|i| self.segments[i]).filter(|s| s.line == line);
        before.or_else(|| self.segments.get(after).copied().filter(|s| s.line == line))
    }

    /// The segments of this map with what `behind` says of the places that they lead to.
    pub(crate) fn through(&self, behind: &Mappings) -> Vec<Segment> {
        let moved = self.segments.iter().filter_map(|segment| {
            let found = behind.lookup(segment.source_line, segment.source_column)?;
            Some(Segment { line: segment.line, column: segment.column, ..found })
        });
        moved.collect()
    }
}

/// Writes segments, which are in order.
pub(crate) fn encode(segments: &[Segment]) -> String {
    let mut out = String::with_capacity(segments.len() * 6);
    let (mut line, mut column) = (0, 0_i64);
    let (mut source, mut source_line, mut source_column) = (0_i64, 0_i64, 0_i64);
    for (index, segment) in segments.iter().enumerate() {
        if segment.line > line {
            out.extend(std::iter::repeat_n(';', (segment.line - line) as usize));
            (line, column) = (segment.line, 0);
        } else if index > 0 {
            out.push(',');
        }
        let fields = [
            (&mut column, segment.column),
            (&mut source, segment.source),
            (&mut source_line, segment.source_line),
            (&mut source_column, segment.source_column),
        ];
        for (last, value) in fields {
            write_vlq(i64::from(value) - *last, &mut out);
            *last = i64::from(value);
        }
    }
    out
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of a base64 digit.
pub(super) fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

fn write_vlq(value: i64, out: &mut String) {
    let mut rest = value.unsigned_abs() << 1 | u64::from(value < 0);
    loop {
        let more = if rest > 31 { 32 } else { 0 };
        out.push(char::from(DIGITS[(rest & 31 | more) as usize]));
        rest >>= 5;
        if rest == 0 {
            return;
        }
    }
}

/// Base64 variable-length quantities (ECMA-426, section 5).
fn vlq(text: &str) -> Option<Vec<i64>> {
    let (mut values, mut value, mut shift) = (Vec::new(), 0_i64, 0_u32);
    for byte in text.bytes() {
        let digit = i64::from(digit(byte)?);
        // Seven digits hold every 32-bit number with its sign; more are damage.
        if shift > 30 {
            return None;
        }
        value |= (digit & 31) << shift;
        shift += 5;
        if digit & 32 == 0 {
            values.push(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
            (value, shift) = (0, 0);
        }
    }
    (shift == 0).then_some(values)
}
