use std::io;
use std::path::{Path, PathBuf};

use base::{Code, code};
use services::StoreError;

/// Why a data directory can't be used: what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("{path} is held by {}; stop it, or choose another --data", holder(*.pid), path = .path.display())]
    Locked { path: PathBuf, pid: Option<u32> },
    #[error(
        "{path} was written by a newer Selvedge (format {found}, this one knows {known}); use that version or a newer one",
        path = .path.display()
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error(
        "{path} holds {found:?} and no Selvedge data; choose an empty directory for --data, or one that Selvedge made",
        path = .path.display()
    )]
    Foreign { path: PathBuf, found: String },
    #[error("{file} does not say which format the directory has; restore it from a backup", file = .file.display())]
    BadFormat { file: PathBuf },
    #[error(
        "there is no data directory at {path}; name the one that holds the data with --data, or begin one with selvedge serve or selvedge deploy",
        path = .path.display()
    )]
    Missing { path: PathBuf },
    #[error("{path} is not a directory; choose another --data", path = .path.display())]
    NotADirectory { path: PathBuf },
    #[error("{path} is on a read-only file system; remount it for writing, or choose another --data", path = .path.display())]
    ReadOnly { path: PathBuf },
    #[error(
        "this user may not write {path}; give it to the user that runs Selvedge (chown), or choose another --data",
        path = .path.display()
    )]
    Denied { path: PathBuf },
    #[error("the disk that holds {path} is full; free some space", path = .path.display())]
    Full { path: PathBuf },
    #[error("{path} can't be used: {source}", path = .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the threads of the store can't be started: {0}; raise the limit on threads (ulimit -u)")]
    Threads(io::Error),
    #[error(
        "the node key {file} lies inside the data directory, so that a copy of the data opens its secrets; it belongs beside it: move the data directory, or the link, to where it has a place of its own",
        file = .file.display()
    )]
    NodeKeyInside { file: PathBuf },
    #[error(
        "the data directory holds secrets, and the node key {file} that opens them is missing; put it back there: it is the file node.key in the directory DATA.keys beside where the data was",
        file = .file.display()
    )]
    NodeKeyMissing { file: PathBuf },
    #[error(
        "{file} is not the node key that the secrets in this data directory were sealed with; put that one in its place: it is in the directory DATA.keys beside where the data was",
        file = .file.display()
    )]
    NodeKeyWrong { file: PathBuf },
    #[error("others may read the node key {file}; make it private: chmod 600 {file}", file = .file.display())]
    NodeKeyExposed { file: PathBuf },
    #[error("{file} is no node key; a node key is one line of 64 hexadecimal digits", file = .file.display())]
    NodeKeyDamaged { file: PathBuf },
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("another Selvedge, process {pid}"),
        None => "another Selvedge".into(),
    }
}

impl DataDirError {
    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => Self::NotADirectory { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, source },
        }
    }

    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            Self::Locked { .. } => &code::DATA_LOCKED,
            Self::Newer { .. } => &code::DATA_NEWER,
            Self::Full { .. } => &code::STORE_FULL,
            Self::BadFormat { .. } => &code::STORE_CORRUPT,
            Self::NodeKeyInside { .. }
            | Self::NodeKeyMissing { .. }
            | Self::NodeKeyWrong { .. }
            | Self::NodeKeyExposed { .. }
            | Self::NodeKeyDamaged { .. } => &code::SECRET_SEALED,
            Self::Store(error) => error.code(),
            Self::Missing { .. }
            | Self::Foreign { .. }
            | Self::NotADirectory { .. }
            | Self::ReadOnly { .. }
            | Self::Denied { .. }
            | Self::Io { .. }
            | Self::Threads(_) => &code::DATA_UNUSABLE,
        }
    }
}
