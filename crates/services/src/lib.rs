//! What an application needs around its code, as contracts: a module each, with its promises, its
//! errors, a memory model, and a conformance suite that every provider runs.
//!
//! It is not an implementation: providers live above (`services-local` on SQLite, later
//! `services-cluster`), and nothing here opens a file or a socket. It knows no manifest, no guest
//! and no quota: who may use a resource, and how much, is decided by `worker::Env` before a call
//! arrives here. On the path of a request it is step 7's far end: an engine's host function calls
//! `Env`, and `Env` calls one of these traits.
//!
//! Futures are boxed and `Send`, and hold no lock across a wait. They may be polled by any
//! executor: a provider brings its own threads and never asks for a runtime.

pub mod access_key;
pub mod artifact;
pub mod blob;
pub mod care;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod egress;
pub mod kv;
pub mod memory;
pub mod object;
pub mod postgres;
pub mod release;
pub mod response;
pub mod secret;
pub mod sql;
mod store;

pub use access_key::{AccessKey, AccessKeyError, AccessKeyStore};
pub use artifact::{ArtifactError, ArtifactInfo, ArtifactStore};
pub use care::Care;
pub use egress::{EgressPolicy, EgressRule};
pub use futures_util::future::BoxFuture;
pub use kv::{
    Action, Change, ChangeKind, ChangesOptions, ChangesPage, Check, CommitReceipt, Condition, DeleteReceipt, Kv,
    KvEntry, KvError, KvLimits, KvNamespace, KvUsage, ListOptions, ListPage, ListedKey, NamespaceUsage, PutOptions,
    PutReceipt, Transaction, Write,
};
pub use object::{
    Lease, LeaseError, Leases, ObjectClass, ObjectError, ObjectId, ObjectKey, ObjectLimits, ObjectStorage, ObjectStore,
    Ticket,
};
pub use release::{Current, DeploymentRecord, Release, ReleaseError, ReleaseStore, ReleasedApp};
pub use response::{PurgeOptions, PurgeWhat, ResponseAmount, ResponseCare, ResponseEntry, ResponseStats, Served};
pub use secret::{
    PreviousSecret, SecretEntry, SecretError, SecretInfo, SecretName, SecretStore, SecretVersionInfo, ValueKind,
};
pub use sql::{Sql, SqlDatabase, SqlError, SqlLimits, SqlResult, SqlStatement, SqlValue};
pub use store::{AppId, Durability, StoreError};
