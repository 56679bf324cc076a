//! Import attributes: `with { type: "text" }`. They choose what a file is taken for, which is decided
//! here and not in the engine; so they are written into the specifier and taken out of the text, of
//! which no other line or column moves.

use std::ops::Range;
use std::path::Path;

use oxc::ast::ast::*;
use oxc::ast_visit::{Visit, walk};
use oxc::span::{GetSpan, Span};

use crate::content::Content;

/// Between a specifier and the type that its file is taken for.
const MARK: &str = " with ";

/// What a file may be taken for.
const TYPES: [(&str, Content); 3] = [("json", Content::Json), ("text", Content::Text), ("bytes", Content::Array)];

/// An attribute that says something unknown: where, and what to say about it.
pub(crate) struct Unknown {
    pub span: Span,
    pub message: String,
}

/// The text without attributes; `None` if it has none.
pub(crate) fn without(text: &str, program: &Program) -> Result<Option<String>, Unknown> {
    let mut visitor = Visitor { edits: Vec::new(), unknown: None };
    visitor.visit_program(program);
    if let Some(unknown) = visitor.unknown {
        return Err(unknown);
    }
    let mut edits = visitor.edits;
    if edits.is_empty() {
        return Ok(None);
    }
    edits.sort_by_key(|edit| edit.range.start);
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for edit in edits {
        out.push_str(&text[from..edit.range.start]);
        edit.write(text, &mut out);
        from = edit.range.end;
    }
    out.push_str(&text[from..]);
    Ok(Some(out))
}

/// A specifier as it is written in a text without attributes, and the type that was asked for.
pub(crate) fn split(specifier: &str) -> (&str, Option<(&'static str, Content)>) {
    let typed = specifier.rsplit_once(MARK);
    let found = typed.and_then(|(rest, name)| Some((rest, *TYPES.iter().find(|(known, _)| *known == name)?)));
    found.map_or((specifier, None), |(rest, typed)| (rest, Some(typed)))
}

struct Edit {
    /// From the specifier's quote to the end of the attributes.
    range: Range<usize>,
    specifier: String,
}

impl Edit {
    fn write(&self, text: &str, out: &mut String) {
        let literal = serde_json::to_string(&self.specifier).expect("a string is always JSON");
        out.push_str(&literal);
        // What is left of each line is blank, and as long as it was where there is room.
        let mut room = literal.chars().count();
        for c in text[self.range.clone()].chars() {
            match (c, room) {
                ('\n' | '\r', _) => {
                    out.push(c);
                    room = 0;
                }
                (_, 0) => out.push(' '),
                _ => room -= 1,
            }
        }
    }
}

struct Visitor {
    edits: Vec<Edit>,
    unknown: Option<Unknown>,
}

impl Visitor {
    fn clause(&mut self, source: &StringLiteral, clause: Option<&WithClause>) {
        let Some(clause) = clause else { return };
        let entries = clause.with_entries.iter().map(|entry| {
            let key = match &entry.key {
                ImportAttributeKey::Identifier(name) => name.name.as_str(),
                ImportAttributeKey::StringLiteral(text) => text.value.as_str(),
            };
            (key, entry.value.value.as_str(), entry.span)
        });
        self.edit(source, clause.span.end, entries.collect());
    }

    fn edit(&mut self, source: &StringLiteral, end: u32, entries: Vec<(&str, &str, Span)>) {
        let mut specifier = source.value.to_string();
        for (key, value, span) in entries {
            let known = TYPES.iter().find(|(name, _)| key == "type" && *name == value);
            let Some((name, content)) = known else {
                let message = match key {
                    "type" => format!("a module can't be imported as \"{value}\", but as json, text or bytes"),
                    key => format!("there is no import attribute \"{key}\": there is type"),
                };
                self.unknown.get_or_insert(Unknown { span, message });
                return;
            };
            if Content::of(Path::new(source.value.as_str())) != *content {
                specifier = format!("{}{MARK}{name}", source.value);
            }
        }
        self.edits.push(Edit { range: source.span.start as usize..end as usize, specifier });
    }

    /// `{ with: { type: "text" } }`, if it is written out.
    fn options(&mut self, source: &StringLiteral, options: &Expression) {
        let Expression::ObjectExpression(options_object) = options.get_inner_expression() else { return };
        let [ObjectPropertyKind::ObjectProperty(with)] = options_object.properties.as_slice() else { return };
        let Expression::ObjectExpression(attributes) = with.value.get_inner_expression() else { return };
        if with.key.static_name().as_deref() != Some("with") {
            return;
        }
        let mut entries = Vec::new();
        for property in &attributes.properties {
            let ObjectPropertyKind::ObjectProperty(property) = property else { return };
            let (Some(key), Expression::StringLiteral(value)) = (property.key.static_name(), &property.value) else {
                return;
            };
            entries.push((key.to_string(), value.value.as_str(), property.span));
        }
        let entries = entries.iter().map(|(key, value, span)| (key.as_str(), *value, *span)).collect();
        self.edit(source, options.span().end, entries);
    }
}

impl<'a> Visit<'a> for Visitor {
    fn visit_import_declaration(&mut self, it: &ImportDeclaration<'a>) {
        if !it.import_kind.is_type() {
            self.clause(&it.source, it.with_clause.as_deref());
        }
    }

    fn visit_export_from_declaration(&mut self, it: &ExportFromDeclaration<'a>) {
        self.clause(&it.source, it.with_clause.as_deref());
    }

    fn visit_export_all_declaration(&mut self, it: &ExportAllDeclaration<'a>) {
        self.clause(&it.source, it.with_clause.as_deref());
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        if let (Expression::StringLiteral(source), Some(options)) = (&it.source, &it.options) {
            self.options(source, options);
        }
        walk::walk_import_expression(self, it);
    }
}
