//! Modules of other platforms that this version does not have, by name.

use base::builtin;

/// One module that code written for other platforms imports.
pub(crate) struct Row {
    pub name: &'static str,
    /// What there is instead; empty if there is nothing.
    pub instead: &'static str,
}

const fn row(name: &'static str, instead: &'static str) -> Row {
    Row { name, instead }
}

/// Modules of Node.js that the platform has not, without the `node:` in front. They are also
/// imported without it.
static NODE: &[Row] = &[
    row("domain", "use AsyncLocalStorage"),
    row("repl", ""),
    row("sea", ""),
    row("sqlite", "use a binding"),
    row("test", ""),
];

static CLOUDFLARE: &[Row] = &[row("email", ""), row("node", ""), row("sockets", "use fetch"), row("workflows", "")];

/// What a worker gets that imports what only tests may.
const FOR_TESTS: &str = "put the code into a file like name.test.ts, and run it with: selvedge test";

/// A specifier that no file can satisfy: what it is called, and what to do.
pub(crate) struct Unsupported {
    pub message: String,
    pub help: Option<String>,
}

/// Recognises specifiers with a scheme: `node:fs`, `cloudflare:workers`, `https://…`.
pub(crate) fn by_scheme(specifier: &str) -> Option<Unsupported> {
    let (scheme, rest) = specifier.split_once(':')?;
    if builtin::TEST_MODULES.contains(&specifier) {
        let message = format!("{specifier} is for files of tests, and this is none");
        return Some(Unsupported { message, help: Some(FOR_TESTS.into()) });
    }
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
    let known = NODE.iter().any(|r| r.name == first) || builtin::is_module(&format!("node:{first}"));
    known.then(|| by_table("node:", specifier, NODE))
}

fn by_table(prefix: &str, rest: &str, table: &[Row]) -> Unsupported {
    let first = rest.split('/').next().unwrap_or(rest);
    if let Some(row) = table.iter().find(|r| r.name == first) {
        let help = (!row.instead.is_empty()).then(|| row.instead.to_string());
        return Unsupported { message: format!("{prefix}{rest} is not supported by this version yet"), help };
    }
    let there = builtin::MODULES.iter().filter_map(|name| name.strip_prefix(prefix));
    let near = there.map(|name| (strsim::damerau_levenshtein(name, rest), name)).min();
    let help = near.filter(|&(d, _)| d <= 2).map(|(_, name)| format!("did you mean \"{prefix}{name}\"?"));
    Unsupported { message: format!("there is no module {prefix}{rest}"), help }
}
