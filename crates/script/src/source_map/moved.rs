//! The source map of a text whose parts were moved.

use serde_json::Value;

use super::mappings::{Mappings, Segment, encode};
use crate::decorators::Moves;

/// The map (JSON) of `before`, for `after`, to which `moves` leads.
pub(crate) fn moved(map: &str, before: &str, after: &str, moves: &Moves) -> Option<String> {
    let mappings = Mappings::parse(map)?;
    let (old, new) = (Lines::of(before), Lines::of(after));
    let mut segments: Vec<Segment> = mappings
        .segments
        .iter()
        .filter_map(|segment| {
            let offset = moves.to(old.offset(before, segment.line, segment.column)?)?;
            let (line, column) = new.place(after, offset);
            Some(Segment { line, column, ..*segment })
        })
        .collect();
    segments.sort_by_key(|segment| (segment.line, segment.column));
    let mut map: Value = serde_json::from_str(map).ok()?;
    map["mappings"] = encode(&segments).into();
    Some(map.to_string())
}

/// The byte at a line and a column in UTF-16, both from 1.
pub(crate) fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    Lines::of(text).offset(text, line.checked_sub(1)?, column.checked_sub(1)?)
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(after).collect())
    }

    /// The byte at a line and a column in UTF-16, both from 0.
    fn offset(&self, text: &str, line: u32, column: u32) -> Option<usize> {
        let start = *self.0.get(line as usize)?;
        let mut units = 0;
        for (at, c) in text[start..].char_indices() {
            if units >= column as usize || c == '\n' {
                return Some(start + at);
            }
            units += c.len_utf16();
        }
        Some(text.len())
    }

    fn place(&self, text: &str, offset: usize) -> (u32, u32) {
        let line = self.0.partition_point(|start| *start <= offset) - 1;
        let column: usize = text[self.0[line]..offset].chars().map(char::len_utf16).sum();
        (line as u32, column as u32)
    }
}
