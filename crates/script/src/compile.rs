//! One file at a time: parse, check, strip types and JSX, print.

use std::collections::BTreeSet;
use std::path::Path;

use oxc::allocator::Allocator;
use oxc::ast::ast::Program;
use oxc::codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::{ParseOptions, Parser, ParserReturn};
use oxc::semantic::{Scoping, SemanticBuilder};
use oxc::span::{SourceType, Span};
use oxc::transformer::{
    DecoratorOptions, EnvOptions, HelperLoaderMode, HelperLoaderOptions, JsxOptions, JsxRuntime, Module,
    TransformOptions, Transformer, TypeScriptOptions,
};

use crate::attributes;
use crate::content::Content;
use crate::decorators;
use crate::defines::Defines;
use crate::error::{BuildError, BuildErrors, ErrorKind};
use crate::legacy;
use crate::mocks::{self, Mocks};
use crate::options::Options;
use crate::scan::{self, Scan};
use crate::source_map;

/// Where the transformer imports its helpers from; the graph has the modules built in.
pub(crate) const HELPERS: &str = "selvedge:helpers";

/// A file that is about to be compiled.
pub(crate) struct Source<'s> {
    pub name: &'s str,
    pub text: &'s str,
    pub source_type: SourceType,
}

/// What decides how a file is compiled, apart from its text.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `type` of the nearest package.json.
    pub package_type: Option<PackageType>,
    /// Whether the file belongs to an installed package.
    pub in_packages: bool,
    /// Whether it is the file of tests, which may replace modules.
    pub mocks: bool,
    /// What stands for global names.
    pub defines: Option<Defines>,
    pub dialect: Dialect,
    pub source_maps: bool,
    pub nesting_max: u32,
    pub chain_max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackageType {
    Module,
    CommonJs,
}

/// What a tsconfig.json says about the meaning of a file.
#[derive(Debug, Clone)]
pub(crate) struct Dialect {
    pub jsx_import_source: String,
    /// `jsx: "react"`: calls of a function instead of the automatic runtime.
    pub jsx_classic: bool,
    pub jsx_factory: Option<String>,
    pub jsx_fragment_factory: Option<String>,
    pub legacy_decorators: bool,
    pub decorator_metadata: bool,
    pub strict_null_checks: bool,
    pub verbatim_module_syntax: bool,
    pub define_class_fields: bool,
}

impl Dialect {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            jsx_import_source: options.jsx.import_source.clone(),
            jsx_classic: false,
            jsx_factory: None,
            jsx_fragment_factory: None,
            legacy_decorators: false,
            decorator_metadata: false,
            strict_null_checks: false,
            verbatim_module_syntax: false,
            define_class_fields: true,
        }
    }
}

/// A compiled file.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// JavaScript: of a CommonJS file the body, not yet wrapped.
    pub text: String,
    pub map: Option<String>,
    pub scan: Scan,
    pub commonjs: bool,
    /// Specifiers of modules that it replaces for everybody.
    pub mocked: BTreeSet<String>,
}

pub(crate) fn strip(name: &str, source: &str) -> Result<(String, Option<String>), BuildErrors> {
    let options = Options::default();
    let Content::Script(source_type) = Content::of(Path::new(name)) else {
        let error = BuildError::new(ErrorKind::Unsupported, name, "the name does not end like a script's");
        return Err(vec![error.help("use .js .mjs .cjs .jsx .ts .mts .cts or .tsx")].into());
    };
    let settings = Settings {
        package_type: None,
        in_packages: false,
        mocks: false,
        defines: None,
        dialect: Dialect::new(&options),
        source_maps: true,
        nesting_max: options.nesting_max,
        chain_max: options.chain_max,
    };
    let compiled = compile(&Source { name, text: source, source_type }, &settings)?;
    Ok((compiled.text, compiled.map))
}

pub(crate) fn compile(source: &Source, settings: &Settings) -> Result<Compiled, Vec<BuildError>> {
    check_nesting(source, settings)?;
    let allocator = Allocator::default();
    let (parsed, commonjs) = parse(&allocator, source, settings)?;
    let mut program = parsed.program;
    match attributes::without(source.text, &program) {
        Ok(None) => {}
        Ok(Some(text)) => return compile(&Source { text: &text, ..*source }, settings),
        Err(unknown) => {
            return Err(vec![error_at(source, ErrorKind::Unsupported, &unknown.message, unknown.span)]);
        }
    }
    let has_module_syntax = parsed.module_record.has_module_syntax;
    let semantic = SemanticBuilder::new_compiler().with_enum_eval(true).build(&program);
    fail_on(source, semantic.diagnostics.errors())?;
    let mut scoping = semantic.semantic.into_scoping();
    let defines = settings.defines.as_ref().filter(|defines| defines.may_be_in(source.text));
    if let Some(defines) = defines {
        defines.write(&allocator, &mut program, &mut scoping);
    }
    let mut scan = scan::scan(&program, &scoping, settings.in_packages);
    scan.has_module_syntax |= has_module_syntax;
    let legacy = settings.dialect.legacy_decorators;
    let lowers = (scan.decorator.is_some() && !legacy) || scan.has_accessor;
    if lowers {
        check_decorators(source, &scan, commonjs)?;
    }
    let is_plain = !source.source_type.is_typescript() && !scan.has_jsx && scan.using.is_none();
    let mocks = settings.mocks && !commonjs && mocks::are_in(source.text);
    if !is_plain || scan.decorator.is_some() || lowers || mocks || defines.is_some() {
        let (done, mocks) = transform(&allocator, source, settings, &mut program, scoping, commonjs, mocks)?;
        let done = if lowers { lower(source, settings, done, scan.decorator)? } else { done };
        return Ok(mocks.into_iter().fold(done, mocks::hoist));
    }
    let mut text = source.text.to_string();
    if settings.in_packages {
        write_production(&mut text, &scan.node_env);
    }
    check_requires(source, &mut scan, settings, commonjs)?;
    Ok(Compiled { text, map: None, scan, commonjs, mocked: BTreeSet::new() })
}

/// Parses a file as what it is: by its extension, then by its package, then by its own syntax.
fn parse<'a>(
    allocator: &'a Allocator,
    source: &Source<'a>,
    settings: &Settings,
) -> Result<(ParserReturn<'a>, bool), Vec<BuildError>> {
    let given = source.source_type;
    let options = ParseOptions { parse_regular_expression: true, ..ParseOptions::default() };
    let parse = |source_type| Parser::new(allocator, source.text, source_type).with_options(options).parse();
    let checked = |parsed: ParserReturn<'a>, commonjs| {
        fail_on(source, parsed.diagnostics.errors())?;
        Ok((parsed, commonjs))
    };
    if given.is_commonjs() {
        return checked(parse(given), true);
    }
    if given.is_module() || settings.package_type == Some(PackageType::Module) {
        return checked(parse(given.with_module(true)), false);
    }
    let parsed = parse(given);
    if parsed.module_record.has_module_syntax {
        return checked(parsed, false);
    }
    let as_commonjs = parse(given.with_commonjs(true));
    if as_commonjs.diagnostics.has_errors() {
        // Top-level await makes a module of a file without imports.
        return checked(parse(given.with_module(true)), false);
    }
    if settings.in_packages || uses_commonjs(&as_commonjs.program) {
        return checked(as_commonjs, true);
    }
    let as_module = parse(given.with_module(true));
    if as_module.diagnostics.has_errors() && returns_at_the_top(source, given) {
        return checked(as_commonjs, true);
    }
    checked(as_module, false)
}

/// Whether a file is an ES module but for a `return` outside of functions, which CommonJS allows.
fn returns_at_the_top(source: &Source, given: SourceType) -> bool {
    let allocator = Allocator::default();
    let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
    let parser = Parser::new(&allocator, source.text, given.with_module(true));
    !parser.with_options(options).parse().diagnostics.has_errors()
}

fn uses_commonjs(program: &Program) -> bool {
    let scoping = SemanticBuilder::new().build(program).semantic.into_scoping();
    scan::scan(program, &scoping, false).uses_commonjs
}

fn transform<'a>(
    allocator: &'a Allocator,
    source: &Source<'a>,
    settings: &Settings,
    program: &mut Program<'a>,
    scoping: Scoping,
    commonjs: bool,
    mocks: bool,
) -> Result<(Compiled, Option<Mocks>), Vec<BuildError>> {
    let options = transform_options(settings, commonjs);
    let done = Transformer::new(allocator, Path::new(source.name), &options).build_with_scoping(scoping, program);
    fail_on(source, done.diagnostics.errors())?;
    if settings.dialect.legacy_decorators {
        legacy::order(program);
    }
    let mut scan = scan::scan(program, &done.scoping, false);
    check_requires(source, &mut scan, settings, commonjs)?;
    let mocks = mocks.then(|| Mocks::of(program));
    if let Some(refused) = mocks.as_ref().and_then(Mocks::refused) {
        let error = error_at(source, ErrorKind::Unsupported, &refused.message, refused.span);
        return Err(vec![error.help(refused.help)]);
    }
    let printed = Codegen::new()
        .with_options(CodegenOptions {
            source_map_path: settings.source_maps.then(|| source.name.into()),
            comments: CommentOptions { normal: false, jsdoc: false, ..CommentOptions::default() },
            ..CodegenOptions::default()
        })
        .build(program);
    let map = printed.map.map(|map| map.to_json_string());
    Ok((Compiled { text: printed.code, map, scan, commonjs, mocked: BTreeSet::new() }, mocks))
}

fn transform_options(settings: &Settings, commonjs: bool) -> TransformOptions {
    let dialect = &settings.dialect;
    let mut jsx = JsxOptions::enable();
    if dialect.jsx_classic {
        jsx.runtime = JsxRuntime::Classic;
        jsx.pragma = dialect.jsx_factory.clone();
        jsx.pragma_frag = dialect.jsx_fragment_factory.clone();
    } else {
        jsx.runtime = JsxRuntime::Automatic;
        jsx.import_source = Some(dialect.jsx_import_source.clone());
    }
    let mut typescript = TypeScriptOptions {
        only_remove_type_imports: dialect.verbatim_module_syntax,
        remove_class_fields_without_initializer: !dialect.define_class_fields,
        ..TypeScriptOptions::default()
    };
    if let Some(factory) = &dialect.jsx_factory {
        typescript.jsx_pragma = factory.clone().into();
    }
    if let Some(factory) = &dialect.jsx_fragment_factory {
        typescript.jsx_pragma_frag = factory.clone().into();
    }
    let mut options = TransformOptions {
        typescript,
        decorator: DecoratorOptions {
            legacy: dialect.legacy_decorators,
            emit_decorator_metadata: dialect.decorator_metadata,
            strict_null_checks: dialect.strict_null_checks,
        },
        jsx,
        env: EnvOptions { module: if commonjs { Module::CommonJS } else { Module::Esm }, ..EnvOptions::default() },
        helper_loader: HelperLoaderOptions { module_name: HELPERS.into(), mode: HelperLoaderMode::Runtime },
        ..TransformOptions::default()
    };
    options.assumptions.set_public_class_fields = !dialect.define_class_fields;
    options.env.es2026.explicit_resource_management = true;
    options
}

/// An ES module has no `require`. Packages that probe for one find that out at run time.
fn check_requires(
    source: &Source,
    scan: &mut Scan,
    settings: &Settings,
    commonjs: bool,
) -> Result<(), Vec<BuildError>> {
    if commonjs {
        return Ok(());
    }
    let requires = std::mem::take(&mut scan.requires);
    match requires.iter().find(|r| !r.guarded && !settings.in_packages) {
        Some(require) => {
            let message = "there is no require() in an ES module";
            let error = error_at(source, ErrorKind::Syntax, message, require.span);
            Err(vec![error.help(format!("write import … from \"{}\"", require.specifier))])
        }
        None => Ok(()),
    }
}

/// What can't be lowered of standard decorators.
fn check_decorators(source: &Source, scan: &Scan, commonjs: bool) -> Result<(), Vec<BuildError>> {
    let (message, span) = match (scan.unsupported_decorator, scan.decorator) {
        (Some(span), _) => ("decorators of private methods and accessors are not supported", span),
        (None, Some(span)) if commonjs => ("decorators in a CommonJS file are not supported", span),
        _ => return Ok(()),
    };
    Err(vec![error_at(source, ErrorKind::Unsupported, message, span)])
}

/// Lowers the standard decorators of what was printed.
fn lower(
    source: &Source,
    settings: &Settings,
    done: Compiled,
    first: Option<Span>,
) -> Result<Compiled, Vec<BuildError>> {
    let Some((text, moves)) = decorators::lower(&done.text) else { return Ok(done) };
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, &text, SourceType::mjs()).parse();
    if parsed.diagnostics.has_errors() {
        let message = "decorators are not supported where they stand here";
        let span = first.unwrap_or_default();
        let error = error_at(source, ErrorKind::Unsupported, message, span);
        return Err(vec![error.help("give the class a name and a statement of its own")]);
    }
    let scoping = SemanticBuilder::new().build(&parsed.program).semantic.into_scoping();
    let mut scan = scan::scan(&parsed.program, &scoping, false);
    check_requires(source, &mut scan, settings, false)?;
    // Spans are of the printed text: what is said of the file is said by what was scanned before.
    let map = done.map.and_then(|map| source_map::moved(&map, &done.text, &text, &moves));
    Ok(Compiled { text, map, scan, commonjs: false, mocked: BTreeSet::new() })
}

/// Replaces `process.env.NODE_ENV` in place. The text keeps its length and its lines, so that no
/// position moves and no source map is wanted.
fn write_production(text: &mut String, places: &[Span]) {
    const LITERAL: &str = "\"production\"";
    for span in places {
        let range = span.start as usize..span.end as usize;
        let written = &text[range.clone()];
        if written.len() >= LITERAL.len() && written.is_ascii() && !written.contains(['\n', '\r']) {
            let padded = format!("{LITERAL:<width$}", width = written.len());
            text.replace_range(range, &padded);
        }
    }
}

/// Bounds what the parser may spend from the bytes alone, without looking at what they stand in:
/// brackets by their depth, chains (`a => a => …`, `a = a = …`, `!!…`) by the operators since the last
/// separator, and `<` in TypeScript by those still open, for each may start type arguments and is
/// tried both ways. No sane file comes near these limits.
fn check_nesting(source: &Source, settings: &Settings) -> Result<(), Vec<BuildError>> {
    let angles = source.source_type.is_typescript();
    let (mut depth, mut angle, mut chain) = (0_u32, 0_u32, 0_u32);
    for (i, byte) in source.text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => (depth, chain) = (depth.saturating_sub(1), 0),
            b';' => (angle, chain) = (0, 0),
            b',' => chain = 0,
            b'>' => angle = angle.saturating_sub(1),
            b'<' => (angle, chain) = (angle + u32::from(angles), chain + 1),
            b'=' | b'?' | b'!' | b'~' | b'+' | b'-' | b'*' | b'|' | b'&' | b':' | b'.' => chain += 1,
            _ => {}
        }
        let exceeded = match (depth.max(angle) > settings.nesting_max, chain > settings.chain_max) {
            (true, _) => format!("brackets are nested deeper than nesting_max ({}) allows", settings.nesting_max),
            (_, true) => format!("an expression has more operators than chain_max ({}) allows", settings.chain_max),
            _ => continue,
        };
        return Err(vec![BuildError::new(ErrorKind::Limit, source.name, exceeded).at(source.text, i, i + 1)]);
    }
    Ok(())
}

fn fail_on<'d>(source: &Source, errors: impl Iterator<Item = &'d OxcDiagnostic>) -> Result<(), Vec<BuildError>> {
    let mut errors: Vec<_> = errors
        .take(crate::error::ERRORS_MAX)
        .map(|diagnostic| {
            let label = diagnostic.labels.iter().find(|l| l.primary()).or(diagnostic.labels.first());
            let (start, length) = label.map_or((0, 0), |l| (l.offset(), l.len()));
            let error = error_at(source, ErrorKind::Syntax, &diagnostic.message, Span::sized(start, length));
            match (&diagnostic.help, label.and_then(|l| l.label())) {
                (Some(help), _) => error.help(help.to_string()),
                (None, Some(label)) => error.help(label.to_string()),
                (None, None) => error,
            }
        })
        .collect();
    // A second error at the same place is an echo of the first.
    errors.dedup_by_key(|e| (e.line, e.column));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn error_at(source: &Source, kind: ErrorKind, message: &str, span: Span) -> BuildError {
    BuildError::new(kind, source.name, message).at(source.text, span.start as usize, span.end as usize)
}
