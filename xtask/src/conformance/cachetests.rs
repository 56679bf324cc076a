//! `conformance/cache-tests`: the public tests of HTTP caches (http-tests/cache-tests), with Selvedge
//! between their client and their origin.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::Options;
use super::expected::{Expected, Outcome};
use super::server::{self, Server};
use crate::repo::{self, Repo};

const SUITE: &str = "conformance/cache-tests";
/// A checkout of the tests, with its packages.
const CHECKOUT: &str = "SELVEDGE_CACHE_TESTS";
/// The tests that count, and how many must pass at least.
const BARS: [(&str, usize); 2] = [("required", 150), ("optimal", 85)];
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// Prints each test's name and kind.
const LIST: &str = "import suites from './tests/index.mjs'; \
    console.log(JSON.stringify(suites.flatMap((suite) => suite.tests.map((test) => \
    [test.id, test.browser_only ? 'browser' : test.kind ?? 'required']))));";

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    ensure!(options.only.is_empty(), "the caching tests run as a whole: --only is not for them");
    let checkout = std::env::var_os(CHECKOUT).map(PathBuf::from);
    let advice =
        || format!("{CHECKOUT} names no checkout of http-tests/cache-tests; {SUITE}/README.md says how to get one");
    let checkout = checkout.filter(|checkout| checkout.join("node_modules/undici").is_dir()).with_context(advice)?;
    let text = fs::read_to_string(repo.path(SUITE).join("expected.toml")).context("reading expected.toml")?;
    let expected = Expected::parse(&text)?;
    let kinds = kinds(&checkout)?;
    let results = results(&server::program(repo)?, &checkout)?;
    let (mut wrong, mut short) = (0, Vec::new());
    let mut counted = serde_json::Map::new();
    for (kind, bar) in BARS {
        let outcomes = outcomes(&kinds, &results, kind);
        let passed = outcomes.iter().filter(|outcome| outcome.difference.is_none()).count();
        for complaint in expected.judge(kind, &outcomes) {
            eprintln!("  {kind}: {complaint}");
            wrong += 1;
        }
        if passed < bar {
            short.push(format!("{passed} {kind} tests passed, {bar} must"));
        }
        if !options.json {
            println!("{kind}: {passed} of {}", outcomes.len());
        }
        counted.insert(kind.to_owned(), serde_json::json!({ "passed": passed, "total": outcomes.len() }));
    }
    if options.json {
        println!("{}", Value::Object(counted));
    }
    ensure!(short.is_empty(), "{}", short.join("; "));
    match wrong {
        0 => Ok(()),
        count => bail!("{count} tests are not as {SUITE}/expected.toml has them"),
    }
}

/// Each test that is not for browsers, and what kind it is.
fn kinds(checkout: &Path) -> Result<BTreeMap<String, String>> {
    let mut node = Command::new("node");
    let printed = repo::output(node.args(["--input-type=module", "-e", LIST]).current_dir(checkout))?;
    let pairs: Vec<(String, String)> = serde_json::from_str(&printed).context("the list of tests")?;
    Ok(pairs.into_iter().collect())
}

/// What the suite's client found, by test: `true`, or why not.
fn results(program: &Path, checkout: &Path) -> Result<Value> {
    let folder = std::env::temp_dir().join(format!("selvedge-cache-tests-{}", std::process::id()));
    let app = folder.join("app");
    fs::create_dir_all(&app).with_context(|| format!("creating {}", app.display()))?;
    let origin = Origin::start(checkout, &folder)?;
    let manifest = format!(
        "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://127.0.0.1:{}\"]\nearly_hints = true\n\
         [[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n",
        origin.port
    );
    fs::write(app.join("selvedge.toml"), manifest).context("writing a manifest")?;
    let server = Server::start(program, &folder.join("data"), &app, &[])?;
    let mut client = suite(checkout, "test-engine/cli.mjs");
    client.env("npm_config_base", format!("http://{}", server.address)).env("npm_package_config_id", "");
    let printed = repo::output(&mut client);
    let complaint = server.stop();
    drop(origin);
    let _ = fs::remove_dir_all(&folder);
    let printed = printed.with_context(|| format!("the client of the tests; selvedge said:\n{complaint}"))?;
    serde_json::from_str(&printed).context("the results of the tests")
}

fn outcomes(kinds: &BTreeMap<String, String>, results: &Value, kind: &str) -> Vec<Outcome> {
    let of_kind = kinds.iter().filter(|(_, found)| *found == kind);
    of_kind
        .map(|(test, _)| {
            let difference = match &results[test.as_str()] {
                Value::Bool(true) => None,
                Value::Null => Some("it did not run".to_owned()),
                failure => Some(failure.to_string()),
            };
            Outcome { request: test.clone(), difference }
        })
        .collect()
}

fn suite(checkout: &Path, program: &str) -> Command {
    let mut command = Command::new("node");
    command.args(["--no-warnings", program]).current_dir(checkout);
    command
}

/// The origin of the tests; ended when dropped.
struct Origin {
    child: Child,
    port: u16,
}

impl Origin {
    fn start(checkout: &Path, folder: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?.local_addr()?.port();
        let mut command = suite(checkout, "test-engine/server/server.mjs");
        command.env("npm_config_protocol", "http").env("npm_config_port", port.to_string());
        command.env("npm_config_pidfile", folder.join("origin.pid"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let origin = Self { child: command.spawn().context("starting the origin of the tests")?, port };
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(began.elapsed() < STARTS_WITHIN, "the origin of the tests does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(origin)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
