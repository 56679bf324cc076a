//! Deployments and releases: what was built, and what is served.
//!
//! A deployment is immutable. A release is one movement of an app's pointer to a deployment; a
//! rollback is a release too, so the history only grows.

use base::{Code, Digest, code};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{AppId, StoreError};

/// A provider of the release state of all apps.
///
/// # Promises
///
/// 1. **Durability.** An answered change survives what the provider's durability says.
/// 2. **One owner per host.** At any moment a host is claimed by the released deployment of at
///    most one app, of whatever tenant. [`point`](ReleaseStore::point) checks this and moves the
///    pointer as one step, also against others that do the same at that moment.
/// 3. **Immutability.** A recorded deployment never changes; to record the same id again is
///    accepted and keeps the first record.
/// 4. **Generations.** Each change of what is released raises the generation; equal generations
///    mean equal state, across restarts too.
/// 5. **Cancellation.** Dropping a future leaves its change done or not done, never half.
pub trait ReleaseStore: Send + Sync {
    /// Stores a deployment. Nothing is served differently.
    fn record<'a>(&'a self, app: &'a AppId, record: DeploymentRecord) -> BoxFuture<'a, Result<(), ReleaseError>>;

    /// Moves the app's pointer to a recorded deployment, on behalf of `by`. To point at what is
    /// released already is a release like any other.
    fn point<'a>(
        &'a self,
        app: &'a AppId,
        deployment: &'a Digest,
        by: &'a str,
    ) -> BoxFuture<'a, Result<Release, ReleaseError>>;

    /// What is released, app by app in the order of their ids, as one consistent view.
    fn current(&self) -> BoxFuture<'_, Result<Current, ReleaseError>>;

    /// A recorded deployment.
    fn deployment<'a>(
        &'a self,
        app: &'a AppId,
        deployment: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<DeploymentRecord>, ReleaseError>>;

    /// The recorded deployments of an app, newest first.
    fn deployments<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<DeploymentRecord>, ReleaseError>>;

    /// The releases of an app, newest first, at most `limit`.
    fn releases<'a>(&'a self, app: &'a AppId, limit: usize) -> BoxFuture<'a, Result<Vec<Release>, ReleaseError>>;

    /// Where a rollback goes: the latest release of an app whose deployment is not the released one.
    fn previous<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Option<Release>, ReleaseError>>;

    /// Forgets an app: its pointer, its hosts, its history. Answers whether there was one.
    fn remove<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<bool, ReleaseError>>;

    /// The generation of what is released. Costs nothing.
    fn generation(&self) -> u64;

    /// Waits until the generation is another than `seen`, and answers it.
    fn changed(&self, seen: u64) -> BoxFuture<'_, u64>;
}

/// An immutable deployment, as the control plane wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentRecord {
    pub id: Digest,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// What its author said about it.
    pub message: Option<String>,
    /// JSON; this contract does not look into it.
    pub document: Vec<u8>,
    /// The hosts that the app claims while this deployment is released, compared without regard
    /// to case.
    pub hosts: Vec<String>,
}

/// One movement of the pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Counts up from 1 within the app.
    pub number: u64,
    pub deployment: Digest,
    /// Milliseconds since the Unix epoch.
    pub released_ms: u64,
    pub by: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    pub generation: u64,
    pub apps: Vec<ReleasedApp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasedApp {
    pub app: AppId,
    pub release: Release,
    pub record: DeploymentRecord,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    #[error("{app} has no deployment {deployment}")]
    UnknownDeployment { app: AppId, deployment: Digest },
    #[error("the host {host} is claimed by {by}")]
    HostClaimed { host: String, by: AppId },
    #[error("the release store is not available")]
    Store(#[from] StoreError),
}

impl ReleaseError {
    /// The stable code, which also says whose fault it is and whether a retry may help.
    pub fn code(&self) -> Code {
        match self {
            ReleaseError::UnknownDeployment { .. } => &code::UNKNOWN_DEPLOYMENT,
            ReleaseError::HostClaimed { .. } => &code::HOST_CLAIMED,
            ReleaseError::Store(error) => error.code(),
        }
    }
}
