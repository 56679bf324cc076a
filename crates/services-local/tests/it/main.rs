//! The data directory as a whole: conformance, bad directories, crashes, failing and full disks,
//! power loss.

// The name by which the rest of the workspace knows this crate.
extern crate selvedge_services_local as services_local;

mod blobs;
mod care;
mod child;
mod conformance;
mod crash;
mod data_dir;
mod faults;
mod linear;
mod object_sql;
mod objects;
mod past;
mod power_loss;
mod recover;
mod removals;
mod requirement;
mod secrets;
mod shelf;
mod sql;
mod workload;

use std::path::{Path, PathBuf};

use services_local::{DataDir, DataDirOptions};
use tempfile::TempDir;

/// A directory that goes with the test: `data` for the node, `node.key` beside it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// In memory, if the machine has a place for that: for tests that flush a lot and crash never.
    fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        Self(if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    fn options(&self) -> DataDirOptions {
        DataDirOptions::new(self.path().join("node.key"))
    }

    fn open(&self) -> DataDir {
        DataDir::open(self.data(), self.options()).expect("the data directory opens")
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers needs nothing").block_on(future)
}
