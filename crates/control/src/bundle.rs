//! From a directory to everything that a deployment consists of. The one place where the files of
//! an app are read.
//!
//! Promises:
//! - Equal files give an equal bundle; no absolute path and no time enters what is deployed.
//! - A build that fails reports every independent problem it found, and names what to watch for
//!   it to be mended.
//! - Nothing from outside an asset directory is ever published by it, whatever its links say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base::{Artifact, Digest, NodeLimits, WorkerName};
use bytes::Bytes;
use manifest::{
    BuildSettings, Diagnostic, ExportUse, ModuleKind, PathRole, PathUse, Plan, Report, Source, WorkerKind, WorkerPlan,
};

use crate::document::{AssetEntry, Document, DocumentError, Migrations};

mod assets;
mod component;
mod failure;
mod features;
mod migrations;

pub use failure::{BuildFailure, BuildFault, FaultView, FileFault, code};

/// The variables for development, beside the manifest.
pub const DEV_VARS: &str = ".dev.vars";
/// Those for tests, which stand in for them: they hold nothing secret, and can be kept with the code.
pub const TEST_VARS: &str = ".test.vars";

/// What the caller chose.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The environment of the manifest to apply.
    pub env: Option<String>,
    /// Reads variables for development. What was built with them can be run, and not deployed.
    pub dev: bool,
    /// The files that may hold them, beside the manifest: the first that is there is read.
    pub vars_files: &'static [&'static str],
    /// The longest artifact and the largest asset that will be accepted.
    pub artifact_bytes: u64,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self { env: None, dev: false, vars_files: &[DEV_VARS], artifact_bytes: NodeLimits::default().artifact_bytes }
    }
}

/// An app, built.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub plan: Plan,
    /// In the order of the plan's workers.
    pub workers: Vec<BuiltWorker>,
    /// In the order of the plan's asset directories; the files in the order of their paths.
    pub assets: Vec<Vec<AssetFile>>,
    /// By the databases that they are for.
    pub migrations: Migrations,
    /// Every file and directory whose change means another build, absolute and sorted. Some need
    /// not exist: a `.dev.vars` that is written later changes the build as well.
    pub inputs: Vec<PathBuf>,
    /// What a person should know, a sentence each.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct BuiltWorker {
    pub artifact: Artifact,
    /// The artifact, encoded.
    pub bytes: Bytes,
    pub digest: Digest,
}

/// A file of an asset directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetFile {
    /// From the asset directory, with a slash in front: `/a/b.css`.
    pub path: String,
    pub digest: Digest,
    pub bytes: u64,
    /// Where it lies.
    pub source: PathBuf,
}

impl Bundle {
    /// The deployment that this bundle makes.
    pub fn document(&self) -> Result<Document, DocumentError> {
        let entry = |file: &AssetFile| (file.path.clone(), AssetEntry { digest: file.digest, bytes: file.bytes });
        let assets = self.assets.iter().map(|files| files.iter().map(entry).collect()).collect();
        let workers = self.workers.iter().map(|worker| worker.digest).collect();
        Document::new(self.plan.clone(), workers, assets, self.migrations.clone())
    }
}

/// Builds the app in a directory. Reads files and computes for as long as that takes: call it on a
/// thread that may block.
pub fn build_app(dir: &Path, options: &BuildOptions) -> Result<Bundle, BuildFailure> {
    let mut build = Build {
        dir: absolute(dir),
        options,
        inputs: BTreeSet::new(),
        faults: Vec::new(),
        warnings: Vec::new(),
        exports: BTreeMap::new(),
    };
    match build.run() {
        Some((plan, workers, assets, migrations)) if build.faults.is_empty() => {
            let inputs = build.inputs.into_iter().collect();
            Ok(Bundle { plan, workers, assets, migrations, inputs, warnings: build.warnings })
        }
        _ => Err(BuildFailure { faults: build.faults, inputs: build.inputs.into_iter().collect() }),
    }
}

/// The directory with its links resolved, so that what is compared later is comparable.
fn absolute(dir: &Path) -> PathBuf {
    fs::canonicalize(dir).or_else(|_| std::path::absolute(dir)).unwrap_or_else(|_| dir.to_path_buf())
}

struct Build<'a> {
    dir: PathBuf,
    options: &'a BuildOptions,
    inputs: BTreeSet<PathBuf>,
    faults: Vec<BuildFault>,
    warnings: Vec<String>,
    /// What the entries of scripts export, where their text tells.
    exports: BTreeMap<WorkerName, BTreeSet<String>>,
}

type Parts = (Plan, Vec<BuiltWorker>, Vec<Vec<AssetFile>>, Migrations);

impl Build<'_> {
    /// None only if there are faults.
    fn run(&mut self) -> Option<Parts> {
        let name = self.find_manifest()?;
        let plan = self.read_manifest(name)?;
        self.check_paths(&plan);
        let workers: Vec<_> = plan.workers.iter().map(|worker| self.worker(worker)).collect();
        self.check_exports(&plan);
        let assets = self.assets(&plan);
        let migrations = self.migrations(&plan);
        Some((plan, workers.into_iter().collect::<Option<_>>()?, assets, migrations))
    }

    fn find_manifest(&mut self) -> Option<&'static str> {
        let looked_for = manifest::FILE_NAMES.iter().copied();
        let mut found: Vec<_> = looked_for.filter(|name| self.dir.join(name).is_file()).collect();
        if found.is_empty() {
            self.inputs.extend(manifest::FILE_NAMES.iter().map(|name| self.dir.join(name)));
            let (code, message, help) = if self.dir.is_dir() {
                let message =
                    format!("{} holds no manifest; looked for {}", self.dir.display(), manifest::FILE_NAMES.join(", "));
                (
                    code::NO_MANIFEST,
                    message,
                    "to start an app here, run `selvedge init`; otherwise name the app's directory",
                )
            } else {
                let message = format!("{} is no directory", self.dir.display());
                (code::NO_DIRECTORY, message, "name the directory that holds the app's manifest")
            };
            self.faults.push(FileFault::new(code, message).help(help).into());
            return None;
        }
        let first = found.remove(0);
        if !found.is_empty() {
            self.warnings.push(format!("{first} is the manifest; {} beside it is not read", found.join(", ")));
        }
        Some(first)
    }

    fn read_manifest(&mut self, name: &'static str) -> Option<Plan> {
        let text = self.read_text(name)?;
        let vars_files = if self.options.dev { self.options.vars_files } else { &[] };
        self.inputs.extend(vars_files.iter().map(|name| self.dir.join(name)));
        let dev_vars = match vars_files.iter().find(|name| self.dir.join(name).exists()) {
            Some(&name) => Some((name, self.read_text(name)?)),
            None => None,
        };
        let dev_vars = dev_vars.as_ref().map(|(path, text)| Source { path, text });
        let options = manifest::Options { env: self.options.env.as_deref(), dev_vars };
        let format = manifest::format_of(name).expect("every name that is looked for has a format");
        match manifest::read(format, Source { path: name, text: &text }, &options) {
            Ok(plan) => Some(plan),
            Err(report) => {
                self.faults.push(BuildFault::Manifest(report));
                None
            }
        }
    }

    fn read_text(&mut self, name: &str) -> Option<String> {
        let path = self.dir.join(name);
        self.inputs.insert(path.clone());
        let fault = match fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) => return Some(text),
            Ok(Err(error)) => {
                let at = error.utf8_error().valid_up_to();
                FileFault::new(code::UNREADABLE, format!("{name} is not UTF-8, from its byte {at} on"))
            }
            Err(error) => unreadable(name, &error),
        };
        self.faults.push(fault.file(name).into());
        None
    }

    /// Whether every export that a binding names is there, as far as sources tell.
    fn check_exports(&mut self, plan: &Plan) {
        let problem = |wanted: &ExportUse| {
            let worker = &plan.worker(wanted.worker).name;
            let exports = self.exports.get(worker)?;
            (!exports.contains(&wanted.export)).then(|| Diagnostic::missing_export(wanted, worker.as_str(), exports))
        };
        let problems: Vec<_> = plan.origins.exports.iter().filter_map(problem).collect();
        if !problems.is_empty() {
            self.faults.push(BuildFault::Manifest(Report { problems }));
        }
    }

    /// Whether everything that the manifest names is there.
    fn check_paths(&mut self, plan: &Plan) {
        let problems: Vec<_> = plan.origins.paths.iter().filter_map(|wanted| self.path_problem(wanted)).collect();
        for wanted in &plan.origins.paths {
            self.inputs.insert(self.dir.join(&wanted.path));
        }
        if !problems.is_empty() {
            self.faults.push(BuildFault::Manifest(Report { problems }));
        }
    }

    fn path_problem(&self, wanted: &PathUse) -> Option<Diagnostic> {
        let path = self.dir.join(&wanted.path);
        let (fits, message) = match &wanted.role {
            PathRole::Entry(worker) => {
                (path.is_file(), format!("the entry of worker `{worker}` is no file: {}", wanted.path))
            }
            PathRole::Migrations => {
                (path.is_dir(), format!("the directory of migrations is no directory: {}", wanted.path))
            }
            PathRole::Redirects => (path.is_file(), format!("the file of redirects is no file: {}", wanted.path)),
            PathRole::Assets => (path.is_dir(), format!("the asset directory is no directory: {}", wanted.path)),
        };
        match fits {
            true => None,
            false if path.exists() => {
                Some(Diagnostic::new(manifest::report::code::MISSING_FILE, message).at(wanted.place.clone()))
            }
            false => Some(Diagnostic::missing_path(wanted)),
        }
    }

    fn worker(&mut self, worker: &WorkerPlan) -> Option<BuiltWorker> {
        // That an entry is missing was said with its place in the manifest.
        if !self.dir.join(&worker.entry).is_file() {
            return None;
        }
        let artifact = match worker.kind {
            WorkerKind::Script => self.script(worker)?,
            WorkerKind::Component => self.component(worker)?,
        };
        let bytes = Bytes::from(artifact.encode());
        if bytes.len() as u64 > self.options.artifact_bytes {
            let (found, max) = (bytes.len(), self.options.artifact_bytes);
            let message = format!("worker `{}` has {found} bytes when built, artifact_bytes allows {max}", worker.name);
            self.faults.push(FileFault::new(code::TOO_LARGE, message).file(&worker.entry).into());
            return None;
        }
        let digest = Digest::of(&bytes);
        Some(BuiltWorker { artifact, bytes, digest })
    }

    fn script(&mut self, worker: &WorkerPlan) -> Option<Artifact> {
        match script::build(&self.dir, Path::new(&worker.entry), &script_options(&worker.build)) {
            Ok(built) => {
                self.inputs.extend(built.inputs);
                self.exports.extend(built.exports.map(|exports| (worker.name.clone(), exports)));
                let mut script = built.script;
                script.warm.clone_from(&worker.warm);
                features::mark(worker, &mut script);
                Some(Artifact::Script(script))
            }
            Err(errors) => {
                self.inputs.extend(errors.inputs.iter().cloned());
                self.faults.push(BuildFault::Script { worker: worker.name.clone(), errors });
                None
            }
        }
    }

    fn component(&mut self, worker: &WorkerPlan) -> Option<Artifact> {
        let fault = match fs::read(self.dir.join(&worker.entry)) {
            Ok(bytes) => match component::check(&bytes) {
                Ok(()) => return Some(Artifact::Component(bytes)),
                Err(error) => {
                    let message = format!("{}, the entry of worker `{}`, {error}", worker.entry, worker.name);
                    FileFault::new(base::code::BAD_COMPONENT.name, message).help(error.help())
                }
            },
            Err(error) => unreadable(&worker.entry, &error),
        };
        self.faults.push(fault.file(&worker.entry).into());
        None
    }

    fn assets(&mut self, plan: &Plan) -> Vec<Vec<AssetFile>> {
        let entries = plan.workers.iter().map(|worker| fs::canonicalize(self.dir.join(&worker.entry)));
        let hidden: BTreeSet<PathBuf> = entries.filter_map(Result::ok).collect();
        let redirects = |wanted: &&PathUse| matches!(wanted.role, PathRole::Redirects);
        let is_redirects = |path: &str| plan.origins.paths.iter().filter(redirects).any(|wanted| wanted.path == path);
        let mut lists = Vec::new();
        for assets in &plan.assets {
            let mut listing = assets::Listing::new(&assets.directory, &hidden, self.options.artifact_bytes);
            let root = self.dir.join(&assets.directory);
            if root.is_dir() {
                listing.read(&root);
            } else if root.is_file() && is_redirects(&assets.directory) {
                listing.redirects(&root);
                self.inputs.insert(root);
            }
            self.inputs.extend(listing.directories);
            self.faults.extend(listing.faults.into_iter().map(BuildFault::from));
            self.warnings.extend(listing.warnings);
            lists.push(listing.files);
        }
        lists
    }
}

pub(crate) fn unreadable(name: &str, error: &io::Error) -> FileFault {
    FileFault::new(code::UNREADABLE, format!("{name} can't be read: {error}")).file(name)
}

/// The files by path; two directories of a plan may share some.
pub(crate) fn sources(bundle: &Bundle) -> BTreeMap<Digest, &AssetFile> {
    bundle.assets.iter().flatten().map(|file| (file.digest, file)).collect()
}

/// The options of a build, from what a manifest says about it.
pub fn script_options(settings: &BuildSettings) -> script::Options {
    let pairs = |map: &BTreeMap<String, String>| map.iter().map(|(from, to)| (from.clone(), to.clone())).collect();
    let rules = settings.rules.iter().map(|rule| script::Rule {
        globs: rule.globs.clone(),
        taken_for: match rule.kind {
            ModuleKind::Text => script::TakenFor::Text,
            ModuleKind::Data => script::TakenFor::Data,
            ModuleKind::Wasm => script::TakenFor::Wasm,
        },
    });
    script::Options {
        define: pairs(&settings.define),
        alias: pairs(&settings.alias),
        rules: rules.collect(),
        ..script::Options::default()
    }
}

#[cfg(test)]
mod tests;
