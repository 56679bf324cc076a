//! The walk from the entry over every import, depth first, and the artifact that it makes.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use base::artifact::{ModuleKind, Script};
use oxc::span::{SourceType, Span};

use crate::attributes;
use crate::cjs::{self, Required};
use crate::compile::{self, Compiled, Dialect, PackageType, Settings, Source};
use crate::content::{Content, IMPORTABLE};
use crate::defines::Defines;
use crate::error::{BuildError, BuildErrors, ERRORS_MAX, ErrorKind};
use crate::mocks;
use crate::name::{is_in_packages, name_of};
use crate::options::{Options, TakenFor};
use crate::resolve::{Asked, Resolver, Target, Unresolved};
use crate::scan::{Import, ImportKind, Scan};
use crate::source_map::{self, InputMap, Reference};
use crate::{Built, link};

mod artifact;
mod helper;
mod mocked;
mod open;
mod pattern;
mod read;
mod tests_entry;

pub(crate) use tests_entry::build_test;

/// A module of the graph under construction.
pub(crate) struct Node {
    pub name: String,
    pub body: Body,
    /// Specifier → module, in the order in which they were first seen.
    pub edges: Vec<(String, u32)>,
    /// What the `require` calls of a CommonJS body find.
    requires: Vec<(String, Required)>,
    /// Absolute path; empty for modules without a file.
    path: PathBuf,
    asks: Vec<Ask>,
    /// The file as its author wrote it, for frames.
    pub original: String,
}

pub(crate) enum Body {
    Esm(Compiled),
    CommonJs(Compiled),
    Data(ModuleKind, Vec<u8>),
    /// What an import of the CommonJS module `of` sees.
    ImportFacade {
        of: u32,
        interop: bool,
        names: BTreeSet<String>,
        namespace: bool,
    },
    /// What an import of the JSON file `of` by the names of its members sees: those that are asked for, or all.
    JsonFacade {
        keys: BTreeSet<String>,
        names: BTreeSet<String>,
        namespace: bool,
    },
    /// What a `require` of the ES module `of` sees.
    RequireFacade {
        of: u32,
    },
    /// What stands for the module `of` where a test replaces it, under the specifiers of that test.
    Mocked {
        of: u32,
        specifiers: BTreeSet<String>,
        names: BTreeSet<String>,
        namespace: bool,
    },
    /// A module of the platform.
    Builtin,
    /// Source that the build brings along.
    Written(String),
    /// A file whose errors are already reported.
    Failed,
}

#[derive(Clone)]
struct Ask {
    specifier: String,
    asked: Asked,
    span: Span,
    /// Whether the script may do without: the failure then waits for run time.
    tolerant: bool,
}

/// The end of the name of what an import of a JSON file by names sees.
const JSON_SUFFIX: &str = "?members";

/// The build can't go on.
struct Stop;

struct Graph<'o> {
    root: PathBuf,
    options: &'o Options,
    resolver: Resolver,
    nodes: Vec<Node>,
    /// Files, and what they are taken for if the import says so.
    files: HashMap<(PathBuf, Option<&'static str>), u32>,
    /// (module, what kind of facade) → facade.
    facades: HashMap<(u32, &'static str), u32>,
    errors: Vec<BuildError>,
    inputs: BTreeSet<PathBuf>,
    bytes: u64,
    defines: Option<Defines>,
    /// The file of tests, if this is the graph of one.
    tests: Option<PathBuf>,
}

pub(crate) fn build(root: &Path, entry: &Path, options: &Options) -> Result<Built, BuildErrors> {
    let (root, entry) = read::entry(root, entry)?;
    let mut graph = Graph::new(root, options)?;
    let start = graph.file(&entry, None, None).and_then(|first| graph.walk(first));
    graph.finish(start)
}

impl<'o> Graph<'o> {
    fn new(root: PathBuf, options: &'o Options) -> Result<Self, BuildErrors> {
        Ok(Self {
            defines: Defines::new(&options.define)?,
            resolver: Resolver::new(&root, options),
            root,
            options,
            nodes: Vec::new(),
            files: HashMap::new(),
            facades: HashMap::new(),
            errors: Vec::new(),
            inputs: BTreeSet::new(),
            bytes: 0,
            tests: None,
        })
    }

    fn finish(mut self, start: Result<u32, Stop>) -> Result<Built, BuildErrors> {
        if self.errors.is_empty() {
            // A stop has left its reason among the errors.
            let _ = self.open_imports();
        }
        if self.errors.is_empty() {
            self.errors = link::link(&mut self.nodes);
        }
        self.inputs.append(&mut self.resolver.inputs);
        let inputs = self.inputs.into_iter().collect();
        match start {
            Ok(entry) if self.errors.is_empty() => {
                let exports = link::exports(&self.nodes, entry);
                Ok(Built {
                    script: Script { entry, modules: artifact::modules(self.nodes), warm: None },
                    inputs,
                    exports,
                })
            }
            _ => Err(BuildErrors { inputs, ..BuildErrors::from(self.errors) }),
        }
    }

    /// Follows every import from the entry. A stack of our own: chains of imports can be long.
    fn walk(&mut self, first: u32) -> Result<u32, Stop> {
        let mut stack = vec![(first, 0)];
        while let Some((node, next)) = stack.last_mut() {
            let importer = *node;
            let Some(ask) = self.nodes[importer as usize].asks.get(*next).cloned() else {
                stack.pop();
                continue;
            };
            *next += 1;
            let known = self.nodes.len();
            if let Some(target) = self.follow(importer, &ask)? {
                let is_new = target as usize >= known;
                if is_new {
                    stack.push((target, 0));
                }
            }
            if self.errors.len() >= ERRORS_MAX {
                return Err(Stop);
            }
        }
        match self.nodes[first as usize].body {
            Body::CommonJs(_) => {
                let facade = self.import_facade(first, true)?;
                // The engine may ask for any of its exports.
                if let Body::ImportFacade { namespace, .. } = &mut self.nodes[facade as usize].body {
                    *namespace = true;
                }
                Ok(facade)
            }
            _ => Ok(first),
        }
    }

    /// Resolves one ask of `importer` and notes the edge. Returns the file's own module.
    fn follow(&mut self, importer: u32, ask: &Ask) -> Result<Option<u32>, Stop> {
        if let Some(text) = helper::by_specifier(&ask.specifier) {
            let target = self.written(&ask.specifier, text)?;
            self.edge(importer, ask, target, Required::Default);
            return Ok(None);
        }
        let path = self.nodes[importer as usize].path.clone();
        let specifier = ask.specifier.strip_prefix(mocks::ACTUAL).unwrap_or(&ask.specifier);
        let (specifier, taken_for) = attributes::split(specifier);
        let target = match self.resolver.resolve(&path, specifier, ask.asked) {
            Ok(target) => target,
            Err(unresolved) => {
                self.unresolved(importer, ask, unresolved);
                return Ok(None);
            }
        };
        match target {
            Target::Empty(path) => {
                let name = format!("{}?empty", self.name(&path));
                let target = self.written(&name, "export default {};\n")?;
                self.edge(importer, ask, target, Required::Default);
                Ok(None)
            }
            Target::Builtin(name) => {
                let target = self.builtin(&name)?;
                self.edge(importer, ask, target, Required::Default);
                Ok(None)
            }
            Target::File(path) => {
                let file = self.file(&path, taken_for, Some((importer, ask)))?;
                let (target, required) = match self.json_facade(importer, ask, file)? {
                    Some(facade) => (facade, Required::Default),
                    None => self.seen_by(importer, ask.asked, file)?,
                };
                self.edge(importer, ask, target, required);
                Ok(Some(file))
            }
        }
    }

    /// The module that stands for `file` when it is asked for in this way.
    fn seen_by(&mut self, importer: u32, asked: Asked, file: u32) -> Result<(u32, Required), Stop> {
        match (&self.nodes[file as usize].body, asked) {
            (Body::CommonJs(_), Asked::Require) => Ok((file, Required::CommonJs)),
            (Body::CommonJs(_), Asked::Import) => {
                let path = self.nodes[importer as usize].path.clone();
                let explicit = path.extension().is_some_and(|e| e == "mjs" || e == "mts");
                let node_mode = explicit || self.resolver.package_type(&path) == Some(PackageType::Module);
                Ok((self.import_facade(file, !node_mode)?, Required::Default))
            }
            (Body::Esm(compiled), Asked::Require) if compiled.scan.exports.contains_key("default") => {
                let facade = self.facade(file, cjs::NAMESPACE_SUFFIX, Body::RequireFacade { of: file })?;
                Ok((facade, Required::Namespace))
            }
            (Body::Data(..), _) => Ok((file, Required::Default)),
            _ => Ok((file, Required::Namespace)),
        }
    }

    /// Bundlers give the members of a JSON file as exports, too, and files are written for them.
    fn json_facade(&mut self, importer: u32, ask: &Ask, file: u32) -> Result<Option<u32>, Stop> {
        let Body::Esm(compiled) = &self.nodes[importer as usize].body else { return Ok(None) };
        let Body::Data(ModuleKind::Json, text) = &self.nodes[file as usize].body else { return Ok(None) };
        let by_name = |import: &Import| match import.kind {
            ImportKind::Static => import.namespace || import.names.iter().any(|(name, _)| name != "default"),
            ImportKind::Star => true,
            ImportKind::Dynamic => false,
        };
        let mut imports = compiled.scan.imports.iter().filter(|import| import.specifier == ask.specifier);
        if ask.asked != Asked::Import || !imports.any(by_name) {
            return Ok(None);
        }
        let keys = match self.facades.contains_key(&(file, JSON_SUFFIX)) {
            true => BTreeSet::new(),
            false => read::keys(text),
        };
        let body = Body::JsonFacade { keys, names: BTreeSet::new(), namespace: false };
        self.facade(file, JSON_SUFFIX, body).map(Some)
    }

    fn import_facade(&mut self, of: u32, interop: bool) -> Result<u32, Stop> {
        let suffix = if interop { cjs::INTEROP_SUFFIX } else { cjs::IMPORT_SUFFIX };
        let body = Body::ImportFacade { of, interop, names: BTreeSet::new(), namespace: false };
        self.facade(of, suffix, body)
    }

    fn facade(&mut self, of: u32, suffix: &'static str, body: Body) -> Result<u32, Stop> {
        if let Some(&known) = self.facades.get(&(of, suffix)) {
            return Ok(known);
        }
        let name = format!("{}{suffix}", self.nodes[of as usize].name);
        let facade = self.push(name, PathBuf::new(), body)?;
        self.nodes[facade as usize].edges.push((cjs::SELF.into(), of));
        self.facades.insert((of, suffix), facade);
        Ok(facade)
    }

    fn written(&mut self, name: &str, text: &str) -> Result<u32, Stop> {
        let key = (PathBuf::from(name), None);
        if let Some(&known) = self.files.get(&key) {
            return Ok(known);
        }
        let node = self.push(name.to_string(), PathBuf::new(), Body::Written(text.to_string()))?;
        self.files.insert(key, node);
        Ok(node)
    }

    fn builtin(&mut self, name: &str) -> Result<u32, Stop> {
        let key = (PathBuf::from(name), None);
        if let Some(&known) = self.files.get(&key) {
            return Ok(known);
        }
        let node = self.push(name.to_string(), PathBuf::new(), Body::Builtin)?;
        self.files.insert(key, node);
        Ok(node)
    }

    fn edge(&mut self, importer: u32, ask: &Ask, target: u32, required: Required) {
        let node = &mut self.nodes[importer as usize];
        match ask.asked {
            Asked::Import => node.edges.push((ask.specifier.clone(), target)),
            Asked::Require => {
                node.edges.push((format!("{}{}", cjs::REQUIRE, ask.specifier), target));
                node.requires.push((ask.specifier.clone(), required));
            }
        }
    }

    fn unresolved(&mut self, importer: u32, ask: &Ask, unresolved: Unresolved) {
        let node = &mut self.nodes[importer as usize];
        if ask.tolerant {
            if ask.asked == Asked::Require {
                node.requires.push((ask.specifier.clone(), Required::Missing(unresolved.message)));
            }
            return;
        }
        let error = match unresolved.config {
            Some(error) => *error,
            None => {
                let error = BuildError::new(unresolved.kind, &node.name, unresolved.message);
                let error = error.at(&node.original, ask.span.start as usize, ask.span.end as usize);
                let jsx = ask.specifier.ends_with("/jsx-runtime").then(|| JSX_HELP.to_string());
                let help: Vec<_> = unresolved.help.into_iter().chain(jsx).collect();
                if help.is_empty() { error } else { error.help(help.join("\n")) }
            }
        };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// The module of a file, read and compiled when it is met for the first time.
    fn file(
        &mut self,
        path: &Path,
        taken_for: Option<(&'static str, Content)>,
        from: Option<(u32, &Ask)>,
    ) -> Result<u32, Stop> {
        let key = (path.to_path_buf(), taken_for.map(|(name, _)| name));
        if let Some(&known) = self.files.get(&key) {
            return Ok(known);
        }
        let name = match taken_for {
            Some((taken, _)) => format!("{}?{taken}", self.name(path)),
            None => self.name(path),
        };
        let node = self.push(name.clone(), path.to_path_buf(), Body::Failed)?;
        self.files.insert(key, node);
        let content = taken_for.map_or_else(|| self.content(path), |(_, content)| content);
        if let Some(error) = self.refuse(content, path, from) {
            self.errors.push(error);
            return Ok(node);
        }
        self.inputs.insert(path.to_path_buf());
        // The engine has a limit of its own for those.
        let bytes_max = match content {
            Content::WebAssembly => self.options.script_bytes_max,
            _ => self.options.module_bytes_max,
        };
        let bytes = match read::file(path, &name, bytes_max) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.errors.push(*error);
                return Ok(node);
            }
        };
        self.bytes += bytes.len() as u64;
        if self.bytes > self.options.script_bytes_max {
            let limit = self.options.script_bytes_max;
            let message = format!("with this file the script has more than script_bytes_max ({limit}) bytes");
            self.errors.push(BuildError::new(ErrorKind::Limit, name, message));
            return Err(Stop);
        }
        self.fill(node, content, bytes);
        Ok(node)
    }

    /// What a file is taken for: by the rules of the build, then by its ending.
    fn content(&self, path: &Path) -> Content {
        match self.options.taken_for(&self.name(path)) {
            Some(TakenFor::Text) => Content::Text,
            Some(TakenFor::Data) => Content::Bytes,
            Some(TakenFor::Wasm) => Content::WebAssembly,
            None => Content::of(path),
        }
    }

    /// A file that can't be a module, whatever is in it. The importer is the place to mend.
    fn refuse(&self, content: Content, path: &Path, from: Option<(u32, &Ask)>) -> Option<BuildError> {
        let extension = path.extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        let (message, help) = match content {
            Content::Declaration => {
                ("a type declaration has no code".to_string(), Some("write import type".to_string()))
            }
            Content::Unknown if extension.is_empty() => (
                "a file without an extension can't be imported".to_string(),
                Some(format!("importable are {IMPORTABLE}")),
            ),
            Content::Unknown => {
                (format!(".{extension} files can't be imported"), Some(format!("importable are {IMPORTABLE}")))
            }
            Content::Script(_) => return None,
            _ if from.is_some() => return None,
            Content::Json | Content::Text | Content::Bytes | Content::Array | Content::WebAssembly => {
                let help = "name a .js .mjs .ts .mts .tsx or .jsx file as the entry".to_string();
                (format!("the entry must be a script, and this is a .{extension} file"), Some(help))
            }
        };
        let error = match from {
            Some((importer, ask)) => {
                let node = &self.nodes[importer as usize];
                let error = BuildError::new(ErrorKind::Unsupported, &node.name, message);
                error.at(&node.original, ask.span.start as usize, ask.span.end as usize)
            }
            None => BuildError::new(ErrorKind::Entry, self.name(path), message),
        };
        Some(match help {
            Some(help) => error.help(help),
            None => error,
        })
    }

    fn fill(&mut self, node: u32, content: Content, bytes: Vec<u8>) {
        let name = self.nodes[node as usize].name.clone();
        let kind = match content {
            Content::Bytes => Some(ModuleKind::Bytes),
            Content::Array => Some(ModuleKind::Array),
            Content::WebAssembly => Some(ModuleKind::Wasm),
            _ => None,
        };
        if let Some(kind) = kind {
            self.nodes[node as usize].body = Body::Data(kind, bytes);
            return;
        }
        let text = match read::text(&name, bytes) {
            Ok(text) => text,
            Err(error) => return self.errors.push(*error),
        };
        let body = match content {
            Content::Json => read::json(&name, text).map(|t| Body::Data(ModuleKind::Json, t.into_bytes())),
            Content::Script(source_type) => return self.fill_script(node, source_type, text),
            _ => Ok(Body::Data(ModuleKind::Text, text.into_bytes())),
        };
        match body {
            Ok(body) => self.nodes[node as usize].body = body,
            Err(error) => self.errors.push(*error),
        }
    }

    fn fill_script(&mut self, node: u32, source_type: SourceType, text: String) {
        let path = self.nodes[node as usize].path.clone();
        let dialect = match self.resolver.dialect(&path, self.options) {
            Ok(dialect) => dialect,
            Err(unresolved) => {
                if let Some(error) = unresolved.config.filter(|e| !self.errors.contains(e)) {
                    self.errors.push(*error);
                }
                Dialect::new(self.options)
            }
        };
        let settings = Settings {
            package_type: self.resolver.package_type(&path),
            in_packages: is_in_packages(&path),
            defines: self.defines.clone(),
            mocks: self.tests.as_ref() == Some(&path),
            dialect,
            source_maps: self.options.source_maps,
            nesting_max: self.options.nesting_max,
            chain_max: self.options.chain_max,
        };
        let input = if settings.in_packages { None } else { self.input_map(&path, &text) };
        let name = self.nodes[node as usize].name.clone();
        let compiled = compile::compile(&Source { name: &name, text: &text, source_type }, &settings);
        self.nodes[node as usize].original = text;
        let mut compiled = match compiled {
            Ok(compiled) => compiled,
            Err(errors) => return self.errors.extend(errors),
        };
        if let Some(input) = input.filter(|_| settings.source_maps) {
            compiled.map = Some(input.behind(compiled.map.as_deref()));
        }
        for (pattern, span) in std::mem::take(&mut compiled.scan.patterns) {
            compiled.scan.imports.extend(self.expand(node, &pattern, span));
        }
        let node = &mut self.nodes[node as usize];
        node.asks = asks(&compiled.scan, settings.in_packages);
        node.body = if compiled.commonjs { Body::CommonJs(compiled) } else { Body::Esm(compiled) };
    }

    /// The source map that a file of the app brings along, read if it is a file beside it.
    fn input_map(&mut self, path: &Path, text: &str) -> Option<InputMap> {
        let directory = path.parent()?;
        let json = match source_map::reference(text)? {
            Reference::Inline(json) => json,
            Reference::File(name) => {
                let file = directory.join(name).canonicalize().ok()?;
                if !self.resolver.workspace.holds(&file) {
                    return None;
                }
                let bytes = read::file(&file, &self.name(&file), self.options.module_bytes_max).ok()?;
                self.inputs.insert(file);
                String::from_utf8(bytes).ok()?
            }
        };
        InputMap::parse(&json, directory, &self.root)
    }

    fn push(&mut self, name: String, path: PathBuf, body: Body) -> Result<u32, Stop> {
        let limit = self.options.modules_max;
        if self.nodes.len() >= limit as usize {
            let message = format!("the script has more than modules_max ({limit}) modules; this is one too many");
            self.errors.push(BuildError::new(ErrorKind::Limit, name, message));
            return Err(Stop);
        }
        let (edges, requires, asks, original) = (Vec::new(), Vec::new(), Vec::new(), String::new());
        self.nodes.push(Node { name, body, edges, requires, path, asks, original });
        Ok(self.nodes.len() as u32 - 1)
    }

    fn name(&self, path: &Path) -> String {
        name_of(&self.root, path).unwrap_or_else(|| path.to_string_lossy().into_owned())
    }
}

const JSX_HELP: &str =
    "JSX is compiled to calls of this module; choose another with \"jsxImportSource\" in tsconfig.json";

/// What a file asks for, each specifier once.
fn asks(scan: &Scan, in_packages: bool) -> Vec<Ask> {
    let imports = scan.imports.iter().map(|import| Ask {
        specifier: import.specifier.clone(),
        asked: Asked::Import,
        span: import.span,
        // Packages probe for what their platform may have; the promise is rejected at run time.
        tolerant: in_packages && import.kind == ImportKind::Dynamic,
    });
    let requires = scan.requires.iter().map(|require| Ask {
        specifier: require.specifier.clone(),
        asked: Asked::Require,
        span: require.span,
        tolerant: in_packages || require.guarded,
    });
    let mut asks: Vec<Ask> = Vec::new();
    let mut seen: HashMap<(Asked, String), usize> = HashMap::new();
    for ask in imports.chain(requires) {
        let at = *seen.entry((ask.asked, ask.specifier.clone())).or_insert(asks.len());
        match asks.get_mut(at) {
            Some(known) if known.tolerant && !ask.tolerant => *known = ask,
            Some(_) => {}
            None => asks.push(ask),
        }
    }
    asks.sort_by_key(|ask| ask.span.start);
    asks
}

impl Node {
    pub(crate) fn edge(&self, specifier: &str) -> Option<u32> {
        self.edges.iter().find(|(s, _)| s == specifier).map(|&(_, target)| target)
    }
}
