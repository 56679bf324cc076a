//! Which files a directory has.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use base::Digest;
use bytes::Bytes;
use http::HeaderValue;
use manifest::HtmlHandling;
use manifest::bounds::RULES_FILE_BYTES;
use manifest::site_files::{Redirects, SiteHeaders};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::choose;

/// The files of rules of a directory, which are not served.
const RULE_FILES: [&str; 2] = ["_redirects", "_headers"];

/// A file up to this size is kept in memory once it was asked for, while there is room.
pub const IN_MEMORY_BYTES_MAX: u64 = 256 << 10;

/// What files of all indexes may hold in memory together.
#[derive(Debug)]
pub struct AssetMemory {
    bytes_max: u64,
    used: AtomicU64,
}

impl AssetMemory {
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, used: AtomicU64::new(0) })
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let room = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.bytes_max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
    }
}

/// A file of a deployment.
#[derive(Debug, Clone)]
pub struct AssetEntry {
    /// Relative to the asset directory, with forward slashes, not encoded: `docs/index.html`.
    pub path: String,
    pub digest: Digest,
    pub size: u64,
    /// Where its content lies.
    pub file: PathBuf,
}

/// Why a directory can't be indexed.
#[derive(Debug, thiserror::Error)]
#[error("can't read the asset directory at {}: {source}", .path.display())]
pub struct AssetsError {
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

/// One file, ready to be served.
#[derive(Debug)]
pub(crate) struct Asset {
    pub file: PathBuf,
    pub size: u64,
    pub etag: HeaderValue,
    pub content_type: HeaderValue,
    /// Its name stands for this content alone.
    pub fingerprinted: bool,
    /// The same content in other codings: the coding, the size, and the path of the file.
    pub variants: Vec<(&'static str, u64, Box<str>)>,
    bytes: OnceLock<Bytes>,
    memory: Arc<AssetMemory>,
}

impl Asset {
    pub fn in_memory(&self) -> Option<&Bytes> {
        self.bytes.get()
    }

    /// Keeps the content, if there is room.
    pub fn keep(&self, bytes: &Bytes) {
        if self.memory.take(self.size) && self.bytes.set(bytes.clone()).is_err() {
            self.memory.used.fetch_sub(self.size, Ordering::Relaxed);
        }
    }
}

impl Drop for Asset {
    fn drop(&mut self) {
        if self.bytes.get().is_some() {
            self.memory.used.fetch_sub(self.size, Ordering::Relaxed);
        }
    }
}

/// What a path stands for.
#[derive(Debug)]
pub(crate) enum Lookup<'a> {
    File(&'a Asset),
    /// Another path, encoded.
    Redirect(String),
    Missing,
    /// The path can't name a file.
    Refused,
}

/// The files of one asset directory. Immutable; a change makes a new one.
#[derive(Debug)]
pub struct AssetIndex {
    /// By decoded path, beginning with a slash.
    files: HashMap<Box<str>, Asset>,
    /// Files that were left out, and why.
    skipped: Vec<(PathBuf, &'static str)>,
    html: HtmlHandling,
    /// Of `_redirects`.
    pub(crate) redirects: Redirects,
    /// Of `_headers`.
    pub(crate) headers: SiteHeaders,
}

impl AssetIndex {
    /// Of a deployment: everything is known, nothing is read yet but for the files of rules.
    pub fn new(
        entries: impl IntoIterator<Item = AssetEntry>,
        memory: &Arc<AssetMemory>,
        html: HtmlHandling,
    ) -> Arc<Self> {
        let (rules, entries): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| RULE_FILES.contains(&entry.path.as_str()));
        let text = |name: &str| {
            let file = rules.iter().find(|entry| entry.path == name)?;
            // What is wrong in it was told when it was deployed; the rest of it holds.
            std::fs::read_to_string(&file.file).ok().filter(|text| text.len() as u64 <= RULES_FILE_BYTES.max)
        };
        let redirects = text(RULE_FILES[0]).map(|text| Redirects::parse(&text).0).unwrap_or_default();
        let headers = text(RULE_FILES[1]).map(|text| SiteHeaders::parse(&text).0).unwrap_or_default();
        let files = entries.into_iter().filter(|entry| !is_hidden(&entry.path)).map(|entry| {
            let path = format!("/{}", entry.path).into_boxed_str();
            let digits = entry.digest.to_string();
            let asset = Asset {
                etag: HeaderValue::try_from(format!("\"{}\"", &digits[..32])).unwrap_or(HeaderValue::from_static("")),
                content_type: content_type(&entry.path),
                fingerprinted: choose::is_fingerprinted(&path),
                variants: Vec::new(),
                file: entry.file,
                size: entry.size,
                bytes: OnceLock::new(),
                memory: memory.clone(),
            };
            (path, asset)
        });
        let mut files: HashMap<Box<str>, Asset> = files.collect();
        let variants: Vec<_> = files.keys().filter_map(|path| Some((path.clone(), variants(&files, path)?))).collect();
        for (path, variants) in variants {
            if let Some(asset) = files.get_mut(&path) {
                asset.variants = variants;
            }
        }
        Arc::new(Self { files, skipped: Vec::new(), html, redirects, headers })
    }

    /// Of a directory on disk, for `dev`: walks it and reads every file once. Blocks. A symbolic
    /// link is followed only to a file inside the directory.
    ///
    /// A file in place of a directory is one of redirects, and serves nothing.
    pub fn scan(directory: &Path, memory: &Arc<AssetMemory>, html: HtmlHandling) -> Result<Arc<Self>, AssetsError> {
        let mut walk = Walk::default();
        let root = directory.canonicalize().map_err(|source| AssetsError { path: directory.to_owned(), source })?;
        if root.is_file() {
            walk.entries.push(read(RULE_FILES[0].to_owned(), root)?);
        } else {
            walk.directory(&root, &root, "")?;
        }
        let index = Self::new(walk.entries, memory, html);
        let Some(mut index) = Arc::into_inner(index) else { unreachable!("nobody else has it yet") };
        index.skipped = walk.skipped;
        Ok(Arc::new(index))
    }

    /// How many files are served.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Files of a scanned directory that are not served, and why.
    pub fn skipped(&self) -> &[(PathBuf, &'static str)] {
        &self.skipped
    }

    /// The file at a decoded path.
    pub(crate) fn file(&self, path: &str) -> Option<&Asset> {
        self.files.get(path)
    }

    /// What a path as received stands for.
    pub(crate) fn look_up(&self, path: &str) -> Lookup<'_> {
        let Some(path) = decode(path) else { return Lookup::Refused };
        let exact = self.file(&path);
        if self.html == HtmlHandling::None {
            return exact.map_or(Lookup::Missing, Lookup::File);
        }
        if let Some(asset) = exact.filter(|_| !path.ends_with(".html")) {
            return Lookup::File(asset);
        }
        let Some((page, base, is_directory)) = self.page(&path) else { return Lookup::Missing };
        let canonical = match self.html {
            HtmlHandling::AutoTrailingSlash if is_directory => format!("{base}/"),
            HtmlHandling::ForceTrailingSlash => format!("{base}/"),
            _ if base.is_empty() => "/".to_owned(),
            _ => base.to_owned(),
        };
        if canonical == path { Lookup::File(page) } else { Lookup::Redirect(encode(&canonical)) }
    }

    /// The file that a path means, whichever of its addresses it is.
    pub(crate) fn page_at(&self, path: &str) -> Option<&Asset> {
        let path = decode(path)?;
        self.file(&path).or_else(|| self.page(&path).map(|(page, ..)| page))
    }

    /// The page that a path means, its path without an ending, and whether it is a directory's own.
    fn page<'p>(&self, path: &'p str) -> Option<(&Asset, &'p str, bool)> {
        let file = |base: &str, end: &str| self.file(&format!("{base}{end}"));
        let of_directory = |base: &'p str| Some((file(base, "/index.html")?, base, true));
        let of_file = |base: &'p str| {
            let is_page = !base.is_empty() && !base.ends_with('/');
            Some((file(base, ".html").filter(|_| is_page)?, base, false))
        };
        let bare = path.strip_suffix(".html").unwrap_or(path);
        let index = bare.strip_suffix("/index").and_then(of_directory);
        if bare.len() < path.len() {
            return index.or_else(|| of_file(bare));
        }
        match path.strip_suffix('/') {
            Some(directory) => of_directory(directory).or_else(|| of_file(directory)),
            None => index.or_else(|| of_file(path)).or_else(|| of_directory(path)),
        }
    }

    /// The `404.html` of the path's own directory, or of the nearest above.
    pub(crate) fn nearest_404(&self, path: &str) -> Option<&Asset> {
        let path = decode(path).unwrap_or_default();
        let mut directory = &path[..path.rfind('/').unwrap_or(0)];
        loop {
            if let Some(asset) = self.file(&format!("{directory}/404.html")) {
                return Some(asset);
            }
            directory = &directory[..directory.rfind('/')?];
        }
    }
}

/// Decodes once. `None` for what can't name a file: an encoded slash or backslash, NUL, an escape
/// that is none, bytes that are not UTF-8.
fn decode(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape = || std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok();
        if *byte == b'%' && matches!(u8::from_str_radix(escape()?, 16).ok()?, b'/' | b'\\' | 0) {
            return None;
        }
    }
    percent_decode_str(path).decode_utf8().ok().map(|path| path.into_owned())
}

/// What a path of a redirect may hold as it is.
const ENCODED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}').add(b'%');

fn encode(path: &str) -> String {
    utf8_percent_encode(path, ENCODED).to_string()
}

/// A name that begins with a dot, anywhere but below `.well-known` at the root.
fn is_hidden(path: &str) -> bool {
    path.split('/').enumerate().any(|(at, name)| name.starts_with('.') && !(at == 0 && name == ".well-known"))
}

fn content_type(path: &str) -> HeaderValue {
    let guess = match mime_guess::from_path(path).first_raw() {
        // RFC 9239 made this the only name.
        Some("application/javascript") => "text/javascript",
        Some(guess) => guess,
        None => "application/octet-stream",
    };
    let text = guess.starts_with("text/")
        || matches!(guess, "application/json" | "application/xml" | "image/svg+xml")
        || matches!(guess, "application/manifest+json" | "application/xhtml+xml");
    let value =
        if text { HeaderValue::try_from(format!("{guess}; charset=utf-8")) } else { HeaderValue::try_from(guess) };
    value.unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// The files beside one that hold the same in another coding.
fn variants(files: &HashMap<Box<str>, Asset>, path: &str) -> Option<Vec<(&'static str, u64, Box<str>)>> {
    let beside = choose::CODINGS.iter().filter_map(|(coding, end)| {
        let path = format!("{path}{end}");
        Some((*coding, files.get(path.as_str())?.size, path.into()))
    });
    Some(beside.collect::<Vec<_>>()).filter(|found| !found.is_empty())
}

#[derive(Default)]
struct Walk {
    entries: Vec<AssetEntry>,
    skipped: Vec<(PathBuf, &'static str)>,
    /// Directories that were entered: a link must not lead in circles.
    entered: HashSet<PathBuf>,
}

impl Walk {
    fn directory(&mut self, root: &Path, directory: &Path, prefix: &str) -> Result<(), AssetsError> {
        let wrong = |source| AssetsError { path: directory.to_owned(), source };
        if !self.entered.insert(directory.to_owned()) {
            return Ok(());
        }
        for entry in std::fs::read_dir(directory).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let Ok(name) = entry.file_name().into_string() else {
                self.skipped.push((entry.path(), "its name is not UTF-8"));
                continue;
            };
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if is_hidden(&path) {
                continue;
            }
            let Ok(real) = entry.path().canonicalize() else {
                self.skipped.push((entry.path(), "it is a link to nothing"));
                continue;
            };
            if !real.starts_with(root) {
                self.skipped.push((entry.path(), "it is a link out of the directory"));
            } else if real.is_dir() {
                self.directory(root, &real, &path)?;
            } else if real.is_file() {
                self.entries.push(read(path, real)?);
            } else {
                self.skipped.push((entry.path(), "it is neither a file nor a directory"));
            }
        }
        Ok(())
    }
}

fn read(path: String, file: PathBuf) -> Result<AssetEntry, AssetsError> {
    // Whole, since the digest wants bytes; `dev` reads a person's files, one at a time.
    let bytes = std::fs::read(&file).map_err(|source| AssetsError { path: file.clone(), source })?;
    Ok(AssetEntry { path, digest: Digest::of(&bytes), size: bytes.len() as u64, file })
}

#[cfg(test)]
mod tests;
