//! `conformance/s3`: clients that people use (boto3, the AWS SDK for JavaScript) and requests by
//! hand, against the binary's S3 listener.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Options;
use crate::repo::{self, Repo};

const SUITE: &str = "conformance/s3";
/// The bucket that the key which may only read opens.
const READ_BUCKET: &str = "read-only";
/// A program to test instead of the one that this repository builds.
const BINARY: &str = "SELVEDGE_CONFORMANCE_BINARY";

/// What became of one scenario, as its client tells.
#[derive(Debug)]
struct Outcome {
    name: String,
    ok: bool,
    why: String,
}

/// Scenarios that are known to fail, each with its reason.
type Expected = BTreeMap<String, String>;

/// Reads `"scenario" = "reason"`, a line each.
fn read_expected(text: &str) -> Result<Expected> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| {
        let (name, reason) = line.split_once(" = ").with_context(|| format!("{line}: a scenario has a reason"))?;
        Ok((serde_json::from_str(name)?, serde_json::from_str(reason)?))
    };
    lines.map(read).collect()
}

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let suite = repo.path(SUITE);
    let text = fs::read_to_string(suite.join("expected.toml")).context("reading expected.toml")?;
    let expected = read_expected(&text).context("in expected.toml")?;
    let packages = install(repo, &suite)?;
    let data = std::env::temp_dir().join(format!("selvedge-conformance-s3-{}", std::process::id()));
    let node = Node::start(&program(repo)?, &data)?;
    let mut outcomes = Vec::new();
    for (client, mut command) in clients(&suite, &packages) {
        node.describe(&mut command);
        let only: Vec<&str> =
            options.only.iter().filter_map(|only| only.strip_prefix(client)?.strip_prefix('/')).collect();
        if options.only.is_empty() || !only.is_empty() {
            outcomes.extend(drive(command.args(only))?);
        }
    }
    drop(node);
    for folder in [data.clone(), data.with_extension("keys")] {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    let wrong = judge(&outcomes, &expected, options);
    let passed = outcomes.iter().filter(|outcome| outcome.ok).count();
    if options.json {
        println!("{}", serde_json::json!({ "scenarios": outcomes.len(), "passed": passed }));
    } else {
        println!("\ns3: {passed} of {} scenarios pass", outcomes.len());
    }
    match wrong {
        0 => Ok(()),
        count => bail!("{count} scenarios are not as {SUITE}/expected.toml has them"),
    }
}

fn clients(suite: &Path, packages: &Path) -> [(&'static str, Command); 2] {
    let mut python = Command::new("python3");
    python.arg(suite.join("scenarios.py"));
    let mut node = Command::new("node");
    node.arg(packages.join("scenarios.mjs")).current_dir(packages);
    [("boto3", python), ("sdk", node)]
}

fn judge(outcomes: &[Outcome], expected: &Expected, options: &Options) -> usize {
    let mut wrong = 0;
    for outcome in outcomes {
        let reason = expected.get(&outcome.name).map(String::as_str);
        match (outcome.ok, reason) {
            (true, None) if !options.json => println!("{}", outcome.name),
            (false, Some(reason)) if !options.json => println!("{} fails: {reason}", outcome.name),
            (true, Some(_)) => {
                wrong += 1;
                eprintln!("{} passes, though expected.toml has a reason for it to fail", outcome.name);
            }
            (false, None) => {
                wrong += 1;
                eprintln!("{} fails:\n{}", outcome.name, outcome.why);
            }
            _ => {}
        }
    }
    let unknown = |name: &&str| !outcomes.iter().any(|outcome| outcome.name == **name);
    if options.only.is_empty() {
        for name in expected.keys().map(String::as_str).filter(unknown) {
            wrong += 1;
            eprintln!("{name} stands in expected.toml, and there is no such scenario");
        }
    }
    wrong
}

/// Runs a client and reads what it says, a line for each scenario.
fn drive(command: &mut Command) -> Result<Vec<Outcome>> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}", output.status);
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let read = |line: &str| {
        let row: Value = serde_json::from_str(line).with_context(|| format!("reading {line:?}"))?;
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        Ok(Outcome { name: text("name"), ok: row["ok"] == true, why: text("why") })
    };
    lines.lines().map(read).collect()
}

/// A node that serves the protocol, and two access keys.
struct Node {
    child: Child,
    address: SocketAddr,
    all: Key,
    reader: Key,
}

struct Key {
    id: String,
    secret: String,
}

impl Node {
    fn start(program: &Path, data: &Path) -> Result<Self> {
        let key = |more: &[&str]| -> Result<Key> {
            let mut command = Command::new(program);
            command.args(["blob", "key", "create", "conformance", "--json"]).args(more).arg("--data").arg(data);
            let output = command.output().context("making an access key")?;
            let made: Value = serde_json::from_slice(&output.stdout)
                .with_context(|| format!("making an access key: {}", String::from_utf8_lossy(&output.stderr)))?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            Ok(Key { id: text(&made["key"]["id"]), secret: text(&made["secret"]) })
        };
        let (all, reader) = (key(&[])?, key(&["--bucket", READ_BUCKET, "--read"])?);
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--s3", "127.0.0.1:0"]);
        command.args(["--cores", "1", "--quiet", "--data"]).arg(data);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("starting the node")?;
        let mut said = BufReader::new(child.stderr.take().context("no output of the node")?);
        let mut line = String::new();
        while !line.contains("S3 on http://") {
            line.clear();
            if said.read_line(&mut line).context("reading what the node says")? == 0 {
                bail!("the node ended before it served the protocol");
            }
        }
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let address = line.rsplit("http://").next().unwrap_or_default().trim();
        Ok(Self { child, address: address.parse().context("the address of the node")?, all, reader })
    }

    fn describe(&self, command: &mut Command) {
        command.env("S3_ENDPOINT", format!("http://{}", self.address));
        command.env("AWS_ACCESS_KEY_ID", &self.all.id).env("AWS_SECRET_ACCESS_KEY", &self.all.secret);
        command.env("S3_READ_ACCESS", &self.reader.id).env("S3_READ_SECRET", &self.reader.secret);
        command.env("S3_READ_BUCKET", READ_BUCKET);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder with the packages of the lock file, and the scenarios beside them.
fn install(repo: &Repo, suite: &Path) -> Result<PathBuf> {
    if repo::on_path("node").is_none() || repo::on_path("npm").is_none() {
        bail!("node and npm are missing; to get them: apt-get install nodejs npm");
    }
    let boto3 = Command::new("python3").args(["-c", "import boto3"]).stderr(Stdio::null()).status();
    if !boto3.is_ok_and(|status| status.success()) {
        bail!("boto3 is missing; to get it: python3 -m pip install boto3");
    }
    let lock = fs::read(suite.join("package-lock.json")).context("reading package-lock.json")?;
    let folder = repo.cache_folder().join("conformance/s3").join(&hex::encode(Sha256::digest(lock))[..16]);
    if !folder.join("node_modules/.package-lock.json").is_file() {
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(suite.join(name), folder.join(name)).with_context(|| format!("copying {name}"))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        repo::run(&mut npm)?;
    }
    fs::copy(suite.join("scenarios.mjs"), folder.join("scenarios.mjs")).context("copying the scenarios")?;
    Ok(folder)
}

fn program(repo: &Repo) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(BINARY) {
        return PathBuf::from(given).canonicalize().context(BINARY);
    }
    repo::run(repo.cargo().args(["build", "--package", "selvedge"]))?;
    let metadata = repo.metadata()?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?;
    Ok(Path::new(target).join("debug/selvedge"))
}
