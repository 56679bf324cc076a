//! `cargo xtask engine-guest`: builds what `engine-guest/dist` holds, or compares it with a fresh
//! build. QuickJS-ng comes from the `rquickjs-sys` crate, through cargo; the compiler is zig's, from
//! PyPI. See engine-guest/README.md.

mod quickjs;
mod sums;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::repo::{self, Repo};
use sums::Sums;

const DIST: &str = "engine-guest/dist";
const PRELUDE: &str = "engine-guest/prelude";
/// Folders of the prelude whose modules no base module imports: they are loaded by name.
const LOADED_LATER: [&str; 4] = ["cloudflare", "features", "node", "selvedge"];
const WASM: &str = "quickjs.wasm";
const ARTIFACT: &str = "prelude.artifact";
/// Made by hand for a new version of CLDR, as `engine-guest/intl/README.md` says.
const LOCALES: &str = "cldr.bin";
/// What the modules of the platform export; it is written beside the artifact.
const EXPORTS: &str = "prelude.exports";

/// Builds what is not that of its sources, and writes the sums. The prelude is always built, for
/// that takes no compiler of C.
pub fn build(repo: &Repo) -> Result<()> {
    let dist = repo.path(DIST);
    let path = dist.join(sums::FILE);
    let committed = Sums::parse(&fs::read_to_string(&path).unwrap_or_default());
    if committed.agree(&Sums::take(repo)?, WASM) {
        println!("{WASM} is built from what is here");
    } else {
        let scratch = Scratch::new()?;
        quickjs::compile(repo, &scratch.0.join("quickjs"), &dist.join(WASM))?;
    }
    build_prelude(repo, &dist.join(ARTIFACT))?;
    let sums = Sums::take(repo)?;
    fs::write(&path, sums.to_string()).with_context(|| format!("writing {}", path.display()))?;
    print!("{sums}");
    Ok(())
}

/// Builds both files aside and compares them with what is committed. Without zig the prelude is
/// still compared, and then the missing half is an error.
pub fn verify(repo: &Repo) -> Result<()> {
    check_committed(repo)?;
    let scratch = Scratch::new()?;

    let artifact = scratch.0.join(ARTIFACT);
    build_prelude(repo, &artifact)?;
    same(&artifact, &repo.path(DIST).join(ARTIFACT))?;
    same(&scratch.0.join(EXPORTS), &repo.path(DIST).join(EXPORTS))?;

    let wasm = scratch.0.join(WASM);
    quickjs::compile(repo, &scratch.0.join("quickjs"), &wasm)?;
    same(&wasm, &repo.path(DIST).join(WASM))
}

/// Whether the committed files are those that the committed sums name, and were built from the
/// committed sources. Nothing is compiled.
pub fn check_committed(repo: &Repo) -> Result<()> {
    let path = repo.path(DIST).join(sums::FILE);
    let committed = fs::read_to_string(&path).with_context(|| format!("reading {DIST}/{}", sums::FILE))?;
    let differences = Sums::parse(&committed).differences(&Sums::take(repo)?);
    for difference in &differences {
        println!("{DIST}/{}: {difference}", sums::FILE);
    }
    if !differences.is_empty() {
        bail!("the built guest is not that of its sources: run `cargo xtask engine-guest`");
    }
    println!("{DIST} is built from what is here");
    Ok(())
}

fn build_prelude(repo: &Repo, to: &Path) -> Result<()> {
    let root = repo.path(PRELUDE);
    let mut loaded = Vec::new();
    for folder in LOADED_LATER {
        scripts_below(&root, Path::new(folder), &mut loaded)?;
    }
    loaded.sort();
    let example = ["run", "--quiet", "--package", "selvedge-script", "--example", "artifact", "--"];
    repo::run(repo.cargo().args(example).arg(to).arg(root).arg("main.ts").args(loaded))
}

/// Every TypeScript file of a folder of the prelude, relative to the prelude.
fn scripts_below(root: &Path, folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Ok(()) };
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            scripts_below(root, &path, into)?;
        } else if path.extension().is_some_and(|end| end == "ts") {
            into.push(path);
        }
    }
    Ok(())
}

fn same(fresh: &Path, committed: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let name = committed.file_name().unwrap_or_default().to_string_lossy();
    if read(fresh)? != read(committed)? {
        bail!("{name} differs from a fresh build: run `cargo xtask engine-guest`, and see what changed it");
    }
    println!("{name} is what a fresh build gives");
    Ok(())
}

/// A folder of our own, gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("selvedge-guest-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
