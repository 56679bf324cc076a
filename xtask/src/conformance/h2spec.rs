//! `conformance/h2spec`: h2spec, which holds a server of HTTP/2 against RFC 9113's forerunner and
//! RFC 7541 case by case, run in the clear and under TLS.

mod source;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Options;
use super::expected::{Expected, Outcome};
use super::server::{Server, program};
use crate::repo::Repo;

const SUITE: &str = "conformance/h2spec";

/// The two ways of getting to HTTP/2.
const WAYS: [&str; 2] = ["clear", "tls"];

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let text = fs::read_to_string(repo.path(SUITE).join("expected.toml")).context("reading expected.toml")?;
    let expected = Expected::parse(&text)?;
    let suite = source::bring(repo)?;
    let program = program(repo)?;
    let folder = repo.cache_folder().join("conformance/h2spec");
    let app = folder.join("app");
    copy_app(&repo.path(SUITE).join("app"), &app)?;
    let ways = WAYS.into_iter().filter(|way| options.only.is_empty() || options.only.iter().any(|only| only == way));
    let (mut cases, mut passed, mut wrong) = (0, 0, Vec::new());
    for way in ways {
        let outcomes = one_way(&suite, &program, &folder, &app, way)?;
        cases += outcomes.len();
        passed += outcomes.iter().filter(|outcome| outcome.difference.is_none()).count();
        wrong.extend(expected.judge(way, &outcomes).iter().map(|complaint| format!("{way}: {complaint}")));
    }
    wrong.extend(expected.of_no_app(&WAYS.map(str::to_owned)));
    if options.json {
        println!("{}", serde_json::json!({ "cases": cases, "passed": passed }));
    } else {
        println!("h2spec: {passed} of {cases} cases passed");
    }
    wrong.iter().for_each(|complaint| eprintln!("  {complaint}"));
    match wrong.len() {
        0 => Ok(()),
        count => bail!("{count} cases are not as {SUITE}/expected.toml has them"),
    }
}

fn copy_app(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))
            .with_context(|| format!("copying {:?}", entry.file_name()))?;
    }
    Ok(())
}

fn one_way(suite: &Path, program: &Path, folder: &Path, app: &Path, way: &str) -> Result<Vec<Outcome>> {
    let tls: &[&str] = if way == "tls" { &["--tls"] } else { &[] };
    let server = Server::start(program, &folder.join("data"), app, tls)?;
    let report = folder.join(format!("{way}.xml"));
    let (host, port) = server.address.split_once(':').context("an address has a port")?;
    let mut command = Command::new(suite);
    // Strict: what a server should do is asked for as well.
    command.args(["--strict", "--timeout", "5", "--host", host, "--port", port, "--junit-report"]).arg(&report);
    if way == "tls" {
        command.args(["--tls", "--insecure"]);
    }
    // It ends with an error if a case fails; the report says which.
    let said = command.output().with_context(|| format!("starting {}", suite.display()))?;
    let complaint = server.stop();
    let text = fs::read_to_string(&report)
        .with_context(|| format!("h2spec wrote no report\n{}{complaint}", String::from_utf8_lossy(&said.stderr)))?;
    outcomes(&text)
}

/// Reads the report, of whose XML the suite writes an element a line.
fn outcomes(report: &str) -> Result<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for line in report.lines().map(str::trim) {
        let attribute = |name: &str| -> Option<&str> {
            let (_, rest) = line.split_once(&format!(" {name}=\""))?;
            Some(rest.split_once('"')?.0)
        };
        if line.starts_with("<testcase ") {
            let package = attribute("package").context("a case has a section")?;
            let title = attribute("classname").context("a case has a title")?;
            outcomes.push(Outcome { request: format!("{package} {}", plain(title)), difference: None });
        }
        if (line.contains("<failure") || line.contains("<error"))
            && let Some(last) = outcomes.last_mut()
        {
            let text = line.split_once("<failure").or(line.split_once("<error")).map_or("", |(_, text)| text);
            last.difference = Some(plain(text.trim_start_matches('>')));
        }
    }
    if outcomes.is_empty() {
        bail!("h2spec's report has no case");
    }
    Ok(outcomes)
}

fn plain(text: &str) -> String {
    let entities = [("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    entities.into_iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}
