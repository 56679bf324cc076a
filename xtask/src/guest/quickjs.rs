//! Compiles QuickJS-ng and the shim to `quickjs.wasm`. The build is reproducible: every path the
//! compiler sees is relative to a folder made for it, and the versions of the sources and of the
//! compiler are pinned.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::repo::{self, Repo};

pub const ZIG_VERSION: &str = "0.17.1";

const SOURCE_MANIFEST: &str = "engine-guest/quickjs/Cargo.toml";
const SOURCE_PACKAGE: &str = "rquickjs-sys";
pub const SHIM: &str = "engine-guest/shim";
pub const PATCHES: &str = "engine-guest/patches";

/// What of QuickJS-ng is compiled; its headers come along.
const QUICKJS_SOURCES: [&str; 4] = ["quickjs.c", "libregexp.c", "libunicode.c", "dtoa.c"];

/// What QuickJS has in its own language. Upstream compiles it beforehand, to the instructions that it has there; the
/// guest has others, and takes the source.
const QUICKJS_SCRIPTS: [&str; 3] =
    ["builtin-array-fromasync.js", "builtin-iterator-zip.js", "builtin-iterator-zip-keyed.js"];

/// What of the shim is compiled, in this order.
const SHIM_SOURCES: [&str; 12] = [
    "shim.c",
    "asked.c",
    "bytes.c",
    "codec.c",
    "copy.c",
    "kept.c",
    "memory.c",
    "modules.c",
    "natives.c",
    "statement.c",
    "text.c",
    "wasm.c",
];

pub const COMPILER_FLAGS: [&str; 22] = [
    "-target",
    "wasm32-wasi",
    "-mexec-model=reactor",
    "-O3",
    "-msimd128",
    // No instructions that copy and fill, as `copy.c` explains. For our sources only: the C library stays as it is.
    "-Xclang",
    "-target-feature",
    "-Xclang",
    "-bulk-memory",
    "-Xclang",
    "-target-feature",
    "-Xclang",
    "-bulk-memory-opt",
    "-DNDEBUG",
    "-D_GNU_SOURCE",
    "-D_WASI_EMULATED_SIGNAL",
    // zig's C compiler checks for undefined behaviour unless told not to.
    "-fno-sanitize=undefined",
    "-fno-strict-aliasing",
    "-Wno-unused",
    "-Wno-c23-extensions",
    "-I",
    ".",
];

pub const LINKER_FLAGS: [&str; 5] = [
    "-Wl,-z,stack-size=4718592",
    // The image of a script zeroes what lies below it.
    "-Wl,--export=__stack_pointer",
    // The code is shared: every script brings its own memory.
    "-Wl,--import-memory",
    "-Wl,--strip-debug",
    "-lm",
];

/// Compiles in `folder`, which is made, and writes the module to `to`.
pub fn compile(repo: &Repo, folder: &Path, to: &Path) -> Result<()> {
    check_zig()?;
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let quickjs = fetched_source(repo)?.join("quickjs");
    for source in QUICKJS_SOURCES {
        copy(&quickjs.join(source), folder)?;
    }
    copy_by_end(&quickjs, "h", folder)?;
    for source in QUICKJS_SCRIPTS {
        copy(&quickjs.join(source), folder)?;
    }
    // The patches are against QuickJS alone, so they come before the shim.
    for patch in by_end(&repo.path(PATCHES), "patch")? {
        repo::run(Command::new("patch").args(["-p1", "--quiet", "--input"]).arg(&patch).current_dir(folder))?;
    }
    copy_by_end(&repo.path(SHIM), "h", folder)?;
    for source in SHIM_SOURCES {
        copy(&repo.path(SHIM).join(source), folder)?;
    }

    println!("compiling QuickJS with zig {ZIG_VERSION}");
    let mut compiler = Command::new("python3");
    compiler.args(["-m", "ziglang", "cc"]).args(COMPILER_FLAGS).args(QUICKJS_SOURCES).args(SHIM_SOURCES);
    compiler.args(LINKER_FLAGS).args(["-o", "guest.wasm"]).current_dir(folder);
    repo::run(compiler.env("ZIG_LOCAL_CACHE_DIR", folder.join("cache")))?;

    let module = fs::read(folder.join("guest.wasm")).context("reading the compiled guest")?;
    fs::write(to, module).with_context(|| format!("writing {}", to.display()))
}

fn check_zig() -> Result<()> {
    let found = repo::output(Command::new("python3").args(["-m", "ziglang", "version"])).unwrap_or_default();
    match found.trim() {
        ZIG_VERSION => Ok(()),
        "" => bail!("zig is missing; to get it: pip install ziglang=={ZIG_VERSION}"),
        other => bail!("zig {other} is not the pinned one; to get it: pip install ziglang=={ZIG_VERSION}"),
    }
}

/// The folder of the crate that carries QuickJS-ng, brought by cargo from its registry.
fn fetched_source(repo: &Repo) -> Result<PathBuf> {
    repo::run(repo.cargo().args(["fetch", "--quiet", "--locked", "--manifest-path", SOURCE_MANIFEST]))?;
    let metadata = ["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path", SOURCE_MANIFEST];
    let metadata: serde_json::Value = serde_json::from_str(&repo::output(repo.cargo().args(metadata))?)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let package = packages.iter().find(|package| package["name"] == SOURCE_PACKAGE);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.with_context(|| format!("{SOURCE_MANIFEST} does not bring {SOURCE_PACKAGE}"))?;
    Ok(Path::new(manifest).parent().context("a manifest without a folder")?.to_owned())
}

/// The files of a folder whose names end so, sorted.
pub fn by_end(folder: &Path, end: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension() == Some(OsStr::new(end)));
    paths.sort();
    Ok(paths)
}

fn copy_by_end(from: &Path, end: &str, to: &Path) -> Result<()> {
    by_end(from, end)?.iter().try_for_each(|path| copy(path, to))
}

/// The content only: the modes of a registry's files are no part of the build.
fn copy(path: &Path, folder: &Path) -> Result<()> {
    let content = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let to = folder.join(path.file_name().unwrap_or_default());
    fs::write(&to, content).with_context(|| format!("writing {}", to.display()))
}
