//! `conformance/autobahn`: the Autobahn test suite of WebSockets, with Selvedge between its client and
//! its echo server, as an upstream.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::Options;
use super::expected::{Expected, Outcome};
use super::server::{self, Server};
use crate::repo::{self, Repo};

const SUITE: &str = "conformance/autobahn";
/// Where the suite's packages are.
const PACKAGES: &str = "SELVEDGE_AUTOBAHN";
/// The interpreter that runs them.
const PYTHON: &str = "SELVEDGE_PYTHON2";
const APP: &str = "proxy";
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// What the suite says of a case that did not fail. Whether a socket was closed in time, which it looks at
/// besides, says more about the machine.
const WELL: [&str; 6] = ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "UNCLEAN", "FAILED BY CLIENT"];

/// Some of its packages are found only through the files that the installer left beside them.
const START: &str = "import site, sys; folder = sys.argv.pop(1); sys.path.insert(0, folder); \
    site.addsitedir(folder); from autobahntestsuite.wstest import run; run()";

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let packages = std::env::var_os(PACKAGES).map(PathBuf::from);
    let advice = || format!("{PACKAGES} names no folder with the suite; {SUITE}/README.md says how to get it");
    let packages = packages.filter(|folder| folder.join("autobahntestsuite").is_dir()).with_context(advice)?;
    let text = fs::read_to_string(repo.path(SUITE).join("expected.toml")).context("reading expected.toml")?;
    let expected = Expected::parse(&text)?;
    let outcomes = outcomes(&report(&server::program(repo)?, &packages, &options.only)?)?;
    let passed = outcomes.iter().filter(|outcome| outcome.difference.is_none()).count();
    if options.json {
        println!("{}", json!({ "cases": outcomes.len(), "passed": passed }));
    } else {
        println!("autobahn: {passed} of {} cases passed or are not for a server without extensions", outcomes.len());
    }
    // A part of the suite says nothing about the rest of the record.
    let wrong = if options.only.is_empty() { expected.judge(APP, &outcomes) } else { failures(&expected, &outcomes) };
    wrong.iter().for_each(|complaint| eprintln!("  {complaint}"));
    match wrong.len() {
        0 => Ok(()),
        count => bail!("{count} cases are not as {SUITE}/expected.toml has them"),
    }
}

fn failures(expected: &Expected, outcomes: &[Outcome]) -> Vec<String> {
    let failed = outcomes.iter().filter(|outcome| !expected.is_known(APP, &outcome.request));
    failed.filter_map(|outcome| Some(format!("{}: {}", outcome.request, outcome.difference.as_ref()?))).collect()
}

/// Runs the cases; the answer is the suite's own report.
fn report(program: &Path, packages: &Path, only: &[String]) -> Result<Value> {
    let folder = std::env::temp_dir().join(format!("selvedge-autobahn-{}", std::process::id()));
    let app = folder.join("app");
    fs::create_dir_all(&app).with_context(|| format!("creating {}", app.display()))?;
    let echo = Echo::start(packages)?;
    let manifest = format!(
        "name = \"edge\"\n[upstreams.echo]\ntargets = [\"http://127.0.0.1:{}\"]\n\
         [[routes]]\nmatch = \"/*\"\nupstream = \"echo\"\n",
        echo.port
    );
    fs::write(app.join("selvedge.toml"), manifest).context("writing a manifest")?;
    let server = Server::start(program, &folder.join("data"), &app, &[])?;
    let cases = if only.is_empty() { vec!["*".to_owned()] } else { only.to_vec() };
    let spec = json!({
        "outdir": folder.join("report"),
        "servers": [{ "agent": APP, "url": format!("ws://{}", server.address) }],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    });
    let file = folder.join("spec.json");
    fs::write(&file, spec.to_string()).context("writing the suite's settings")?;
    let ran = repo::output(suite(packages).args(["-m", "fuzzingclient", "-s"]).arg(&file));
    let complaint = server.stop();
    drop(echo);
    let text = fs::read_to_string(folder.join("report/index.json"));
    let _ = fs::remove_dir_all(&folder);
    ran.with_context(|| format!("the suite's client; selvedge said:\n{complaint}"))?;
    serde_json::from_str(&text.context("the suite wrote no report")?).context("the suite's report")
}

fn outcomes(report: &Value) -> Result<Vec<Outcome>> {
    let cases = report[APP].as_object().context("the report has no cases")?;
    ensure!(!cases.is_empty(), "the report has no cases");
    let outcome = |(case, found): (&String, &Value)| {
        let failed = ["behavior", "behaviorClose"].into_iter().find_map(|what| {
            let said = found[what].as_str().unwrap_or("nothing");
            let is_well = WELL.contains(&said);
            (!is_well).then(|| format!("{what}: {said}"))
        });
        Outcome { request: case.clone(), difference: failed }
    };
    Ok(cases.iter().map(outcome).collect())
}

fn suite(packages: &Path) -> Command {
    let python = std::env::var_os(PYTHON).unwrap_or_else(|| "python2.7".into());
    let mut command = Command::new(python);
    command.args(["-c", START]).arg(packages);
    command
}

/// The suite's echo server; ended when dropped.
struct Echo {
    child: Child,
    port: u16,
}

impl Echo {
    fn start(packages: &Path) -> Result<Self> {
        // Free a moment ago, which is all that can be said of a port that another process takes.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = suite(packages);
        command.args(["-m", "echoserver", "-u", "0", "-w", &format!("ws://127.0.0.1:{port}")]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let echo = Self { child: child.context("starting the suite's echo server")?, port };
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(started.elapsed() < STARTS_WITHIN, "the suite's echo server does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(echo)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_told_from_what_is_not_there() {
        let report = json!({ "proxy": {
            "1.1.1": { "behavior": "OK", "behaviorClose": "OK" },
            "6.4.1": { "behavior": "NON-STRICT", "behaviorClose": "OK" },
            "9.1.6": { "behavior": "FAILED", "behaviorClose": "OK" },
            "12.1.1": { "behavior": "UNIMPLEMENTED", "behaviorClose": "OK" },
            "7.1.1": { "behavior": "OK", "behaviorClose": "WRONG CODE" },
        } });
        let outcomes = outcomes(&report).expect("cases");
        let mut failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.difference.as_deref()).collect();
        failed.sort_unstable();
        assert_eq!((outcomes.len(), failed), (5, vec!["behavior: FAILED", "behaviorClose: WRONG CODE"]));
    }
}
