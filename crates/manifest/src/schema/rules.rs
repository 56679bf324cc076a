//! What a route asks and does beside leading to its target.

use serde_json::{Value, json};

use super::object;
use crate::bounds::{MAINTENANCE_BYTES, SIDES, TEMPLATE_BYTES};
use crate::raw::fields;

pub(super) fn rule(name: &str) -> Value {
    match name {
        "priority" => json!({ "type": "integer", "default": 0 }),
        "when" => when(),
        "split" => object(fields::SPLIT, |name| match name {
            "by" => json!({ "oneOf": [{ "enum": ["cookie", "client", "request"] }, split_by()] }),
            _ => json!({ "type": "array", "items": side(fields::SIDE), "minItems": 1, "maxItems": SIDES.max }),
        }),
        "failover" => side(fields::FAILOVER),
        "mirror" => side(fields::MIRROR),
        "middleware" => json!({ "type": "array", "items": middleware(), "maxItems": SIDES.max }),
        "rewrite" => json!({ "oneOf": [template(), rewrite()] }),
        "request_headers" | "response_headers" => object(fields::FIELD_RULES, |name| match name {
            "remove" => names(),
            _ => json!({ "type": "object", "additionalProperties": template() }),
        }),
        "redirect" => json!({ "oneOf": [template(), redirect()] }),
        "redirects" => json!({ "type": "string", "minLength": 1 }),
        "maintenance" => json!({ "oneOf": [{ "type": "boolean" }, maintenance()] }),
        "timeout_ms" => json!({ "type": "integer", "minimum": 1, "maximum": 3_600_000 }),
        "max_body_bytes" => json!({ "type": "integer", "minimum": 0, "maximum": 1_u64 << 40 }),
        _ => unreachable!("the table of fields has no other"),
    }
}

fn template() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": TEMPLATE_BYTES.max })
}

fn names() -> Value {
    json!({ "type": "array", "items": { "type": "string", "minLength": 1 } })
}

fn either() -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    json!({ "oneOf": [text, { "type": "array", "items": text }] })
}

fn when() -> Value {
    object(fields::WHEN, |name| match name {
        "header" | "cookie" | "query" => {
            let prefix = object(fields::TEST_VALUE, |_| json!({ "type": "string" }));
            let list = json!({ "type": "array", "items": { "type": "string" } });
            let test = json!({ "oneOf": [{ "type": "boolean" }, { "type": "string" }, list, prefix] });
            json!({ "type": "object", "additionalProperties": test })
        }
        _ => either(),
    })
}

fn split_by() -> Value {
    object(fields::SPLIT_BY, |_| json!({ "type": "string", "minLength": 1 }))
}

fn side(known: &[fields::Field]) -> Value {
    let mut side = object(known, |name| match name {
        "percent" => json!({ "type": "number", "minimum": 0, "maximum": 100 }),
        "on_status" => json!({ "type": "array", "items": { "type": "integer", "minimum": 400, "maximum": 599 } }),
        "changes" => json!({ "type": "boolean", "default": false }),
        "assets" | "page" => json!({ "type": "string", "minLength": 1 }),
        "status" => json!({ "type": "integer", "minimum": 200, "maximum": 599, "default": 503 }),
        "not_found" => json!({ "enum": ["none", "single-page", "404-page"], "default": "none" }),
        _ => json!({ "$ref": "#/$defs/label" }),
    });
    let targets = ["worker", "assets", "blob", "upstream"].map(|target| json!({ "required": [target] }));
    side["oneOf"] = json!(targets);
    side
}

fn middleware() -> Value {
    let mut one = object(fields::MIDDLEWARE, |name| match name {
        "position" => json!({ "enum": ["request", "origin"], "default": "request" }),
        _ => json!({ "$ref": "#/$defs/label" }),
    });
    one["required"] = json!(["worker"]);
    one
}

fn rewrite() -> Value {
    object(fields::REWRITE, |name| match name {
        "path" => template(),
        _ => object(fields::REWRITE_QUERY, |name| match name {
            "remove" => names(),
            _ => json!({ "type": "object", "additionalProperties": template() }),
        }),
    })
}

fn redirect() -> Value {
    let mut redirect = object(fields::REDIRECT, |name| match name {
        "to" => template(),
        "status" => json!({ "enum": [301, 302, 303, 307, 308], "default": 302 }),
        _ => json!({ "type": "boolean", "default": true }),
    });
    redirect["required"] = json!(["to"]);
    redirect
}

fn maintenance() -> Value {
    object(fields::MAINTENANCE, |name| match name {
        "on" => json!({ "type": "boolean", "default": true }),
        "page" => json!({ "type": "string", "maxLength": MAINTENANCE_BYTES.max }),
        "retry_after_s" => json!({ "type": "integer", "minimum": 0, "maximum": 31_536_000 }),
        _ => when(),
    })
}
