//! The control plane of a node: it turns a directory into a [`Bundle`], a bundle into an immutable
//! deployment, and a deployment into a release; and it answers the admin API.
//!
//! It is not on the path of a request to an app: the data plane reads what is released through the
//! stores and never waits for this crate. It opens no socket and no store; whoever starts a node
//! gives it the contracts to work with, and mounts [`Admin`] on a listener.
//!
//! The way of a deployment: [`build_app`] → [`upload`] → (`control_api::Api`, in this process or
//! over HTTP) → [`Control`] → `services::ReleaseStore` → whoever serves reads the [`Document`].

pub mod admin;
pub mod bounds;
pub mod bundle;
pub mod control;
pub mod document;
mod upload;

pub use admin::{Admin, AdminParts};
pub use bundle::{
    AssetFile, BuildFailure, BuildFault, BuildOptions, BuiltWorker, Bundle, DEV_VARS, FaultView, FileFault, TEST_VARS,
    build_app, script_options,
};
pub use control::{Certificates, Control, ControlParts, PrepareError, Reload, Traced, trace_entry};
pub use document::{AssetEntry, Document, DocumentError, MigrationText, Migrations};
pub use upload::{UploadProgress, upload};
