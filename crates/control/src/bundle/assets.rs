//! The files of an asset directory.
//!
//! Left out are names that begin with a dot (except `.well-known`), `node_modules`, the entry files
//! of workers, and `_routes.json`, which is for the servers of another platform; a warning names each of
//! those but the first kind. `_headers` and `_redirects` are checked here, a fault for each line that is
//! wrong, and go along as files that are not served. A link may lead anywhere within the directory and nowhere else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base::Digest;
use manifest::bounds::RULES_FILE_BYTES;
use manifest::site_files::{LineFault, Redirects, SiteHeaders};

use super::failure::{FileFault, code};
use super::{AssetFile, unreadable};
use crate::bounds::{ASSET_FILES, ASSET_PATH_BYTES};

/// At the root of a directory, another platform reads this and does not publish it.
const ROUTES_FILE: &str = "_routes.json";

const HEADERS_FILE: &str = "/_headers";
const REDIRECTS_FILE: &str = "/_redirects";
/// Lines of one file that are reported.
const RULE_FAULTS_MAX: usize = 20;

pub(super) struct Listing<'a> {
    /// The directory as the manifest names it, for messages.
    name: &'a str,
    /// Files that are never published, with their links resolved.
    hidden: &'a BTreeSet<PathBuf>,
    file_bytes_max: u64,
    root: PathBuf,
    /// The directories above the one being read, with their links resolved.
    chain: Vec<PathBuf>,
    full: bool,
    /// It is no directory but one file.
    alone: bool,
    pub files: Vec<AssetFile>,
    /// Every directory that was read.
    pub directories: Vec<PathBuf>,
    pub warnings: Vec<String>,
    pub faults: Vec<FileFault>,
}

impl<'a> Listing<'a> {
    pub fn new(name: &'a str, hidden: &'a BTreeSet<PathBuf>, file_bytes_max: u64) -> Self {
        Self {
            name,
            hidden,
            file_bytes_max,
            root: PathBuf::new(),
            chain: Vec::new(),
            full: false,
            alone: false,
            files: Vec::new(),
            directories: Vec::new(),
            warnings: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub fn read(&mut self, root: &Path) {
        match fs::canonicalize(root) {
            Ok(root) => {
                self.root.clone_from(&root);
                self.directory(&root, "");
                self.files.sort_by(|a, b| a.path.cmp(&b.path));
            }
            Err(error) => self.faults.push(unreadable(self.name, &error)),
        }
    }

    /// `dir` has its links resolved; `prefix` is how it is reached from the root.
    fn directory(&mut self, dir: &Path, prefix: &str) {
        self.directories.push(dir.to_path_buf());
        let entries = fs::read_dir(dir).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.faults.push(unreadable(&self.shown(prefix), &error)),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        self.chain.push(dir.to_path_buf());
        for entry in entries {
            if self.full {
                break;
            }
            self.entry(&entry.path(), &entry.file_name(), prefix);
        }
        self.chain.pop();
    }

    fn entry(&mut self, source: &Path, name: &std::ffi::OsStr, prefix: &str) {
        let Some(name) = name.to_str().filter(|name| !name.chars().any(char::is_control)) else {
            let message = format!("{} has a name that no URL can hold: {name:?}", self.shown(prefix));
            return self.fault(code::ASSET, message, prefix);
        };
        if name.starts_with('.') && name != ".well-known" {
            return;
        }
        let path = format!("{prefix}/{name}");
        if path.len() as u64 > ASSET_PATH_BYTES.max {
            let (found, max) = (path.len(), ASSET_PATH_BYTES.max);
            let message = format!("{} has a path of {found} bytes, asset_path_bytes allows {max}", self.shown(&path));
            return self.fault(code::ASSET, message, &path);
        }
        if let Some(why) = why_left_out(name, prefix) {
            return self.warnings.push(format!("{} is not published: {why}", self.shown(&path)));
        }
        let Some(source) = self.resolve(source, &path) else { return };
        match fs::metadata(&source) {
            Ok(meta) if meta.is_dir() => self.subdirectory(&source, &path),
            Ok(meta) if meta.is_file() => self.file(source, path, meta.len()),
            Ok(_) => self.fault(code::ASSET, format!("{} is no regular file", self.shown(&path)), &path),
            Err(error) => self.faults.push(unreadable(&self.shown(&path), &error)),
        }
    }

    /// The path behind links, if it lies within the directory.
    fn resolve(&mut self, source: &Path, path: &str) -> Option<PathBuf> {
        match fs::canonicalize(source) {
            Ok(target) if target.starts_with(&self.root) => Some(target),
            Ok(target) => {
                let message =
                    format!("{} is a link that leaves the asset directory, to {}", self.shown(path), target.display());
                self.fault(code::ASSET, message, path);
                None
            }
            Err(error) => {
                self.faults.push(unreadable(&self.shown(path), &error));
                None
            }
        }
    }

    fn subdirectory(&mut self, dir: &Path, path: &str) {
        if self.chain.iter().any(|above| above == dir) {
            let message = format!("{} is a link to a directory that holds it", self.shown(path));
            return self.fault(code::ASSET, message, path);
        }
        self.directory(dir, path);
    }

    fn file(&mut self, source: PathBuf, path: String, bytes: u64) {
        if self.hidden.contains(&source) {
            let message = format!("{} is not published: it is the entry file of a worker", self.shown(&path));
            return self.warnings.push(message);
        }
        if bytes > self.file_bytes_max {
            let max = self.file_bytes_max;
            let message = format!("{} has {bytes} bytes, artifact_bytes allows {max}", self.shown(&path));
            return self.fault(code::TOO_LARGE, message, &path);
        }
        if self.files.len() as u64 == ASSET_FILES.max {
            self.full = true;
            let message =
                format!("{} holds more files than asset_files allows, which is {}", self.name, ASSET_FILES.max);
            return self.fault(code::TOO_LARGE, message, "");
        }
        match fs::read(&source) {
            Ok(content) => {
                self.check_rules(&path, &content);
                let (digest, bytes) = (Digest::of(&content), content.len() as u64);
                self.files.push(AssetFile { path, digest, bytes, source });
            }
            Err(error) => self.faults.push(unreadable(&self.shown(&path), &error)),
        }
    }

    /// A file of redirects in place of a directory.
    pub fn redirects(&mut self, file: &Path) {
        self.alone = true;
        self.file(file.to_path_buf(), REDIRECTS_FILE.to_owned(), fs::metadata(file).map_or(0, |meta| meta.len()));
    }

    /// The rules of a directory have to be understood before they are relied upon.
    fn check_rules(&mut self, path: &str, content: &[u8]) {
        if !matches!(path, REDIRECTS_FILE | HEADERS_FILE) {
            return;
        }
        if content.len() as u64 > RULES_FILE_BYTES.max {
            let (found, max) = (content.len(), RULES_FILE_BYTES.max);
            let message = format!("{} has {found} bytes, rules_file_bytes allows {max}", self.shown(path));
            return self.fault(code::TOO_LARGE, message, path);
        }
        let Ok(text) = std::str::from_utf8(content) else {
            return self.fault(code::ASSET, format!("{} is no text in UTF-8", self.shown(path)), path);
        };
        let faults = if path == REDIRECTS_FILE { Redirects::parse(text).1 } else { SiteHeaders::parse(text).1 };
        // A file in another format altogether is one mistake, not ten thousand.
        for LineFault { line, message } in faults.into_iter().take(RULE_FAULTS_MAX) {
            self.fault(code::ASSET, format!("{}:{line}: {message}", self.shown(path)), path);
        }
    }

    /// A path below the directory, as it is seen from the manifest.
    fn shown(&self, path: &str) -> String {
        if self.alone { self.name.to_owned() } else { format!("{}{path}", self.name) }
    }

    fn fault(&mut self, code: &'static str, message: String, path: &str) {
        let file = self.shown(path);
        self.faults.push(FileFault::new(code, message).file(&file));
    }
}

fn why_left_out(name: &str, prefix: &str) -> Option<&'static str> {
    if name == "node_modules" {
        return Some("packages are for the build");
    }
    let is_rule = prefix.is_empty() && name == ROUTES_FILE;
    is_rule.then_some("it is for the servers of another platform, and this version does not apply it")
}
