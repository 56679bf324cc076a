//! The `mappings` of a source map, version 3 (ECMA-426): reading only.

/// One segment: a place in the generated text and where it comes from, all from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    line: u32,
    column: u32,
    source_line: u32,
    source_column: u32,
}

/// Segments in the order of the generated text.
#[derive(Debug)]
pub(crate) struct Mappings(Vec<Segment>);

impl Mappings {
    /// Reads a source map of one source. `None` if it is damaged: an artifact may be a stranger's.
    pub(crate) fn parse(json: &str) -> Option<Self> {
        let map: serde_json::Value = serde_json::from_str(json).ok()?;
        let mut segments = Vec::new();
        let (mut source_line, mut source_column) = (0_i64, 0_i64);
        for (line, group) in map.get("mappings")?.as_str()?.split(';').enumerate() {
            let mut column = 0_i64;
            for segment in group.split(',').filter(|s| !s.is_empty()) {
                let fields = vlq(segment)?;
                column = column.checked_add(*fields.first()?)?;
                if let [_, _, line_delta, column_delta, ..] = fields[..] {
                    source_line = source_line.checked_add(line_delta)?;
                    source_column = source_column.checked_add(column_delta)?;
                    segments.push(Segment {
                        line: u32::try_from(line).ok()?,
                        column: u32::try_from(column).ok()?,
                        source_line: u32::try_from(source_line).ok()?,
                        source_column: u32::try_from(source_column).ok()?,
                    });
                }
            }
        }
        segments.sort_by_key(|s| (s.line, s.column));
        Some(Self(segments))
    }

    /// The nearest segment before the place on its line, else the first one on that line.
    pub(crate) fn lookup(&self, line: u32, column: u32) -> Option<(u32, u32)> {
        let after = self.0.partition_point(|s| (s.line, s.column) <= (line, column));
        let before = after.checked_sub(1).map(|i| self.0[i]).filter(|s| s.line == line);
        let segment = before.or_else(|| self.0.get(after).copied().filter(|s| s.line == line))?;
        Some((segment.source_line, segment.source_column))
    }
}

/// Base64 variable-length quantities (ECMA-426, section 5).
fn vlq(text: &str) -> Option<Vec<i64>> {
    let (mut values, mut value, mut shift) = (Vec::new(), 0_i64, 0_u32);
    for byte in text.bytes() {
        let digit = i64::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        });
        // Six digits hold every 32-bit number; more are damage.
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
