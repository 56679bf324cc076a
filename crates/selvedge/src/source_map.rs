//! Original positions for stack traces: the maps lie in the artifact, and are read only when
//! something failed.

use std::path::PathBuf;
use std::sync::OnceLock;

use base::Artifact;
use script::SourceMaps;
use worker::SourceMap;

/// The maps of an artifact that is at hand.
pub struct Loaded(pub SourceMaps);

impl SourceMap for Loaded {
    fn map_stack(&self, stack: &str) -> String {
        self.0.map_stack(stack)
    }
}

/// The maps of an artifact in a file.
pub struct InFile {
    file: PathBuf,
    maps: OnceLock<Option<SourceMaps>>,
}

impl InFile {
    pub fn new(file: PathBuf) -> Self {
        Self { file, maps: OnceLock::new() }
    }

    fn read(&self) -> Option<SourceMaps> {
        let bytes = std::fs::read(&self.file).ok()?;
        match Artifact::decode(&bytes).ok()? {
            Artifact::Script(script) => Some(SourceMaps::new(&script)),
            Artifact::Component(_) => None,
        }
    }
}

impl SourceMap for InFile {
    fn map_stack(&self, stack: &str) -> String {
        match self.maps.get_or_init(|| self.read()) {
            Some(maps) => maps.map_stack(stack),
            None => stack.to_owned(),
        }
    }
}
