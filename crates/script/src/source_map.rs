//! From a place in a module of the artifact back to the place that its author wrote.

use std::collections::HashMap;
use std::sync::OnceLock;

use base::artifact::{Module, ModuleKind, Script};

use crate::cjs::{BODY_END, BODY_START};
use crate::error::{SnippetLine, frame};

mod mappings;

pub(crate) use mappings::Mappings;

/// A place in a source file; line and column from 1.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// Path relative to the app: the name of a module.
    pub file: String,
    pub line: u32,
    pub column: u32,
}

/// The source maps of one script. A map is decoded when it is first needed.
pub struct SourceMaps {
    modules: HashMap<String, Mapped>,
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
        let scripts = script.modules.iter().filter(|m| m.kind == ModuleKind::Js);
        let modules = scripts.map(|module| {
            let wrapped = module.source.starts_with(BODY_START.as_bytes());
            let mapped = Mapped { json: module.source_map.clone(), decoded: OnceLock::new(), wrapped };
            (module.name.clone(), mapped)
        });
        Self { modules: modules.collect() }
    }

    /// Where line `line`, column `column` (from 1) of a module comes from. `None` for a name that is
    /// no module, and for code that the build wrote.
    pub fn lookup(&self, module: &str, line: u32, column: u32) -> Option<Position> {
        let mapped = self.modules.get(module)?;
        let lead = if mapped.wrapped && line == 1 { BODY_START.len() as u32 } else { 0 };
        let column = column.saturating_sub(lead).max(1);
        let file = module.to_string();
        let Some(json) = &mapped.json else { return Some(Position { file, line, column }) };
        let mappings = mapped.decoded.get_or_init(|| Mappings::parse(json)).as_ref()?;
        let (line, column) = mappings.lookup(line.checked_sub(1)?, column - 1)?;
        Some(Position { file, line: line + 1, column: column + 1 })
    }

    /// Rewrites every `name:line:column` at the end of a line of a QuickJS stack trace. Lines that
    /// name no module of the script stay as they are.
    pub fn map_stack(&self, stack: &str) -> String {
        let mut out = String::with_capacity(stack.len());
        for line in stack.split_inclusive('\n') {
            match self.map_line(line) {
                Some(mapped) => out.push_str(&mapped),
                None => out.push_str(line),
            }
        }
        out
    }

    fn map_line(&self, line: &str) -> Option<String> {
        let place = line.trim_end().trim_end_matches(')');
        let after = &line[place.len()..];
        let (rest, column) = take_number(place)?;
        let (rest, row) = take_number(rest)?;
        // A name may hold spaces and parentheses: the longest known one wins.
        let starts = rest.char_indices().filter(|&(_, c)| c == ' ' || c == '(').map(|(i, _)| i + 1);
        let start = std::iter::once(0).chain(starts).find(|&i| self.modules.contains_key(&rest[i..]))?;
        let Position { file, line, column } = self.lookup(&rest[start..], row, column)?;
        Some(format!("{}{file}:{line}:{column}{after}", &rest[..start]))
    }
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
    let module = script.modules.iter().find(|m| m.name == position.file && m.kind == ModuleKind::Js);
    match module.and_then(original) {
        Some(source) if position.line > 0 && position.column > 0 => frame(&source, position.line, position.column, 1),
        _ => Vec::new(),
    }
}

/// The file as its author wrote it.
fn original(module: &Module) -> Option<String> {
    if let Some(map) = &module.source_map {
        let map: serde_json::Value = serde_json::from_str(map).ok()?;
        return map.get("sourcesContent")?.get(0)?.as_str().map(String::from);
    }
    let text = std::str::from_utf8(&module.source).ok()?;
    let body = text.strip_prefix(BODY_START).and_then(|rest| Some(rest.rsplit_once(BODY_END)?.0));
    Some(body.unwrap_or(text).to_string())
}
