//! Source maps that files bring along: where they are, and what lies behind our own.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::mappings::{Mappings, encode};
use crate::name::name_of;

/// How a file names its source map. The older form with `@` is no longer written.
const MARK: &str = "//# sourceMappingURL=";
/// Lines from the end among which it is looked for.
const LINES: usize = 4;

pub(crate) enum Reference {
    /// The JSON.
    Inline(String),
    /// A path from the file's directory.
    File(String),
}

/// The source map that a file names, if it is one that can be read.
pub(crate) fn reference(text: &str) -> Option<Reference> {
    let line = text.trim_end().lines().rev().take(LINES).find_map(|line| line.trim_start().strip_prefix(MARK))?;
    let url = line.trim();
    let Some(data) = url.strip_prefix("data:") else {
        let is_relative = !url.contains("://") && !url.starts_with('/');
        return is_relative.then(|| Reference::File(unescape(url)));
    };
    let (kind, data) = data.split_once(',')?;
    let json = if kind.ends_with(";base64") { String::from_utf8(base64(data)?).ok()? } else { unescape(data) };
    kind.starts_with("application/json").then_some(Reference::Inline(json))
}

/// A source map whose sources are named from the app.
pub(crate) struct InputMap {
    mappings: Mappings,
    contents: Vec<Option<String>>,
}

impl InputMap {
    /// Reads a map that lies in `directory`. `None` if it is damaged, or made of sections.
    pub(crate) fn parse(json: &str, directory: &Path, app: &Path) -> Option<Self> {
        let mut mappings = Mappings::parse(json)?;
        let map: Value = serde_json::from_str(json).ok()?;
        let root = map.get("sourceRoot").and_then(Value::as_str).unwrap_or_default();
        mappings.sources = mappings.sources.iter().map(|source| name_source(root, source, directory, app)).collect();
        let given = map.get("sourcesContent").and_then(Value::as_array);
        let content = |i: usize| given.and_then(|all| all.get(i)?.as_str().map(String::from));
        let contents = (0..mappings.sources.len()).map(content).collect();
        Some(Self { mappings, contents })
    }

    /// This map, seen through the one of what was made of its file.
    pub(crate) fn behind(&self, ours: Option<&str>) -> String {
        let segments = match ours.and_then(Mappings::parse) {
            Some(ours) => ours.through(&self.mappings),
            None => self.mappings.segments.clone(),
        };
        let map = serde_json::json!({
            "version": 3,
            "sources": self.mappings.sources,
            "sourcesContent": self.contents,
            "names": [],
            "mappings": encode(&segments),
        });
        map.to_string()
    }
}

/// The name of a source, as if it were a module of the app.
fn name_source(root: &str, source: &str, directory: &Path, app: &Path) -> String {
    let joined = if root.is_empty() { source.to_string() } else { format!("{}/{source}", root.trim_end_matches('/')) };
    if let Some((_, rest)) = joined.split_once("://") {
        // Bundlers name files by a host that is the project: webpack://name/./src/index.ts
        let path = rest.split_once('/').map_or(rest, |(_, path)| path);
        return path.trim_start_matches("./").trim_start_matches('/').to_string();
    }
    let mut path = PathBuf::from(directory);
    for part in Path::new(&joined).components() {
        match part {
            std::path::Component::ParentDir => drop(path.pop()),
            std::path::Component::CurDir => {}
            part => path.push(part),
        }
    }
    name_of(app, &path).unwrap_or(joined)
}

/// Percent-encoding undone.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        held = held << 6 | u32::from(super::mappings::digit(byte)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    Some(out)
}
