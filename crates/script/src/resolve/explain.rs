//! Messages for specifiers that resolve to nothing.

use super::*;
use crate::content::Content;

/// Candidates that a message names.
const TRIED_MAX: usize = 6;
/// Directory entries that are compared when a message looks for the nearest name.
const ENTRIES_MAX: usize = 2_000;

impl Resolver {
    pub(super) fn explain(
        &self,
        importer: &Path,
        specifier: &str,
        error: ResolveError,
        tried: &BTreeSet<PathBuf>,
    ) -> Unresolved {
        match error {
            ResolveError::Json(json) => {
                let (file, text) = (self.name(&json.path), read(&json.path));
                let message = format!("{} is not valid JSON: {}", file_name(&json.path), without_place(&json.message));
                let error = BuildError::new(ErrorKind::Config, file, message);
                self.config_error(error.at_line(&text, json.line, json.column))
            }
            ResolveError::TsconfigLoadFailed { path, source } => match *source {
                ResolveError::Json(_) => self.explain(importer, specifier, *source, tried),
                other => self.config_error(self.config(&path, format!("this file can't be read: {other}"))),
            },
            ResolveError::TsconfigNotFound(path) => {
                let owner = importer.ancestors().map(|d| d.join("tsconfig.json")).find(|p| p.is_file());
                let message = format!("it extends or refers to {}, which does not exist", self.name(&path));
                self.config_error(self.config(&owner.unwrap_or(path), message))
            }
            ResolveError::TsconfigSelfReference(path) => {
                self.config_error(self.config(&path, "this file refers to itself".into()))
            }
            ResolveError::TsconfigCircularExtend(paths) => {
                let path = paths.paths().first().cloned().unwrap_or_default();
                self.config_error(self.config(&path, "this file extends itself, over others".into()))
            }
            ResolveError::PackagePathNotExported { subpath, package_json_path, .. } => {
                self.not_exported(specifier, &subpath, &package_json_path)
            }
            ResolveError::PackageImportNotDefined(name, path) => unresolved(
                format!("\"{name}\" is not defined in \"imports\" of {}", self.name(&path)),
                self.keys_of(&path, "imports").map(|keys| format!("it defines {keys}")),
            ),
            ResolveError::InvalidPackageTarget(target, key, path) => unresolved(
                format!("cannot find \"{specifier}\": the target \"{target}\" of \"{key}\" is not allowed"),
                Some(format!("the package is broken: see {}", self.name(&path))),
            ),
            ResolveError::InvalidPackageConfig(path)
            | ResolveError::InvalidPackageConfigDefault(path)
            | ResolveError::InvalidPackageConfigDirectory(path) => unresolved(
                format!("cannot find \"{specifier}\": the \"exports\" of the package contradict each other"),
                Some(format!("the package is broken: see {}", self.name(&path))),
            ),
            _ if is_relative(specifier) => self.relative_not_found(importer, specifier, tried),
            _ => self.package_not_found(importer, specifier, tried),
        }
    }

    fn config(&self, path: &Path, message: String) -> BuildError {
        BuildError::new(ErrorKind::Config, self.name(path), message)
    }

    fn config_error(&self, error: BuildError) -> Unresolved {
        let message = error.message.clone();
        Unresolved { kind: ErrorKind::Config, message, help: None, config: Some(Box::new(error)) }
    }

    fn not_exported(&self, specifier: &str, subpath: &str, package_json: &Path) -> Unresolved {
        let json = package(package_json);
        let name = json.get("name").and_then(|n| n.as_str()).unwrap_or(specifier);
        let known = json.get("exports").and_then(|e| e.as_object()).is_some_and(|e| e.contains_key(subpath));
        if known || subpath == "." {
            let conditions = self.conditions.join(", ");
            return unresolved(
                format!("the package \"{name}\" exports nothing for \"{subpath}\" under the conditions {conditions}"),
                Some(format!("see \"exports\" in {}", self.name(package_json))),
            );
        }
        unresolved(
            format!("the package \"{name}\" does not export \"{subpath}\""),
            self.keys_of(package_json, "exports").map(|keys| format!("it exports {keys}")),
        )
    }

    fn keys_of(&self, package_json: &Path, field: &str) -> Option<String> {
        let json = package(package_json);
        let keys: Vec<_> = json.get(field)?.as_object()?.keys().map(|k| format!("\"{k}\"")).collect();
        let more = if keys.len() > TRIED_MAX { ", …" } else { "" };
        Some(keys.iter().take(TRIED_MAX).cloned().collect::<Vec<_>>().join(", ") + more)
    }

    fn relative_not_found(&self, importer: &Path, specifier: &str, tried: &BTreeSet<PathBuf>) -> Unresolved {
        let target = lexical_join(importer.parent().unwrap_or(importer), specifier);
        if target.is_dir() {
            return unresolved(
                format!("cannot find \"{specifier}\": it is a directory without an index file"),
                nearest_in(&target, "index")
                    .map(|n| format!("did you mean \"{}/{n}\"?", specifier.trim_end_matches('/'))),
            );
        }
        let near = nearest_path(importer.parent().unwrap_or(importer), specifier);
        let near = near.map(|near| format!("did you mean \"{near}\"?"));
        let prefix = target.to_string_lossy();
        let tried = tried.iter().filter(|p| p.to_string_lossy().starts_with(&*prefix)).cloned().collect();
        let tried = self.tried(&tried);
        let help = [near, tried].into_iter().flatten().collect::<Vec<_>>().join("\n");
        unresolved(format!("cannot find \"{specifier}\""), (!help.is_empty()).then_some(help))
    }

    fn package_not_found(&self, importer: &Path, specifier: &str, tried: &BTreeSet<PathBuf>) -> Unresolved {
        if specifier.starts_with('#') {
            let help = "specifiers that start with # are looked up in \"imports\" of the nearest package.json";
            return unresolved(format!("cannot find \"{specifier}\""), Some(help.into()));
        }
        let parts = if specifier.starts_with('@') { 2 } else { 1 };
        let package_name = specifier.split('/').take(parts).collect::<Vec<_>>().join("/");
        let stores: Vec<_> =
            importer.ancestors().skip(1).map(|d| d.join("node_modules")).filter(|d| d.is_dir()).collect();
        if let Some(directory) = stores.iter().map(|d| d.join(&package_name)).find(|d| d.is_dir()) {
            let message =
                format!("the package \"{package_name}\" is installed, but \"{specifier}\" leads to no file in it");
            let help = self.tried(tried).unwrap_or_else(|| format!("see {}", self.name(&directory)));
            return unresolved(message, Some(help));
        }
        if let Some(unsupported) = unsupported::by_bare_name(specifier) {
            return Unresolved {
                kind: ErrorKind::Unsupported,
                message: unsupported.message,
                help: unsupported.help,
                config: None,
            };
        }
        let near = stores.iter().find_map(|store| {
            let (directory, name) = match package_name.split_once('/') {
                Some((scope, name)) => (store.join(scope), name),
                None => (store.clone(), package_name.as_str()),
            };
            let near = nearest_in(&directory, name)?;
            let scope = package_name.split_once('/').map_or(String::new(), |(scope, _)| format!("{scope}/"));
            Some(format!("did you mean \"{scope}{near}\"?"))
        });
        let help = near.unwrap_or_else(|| format!("install it: npm install {package_name}"));
        unresolved(format!("the package \"{package_name}\" is not installed"), Some(help))
    }

    fn tried(&self, tried: &BTreeSet<PathBuf>) -> Option<String> {
        let is_likely = |p: &Path| {
            let doubled = p.extension().is_some()
                && Content::of(Path::new(p.file_stem().unwrap_or_default())) != Content::Unknown;
            !doubled && p.file_name().is_some_and(|n| n != "package.json" && n != "node_modules")
        };
        let names: Vec<_> = tried.iter().filter(|p| is_likely(p)).map(|p| self.name(p)).collect();
        let more = if names.len() > TRIED_MAX { ", …" } else { "" };
        let names: Vec<_> = names.into_iter().take(TRIED_MAX).collect();
        (!names.is_empty()).then(|| format!("tried {}{more}", names.join(", ")))
    }
}

fn unresolved(message: String, help: Option<String>) -> Unresolved {
    Unresolved { kind: ErrorKind::Unresolved, message, help, config: None }
}

fn is_relative(specifier: &str) -> bool {
    matches!(specifier, "." | "..") || specifier.starts_with("./") || specifier.starts_with("../")
}

fn lexical_join(directory: &Path, specifier: &str) -> PathBuf {
    let mut path = directory.to_path_buf();
    for part in specifier.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path
}

/// The specifier with its first wrong part replaced by the nearest right one.
fn nearest_path(directory: &Path, specifier: &str) -> Option<String> {
    let parts: Vec<_> = specifier.split('/').collect();
    for (i, part) in parts.iter().enumerate() {
        let parent = lexical_join(directory, &parts[..i].join("/"));
        if i + 1 == parts.len() || !parent.join(part).is_dir() {
            let near = nearest_in(&parent, part)?;
            return Some([&parts[..i], &[near.as_str()], &parts[i + 1..]].concat().join("/"));
        }
    }
    None
}

/// The entry of a directory whose name is nearest to `name`, with or without an extension.
pub(crate) fn nearest_in(directory: &Path, name: &str) -> Option<String> {
    let stem = |name: &str| name.split('.').next().unwrap_or(name).to_lowercase();
    let wanted = stem(name);
    let entries = std::fs::read_dir(directory).ok()?.flatten().take(ENTRIES_MAX);
    let names = entries.filter_map(|e| e.file_name().into_string().ok()).filter(|n| !n.starts_with('.'));
    let near = names.map(|n| (strsim::damerau_levenshtein(&stem(&n), &wanted), n)).min()?;
    (near.0 <= 1 + wanted.chars().count() / 4).then_some(near.1)
}

fn package(path: &Path) -> serde_json::Value {
    serde_json::from_str(&read(path)).unwrap_or_default()
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A parser's message without its own "at line 3 column 5": the frame shows that.
pub(crate) fn without_place(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}
