//! A node with one worker of `bench/data`, for the cases that measure Selvedge alone.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::bench::cases;
use crate::bench::load::{self, Target};
use crate::bench::peer::{Contender as Isolation, Tools};
use crate::bench::process::Server;
use crate::bench::stage::{self, Stage};
use crate::bench::table::percentile;
use crate::repo::Repo;

/// Where the workers of this bench are.
pub const WORKERS: &str = "bench/data";

/// A worker, the binding that it is granted, and what its manifest and the node's configuration say besides.
#[derive(Debug, Default)]
pub struct App {
    pub worker: &'static str,
    pub binding: &'static str,
    pub manifest: &'static str,
    pub config: String,
}

/// A stage on which the app is deployed.
pub fn deployed(repo: &Repo, tools: &Tools, app: &App) -> Result<Stage> {
    let stage = Stage::empty(Isolation::SelvedgeShared)?;
    deploy(repo, tools, &stage, app)?;
    Ok(stage)
}

pub fn deploy(repo: &Repo, tools: &Tools, stage: &Stage, app: &App) -> Result<()> {
    let folder = stage.folder();
    fs::copy(repo.path(WORKERS).join(app.worker), folder.join("worker.js"))?;
    stage::write_manifest(repo, folder, "bench", Isolation::SelvedgeShared)?;
    stage::bind(folder, app.binding)?;
    let manifest = folder.join("selvedge.toml");
    fs::write(&manifest, format!("{}\n{}", fs::read_to_string(&manifest)?, app.manifest))?;
    fs::write(folder.join("node.toml"), &app.config)?;
    stage::deploy(tools, Isolation::SelvedgeShared, folder, &stage.data())
}

/// A node, and how it is asked.
#[derive(Debug)]
pub struct Node<'a> {
    pub server: Server,
    pub tools: &'a Tools,
    host: String,
    case: cases::Case,
    /// From exec to the first answer.
    pub ready_ms: f64,
}

impl<'a> Node<'a> {
    /// Ready when it answers `path`, whatever it answers.
    pub fn start(tools: &'a Tools, stage: &Stage, path: &'static str) -> Result<Self> {
        let server = stage.start_configured(tools, &stage.folder().join("node.toml"))?;
        let (host, case) = (stage.host(), cases::Case { path, ..cases::PLAIN });
        let ready_ms = server.first_answer(&Target { address: server.address(), host: host.clone(), case: &case })?;
        Ok(Self { server, tools, host, case, ready_ms })
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// The answer to one request; it is to hold a text.
    pub fn ask(&self, path: &str, expect: &str) -> Result<String> {
        let target = Target { address: self.server.address(), host: self.host.clone(), case: &self.case };
        let answer = load::ask(&target, path)?;
        if !answer.starts_with("HTTP/1.1 200") || !answer.contains(expect) {
            bail!("{path} was answered with\n{}", answer.trim_end());
        }
        Ok(answer)
    }

    /// How long the answers to some paths took, each asked once and after the other: the median and the 99th percentile
    /// in milliseconds.
    pub fn times_ms(&self, paths: &[String], expect: &str) -> Result<(f64, f64)> {
        let mut times = Vec::with_capacity(paths.len());
        for path in paths {
            let begun = Instant::now();
            self.ask(path, expect)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok((percentile(&times, 0.5), percentile(&times, 0.99)))
    }
}

/// Nothing tells from outside that what stands unused for a second has been closed: it is after that, and a sweep.
pub fn sleep_until_idle() {
    std::thread::sleep(Duration::from_secs(5));
}

/// The number that follows a label in an answer.
pub fn number_after(answer: &str, label: &str) -> Result<u64> {
    let rest = answer.split_once(label).map(|(_, rest)| rest).with_context(|| format!("no {label:?} in {answer:?}"))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("no number after {label:?} in {answer:?}"))
}
