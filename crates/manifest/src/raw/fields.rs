//! The fields of `selvedge.toml`, table by table. The reader and the JSON schema both stand on
//! these, so that they can't disagree.

pub(crate) struct Field {
    pub name: &'static str,
    pub about: &'static str,
    /// Part of the design, but of no version yet.
    pub later: bool,
}

const fn field(name: &'static str, about: &'static str) -> Field {
    Field { name, about, later: false }
}

const fn later(name: &'static str) -> Field {
    Field { name, about: "", later: true }
}

pub(crate) static ROOT: &[Field] = &[
    field("name", "The app's name: a DNS label, since the app is served at NAME.localhost."),
    field("workers", "The app's workers, by name."),
    field("routes", "Which worker or directory answers where. Their order plays no part."),
    field("upstreams", "The servers that routes pass requests on to, by name."),
    field("limits", "Limits on the app as a whole."),
    field("postgres", "PostgreSQL databases that the app uses, by name."),
    field("test", "How the app's own tests run: selvedge test."),
    field("env", "Overlays by environment: tables merge key by key, everything else replaces."),
    later("queues"),
    later("schedules"),
    later("streams"),
    later("topics"),
    later("workflows"),
    later("objects"),
    later("caches"),
    later("filters"),
];

pub(crate) static WORKER: &[Field] = &[
    field("entry", "The entry file, relative to this file: .js, .mjs, .ts, .mts, .jsx, .tsx, or a .wasm component."),
    field(
        "isolation",
        "\"shared\": one instance serves many requests (default for scripts). \"request\": a fresh instance for each \
         request (default, and the only choice, for components).",
    ),
    field(
        "warm",
        "The path of a GET request that a script answers once before its image is taken, so that the first real ones \
         find caches filled. It sees an empty env and can do no I/O.",
    ),
    field("vars", "Variables of the environment: text, or any value that JSON has."),
    field("bindings", "What the worker may use, by the name under which its code sees it."),
    field(
        "egress",
        "Where outbound requests may go: \"public\", a host, a URL without a path, or a network. Default [\"public\"]; \
         [] for nowhere.",
    ),
    field("limits", "Limits on the worker."),
    field("server_timing", "Answers carry a Server-Timing field with the phases of the request."),
];

pub(crate) static TEST: &[Field] = &[
    field("globals", "describe, test, expect and the others are global."),
    field("worker", "The worker whose bindings tests get, and which SELF calls."),
    field("limits", "Limits on tests."),
];

pub(crate) static POSTGRES: &[Field] = &[
    field(
        "url",
        "Where it is and who logs in: { secret = \"NAME\" }, a secret that holds postgres://user:password@host:5432/database.",
    ),
    field("tls", "\"verify\": the server proves its name with a certificate (default). \"off\": no TLS."),
    field("ca", "The authority that signed the server's certificate, as PEM text; no other is trusted then."),
    field("limits", "Limits on the database, for each node."),
];

/// The `url` of a database.
pub(crate) static POSTGRES_URL: &[Field] = &[field("secret", "The name of the secret that holds the URL.")];

pub(crate) static BINDING: &[Field] = &[
    field("kv", "The name of a KV namespace."),
    field("blob", "The name of a blob bucket."),
    field("sql", "The name of a SQL database, or \"NAME-*\" for a family of them, one for each key."),
    field("migrations", "With `sql`: the directory of its migrations, relative to this file: NNNN_name.sql."),
    field("secret", "The name of a secret, set with: selvedge secret put."),
    field(
        "previous",
        "With `secret`: true for the version before, which is there while the overlap of a rotation lasts.",
    ),
    field(
        "config",
        "The name of a configuration value, set with: selvedge config put. It changes without a deployment.",
    ),
    field("default", "With `config`: what the code finds while nothing is set; without it, nothing."),
    field("worker", "The name of a worker of this app; with `object`, the one that exports the class."),
    field("assets", "A directory of files, relative to this file."),
    field("postgres", "The name of a PostgreSQL database, which [postgres.NAME] describes."),
    field(
        "entrypoint",
        "With `worker`: the export that answers, a class that extends WorkerEntrypoint; without, the default one.",
    ),
    field("object", "The name of a class of durable objects, which the worker exports."),
    field("props", "With `worker`: what the worker finds in `ctx.props` when it is called over this binding."),
    later("queue"),
    later("stream"),
    later("topic"),
    later("workflow"),
];

pub(crate) static ROUTE: &[Field] = &[
    field("match", "Host (may be left out) and path: \"example.com/api/*\", \"*.example.com/*\", \"/users/:id\"."),
    field("worker", "The worker that answers; with `assets`, the one that answers where there is no file."),
    field("assets", "The directory whose files are served, relative to this file."),
    field("blob", "The bucket whose blobs are served to everybody, each under what the pattern's `*` stands for."),
    field(
        "not_found",
        "What a path without a file gets: \"none\" (a plain 404), \"single-page\" (/index.html) or \"404-page\" (the \
         nearest 404.html).",
    ),
    field(
        "html_handling",
        "Which address a page has: \"auto-trailing-slash\" (default: /about, /docs/), \"force-trailing-slash\", \
         \"drop-trailing-slash\", or \"none\" (files at their own paths only).",
    ),
    field("upstream", "The name of an upstream, whose servers answer."),
    field(
        "cache",
        "With `upstream`: false to store nothing; or a table that says for how long what says nothing itself is fresh.",
    ),
    field(
        "when",
        "What is asked beside the pattern: method, header, cookie, query, network, country. All of it must hold.",
    ),
    field("priority", "Among routes of one pattern, the greater comes first; 0 if left out."),
    field("split", "Parts of the requests go to other targets: A/B tests, canaries."),
    field("failover", "The target that answers where the route's own can't be reached or fails."),
    field("mirror", "A target that gets a copy of requests; its answers are compared and thrown away."),
    field("middleware", "Workers that requests pass on their way to the target, in this order."),
    field("rewrite", "The path and query that the target sees: \"/v2/{*}\", or a table."),
    field("request_headers", "What is done to the fields of requests: remove, set, append."),
    field("response_headers", "What is done to the fields of responses: remove, set, append."),
    field("redirect", "Where clients are sent: \"/new/{*}\", \"https://example.com/{*}\", or a table."),
    field("redirects", "A file of redirects, a source and a target on each line, that come before the target."),
    field("maintenance", "true: the route is closed with status 503; or a table with a page and whom it lets in."),
    field("timeout_ms", "How long the head of an answer may take."),
    field("max_body_bytes", "The largest body of a request."),
    later("filters"),
];

/// The fields of a route that say what it asks and does beside leading somewhere.
pub(crate) const ROUTE_RULES: [&str; 13] = [
    "when",
    "split",
    "failover",
    "mirror",
    "middleware",
    "rewrite",
    "request_headers",
    "response_headers",
    "redirect",
    "redirects",
    "maintenance",
    "timeout_ms",
    "max_body_bytes",
];

pub(crate) static WHEN: &[Field] = &[
    field("method", "A method or several."),
    field("header", "Fields by name, each with what is asked of it."),
    field("cookie", "Cookies by name, each with what is asked of it."),
    field("query", "Parameters of the query by name, each with what is asked of it."),
    field("network", "Networks or addresses of clients."),
    field("country", "Countries of clients, where the node has a database of them."),
];

pub(crate) static TEST_VALUE: &[Field] = &[field("prefix", "What the value begins with.")];

pub(crate) static SPLIT: &[Field] = &[
    field(
        "by",
        "What keeps a client on its side: \"cookie\" (default), \"client\", \"request\", { header = … }, { cookie = … }.",
    ),
    field("to", "The sides, each a target and its percent. What is left goes to the route's own target."),
];

pub(crate) static SPLIT_BY: &[Field] =
    &[field("header", "The field whose value decides."), field("cookie", "The app's cookie whose value decides.")];

const WORKER_SIDE: Field = field("worker", "The worker that answers.");
const ASSETS_SIDE: Field = field("assets", "The directory whose files answer.");
const BLOB_SIDE: Field = field("blob", "The bucket whose blobs answer.");
const UPSTREAM_SIDE: Field = field("upstream", "The upstream whose servers answer.");

pub(crate) static SIDE: &[Field] = &[
    WORKER_SIDE,
    ASSETS_SIDE,
    BLOB_SIDE,
    UPSTREAM_SIDE,
    field("percent", "The part of the requests, with two decimals at most."),
];

pub(crate) static FAILOVER: &[Field] = &[
    WORKER_SIDE,
    ASSETS_SIDE,
    BLOB_SIDE,
    UPSTREAM_SIDE,
    field("on_status", "Statuses that count as failure; 500, 502, 503 and 504 if left out."),
    field("page", "With `assets`: the one file that answers everything, such as \"/index.html\"."),
    field("status", "With `page`: the status of the answer; 503 if left out."),
    field("not_found", "With `assets`: what a path without a file gets, as of a route."),
];

pub(crate) static MIRROR: &[Field] = &[
    WORKER_SIDE,
    ASSETS_SIDE,
    BLOB_SIDE,
    UPSTREAM_SIDE,
    field("percent", "The part of the requests that is copied; all if left out."),
    field("changes", "true: requests that may change something are copied too, not only GET and HEAD."),
];

pub(crate) static MIDDLEWARE: &[Field] = &[
    field("worker", "The worker; what it fetches of the request's own origin goes to the next step."),
    field("position", "\"request\": in front of the cache (default). \"origin\": behind it."),
];

pub(crate) static REWRITE: &[Field] =
    &[field("path", "The path, with captures: \"/v2/{*}\"."), field("query", "What is done to the query.")];

pub(crate) static REWRITE_QUERY: &[Field] =
    &[field("set", "Parameters and their values."), field("remove", "Names of parameters.")];

pub(crate) static FIELD_RULES: &[Field] = &[
    field("remove", "Names of fields."),
    field("set", "Fields and their only values."),
    field("append", "Fields and values that are added."),
];

pub(crate) static REDIRECT: &[Field] = &[
    field("to", "A path, or a URL whose host is written out."),
    field("status", "301, 302 (default), 303, 307 or 308."),
    field("keep_query", "false: the query of the request is not added."),
];

pub(crate) static MAINTENANCE: &[Field] = &[
    field("on", "false: it is switched off."),
    field("page", "HTML that clients see."),
    field("retry_after_s", "Seconds after which clients are to come again."),
    field("allow", "Who is let in, as in `when`."),
];

pub(crate) static UPSTREAM: &[Field] = &[
    field(
        "targets",
        "Its servers: \"http://127.0.0.1:9000\", https://, h2c://, srv+http://SERVICE, unix:/PATH or h2c+unix:/PATH, or \
         tables with url and weight.",
    ),
    field(
        "balance",
        "Which of them gets a request: \"round_robin\" (default), \"least_requests\", \"two_choices\" (of two at \
         random the less loaded, by latency), \"ketama\" or \"maglev\" (equal keys to the same one).",
    ),
    field("hash", "The key of ketama and maglev: \"path\", \"client\", \"header:NAME\" or \"cookie:NAME\"."),
    field("sticky", "The name of a cookie that binds a client to the server that answered it first."),
    field("retry_on", "Statuses after which a request goes out again that may, such as [502, 503, 504]."),
    field("health", "How to ask a server whether it is well, again and again."),
    field("tls", "How servers prove who they are, and this node to them."),
    field("parent", "Another upstream: nodes whose caches are asked first, and these servers if they fail."),
    field("early_hints", "true: 103 Early Hints of the servers reach clients of HTTP/1.1 and HTTP/3."),
    field(
        "host",
        "Which host the servers are asked for: \"target\" (default: their own), \"client\" (the one that the client \
         named), or a name.",
    ),
    field("limits", "Limits on the upstream: times, retries, requests, connections."),
];

pub(crate) static UPSTREAM_TARGET: &[Field] = &[
    field("url", "Scheme, host and port: \"http://127.0.0.1:9000\"; or a socket: \"unix:/run/app.sock\"."),
    field("weight", "Its share of the requests, beside the others' weights: 1 to 1000, 1 by default."),
];

pub(crate) static UPSTREAM_HEALTH: &[Field] = &[
    field("path", "The path that is asked for, such as \"/healthz\"."),
    field("status", "The statuses of a server that is well; 200 to 299 by default."),
];

pub(crate) static UPSTREAM_TLS: &[Field] = &[
    field("ca", "The authorities that signed the servers' certificates, as PEM text; no other is trusted then."),
    field("server_name", "The name that the certificates are for, if it is not the host of the target."),
    field(
        "certificate",
        "The certificate that the node shows: { secret = \"NAME\" }, a secret that holds it and its key as PEM text.",
    ),
];

pub(crate) static ROUTE_CACHE: &[Field] = &[
    field(
        "default_ttl_s",
        "Seconds for which a response is fresh that does not say so itself; without it, a guess (RFC 9111, section 4.2.2).",
    ),
    field("negative_ttl_s", "The same for 404, 405, 410, 414 and 501; without it, default_ttl_s."),
    field(
        "query",
        "The parameters of the query that the key has and the origin gets; without it, all. A name may end in *.",
    ),
    field("query_except", "The parameters that the key has not and the origin does not get, such as \"utm_*\"."),
    field("sort_query", "Whether the order of parameters plays no part."),
    field("headers", "Header fields of requests that are part of the key."),
    field("cookies", "Cookies that are part of the key."),
    field("device", "Whether mobile, tablet, desktop and bot have responses of their own."),
    field("compress", "Whether responses are compressed for those who accept it."),
];

/// Where a field belongs that people write in the wrong table.
pub(crate) fn misplaced(name: &str, here: &[Field]) -> Option<&'static str> {
    let at_root = std::ptr::eq(here, ROOT);
    Some(match name {
        "bindings" if at_root => "bindings belong to a worker: [workers.NAME.bindings]",
        "vars" if at_root => "variables belong to a worker: [workers.NAME] vars = { … }",
        "entry" | "main" if at_root => "the entry file belongs to a worker: [workers.NAME] entry = \"…\"",
        "egress" | "isolation" | "server_timing" | "warm" if at_root => "this belongs to a worker: [workers.NAME]",
        "assets" if at_root => "files are served by a route: [[routes]] match = \"/*\" assets = \"public\"",
        "route" if at_root => "did you mean `routes`? Each route is a table of its own: [[routes]]",
        "worker" if at_root => "did you mean `workers`? Each worker has a name: [workers.NAME]",
        "main" => "did you mean `entry`?",
        "host" | "path" | "pattern" if std::ptr::eq(here, ROUTE) => {
            "host and path are one pattern: match = \"example.com/api/*\""
        }
        _ => return None,
    })
}
