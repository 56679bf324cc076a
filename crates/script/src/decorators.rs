//! Standard decorators and `accessor` fields (the TC39 proposal that TypeScript 5 follows), which the
//! engine does not know. What a class with them becomes is written as text, with the semantics in a
//! helper module (`graph/decorators.js`).
//!
//! A class expression takes the place of the class, in a function that holds what its decorators
//! collect. The first static block of the class applies them; decorated fields call what the
//! decorators returned; and a private field behind each calls what they registered, so that the order
//! of the proposal holds without touching a constructor. Lines stay where they were.

use oxc::allocator::Allocator;
use oxc::ast::ast::*;
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::span::{GetSpan, SourceType, Span};

mod class;
mod edits;

use edits::Edits;

/// The name under which a module imports the helper.
const HELPER: &str = "$sv_decorators";

/// The text without decorators, and where each place of it was; `None` if nothing was to be done.
/// `text` is what a printer made of a checked program.
pub(crate) fn lower(text: &str) -> Option<(String, Moves)> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, SourceType::mjs()).parse();
    let mut visitor = Visitor { text, edits: Edits::default(), classes: 0 };
    visitor.visit_program(&parsed.program);
    if visitor.classes == 0 {
        return None;
    }
    let after_hashbang = if text.starts_with("#!") { text.find('\n').map_or(text.len(), |at| at + 1) } else { 0 };
    let import = format!("import {HELPER} from \"{}/helpers/decorators\"; ", crate::compile::HELPERS);
    visitor.edits.insert_first(after_hashbang, import);
    Some(visitor.edits.apply(text))
}

pub(crate) use edits::Moves;

/// The first decorator of a member whose functions nothing can replace, for it is private.
pub(crate) fn unsupported(key: &PropertyKey, decorators: &[Decorator]) -> Option<Span> {
    let is_private = matches!(key, PropertyKey::PrivateIdentifier(_));
    decorators.first().filter(|_| is_private).map(|decorator| decorator.span)
}

struct Visitor<'s> {
    text: &'s str,
    edits: Edits,
    /// How many were lowered so far, which numbers their names.
    classes: usize,
}

/// How a class is exported.
enum Exported {
    No,
    ByName,
    Default,
}

impl Visitor<'_> {
    fn slice(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    /// A class in the place of a statement that begins at `start`.
    fn statement(&mut self, start: u32, class: &Class, exported: &Exported) {
        if !class::is_wanted(class) {
            return;
        }
        let own = class.id.as_ref().map(|id| id.name.to_string());
        let name = own.clone().unwrap_or_else(|| format!("$sv_class{}", self.classes));
        let from = class.decorators.first().map_or(start, |decorator| decorator.span.start.min(start));
        self.edits.insert(from as usize, format!("let {name} = "));
        self.class(start, class, &name, own.is_none().then_some("default"));
        let export = match exported {
            Exported::No => ";".to_string(),
            Exported::ByName => format!("; export {{ {name} }};"),
            Exported::Default => format!("; export {{ {name} as default }};"),
        };
        self.edits.insert(class.span.end as usize, export);
    }
}

impl<'a> Visit<'a> for Visitor<'_> {
    fn visit_export_declaration(&mut self, it: &ExportDeclaration<'a>) {
        if let Declaration::ClassDeclaration(class) = &it.declaration {
            self.statement(it.span.start, class, &Exported::ByName);
            walk::walk_class(self, class);
            return;
        }
        walk::walk_export_declaration(self, it);
    }

    fn visit_export_default_declaration(&mut self, it: &ExportDefaultDeclaration<'a>) {
        if let ExportDefaultDeclarationKind::ClassDeclaration(class) = &it.declaration {
            self.statement(it.span.start, class, &Exported::Default);
            walk::walk_class(self, class);
            return;
        }
        walk::walk_export_default_declaration(self, it);
    }

    // What is moved is moved as it is.
    fn visit_decorator(&mut self, _: &Decorator<'a>) {}
    fn visit_class_heritage(&mut self, _: &ClassHeritage<'a>) {}

    fn visit_class(&mut self, it: &Class<'a>) {
        if it.is_declaration() {
            self.statement(it.span.start, it, &Exported::No);
        } else if class::is_wanted(it) {
            let name = it.id.as_ref().map_or_else(|| format!("$sv_class{}", self.classes), |id| id.name.to_string());
            self.class(it.span.start, it, &name, it.id.is_none().then_some(""));
        }
        walk::walk_class(self, it);
    }
}
