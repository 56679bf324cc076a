//! What has to run again when files change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::app::App;
use super::outcome::FileOutcome;

/// What the last runs told of who depends on what.
#[derive(Default)]
pub struct Known {
    app: Option<Arc<App>>,
    /// Inputs of an app that could not be built, or not be started.
    failed_inputs: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
    files: BTreeMap<String, File>,
}

struct File {
    inputs: BTreeSet<PathBuf>,
    calls_app: bool,
}

impl Known {
    /// The app, if no change concerns it.
    pub fn app(&self, changed: &[PathBuf]) -> Option<Arc<App>> {
        let app = self.app.as_ref()?;
        let concerns = |path: &PathBuf| app.inputs.contains(path) || self.failed_inputs.contains(path);
        (!changed.iter().any(concerns)).then(|| app.clone())
    }

    pub fn note_app(&mut self, app: Arc<App>) {
        self.failed_inputs.clear();
        self.app = Some(app);
    }

    /// There is no app to test until one of these changes.
    pub fn note_broken(&mut self, inputs: &[PathBuf]) {
        self.app = None;
        self.failed_inputs = inputs.iter().cloned().collect();
    }

    pub fn note_directories(&mut self, directories: Vec<PathBuf>) {
        self.directories = directories.into_iter().collect();
    }

    pub fn note_file(&mut self, outcome: FileOutcome) {
        let file = File { inputs: outcome.inputs.into_iter().collect(), calls_app: outcome.calls_app };
        self.files.insert(outcome.file, file);
    }

    /// Everything to watch: files, and directories in which new ones may come about.
    pub fn inputs(&self) -> Vec<PathBuf> {
        let app = self.app.iter().flat_map(|app| &app.inputs);
        let files = self.files.values().flat_map(|file| &file.inputs);
        app.chain(files).chain(&self.failed_inputs).chain(&self.directories).cloned().collect()
    }

    /// Whether anything depends on a path, which may also be one of `files`.
    pub fn concerns(&self, path: &Path, files: &[String], app: &App) -> bool {
        app.inputs.iter().any(|input| input == path)
            || self.failed_inputs.contains(path)
            || self.files.values().any(|file| file.inputs.contains(path))
            || files.iter().any(|name| app.suite.dir().join(name) == path)
    }

    /// Those of `files` that a change concerns: what they import, what they are, and, for those that
    /// call the app, what that is made of.
    pub fn affected(&self, files: &[String], changed: &[PathBuf], app: &App) -> Vec<String> {
        let settings = changed.iter().any(|path| app.settings.contains(path));
        let of_app = changed.iter().any(|path| app.inputs.contains(path) || self.failed_inputs.contains(path));
        let is_affected = |name: &&String| {
            let Some(file) = self.files.get(*name) else { return true };
            let own = app.suite.dir().join(Path::new(name));
            let imports = changed.iter().any(|path| file.inputs.contains(path) || *path == own);
            settings || imports || (of_app && file.calls_app)
        };
        files.iter().filter(is_affected).cloned().collect()
    }
}
