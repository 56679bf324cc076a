//! Depots: where files are kept that must outlive this machine's disk.
//!
//! The embedded one is a [directory](DirectoryDepot). One that is reached over a network is the binary's, which
//! hands it in: this crate opens no connection.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use services::StoreError;

mod directory;

pub use directory::DirectoryDepot;

/// Files under names with `/` in them, none of which changes once it has its name.
///
/// Its calls block, for as long as that place lets them, and come from several threads at once. A file MUST be
/// there as a whole or not at all, and durable once `put` has returned. What fails may be asked for again: a
/// second `put` puts the same content, a second `remove` finds nothing, and neither is an error.
pub trait Depot: Send + Sync {
    /// What people call it; two that are called the same are the same.
    fn name(&self) -> String;

    /// Refuses to be begun by this data directory.
    fn check_new(&self, data: &Path) -> Result<(), StoreError>;

    /// The files whose names begin so, up to a `/`; none is no error.
    fn list(&self, below: &str) -> Result<Vec<Kept>, StoreError>;

    fn put(&self, name: &str, content: &mut File) -> Result<(), StoreError>;

    /// The content of a file, or its first bytes, if it is there. What breaks off is an error that tells so,
    /// never an end.
    fn open(&self, name: &str, first: Option<u64>) -> Result<Option<Box<dyn Read + Send>>, StoreError>;

    fn remove(&self, name: &str) -> Result<(), StoreError>;
}

/// A file of a depot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub name: String,
    pub bytes: u64,
}

/// What a read of a depot's file failed with: damage, if that is what it is.
pub fn read_error(depot: &dyn Depot, name: &str, error: &io::Error) -> StoreError {
    let what = format!("{}/{name}: {error}", depot.name());
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => StoreError::Corrupt(what),
        _ => StoreError::Failed(what),
    }
}
