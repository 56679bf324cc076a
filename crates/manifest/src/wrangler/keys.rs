//! What wrangler's files may hold, and what becomes of it.

pub(super) struct Key {
    pub name: &'static str,
    pub treatment: Treatment,
}

pub(super) enum Treatment {
    /// Mapped.
    Read,
    /// Changes nothing here.
    Pass,
    /// Would change behaviour; what it would do.
    Refuse(&'static str),
}

const fn read(name: &'static str) -> Key {
    Key { name, treatment: Treatment::Read }
}

const fn pass(name: &'static str) -> Key {
    Key { name, treatment: Treatment::Pass }
}

const fn refuse(name: &'static str, what: &'static str) -> Key {
    Key { name, treatment: Treatment::Refuse(what) }
}

pub(super) static ROOT: &[Key] = &[
    read("name"),
    read("main"),
    read("vars"),
    read("kv_namespaces"),
    read("r2_buckets"),
    read("d1_databases"),
    read("secrets"),
    read("services"),
    read("durable_objects"),
    read("migrations"),
    read("assets"),
    read("route"),
    read("routes"),
    read("limits"),
    read("build"),
    read("alias"),
    read("define"),
    read("rules"),
    pass("$schema"),
    pass("account_id"),
    pass("base_dir"),
    pass("compatibility_date"),
    pass("compatibility_flags"),
    pass("compliance_region"),
    pass("dev"),
    pass("dependencies_instrumentation"),
    pass("find_additional_modules"),
    pass("first_party_worker"),
    pass("keep_names"),
    pass("keep_vars"),
    pass("legacy_env"),
    pass("logpush"),
    pass("minify"),
    pass("no_bundle"),
    pass("node_compat"),
    pass("observability"),
    pass("placement"),
    pass("preserve_file_names"),
    pass("preview_urls"),
    pass("send_metrics"),
    pass("targetEnvironment"),
    pass("topLevelName"),
    pass("type"),
    pass("upload_source_maps"),
    pass("usage_model"),
    pass("userConfigPath"),
    pass("workers_dev"),
    pass("zone_id"),
    refuse("agent_memory", "agent memory"),
    refuse("ai", "inference"),
    refuse("ai_search", "search indexes"),
    refuse("ai_search_namespaces", "search indexes"),
    refuse("analytics_engine_datasets", "analytics datasets"),
    refuse("artifacts", "artifact stores"),
    refuse("browser", "browser rendering"),
    refuse("cache", "the cache in front of a worker"),
    refuse("cloudchamber", "containers"),
    refuse("containers", "containers"),
    refuse("data_blobs", "modules of bytes by binding; import the file instead"),
    refuse("dispatch_namespaces", "workers that dispatch to tenants"),
    refuse("exports", "exports by configuration"),
    refuse("flagship", "feature flags"),
    refuse(
        "hyperdrive",
        "pools of database connections by binding; describe the database as [postgres.NAME] in a selvedge.toml",
    ),
    refuse("images", "image transformation"),
    refuse("jsx_factory", "a JSX factory by configuration; use a pragma in the file"),
    refuse("jsx_fragment", "a JSX fragment by configuration; use a pragma in the file"),
    refuse("media", "media transformation"),
    refuse("mtls_certificates", "client certificates for outbound requests"),
    refuse("pages_build_output_dir", "Pages projects"),
    refuse("pipelines", "pipelines"),
    refuse("previews", "previews"),
    refuse("python_modules", "Python"),
    refuse("queues", "queues"),
    refuse("ratelimits", "rate limits by binding"),
    refuse("secrets_store_secrets", "secrets stores; bind a secret of this app"),
    refuse("send_email", "sending mail"),
    refuse("site", "Workers Sites; use `assets`"),
    refuse("stream", "video"),
    refuse("streaming_tail_consumers", "tail workers"),
    refuse("tail_consumers", "tail workers"),
    refuse("text_blobs", "modules of text by binding; import the file instead"),
    refuse("triggers", "schedules"),
    refuse("tsconfig", "a tsconfig by configuration; the one beside this file is used"),
    refuse("unsafe", "unsafe bindings"),
    refuse("unsafe_hello_world", "test bindings"),
    refuse("vectorize", "vector indexes"),
    refuse("version_metadata", "version metadata by binding"),
    refuse("vpc_networks", "private networks by binding; name the targets as egress in a selvedge.toml"),
    refuse("vpc_services", "private services by binding; name the targets as egress in a selvedge.toml"),
    refuse("wasm_modules", "WebAssembly by binding"),
    refuse("worker_loaders", "workers that load workers"),
    refuse("workflows", "workflows"),
];

/// What an environment does not take over from the base (the file's own rules).
pub(super) static NOT_INHERITED: &[&str] = &[
    "ai",
    "analytics_engine_datasets",
    "browser",
    "cloudchamber",
    "containers",
    "d1_databases",
    "define",
    "dispatch_namespaces",
    "durable_objects",
    "hyperdrive",
    "images",
    "kv_namespaces",
    "media",
    "mtls_certificates",
    "pipelines",
    "queues",
    "r2_buckets",
    "ratelimits",
    "secrets",
    "secrets_store_secrets",
    "send_email",
    "services",
    "streaming_tail_consumers",
    "tail_consumers",
    "unsafe",
    "vars",
    "vectorize",
    "version_metadata",
    "vpc_services",
    "worker_loaders",
    "workflows",
];

pub(super) static LIMITS: &[Key] = &[read("cpu_ms"), read("subrequests")];

pub(super) static SECRETS: &[Key] = &[read("required")];

pub(super) static KV: &[Key] =
    &[read("binding"), read("id"), pass("preview_id"), pass("remote"), pass("experimental_remote")];

pub(super) static R2: &[Key] = &[
    read("binding"),
    read("bucket_name"),
    pass("preview_bucket_name"),
    pass("jurisdiction"),
    pass("remote"),
    pass("experimental_remote"),
];

pub(super) static D1: &[Key] = &[
    read("binding"),
    read("database_name"),
    read("database_id"),
    read("migrations_dir"),
    pass("preview_database_id"),
    pass("database_internal_env"),
    pass("remote"),
    pass("experimental_remote"),
    refuse("migrations_table", "a table of migrations by name; they are noted in one of the platform's"),
];

pub(super) static SERVICE: &[Key] = &[
    read("binding"),
    read("service"),
    read("entrypoint"),
    read("props"),
    pass("remote"),
    pass("experimental_remote"),
    refuse("environment", "a service of another environment"),
    refuse("cross_account_grant", "services of another account"),
];

pub(super) static OBJECTS: &[Key] = &[read("bindings")];

pub(super) static OBJECT: &[Key] =
    &[read("name"), read("class_name"), read("script_name"), refuse("environment", "a class of another environment")];

pub(super) static MIGRATION: &[Key] = &[
    pass("tag"),
    pass("new_classes"),
    pass("new_sqlite_classes"),
    refuse("renamed_classes", "renaming a class; export its objects and import them under the new name"),
    refuse("deleted_classes", "deleting a class; delete its objects with selvedge objects"),
    refuse("transferred_classes", "moving a class to another app; export its objects and import them there"),
];

pub(super) static ASSETS: &[Key] =
    &[read("directory"), read("binding"), read("not_found_handling"), read("run_worker_first"), read("html_handling")];

pub(super) static RULE: &[Key] = &[read("type"), read("globs"), pass("fallthrough")];

pub(super) static ROUTE: &[Key] = &[
    read("pattern"),
    read("custom_domain"),
    pass("zone_name"),
    pass("zone_id"),
    pass("enabled"),
    pass("previews_enabled"),
];

pub(super) static BUILD: &[Key] = &[
    refuse("command", "a build command; run it before, and point `main` at what it makes"),
    pass("cwd"),
    pass("watch_dir"),
    pass("upload"),
];
