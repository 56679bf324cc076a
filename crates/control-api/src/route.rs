//! The table of routes: every operation, its method, its path, and what it takes and answers.

use base::code::{self, Code};
use http::Method;

use crate::query::{decode, encode};

/// Everything that the admin address answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Health,
    Ready,
    Metrics,
    OpenApi,
    Status,
    Apps,
    Remove,
    MissingBlobs,
    PutBlob,
    Deploy,
    Releases,
    Rollback,
    SecretList,
    SecretPut,
    SecretDelete,
    SecretVersions,
    SecretRollback,
    ConfigList,
    ConfigGet,
    ConfigPut,
    ConfigDelete,
    ConfigHistory,
    ConfigRollback,
    AppUsage,
    KvUsage,
    KvList,
    KvCommit,
    KvChanges,
    KvGet,
    KvPut,
    KvDelete,
    BucketList,
    BucketGet,
    BucketHead,
    BucketPut,
    BucketDelete,
    BucketScrub,
    AccessKeyCreate,
    AccessKeyList,
    AccessKeyDelete,
    SqlList,
    SqlQuery,
    SqlImport,
    SqlMigrations,
    SqlMigrate,
    SqlCopy,
    SqlDelete,
    SqlChanges,
    ObjectList,
    ObjectInspect,
    ObjectExport,
    ObjectImport,
    ObjectDelete,
    ObjectRestore,
    CachePurge,
    CacheStats,
    CacheEntries,
    Mirrors,
    Trace,
    TraceWay,
    Limits,
    Upstreams,
    BackUp,
    Certificates,
    Renew,
    Reload,
    Check,
}

/// One row of the table.
#[derive(Debug)]
pub struct RouteRow {
    pub operation: Operation,
    /// The `operationId` of the document.
    pub id: &'static str,
    pub method: Method,
    /// Segments in braces are parameters, each for one percent-encoded segment.
    pub path: &'static str,
    pub query: &'static [QueryRow],
    pub takes: Payload,
    pub answers: Payload,
    /// The status of an answer that is no error.
    pub status: u16,
    /// Whether the caller must show the token.
    pub token: bool,
    /// Whether an answer may take hours, for it reads or writes everything that the node has.
    pub slow: bool,
    /// The errors that belong to this operation, beside those that any may have.
    pub errors: &'static [Code],
    pub summary: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub struct QueryRow {
    pub name: &'static str,
    pub kind: QueryKind,
    pub about: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKind {
    Text,
    Number,
}

/// A body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    None,
    /// JSON of the schema with this name.
    Json(&'static str),
    /// JSON of any shape.
    AnyJson,
    Bytes,
    Text,
    /// Bytes, with the header fields of a KV entry.
    KvEntry,
}

/// Header fields of a KV entry. The metadata is percent-encoded, since JSON holds any character.
pub const KV_REVISION: &str = "selvedge-kv-revision";
pub const KV_EXPIRES: &str = "selvedge-kv-expires-at-ms";
pub const KV_METADATA: &str = "selvedge-kv-metadata";

const fn text(name: &'static str, about: &'static str) -> QueryRow {
    QueryRow { name, kind: QueryKind::Text, about }
}

const fn number(name: &'static str, about: &'static str) -> QueryRow {
    QueryRow { name, kind: QueryKind::Number, about }
}

const fn row(
    operation: Operation,
    id: &'static str,
    method: Method,
    path: &'static str,
    summary: &'static str,
) -> RouteRow {
    let (takes, answers) = (Payload::None, Payload::None);
    RouteRow {
        operation,
        id,
        method,
        path,
        query: &[],
        takes,
        answers,
        status: 200,
        token: true,
        slow: false,
        errors: &[],
        summary,
    }
}

impl RouteRow {
    const fn open(mut self) -> Self {
        self.token = false;
        self
    }

    const fn slow(mut self) -> Self {
        self.slow = true;
        self
    }

    const fn query(mut self, query: &'static [QueryRow]) -> Self {
        self.query = query;
        self
    }

    const fn takes(mut self, takes: Payload) -> Self {
        self.takes = takes;
        self
    }

    const fn answers(mut self, answers: Payload) -> Self {
        self.answers = answers;
        self
    }

    const fn no_content(mut self) -> Self {
        self.status = 204;
        self
    }

    const fn errors(mut self, errors: &'static [Code]) -> Self {
        self.errors = errors;
        self
    }
}

use Operation as O;
use Payload::{AnyJson, Bytes, Json, KvEntry, Text};

const CONDITIONS: [QueryRow; 2] = [
    text("if_absent", "`true`: only if there is no entry."),
    number("if_revision", "Only if the entry has this revision."),
];

const SECRET_ENV: QueryRow =
    text("env", "The environment of the manifest; without it, for all that have no own value.");
const OBJECT_ERRORS: &[Code] = &[&code::OBJECT_AWAKE, &code::BAD_OBJECT_DATA];

const DEPLOY_ERRORS: &[Code] = &[
    &code::BAD_DEPLOYMENT,
    &code::BLOB_MISSING,
    &code::HOST_CLAIMED,
    &code::START_FAILED,
    &code::IO_AT_START,
    &code::BAD_COMPONENT,
];

const SQL_ERRORS: &[Code] = &[
    &code::SQL_NAME,
    &code::SQL_ERROR,
    &code::SQL_CONSTRAINT,
    &code::SQL_FORBIDDEN,
    &code::SQL_PARAMETERS,
    &code::SQL_LIMIT,
    &code::SQL_RESULT_TOO_LARGE,
    &code::SQL_TIME_LIMIT,
    &code::SQL_DATABASE_FULL,
];

/// Every route, in the order in which they are documented.
pub static ROUTES: &[RouteRow] = &[
    row(O::Health, "health", Method::GET, "/healthz", "Whether the process answers.").answers(Text).open(),
    row(O::Ready, "ready", Method::GET, "/readyz", "Whether the node takes requests.")
        .answers(Text)
        .open()
        .errors(&[&code::DRAINING, &code::NODE_OVERLOADED]),
    row(O::Metrics, "metrics", Method::GET, "/metrics", "The metrics, in the text format of Prometheus.").answers(Text),
    row(O::OpenApi, "openapi", Method::GET, "/v1/openapi.json", "This document.").answers(AnyJson),
    row(O::Status, "status", Method::GET, "/v1/status", "The node.").answers(Json("Status")),
    row(O::Limits, "limits", Method::GET, "/v1/limits", "The limits of the node and, if one is named, of an app.")
        .query(&[text("app", "The name of a released app.")])
        .answers(Json("Items_LimitEntry"))
        .errors(&[&code::UNKNOWN_APP]),
    row(O::Upstreams, "upstreams", Method::GET, "/v1/upstreams", "The upstreams of the released apps, on this node.")
        .answers(Json("Items_UpstreamEntry")),
    row(
        O::BackUp,
        "back_up",
        Method::POST,
        "/v1/backups",
        "Adds a backup of all data to a directory of the node's machine.",
    )
    .takes(Json("BackupRequest"))
    .answers(Json("BackupMade"))
    .slow()
    .errors(&[&code::BAD_BACKUP, &code::BACKUP_UNVERIFIED, &code::STORE_FULL]),
    row(
        O::Certificates,
        "certificates",
        Method::GET,
        "/v1/certificates",
        "The certificates that are asked of an authority.",
    )
    .answers(Json("Items_CertificateEntry"))
    .errors(&[&code::NODE_STOPPED]),
    row(O::Renew, "renew", Method::POST, "/v1/certificates/renew", "Asks an authority for certificates now.")
        .takes(Json("RenewRequest"))
        .answers(Json("Items_CertificateEntry"))
        .slow()
        .errors(&[&code::NODE_STOPPED]),
    row(O::Reload, "reload", Method::POST, "/v1/reload", "Reads the node's configuration again.")
        .answers(Json("Reloaded"))
        .errors(&[&code::NODE_STOPPED]),
    row(O::Check, "check", Method::POST, "/v1/check", "Reads all data and answers what is damaged.")
        .answers(Json("Checked"))
        .slow(),
    row(O::MissingBlobs, "missing_blobs", Method::POST, "/v1/blobs/missing", "Which blobs the node does not have.")
        .takes(Json("Blobs"))
        .answers(Json("Blobs")),
    row(O::PutBlob, "put_blob", Method::PUT, "/v1/blobs/{digest}", "Stores a blob under its SHA-256 digest.")
        .takes(Bytes)
        .no_content()
        .errors(&[&code::DIGEST_MISMATCH]),
    row(O::Deploy, "deploy", Method::POST, "/v1/deployments", "Records a deployment and releases it.")
        .takes(Json("DeployRequest"))
        .answers(Json("Deployed"))
        .errors(DEPLOY_ERRORS),
    row(O::Apps, "apps", Method::GET, "/v1/apps", "What is released, in the order of the names.")
        .answers(Json("Items_AppEntry")),
    row(O::Remove, "remove", Method::DELETE, "/v1/apps/{app}", "Stops serving an app. Its data and secrets stay.")
        .no_content()
        .errors(&[&code::UNKNOWN_APP]),
    row(O::Releases, "releases", Method::GET, "/v1/apps/{app}/releases", "The releases of an app, newest first.")
        .query(&[number("limit", "How many; at most `releases_listed`.")])
        .answers(Json("Items_ReleaseEntry"))
        .errors(&[&code::UNKNOWN_APP]),
    row(O::Rollback, "rollback", Method::POST, "/v1/apps/{app}/rollback", "Releases an earlier deployment again.")
        .takes(Json("RollbackRequest"))
        .answers(Json("Deployed"))
        .errors(&[&code::UNKNOWN_APP, &code::UNKNOWN_DEPLOYMENT, &code::NO_PREVIOUS_RELEASE, &code::HOST_CLAIMED]),
    row(O::SecretList, "secret_list", Method::GET, "/v1/apps/{app}/secrets", "The secrets that are set, by name.")
        .answers(Json("Items_SecretEntry")),
    row(O::SecretPut, "secret_put", Method::PUT, "/v1/apps/{app}/secrets/{secret}", "Sets a secret to the body.")
        .query(&[
            SECRET_ENV,
            number("overlap_s", "Seconds that the version before stays readable as the previous one."),
        ])
        .takes(Bytes)
        .answers(Json("SecretVersion"))
        .errors(&[&code::BAD_SECRET]),
    row(O::SecretDelete, "secret_delete", Method::DELETE, "/v1/apps/{app}/secrets/{secret}", "Unsets a secret.")
        .query(&[SECRET_ENV])
        .no_content(),
    row(
        O::SecretVersions,
        "secret_versions",
        Method::GET,
        "/v1/apps/{app}/secrets/{secret}/versions",
        "The versions of a secret that are kept, newest first.",
    )
    .query(&[SECRET_ENV])
    .answers(Json("Items_SecretVersionEntry")),
    row(
        O::SecretRollback,
        "secret_rollback",
        Method::POST,
        "/v1/apps/{app}/secrets/{secret}/rollback",
        "Sets a secret to what an earlier version was.",
    )
    .query(&[SECRET_ENV])
    .takes(Json("SecretRollback"))
    .answers(Json("SecretVersion"))
    .errors(&[&code::UNKNOWN_VERSION]),
    row(O::ConfigList, "config_list", Method::GET, "/v1/apps/{app}/config", "The configuration values that are set.")
        .answers(Json("Items_ConfigEntry")),
    row(O::ConfigGet, "config_get", Method::GET, "/v1/apps/{app}/config/{name}", "A configuration value.")
        .query(&[SECRET_ENV])
        .answers(Json("ConfigEntry"))
        .errors(&[&code::CONFIG_MISSING]),
    row(O::ConfigPut, "config_put", Method::PUT, "/v1/apps/{app}/config/{name}", "Sets a value to the body, a text.")
        .query(&[SECRET_ENV])
        .takes(Bytes)
        .answers(Json("ConfigVersion"))
        .errors(&[&code::BAD_CONFIG]),
    row(O::ConfigDelete, "config_delete", Method::DELETE, "/v1/apps/{app}/config/{name}", "Unsets a value.")
        .query(&[SECRET_ENV])
        .no_content(),
    row(
        O::ConfigHistory,
        "config_history",
        Method::GET,
        "/v1/apps/{app}/config/{name}/versions",
        "The versions of a value that are kept, newest first.",
    )
    .query(&[SECRET_ENV])
    .answers(Json("Items_ConfigVersionEntry")),
    row(
        O::ConfigRollback,
        "config_rollback",
        Method::POST,
        "/v1/apps/{app}/config/{name}/rollback",
        "Sets a value to what an earlier version was.",
    )
    .query(&[SECRET_ENV])
    .takes(Json("ConfigRollback"))
    .answers(Json("ConfigVersion"))
    .errors(&[&code::UNKNOWN_VERSION]),
    row(O::AppUsage, "app_usage", Method::GET, "/v1/apps/{app}/usage", "What an app stores, and how much it may.")
        .answers(Json("AppUsage")),
    row(O::KvUsage, "kv_usage", Method::GET, "/v1/apps/{app}/kv", "What an app stores in KV, and how much it may.")
        .answers(Json("KvUsage")),
    row(O::KvList, "kv_list", Method::GET, "/v1/apps/{app}/kv/{namespace}", "One page of the keys of a namespace.")
        .query(&[
            text("prefix", "Only keys that begin with this."),
            text("cursor", "Where the previous page ended."),
            number("limit", "Keys in the page; at most `list_keys`."),
            number("after_revision", "Only entries with a higher revision than this."),
            text("values", "`true`: with the values that are not too large."),
        ])
        .answers(Json("KvPage"))
        .errors(&[&code::BAD_CURSOR]),
    row(
        O::KvCommit,
        "kv_commit",
        Method::POST,
        "/v1/apps/{app}/kv/{namespace}",
        "Makes all writes of a transaction if all its checks hold.",
    )
    .takes(Json("KvTransaction"))
    .answers(Json("KvCommitted"))
    .errors(&[
        &code::BAD_TRANSACTION,
        &code::TRANSACTION_TOO_LARGE,
        &code::NOT_A_COUNTER,
        &code::COUNTER_OVERFLOW,
        &code::QUOTA_EXCEEDED,
        &code::REVISION_CONFLICT,
    ]),
    row(
        O::KvChanges,
        "kv_changes",
        Method::GET,
        "/v1/apps/{app}/kv-changes/{namespace}",
        "What changed in a namespace, in the order of revisions.",
    )
    .query(&[
        text("prefix", "Only keys that begin with this."),
        number("since", "What has a higher revision than this; without it, only where now is."),
        number("wait_ms", "How long to wait if there is nothing to tell; at most 25000."),
    ])
    .answers(Json("KvChanges"))
    .errors(&[&code::CHANGES_GONE]),
    row(O::KvGet, "kv_get", Method::GET, "/v1/apps/{app}/kv/{namespace}/{key}", "The entry under a key.")
        .answers(KvEntry)
        .errors(&[&code::KEY_MISSING]),
    row(O::KvPut, "kv_put", Method::PUT, "/v1/apps/{app}/kv/{namespace}/{key}", "Stores the body under a key.")
        .query(&[
            number("ttl_s", "Seconds until the entry expires, at least one."),
            number("expires_at_ms", "When the entry expires, in milliseconds since the Unix epoch."),
            text("metadata", "JSON to keep beside the value."),
            CONDITIONS[0],
            CONDITIONS[1],
        ])
        .takes(Bytes)
        .answers(Json("KvReceipt"))
        .errors(&[
            &code::BAD_EXPIRY,
            &code::BAD_METADATA,
            &code::METADATA_TOO_LARGE,
            &code::QUOTA_EXCEEDED,
            &code::REVISION_CONFLICT,
            &code::VALUE_TOO_LARGE,
        ]),
    row(
        O::KvDelete,
        "kv_delete",
        Method::DELETE,
        "/v1/apps/{app}/kv/{namespace}/{key}",
        "Removes the entry under a key.",
    )
    .query(&CONDITIONS)
    .answers(Json("KvDeleted"))
    .errors(&[&code::REVISION_CONFLICT]),
    row(O::BucketList, "bucket_list", Method::GET, "/v1/apps/{app}/buckets/{bucket}", "One page of a bucket's keys.")
        .query(&[
            text("prefix", "Only keys that begin with this."),
            text("cursor", "Where the previous page ended."),
            number("limit", "Keys in the page; at most `blob_list_keys`."),
        ])
        .answers(Json("BlobPage"))
        .errors(&[&code::BAD_CURSOR]),
    row(O::BucketScrub, "bucket_scrub", Method::POST, "/v1/apps/{app}/buckets/{bucket}", "Reads a bucket for damage.")
        .answers(Json("ScrubResult")),
    row(O::BucketGet, "bucket_get", Method::GET, "/v1/apps/{app}/buckets/{bucket}/{key}", "The content of a blob.")
        .answers(Bytes)
        .errors(&[&code::KEY_MISSING]),
    row(
        O::BucketHead,
        "bucket_head",
        Method::GET,
        "/v1/apps/{app}/blob-info/{bucket}/{key}",
        "What is known of a blob.",
    )
    .answers(Json("BlobEntry"))
    .errors(&[&code::KEY_MISSING]),
    row(O::BucketPut, "bucket_put", Method::PUT, "/v1/apps/{app}/buckets/{bucket}/{key}", "Stores the body as a blob.")
        .query(&[text("content_type", "Its type.")])
        .takes(Bytes)
        .answers(Json("BlobEntry"))
        .errors(&[&code::BLOB_QUOTA]),
    row(O::BucketDelete, "bucket_delete", Method::DELETE, "/v1/apps/{app}/buckets/{bucket}/{key}", "Deletes a blob.")
        .answers(Json("BlobDeleted")),
    row(O::AccessKeyCreate, "access_key_create", Method::POST, "/v1/apps/{app}/access-keys", "Makes an access key.")
        .takes(Json("AccessKeyRequest"))
        .answers(Json("AccessKeyMade"))
        .errors(&[&code::TOO_MANY_ACCESS_KEYS]),
    row(O::AccessKeyList, "access_key_list", Method::GET, "/v1/apps/{app}/access-keys", "The access keys of an app.")
        .answers(Json("Items_AccessKeyEntry")),
    row(
        O::AccessKeyDelete,
        "access_key_delete",
        Method::DELETE,
        "/v1/apps/{app}/access-keys/{id}",
        "Deletes an access key.",
    )
    .no_content()
    .errors(&[&code::NO_ACCESS_KEY]),
    row(O::CachePurge, "cache_purge", Method::POST, "/v1/apps/{app}/cache/purge", "Purges responses of an app.")
        .takes(Json("CachePurge"))
        .answers(Json("CachePurged"))
        .errors(&[&code::NODE_STOPPED]),
    row(O::CacheStats, "cache_stats", Method::GET, "/v1/apps/{app}/cache", "What an app has in the cache.")
        .answers(Json("CacheStats"))
        .errors(&[&code::NODE_STOPPED]),
    row(O::CacheEntries, "cache_entries", Method::GET, "/v1/apps/{app}/cache/entries", "What is stored under a URL.")
        .query(&[text("url", "The URL, as clients name it.")])
        .answers(Json("Items_CacheEntry"))
        .errors(&[&code::NODE_STOPPED]),
    row(O::Mirrors, "mirrors", Method::GET, "/v1/apps/{app}/mirrors", "How the answers of shadow targets compare.")
        .answers(Json("Items_MirrorEntry"))
        .errors(&[&code::NODE_STOPPED]),
    row(O::Trace, "trace", Method::GET, "/v1/trace", "What became of the last requests.")
        .query(&[
            text("app", "Only requests for this app."),
            text("path", "Only those whose path begins so."),
            text("status", "Only those with this status, or of this class (`5xx`)."),
            number("slow_ms", "Only those that took so long at least."),
            text("request_id", "Only the one with this id."),
            number("after", "Only those after this number."),
            number("limit", "The newest ones of so many; 50 unless it says otherwise, at most 1000."),
        ])
        .answers(Json("Items_TraceEntry"))
        .errors(&[&code::NODE_STOPPED]),
    row(O::TraceWay, "trace_way", Method::POST, "/v1/trace/way", "Which way a request goes, and what comes of it.")
        .takes(Json("TraceAsk"))
        .answers(Json("TraceWay"))
        .errors(&[&code::NODE_STOPPED, &code::NODE_OVERLOADED]),
    row(O::SqlList, "sql_list", Method::GET, "/v1/apps/{app}/sql", "The SQL databases that were used.")
        .answers(Json("Items_SqlEntry")),
    row(
        O::SqlQuery,
        "sql_query",
        Method::POST,
        "/v1/apps/{app}/sql/{database}/query",
        "Runs statements in one transaction.",
    )
    .takes(Json("SqlRequest"))
    .answers(Json("SqlAnswered"))
    .errors(SQL_ERRORS),
    row(
        O::SqlImport,
        "sql_import",
        Method::POST,
        "/v1/apps/{app}/sql/{database}/import",
        "Runs the body, a text of statements, in one transaction.",
    )
    .takes(Bytes)
    .answers(Json("SqlImported"))
    .errors(SQL_ERRORS),
    row(
        O::SqlMigrations,
        "sql_migrations",
        Method::GET,
        "/v1/apps/{app}/sql/{database}/migrations",
        "The migrations that were applied, in order.",
    )
    .answers(Json("Items_SqlMigration"))
    .errors(&[&code::SQL_NAME]),
    row(
        O::SqlMigrate,
        "sql_migrate",
        Method::POST,
        "/v1/apps/{app}/sql/{database}/migrations",
        "Applies the migrations that are missing; answers all that are applied now.",
    )
    .takes(Json("SqlMigrateRequest"))
    .answers(Json("Items_SqlMigration"))
    .errors(&[&code::SQL_NAME, &code::SQL_MIGRATION]),
    row(
        O::SqlCopy,
        "sql_copy",
        Method::POST,
        "/v1/apps/{app}/sql/{database}/copy",
        "Makes a new database of what this one is, or was at a moment.",
    )
    .takes(Json("SqlCopyRequest"))
    .answers(Json("SqlCopied"))
    .slow()
    .errors(&[&code::SQL_NAME, &code::SQL_COPY, &code::SQL_IN_USE]),
    row(
        O::SqlDelete,
        "sql_delete",
        Method::DELETE,
        "/v1/apps/{app}/sql/{database}",
        "Removes a database that nobody uses. Its past stays in the archive as long as any.",
    )
    .no_content()
    .errors(&[&code::SQL_NAME, &code::SQL_IN_USE]),
    row(
        O::SqlChanges,
        "sql_changes",
        Method::GET,
        "/v1/apps/{app}/sql/{database}/changes",
        "Which rows were written, in the order of the commits. The feed begins with the first question.",
    )
    .query(&[
        number("after", "What comes after this position; without it, only where now is."),
        number("limit", "Changes in the page; at most 1000."),
        number("wait_ms", "How long to wait if there is nothing to tell; at most 25000."),
    ])
    .answers(Json("SqlChanges"))
    .errors(&[&code::SQL_NAME, &code::SQL_CHANGES_GONE]),
    row(
        O::ObjectList,
        "object_list",
        Method::GET,
        "/v1/apps/{app}/objects/{class}",
        "One page of the objects of a class.",
    )
    .query(&[text("after", "The last id of the page before."), number("limit", "Objects in the page.")])
    .answers(Json("ObjectPage")),
    row(
        O::ObjectInspect,
        "object_inspect",
        Method::GET,
        "/v1/apps/{app}/objects/{class}/{object}/info",
        "What there is of an object, which is named by its id or its name.",
    )
    .answers(Json("ObjectInfo"))
    .errors(&[&code::OBJECT_MISSING]),
    row(
        O::ObjectExport,
        "object_export",
        Method::GET,
        "/v1/apps/{app}/objects/{class}/{object}",
        "The whole object, as a SQLite file.",
    )
    .answers(Bytes)
    .errors(&[&code::OBJECT_MISSING]),
    row(
        O::ObjectImport,
        "object_import",
        Method::PUT,
        "/v1/apps/{app}/objects/{class}/{object}",
        "Puts the body, an export, in the place of what the object has.",
    )
    .takes(Bytes)
    .no_content()
    .errors(OBJECT_ERRORS),
    row(
        O::ObjectDelete,
        "object_delete",
        Method::DELETE,
        "/v1/apps/{app}/objects/{class}/{object}",
        "Removes all that an object has.",
    )
    .no_content()
    .errors(OBJECT_ERRORS),
    row(
        O::ObjectRestore,
        "object_restore",
        Method::POST,
        "/v1/apps/{app}/objects/{class}/{object}/restore",
        "Puts an object that sleeps back to what it was at a moment.",
    )
    .takes(Json("ObjectRestoreRequest"))
    .answers(Json("ObjectRestored"))
    .slow()
    .errors(&[&code::OBJECT_AWAKE, &code::OBJECT_PAST]),
];

impl Operation {
    pub fn row(self) -> &'static RouteRow {
        ROUTES.iter().find(|row| row.operation == self).expect("every operation has a row; a test sees to it")
    }

    /// The path with its parameters filled in, in the order in which they stand there.
    pub fn path(self, parameters: &[&str]) -> String {
        let mut parameters = parameters.iter();
        let fill = |segment: &'static str| match segment.starts_with('{') {
            true => encode(parameters.next().expect("the caller fills every parameter")),
            false => segment.to_owned(),
        };
        self.row().path.split('/').map(fill).collect::<Vec<_>>().join("/")
    }
}

/// The operation that a request asks for.
#[derive(Debug)]
pub struct Match {
    pub row: &'static RouteRow,
    /// Decoded, in the order in which they stand in the path.
    pub parameters: Vec<String>,
}

/// Why a request asks for nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Miss {
    /// No route has this path.
    Path,
    /// Routes with this path have other methods.
    Method(Vec<Method>),
    /// A parameter is not UTF-8.
    Encoding,
}

/// Finds the operation for a method and a path that is still percent-encoded. HEAD is served where
/// GET is.
pub fn find(method: &Method, path: &str) -> Result<Match, Miss> {
    let mut methods = Vec::new();
    for row in ROUTES {
        let Some(parameters) = parameters_of(row, path) else { continue };
        if row.method == *method || (row.method == Method::GET && *method == Method::HEAD) {
            let parameters: Option<_> = parameters.into_iter().map(decode).collect();
            return Ok(Match { row, parameters: parameters.ok_or(Miss::Encoding)? });
        }
        methods.push(row.method.clone());
    }
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    Err(if methods.is_empty() { Miss::Path } else { Miss::Method(methods) })
}

fn parameters_of<'p>(row: &RouteRow, path: &'p str) -> Option<Vec<&'p str>> {
    let (mut wanted, mut found) = (row.path.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some(parameters),
            (Some(name), Some(segment)) if name.starts_with('{') && !segment.is_empty() => parameters.push(segment),
            (Some(name), Some(segment)) if name == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
