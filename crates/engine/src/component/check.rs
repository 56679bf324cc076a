//! What a file must be to run as a component, and what is said of one that is not.

use base::code;
use wasmtime::component::Component;
use worker::Failure;

/// What a component must export, without its version.
const HANDLER: &str = "wasi:http/incoming-handler";

/// Packages whose every interface of version 0.2 is there.
const GRANTED: [&str; 7] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:io", "wasi:random", "wasi:sockets"];

/// Interfaces of a package that is a draft, and there in one version only.
const KEYVALUE: [&str; 3] = ["wasi:keyvalue/store", "wasi:keyvalue/atomics", "wasi:keyvalue/batch"];

const BLOBSTORE: [&str; 3] = ["wasi:blobstore/blobstore", "wasi:blobstore/container", "wasi:blobstore/types"];
const SQL: &str = "selvedge:sql/database";

/// Looks at the first bytes: what is no component at all needs no compiler.
pub fn shape(bytes: &[u8]) -> Result<(), Failure> {
    let Some(rest) = bytes.strip_prefix(b"\0asm") else {
        let text = bytes.trim_ascii_start();
        let what = if bytes.is_empty() {
            "the file is empty"
        } else if text.starts_with(b"(component") || text.starts_with(b"(module") {
            "the file is WebAssembly text"
        } else {
            "the file is not WebAssembly: it does not begin with \\0asm"
        };
        return Err(bad(format!("{what}; give the .wasm file of a component, as its toolchain wrote it")));
    };
    match rest.get(..4) {
        Some([_, _, 1, 0]) => Ok(()),
        Some([1, 0, 0, 0]) => {
            Err(bad("the file is a core module, not a component; build it for wasm32-wasip2, or wrap it with \
             `wasm-tools component new`"))
        }
        Some(version) => Err(bad(format!("the file has the unknown WebAssembly version {version:02x?}"))),
        None => Err(bad("the file ends within its first eight bytes; copy or build it again")),
    }
}

/// The compiler refused the file.
pub fn invalid(error: &wasmtime::Error) -> Failure {
    let text = format!("{error:#}");
    // wasmtime does not tell the two apart, so its words have to.
    if text.contains("unexpected end") || text.contains("out of bounds (bound") {
        return bad(format!("the component is cut short: {text}; copy or build it again"));
    }
    bad(format!("the component is not valid: {text}; build it again with a current toolchain"))
}

/// Compares what the component imports and exports with what there is and what is wanted.
pub fn world(component: &Component) -> Result<(), Failure> {
    let ty = component.component_type();
    let engine = component.engine();
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    if !exports.iter().any(|name| is_version_02(name, HANDLER)) {
        return Err(bad(wrong_world(&exports)));
    }
    let refused: Vec<String> = ty
        .imports(engine)
        .map(|(name, _)| name)
        .filter(|name| !is_granted(name))
        .map(|name| format!("`{name}`"))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(bad(format!(
        "the component imports {}, which a worker is not granted; it may import wasi:http, wasi:config/store@{}, \
         wasi:keyvalue@{}, wasi:blobstore@{}, selvedge:sql@{}, wasi:cli, wasi:clocks, wasi:io and wasi:random",
        refused.join(", "),
        super::config::VERSION,
        super::keyvalue::VERSION,
        super::blobstore::VERSION,
        super::sql::VERSION,
    )))
}

fn wrong_world(exports: &[String]) -> String {
    let listed: Vec<String> = exports.iter().map(|name| format!("`{name}`")).collect();
    let found = if listed.is_empty() { "nothing".to_owned() } else { listed.join(", ") };
    let hint = if exports.iter().any(|name| name.starts_with(HANDLER) || name.starts_with("wasi:http/handler")) {
        "this version of wasi:http is not supported"
    } else if exports.iter().any(|name| name.starts_with("wasi:cli/run")) {
        "this is a command-line program; handle requests in an incoming handler"
    } else {
        "build it for the wasi:http/proxy world"
    };
    format!("the component exports {found}; a worker must export `{HANDLER}@0.2.x`: {hint}")
}

fn is_granted(import: &str) -> bool {
    if import == format!("wasi:config/store@{}", super::config::VERSION) {
        return true;
    }
    let Some((interface, version)) = import.split_once('@') else { return false };
    if KEYVALUE.contains(&interface) {
        return version == super::keyvalue::VERSION;
    }
    if BLOBSTORE.contains(&interface) {
        return version == super::blobstore::VERSION;
    }
    if interface == SQL {
        return version == super::sql::VERSION;
    }
    let package = interface.split_once('/').map_or(interface, |(package, _)| package);
    GRANTED.contains(&package) && is_version_02(import, interface)
}

/// Is this name `interface` in a released version 0.2?
fn is_version_02(name: &str, interface: &str) -> bool {
    let patch = name.strip_prefix(interface).and_then(|rest| rest.strip_prefix("@0.2."));
    patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

fn bad(detail: impl Into<String>) -> Failure {
    Failure::new(&code::BAD_COMPONENT, detail)
}

#[cfg(test)]
mod tests;
