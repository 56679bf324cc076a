//! `conformance/frameworks`: packages from npm, driven by small apps. The same module answers the
//! same requests under node, by a call of its handler, and on Selvedge, over HTTP; status, headers
//! and bodies must be the same, byte for byte.

mod drive;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::expected::{Expected, Outcome};
use super::{Options, server};
use crate::repo::{self, Repo};

const SUITE: &str = "conformance/frameworks";
const PACKAGES: [&str; 2] = ["package.json", "package-lock.json"];
const SOURCES: [&str; 2] = ["apps", "node"];
const ENTRIES: [&str; 2] = ["src/index.ts", "src/index.tsx"];

/// How much of an answer a report shows around the first difference.
const SHOWN_BYTES: usize = 160;

pub fn run(repo: &Repo, options: &Options) -> Result<()> {
    let suite = repo.path(SUITE);
    let text = fs::read_to_string(suite.join("expected.toml")).context("reading expected.toml")?;
    let expected = Expected::parse(&text)?;
    let program = server::program(repo)?;
    let folder = install(repo, &suite)?;
    let apps = apps(&folder, options)?;
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    for app in &apps {
        let said = drive::compare(&program, &folder, app)?;
        let row = Row::of(app, &said.outcomes, &expected);
        let judged = expected.judge(app, &said.outcomes);
        if !options.json {
            println!("{app}: {} of {} as under node", row.same, row.requests);
            if !judged.is_empty() && !said.complaint.is_empty() {
                println!("  the node said:\n{}", said.complaint);
            }
        }
        for complaint in judged {
            eprintln!("  {complaint}");
            wrong.push(format!("{app}: {complaint}"));
        }
        rows.push(row);
    }
    if options.only.is_empty() {
        wrong.extend(expected.of_no_app(&apps).inspect(|complaint| eprintln!("  {complaint}")));
    }
    print(&rows, options.json);
    match wrong.len() {
        0 => Ok(()),
        count => bail!("{count} answers are not as {SUITE}/expected.toml has them"),
    }
}

/// What became of one app.
struct Row {
    app: String,
    requests: usize,
    same: usize,
    known: usize,
}

impl Row {
    fn of(app: &str, outcomes: &[Outcome], expected: &Expected) -> Self {
        let differ = outcomes.iter().filter(|outcome| outcome.difference.is_some());
        let known = differ.clone().filter(|outcome| expected.is_known(app, &outcome.request)).count();
        Self { app: app.to_owned(), requests: outcomes.len(), same: outcomes.len() - differ.count(), known }
    }
}

fn print(rows: &[Row], json: bool) {
    let sum = |of: fn(&Row) -> usize| rows.iter().map(of).sum::<usize>();
    let (requests, same, known) = (sum(|row| row.requests), sum(|row| row.same), sum(|row| row.known));
    if json {
        let apps = rows.iter().map(|row| {
            let Row { app, requests, same, known } = row;
            serde_json::json!({ "app": app, "requests": requests, "same": same, "known": known })
        });
        let apps: Vec<_> = apps.collect();
        println!("{}", serde_json::json!({ "apps": apps, "requests": requests, "same": same, "known": known }));
    } else {
        println!("\nframeworks: {same} of {requests} requests answered as under node, {known} known to differ");
    }
}

/// The folder with the packages of the lock file, and fresh copies of the apps.
fn install(repo: &Repo, suite: &Path) -> Result<PathBuf> {
    if repo::on_path("node").is_none() || repo::on_path("npm").is_none() {
        bail!("node and npm are missing; to get them: apt-get install nodejs npm");
    }
    let mut hash = Sha256::new();
    for name in PACKAGES {
        hash.update(fs::read(suite.join(name)).with_context(|| format!("reading {SUITE}/{name}"))?);
    }
    let folder = repo.cache_folder().join("conformance/frameworks").join(&hex::encode(hash.finalize())[..16]);
    let done = folder.join("node_modules/.package-lock.json");
    if !done.is_file() {
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        for name in PACKAGES {
            fs::copy(suite.join(name), folder.join(name)).with_context(|| format!("copying {name}"))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        repo::run(&mut npm)?;
    }
    for name in SOURCES {
        let copy = folder.join(name);
        if copy.exists() {
            fs::remove_dir_all(&copy).with_context(|| format!("removing {}", copy.display()))?;
        }
        copy_dir(&suite.join(name), &copy)?;
    }
    Ok(folder)
}

fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("copying {}", target.display()))?;
        }
    }
    Ok(())
}

/// The apps to drive, by name.
fn apps(folder: &Path, options: &Options) -> Result<Vec<String>> {
    let mut apps = Vec::new();
    for entry in fs::read_dir(folder.join("apps")).context("reading the apps")? {
        apps.push(entry?.file_name().to_string_lossy().into_owned());
    }
    apps.sort();
    if let Some(unknown) = options.only.iter().find(|only| !apps.contains(only)) {
        bail!("there is no app {unknown:?}: there are {}", apps.join(", "));
    }
    apps.retain(|app| options.only.is_empty() || options.only.contains(app));
    Ok(apps)
}
