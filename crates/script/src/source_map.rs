//! From a place in a module of the artifact back to the place that its author wrote.

use std::collections::HashMap;
use std::sync::OnceLock;

use base::artifact::{Module, ModuleKind, Script};

use crate::cjs::{BODY_END, BODY_START};
use crate::error::{SnippetLine, frame};

mod input;
mod mappings;
mod moved;

pub(crate) use input::{InputMap, Reference, reference};
use mappings::Mappings;
pub(crate) use moved::{moved, offset};

/// A place in a source file; line and column from 1.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// Path relative to the app: the name of a module.
    pub file: String,
    pub line: u32,
    pub column: u32,
}

/// What a call in a stack trace begins with.
const FRAME: &str = "    at ";
/// Of one line, as many may be where its frame ends: a script makes up lines of any kind.
const PLACES_MAX: usize = 8;

/// The source maps of one script. A map is decoded when it is first needed.
pub struct SourceMaps {
    modules: HashMap<String, Mapped>,
    /// Bytes of the longest name.
    name_bytes: usize,
}

struct Mapped {
    /// The source map as JSON; `None` for a file that was not transformed.
    json: Option<String>,
    decoded: OnceLock<Option<Mappings>>,
    /// Whether line 1 starts with the wrapper of a CommonJS body.
    wrapped: bool,
}

impl SourceMaps {
    pub fn new(script: &Script) -> Self {
        let scripts = script.modules.iter().filter(|m| matches!(m.kind, ModuleKind::Js | ModuleKind::Classic));
        let modules = scripts.map(|module| {
            let wrapped = module.kind == ModuleKind::Classic;
            let mapped = Mapped { json: module.source_map.clone(), decoded: OnceLock::new(), wrapped };
            (module.name.clone(), mapped)
        });
        let modules: HashMap<_, _> = modules.collect();
        let name_bytes = modules.keys().map(String::len).max().unwrap_or(0);
        Self { modules, name_bytes }
    }

    /// Where line `line`, column `column` (from 1) of a module comes from. `None` for a name that is
    /// no module, and for code that the build wrote.
    pub fn lookup(&self, module: &str, line: u32, column: u32) -> Option<Position> {
        let mapped = self.modules.get(module)?;
        let lead = if mapped.wrapped && line == 1 { BODY_START.len() as u32 } else { 0 };
        let column = column.saturating_sub(lead).max(1);
        let Some(json) = &mapped.json else { return Some(Position { file: module.to_string(), line, column }) };
        let mappings = mapped.decoded.get_or_init(|| Mappings::parse(json)).as_ref()?;
        let found = mappings.lookup(line.checked_sub(1)?, column - 1)?;
        let file = mappings.sources.get(found.source as usize).filter(|source| !source.is_empty());
        let file = file.map_or(module, String::as_str).to_string();
        Some(Position { file, line: found.source_line + 1, column: found.source_column + 1 })
    }

    /// Rewrites every `name:line:column` at the end of a line of a QuickJS stack trace; in a text
    /// inside of JSON, lines end with an escaped `\n`. Lines that name no module of the script stay
    /// as they are.
    pub fn map_stack(&self, stack: &str) -> String {
        let mut out = String::with_capacity(stack.len());
        for line in stack.split_inclusive('\n') {
            for piece in line.split_inclusive("\\n") {
                match self.map_line(piece) {
                    Some(mapped) => out.push_str(&mapped),
                    None => out.push_str(piece),
                }
            }
        }
        out
    }

    fn map_line(&self, line: &str) -> Option<String> {
        let end = line.trim_end().trim_end_matches(')').len();
        self.map_place(line, end).or_else(|| {
            // An error that is shown with what it carries goes on behind its last frame, and so does one in a string.
            let frame = line.find(FRAME)?;
            places(&line[frame..]).take(PLACES_MAX).find_map(|end| self.map_place(line, frame + end))
        })
    }

    /// The line with the place that ends at `end` rewritten.
    fn map_place(&self, line: &str, end: usize) -> Option<String> {
        let (place, after) = line.split_at(end);
        let (rest, column) = take_number(place)?;
        let (rest, row) = take_number(rest)?;
        // A name may hold spaces and parentheses: the longest known one wins. None can begin further
        // from the end than that is long, and a script makes up lines of any length.
        let from = rest.floor_char_boundary(rest.len().saturating_sub(self.name_bytes + 1));
        let near = rest[from..].char_indices().filter(|&(_, c)| c == ' ' || c == '(');
        let starts = near.map(|(i, _)| from + i + 1);
        let start = std::iter::once(0).chain(starts).find(|&i| self.modules.contains_key(&rest[i..]))?;
        let Position { file, line, column } = self.lookup(&rest[start..], row, column)?;
        Some(format!("{}{file}:{line}:{column}{after}", &rest[..start]))
    }
}

/// Where the text has `:line:column`: the ends of those.
fn places(text: &str) -> impl Iterator<Item = usize> {
    let number = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    text.match_indices(':').filter_map(move |(colon, _)| {
        let row = colon + 1 + number(colon + 1);
        if row == colon + 1 || text.as_bytes().get(row) != Some(&b':') {
            return None;
        }
        let column = number(row + 1);
        (column > 0).then_some(row + 1 + column)
    })
}

/// Splits `:123` off the end.
fn take_number(text: &str) -> Option<(&str, u32)> {
    let (rest, digits) = text.rsplit_once(':')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    Some((rest, is_number.then(|| digits.parse().ok())??))
}

/// [`SourceMaps::map_stack`] for a single use.
pub fn map_stack(stack: &str, script: &Script) -> String {
    SourceMaps::new(script).map_stack(stack)
}

/// The lines around a place in the original source, for a code frame of a run-time error. Empty if
/// the artifact does not hold that source.
pub fn snippet(script: &Script, position: &Position) -> Vec<SnippetLine> {
    match script.modules.iter().find_map(|module| original(module, &position.file)) {
        Some(source) if position.line > 0 && position.column > 0 => frame(&source, position.line, position.column, 1),
        _ => Vec::new(),
    }
}

/// A file as its author wrote it, if this module came from it.
fn original(module: &Module, file: &str) -> Option<String> {
    if let Some(map) = &module.source_map {
        let map: serde_json::Value = serde_json::from_str(map).ok()?;
        let index = map.get("sources")?.as_array()?.iter().position(|source| source.as_str() == Some(file))?;
        return map.get("sourcesContent")?.get(index)?.as_str().map(String::from);
    }
    if module.name != file || !matches!(module.kind, ModuleKind::Js | ModuleKind::Classic) {
        return None;
    }
    let text = std::str::from_utf8(&module.source).ok()?;
    let body = text.strip_prefix(BODY_START).and_then(|rest| rest.strip_suffix(BODY_END));
    Some(body.unwrap_or(text).to_string())
}
