//! The files that a specifier put together at run time may mean: `import(`./langs/${name}.ts`)`.

use std::path::Path;

use super::*;
use crate::scan::{Import, Pattern};

/// Files that one such import may bring into a script.
const FILES_MAX: usize = 1_000;
/// Extensions that a specifier may leave out, and what may stand for them.
const SCRIPTS: [&str; 8] = [".ts", ".tsx", ".mts", ".js", ".mjs", ".jsx", ".cjs", ".cts"];

impl Graph<'_> {
    /// An import of every file that the pattern fits, under each specifier that leads to it.
    pub(super) fn expand(&mut self, importer: u32, pattern: &Pattern, span: Span) -> Vec<Import> {
        let node = &self.nodes[importer as usize];
        let directory = node.path.parent().unwrap_or(&node.path).to_path_buf();
        let text = pattern.text();
        let parts: Vec<&str> = text.split('/').collect();
        let mut found = Vec::new();
        let content = |path: &Path| self.content(path);
        walk(&directory, &parts, String::new(), &content, &mut found);
        let problem = match found.len() {
            0 => format!("no file is called like \"{text}\", which this import may ask for"),
            n if n > FILES_MAX => {
                format!("\"{text}\" may mean more than pattern_files_max ({FILES_MAX}) files")
            }
            _ => {
                found.sort();
                let (kind, namespace) = (ImportKind::Dynamic, true);
                let import = |specifier| Import { specifier, kind, span, names: Vec::new(), namespace };
                return found.into_iter().map(import).collect();
            }
        };
        if !is_in_packages(&node.path) {
            let kind = if found.is_empty() { ErrorKind::Unresolved } else { ErrorKind::Limit };
            let error = BuildError::new(kind, &node.name, problem);
            let error = error.at(&node.original, span.start as usize, span.end as usize);
            self.errors.push(error.help("the files are looked for when the app is built; * is what is not known then"));
        }
        Vec::new()
    }
}

/// Follows the parts of a pattern from a directory, and collects the specifiers of files.
fn walk(
    directory: &Path,
    parts: &[&str],
    specifier: String,
    content: &dyn Fn(&Path) -> Content,
    found: &mut Vec<String>,
) {
    let Some((part, rest)) = parts.split_first() else { return };
    let next = |name: &str| if specifier.is_empty() { name.to_string() } else { format!("{specifier}/{name}") };
    if !rest.is_empty() && !part.contains('*') {
        return walk(&directory.join(part), rest, next(part), content, found);
    }
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        if name.starts_with('.') || name == "node_modules" || found.len() > FILES_MAX {
            continue;
        }
        let path = directory.join(&name);
        if !rest.is_empty() {
            if path.is_dir() && Pattern::part_matches(part, &name) {
                walk(&path, rest, next(&name), content, found);
            }
            continue;
        }
        let importable = !matches!(content(&path), Content::Unknown | Content::Declaration | Content::WebAssembly);
        if importable && path.is_file() {
            found.extend(spellings(&name).filter(|name| Pattern::part_matches(part, name)).map(|name| next(&name)));
        }
    }
}

/// How a file may be called in a specifier: by its name, without its extension, or by that of the
/// JavaScript that it becomes.
pub(super) fn spellings(name: &str) -> impl Iterator<Item = String> {
    let stem = SCRIPTS.iter().find_map(|extension| Some((name.strip_suffix(extension)?, *extension)));
    let others = stem.into_iter().flat_map(|(stem, extension)| {
        let compiled = match extension {
            ".ts" | ".tsx" => Some(format!("{stem}.js")),
            ".mts" => Some(format!("{stem}.mjs")),
            ".cts" => Some(format!("{stem}.cjs")),
            _ => None,
        };
        [Some(stem.to_string()), compiled]
    });
    std::iter::once(name.to_string()).chain(others.flatten())
}
