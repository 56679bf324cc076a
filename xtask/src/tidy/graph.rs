//! Which crate may depend on which. [`LAYERS`] is the house of ARCHITECTURE.md as a table: a new
//! edge is a decision, and is made here, in a commit of its own. [`HEAVY`] gives every dependency
//! that is dear to compile, or that must not spread, its owners.

#[cfg(test)]
mod tests;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Finding;

/// Our crates from the top floor down, by the names the code uses for them.
const LAYERS: &[Layer] = &[
    Layer {
        name: "selvedge",
        floor: Floor::At(5),
        uses: &[
            "edge",
            "control",
            "dispatch",
            "engine",
            "worker",
            "services-local",
            "services-cluster",
            "s3",
            "services",
            "cache",
            "manifest",
            "script",
            "control-api",
            "telemetry",
            "net",
        ],
    },
    Layer {
        name: "edge",
        floor: Floor::At(4),
        uses: &["net", "cache", "upstream", "dispatch", "worker", "services", "manifest", "telemetry"],
    },
    Layer {
        name: "control",
        floor: Floor::At(4),
        uses: &["control-api", "manifest", "script", "services", "dispatch", "telemetry"],
    },
    Layer { name: "dispatch", floor: Floor::At(3), uses: &["worker", "services", "manifest", "telemetry"] },
    // The engine fills the record of an invocation, whose types are telemetry's.
    Layer { name: "engine", floor: Floor::At(3), uses: &["worker", "services", "telemetry"] },
    Layer { name: "worker", floor: Floor::At(2), uses: &["services", "cache", "manifest", "telemetry"] },
    Layer { name: "services-local", floor: Floor::At(2), uses: &["services", "cache"] },
    Layer { name: "services-cluster", floor: Floor::At(2), uses: &["services"] },
    Layer { name: "s3", floor: Floor::At(2), uses: &["services"] },
    Layer { name: "services", floor: Floor::At(1), uses: &[] },
    Layer { name: "manifest", floor: Floor::At(1), uses: &[] },
    Layer { name: "script", floor: Floor::At(1), uses: &[] },
    Layer { name: "control-api", floor: Floor::At(1), uses: &[] },
    Layer { name: "telemetry", floor: Floor::At(1), uses: &[] },
    Layer { name: "net", floor: Floor::At(1), uses: &[] },
    Layer { name: "cache", floor: Floor::At(1), uses: &[] },
    Layer { name: "upstream", floor: Floor::At(1), uses: &[] },
    Layer { name: "base", floor: Floor::At(0), uses: &[] },
    Layer { name: "testkit", floor: Floor::Side, uses: &[] },
    Layer { name: "xtask", floor: Floor::Side, uses: &[] },
];

/// Who may depend directly on what. A name that ends in `*` stands for all that begin like it.
const HEAVY: &[Heavy] = &[
    Heavy::of("wasmtime*", &["engine"]),
    Heavy::of("cranelift*", &["engine"]),
    Heavy::of("wasm-encoder", &["engine"]),
    Heavy::of("wasmparser", &["engine"]),
    Heavy::of("icu_*", &["engine"]),
    Heavy::of("jiff*", &["engine"]),
    Heavy::of("rusqlite", &["services-local"]),
    Heavy::of("libsqlite3-sys", &["services-local"]),
    Heavy::of("postgres*", &["services-cluster"]),
    Heavy::of("fallible-iterator", &["services-cluster"]),
    Heavy::of("rustls*", &["net"]),
    Heavy::of("rcgen", &["net"]).or_tests(),
    Heavy::of("tokio-rustls", &["net"]),
    Heavy::of("tokio-tungstenite", &["net"]),
    Heavy::of("quinn*", &["net"]),
    Heavy::of("h2", &["net"]).or_tests(),
    Heavy::of("h3*", &["net"]),
    Heavy::of("instant-acme", &["net"]),
    Heavy::of("socket2", &["net"]),
    Heavy::of("aws-lc-rs", &["net", "engine", "services-local", "s3"]),
    // What aws-lc-rs leaves out of Web Cryptography.
    Heavy::of("aes*", &["engine"]),
    // And what rustls does not tell of a certificate.
    Heavy::of("der", &["engine", "net"]),
    Heavy::of("md-5", &["engine", "services"]),
    Heavy::of("pkcs1", &["engine"]),
    Heavy::of("pkcs8", &["engine"]),
    Heavy::of("rsa", &["engine"]),
    Heavy::of("sec1", &["engine"]),
    Heavy::of("sha1", &["engine", "services"]),
    Heavy::of("spki", &["engine"]),
    Heavy::of("hyper", &["net", "control-api"]).or_tests(),
    Heavy::of("hyper-util", &["net", "control-api"]).or_tests(),
    Heavy::of("roxmltree", &["s3"]),
    Heavy::of("crc", &["services", "services-local"]),
    Heavy::of("moka", &["cache"]),
    Heavy::of("lol_html", &["engine"]),
    Heavy::of("brotli", &["engine", "edge"]),
    Heavy::of("zstd", &["edge"]),
    Heavy::of("oxc*", &["script"]),
    Heavy::of("axum", &["control"]),
    Heavy::of("clap", &["selvedge"]),
    Heavy::of("maxminddb", &["selvedge"]),
    Heavy::of("notify", &["selvedge"]),
    Heavy::of("miette", &["manifest", "selvedge"]),
    Heavy::of("toml_edit", &["manifest", "selvedge"]),
    Heavy::of("jsonc-parser", &["manifest"]),
    Heavy::of("tracing-subscriber", &["telemetry", "selvedge"]),
    Heavy::of("metrics-exporter-prometheus", &["telemetry"]),
    Heavy::of("anyhow", &["selvedge", "xtask"]),
    // What the project does without, whoever asks.
    Heavy::of("openssl*", &[]),
    Heavy::of("native-tls", &[]),
    Heavy::of("ring", &[]),
    Heavy::of("reqwest", &[]),
    Heavy::of("async-trait", &[]),
    Heavy::of("lazy_static", &[]),
    Heavy::of("once_cell", &[]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    /// Beside the house: for tests and chores, never for the product.
    Side,
    At(u8),
}

#[derive(Debug)]
struct Layer {
    name: &'static str,
    floor: Floor,
    /// The crates it may use, `base` apart, which everyone may.
    uses: &'static [&'static str],
}

#[derive(Debug)]
struct Heavy {
    package: &'static str,
    owners: &'static [&'static str],
    /// Everyone's tests may use it too.
    tests: bool,
}

impl Heavy {
    const fn of(package: &'static str, owners: &'static [&'static str]) -> Self {
        Self { package, owners, tests: false }
    }

    const fn or_tests(self) -> Self {
        Self { tests: true, ..self }
    }

    fn names(&self, package: &str) -> bool {
        match self.package.strip_suffix('*') {
            Some(start) => package.starts_with(start),
            None => package == self.package,
        }
    }
}

/// One package of the workspace, as far as the rules ask.
#[derive(Debug, Clone)]
pub struct Crate {
    /// Without `selvedge-`.
    pub name: String,
    /// From the root, with `/` between the parts.
    pub folder: String,
    pub uses: Vec<Use>,
}

#[derive(Debug, Clone)]
pub struct Use {
    package: String,
    /// A path dependency: one of ours.
    ours: bool,
    dev: bool,
}

impl Crate {
    pub fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }
}

/// Reads what `cargo metadata --no-deps` printed.
pub fn crates(metadata: &Value) -> Result<Vec<Crate>> {
    let root = metadata["workspace_root"].as_str().context("cargo metadata names no workspace_root")?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    packages
        .iter()
        .map(|package| crate_of(package, root).context("cargo metadata has a package without a name"))
        .collect()
}

fn crate_of(package: &Value, root: &str) -> Option<Crate> {
    let manifest = package["manifest_path"].as_str()?;
    let folder = manifest.strip_suffix("/Cargo.toml")?.strip_prefix(root)?.trim_start_matches('/');
    let uses = package["dependencies"].as_array()?.iter().filter_map(|dependency| {
        Some(Use {
            package: dependency["name"].as_str()?.to_owned(),
            ours: dependency["path"].is_string(),
            dev: dependency["kind"] == "dev",
        })
    });
    Some(Crate { name: short(package["name"].as_str()?).to_owned(), folder: folder.to_owned(), uses: uses.collect() })
}

fn short(package: &str) -> &str {
    package.strip_prefix("selvedge-").unwrap_or(package)
}

/// Holds the workspace against both tables.
pub fn check(crates: &[Crate]) -> Vec<Finding> {
    let mut findings = check_table(LAYERS);
    for layer in LAYERS.iter().filter(|layer| !crates.iter().any(|one| one.name == layer.name)) {
        findings
            .push(table_finding(format!("LAYERS has `{}`, which the workspace has not: remove its row", layer.name)));
    }
    for one in crates {
        findings.extend(check_edges(one, LAYERS));
        findings.extend(check_heavy(one, HEAVY));
    }
    findings
}

/// The table itself must describe floors: every edge goes down.
fn check_table(layers: &[Layer]) -> Vec<Finding> {
    let upward = layers.iter().flat_map(|layer| {
        layer.uses.iter().filter_map(move |used| match layers.iter().find(|one| one.name == *used) {
            Some(below) if below.floor < layer.floor && below.floor != Floor::Side => None,
            Some(_) => Some(format!("LAYERS lets `{}` use `{used}`, which is not on a lower floor", layer.name)),
            None => Some(format!("LAYERS lets `{}` use `{used}`, which has no row of its own", layer.name)),
        })
    });
    upward.map(table_finding).collect()
}

fn table_finding(message: String) -> Finding {
    Finding::new("xtask/src/tidy/graph.rs", 0, message)
}

fn check_edges(one: &Crate, layers: &[Layer]) -> Vec<Finding> {
    let finding = |message: String| Finding::new(&one.manifest(), 0, message);
    let Some(layer) = layers.iter().find(|layer| layer.name == one.name) else {
        let advice = "say on which floor it stands in LAYERS (xtask/src/tidy/graph.rs)";
        return vec![finding(format!("`{}` is new to the house: {advice}", one.name))];
    };
    let ours = one.uses.iter().filter(|used| used.ours);
    ours.filter_map(|used| forbidden_edge(layer, short(&used.package), used.dev, layers)).map(finding).collect()
}

fn forbidden_edge(layer: &Layer, used: &str, dev: bool, layers: &[Layer]) -> Option<String> {
    let below = layers.iter().find(|one| one.name == used)?;
    let name = layer.name;
    if dev {
        // Tests may use testkit, the crate itself with other features, and what stands beside it.
        let allowed = below.floor <= layer.floor && used != "xtask";
        return (!allowed).then(|| {
            format!("the tests of `{name}` use `{used}` from a higher floor: move the test up to `{used}`, or the thing down")
        });
    }
    if used == "base" || layer.uses.contains(&used) {
        return None;
    }
    Some(match below.floor {
        Floor::Side => format!("`{name}` uses `{used}`, which is for tests only: make it a dev-dependency"),
        floor if floor < layer.floor => format!(
            "`{name}` uses `{used}`, an edge that LAYERS does not name: take a path that exists ({}), or make the \
             edge a decision in xtask/src/tidy/graph.rs, in a commit of its own",
            named(layer.uses)
        ),
        _ => format!(
            "`{name}` uses `{used}`, which is not on a lower floor: declare what is needed as a trait lower down, and \
             let `{used}` implement it"
        ),
    })
}

fn named(uses: &[&str]) -> String {
    if uses.is_empty() { "base".to_owned() } else { format!("base, {}", uses.join(", ")) }
}

fn check_heavy(one: &Crate, heavy: &[Heavy]) -> Vec<Finding> {
    let strangers = one.uses.iter().filter(|used| !used.ours).filter_map(|used| {
        let row = heavy.iter().find(|row| row.names(&used.package))?;
        let allowed = row.owners.contains(&one.name.as_str()) || (used.dev && row.tests);
        (!allowed).then_some((used, row))
    });
    let findings = strangers.map(|(used, row)| {
        let advice = match row.owners {
            [] => "the project does without it (HEAVY in xtask/src/tidy/graph.rs)".to_owned(),
            owners => format!("only {} may: ask that crate, or give it what you need", owners.join(", ")),
        };
        Finding::new(&one.manifest(), 0, format!("`{}` depends on `{}`: {advice}", one.name, used.package))
    });
    findings.collect()
}
