//! Small trees on disk, built, and what comes out.

use std::path::Path;

use base::artifact::{Artifact, Module, ModuleKind};
use tempfile::TempDir;

use super::*;

mod bad_input;
mod commonjs;
mod modules;
mod properties;
mod resolution;
mod test_files;
mod typescript;

/// An app directory with these files.
pub(crate) struct Tree {
    directory: TempDir,
}

impl Tree {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self { directory: TempDir::new().expect("a temporary directory") };
        for (name, text) in files {
            tree.write(name, text.as_bytes());
        }
        tree
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file in the tree")).expect("a directory");
        std::fs::write(path, bytes).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().expect("the tree exists").join(name)
    }

    fn build(&self, entry: &str) -> Built {
        self.try_build(entry).unwrap_or_else(|errors| panic!("{}", errors.render(false)))
    }

    pub(crate) fn try_build(&self, entry: &str) -> Result<Built, BuildErrors> {
        build(self.directory.path(), Path::new(entry), &Options::default())
    }

    /// The error of a build that must have exactly one, as `file:line:column: message`, and its help.
    fn error(&self, entry: &str) -> (String, String) {
        let errors = self.try_build(entry).expect_err("the build must fail");
        assert_eq!(errors.errors.len(), 1, "{errors}");
        (errors.errors[0].to_string(), errors.errors[0].help.clone().unwrap_or_default())
    }
}

fn names(script: &Script) -> Vec<&str> {
    script.modules.iter().map(|m| m.name.as_str()).collect()
}

fn module<'s>(script: &'s Script, name: &str) -> &'s Module {
    script.modules.iter().find(|m| m.name == name).unwrap_or_else(|| panic!("no {name} in {:?}", names(script)))
}

fn text<'s>(script: &'s Script, name: &str) -> &'s str {
    std::str::from_utf8(&module(script, name).source).expect("scripts are UTF-8")
}
