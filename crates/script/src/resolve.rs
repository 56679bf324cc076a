//! From a specifier to a file, the way Node, TypeScript and bundlers agree on; and, where nothing is
//! found, to a message that says what was tried and what is near.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::builtin;
use oxc_resolver::{ResolveContext, ResolveError, ResolveOptions, Resolver as Oxc, TsConfig, TsconfigDiscovery};

use crate::compile::{Dialect, PackageType};
use crate::error::{BuildError, ErrorKind};
use crate::name::{is_in_packages, name_of};
use crate::options::Options;
use crate::unsupported;
use crate::workspace::Workspace;

mod explain;

/// The scheme of Node's modules.
const NODE: &str = "node:";

pub(crate) use explain::{nearest_in, without_place};

/// How a module is asked for: it decides the conditions of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    Import,
    Require,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A file, free of symlinks.
    File(PathBuf),
    /// A file that its package replaces by nothing (`"browser": { "./x": false }`).
    Empty(PathBuf),
    /// A module of the platform, by its name with the scheme.
    Builtin(String),
}

/// Why a specifier resolves to nothing. The importer adds the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub kind: ErrorKind,
    pub message: String,
    pub help: Option<String>,
    /// The broken package.json or tsconfig.json, when that is the place to look at.
    pub config: Option<Box<BuildError>>,
}

pub(crate) struct Resolver {
    root: PathBuf,
    pub workspace: Workspace,
    conditions: Vec<String>,
    /// Longer ones first.
    alias: Vec<(String, String)>,
    testing: bool,
    own: Pair,
    packages: Pair,
    types: HashMap<PathBuf, Option<PackageType>>,
    /// package.json and tsconfig.json files that had a say.
    pub inputs: BTreeSet<PathBuf>,
}

struct Pair {
    import: Oxc,
    require: Oxc,
}

impl Resolver {
    pub(crate) fn new(root: &Path, options: &Options) -> Self {
        let own = ["ts", "tsx", "mts", "js", "mjs", "jsx", "cjs", "cts", "json"];
        // Packages may ship their TypeScript beside the JavaScript that they mean.
        let packages = ["js", "mjs", "cjs", "json", "jsx", "ts", "tsx", "mts", "cts"];
        let first = Oxc::new(resolve_options(options, &own, Asked::Import));
        let then = |extensions, asked| first.clone_with_options(resolve_options(options, extensions, asked));
        let require = then(&own, Asked::Require);
        let packages = Pair { import: then(&packages, Asked::Import), require: then(&packages, Asked::Require) };
        Self {
            root: root.to_path_buf(),
            workspace: Workspace::of(root),
            conditions: options.conditions.clone(),
            alias: longest_first(&options.alias),
            testing: options.testing,
            own: Pair { import: first, require },
            packages,
            types: HashMap::new(),
            inputs: BTreeSet::new(),
        }
    }

    pub(crate) fn resolve(&mut self, importer: &Path, specifier: &str, asked: Asked) -> Result<Target, Unresolved> {
        match self.aliased(specifier) {
            // As if the app directory had a file with this import.
            Some(path) if path.starts_with('.') => {
                let importer = self.root.join("alias.mjs");
                self.resolve_as_it_is(&importer, &path, asked)
            }
            Some(other) => self.resolve_as_it_is(importer, &other, asked),
            None => self.resolve_as_it_is(importer, specifier, asked),
        }
    }

    /// What an alias makes of a specifier: of its own, and of what begins with it as with a folder.
    fn aliased(&self, specifier: &str) -> Option<String> {
        self.alias.iter().find_map(|(from, to)| match specifier.strip_prefix(from.as_str())? {
            "" => Some(to.clone()),
            rest if rest.starts_with('/') => Some(format!("{to}{rest}")),
            _ => None,
        })
    }

    fn resolve_as_it_is(&mut self, importer: &Path, specifier: &str, asked: Asked) -> Result<Target, Unresolved> {
        if self.testing
            && let Some((_, name)) = builtin::TEST_ALIASES.iter().find(|(alias, _)| *alias == specifier)
        {
            return Ok(Target::Builtin(name.to_string()));
        }
        if builtin::is_module(specifier) && (self.testing || !builtin::TEST_MODULES.contains(&specifier)) {
            return Ok(Target::Builtin(specifier.to_string()));
        }
        if let Some(refusal) = refuse(specifier) {
            return Err(refusal);
        }
        let tsconfig = self.tsconfig(importer)?;
        let pair = if is_in_packages(importer) { &self.packages } else { &self.own };
        let oxc = match asked {
            Asked::Import => &pair.import,
            Asked::Require => &pair.require,
        };
        let directory = importer.parent().unwrap_or(importer);
        let mut context = ResolveContext::default();
        let found = oxc.resolve_with_context(directory, specifier, tsconfig.as_deref(), &mut context);
        let files = context.file_dependencies.into_iter();
        self.inputs.extend(files.filter(|f| f.file_name().is_some_and(|n| n == "package.json")));
        match found {
            // The way of Workers' build tools to ask for a `WebAssembly.Module`, which is what one gets anyway.
            Ok(found) if found.query() == Some("?module") && found.path().extension().is_some_and(|e| e == "wasm") => {
                self.inside(specifier, found.into_path_buf())
            }
            Ok(found) if found.query().is_some() => Err(Unresolved {
                kind: ErrorKind::Unsupported,
                message: format!("query strings in specifiers are not supported: {specifier}"),
                help: None,
                config: None,
            }),
            Ok(found) => self.inside(specifier, found.into_path_buf()),
            Err(ResolveError::Ignored(path)) => Ok(Target::Empty(path)),
            // A package of that name would have been found: Node's own modules go by bare names too.
            Err(_) if builtin::is_module(&format!("{NODE}{}", bare(specifier))) => {
                Ok(Target::Builtin(format!("{NODE}{}", bare(specifier))))
            }
            Err(error) => {
                let tried = context.missing_dependencies.into_iter().collect();
                Err(self.explain(importer, specifier, error, &tried))
            }
        }
    }

    /// Refuses what a symlink or a path leads to beyond the workspace.
    fn inside(&self, specifier: &str, file: PathBuf) -> Result<Target, Unresolved> {
        if self.workspace.holds(&file) {
            return Ok(Target::File(file));
        }
        let (file, top) = (self.name(&file), self.name(&self.workspace.top));
        let top = if top.is_empty() { "the app's directory".to_string() } else { format!("the workspace {top}") };
        Err(Unresolved {
            kind: ErrorKind::Unsupported,
            message: format!("\"{specifier}\" leads to {file}, outside of {top}"),
            help: Some(
                "a workspace is a directory with pnpm-workspace.yaml, .git, or a package.json that names workspaces"
                    .into(),
            ),
            config: None,
        })
    }

    /// The dialect of a file of the app, by the tsconfig.json above it.
    pub(crate) fn dialect(&mut self, file: &Path, options: &Options) -> Result<Dialect, Unresolved> {
        let mut dialect = Dialect::new(options);
        let Some(tsconfig) = self.tsconfig(file)? else { return Ok(dialect) };
        let said = &tsconfig.compiler_options;
        if let Some(source) = &said.jsx_import_source {
            dialect.jsx_import_source = source.clone();
        }
        dialect.jsx_classic = said.jsx.as_deref() == Some("react");
        dialect.jsx_factory = said.jsx_factory.clone();
        dialect.jsx_fragment_factory = said.jsx_fragment_factory.clone();
        dialect.legacy_decorators = said.experimental_decorators == Some(true);
        dialect.decorator_metadata = said.emit_decorator_metadata == Some(true);
        dialect.strict_null_checks = said.strict_null_checks.or(said.strict) == Some(true);
        dialect.verbatim_module_syntax = said.verbatim_module_syntax == Some(true);
        // TypeScript's own default depends on the target.
        let old_target = said.target.as_deref().is_some_and(|t| is_before_es2022(&t.to_ascii_lowercase()));
        dialect.define_class_fields = said.use_define_for_class_fields.unwrap_or(!old_target);
        Ok(dialect)
    }

    /// `type` of the nearest package.json.
    pub(crate) fn package_type(&mut self, file: &Path) -> Option<PackageType> {
        let directory = file.parent()?.to_path_buf();
        if let Some(known) = self.types.get(&directory) {
            return *known;
        }
        let found = self.read_package_type(&directory);
        self.types.insert(directory, found);
        found
    }

    fn read_package_type(&mut self, directory: &Path) -> Option<PackageType> {
        for directory in directory.ancestors().take_while(|d| d.file_name().is_none_or(|n| n != "node_modules")) {
            let path = directory.join("package.json");
            let Ok(text) = std::fs::read(&path) else { continue };
            self.inputs.insert(path);
            // What is wrong with it is reported when it decides a resolution.
            let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
            return match json.get("type").and_then(|t| t.as_str()) {
                Some("module") => Some(PackageType::Module),
                Some("commonjs") => Some(PackageType::CommonJs),
                _ => None,
            };
        }
        None
    }

    fn tsconfig(&mut self, file: &Path) -> Result<Option<Arc<TsConfig>>, Unresolved> {
        match self.own.import.find_tsconfig(file) {
            Ok(tsconfig) => {
                self.inputs.extend(tsconfig.iter().map(|t| t.path().to_path_buf()));
                Ok(tsconfig)
            }
            Err(error) => Err(self.explain(file, "", error, &BTreeSet::new())),
        }
    }

    fn name(&self, path: &Path) -> String {
        name_of(&self.root, path).unwrap_or_else(|| path.to_string_lossy().into_owned())
    }
}

/// `events/` means the package where there is one, else Node's own module.
fn bare(specifier: &str) -> &str {
    specifier.strip_suffix('/').unwrap_or(specifier)
}

fn longest_first(alias: &[(String, String)]) -> Vec<(String, String)> {
    let mut alias = alias.to_vec();
    alias.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
    alias
}

fn is_before_es2022(target: &str) -> bool {
    let old = ["es3", "es5", "es6"];
    old.contains(&target) || target.strip_prefix("es").and_then(|y| y.parse().ok()).is_some_and(|y: u32| y < 2022)
}

fn resolve_options(options: &Options, extensions: &[&str], asked: Asked) -> ResolveOptions {
    let strings = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
    let alias = |from: &str, to: &[&str]| (from.to_string(), strings(to));
    let conditions = options.conditions.iter().map(|condition| match (condition.as_str(), asked) {
        ("import", Asked::Require) => "require".to_string(),
        _ => condition.clone(),
    });
    let browser = options.conditions.iter().any(|c| c == "browser");
    let mut main_fields = match asked {
        Asked::Import => vec!["module".to_string(), "main".to_string()],
        Asked::Require => vec!["main".to_string(), "module".to_string()],
    };
    if browser {
        main_fields.insert(0, "browser".to_string());
    }
    ResolveOptions {
        condition_names: conditions.collect(),
        alias_fields: if browser { vec![vec!["browser".to_string()]] } else { Vec::new() },
        extensions: extensions.iter().map(|e| format!(".{e}")).collect(),
        extension_alias: vec![
            alias(".js", &[".js", ".ts", ".tsx", ".jsx"]),
            alias(".jsx", &[".jsx", ".tsx"]),
            alias(".mjs", &[".mjs", ".mts"]),
            alias(".cjs", &[".cjs", ".cts"]),
        ],
        main_fields,
        tsconfig: Some(TsconfigDiscovery::Auto),
        // An artifact must not depend on the environment of the build.
        node_path: false,
        ..ResolveOptions::default()
    }
}

fn refuse(specifier: &str) -> Option<Unresolved> {
    let refusal = |message: String, help: Option<String>| {
        Some(Unresolved { kind: ErrorKind::Unsupported, message, help, config: None })
    };
    if specifier.is_empty() {
        return refusal("the specifier is empty".into(), None);
    }
    if let Some(unsupported) = unsupported::by_scheme(specifier) {
        return refusal(unsupported.message, unsupported.help);
    }
    if Path::new(specifier).is_absolute() {
        let help = "write a path that starts with ./ or ../".to_string();
        return refusal(format!("an absolute path means another file on another machine: {specifier}"), Some(help));
    }
    None
}
