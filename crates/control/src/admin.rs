//! The admin API over HTTP: from a request to the operation that it asks for, and back.
//!
//! Any web page that a person opens can send requests to a port of their own machine. So this door
//! has three locks, and a request that fails one of the first two is refused whatever it asks for:
//!
//! 1. The host that the request names must be this listener's own address, so that a name which an
//!    attacker points at the loopback address (DNS rebinding) gains nothing.
//! 2. It must not come from a web page: browsers say so with `Origin` and `Sec-Fetch-Site`.
//! 3. It must show the token, except at `/healthz` and `/readyz`.
//!
//! Every error is a problem document (RFC 9457).

use std::net::SocketAddr;
use std::sync::Arc;

use base::{AppName, Body, ClassName, Digest, NodeLimits, ResourceName, Secret, code};
use bytes::Bytes;
use control_api::query::{Query, encode};
use control_api::route::{self, KV_EXPIRES, KV_METADATA, KV_REVISION, Match, Miss};
use control_api::{
    Api, ApiError, Blobs, Items, KvChangesOptions, KvCondition, KvListOptions, KvPutOptions, KvValue, Operation,
    SecretKey, SecretPutOptions, SecretRollback, SqlChangesOptions, TraceOptions, openapi,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

mod blobs;
mod cache;
mod config;
mod guard;

use guard::Guard;

/// What the admin listener answers with.
pub struct AdminParts {
    pub api: Arc<dyn Api>,
    /// What a caller must show; white space around it does not count. With an empty one nobody
    /// gets in.
    pub token: Secret<String>,
    /// The address that the listener is bound to.
    pub address: SocketAddr,
    /// Names, beside the address, that a request may use for this listener.
    pub hosts: Vec<String>,
    pub limits: NodeLimits,
    /// Whether the node takes requests, or why not.
    pub ready: Arc<dyn Fn() -> Result<(), ApiError> + Send + Sync>,
    /// The metrics, in the text format of Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

/// The service behind the admin listener. It does not fail: whatever goes wrong is a response.
pub struct Admin {
    parts: AdminParts,
    guard: Guard,
}

/// What an operation answers, before it is HTTP.
enum Reply {
    Nothing,
    Text(&'static str, String),
    Json(Vec<u8>),
    Entry(KvValue),
    Bytes(Bytes),
}

/// A limit that a body is read under.
#[derive(Clone, Copy)]
struct BodyLimit {
    name: &'static str,
    bytes: u64,
}

/// A request that passed the guard and found its route.
struct Call {
    operation: Operation,
    parameters: Vec<String>,
    query: Query,
    headers: HeaderMap,
    body: Body,
}

impl Admin {
    pub fn new(parts: AdminParts) -> Self {
        let guard = Guard::new(&parts.token, parts.address, &parts.hosts);
        Self { parts, guard }
    }

    pub async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let is_head = request.method() == Method::HEAD;
        let mut response = match self.answer(request).await {
            Ok(response) => response,
            Err(refusal) => refusal.into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if is_head {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        self.guard.check_source(request.uri(), request.headers())?;
        let found = route::find(request.method(), request.uri().path());
        // Whoever has no token learns nothing, not even which paths there are.
        if !found.as_ref().is_ok_and(|found| !found.row.token) && !self.guard.has_token(request.headers()) {
            return Err(Refusal {
                error: ApiError::new(
                    &code::UNAUTHENTICATED,
                    "the request shows no token, or another one than this node's",
                ),
                field: Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"selvedge\""))),
            });
        }
        let Match { row, parameters } = found.map_err(|miss| missed(miss, &request))?;
        let names: Vec<_> = row.query.iter().map(|query| query.name).collect();
        let query = Query::parse(request.uri().query(), &names)?;
        let (head, body) = request.into_parts();
        let call = Call { operation: row.operation, parameters, query, headers: head.headers, body };
        let reply = match row.operation {
            Operation::KvList
            | Operation::KvCommit
            | Operation::KvChanges
            | Operation::KvGet
            | Operation::KvPut
            | Operation::KvDelete => self.kv(call).await?,
            Operation::SecretList
            | Operation::SecretPut
            | Operation::SecretDelete
            | Operation::SecretVersions
            | Operation::SecretRollback => self.secret(call).await?,
            Operation::ConfigList
            | Operation::ConfigGet
            | Operation::ConfigPut
            | Operation::ConfigDelete
            | Operation::ConfigHistory
            | Operation::ConfigRollback => self.config(call).await?,
            Operation::ObjectList
            | Operation::ObjectInspect
            | Operation::ObjectExport
            | Operation::ObjectImport
            | Operation::ObjectDelete
            | Operation::ObjectRestore => self.objects(call).await?,
            Operation::SqlList
            | Operation::SqlQuery
            | Operation::SqlImport
            | Operation::SqlMigrations
            | Operation::SqlMigrate
            | Operation::SqlCopy
            | Operation::SqlDelete
            | Operation::SqlChanges => self.sql(call).await?,
            Operation::BucketList
            | Operation::BucketGet
            | Operation::BucketHead
            | Operation::BucketPut
            | Operation::BucketDelete
            | Operation::BucketScrub
            | Operation::AccessKeyCreate
            | Operation::AccessKeyList
            | Operation::AccessKeyDelete => self.blobs(call).await?,
            Operation::Mirrors => items(self.parts.api.mirrors(name("app", call.parameter(0))?).await?)?,
            Operation::Trace | Operation::TraceWay => self.trace(call).await?,
            Operation::CachePurge | Operation::CacheStats | Operation::CacheEntries => self.cache(call).await?,
            _ => self.node(call).await?,
        };
        let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::OK);
        Ok(reply.into_response(status))
    }

    async fn node(&self, call: Call) -> Result<Reply, ApiError> {
        let api = &self.parts.api;
        match call.operation {
            Operation::Health => Ok(Reply::Text("text/plain; charset=utf-8", "ok\n".into())),
            Operation::Ready => {
                (self.parts.ready)()?;
                Ok(Reply::Text("text/plain; charset=utf-8", "ready\n".into()))
            }
            Operation::Metrics => Ok(Reply::Text("text/plain; version=0.0.4; charset=utf-8", (self.parts.metrics)())),
            Operation::OpenApi => json(&openapi::document()),
            Operation::Status => json(&api.status().await?),
            Operation::Upstreams => items(api.upstreams().await?),
            Operation::Certificates => items(api.certificates().await?),
            Operation::Renew => items(api.renew(self.json_body(call).await?).await?),
            Operation::Reload => json(&api.reload().await?),
            Operation::BackUp => json(&api.back_up(self.json_body(call).await?).await?),
            Operation::Check => json(&api.check().await?),
            Operation::Apps => items(api.apps().await?),
            Operation::AppUsage => json(&api.app_usage(name("app", call.parameter(0))?).await?),
            Operation::KvUsage => json(&api.kv_usage(name("app", call.parameter(0))?).await?),
            Operation::Limits => {
                let app = call.query.text("app").map(|text| name("app", text)).transpose()?;
                items(api.limits(app).await?)
            }
            Operation::MissingBlobs => {
                let Blobs { digests } = self.json_body(call).await?;
                json(&Blobs { digests: api.missing_blobs(digests).await? })
            }
            Operation::PutBlob => {
                let digest = digest(call.parameter(0))?;
                let body = call.collect(self.blob_limit()).await?;
                api.put_blob(digest, body).await?;
                Ok(Reply::Nothing)
            }
            Operation::Deploy => json(&api.deploy(self.json_body(call).await?).await?),
            Operation::Remove => {
                api.remove(name("app", call.parameter(0))?).await?;
                Ok(Reply::Nothing)
            }
            Operation::Releases => {
                let limit = call.query.number("limit")?;
                items(api.releases(name("app", call.parameter(0))?, limit).await?)
            }
            Operation::Rollback => {
                let app = name("app", call.parameter(0))?;
                json(&api.rollback(app, self.json_body(call).await?).await?)
            }
            other => Err(not_here(other)),
        }
    }

    async fn trace(&self, call: Call) -> Result<Reply, ApiError> {
        let api = &self.parts.api;
        if call.operation == Operation::TraceWay {
            return json(&api.trace_way(self.json_body(call).await?).await?);
        }
        let query = &call.query;
        let text = |name| query.text(name).map(str::to_owned);
        let options = TraceOptions {
            app: text("app"),
            path: text("path"),
            status: text("status"),
            slow_ms: query.number("slow_ms")?,
            request_id: text("request_id"),
            after: query.number("after")?,
            limit: query.number("limit")?,
        };
        items(api.trace(options).await?)
    }

    async fn secret(&self, call: Call) -> Result<Reply, ApiError> {
        let api = &self.parts.api;
        let app: AppName = name("app", call.parameter(0))?;
        if call.operation == Operation::SecretList {
            return items(api.secret_list(app).await?);
        }
        let env = call.query.text("env").map(|text| name("environment", text)).transpose()?;
        let secret = SecretKey { name: name("secret", call.parameter(1))?, env };
        match call.operation {
            Operation::SecretPut => {
                let options = SecretPutOptions { overlap_s: call.query.number("overlap_s")?.unwrap_or(0) };
                let value = Secret::new(call.collect(self.body_limit()).await?);
                json(&api.secret_put(app, secret, value, options).await?)
            }
            Operation::SecretVersions => items(api.secret_versions(app, secret).await?),
            Operation::SecretRollback => {
                let to: SecretRollback = self.json_body(call).await?;
                json(&api.secret_rollback(app, secret, to).await?)
            }
            Operation::SecretDelete => {
                api.secret_delete(app, secret).await?;
                Ok(Reply::Nothing)
            }
            other => Err(not_here(other)),
        }
    }

    async fn kv(&self, call: Call) -> Result<Reply, ApiError> {
        let api = &self.parts.api;
        let app: AppName = name("app", call.parameter(0))?;
        let namespace: ResourceName = name("namespace", call.parameter(1))?;
        let text = |name| call.query.text(name).map(str::to_owned);
        match call.operation {
            Operation::KvList => {
                let options = KvListOptions {
                    prefix: text("prefix").unwrap_or_default(),
                    cursor: text("cursor"),
                    limit: call.query.number("limit")?,
                    after_revision: call.query.number("after_revision")?,
                    values: flag(&call.query, "values")?,
                };
                return json(&api.kv_list(app, namespace, options).await?);
            }
            Operation::KvChanges => {
                let options = KvChangesOptions {
                    prefix: text("prefix").unwrap_or_default(),
                    since: call.query.number("since")?,
                    wait_ms: call.query.number("wait_ms")?.unwrap_or(0),
                };
                return json(&api.kv_changes(app, namespace, options).await?);
            }
            Operation::KvCommit => {
                return json(&api.kv_commit(app, namespace, self.json_body(call).await?).await?);
            }
            _ => {}
        }
        let key = call.parameter(2).to_owned();
        match call.operation {
            Operation::KvGet => match api.kv_get(app, namespace, key.clone()).await? {
                Some(entry) => Ok(Reply::Entry(entry)),
                None => Err(ApiError::new(&code::KEY_MISSING, format!("there is no entry under {key:?}"))),
            },
            Operation::KvPut => {
                let options = KvPutOptions {
                    ttl_s: call.query.number("ttl_s")?,
                    expires_at_ms: call.query.number("expires_at_ms")?,
                    metadata: call.query.text("metadata").map(str::to_owned),
                    condition: condition(&call.query)?,
                };
                let value = call.collect(self.body_limit()).await?;
                json(&api.kv_put(app, namespace, key, value, options).await?)
            }
            Operation::KvDelete => {
                let condition = condition(&call.query)?;
                json(&api.kv_delete(app, namespace, key, condition).await?)
            }
            other => Err(not_here(other)),
        }
    }

    async fn sql(&self, call: Call) -> Result<Reply, ApiError> {
        let api = &self.parts.api;
        let app: AppName = name("app", call.parameter(0))?;
        if call.operation == Operation::SqlList {
            return items(api.sql_list(app).await?);
        }
        let database = call.parameter(1).to_owned();
        match call.operation {
            Operation::SqlQuery => json(&api.sql_query(app, database, self.json_body(call).await?).await?),
            Operation::SqlImport => {
                let text = call.collect(self.body_limit()).await?;
                json(&api.sql_import(app, database, text).await?)
            }
            Operation::SqlMigrations => items(api.sql_migrations(app, database).await?),
            Operation::SqlCopy => json(&api.sql_copy(app, database, self.json_body(call).await?).await?),
            Operation::SqlDelete => {
                api.sql_delete(app, database).await?;
                Ok(Reply::Nothing)
            }
            Operation::SqlChanges => {
                let options = SqlChangesOptions {
                    after: call.query.number("after")?,
                    limit: call.query.number("limit")?,
                    wait_ms: call.query.number("wait_ms")?.unwrap_or(0),
                };
                json(&api.sql_changes(app, database, options).await?)
            }
            Operation::SqlMigrate => items(api.sql_migrate(app, database, self.json_body(call).await?).await?),
            other => Err(not_here(other)),
        }
    }

    async fn objects(&self, call: Call) -> Result<Reply, ApiError> {
        let api = &self.parts.api;
        let app: AppName = name("app", call.parameter(0))?;
        let class: ClassName = name("class", call.parameter(1))?;
        if call.operation == Operation::ObjectList {
            let after = call.query.text("after").map(str::to_owned);
            return json(&api.object_list(app, class, after, call.query.number("limit")?).await?);
        }
        let object = call.parameter(2).to_owned();
        let missing = || ApiError::new(&code::OBJECT_MISSING, format!("no object {object:?} stores anything"));
        match call.operation {
            Operation::ObjectInspect => {
                json(&api.object_inspect(app, class, object.clone()).await?.ok_or_else(missing)?)
            }
            Operation::ObjectExport => {
                Ok(Reply::Bytes(api.object_export(app, class, object.clone()).await?.ok_or_else(missing)?))
            }
            Operation::ObjectImport => {
                let export = call.collect(self.body_limit()).await?;
                api.object_replace(app, class, object, Some(export)).await?;
                Ok(Reply::Nothing)
            }
            Operation::ObjectRestore => {
                let request = self.json_body(call).await?;
                json(&api.object_restore(app, class, object, request).await?)
            }
            Operation::ObjectDelete => {
                api.object_replace(app, class, object, None).await?;
                Ok(Reply::Nothing)
            }
            other => Err(not_here(other)),
        }
    }

    fn body_limit(&self) -> BodyLimit {
        BodyLimit { name: "admin_body_bytes", bytes: self.parts.limits.admin_body_bytes }
    }

    fn blob_limit(&self) -> BodyLimit {
        let blob = BodyLimit { name: "artifact_bytes", bytes: self.parts.limits.artifact_bytes };
        if blob.bytes < self.body_limit().bytes { blob } else { self.body_limit() }
    }

    async fn json_body<T: DeserializeOwned>(&self, call: Call) -> Result<T, ApiError> {
        let body = call.collect(self.body_limit()).await?;
        let bad =
            |error| ApiError::new(&code::BAD_REQUEST, format!("the body is not what this operation takes: {error}"));
        serde_json::from_slice(&body).map_err(bad)
    }
}

impl Call {
    fn parameter(&self, at: usize) -> &str {
        &self.parameters[at]
    }

    /// The whole body. One that announces too much is refused before a byte of it is read.
    async fn collect(self, limit: BodyLimit) -> Result<Bytes, ApiError> {
        let too_large = || {
            let detail = format!("the body has more bytes than {} allows, which is {}", limit.name, limit.bytes);
            ApiError::new(&code::BODY_TOO_LARGE, detail)
        };
        let announced =
            self.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.unwrap_or(0).max(self.body.size_hint().lower()) > limit.bytes {
            return Err(too_large());
        }
        let bytes_max = usize::try_from(limit.bytes).unwrap_or(usize::MAX);
        self.body.collect(bytes_max).await.map_err(|error| match error.code.name == code::BODY_TOO_LARGE.name {
            true => too_large(),
            false => ApiError::new(error.code, "the body did not arrive to its end"),
        })
    }
}

impl Reply {
    fn into_response(self, status: StatusCode) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let (kind, body) = match self {
            Reply::Nothing => return response,
            Reply::Text(kind, text) => (kind, Body::full(text)),
            Reply::Json(text) => ("application/json", Body::full(text)),
            Reply::Bytes(bytes) => ("application/octet-stream", Body::full(bytes)),
            Reply::Entry(entry) => {
                headers.insert(KV_REVISION, entry.revision.into());
                if let Some(at) = entry.expires_at_ms {
                    headers.insert(KV_EXPIRES, at.into());
                }
                if let Some(metadata) = entry.metadata.and_then(|text| HeaderValue::from_str(&encode(&text)).ok()) {
                    headers.insert(KV_METADATA, metadata);
                }
                ("application/octet-stream", Body::full(entry.value))
            }
        };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        *response.body_mut() = body;
        response
    }
}

/// An error, and a header field that belongs to it.
struct Refusal {
    error: ApiError,
    field: Option<(header::HeaderName, HeaderValue)>,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self { error, field: None }
    }
}

impl Refusal {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::full(self.error.to_document().to_string()));
        *response.status_mut() = StatusCode::from_u16(self.error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(base::problem::MEDIA_TYPE));
        if let Some((name, value)) = self.field {
            headers.insert(name, value);
        }
        response
    }
}

fn missed(miss: Miss, request: &Request<Body>) -> Refusal {
    let (method, path) = (request.method(), request.uri().path());
    match miss {
        Miss::Path => ApiError::new(&code::NOT_FOUND, format!("the admin API has no {path}")).into(),
        Miss::Encoding => ApiError::new(&code::BAD_PATH, "the path is not UTF-8 when it is decoded").into(),
        Miss::Method(allowed) => {
            let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
            let error = ApiError::new(&code::METHOD_NOT_ALLOWED, format!("{path} takes {allowed}, and not {method}"));
            Refusal { error, field: HeaderValue::from_str(&allowed).ok().map(|value| (header::ALLOW, value)) }
        }
    }
}

/// A row of the table that no arm serves. A test calls every row, so it is never seen.
fn not_here(operation: Operation) -> ApiError {
    ApiError::new(&code::INTERNAL, format!("{operation:?} is not served"))
}

fn json(value: &impl Serialize) -> Result<Reply, ApiError> {
    let failed = |error| ApiError::new(&code::INTERNAL, format!("the answer can't be written: {error}"));
    serde_json::to_vec(value).map(Reply::Json).map_err(failed)
}

fn items<T: Serialize>(items: Vec<T>) -> Result<Reply, ApiError> {
    json(&Items { items })
}

fn name<T: std::str::FromStr<Err = base::NameError>>(what: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error| ApiError::new(&code::BAD_REQUEST, format!("{text:?} is no name of a {what}: {error}")))
}

fn digest(text: &str) -> Result<Digest, ApiError> {
    let bad = || ApiError::new(&code::BAD_REQUEST, format!("{text:?} is no digest: it has 64 hexadecimal digits"));
    Digest::parse(text).ok_or_else(bad)
}

fn flag(query: &Query, name: &str) -> Result<bool, ApiError> {
    match query.text(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ApiError::new(&code::BAD_REQUEST, format!("{name} is true or false"))),
    }
}

fn condition(query: &Query) -> Result<KvCondition, ApiError> {
    match (flag(query, "if_absent")?, query.number("if_revision")?) {
        (false, None) => Ok(KvCondition::Always),
        (true, None) => Ok(KvCondition::Absent),
        (false, Some(revision)) => Ok(KvCondition::Revision(revision)),
        (true, Some(_)) => Err(ApiError::new(&code::BAD_REQUEST, "if_absent and if_revision exclude each other")),
    }
}

#[cfg(test)]
mod tests;
