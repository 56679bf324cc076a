//! The directories from which a script may take its files: the app's workspace, and the installed
//! packages above it.

use std::path::{Path, PathBuf};

/// What stands at the top of a workspace. A package.json counts if it names `workspaces`.
const MARKS: [&str; 3] = ["pnpm-workspace.yaml", "lerna.json", ".git"];

#[derive(Debug)]
pub(crate) struct Workspace {
    /// The nearest directory above the app, or the app's own, that is the top of a workspace; else
    /// the app's own. Free of symlinks.
    pub top: PathBuf,
    app: PathBuf,
}

impl Workspace {
    pub(crate) fn of(app: &Path) -> Self {
        let top = app.ancestors().find(|directory| is_top(directory)).unwrap_or(app);
        Self { top: top.to_path_buf(), app: app.to_path_buf() }
    }

    /// Whether a script may hold this file, which is free of symlinks.
    pub(crate) fn holds(&self, file: &Path) -> bool {
        file.starts_with(&self.top) || self.app.ancestors().any(|above| file.starts_with(above.join("node_modules")))
    }
}

fn is_top(directory: &Path) -> bool {
    MARKS.iter().any(|mark| directory.join(mark).exists()) || names_workspaces(&directory.join("package.json"))
}

fn names_workspaces(package: &Path) -> bool {
    let text = std::fs::read(package).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    json.get("workspaces").is_some()
}
