//! `selvedge init`: writes a project that runs at once.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base::AppName;

use super::print;
use crate::cli::{Init, Template};

type File = (&'static str, &'static [u8]);

/// What stands in the templates for the app's name.
const NAME: &str = "__NAME__";

macro_rules! files {
    ($dir:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../templates/", $dir, "/", $name)))),*]
    };
}

const TYPESCRIPT_API: &[File] =
    files!("typescript-api": "selvedge.toml", "README.md", "tsconfig.json", "src/index.ts", "src/index.test.ts");

const SITE: &[File] = files!(
    "site": "selvedge.toml", "README.md", "tsconfig.json", "src/api.ts", "src/api.test.ts", "public/index.html", "public/404.html",
    "public/style.css", "public/app.js", "public/favicon.svg",
);

const RUST_COMPONENT: &[File] = files!(
    "rust-component": "selvedge.toml", "README.md", "Cargo.toml", "build.sh", "src/lib.rs", "component.wasm",
);

pub fn run(args: &Init) -> Result<()> {
    let name = name(args)?;
    if let Some(taken) = manifest::FILE_NAMES.iter().find(|file| args.dir.join(file).exists()) {
        bail!("{} is a project already: it has a {taken}", args.dir.display());
    }
    let files = match args.template {
        Template::TypescriptApi => TYPESCRIPT_API,
        Template::Site => SITE,
        Template::RustComponent => RUST_COMPONENT,
    };
    if let Some((taken, _)) = files.iter().find(|(file, _)| args.dir.join(file).exists()) {
        bail!("{} exists already; nothing was written", args.dir.join(taken).display());
    }
    for (file, content) in files {
        write(&args.dir.join(file), content, &name)?;
    }
    write(&args.dir.join(".gitignore"), b".selvedge/\n.dev.vars\nnode_modules/\ntarget/\n", &name)?;
    if !matches!(args.template, Template::RustComponent) {
        write_types(&args.dir)?;
    }
    print(format!(
        "wrote {} files to {}\n\n  selvedge dev {}",
        files.len() + 1 + usize::from(!matches!(args.template, Template::RustComponent)),
        args.dir.display(),
        args.dir.display()
    ))
}

/// Declarations of the environment, so that an editor knows it from the start.
fn write_types(dir: &Path) -> Result<()> {
    let path = dir.join("selvedge.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let source = manifest::Source { path: "selvedge.toml", text: &text };
    let plan = manifest::read_selvedge(source, &manifest::Options::default())?;
    let text = manifest::typescript_env(&plan) + &manifest::typescript_tests(&plan);
    fs::write(dir.join("env.d.ts"), text).context("can't write env.d.ts")
}

fn name(args: &Init) -> Result<AppName> {
    let directory = std::path::absolute(&args.dir)?;
    let fallback =
        directory.file_name().map(|name| name.to_string_lossy().to_lowercase().replace(['_', ' ', '.'], "-"));
    let text = args.name.clone().or(fallback).unwrap_or_default();
    AppName::parse(&text).with_context(|| format!("{text:?} can't be an app's name; choose one with --name"))
}

fn write(path: &Path, content: &[u8], name: &AppName) -> Result<()> {
    let wrong = || format!("can't write {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(wrong)?;
    }
    let named = match std::str::from_utf8(content) {
        Ok(text) => text.replace(NAME, name.as_str()).into_bytes(),
        Err(_) => content.to_vec(),
    };
    fs::write(path, named).with_context(wrong)
}
