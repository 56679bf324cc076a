//! Deployments and releases in `node.db`.

use std::sync::Arc;

use base::{AppName, Digest, TenantName};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use services::{AppId, Current, DeploymentRecord, Release, ReleaseError, ReleaseStore, ReleasedApp, StoreError};
use tokio::sync::watch;

use crate::data_dir::Root;
use crate::database::{Database, Fate, Tx, WriteError};
use crate::pool::Lane;

/// [`ReleaseStore`] in a data directory.
pub struct LocalReleases {
    database: Arc<Database>,
    lane: Lane,
    generation: Arc<watch::Sender<u64>>,
    root: Arc<Root>,
}

impl LocalReleases {
    pub(crate) fn open(database: Arc<Database>, root: Arc<Root>) -> Result<Self, StoreError> {
        let generation = database.read(read_generation)?;
        Ok(Self { database, lane: Lane::default(), generation: Arc::new(watch::Sender::new(generation)), root })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        let database = self.database.clone();
        Ok(self.root.readers().run(self.lane, move || database.read(read)).await??)
    }

    async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        write: impl FnOnce(&mut Tx<'_>) -> Result<T, WriteError<ReleaseError>> + Send + 'static,
    ) -> Result<T, ReleaseError> {
        self.database.write(bytes, write).await
    }

    async fn record_one(&self, app: &AppId, record: DeploymentRecord) -> Result<(), ReleaseError> {
        let app = app.clone();
        let hosts: Vec<String> = record.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        let hosts = serde_json::to_string(&hosts).expect("strings can be written as JSON");
        let write = move |tx: &mut Tx<'_>| -> Result<(), WriteError<ReleaseError>> {
            tx.prepare(RECORD)?.execute(params![
                app.tenant.as_str(),
                app.app.as_str(),
                record.id.as_bytes(),
                record.created_ms as i64,
                record.message,
                record.document,
                hosts,
            ])?;
            Ok(())
        };
        self.write(0, write).await
    }

    async fn point_to(&self, app: &AppId, deployment: &Digest, by: &str) -> Result<Release, ReleaseError> {
        let (app, deployment, by) = (app.clone(), *deployment, by.to_owned());
        let (clock, generation) = (self.root.options.clock.clone(), self.generation.clone());
        let write = move |tx: &mut Tx<'_>| -> Result<Release, WriteError<ReleaseError>> {
            let unknown = || ReleaseError::UnknownDeployment { app: app.clone(), deployment };
            let record = find(tx.connection(), &app, &deployment)?.ok_or_else(|| WriteError::Refused(unknown()))?;
            claim(tx, &app, &record.hosts)?;
            let owner = params![app.tenant.as_str(), app.app.as_str()];
            let last: i64 = tx
                .prepare("SELECT coalesce(max(number), 0) FROM release WHERE tenant = ?1 AND app = ?2")?
                .query_row(owner, |row| row.get(0))?;
            let release = Release { number: last as u64 + 1, deployment, released_ms: clock.unix_ms(), by };
            tx.prepare("INSERT INTO release VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
                app.tenant.as_str(),
                app.app.as_str(),
                release.number as i64,
                release.deployment.as_bytes(),
                release.released_ms as i64,
                release.by,
            ])?;
            raise(tx, generation)?;
            Ok(release)
        };
        self.write(0, write).await
    }

    async fn remove_app(&self, app: &AppId) -> Result<bool, ReleaseError> {
        let (app, generation) = (app.clone(), self.generation.clone());
        let write = move |tx: &mut Tx<'_>| -> Result<bool, WriteError<ReleaseError>> {
            let delete = |sql| tx.prepare(sql)?.execute(params![app.tenant.as_str(), app.app.as_str()]);
            delete("DELETE FROM host WHERE tenant = ?1 AND app = ?2")?;
            let released = delete("DELETE FROM release WHERE tenant = ?1 AND app = ?2")? > 0;
            let recorded = delete("DELETE FROM deployment WHERE tenant = ?1 AND app = ?2")? > 0;
            if released {
                raise(tx, generation)?;
            }
            Ok(recorded)
        };
        self.write(0, write).await
    }
}

const RECORD: &str = "
    INSERT INTO deployment (tenant, app, id, created_ms, message, document, hosts)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (tenant, app, id) DO NOTHING";

/// The columns that [`read_record`] reads.
const RECORD_COLUMNS: &str = "d.id, d.created_ms, d.message, d.document, d.hosts";

fn read_record(row: &Row<'_>) -> rusqlite::Result<DeploymentRecord> {
    let hosts: String = row.get(4)?;
    let damaged = |error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, Box::new(error));
    Ok(DeploymentRecord {
        id: Digest::from_bytes(row.get(0)?),
        created_ms: row.get::<_, i64>(1)? as u64,
        message: row.get(2)?,
        document: row.get(3)?,
        hosts: serde_json::from_str(&hosts).map_err(damaged)?,
    })
}

/// The columns that [`read_release`] reads, beginning at `at`.
const RELEASE_COLUMNS: &str = "r.number, r.deployment, r.released_ms, r.by";

fn read_release(row: &Row<'_>, at: usize) -> rusqlite::Result<Release> {
    Ok(Release {
        number: row.get::<_, i64>(at)? as u64,
        deployment: Digest::from_bytes(row.get(at + 1)?),
        released_ms: row.get::<_, i64>(at + 2)? as u64,
        by: row.get(at + 3)?,
    })
}

fn read_generation(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT value FROM generation", [], |row| row.get::<_, i64>(0)).map(|value| value as u64)
}

fn find(connection: &Connection, app: &AppId, id: &Digest) -> rusqlite::Result<Option<DeploymentRecord>> {
    let sql = format!("SELECT {RECORD_COLUMNS} FROM deployment d WHERE d.tenant = ?1 AND d.app = ?2 AND d.id = ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row(params![app.tenant.as_str(), app.app.as_str(), id.as_bytes()], read_record).optional()
}

/// Gives the app exactly these hosts, unless one belongs to another.
fn claim(tx: &Tx<'_>, app: &AppId, hosts: &[String]) -> Result<(), WriteError<ReleaseError>> {
    let owner = (app.tenant.as_str(), app.app.as_str());
    tx.prepare("DELETE FROM host WHERE tenant = ?1 AND app = ?2")?.execute(owner)?;
    for host in hosts {
        let holder = tx
            .prepare("SELECT tenant, app FROM host WHERE host = ?1")?
            .query_row([host], |row| read_app(row, 0))
            .optional()?;
        match holder {
            // A manifest may name a host twice.
            Some(by) if by == *app => {}
            Some(by) => return Err(WriteError::Refused(ReleaseError::HostClaimed { host: host.clone(), by })),
            None => {
                tx.prepare("INSERT INTO host VALUES (?1, ?2, ?3)")?.execute((host, owner.0, owner.1))?;
            }
        }
    }
    Ok(())
}

/// Raises the generation, and tells those who wait once it is committed.
fn raise(tx: &mut Tx<'_>, generation: Arc<watch::Sender<u64>>) -> rusqlite::Result<()> {
    let mut statement = tx.prepare("UPDATE generation SET value = value + 1 RETURNING value")?;
    let raised = statement.query_row([], |row| row.get::<_, i64>(0))? as u64;
    drop(statement);
    tx.after(move |fate| {
        if fate == Fate::Committed {
            generation.send_replace(raised);
        }
    });
    Ok(())
}

fn read_app(row: &Row<'_>, at: usize) -> rusqlite::Result<AppId> {
    let name = |column: usize, text: &str, error| {
        let what = format!("{text:?}: {error}");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
    };
    let (tenant, app): (String, String) = (row.get(at)?, row.get(at + 1)?);
    Ok(AppId {
        tenant: TenantName::parse(&tenant).map_err(|error| name(at, &tenant, error))?,
        app: AppName::parse(&app).map_err(|error| name(at + 1, &app, error))?,
    })
}

fn read_current(connection: &Connection) -> rusqlite::Result<Current> {
    let view = connection.unchecked_transaction()?;
    let generation = read_generation(&view)?;
    let sql = format!(
        "SELECT {RECORD_COLUMNS}, {RELEASE_COLUMNS}, r.tenant, r.app FROM release r
         JOIN deployment d ON d.tenant = r.tenant AND d.app = r.app AND d.id = r.deployment
         WHERE r.number = (SELECT max(number) FROM release l WHERE l.tenant = r.tenant AND l.app = r.app)
         ORDER BY r.tenant, r.app"
    );
    let mut statement = view.prepare_cached(&sql)?;
    let apps = statement.query_map([], |row| {
        Ok(ReleasedApp { record: read_record(row)?, release: read_release(row, 5)?, app: read_app(row, 9)? })
    })?;
    Ok(Current { generation, apps: apps.collect::<rusqlite::Result<_>>()? })
}

impl ReleaseStore for LocalReleases {
    fn record<'a>(&'a self, app: &'a AppId, record: DeploymentRecord) -> BoxFuture<'a, Result<(), ReleaseError>> {
        self.record_one(app, record).boxed()
    }

    fn point<'a>(
        &'a self,
        app: &'a AppId,
        deployment: &'a Digest,
        by: &'a str,
    ) -> BoxFuture<'a, Result<Release, ReleaseError>> {
        self.point_to(app, deployment, by).boxed()
    }

    fn current(&self) -> BoxFuture<'_, Result<Current, ReleaseError>> {
        self.read(read_current).boxed()
    }

    fn deployment<'a>(
        &'a self,
        app: &'a AppId,
        deployment: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<DeploymentRecord>, ReleaseError>> {
        let (app, deployment) = (app.clone(), *deployment);
        self.read(move |c| find(c, &app, &deployment)).boxed()
    }

    fn deployments<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Vec<DeploymentRecord>, ReleaseError>> {
        let app = app.clone();
        let read = move |c: &Connection| {
            let sql = format!(
                "SELECT {RECORD_COLUMNS} FROM deployment d WHERE d.tenant = ?1 AND d.app = ?2 ORDER BY d.number DESC"
            );
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map(params![app.tenant.as_str(), app.app.as_str()], read_record)?;
            rows.collect()
        };
        self.read(read).boxed()
    }

    fn releases<'a>(&'a self, app: &'a AppId, limit: usize) -> BoxFuture<'a, Result<Vec<Release>, ReleaseError>> {
        let app = app.clone();
        let read = move |c: &Connection| {
            let sql = format!(
                "SELECT {RELEASE_COLUMNS} FROM release r WHERE r.tenant = ?1 AND r.app = ?2
                 ORDER BY r.number DESC LIMIT ?3"
            );
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut statement = c.prepare_cached(&sql)?;
            let owner = params![app.tenant.as_str(), app.app.as_str(), limit];
            let rows = statement.query_map(owner, |row| read_release(row, 0))?;
            rows.collect()
        };
        self.read(read).boxed()
    }

    fn previous<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<Option<Release>, ReleaseError>> {
        let app = app.clone();
        let read = move |c: &Connection| {
            let sql = format!(
                "SELECT {RELEASE_COLUMNS} FROM release r WHERE r.tenant = ?1 AND r.app = ?2 AND r.deployment <> (
                     SELECT deployment FROM release l WHERE l.tenant = ?1 AND l.app = ?2 ORDER BY number DESC LIMIT 1
                 ) ORDER BY r.number DESC LIMIT 1"
            );
            let mut statement = c.prepare_cached(&sql)?;
            let owner = params![app.tenant.as_str(), app.app.as_str()];
            statement.query_row(owner, |row| read_release(row, 0)).optional()
        };
        self.read(read).boxed()
    }

    fn remove<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Result<bool, ReleaseError>> {
        self.remove_app(app).boxed()
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
