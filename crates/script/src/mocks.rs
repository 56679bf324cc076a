//! Modules that a file of tests replaces: `vi.mock` and its like, in the manner of Vitest.
//!
//! What is said of other modules must be said before they are evaluated. So the calls of `vi.mock`,
//! `vi.unmock` and `vi.hoisted` move to the top of the file, and its imports become `await import()`
//! behind them, read through the namespace at each use, as a static import would be. All of it stays
//! one module: a factory may name what the file declares, as long as it is called after that.
//!
//! Here the text is changed; that everybody who imports a replaced module gets another is the
//! business of [`graph`](crate::graph).

use std::collections::{BTreeMap, BTreeSet};

use base::builtin;
use oxc::allocator::Allocator;
use oxc::ast::ast::*;
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::{GetSpan, SourceType, Span};
use oxc::syntax::symbol::SymbolId;

use crate::compile::{Compiled, HELPERS};
use crate::decorators::Moves;
use crate::scan::{Import, ImportKind};
use crate::source_map;

mod edit;
mod find;

use find::{Call, Method};

/// In front of the specifier of a module that is imported as it is, whatever replaces it.
pub(crate) const ACTUAL: &str = "actual:";

/// What the namespaces of imports are called.
const NAMESPACE: &str = "$sv_import";

/// What a file of tests says about modules.
#[derive(Debug, Default)]
pub(crate) struct Mocks {
    calls: Vec<Call>,
}

/// What can't be done, and where.
pub(crate) struct Refused {
    pub message: String,
    pub help: String,
    pub span: Span,
}

impl Mocks {
    pub(crate) fn of(program: &Program) -> Self {
        Self { calls: find::calls(program) }
    }

    /// The specifiers of modules that are replaced, or may be.
    pub(crate) fn replaced(&self) -> BTreeSet<String> {
        let replaced = self.calls.iter().filter(|call| matches!(call.method, Method::Mock | Method::DoMock));
        replaced.filter_map(|call| call.specifier.clone()).collect()
    }

    /// What the calls ask for beside the imports.
    fn asks(&self) -> impl Iterator<Item = Import> + '_ {
        self.calls.iter().filter_map(|call| {
            let specifier = call.specifier.as_deref()?;
            let specifier = match call.method {
                Method::ImportActual => format!("{ACTUAL}{specifier}"),
                _ => specifier.to_string(),
            };
            let (kind, names, namespace) = (ImportKind::Dynamic, Vec::new(), true);
            Some(Import { specifier, kind, span: call.specifier_span, names, namespace })
        })
    }

    pub(crate) fn refused(&self) -> Option<Refused> {
        self.calls.iter().find_map(|call| {
            let name = call.method.name();
            let (message, help) = if call.method.is_hoisted() && !call.at_top {
                let help = match call.method {
                    Method::Mock => "write it at the top of the file; vi.doMock() replaces a module from there on",
                    _ => "write it at the top of the file, as a statement of its own",
                };
                (format!("vi.{name}() is run before everything else, and can't stand here"), help)
            } else if call.specifier.is_none() && call.method != Method::Hoisted {
                let message = format!("vi.{name}() takes the name of a module, written out as a string");
                (message, "the modules that tests replace are known when they are built")
            } else {
                return None;
            };
            Some(Refused { message, help: help.to_string(), span: call.span })
        })
    }
}

/// Whether a text may say something about modules.
pub(crate) fn are_in(text: &str) -> bool {
    Method::ALL.iter().any(|method| text.contains(&format!(".{}(", method.name())))
}

/// Moves the calls to the top of what was printed. `mocks` are those of the file as it was written.
pub(crate) fn hoist(mut done: Compiled, mocks: Mocks) -> Compiled {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, &done.text, SourceType::mjs()).parse();
    let scoping = SemanticBuilder::new().build(&parsed.program).semantic.into_scoping();
    let calls = find::calls(&parsed.program);
    let hoists = calls.iter().any(|call| call.method.is_hoisted());
    let imports = if hoists { moved_imports(&parsed.program) } else { Vec::new() };
    let uses = imports.iter().flat_map(|import| import.uses.iter().map(|(symbol, text)| (*symbol, text.clone())));
    let edits = edit::edits(&parsed.program, &scoping, &calls, &uses.collect());
    let hoisted = parsed.program.body.iter().map(GetSpan::span).filter(|span| {
        calls.iter().any(|call| call.method.is_hoisted() && call.at_top && span.contains_inclusive(call.span))
    });
    let hoisted: Vec<Span> = hoisted.collect();
    let mut writer = edit::Writer::new(&done.text, edits);
    let start = start_of(&done.text);
    writer.copy(0, start);
    for span in &hoisted {
        writer.copy(span.start, span.end);
        writer.write("\n");
    }
    for import in &imports {
        writer.write(&import.text);
    }
    let mut gone: Vec<Span> = hoisted.into_iter().chain(imports.iter().map(|import| import.span)).collect();
    gone.sort_by_key(|span| span.start);
    let mut at = start;
    for span in gone {
        writer.copy(at, span.start);
        at = span.end;
    }
    writer.copy(at, done.text.len() as u32);
    let (text, kept) = writer.finish();
    let map = done.map.and_then(|map| source_map::moved(&map, &done.text, &text, &Moves::of(kept)));
    done.scan.imports.extend(mocks.asks());
    let mocked = mocks.replaced();
    Compiled { text, map, mocked, ..done }
}

/// Behind a hashbang.
fn start_of(text: &str) -> u32 {
    let line = if text.starts_with("#!") { text.find('\n').map_or(text.len(), |at| at + 1) } else { 0 };
    line as u32
}

/// An import that becomes an expression.
struct MovedImport {
    span: Span,
    text: String,
    /// What stands for each name that it binds.
    uses: Vec<(SymbolId, String)>,
}

fn moved_imports(program: &Program) -> Vec<MovedImport> {
    let passed_on = find::passed_on(program);
    let mut moved = Vec::new();
    for statement in &program.body {
        let Statement::ImportDeclaration(import) = statement else { continue };
        let specifier = import.source.value.as_str();
        if is_of_the_platform(specifier) {
            continue;
        }
        let bound = import.specifiers.iter().flatten();
        if bound.clone().any(|specifier| passed_on.contains(specifier.local().name.as_str())) {
            continue;
        }
        let namespace = format!("{NAMESPACE}{}", moved.len());
        let uses: Vec<_> = bound.filter_map(|specifier| use_of(specifier, &namespace)).collect();
        let quoted = serde_json::Value::from(specifier);
        let text = match uses.is_empty() {
            true => format!("await import({quoted}); "),
            false => format!("const {namespace} = await import({quoted}); "),
        };
        moved.push(MovedImport { span: import.span, text, uses });
    }
    moved
}

fn use_of(specifier: &ImportDeclarationSpecifier, namespace: &str) -> Option<(SymbolId, String)> {
    let symbol = specifier.local().symbol_id.get()?;
    let text = match specifier {
        ImportDeclarationSpecifier::ImportSpecifier(it) => match &it.imported {
            ModuleExportName::StringLiteral(name) => {
                format!("{namespace}[{}]", serde_json::Value::from(name.value.as_str()))
            }
            name => format!("{namespace}.{}", name.name()),
        },
        ImportDeclarationSpecifier::ImportDefaultSpecifier(_) => format!("{namespace}.default"),
        ImportDeclarationSpecifier::ImportNamespaceSpecifier(_) => namespace.to_string(),
    };
    Some((symbol, text))
}

/// What nobody replaces: the tests' own interface, and what a transform wrote.
fn is_of_the_platform(specifier: &str) -> bool {
    builtin::TEST_MODULES.contains(&specifier)
        || builtin::TEST_ALIASES.iter().any(|(alias, _)| *alias == specifier)
        || specifier.starts_with(HELPERS)
}

/// The replacements of uses, by the symbol.
type Uses = BTreeMap<SymbolId, String>;
