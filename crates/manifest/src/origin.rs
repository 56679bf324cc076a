//! Where in its file each thing of a plan stands, so that later stages can point at it: an entry
//! file that does not exist, a limit and the line that sets it.

use std::collections::BTreeMap;
use std::ops::Range;

use base::{BindingName, WorkerName};

use crate::plan::WorkerIndex;
use crate::report::SourceFile;

/// A span of a source file.
#[derive(Debug, Clone)]
pub struct Place {
    pub file: SourceFile,
    /// In bytes.
    pub span: Range<usize>,
}

impl Place {
    /// The line of its first byte, counted from 1.
    pub fn line(&self) -> usize {
        self.line_column().0
    }

    /// The line and the column (in characters) of its first byte, both counted from 1.
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.file.text().get(..self.span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let in_line = before.rsplit('\n').next().unwrap_or_default();
        (line, in_line.chars().count() + 1)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.path(), self.line())
    }
}

/// A file or directory that the manifest names and the caller must find.
#[derive(Debug, Clone)]
pub struct PathUse {
    /// Relative to the manifest's directory, with forward slashes.
    pub path: String,
    pub role: PathRole,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRole {
    /// The entry file of a worker.
    Entry(WorkerName),
    /// A directory of static files.
    Assets,
    /// A file of redirects.
    Redirects,
    /// A directory of a database's migrations.
    Migrations,
}

/// An export of a worker that a binding names and the caller must find.
#[derive(Debug, Clone)]
pub struct ExportUse {
    pub binding: BindingName,
    pub worker: WorkerIndex,
    pub export: String,
    pub place: Place,
}

/// See [`crate::Plan::origins`].
#[derive(Debug, Clone, Default)]
pub struct Origins {
    pub paths: Vec<PathUse>,
    pub exports: Vec<ExportUse>,
    /// Limits that the manifest sets, by worker (or by none, for the app's) and name.
    pub limits: BTreeMap<(Option<WorkerName>, String), Place>,
}

/// Where a thing stands does not change what it is.
impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
