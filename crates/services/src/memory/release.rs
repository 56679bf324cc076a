use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{Clock, Digest};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::{AppId, Current, DeploymentRecord, Release, ReleaseError, ReleaseStore, ReleasedApp};

/// [`ReleaseStore`] on maps.
pub struct MemoryReleases {
    clock: Arc<dyn Clock>,
    apps: Mutex<BTreeMap<AppId, App>>,
    generation: watch::Sender<u64>,
}

/// Both lists are oldest first.
#[derive(Default)]
struct App {
    deployments: Vec<DeploymentRecord>,
    releases: Vec<Release>,
}

impl App {
    fn deployment(&self, id: &Digest) -> Option<&DeploymentRecord> {
        self.deployments.iter().find(|d| d.id == *id)
    }

    fn released(&self) -> Option<(&Release, &DeploymentRecord)> {
        let release = self.releases.last()?;
        Some((release, self.deployment(&release.deployment)?))
    }
}

impl MemoryReleases {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, apps: Mutex::default(), generation: watch::Sender::new(0) }
    }

    fn apps(&self) -> MutexGuard<'_, BTreeMap<AppId, App>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }

    fn point_now(&self, app: &AppId, deployment: &Digest, by: &str) -> Result<Release, ReleaseError> {
        let mut apps = self.apps();
        let unknown = || ReleaseError::UnknownDeployment { app: app.clone(), deployment: *deployment };
        let wanted = apps.get(app).and_then(|a| a.deployment(deployment)).ok_or_else(unknown)?.hosts.clone();
        let others = apps.iter().filter(|(id, _)| *id != app);
        let claims = others.filter_map(|(id, other)| Some((id, &other.released()?.1.hosts)));
        for (id, hosts) in claims {
            if let Some(host) = hosts.iter().find(|host| wanted.contains(host)) {
                return Err(ReleaseError::HostClaimed { host: host.clone(), by: id.clone() });
            }
        }
        let own = apps.get_mut(app).ok_or_else(unknown)?;
        let number = own.releases.last().map_or(0, |last| last.number) + 1;
        let release = Release { number, deployment: *deployment, released_ms: self.clock.unix_ms(), by: by.into() };
        own.releases.push(release.clone());
        self.raise();
        Ok(release)
    }
}

impl ReleaseStore for MemoryReleases {
    fn record<'a>(&'a self, app: &'a AppId, mut record: DeploymentRecord) -> BoxFuture<'a, Result<(), ReleaseError>> {
        async move {
            record.hosts.iter_mut().for_each(|host| host.make_ascii_lowercase());
            let mut apps = self.apps();
            let own = apps.entry(app.clone()).or_default();
            if own.deployment(&record.id).is_none() {
                own.deployments.push(record);
            }
            Ok(())
        }
        .boxed()
    }

    fn point<'a>(
        &'a self,
        app: &'a AppId,
        deployment: &'a Digest,
        by: &'a str,
    ) -> BoxFuture<'a, Result<Release, ReleaseError>> {
        async move { self.point_now(app, deployment, by) }.boxed()
    }

    fn current(&self) -> BoxFuture<'_, Result<Current, ReleaseError>> {
        async move {
            let apps = self.apps();
            let released = apps.iter().filter_map(|(app, state)| {
                let (release, record) = state.released()?;
                Some(ReleasedApp { app: app.clone(), release: release.clone(), record: record.clone() })
            });
            Ok(Current { generation: self.generation(), apps: released.collect() })
        }
        .boxed()
    }

    fn deployment<'a>(
        &'a self,
        app: &'a AppId,
        deployment: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<DeploymentRecord>, ReleaseError>> {
        async move { Ok(self.apps().get(app).and_then(|a| a.deployment(deployment)).cloned()) }.boxed()
    }

    fn deployments<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<DeploymentRecord>, ReleaseError>> {
        async move {
            let newest_first = |own: &App| own.deployments.iter().rev().cloned().collect();
            Ok(self.apps().get(app).map(newest_first).unwrap_or_default())
        }
        .boxed()
    }

    fn releases<'a>(&'a self, app: &'a AppId, limit: usize) -> BoxFuture<'a, Result<Vec<Release>, ReleaseError>> {
        async move {
            let newest_first = |own: &App| own.releases.iter().rev().take(limit).cloned().collect();
            Ok(self.apps().get(app).map(newest_first).unwrap_or_default())
        }
        .boxed()
    }

    fn previous<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Option<Release>, ReleaseError>> {
        async move {
            let find = |own: &App| {
                let released = own.releases.last()?.deployment;
                own.releases.iter().rev().find(|r| r.deployment != released).cloned()
            };
            Ok(self.apps().get(app).and_then(find))
        }
        .boxed()
    }

    fn remove<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<bool, ReleaseError>> {
        async move {
            let mut apps = self.apps();
            let removed = apps.remove(app);
            if removed.as_ref().is_some_and(|own| !own.releases.is_empty()) {
                self.raise();
            }
            Ok(removed.is_some())
        }
        .boxed()
    }

    fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    fn changed(&self, seen: u64) -> BoxFuture<'_, u64> {
        async move {
            let mut generations = self.generation.subscribe();
            // The sender lives in self, so the wait can't fail.
            generations.wait_for(|generation| *generation != seen).await.map_or(seen, |generation| *generation)
        }
        .boxed()
    }
}
