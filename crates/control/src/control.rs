//! The control plane itself: the API over the contracts of `services`.

use std::collections::BTreeSet;
use std::collections::hash_map::{Entry, HashMap};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use base::{
    AppName, Artifact, ClassName, Clock, Code, Digest, Fault, NodeLimits, ResourceName, Secret, TenantName,
    WorkerLimits, code,
};
use bytes::Bytes;
use control_api::{
    Answer, Api, ApiError, AppEntry, AppUsage, BackupMade, BackupRequest, CertificateEntry, Checked, DeployRequest,
    Deployed, KvChanges, KvChangesOptions, KvCommitted, KvCondition, KvDeleted, KvListOptions, KvPage, KvPutOptions,
    KvReceipt, KvTransaction, KvUsage, KvValue, LimitEntry, ObjectInfo, ObjectPage, ObjectRestoreRequest,
    ObjectRestored, ReleaseEntry, Reloaded, RenewRequest, RollbackRequest, SecretEntry, SecretKey, SecretPutOptions,
    SecretRollback, SecretVersion, SecretVersionEntry, SqlAnswered, SqlChanges, SqlChangesOptions, SqlCopied,
    SqlCopyRequest, SqlEntry, SqlImported, SqlMigrateRequest, SqlMigration, SqlRequest, Status, UpstreamEntry,
};
use manifest::WorkerKind;
use services::{
    AppId, ArtifactStore, Care, DeploymentRecord, Kv, KvError, KvNamespace, Leases, ObjectStore, ReleaseStore,
    ResponseCare, SecretStore, Sql, SqlError,
};
use telemetry::Metrics;
use tokio::sync::Mutex;

use crate::bounds::RELEASES_LISTED;
use crate::document::Document;

mod blobs;
mod cache;
mod care;
mod config;
mod kv;
mod limits;
mod mirror;
mod objects;
mod secrets;
mod sql;
mod trace;
mod usage;

use kv::{condition, durability};
pub use trace::{Traced, trace_entry};

/// Who releases, as the history shows it: whoever holds the token.
const BY: &str = "admin";

/// A deployment may be named by so many of its first digits.
const PREFIX_DIGITS_MIN: usize = 6;

/// Why a worker can't start, found before it is released.
#[derive(Debug, Clone)]
pub struct PrepareError {
    pub code: Code,
    /// For the author of the worker.
    pub detail: String,
    /// In terms of the source as it was written.
    pub stack: Option<String>,
}

/// Reads a node's configuration again.
pub type Reload = Arc<dyn Fn() -> Answer<'static, Reloaded> + Send + Sync>;

/// What a node knows of its certificates, after it has asked for those that were named.
pub type Certificates = Arc<dyn Fn(Option<RenewRequest>) -> Answer<'static, Vec<CertificateEntry>> + Send + Sync>;

/// Brings an artifact to the point where instances start fast, or says why that fails. It may
/// block.
pub type Prepare = Arc<dyn Fn(&Artifact, &WorkerLimits) -> Result<Vec<String>, PrepareError> + Send + Sync>;

/// What the control plane works with.
#[derive(Clone)]
pub struct ControlParts {
    /// The owner of all apps.
    pub tenant: TenantName,
    pub artifacts: Arc<dyn ArtifactStore>,
    pub releases: Arc<dyn ReleaseStore>,
    pub secrets: Arc<dyn SecretStore>,
    pub kv: Arc<dyn Kv>,
    pub blobs: Arc<dyn services::blob::Blobs>,
    pub access_keys: Arc<dyn services::AccessKeyStore>,
    pub sql: Arc<dyn Sql>,
    pub objects: Arc<dyn ObjectStore>,
    pub leases: Arc<dyn Leases>,
    pub care: Arc<dyn Care>,
    /// The cache of the node in this process, if it runs.
    pub responses: Option<Arc<dyn ResponseCare>>,
    /// What the node in this process counts, if it runs.
    pub metrics: Option<Arc<Metrics>>,
    /// What it remembers of requests, if it runs.
    pub traced: Option<Traced>,
    pub clock: Arc<dyn Clock>,
    pub limits: NodeLimits,
    /// The limits of the node as they are for an app, whose quotas may change.
    pub limits_of: Arc<dyn Fn(&AppName) -> NodeLimits + Send + Sync>,
    /// Run for each worker of a new deployment before it is released, so that a script that
    /// throws while it is evaluated never replaces one that works.
    pub prepare: Prepare,
    /// Called after each change of what is released, and of a secret. It must not block.
    pub on_release: Arc<dyn Fn() + Send + Sync>,
    /// What the node sees of the upstreams that it serves.
    pub upstreams: Arc<dyn Fn() -> Vec<UpstreamEntry> + Send + Sync>,
    /// Lists the certificates that a node asks an authority for, and renews them if that is asked.
    pub certificates: Option<Certificates>,
    /// Reads the node's configuration again; where no node runs there is none.
    pub reload: Option<Reload>,
    /// The version of Selvedge.
    pub version: &'static str,
}

/// An [`Api`] over a node's stores.
pub struct Control {
    parts: ControlParts,
    started: Duration,
    /// Deployments happen one after another: each may need much memory while it is prepared.
    deploying: Mutex<()>,
}

impl Control {
    pub fn new(parts: ControlParts) -> Self {
        let started = parts.clock.monotonic();
        Self { parts, started, deploying: Mutex::new(()) }
    }

    fn id(&self, app: &AppName) -> AppId {
        AppId::new(self.parts.tenant.clone(), app.clone())
    }

    fn namespace(&self, app: AppName, name: ResourceName) -> KvNamespace {
        KvNamespace::new(self.parts.tenant.clone(), app, name)
    }

    async fn missing(&self, digests: impl IntoIterator<Item = Digest>) -> Result<Vec<Digest>, ApiError> {
        let mut seen = BTreeSet::new();
        let mut missing = Vec::new();
        for digest in digests {
            if seen.insert(digest) && !self.parts.artifacts.has(&self.parts.tenant, &digest).await.map_err(failed)? {
                missing.push(digest);
            }
        }
        Ok(missing)
    }

    async fn check_blobs(&self, document: &Document) -> Result<(), ApiError> {
        let missing = self.missing(document.blobs()).await?;
        let Some(first) = missing.first() else { return Ok(()) };
        let more = if missing.len() > 1 { format!(" and {} more", missing.len() - 1) } else { String::new() };
        Err(ApiError::new(&code::BLOB_MISSING, format!("the node does not have {first}{more}")))
    }

    /// Starts each worker once, to see that it can be. Answers what they logged meanwhile.
    async fn prepare(&self, document: &Document) -> Result<Vec<String>, ApiError> {
        let mut logged = Vec::new();
        for (worker, digest) in document.plan().workers.iter().zip(document.workers()) {
            let bytes = self.parts.artifacts.get(&self.parts.tenant, digest).await.map_err(failed)?;
            let bytes =
                bytes.ok_or_else(|| ApiError::new(&code::BLOB_MISSING, format!("the node does not have {digest}")))?;
            let bad = |what: String| ApiError::new(&code::BAD_DEPLOYMENT, format!("worker `{}`: {what}", worker.name));
            let artifact = Artifact::decode(&bytes).map_err(|error| bad(error.to_string()))?;
            match (worker.kind, &artifact) {
                (WorkerKind::Script, Artifact::Script(_)) | (WorkerKind::Component, Artifact::Component(_)) => {}
                _ => return Err(bad("its artifact is of another kind than the plan says".into())),
            }
            let (prepare, limits) = (self.parts.prepare.clone(), worker.limits.clone());
            let prepared = tokio::task::spawn_blocking(move || prepare(&artifact, &limits)).await;
            match prepared {
                Ok(Ok(lines)) => logged.extend(lines.iter().map(|line| format!("{} (at start) {line}", worker.name))),
                Ok(Err(error)) => {
                    let detail = format!("worker `{}`: {}", worker.name, error.detail);
                    return Err(ApiError::new(error.code, detail).with_stack(error.stack));
                }
                Err(error) => {
                    tracing::error!(worker = worker.name.as_str(), %error, "preparing a worker failed");
                    return Err(ApiError::new(
                        &code::INTERNAL,
                        format!("worker `{}`: preparing it failed", worker.name),
                    ));
                }
            }
        }
        Ok(logged)
    }

    async fn deploy_one(&self, request: DeployRequest) -> Result<Deployed, ApiError> {
        let bad = |error: &dyn Error| ApiError::new(&code::BAD_DEPLOYMENT, error.to_string());
        let text = serde_json::to_vec(&request.document).map_err(|error| bad(&error))?;
        let document = Document::parse(&text).map_err(|error| bad(&error))?;
        let encoded = document.encode();
        let id = Digest::of(&encoded);
        let app = self.id(&document.plan().app);
        self.check_blobs(&document).await?;

        let _turn = self.deploying.lock().await;
        let fresh = self.parts.releases.deployment(&app, &id).await.map_err(failed)?.is_none();
        let mut start_log = Vec::new();
        if fresh {
            start_log = self.prepare(&document).await?;
        }
        // Before the deployment is there: code never meets a database that it does not know.
        self.migrate(&app, &document).await?;
        if fresh {
            let record = DeploymentRecord {
                id,
                created_ms: self.parts.clock.unix_ms(),
                message: request.message.map(String::from),
                document: encoded,
                hosts: document.hosts(),
            };
            self.parts.releases.record(&app, record).await.map_err(failed)?;
        }
        let deployed = self.release(&app, id, &document, fresh).await?;
        Ok(Deployed { start_log, ..deployed })
    }

    /// Points the app at a recorded deployment, if it is not there already.
    async fn release(&self, app: &AppId, id: Digest, document: &Document, fresh: bool) -> Result<Deployed, ApiError> {
        let latest = self.parts.releases.releases(app, 1).await.map_err(failed)?.into_iter().next();
        let release = match latest {
            Some(latest) if latest.deployment == id => latest.number,
            _ => {
                let release = self.parts.releases.point(app, &id, BY).await.map_err(failed)?;
                tracing::info!(app = app.app.as_str(), deployment = %id.short(), release = release.number, "released");
                (self.parts.on_release)();
                release.number
            }
        };
        let missing_secrets = self.missing_secrets(app, document).await?;
        let (app, hosts) = (app.app.clone(), document.hosts());
        Ok(Deployed { id, app, hosts, release, fresh, start_log: Vec::new(), missing_secrets })
    }

    async fn roll_back(&self, name: AppName, request: RollbackRequest) -> Result<Deployed, ApiError> {
        let _turn = self.deploying.lock().await;
        let app = self.id(&name);
        let target = match &request.to {
            Some(prefix) => self.released_with_prefix(&app, prefix).await?,
            None => match self.parts.releases.previous(&app).await.map_err(failed)? {
                Some(release) => release.deployment,
                None => {
                    self.known_releases(&app, 1).await?;
                    let detail = format!("{name} has no earlier deployment than the released one");
                    return Err(ApiError::new(&code::NO_PREVIOUS_RELEASE, detail));
                }
            },
        };
        let document = self.recorded(&app, &target).await?;
        self.check_blobs(&document).await?;
        self.release(&app, target, &document, false).await
    }

    /// The deployment that was released and whose id begins so.
    async fn released_with_prefix(&self, app: &AppId, prefix: &str) -> Result<Digest, ApiError> {
        let prefix = prefix.to_ascii_lowercase();
        if prefix.len() < PREFIX_DIGITS_MIN || prefix.len() > 64 || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            let detail = format!(
                "{prefix:?} is no deployment id: it has 64 hexadecimal digits, of which the first {PREFIX_DIGITS_MIN} may do"
            );
            return Err(ApiError::new(&code::BAD_REQUEST, detail));
        }
        let releases = self.known_releases(app, RELEASES_LISTED.max).await?;
        let ids: BTreeSet<Digest> = releases.iter().map(|release| release.deployment).collect();
        let fits: Vec<_> = ids.into_iter().filter(|id| id.to_string().starts_with(&prefix)).collect();
        match fits.as_slice() {
            [id] => Ok(*id),
            [] => {
                let detail = format!("no release of {} has a deployment {prefix}", app.app);
                Err(ApiError::new(&code::UNKNOWN_DEPLOYMENT, detail))
            }
            several => {
                let detail =
                    format!("{} deployments of {} begin with {prefix}; give more digits", several.len(), app.app);
                Err(ApiError::new(&code::BAD_REQUEST, detail))
            }
        }
    }

    /// The latest releases of an app that has some.
    async fn known_releases(&self, app: &AppId, limit: u64) -> Result<Vec<services::Release>, ApiError> {
        let releases = self.parts.releases.releases(app, limit as usize).await.map_err(failed)?;
        if releases.is_empty() {
            return Err(unknown_app(&app.app));
        }
        Ok(releases)
    }

    async fn recorded(&self, app: &AppId, id: &Digest) -> Result<Document, ApiError> {
        let record = self.parts.releases.deployment(app, id).await.map_err(failed)?;
        let unknown =
            || ApiError::new(&code::UNKNOWN_DEPLOYMENT, format!("{} has no deployment {}", app.app, id.short()));
        let record = record.ok_or_else(unknown)?;
        Document::read(&record.document, id).map_err(|error| {
            tracing::error!(app = app.app.as_str(), deployment = %id, %error, "a recorded deployment can't be read");
            ApiError::new(
                &code::STORE_CORRUPT,
                format!("the recorded deployment {} can't be read: {error}", id.short()),
            )
        })
    }

    async fn release_list(&self, name: AppName, limit: Option<u64>) -> Result<Vec<ReleaseEntry>, ApiError> {
        let app = self.id(&name);
        let limit = limit.unwrap_or(RELEASES_LISTED.max).clamp(1, RELEASES_LISTED.max);
        let releases = self.known_releases(&app, limit).await?;
        let mut records: HashMap<Digest, (u64, Option<String>, Option<String>)> = HashMap::new();
        let mut entries = Vec::with_capacity(releases.len());
        for (at, release) in releases.into_iter().enumerate() {
            let (created_ms, message, env) = match records.entry(release.deployment) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(place) => {
                    let record = self.parts.releases.deployment(&app, &release.deployment).await.map_err(failed)?;
                    let facts = record.map(|record| (record.created_ms, record.message, env_of(&record.document)));
                    place.insert(facts.unwrap_or_default()).clone()
                }
            };
            entries.push(ReleaseEntry {
                number: release.number,
                id: release.deployment,
                released_ms: release.released_ms,
                by: release.by,
                created_ms,
                message,
                env,
                // The latest movement of the pointer is where it points.
                current: at == 0,
            });
        }
        Ok(entries)
    }
}

fn not_running() -> ApiError {
    ApiError::new(&code::NODE_STOPPED, "no node runs on this data".to_owned())
}

impl Api for Control {
    fn status(&self) -> Answer<'_, Status> {
        Box::pin(async move {
            let current = self.parts.releases.current().await.map_err(failed)?;
            let own = current.apps.iter().filter(|released| released.app.tenant == self.parts.tenant);
            let uptime = self.parts.clock.monotonic().saturating_sub(self.started);
            Ok(Status {
                version: self.parts.version.into(),
                generation: current.generation,
                apps: own.count() as u64,
                uptime_ms: uptime.as_millis() as u64,
            })
        })
    }

    fn apps(&self) -> Answer<'_, Vec<AppEntry>> {
        Box::pin(async move {
            let current = self.parts.releases.current().await.map_err(failed)?;
            let own = current.apps.into_iter().filter(|released| released.app.tenant == self.parts.tenant);
            let entry = |released: services::ReleasedApp| AppEntry {
                app: released.app.app,
                id: released.record.id,
                release: released.release.number,
                released_ms: released.release.released_ms,
                hosts: released.record.hosts,
            };
            Ok(own.map(entry).collect())
        })
    }

    fn missing_blobs(&self, digests: Vec<Digest>) -> Answer<'_, Vec<Digest>> {
        Box::pin(self.missing(digests))
    }

    fn put_blob(&self, digest: Digest, bytes: Bytes) -> Answer<'_, ()> {
        Box::pin(async move {
            let found = Digest::of(&bytes);
            if found != digest {
                let detail = format!("the content has the digest {found} and was sent as {digest}");
                return Err(ApiError::new(&code::DIGEST_MISMATCH, detail));
            }
            self.parts.artifacts.put(&self.parts.tenant, bytes).await.map_err(failed)?;
            Ok(())
        })
    }

    fn deploy(&self, request: DeployRequest) -> Answer<'_, Deployed> {
        Box::pin(self.deploy_one(request))
    }

    fn releases(&self, app: AppName, limit: Option<u64>) -> Answer<'_, Vec<ReleaseEntry>> {
        Box::pin(self.release_list(app, limit))
    }

    fn rollback(&self, app: AppName, request: RollbackRequest) -> Answer<'_, Deployed> {
        Box::pin(self.roll_back(app, request))
    }

    fn remove(&self, app: AppName) -> Answer<'_, ()> {
        Box::pin(async move {
            let _turn = self.deploying.lock().await;
            if !self.parts.releases.remove(&self.id(&app)).await.map_err(failed)? {
                return Err(unknown_app(&app));
            }
            tracing::info!(app = app.as_str(), "removed");
            (self.parts.on_release)();
            Ok(())
        })
    }

    fn secret_put(
        &self,
        app: AppName,
        secret: SecretKey,
        value: Secret<Bytes>,
        options: SecretPutOptions,
    ) -> Answer<'_, SecretVersion> {
        Box::pin(self.put_secret(app, secret, value, options))
    }

    fn secret_list(&self, app: AppName) -> Answer<'_, Vec<SecretEntry>> {
        Box::pin(self.list_secrets(app))
    }

    fn secret_versions(&self, app: AppName, secret: SecretKey) -> Answer<'_, Vec<SecretVersionEntry>> {
        Box::pin(self.secret_history(app, secret))
    }

    fn secret_rollback(&self, app: AppName, secret: SecretKey, to: SecretRollback) -> Answer<'_, SecretVersion> {
        Box::pin(self.roll_secret_back(app, secret, to))
    }

    fn secret_delete(&self, app: AppName, secret: SecretKey) -> Answer<'_, ()> {
        Box::pin(self.delete_secret(app, secret))
    }

    fn upstreams(&self) -> Answer<'_, Vec<UpstreamEntry>> {
        Box::pin(async move { Ok((self.parts.upstreams)()) })
    }

    fn back_up(&self, request: BackupRequest) -> Answer<'_, BackupMade> {
        Box::pin(self.make_backup(request))
    }

    fn certificates(&self) -> Answer<'_, Vec<CertificateEntry>> {
        match &self.parts.certificates {
            Some(certificates) => certificates(None),
            None => Box::pin(std::future::ready(Err(not_running()))),
        }
    }

    fn renew(&self, request: RenewRequest) -> Answer<'_, Vec<CertificateEntry>> {
        match &self.parts.certificates {
            Some(certificates) => certificates(Some(request)),
            None => Box::pin(std::future::ready(Err(not_running()))),
        }
    }

    fn reload(&self) -> Answer<'_, Reloaded> {
        match &self.parts.reload {
            Some(reload) => reload(),
            None => Box::pin(std::future::ready(Err(not_running()))),
        }
    }

    fn check(&self) -> Answer<'_, Checked> {
        Box::pin(self.check_all())
    }

    fn kv_get(&self, app: AppName, namespace: ResourceName, key: String) -> Answer<'_, Option<KvValue>> {
        Box::pin(self.get_entry(self.namespace(app, namespace), key))
    }

    fn kv_put(
        &self,
        app: AppName,
        namespace: ResourceName,
        key: String,
        value: Bytes,
        options: KvPutOptions,
    ) -> Answer<'_, KvReceipt> {
        Box::pin(self.put_entry(self.namespace(app, namespace), key, value, options))
    }

    fn kv_delete(
        &self,
        app: AppName,
        namespace: ResourceName,
        key: String,
        when: KvCondition,
    ) -> Answer<'_, KvDeleted> {
        Box::pin(async move {
            let ns = self.namespace(app, namespace);
            let receipt = self.parts.kv.delete(&ns, &key, condition(when)).await.map_err(failed)?;
            Ok(KvDeleted { existed: receipt.existed, durability: durability(receipt.durability) })
        })
    }

    fn kv_list(&self, app: AppName, namespace: ResourceName, options: KvListOptions) -> Answer<'_, KvPage> {
        Box::pin(self.list_entries(self.namespace(app, namespace), options))
    }

    fn kv_commit(&self, app: AppName, namespace: ResourceName, transaction: KvTransaction) -> Answer<'_, KvCommitted> {
        Box::pin(self.commit_entries(self.namespace(app, namespace), transaction))
    }

    fn kv_changes(&self, app: AppName, namespace: ResourceName, options: KvChangesOptions) -> Answer<'_, KvChanges> {
        Box::pin(self.changed_entries(self.namespace(app, namespace), options))
    }

    fn app_usage(&self, app: AppName) -> Answer<'_, AppUsage> {
        Box::pin(self.usage_of(app))
    }

    fn kv_usage(&self, app: AppName) -> Answer<'_, KvUsage> {
        Box::pin(self.used(app))
    }

    fn sql_list(&self, app: AppName) -> Answer<'_, Vec<SqlEntry>> {
        Box::pin(self.list_databases(app))
    }

    fn sql_query(&self, app: AppName, database: String, request: SqlRequest) -> Answer<'_, SqlAnswered> {
        Box::pin(self.query_database(app, database, request))
    }

    fn sql_import(&self, app: AppName, database: String, text: Bytes) -> Answer<'_, SqlImported> {
        Box::pin(self.import_into(app, database, text))
    }

    fn sql_migrations(&self, app: AppName, database: String) -> Answer<'_, Vec<SqlMigration>> {
        Box::pin(async move { self.applied(&self.database(&app, &database)?).await })
    }

    fn sql_copy(&self, app: AppName, database: String, request: SqlCopyRequest) -> Answer<'_, SqlCopied> {
        Box::pin(self.copy_database(app, database, request))
    }

    fn sql_delete(&self, app: AppName, database: String) -> Answer<'_, ()> {
        Box::pin(self.delete_database(app, database))
    }

    fn sql_changes(&self, app: AppName, database: String, options: SqlChangesOptions) -> Answer<'_, SqlChanges> {
        Box::pin(self.changes_of(app, database, options))
    }

    fn sql_migrate(&self, app: AppName, database: String, request: SqlMigrateRequest) -> Answer<'_, Vec<SqlMigration>> {
        Box::pin(self.migrate_database(app, database, request))
    }

    fn object_list(
        &self,
        app: AppName,
        class: ClassName,
        after: Option<String>,
        limit: Option<u64>,
    ) -> Answer<'_, ObjectPage> {
        Box::pin(self.list_objects(app, class, after, limit))
    }

    fn object_inspect(&self, app: AppName, class: ClassName, object: String) -> Answer<'_, Option<ObjectInfo>> {
        Box::pin(self.inspect_object(app, class, object))
    }

    fn object_export(&self, app: AppName, class: ClassName, object: String) -> Answer<'_, Option<Bytes>> {
        Box::pin(self.export_object(app, class, object))
    }

    fn object_replace(&self, app: AppName, class: ClassName, object: String, export: Option<Bytes>) -> Answer<'_, ()> {
        Box::pin(self.replace_object(app, class, object, export))
    }

    fn object_restore(
        &self,
        app: AppName,
        class: ClassName,
        object: String,
        request: ObjectRestoreRequest,
    ) -> Answer<'_, ObjectRestored> {
        Box::pin(self.restore_object(app, class, object, request))
    }

    fn limits(&self, app: Option<AppName>) -> Answer<'_, Vec<LimitEntry>> {
        Box::pin(async move {
            let mut entries = limits::of_node(&self.parts.limits);
            if let Some(name) = app {
                let app = self.id(&name);
                let latest = self.known_releases(&app, 1).await?.remove(0);
                let document = self.recorded(&app, &latest.deployment).await?;
                entries.extend(limits::of_app(document.plan()));
            }
            Ok(entries)
        })
    }
}

/// The errors of the contracts, which say who is to blame.
trait StoreFailure: Error {
    fn code(&self) -> Code;
}

impl StoreFailure for services::ArtifactError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl StoreFailure for services::ReleaseError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl StoreFailure for services::SecretError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl StoreFailure for services::ObjectError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl StoreFailure for services::StoreError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl StoreFailure for services::care::CareError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl StoreFailure for SqlError {
    fn code(&self) -> Code {
        self.code()
    }
}

impl StoreFailure for KvError {
    fn code(&self) -> Code {
        self.code()
    }
}

/// The caller hears an error's own level; what lies beneath is for the log.
fn failed(error: impl StoreFailure) -> ApiError {
    let code = error.code();
    if code.fault == Fault::Node {
        let source = error.source().map(ToString::to_string);
        tracing::error!(code = code.name, source, "{error}");
    }
    ApiError::new(code, error.to_string())
}

fn unknown_app(app: &AppName) -> ApiError {
    ApiError::new(&code::UNKNOWN_APP, format!("no app {app} is released"))
}

/// The environment of a document, read without checking all of it: a list of releases shows also
/// what an older version wrote.
fn env_of(document: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Peek {
        plan: PlanPeek,
    }
    #[derive(serde::Deserialize)]
    struct PlanPeek {
        env_name: Option<String>,
    }
    serde_json::from_slice::<Peek>(document).ok()?.plan.env_name
}

#[cfg(test)]
pub(crate) mod tests;
