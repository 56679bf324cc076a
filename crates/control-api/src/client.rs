//! The API over HTTP/1.1.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use base::{AppName, ClassName, Digest, ResourceName, Secret, code};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::model::{
    AppEntry, AppUsage, BackupMade, BackupRequest, Blobs, CertificateEntry, Checked, DeployRequest, Deployed, Items,
    KvChanges, KvChangesOptions, KvCommitted, KvCondition, KvDeleted, KvListOptions, KvPage, KvPutOptions, KvReceipt,
    KvTransaction, KvUsage, KvValue, LimitEntry, ObjectInfo, ObjectPage, ObjectRestoreRequest, ObjectRestored,
    ReleaseEntry, Reloaded, RenewRequest, RollbackRequest, SecretEntry, SecretPutOptions, SecretRollback,
    SecretVersion, SecretVersionEntry, SqlAnswered, SqlChanges, SqlChangesOptions, SqlCopied, SqlCopyRequest, SqlEntry,
    SqlImported, SqlMigrateRequest, SqlMigration, SqlRequest, Status, UpstreamEntry,
};
use crate::query::{QueryText, decode};
use crate::route::{KV_EXPIRES, KV_METADATA, KV_REVISION};
use crate::{Answer, Api, ApiError, Operation, SecretKey};

mod blob;
mod cache;
mod config;
mod mirror;
mod trace;

/// An [`Api`] behind an admin address.
///
/// Each call has a connection of its own and nothing is kept in between, so that no call can meet
/// a connection that the node closed meanwhile: whatever fails, failed for this call.
#[derive(Debug, Clone)]
pub struct Client {
    options: ClientOptions,
}

#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The node's admin address.
    pub address: SocketAddr,
    pub token: Secret<String>,
    /// How long connecting may take.
    pub connect_ms: u64,
    /// How long an answer may take, from connecting to its last byte. A deployment is prepared
    /// before it is answered.
    pub answer_ms: u64,
    /// The same for what reads or writes everything.
    pub slow_answer_ms: u64,
    /// The longest answer.
    pub answer_bytes_max: usize,
}

impl ClientOptions {
    pub fn new(address: SocketAddr, token: Secret<String>) -> Self {
        Self {
            address,
            token,
            connect_ms: 5_000,
            answer_ms: 600_000,
            slow_answer_ms: 86_400_000,
            answer_bytes_max: 256 << 20,
        }
    }
}

/// A whole response.
struct Response {
    headers: HeaderMap,
    body: Bytes,
}

/// What a request carries.
enum Payload {
    Nothing,
    Json(Vec<u8>),
    Bytes(Bytes),
}

impl Payload {
    fn json(value: &impl Serialize) -> Self {
        Self::Json(serde_json::to_vec(value).expect("a model has no shape that JSON lacks"))
    }
}

impl Client {
    pub fn new(options: ClientOptions) -> Self {
        Self { options }
    }

    async fn call(
        &self,
        operation: Operation,
        parameters: &[&str],
        query: QueryText,
        payload: Payload,
    ) -> Result<Response, ApiError> {
        let target = operation.path(parameters) + query.as_str();
        let request = self.request(operation, &target, payload)?;
        let answer_ms = if operation.row().slow { self.options.slow_answer_ms } else { self.options.answer_ms };
        let limit = Duration::from_millis(answer_ms);
        match timeout(limit, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(format!("did not answer within {} s", limit.as_secs()))),
        }
    }

    fn request(&self, operation: Operation, target: &str, payload: Payload) -> Result<Request<Full<Bytes>>, ApiError> {
        let bad_token = |_| ApiError::new(&code::UNAUTHENTICATED, "the token has characters that no token has");
        let mut token = HeaderValue::from_str(&format!("Bearer {}", self.options.token.expose())).map_err(bad_token)?;
        token.set_sensitive(true);
        let (kind, body) = match payload {
            Payload::Nothing => (None, Bytes::new()),
            Payload::Json(text) => (Some("application/json"), text.into()),
            Payload::Bytes(bytes) => (Some("application/octet-stream"), bytes),
        };
        let mut request = Request::builder()
            .method(&operation.row().method)
            .uri(target)
            .header(header::HOST, self.options.address.to_string())
            .header(header::AUTHORIZATION, token);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let too_long = |error| ApiError::new(&code::URI_TOO_LONG, format!("the request can't be written: {error}"));
        request.body(Full::new(body)).map_err(too_long)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response, ApiError> {
        let connect = TcpStream::connect(self.options.address);
        let stream = match timeout(Duration::from_millis(self.options.connect_ms), connect).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.unreachable(format!("can't be reached: {error}"))),
            Err(_) => return Err(self.unreachable(format!("did not accept within {} ms", self.options.connect_ms))),
        };
        let failed = |error: hyper::Error| self.unreachable(format!("broke off: {error}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let answer = async {
            let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
            let body = Limited::new(body, self.options.answer_bytes_max).collect().await;
            let body = body.map_err(|error| self.unreachable(format!("broke off its answer: {error}")))?;
            Ok((head, body.to_bytes()))
        };
        // The connection is driven here and not by a task: it ends with the call.
        let (mut answer, mut connection, mut open) = (pin!(answer), pin!(connection), true);
        let (head, body): (http::response::Parts, Bytes) = loop {
            tokio::select! {
                answer = &mut answer => break answer?,
                _ = &mut connection, if open => open = false,
            }
        };
        match head.status.is_success() {
            true => Ok(Response { headers: head.headers, body }),
            false => Err(refused(head.status, &body)),
        }
    }

    fn unreachable(&self, what: String) -> ApiError {
        ApiError::new(&code::NODE_UNREACHABLE, format!("the node at {} {what}", self.options.address))
    }

    async fn read<T: DeserializeOwned>(
        &self,
        operation: Operation,
        parameters: &[&str],
        query: QueryText,
        payload: Payload,
    ) -> Result<T, ApiError> {
        let response = self.call(operation, parameters, query, payload).await?;
        let odd = |error| self.unreachable(format!("gave an answer that this version can't read: {error}"));
        serde_json::from_slice(&response.body).map_err(odd)
    }

    async fn items<T: DeserializeOwned>(
        &self,
        operation: Operation,
        parameters: &[&str],
        query: QueryText,
    ) -> Result<Vec<T>, ApiError> {
        Ok(self.read::<Items<T>>(operation, parameters, query, Payload::Nothing).await?.items)
    }

    fn entry(&self, response: Response) -> Result<KvValue, ApiError> {
        let Response { headers, body } = response;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|value| value.parse().ok());
        let odd = || self.unreachable("gave an entry without a revision".into());
        Ok(KvValue {
            revision: number(KV_REVISION).ok_or_else(odd)?,
            expires_at_ms: number(KV_EXPIRES),
            metadata: text(KV_METADATA).and_then(decode),
            value: body,
        })
    }
}

fn refused(status: StatusCode, body: &[u8]) -> ApiError {
    ApiError::from_document(status.as_u16(), body)
}

fn of_env(secret: &SecretKey) -> QueryText {
    QueryText::default().with("env", secret.env.as_ref())
}

fn condition(query: QueryText, condition: KvCondition) -> QueryText {
    match condition {
        KvCondition::Always => query,
        KvCondition::Absent => query.with("if_absent", Some(true)),
        KvCondition::Revision(revision) => query.with("if_revision", Some(revision)),
    }
}

impl Api for Client {
    fn status(&self) -> Answer<'_, Status> {
        Box::pin(self.read(Operation::Status, &[], QueryText::default(), Payload::Nothing))
    }

    fn apps(&self) -> Answer<'_, Vec<AppEntry>> {
        Box::pin(self.items(Operation::Apps, &[], QueryText::default()))
    }

    fn missing_blobs(&self, digests: Vec<Digest>) -> Answer<'_, Vec<Digest>> {
        Box::pin(async move {
            let payload = Payload::json(&Blobs { digests });
            let missing: Blobs = self.read(Operation::MissingBlobs, &[], QueryText::default(), payload).await?;
            Ok(missing.digests)
        })
    }

    fn put_blob(&self, digest: Digest, bytes: Bytes) -> Answer<'_, ()> {
        Box::pin(async move {
            let parameters = [digest.to_string()];
            self.call(Operation::PutBlob, &[&parameters[0]], QueryText::default(), Payload::Bytes(bytes)).await?;
            Ok(())
        })
    }

    fn deploy(&self, request: DeployRequest) -> Answer<'_, Deployed> {
        Box::pin(async move { self.read(Operation::Deploy, &[], QueryText::default(), Payload::json(&request)).await })
    }

    fn releases(&self, app: AppName, limit: Option<u64>) -> Answer<'_, Vec<ReleaseEntry>> {
        Box::pin(async move {
            let query = QueryText::default().with("limit", limit);
            self.items(Operation::Releases, &[app.as_str()], query).await
        })
    }

    fn rollback(&self, app: AppName, request: RollbackRequest) -> Answer<'_, Deployed> {
        Box::pin(async move {
            let payload = Payload::json(&request);
            self.read(Operation::Rollback, &[app.as_str()], QueryText::default(), payload).await
        })
    }

    fn remove(&self, app: AppName) -> Answer<'_, ()> {
        Box::pin(async move {
            self.call(Operation::Remove, &[app.as_str()], QueryText::default(), Payload::Nothing).await?;
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
        Box::pin(async move {
            let payload = Payload::Bytes(value.expose().clone());
            let overlap_s = Some(options.overlap_s).filter(|&seconds| seconds > 0);
            let query = of_env(&secret).with("overlap_s", overlap_s);
            self.read(Operation::SecretPut, &[app.as_str(), secret.name.as_str()], query, payload).await
        })
    }

    fn secret_list(&self, app: AppName) -> Answer<'_, Vec<SecretEntry>> {
        Box::pin(async move { self.items(Operation::SecretList, &[app.as_str()], QueryText::default()).await })
    }

    fn secret_versions(&self, app: AppName, secret: SecretKey) -> Answer<'_, Vec<SecretVersionEntry>> {
        Box::pin(async move {
            let parameters = [app.as_str(), secret.name.as_str()];
            self.items(Operation::SecretVersions, &parameters, of_env(&secret)).await
        })
    }

    fn secret_rollback(&self, app: AppName, secret: SecretKey, to: SecretRollback) -> Answer<'_, SecretVersion> {
        Box::pin(async move {
            let parameters = [app.as_str(), secret.name.as_str()];
            self.read(Operation::SecretRollback, &parameters, of_env(&secret), Payload::json(&to)).await
        })
    }

    fn secret_delete(&self, app: AppName, secret: SecretKey) -> Answer<'_, ()> {
        Box::pin(async move {
            let parameters = [app.as_str(), secret.name.as_str()];
            self.call(Operation::SecretDelete, &parameters, of_env(&secret), Payload::Nothing).await?;
            Ok(())
        })
    }

    fn sql_list(&self, app: AppName) -> Answer<'_, Vec<SqlEntry>> {
        Box::pin(async move { self.items(Operation::SqlList, &[app.as_str()], QueryText::default()).await })
    }

    fn sql_query(&self, app: AppName, database: String, request: SqlRequest) -> Answer<'_, SqlAnswered> {
        Box::pin(async move {
            let parameters = [app.as_str(), &database];
            self.read(Operation::SqlQuery, &parameters, QueryText::default(), Payload::json(&request)).await
        })
    }

    fn sql_import(&self, app: AppName, database: String, text: Bytes) -> Answer<'_, SqlImported> {
        Box::pin(async move {
            let parameters = [app.as_str(), &database];
            self.read(Operation::SqlImport, &parameters, QueryText::default(), Payload::Bytes(text)).await
        })
    }

    fn sql_migrations(&self, app: AppName, database: String) -> Answer<'_, Vec<SqlMigration>> {
        Box::pin(async move {
            let parameters = [app.as_str(), &database];
            self.items(Operation::SqlMigrations, &parameters, QueryText::default()).await
        })
    }

    fn sql_copy(&self, app: AppName, database: String, request: SqlCopyRequest) -> Answer<'_, SqlCopied> {
        Box::pin(async move {
            let parameters = [app.as_str(), &database];
            self.read(Operation::SqlCopy, &parameters, QueryText::default(), Payload::json(&request)).await
        })
    }

    fn sql_delete(&self, app: AppName, database: String) -> Answer<'_, ()> {
        Box::pin(async move {
            let parameters = [app.as_str(), &database];
            self.call(Operation::SqlDelete, &parameters, QueryText::default(), Payload::Nothing).await?;
            Ok(())
        })
    }

    fn sql_changes(&self, app: AppName, database: String, options: SqlChangesOptions) -> Answer<'_, SqlChanges> {
        Box::pin(async move {
            let wait_ms = Some(options.wait_ms).filter(|&ms| ms > 0);
            let query = QueryText::default().with("after", options.after).with("limit", options.limit);
            let parameters = [app.as_str(), &database];
            self.read(Operation::SqlChanges, &parameters, query.with("wait_ms", wait_ms), Payload::Nothing).await
        })
    }

    fn sql_migrate(&self, app: AppName, database: String, request: SqlMigrateRequest) -> Answer<'_, Vec<SqlMigration>> {
        Box::pin(async move {
            let parameters = [app.as_str(), &database];
            let payload = Payload::json(&request);
            let answer: Items<SqlMigration> =
                self.read(Operation::SqlMigrate, &parameters, QueryText::default(), payload).await?;
            Ok(answer.items)
        })
    }

    fn kv_get(&self, app: AppName, namespace: ResourceName, key: String) -> Answer<'_, Option<KvValue>> {
        Box::pin(async move {
            let parameters = [app.as_str(), namespace.as_str(), &key];
            match self.call(Operation::KvGet, &parameters, QueryText::default(), Payload::Nothing).await {
                Ok(response) => Ok(Some(self.entry(response)?)),
                Err(error) if error.is(&code::KEY_MISSING) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn kv_put(
        &self,
        app: AppName,
        namespace: ResourceName,
        key: String,
        value: Bytes,
        options: KvPutOptions,
    ) -> Answer<'_, KvReceipt> {
        Box::pin(async move {
            let query = QueryText::default()
                .with("ttl_s", options.ttl_s)
                .with("expires_at_ms", options.expires_at_ms)
                .with("metadata", options.metadata);
            let query = condition(query, options.condition);
            let parameters = [app.as_str(), namespace.as_str(), &key];
            self.read(Operation::KvPut, &parameters, query, Payload::Bytes(value)).await
        })
    }

    fn kv_delete(
        &self,
        app: AppName,
        namespace: ResourceName,
        key: String,
        when: KvCondition,
    ) -> Answer<'_, KvDeleted> {
        Box::pin(async move {
            let query = condition(QueryText::default(), when);
            let parameters = [app.as_str(), namespace.as_str(), &key];
            self.read(Operation::KvDelete, &parameters, query, Payload::Nothing).await
        })
    }

    fn kv_list(&self, app: AppName, namespace: ResourceName, options: KvListOptions) -> Answer<'_, KvPage> {
        Box::pin(async move {
            let prefix = Some(options.prefix).filter(|prefix| !prefix.is_empty());
            let query = QueryText::default().with("prefix", prefix).with("cursor", options.cursor);
            let query = query.with("limit", options.limit).with("after_revision", options.after_revision);
            let query = query.with("values", options.values.then_some(true));
            let parameters = [app.as_str(), namespace.as_str()];
            self.read(Operation::KvList, &parameters, query, Payload::Nothing).await
        })
    }

    fn kv_commit(&self, app: AppName, namespace: ResourceName, transaction: KvTransaction) -> Answer<'_, KvCommitted> {
        Box::pin(async move {
            let parameters = [app.as_str(), namespace.as_str()];
            let payload = Payload::json(&transaction);
            self.read(Operation::KvCommit, &parameters, QueryText::default(), payload).await
        })
    }

    fn kv_changes(&self, app: AppName, namespace: ResourceName, options: KvChangesOptions) -> Answer<'_, KvChanges> {
        Box::pin(async move {
            let prefix = Some(options.prefix).filter(|prefix| !prefix.is_empty());
            let wait_ms = Some(options.wait_ms).filter(|&ms| ms > 0);
            let query = QueryText::default().with("prefix", prefix).with("since", options.since);
            let parameters = [app.as_str(), namespace.as_str()];
            self.read(Operation::KvChanges, &parameters, query.with("wait_ms", wait_ms), Payload::Nothing).await
        })
    }

    fn app_usage(&self, app: AppName) -> Answer<'_, AppUsage> {
        Box::pin(async move {
            self.read(Operation::AppUsage, &[app.as_str()], QueryText::default(), Payload::Nothing).await
        })
    }

    fn kv_usage(&self, app: AppName) -> Answer<'_, KvUsage> {
        Box::pin(
            async move { self.read(Operation::KvUsage, &[app.as_str()], QueryText::default(), Payload::Nothing).await },
        )
    }

    fn object_list(
        &self,
        app: AppName,
        class: ClassName,
        after: Option<String>,
        limit: Option<u64>,
    ) -> Answer<'_, ObjectPage> {
        Box::pin(async move {
            let query = QueryText::default().with("after", after).with("limit", limit);
            self.read(Operation::ObjectList, &[app.as_str(), class.as_str()], query, Payload::Nothing).await
        })
    }

    fn object_inspect(&self, app: AppName, class: ClassName, object: String) -> Answer<'_, Option<ObjectInfo>> {
        Box::pin(async move {
            let parameters = [app.as_str(), class.as_str(), &object];
            match self.read(Operation::ObjectInspect, &parameters, QueryText::default(), Payload::Nothing).await {
                Ok(info) => Ok(Some(info)),
                Err(error) if error.is(&code::OBJECT_MISSING) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn object_export(&self, app: AppName, class: ClassName, object: String) -> Answer<'_, Option<Bytes>> {
        Box::pin(async move {
            let parameters = [app.as_str(), class.as_str(), &object];
            match self.call(Operation::ObjectExport, &parameters, QueryText::default(), Payload::Nothing).await {
                Ok(response) => Ok(Some(response.body)),
                Err(error) if error.is(&code::OBJECT_MISSING) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn object_replace(&self, app: AppName, class: ClassName, object: String, export: Option<Bytes>) -> Answer<'_, ()> {
        Box::pin(async move {
            let parameters = [app.as_str(), class.as_str(), &object];
            let (operation, payload) = match export {
                Some(bytes) => (Operation::ObjectImport, Payload::Bytes(bytes)),
                None => (Operation::ObjectDelete, Payload::Nothing),
            };
            self.call(operation, &parameters, QueryText::default(), payload).await?;
            Ok(())
        })
    }

    fn object_restore(
        &self,
        app: AppName,
        class: ClassName,
        object: String,
        request: ObjectRestoreRequest,
    ) -> Answer<'_, ObjectRestored> {
        Box::pin(async move {
            let parameters = [app.as_str(), class.as_str(), &object];
            self.read(Operation::ObjectRestore, &parameters, QueryText::default(), Payload::json(&request)).await
        })
    }

    fn upstreams(&self) -> Answer<'_, Vec<UpstreamEntry>> {
        Box::pin(async move {
            let items: Items<UpstreamEntry> =
                self.read(Operation::Upstreams, &[], QueryText::default(), Payload::Nothing).await?;
            Ok(items.items)
        })
    }

    fn back_up(&self, request: BackupRequest) -> Answer<'_, BackupMade> {
        Box::pin(async move {
            let payload = Payload::json(&request);
            self.read(Operation::BackUp, &[], QueryText::default(), payload).await
        })
    }

    fn certificates(&self) -> Answer<'_, Vec<CertificateEntry>> {
        Box::pin(self.items(Operation::Certificates, &[], QueryText::default()))
    }

    fn renew(&self, request: RenewRequest) -> Answer<'_, Vec<CertificateEntry>> {
        Box::pin(async move {
            let payload = Payload::json(&request);
            let renewed: Items<CertificateEntry> =
                self.read(Operation::Renew, &[], QueryText::default(), payload).await?;
            Ok(renewed.items)
        })
    }

    fn reload(&self) -> Answer<'_, Reloaded> {
        Box::pin(async move { self.read(Operation::Reload, &[], QueryText::default(), Payload::Nothing).await })
    }

    fn check(&self) -> Answer<'_, Checked> {
        Box::pin(async move { self.read(Operation::Check, &[], QueryText::default(), Payload::Nothing).await })
    }

    fn limits(&self, app: Option<AppName>) -> Answer<'_, Vec<LimitEntry>> {
        Box::pin(async move {
            let query = QueryText::default().with("app", app);
            self.items(Operation::Limits, &[], query).await
        })
    }
}

#[cfg(test)]
mod tests;
