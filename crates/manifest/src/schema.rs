//! The JSON schema of `selvedge.toml`, for editors. It is made from the same tables of fields and
//! limits that the reader uses. It describes shapes; what depends on other parts of the file (names
//! of workers, equal routes) only the reader finds.

use base::limits::{APP, LimitRow, POSTGRES, TEST, UPSTREAM as UPSTREAM_LIMITS, WORKER};
use serde_json::{Map, Value, json};

use crate::bounds::{CACHE_KEY_NAMES, ENTRYPOINT_BYTES};
use crate::plan::HtmlHandling;
use crate::raw::fields::{
    BINDING, Field, POSTGRES as POSTGRES_FIELDS, POSTGRES_URL, ROOT, ROUTE, ROUTE_CACHE, ROUTE_RULES,
    TEST as TEST_FIELDS, UPSTREAM, UPSTREAM_HEALTH, UPSTREAM_TARGET, UPSTREAM_TLS, WORKER as WORKER_FIELDS,
};
use crate::route::DEFAULT_TTL_S_MAX;
use crate::upstream::WEIGHT_MAX;

mod rules;

/// The schema, in the dialect of JSON Schema 2020-12.
pub fn json_schema() -> Value {
    let mut root = object(ROOT, |name| match name {
        "name" => json!({ "$ref": "#/$defs/label" }),
        "workers" => json!({
            "type": "object",
            "propertyNames": { "$ref": "#/$defs/label" },
            "additionalProperties": { "$ref": "#/$defs/worker" },
        }),
        "routes" => json!({ "type": "array", "items": { "$ref": "#/$defs/route" } }),
        "upstreams" => json!({
            "type": "object",
            "propertyNames": { "$ref": "#/$defs/label" },
            "additionalProperties": { "$ref": "#/$defs/upstream" },
        }),
        "limits" => limits(APP),
        "postgres" => json!({
            "type": "object",
            "propertyNames": { "$ref": "#/$defs/label" },
            "additionalProperties": { "$ref": "#/$defs/postgres" },
        }),
        "test" => object(TEST_FIELDS, |name| match name {
            "globals" => json!({ "type": "boolean", "default": false }),
            "worker" => json!({ "$ref": "#/$defs/label" }),
            "limits" => limits(TEST),
            _ => unreachable!("the table of fields has no other"),
        }),
        "env" => json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/overlay" } }),
        _ => unreachable!("the table of fields has no other"),
    });
    // An overlay may hold a part of anything, so it says nothing on what is required.
    let mut overlay = root.clone();
    overlay["properties"].as_object_mut().expect("an object has properties").remove("env");
    overlay["properties"]["workers"]["additionalProperties"] = json!({ "$ref": "#/$defs/worker_overlay" });
    let worker_overlay = worker();
    let mut worker = worker_overlay.clone();
    worker["required"] = json!(["entry"]);
    let defs = json!({
        "label": {
            "type": "string",
            "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        },
        "worker": worker,
        "worker_overlay": worker_overlay,
        "overlay": overlay,
        "binding": binding(),
        "postgres": postgres(),
        "route": route(),
        "upstream": upstream(),
    });
    let keys = root.as_object_mut().expect("it is an object");
    keys.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    keys.insert("title".to_owned(), json!("selvedge.toml"));
    keys.insert("required".to_owned(), json!(["name"]));
    keys.insert("$defs".to_owned(), defs);
    sorted(root)
}

/// An object with the fields of a table that are supported, and no others.
fn object(fields: &[Field], shape: impl Fn(&str) -> Value) -> Value {
    let mut properties = Map::new();
    for field in fields.iter().filter(|f| !f.later) {
        let mut value = shape(field.name);
        value["description"] = json!(field.about);
        properties.insert(field.name.to_owned(), value);
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn worker() -> Value {
    object(WORKER_FIELDS, |name| match name {
        "entry" => json!({ "type": "string", "minLength": 1 }),
        "isolation" => json!({ "enum": ["shared", "request"] }),
        "warm" => json!({ "type": "string", "pattern": "^/" }),
        "vars" => json!({ "type": "object", "propertyNames": identifier() }),
        "bindings" => json!({
            "type": "object",
            "propertyNames": identifier(),
            "additionalProperties": { "$ref": "#/$defs/binding" },
        }),
        "egress" => json!({ "type": "array", "items": { "type": "string", "minLength": 1 }, "default": ["public"] }),
        "limits" => limits(WORKER),
        "server_timing" => json!({ "type": "boolean", "default": false }),
        _ => unreachable!("the table of fields has no other"),
    })
}

fn identifier() -> Value {
    json!({ "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,62}$" })
}

fn binding() -> Value {
    let mut binding = object(BINDING, |name| match name {
        "assets" => json!({ "type": "string", "minLength": 1 }),
        "entrypoint" => json!({ "type": "string", "minLength": 1, "maxLength": ENTRYPOINT_BYTES.max }),
        "props" => json!({ "type": "object" }),
        "default" => json!({ "type": "string" }),
        "previous" => json!({ "type": "boolean", "default": false }),
        "sql" => json!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(-\\*)?$" }),
        "migrations" => json!({ "type": "string", "minLength": 1 }),
        "object" => identifier(),
        _ => json!({ "$ref": "#/$defs/label" }),
    });
    let kinds =
        ["kv", "blob", "sql", "secret", "config", "assets", "postgres"].map(|kind| json!({ "required": [kind] }));
    // The worker that exports a class stands beside it.
    let object = json!({ "required": ["object"] });
    let worker = json!({ "required": ["worker"], "not": object });
    binding["oneOf"] = json!(kinds.into_iter().chain([object, worker]).collect::<Vec<_>>());
    binding["dependentRequired"] = json!({
        "entrypoint": ["worker"],
        "props": ["worker"],
        "previous": ["secret"],
        "default": ["config"],
        "migrations": ["sql"],
    });
    binding
}

fn postgres() -> Value {
    object(POSTGRES_FIELDS, |name| match name {
        "url" => {
            let mut url = object(POSTGRES_URL, |_| json!({ "$ref": "#/$defs/label" }));
            url["required"] = json!(["secret"]);
            url
        }
        "tls" => json!({ "enum": ["verify", "off"], "default": "verify" }),
        "ca" => json!({ "type": "string", "pattern": "-----BEGIN CERTIFICATE-----" }),
        "limits" => limits(POSTGRES),
        _ => unreachable!("the table of fields has no other"),
    })
}

fn route() -> Value {
    let mut route = object(ROUTE, |name| match name {
        "not_found" => json!({ "enum": ["none", "single-page", "404-page"], "default": "none" }),
        "html_handling" => json!({ "enum": HtmlHandling::NAMES.map(|(name, _)| name) }),
        "worker" | "blob" | "upstream" => json!({ "$ref": "#/$defs/label" }),
        "cache" => json!({ "oneOf": [{ "type": "boolean" }, route_cache()] }),
        name if ROUTE_RULES.contains(&name) || name == "priority" => rules::rule(name),
        _ => json!({ "type": "string", "minLength": 1 }),
    });
    route["required"] = json!(["match"]);
    let targets = ["worker", "assets", "blob", "upstream", "redirect"].map(|target| json!({ "required": [target] }));
    route["anyOf"] = json!(targets);
    route["dependentRequired"] = json!({ "not_found": ["assets"], "html_handling": ["assets"], "cache": ["upstream"] });
    route
}

fn route_cache() -> Value {
    let names = || json!({ "type": "array", "items": { "type": "string" }, "maxItems": CACHE_KEY_NAMES.max });
    object(ROUTE_CACHE, |name| match name {
        "default_ttl_s" | "negative_ttl_s" => json!({ "type": "integer", "minimum": 0, "maximum": DEFAULT_TTL_S_MAX }),
        "sort_query" | "device" | "compress" => json!({ "type": "boolean" }),
        _ => names(),
    })
}

fn upstream() -> Value {
    let url = json!({ "type": "string", "pattern": "^((srv\\+)?(https?|h2c)://|(h2c\\+)?unix:/)" });
    let statuses =
        |min: u16| json!({ "type": "array", "items": { "type": "integer", "minimum": min, "maximum": 599 } });
    let mut upstream = object(UPSTREAM, |name| match name {
        "targets" => {
            let weight = json!({ "type": "integer", "minimum": 1, "maximum": WEIGHT_MAX, "default": 1 });
            let mut target = object(UPSTREAM_TARGET, |name| if name == "url" { url.clone() } else { weight.clone() });
            target["required"] = json!(["url"]);
            json!({ "type": "array", "items": { "anyOf": [url, target] }, "minItems": 1 })
        }
        "balance" => json!({
            "enum": ["round_robin", "least_requests", "two_choices", "ketama", "maglev"], "default": "round_robin",
        }),
        "hash" => json!({ "type": "string", "pattern": "^(path|client|header:.+|cookie:.+)$" }),
        "sticky" => json!({ "type": "string", "minLength": 1 }),
        "retry_on" => statuses(400),
        "health" => {
            let path = json!({ "type": "string", "pattern": "^/" });
            let mut health = object(UPSTREAM_HEALTH, |name| if name == "path" { path.clone() } else { statuses(100) });
            health["required"] = json!(["path"]);
            health
        }
        "tls" => object(UPSTREAM_TLS, |name| match name {
            "certificate" => {
                let mut secret = object(POSTGRES_URL, |_| json!({ "$ref": "#/$defs/label" }));
                secret["required"] = json!(["secret"]);
                secret
            }
            "ca" => json!({ "type": "string", "pattern": "-----BEGIN CERTIFICATE-----" }),
            _ => json!({ "type": "string", "minLength": 1 }),
        }),
        "parent" => json!({ "$ref": "#/$defs/label" }),
        "early_hints" => json!({ "type": "boolean" }),
        "host" => json!({ "type": "string", "minLength": 1, "default": "target" }),
        "limits" => limits(UPSTREAM_LIMITS),
        _ => unreachable!("the table of fields has no other"),
    });
    upstream["required"] = json!(["targets"]);
    upstream
}

fn limits(rows: &[LimitRow]) -> Value {
    let mut properties = Map::new();
    for row in rows {
        let unit = if row.unit.is_empty() { String::new() } else { format!(" In {}.", row.unit) };
        let shape = json!({
            "type": "integer",
            "minimum": row.min,
            "maximum": row.max,
            "default": row.default,
            "description": format!("{}{unit}", row.about),
        });
        properties.insert(row.name.to_owned(), shape);
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// With the keys of every object in order, so that the text does not depend on how the schema was
/// put together, nor on the order in which a build of `serde_json` keeps keys.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(pairs.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
