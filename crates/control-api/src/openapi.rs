//! The OpenAPI 3.1 document of the admin API, made from the table of routes and the types of the
//! model.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::model;
use crate::route::{KV_EXPIRES, KV_METADATA, KV_REVISION, Payload, QueryKind, ROUTES, RouteRow};

/// The document.
pub fn document() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for row in ROUTES {
        let methods = paths.entry(row.path).or_default();
        methods.insert(row.method.as_str().to_ascii_lowercase(), operation(row));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Selvedge admin API",
            "version": "1",
            "description": "What `selvedge deploy`, `releases`, `rollback`, `secret`, `kv`, `blob`, `objects` and `limits` call. It answers on the admin address only, to callers that show the node's token and are no web page.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "The content of the node's admin.token file." },
            },
        },
    })
}

fn operation(row: &RouteRow) -> Value {
    let in_path = row.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = row.query.iter().map(|query| {
        let schema = match query.kind {
            QueryKind::Text => json!({ "type": "string" }),
            QueryKind::Number => json!({ "type": "integer", "minimum": 0 }),
        };
        json!({ "name": query.name, "in": "query", "description": query.about, "schema": schema })
    });
    let parameters: Vec<_> = in_path.chain(in_query).collect();
    let codes: Vec<_> = row.errors.iter().map(|code| format!("`{}`", code.name)).collect();
    let refused = match codes.as_slice() {
        [] => "An error.".to_owned(),
        codes => format!("An error; beside those that every operation may have: {}.", codes.join(", ")),
    };
    let mut operation = json!({
        "operationId": row.id,
        "summary": row.summary,
        "responses": {
            row.status.to_string(): answer(row.answers),
            "default": {
                "description": refused,
                "content": { base::problem::MEDIA_TYPE: { "schema": reference("Problem") } },
            },
        },
        "security": if row.token { json!([{ "token": [] }]) } else { json!([]) },
    });
    let fields = operation.as_object_mut().expect("an object was just made");
    if !parameters.is_empty() {
        fields.insert("parameters".into(), parameters.into());
    }
    if let Some(content) = content(row.takes) {
        fields.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    operation
}

fn answer(payload: Payload) -> Value {
    let mut answer = json!({ "description": "Done." });
    if let Some(content) = content(payload) {
        answer["content"] = content;
    }
    if payload == Payload::KvEntry {
        let number = json!({ "type": "integer", "minimum": 0 });
        answer["headers"] = json!({
            KV_REVISION: { "required": true, "schema": number },
            KV_EXPIRES: { "description": "Milliseconds since the Unix epoch.", "schema": number },
            KV_METADATA: { "description": "JSON, percent-encoded.", "schema": { "type": "string" } },
        });
    }
    answer
}

fn content(payload: Payload) -> Option<Value> {
    Some(match payload {
        Payload::None => return None,
        Payload::Json(schema) => json!({ "application/json": { "schema": reference(schema) } }),
        Payload::AnyJson => json!({ "application/json": {} }),
        Payload::Bytes | Payload::KvEntry => json!({ "application/octet-stream": {} }),
        Payload::Text => json!({ "text/plain": {} }),
    })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut generator = SchemaGenerator::new(settings);
    generator.subschema_for::<model::Status>();
    generator.subschema_for::<model::Items<model::AppEntry>>();
    generator.subschema_for::<model::Blobs>();
    generator.subschema_for::<model::DeployRequest>();
    generator.subschema_for::<model::Deployed>();
    generator.subschema_for::<model::Items<model::ReleaseEntry>>();
    generator.subschema_for::<model::RollbackRequest>();
    generator.subschema_for::<model::Items<model::SecretEntry>>();
    generator.subschema_for::<model::SecretVersion>();
    generator.subschema_for::<model::Items<model::SecretVersionEntry>>();
    generator.subschema_for::<model::SecretRollback>();
    generator.subschema_for::<model::KvUsage>();
    generator.subschema_for::<model::AppUsage>();
    generator.subschema_for::<model::KvTransaction>();
    generator.subschema_for::<model::KvCommitted>();
    generator.subschema_for::<model::KvChanges>();
    generator.subschema_for::<model::Items<model::SqlEntry>>();
    generator.subschema_for::<model::SqlRequest>();
    generator.subschema_for::<model::SqlAnswered>();
    generator.subschema_for::<model::SqlImported>();
    generator.subschema_for::<model::SqlMigrateRequest>();
    generator.subschema_for::<model::SqlCopyRequest>();
    generator.subschema_for::<model::SqlCopied>();
    generator.subschema_for::<model::SqlChanges>();
    generator.subschema_for::<model::ConfigEntry>();
    generator.subschema_for::<model::Items<model::ConfigEntry>>();
    generator.subschema_for::<model::ConfigVersion>();
    generator.subschema_for::<model::Items<model::ConfigVersionEntry>>();
    generator.subschema_for::<model::ConfigRollback>();
    generator.subschema_for::<model::Items<model::SqlMigration>>();
    generator.subschema_for::<model::KvReceipt>();
    generator.subschema_for::<model::KvDeleted>();
    generator.subschema_for::<model::KvPage>();
    generator.subschema_for::<model::BlobEntry>();
    generator.subschema_for::<model::BlobPage>();
    generator.subschema_for::<model::BlobDeleted>();
    generator.subschema_for::<model::ScrubResult>();
    generator.subschema_for::<model::AccessKeyRequest>();
    generator.subschema_for::<model::AccessKeyMade>();
    generator.subschema_for::<model::Items<model::AccessKeyEntry>>();
    generator.subschema_for::<model::CachePurge>();
    generator.subschema_for::<model::CachePurged>();
    generator.subschema_for::<model::CacheStats>();
    generator.subschema_for::<model::Items<model::CacheEntry>>();
    generator.subschema_for::<model::Items<model::MirrorEntry>>();
    generator.subschema_for::<model::Items<model::TraceEntry>>();
    generator.subschema_for::<model::TraceAsk>();
    generator.subschema_for::<model::TraceWay>();
    generator.subschema_for::<model::ObjectPage>();
    generator.subschema_for::<model::ObjectInfo>();
    generator.subschema_for::<model::ObjectRestoreRequest>();
    generator.subschema_for::<model::ObjectRestored>();
    generator.subschema_for::<model::Items<model::LimitEntry>>();
    generator.subschema_for::<model::Items<model::UpstreamEntry>>();
    generator.subschema_for::<model::BackupRequest>();
    generator.subschema_for::<model::BackupMade>();
    generator.subschema_for::<model::Reloaded>();
    generator.subschema_for::<model::RenewRequest>();
    generator.subschema_for::<model::Items<model::CertificateEntry>>();
    generator.subschema_for::<model::Checked>();
    let mut schemas = generator.take_definitions(false);
    schemas.insert("Problem".into(), problem());
    schemas
}

/// RFC 9457, with the members that Selvedge adds.
fn problem() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    json!({
        "description": "A problem document (RFC 9457).",
        "type": "object",
        "required": ["code", "status", "detail", "fault"],
        "properties": {
            "type": text("A URN of the code."),
            "title": text("The code, for a person."),
            "status": { "type": "integer" },
            "detail": text("What happened this time."),
            "code": text("Stable; never changes its meaning."),
            "fault": { "enum": ["client", "guest", "upstream", "node"], "description": "Whose fault it is." },
            "stack": text("The stack trace of a script that failed to start."),
        },
    })
}

#[cfg(test)]
mod tests;
