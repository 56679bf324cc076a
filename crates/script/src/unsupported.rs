//! Modules of other platforms that this version does not have, by name.

/// One module that code written for other platforms imports.
pub(crate) struct Row {
    pub name: &'static str,
    /// What there is instead; empty if there is nothing.
    pub instead: &'static str,
}

const fn row(name: &'static str, instead: &'static str) -> Row {
    Row { name, instead }
}

/// Modules of Node.js, without the `node:` in front. They are also imported without it.
static NODE: &[Row] = &[
    row("assert", "throw an Error"),
    row("async_hooks", ""),
    row("buffer", "use Uint8Array, TextEncoder, TextDecoder, atob and btoa"),
    row("child_process", ""),
    row("cluster", ""),
    row("console", "use the global console"),
    row("constants", ""),
    row("crypto", "use the global crypto"),
    row("dgram", ""),
    row("diagnostics_channel", ""),
    row("dns", "use fetch"),
    row("domain", ""),
    row("events", "use EventTarget"),
    row("fs", "import the file (.txt, .json, .bin), or keep it in a binding"),
    row("http", "use fetch"),
    row("http2", "use fetch"),
    row("https", "use fetch"),
    row("inspector", ""),
    row("module", ""),
    row("net", "use fetch"),
    row("os", ""),
    row("path", "use URL"),
    row("perf_hooks", "use the global performance"),
    row("process", "use the env argument of the handler"),
    row("punycode", "use URL"),
    row("querystring", "use URLSearchParams"),
    row("readline", ""),
    row("repl", ""),
    row("sea", ""),
    row("sqlite", "use a binding"),
    row("stream", "use ReadableStream"),
    row("string_decoder", "use TextDecoder"),
    row("sys", ""),
    row("test", ""),
    row("timers", "use the global setTimeout"),
    row("tls", "use fetch"),
    row("trace_events", ""),
    row("tty", ""),
    row("url", "use URL"),
    row("util", ""),
    row("v8", ""),
    row("vm", ""),
    row("wasi", ""),
    row("worker_threads", ""),
    row("zlib", ""),
];

static CLOUDFLARE: &[Row] =
    &[row("email", ""), row("node", ""), row("sockets", "use fetch"), row("test", ""), row("workflows", "")];

/// A specifier that no file can satisfy: what it is called, and what to do.
pub(crate) struct Unsupported {
    pub message: String,
    pub help: Option<String>,
}

/// Recognises specifiers with a scheme: `node:fs`, `cloudflare:workers`, `https://…`.
pub(crate) fn by_scheme(specifier: &str) -> Option<Unsupported> {
    let (scheme, rest) = specifier.split_once(':')?;
    match scheme {
        "node" => Some(by_table("node:", rest, NODE)),
        "cloudflare" => Some(by_table("cloudflare:", rest, CLOUDFLARE)),
        "http" | "https" => Some(Unsupported {
            message: format!("importing from a URL is not supported: {specifier}"),
            help: Some("install the package, or copy the file into the app".into()),
        }),
        "data" | "blob" | "file" => Some(Unsupported {
            message: format!("importing from a {scheme}: URL is not supported"),
            help: Some("write a path that starts with ./".into()),
        }),
        "npm" | "jsr" => Some(Unsupported {
            message: format!("{scheme}: specifiers are not supported: {specifier}"),
            help: Some("install the package and import it by its name".into()),
        }),
        "bun" | "deno" | "workerd" | "ext" => {
            Some(Unsupported { message: format!("{specifier} belongs to another runtime"), help: None })
        }
        _ => None,
    }
}

/// Recognises a module of Node.js that is imported by its bare name, with or without a subpath.
pub(crate) fn by_bare_name(specifier: &str) -> Option<Unsupported> {
    let first = specifier.split('/').next().unwrap_or(specifier);
    NODE.iter().any(|r| r.name == first).then(|| by_table("node:", specifier, NODE))
}

fn by_table(prefix: &str, rest: &str, table: &[Row]) -> Unsupported {
    let first = rest.split('/').next().unwrap_or(rest);
    if let Some(row) = table.iter().find(|r| r.name == first) {
        let help = (!row.instead.is_empty()).then(|| row.instead.to_string());
        return Unsupported { message: format!("{prefix}{rest} is not supported by this version yet"), help };
    }
    let near = table.iter().map(|r| (strsim::damerau_levenshtein(r.name, first), r.name)).min();
    let help = near.filter(|&(d, _)| d <= 2).map(|(_, name)| format!("did you mean \"{prefix}{name}\"?"));
    Unsupported { message: format!("there is no module {prefix}{rest}"), help }
}
