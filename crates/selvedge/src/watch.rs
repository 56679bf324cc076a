//! Waits for changes of files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use notify::Watcher as _;
use tokio::sync::mpsc;

use crate::terminal;

/// Editors write a file in several steps; what follows a change waits until they are through.
const SETTLE: Duration = Duration::from_millis(15);

/// Watches the directories of the inputs: a file that an editor replaces is another file, in the
/// same directory.
pub struct Watch {
    watcher: notify::RecommendedWatcher,
    events: mpsc::UnboundedReceiver<Vec<PathBuf>>,
    inputs: HashSet<PathBuf>,
    directories: HashSet<PathBuf>,
}

impl Watch {
    pub fn new() -> Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event
                && !matches!(event.kind, notify::EventKind::Access(_))
            {
                // The receiver is gone only when the process ends.
                let _ = sender.send(event.paths);
            }
        })
        .context("changes of files can't be watched")?;
        Ok(Self { watcher, events, inputs: HashSet::new(), directories: HashSet::new() })
    }

    pub fn follow(&mut self, inputs: &[PathBuf]) {
        self.inputs = inputs.iter().cloned().collect();
        let parents =
            inputs.iter().filter_map(|input| if input.is_dir() { Some(input.as_path()) } else { input.parent() });
        let wanted: HashSet<PathBuf> = parents.filter(|dir| dir.is_dir()).map(Path::to_path_buf).collect();
        for gone in self.directories.difference(&wanted) {
            // It may have been deleted, which ends the watch as well.
            let _ = self.watcher.unwatch(gone);
        }
        for new in wanted.difference(&self.directories) {
            if let Err(error) = self.watcher.watch(new, notify::RecursiveMode::NonRecursive) {
                terminal::say(&format!("warning: changes in {} are not seen: {error}", new.display()));
            }
        }
        self.directories = wanted;
    }

    /// The inputs that changed, once the editor is through.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        let mut changed: Vec<PathBuf> = Vec::new();
        loop {
            let next = if changed.is_empty() {
                self.events.recv().await
            } else {
                tokio::time::timeout(SETTLE, self.events.recv()).await.unwrap_or_default()
            };
            let Some(paths) = next else {
                if changed.is_empty() {
                    // The watcher is gone; there will be no more changes.
                    std::future::pending::<()>().await;
                }
                changed.sort();
                changed.dedup();
                return changed;
            };
            let inputs = &self.inputs;
            changed.extend(
                paths.into_iter().filter(|path| {
                    inputs.contains(path) || path.parent().is_some_and(|parent| inputs.contains(parent))
                }),
            );
        }
    }
}
