//! The limits on a manifest itself. They are fixed: each is far above what a person writes, and
//! there so that a file that is not a person's can't hurt.

use base::limits::LimitRow;

const fn fixed(name: &'static str, value: u64, unit: &'static str, about: &'static str) -> LimitRow {
    LimitRow { name, default: value, min: value, max: value, unit, code: "invalid_manifest", about }
}

pub static MANIFEST_BYTES: LimitRow = fixed("manifest_bytes", 1 << 20, "bytes", "The manifest file, or .dev.vars.");
pub static WORKERS: LimitRow = fixed("workers", 256, "", "Workers of one app.");
pub static ROUTES: LimitRow = fixed("routes", 4_096, "", "Routes of one app.");
pub static PATTERN_BYTES: LimitRow = fixed("pattern_bytes", 1_024, "bytes", "The pattern of a route.");
pub static ASSETS: LimitRow = fixed("assets", 256, "", "Asset directories of one app.");
pub static BINDINGS: LimitRow = fixed("bindings", 256, "", "Bindings of one worker.");
pub static UPSTREAM_TARGETS: LimitRow = fixed("upstream_targets", 64, "", "Servers of one upstream.");
pub static CONDITIONS: LimitRow = fixed("conditions", 64, "", "What one route asks of a request beside its pattern.");
pub static TEXT_BYTES: LimitRow = fixed("text_bytes", 1_024, "bytes", "One value that a route asks for, or one name.");
pub static TEMPLATE_BYTES: LimitRow =
    fixed("template_bytes", 2_048, "bytes", "The target of a redirect or a rewrite, or the value of a field.");
pub static FIELD_RULES: LimitRow = fixed("field_rules", 64, "", "Fields that a route changes in one direction.");
pub static SIDES: LimitRow = fixed("sides", 8, "", "Sides of a split beside the route's own, or workers in its way.");
pub static MAINTENANCE_BYTES: LimitRow = fixed("maintenance_bytes", 64 << 10, "bytes", "The page of a maintenance.");
pub static REDIRECT_ROWS: LimitRow = fixed("redirect_rows", 100_000, "", "Lines of one file of redirects.");
pub static HEADER_RULES: LimitRow = fixed("header_rules", 1_000, "", "Patterns of one _headers file.");
pub static RULES_FILE_BYTES: LimitRow =
    fixed("rules_file_bytes", 16 << 20, "bytes", "A file of redirects, or a _headers file.");
pub static CACHE_KEY_NAMES: LimitRow =
    fixed("cache_key_names", 64, "", "Parameters, header fields and cookies that a route names for its cache.");
pub static CACHE_KEY_NAME_BYTES: LimitRow = fixed("cache_key_name_bytes", 256, "bytes", "One of these names.");
pub static WARM_BYTES: LimitRow = fixed("warm_bytes", 2_048, "bytes", "The path of a warm-up request.");
pub static VARS: LimitRow = fixed("vars", 256, "", "Variables of one worker.");
pub static VAR_BYTES: LimitRow = fixed("var_bytes", 64 << 10, "bytes", "One variable; if it is no text, as JSON.");
pub static EGRESS_RULES: LimitRow = fixed("egress_rules", 256, "", "Egress rules of one worker.");
pub static ENTRYPOINT_BYTES: LimitRow =
    fixed("entrypoint_bytes", 256, "bytes", "Name of the export that a binding leads to.");
pub static DATABASES: LimitRow = fixed("databases", 64, "", "PostgreSQL databases of one app.");
pub static CA_BYTES: LimitRow = fixed("ca_bytes", 64 << 10, "bytes", "The authorities of a database, as PEM text.");
pub static ENVS: LimitRow = fixed("envs", 64, "", "Environments of one manifest.");

/// Every limit of this file, for `selvedge limits`.
pub static MANIFEST: &[&LimitRow] = &[
    &MANIFEST_BYTES,
    &WORKERS,
    &ROUTES,
    &PATTERN_BYTES,
    &ASSETS,
    &BINDINGS,
    &UPSTREAM_TARGETS,
    &CONDITIONS,
    &TEXT_BYTES,
    &TEMPLATE_BYTES,
    &FIELD_RULES,
    &SIDES,
    &MAINTENANCE_BYTES,
    &REDIRECT_ROWS,
    &HEADER_RULES,
    &RULES_FILE_BYTES,
    &CACHE_KEY_NAMES,
    &CACHE_KEY_NAME_BYTES,
    &WARM_BYTES,
    &VARS,
    &VAR_BYTES,
    &EGRESS_RULES,
    &ENTRYPOINT_BYTES,
    &DATABASES,
    &CA_BYTES,
    &ENVS,
];
