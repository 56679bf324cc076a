//! What a file is, by its extension.

use std::path::Path;

use oxc::span::SourceType;

/// Extensions that a script may import, for messages.
pub(crate) const IMPORTABLE: &str = ".js .mjs .cjs .jsx .ts .mts .cts .tsx .json, .txt .html .sql .md (as text), .bin (as an ArrayBuffer) and .wasm (as a WebAssembly.Module)";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Script(SourceType),
    Json,
    Text,
    Bytes,
    /// Bytes as a Uint8Array, which only an import attribute asks for.
    Array,
    /// A core module: the default export is a `WebAssembly.Module`.
    WebAssembly,
    /// `.d.ts` and its siblings: types without code.
    Declaration,
    Unknown,
}

impl Content {
    pub(crate) fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension {
            "json" => Self::Json,
            "txt" | "html" | "sql" | "md" => Self::Text,
            "bin" => Self::Bytes,
            "wasm" => Self::WebAssembly,
            _ => match SourceType::from_path(path) {
                Ok(source_type) if source_type.is_typescript_definition() => Self::Declaration,
                // Plain JavaScript with JSX in it is common, and JSX takes nothing away from JavaScript.
                Ok(source_type) if source_type.is_javascript() => Self::Script(source_type.with_jsx(true)),
                Ok(source_type) => Self::Script(source_type),
                Err(_) => Self::Unknown,
            },
        }
    }
}
