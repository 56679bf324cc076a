//! `selvedge types`: what a worker finds in `env`, as a TypeScript declaration file.
//!
//! The file declares global names and imports nothing, so that a worker may write
//! `fetch(request: Request, env: Env)` without an import. With one script its interface is `Env`;
//! with more, each has its own: `WebEnv`, `ApiEnv`.

use std::fmt::Write;

use serde_json::Value;

use crate::plan::{Databases, Grant, Plan, Var, WorkerKind, WorkerPlan};

/// The text of the declaration file.
pub fn typescript_env(plan: &Plan) -> String {
    let mut text = String::from("// Made by `selvedge types` from the manifest. Run it again after a change.\n");
    let scripts: Vec<_> = plan.workers.iter().filter(|w| w.kind == WorkerKind::Script).collect();
    for worker in &scripts {
        let name = if scripts.len() == 1 { "Env".to_owned() } else { interface_name(worker.name.as_str()) };
        let _ = write!(text, "\n/** What the worker `{}` finds in `env`. */\ninterface {name} {{\n", worker.name);
        for (name, shape) in members(plan, worker) {
            let _ = writeln!(text, "  {name}: {shape};");
        }
        text.push_str("}\n");
    }
    let grants = || scripts.iter().flat_map(|w| &w.bindings).map(|b| &b.grant);
    if grants().any(|g| matches!(g, Grant::Kv { .. })) {
        text.push_str(KV);
    }
    if grants().any(|g| matches!(g, Grant::Blob { .. })) {
        text.push_str(BLOBS);
    }
    if grants().any(|g| matches!(g, Grant::Sql { .. })) {
        text.push_str(SQL);
    }
    if grants().any(|g| matches!(g, Grant::Postgres { .. })) {
        text.push_str(POSTGRES);
    }
    let has_objects = grants().any(|g| matches!(g, Grant::Object { .. }));
    if has_objects || grants().any(|g| matches!(g, Grant::Worker { .. } | Grant::Assets { .. })) {
        text.push_str(FETCHER);
    }
    if has_objects
        || grants()
            .any(|g| matches!(g, Grant::Worker { worker, .. } if plan.worker(*worker).kind == WorkerKind::Script))
    {
        text.push_str(SERVICE);
    }
    if has_objects {
        text.push_str(OBJECTS);
    }
    text
}

/// What a file of tests imports, as a declaration that stands behind [`typescript_env`].
pub fn typescript_tests(plan: &Plan) -> String {
    let scripts = plan.workers.iter().filter(|worker| worker.kind == WorkerKind::Script).count();
    let main = plan.worker(plan.main_worker());
    let name = match (main.kind, scripts) {
        (WorkerKind::Component, _) => "Record<string, any>".to_owned(),
        (WorkerKind::Script, 1) => "Env".to_owned(),
        (WorkerKind::Script, _) => interface_name(main.name.as_str()),
    };
    TESTS.replace("__ENV__", &name)
}

/// The type of a class of durable objects.
fn objects(exporter: &WorkerPlan, class: &str) -> String {
    match module_of(exporter) {
        Some(module) => format!("DurableObjectNamespace<import({}).{class}>", Value::from(format!("./{module}"))),
        None => "DurableObjectNamespace<any>".to_owned(),
    }
}

/// The module of a worker, if its source has types.
fn module_of(worker: &WorkerPlan) -> Option<String> {
    let (stem, ending) = worker.entry.rsplit_once('.')?;
    match ending {
        "ts" | "tsx" => Some(stem.to_owned()),
        "mts" => Some(format!("{stem}.mjs")),
        _ => None,
    }
}

/// The type of a binding to a worker: the class that answers, if its source has types. The file is
/// meant to lie beside the manifest.
fn service(target: &WorkerPlan, entrypoint: Option<&str>) -> String {
    if target.kind == WorkerKind::Component {
        return "WorkerFetcher".to_owned();
    }
    let Some(module) = module_of(target) else { return "UntypedService".to_owned() };
    let export = entrypoint.unwrap_or("default");
    format!("WorkerService<typeof import({}).{export}>", Value::from(format!("./{module}")))
}

/// `my-api` → `MyApiEnv`. A digit after a hyphen keeps a mark, so that `a-1` and `a1` differ.
fn interface_name(worker: &str) -> String {
    let mut name = String::new();
    for part in worker.split('-') {
        if part.starts_with(|c: char| c.is_ascii_digit()) || part.is_empty() {
            name.push('_');
        }
        let mut chars = part.chars();
        name.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        name.push_str(chars.as_str());
    }
    name + "Env"
}

/// Names in order, with their types.
fn members(plan: &Plan, worker: &WorkerPlan) -> Vec<(String, String)> {
    let vars = worker.vars.iter().map(|(name, var)| {
        let shape = match var {
            Var::Text(_) | Var::Dev(_) => "string".to_owned(),
            Var::Json(value) => type_of(value, 1),
        };
        (name.to_string(), shape)
    });
    let bindings = worker.bindings.iter().map(|binding| {
        let shape = match &binding.grant {
            Grant::Kv { .. } => "KVNamespace".to_owned(),
            Grant::Blob { .. } => "R2Bucket".to_owned(),
            Grant::Secret { previous: false, .. } => "string".to_owned(),
            Grant::Secret { previous: true, .. } => "string | undefined".to_owned(),
            Grant::Config { default: Some(_), .. } => "string".to_owned(),
            Grant::Config { default: None, .. } => "string | undefined".to_owned(),
            Grant::Sql { sql: Databases::One(_), .. } => "D1Database".to_owned(),
            Grant::Sql { sql: Databases::Family(_), .. } => "SqlFamily".to_owned(),
            Grant::Object { class, worker } => objects(plan.worker(*worker), class.as_str()),
            Grant::Worker { worker, entrypoint, .. } => service(plan.worker(*worker), entrypoint.as_deref()),
            Grant::Assets { .. } => "WorkerFetcher".to_owned(),
            Grant::Postgres { .. } => "PostgresDatabase".to_owned(),
        };
        (binding.name.to_string(), shape)
    });
    let mut all: Vec<_> = vars.chain(bindings).collect();
    all.sort();
    all
}

fn type_of(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(items) => {
            let mut kinds: Vec<_> = items.iter().map(|item| type_of(item, depth)).collect();
            kinds.sort();
            kinds.dedup();
            match kinds.as_slice() {
                [] => "unknown[]".to_owned(),
                [one] if !one.contains(' ') => format!("{one}[]"),
                many => format!("({})[]", many.join(" | ")),
            }
        }
        Value::Object(map) if map.is_empty() => "Record<string, never>".to_owned(),
        Value::Object(map) => {
            let indent = "  ".repeat(depth);
            let mut text = String::from("{\n");
            for (key, value) in map {
                let _ = writeln!(text, "{indent}  {}: {};", property(key), type_of(value, depth + 1));
            }
            text + &indent + "}"
        }
    }
}

/// A key as TypeScript writes it: bare if it is an identifier, otherwise quoted.
fn property(key: &str) -> String {
    let bare = base::BindingName::parse(key).is_ok();
    if bare { key.to_owned() } else { Value::from(key).to_string() }
}

const POSTGRES: &str = include_str!("typescript/postgres.d.ts");
const BLOBS: &str = include_str!("typescript/blobs.d.ts");

const TESTS: &str = include_str!("typescript/tests_module.d.ts");

const SQL: &str = include_str!("typescript/sql.d.ts");

const KV: &str = r#"
interface KVNamespace<Key extends string = string> {
  get(key: Key, options?: "text" | { type?: "text"; cacheTtl?: number }): Promise<string | null>;
  get<Value = unknown>(key: Key, options: "json" | { type: "json"; cacheTtl?: number }): Promise<Value | null>;
  get(key: Key, options: "arrayBuffer" | { type: "arrayBuffer"; cacheTtl?: number }): Promise<ArrayBuffer | null>;
  get(key: Key, options: "stream" | { type: "stream"; cacheTtl?: number }): Promise<ReadableStream | null>;
  get(keys: Key[], options?: "text" | { type?: "text"; cacheTtl?: number }): Promise<Map<string, string | null>>;
  get<Value = unknown>(keys: Key[], options: "json" | { type: "json"; cacheTtl?: number }): Promise<Map<string, Value | null>>;
  getWithMetadata<Metadata = unknown>(
    key: Key,
    options?: "text" | { type?: "text"; cacheTtl?: number },
  ): Promise<KVNamespaceGetWithMetadataResult<string, Metadata>>;
  getWithMetadata<Value = unknown, Metadata = unknown>(
    key: Key,
    options: "json" | { type: "json"; cacheTtl?: number },
  ): Promise<KVNamespaceGetWithMetadataResult<Value, Metadata>>;
  getWithMetadata<Metadata = unknown>(
    key: Key,
    options: "arrayBuffer" | { type: "arrayBuffer"; cacheTtl?: number },
  ): Promise<KVNamespaceGetWithMetadataResult<ArrayBuffer, Metadata>>;
  getWithMetadata<Metadata = unknown>(
    key: Key,
    options: "stream" | { type: "stream"; cacheTtl?: number },
  ): Promise<KVNamespaceGetWithMetadataResult<ReadableStream, Metadata>>;
  getWithMetadata<Metadata = unknown>(
    keys: Key[],
    options?: "text" | { type?: "text"; cacheTtl?: number },
  ): Promise<Map<string, KVNamespaceGetWithMetadataResult<string, Metadata>>>;
  getWithMetadata<Value = unknown, Metadata = unknown>(
    keys: Key[],
    options: "json" | { type: "json"; cacheTtl?: number },
  ): Promise<Map<string, KVNamespaceGetWithMetadataResult<Value, Metadata>>>;
  put(
    key: Key,
    value: string | ArrayBuffer | ArrayBufferView | ReadableStream,
    options?: {
      expiration?: number;
      expirationTtl?: number;
      metadata?: unknown;
      /** Only if the key still has this revision; null: only if there is no such key. */
      ifRevision?: number | null;
      /** Only if there is no such key. */
      ifAbsent?: boolean;
    },
  ): Promise<{ revision: number; durability: "memory" | "fsync" | "quorum" }>;
  delete(key: Key, options?: { ifRevision?: number }): Promise<{ durability: "memory" | "fsync" | "quorum" }>;
  list<Metadata = unknown>(options?: {
    prefix?: string | null;
    cursor?: string | null;
    limit?: number;
    /** Only keys that were written after this revision. */
    changedSince?: number | null;
    /** With the values; null for one of more than 64 KiB. */
    values?: "text" | "json" | "arrayBuffer";
  }): Promise<KVNamespaceListResult<Metadata, Key>>;
  /** Adds to a counter, a whole number in decimal, and gives what it holds then: a number where that is exact. */
  add(key: Key, by?: number | bigint): Promise<number | bigint>;
  /** Begins a transaction: checks and writes that happen at one moment, all or none. */
  atomic(): KVAtomicOperation<Key>;
  /** What is written from now on, or after a revision. A gap is an error (`changes_gone`). */
  watch(options?: { prefix?: string | null; since?: number | null }): AsyncIterableIterator<KVWritten<Key>>;
}

interface KVAtomicOperation<Key extends string = string> {
  /** That the key has this revision (null: that there is none), or that it exists or does not. */
  check(condition: { key: Key; revision: number | null } | { key: Key; exists: boolean }): this;
  put(
    key: Key,
    value: string | ArrayBuffer | ArrayBufferView,
    options?: { expiration?: number; expirationTtl?: number; metadata?: unknown },
  ): this;
  delete(key: Key): this;
  add(key: Key, by?: number | bigint): this;
  /** Rejects with the code `revision_conflict`, and nothing is done, if a check does not hold. */
  commit(): Promise<{ revision: number; counters: Map<Key, number | bigint>; durability: "memory" | "fsync" | "quorum" }>;
}

/** What one write changed. */
interface KVWritten<Key extends string = string> {
  revision: number;
  changes: { key: Key; type: "put" | "delete" | "expire" }[];
}

interface KVNamespaceListKey<Metadata, Key extends string = string> {
  name: Key;
  revision: number;
  expiration?: number;
  metadata?: Metadata;
  /** If values were asked for. */
  value?: any;
}

type KVNamespaceListResult<Metadata, Key extends string = string> =
  | {
    list_complete: false;
    keys: KVNamespaceListKey<Metadata, Key>[];
    cursor: string;
    revision: number;
    cacheStatus: string | null;
  }
  | { list_complete: true; keys: KVNamespaceListKey<Metadata, Key>[]; revision: number; cacheStatus: string | null };

interface KVNamespaceGetWithMetadataResult<Value, Metadata> {
  value: Value | null;
  metadata: Metadata | null;
  cacheStatus: string | null;
  revision: number | null;
}
"#;

const FETCHER: &str = r#"
/** Another worker of the app, or its files. A call to it does not leave the process. */
interface WorkerFetcher {
  fetch(input: Request | URL | string, init?: RequestInit): Promise<Response>;
}
"#;

const OBJECTS: &str = include_str!("typescript/objects.d.ts");

const SERVICE: &str = r#"
/** Another worker of the app: `fetch`, and the methods of the class that answers. */
type WorkerService<Exported> = WorkerFetcher &
  (Exported extends abstract new (...args: any[]) => infer Entry ? RpcMembers<Omit<Entry, RpcReserved>> : {});

/** Another worker, of which no more is known than that it is called by name. */
type UntypedService = WorkerFetcher & { [name: string]: any };

type RpcReserved = "fetch" | "connect" | "scheduled" | "queue" | "email" | "tail" | "trace" | "alarm" | "ctx" | "env" | "dup";

type RpcMembers<Target> = { [Name in keyof Target]: RpcMember<Target[Name]> };

type RpcMember<Value> = Value extends (...args: infer Args) => infer Result
  ? (...args: Args) => RpcPromise<Awaited<Result>>
  : RpcPromise<Awaited<Value>>;

/** What a call gives: a promise whose members can be called before it is there. */
type RpcPromise<Value> = Promise<RpcResult<Value>> & RpcPipeline<Value>;

type RpcPipeline<Value> = Value extends (...args: any[]) => any
  ? RpcMember<Value>
  : Value extends RpcCopied ? {} : Value extends object ? RpcMembers<Value> : {};

/** What arrives: copies of values, and stubs of what is passed by reference. */
type RpcResult<Value> = Value extends (...args: any[]) => any
  ? RpcMember<Value> & RpcStub
  : Value extends RpcCopied
    ? Value
    : Value extends object
      ? { [Name in keyof Value]: Value[Name] extends (...args: any[]) => any ? RpcMember<Value[Name]> : RpcResult<Value[Name]> } & RpcStub
      : Value;

type RpcCopied =
  | string | number | boolean | bigint | symbol | null | undefined | void | Date | RegExp | Error | ArrayBuffer
  | ArrayBufferView | ReadonlyMap<any, any> | ReadonlySet<any> | Blob | Headers | Request | Response | ReadableStream;

/** What is held of another worker until it is disposed of, or the request is over. */
type RpcStub = SymbolConstructor extends { readonly dispose: infer Key extends symbol } ? { [Name in Key]: () => void } : {};

interface WorkerContext<Props = unknown> {
  readonly props: Props;
  waitUntil(promise: Promise<unknown>): void;
}

declare module "cloudflare:workers" {
  export abstract class WorkerEntrypoint<Env = unknown, Props = unknown> {
    protected readonly ctx: WorkerContext<Props>;
    protected readonly env: Env;
    constructor(ctx: WorkerContext<Props>, env: Env);
  }
  export abstract class RpcTarget {}
  export const RpcStub: new <Target>(target: Target) => RpcResult<Target>;
  export const env: any;
}
"#;

#[cfg(test)]
mod tests;
