//! A directory that goes with the process, and the compiled code that stays.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base::{Rng as _, SystemRng};

/// A directory of our own, removed at the end.
pub struct Throwaway(PathBuf);

impl Throwaway {
    pub fn new() -> Result<Self> {
        let name = format!("selvedge-test-{:016x}", SystemRng.next_u64());
        let path = std::env::temp_dir().join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("can't make {}", path.display()))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        // What can't be removed lies where the system clears up.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Files in a cache that was not swept (its process was killed) that are left alone.
const LEFT_MAX: usize = 64;

/// Removes from a cache at the end what came into it since: the images of tests, of which each
/// change makes a new one.
pub struct Sweep {
    cache: PathBuf,
    keep: HashSet<OsString>,
}

impl Sweep {
    /// Begins with an empty cache if it has grown: it holds nothing that can't be made again.
    pub fn clear_if_grown(cache: &Path) {
        if names(cache).len() > LEFT_MAX {
            let _ = fs::remove_dir_all(cache);
        }
    }

    pub fn begin(cache: &Path) -> Self {
        Self { cache: cache.to_owned(), keep: names(cache) }
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        for name in names(&self.cache).difference(&self.keep) {
            // Another process may have removed it.
            let _ = fs::remove_file(self.cache.join(name));
        }
    }
}

fn names(cache: &Path) -> HashSet<OsString> {
    let entries = fs::read_dir(cache).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.file_name()).collect()
}
