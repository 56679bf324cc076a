//! The case of many apps: each is deployed, served once, left idle, and served again.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::cases::{Case, Kind};
use super::load::{self, Target};
use super::peer::{Contender, Tools};
use super::process::Server;
use super::stage::{self, Stage};
use crate::repo::Repo;

pub const NAME: &str = "apps";

#[derive(Debug)]
pub struct Apps {
    count: usize,
    started_rss_kib: u64,
    served_rss_kib: u64,
    idle_rss_kib: u64,
    /// Of the first request to each app, and of the first after it was idle.
    first: Slowest,
    again: Slowest,
}

#[derive(Debug, Clone, Copy)]
struct Slowest {
    p50_ms: f64,
    max_ms: f64,
}

/// `None` where Selvedge is missing, which was reported.
pub fn run(repo: &Repo, tools: &Tools, count: usize, quick: bool) -> Result<Option<Apps>> {
    let contender = Contender::SelvedgeShared;
    if !tools.has(contender) {
        return Ok(None);
    }
    let idle = Duration::from_secs(if quick { 5 } else { 30 });
    let stage = Stage::empty(contender)?;
    for index in 0..count {
        deploy_app(repo, tools, &stage, index)?;
        if (index + 1) % 100 == 0 {
            eprintln!("{NAME} · deployed {}", index + 1);
        }
    }
    let server = stage.start(tools)?;
    server.first_answer(&target(&server, "none.localhost"))?;
    let started_rss_kib = server.rss_kib()?;
    let first = serve_each(&server, count)?;
    let served_rss_kib = server.rss_kib()?;
    // Idleness is what is measured here, so it is waited for.
    std::thread::sleep(idle);
    let idle_rss_kib = server.rss_kib()?;
    let again = serve_each(&server, count)?;
    Ok(Some(Apps { count, started_rss_kib, served_rss_kib, idle_rss_kib, first, again }))
}

/// No two apps share their source.
fn deploy_app(repo: &Repo, tools: &Tools, stage: &Stage, index: usize) -> Result<()> {
    let folder = stage.folder().join("app");
    fs::create_dir_all(&folder)?;
    let source = format!("export default {{ fetch() {{ return new Response(\"{}\"); }} }};\n", greeting(index));
    fs::write(folder.join("worker.js"), source)?;
    stage::write_manifest(repo, &folder, &app(index), Contender::SelvedgeShared)?;
    deploy(tools, &folder, stage)
}

fn deploy(tools: &Tools, folder: &Path, stage: &Stage) -> Result<()> {
    stage::deploy(tools, Contender::SelvedgeShared, folder, &stage.data())
}

fn app(index: usize) -> String {
    format!("app-{index:04}")
}

fn greeting(index: usize) -> String {
    format!("Hello from app {index:04}!")
}

fn serve_each(server: &Server, count: usize) -> Result<Slowest> {
    let mut times = Vec::with_capacity(count);
    for index in 0..count {
        let host = format!("{}.localhost", app(index));
        let began = Instant::now();
        let answer = load::ask(&target(server, &host), CASE.path)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        if !answer.contains(&greeting(index)) {
            bail!("{host} gave another answer than its own:\n{}", answer.trim_end());
        }
    }
    let max_ms = times.iter().copied().fold(0.0, f64::max);
    Ok(Slowest { p50_ms: super::table::median(times).context("no app was served")?, max_ms })
}

const CASE: Case = Case { name: NAME, kind: Kind::Script, path: "/", body: None, expect: "", seed: None };

fn target<'a>(server: &Server, host: &str) -> Target<'a> {
    Target { address: server.address(), host: host.to_owned(), case: &CASE }
}

impl Apps {
    pub fn json(&self) -> Value {
        let mib = |kib: u64| kib as f64 / 1024.0;
        json!({
            "count": self.count,
            "rss_mib": { "started": mib(self.started_rss_kib), "served": mib(self.served_rss_kib), "idle": mib(self.idle_rss_kib) },
            "first_request_ms": { "p50": self.first.p50_ms, "max": self.first.max_ms },
            "after_idle_ms": { "p50": self.again.p50_ms, "max": self.again.max_ms },
        })
    }
}

impl fmt::Display for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |kib: u64| kib / 1024;
        let (started, served, idle) = (mib(self.started_rss_kib), mib(self.served_rss_kib), mib(self.idle_rss_kib));
        writeln!(f, "\n{NAME}: {} distinct apps, each served once, left idle, served again", self.count)?;
        writeln!(f, "  RSS MiB: {started} started, {served} served, {idle} idle")?;
        writeln!(f, "  first request: p50 {:.2} ms, slowest {:.2} ms", self.first.p50_ms, self.first.max_ms)?;
        write!(f, "  first after idle: p50 {:.2} ms, slowest {:.2} ms", self.again.p50_ms, self.again.max_ms)
    }
}
