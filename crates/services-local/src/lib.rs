//! The embedded providers: every acknowledged byte in SQLite and plain files, in one data
//! directory.
//!
//! It serves the contracts of `services` and knows nothing above them: no manifest, no guest, no
//! quota, no HTTP. It is the only crate that links SQLite. On the path of a request it is the last
//! stop of a storage call: a point read runs on the caller's thread, from a pooled connection;
//! whatever may take longer goes to this crate's own threads, in turns between apps.
//!
//! Each app has a KV file of its own, rather than one file for the node: what an app does to its
//! file (a long log, damage, a full quota, removal, a copy for backup) stays its own, and a group
//! of commits never waits for a stranger's. The price is one flush per app and group instead of
//! one per group, which only many apps that write at the same moment pay; see [`DataDir`] for the
//! layout and `database` for how writes are grouped.
//!
//! Where there are thousands of files, SQL databases and durable objects, one log stands before all of
//! them: the [`Ledger`], from which the archive for point-in-time recovery is made as well.

mod access_key;
mod answer;
mod artifact;
mod blob;
mod care;
mod content;
mod data_dir;
mod database;
mod depot;
mod disk;
mod kv;
mod ledger;
mod maintenance;
mod node;
mod node_key;
mod object;
mod pool;
mod quotas;
mod release;
mod response;
mod secret;
mod sql;
mod tenant_sql;

pub use access_key::LocalAccessKeys;
pub use artifact::LocalArtifacts;
pub use blob::LocalBlobs;
pub use care::{ArchiveInfo, BackupInfo, LocalCare, Recover, Recovered, archives, backups, recover, restore};
pub use data_dir::{DataDir, DataDirError, DataDirOptions, FORMAT_VERSION, Released};
pub use depot::{Depot, DirectoryDepot, Kept};
pub use kv::LocalKv;
pub use ledger::{Journal, Ledger, RestoreError, Restored, Ticket};
pub use object::LocalObjects;
pub use quotas::{QUOTAS, Quotas};
pub use release::LocalReleases;
pub use response::{LocalResponses, ResponseLimits};
pub use secret::LocalSecrets;
pub use sql::LocalSql;
