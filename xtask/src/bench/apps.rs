//! Many apps on one node: each is deployed, served once, left idle, and served again.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::cases::{Case, Kind};
use super::load::{self, Target};
use super::peer::{Contender, Tools};
use super::process::Server;
use super::report::Report;
use super::stage::{self, Stage};
use super::table;
use crate::repo::Repo;

pub const NAME: &str = "apps";
const COUNT: usize = 1000;

#[derive(Debug, Clone, Copy)]
struct Slowest {
    p50_ms: f64,
    max_ms: f64,
}

pub fn run(repo: &Repo, tools: &Tools, quick: bool) -> Result<Report> {
    // An instance that stood unused goes between `instance_idle_ms` and half as long again.
    let idle = Duration::from_secs(if quick { 20 } else { 30 });
    let stage = Stage::empty(Contender::SelvedgeShared)?;
    deploy(repo, tools, &stage, COUNT)?;
    let server = stage.start(tools)?;
    server.first_answer(&target(&server, "none.localhost"))?;
    let started = server.rss_kib()?;
    let first = slowest(serve_each(&server, COUNT)?)?;
    let served = server.rss_kib()?;
    // Idleness is what is measured here, so it is waited for.
    std::thread::sleep(idle);
    let idle = server.rss_kib()?;
    let again = slowest(serve_each(&server, COUNT)?)?;
    let mib = |kib: u64| kib as f64 / 1024.0;
    Ok(Report::new(NAME, format!("{COUNT} distinct apps, each served once, left idle, served again"))
        .figure("RSS started, MiB", "started_rss_mib", 0, mib(started))
        .figure("RSS served, MiB", "served_rss_mib", 0, mib(served))
        .figure("RSS idle, MiB", "idle_rss_mib", 0, mib(idle))
        .figure("first request p50, ms", "first_p50_ms", 2, first.p50_ms)
        .figure("first request slowest, ms", "first_max_ms", 2, first.max_ms)
        .figure("first after idle p50, ms", "again_p50_ms", 2, again.p50_ms)
        .figure("first after idle slowest, ms", "again_max_ms", 2, again.max_ms))
}

/// No two apps share their source.
pub fn deploy(repo: &Repo, tools: &Tools, stage: &Stage, count: usize) -> Result<()> {
    let folder = stage.folder().join("app");
    fs::create_dir_all(&folder)?;
    for index in 0..count {
        let source = format!("export default {{ fetch() {{ return new Response(\"{}\"); }} }};\n", greeting(index));
        fs::write(folder.join("worker.js"), source)?;
        stage::write_manifest(repo, &folder, &app(index), Contender::SelvedgeShared)?;
        stage::deploy(tools, Contender::SelvedgeShared, &folder, &stage.data())?;
        if (index + 1) % 100 == 0 {
            eprintln!("deployed {} apps", index + 1);
        }
    }
    Ok(())
}

fn app(index: usize) -> String {
    format!("app-{index:04}")
}

fn greeting(index: usize) -> String {
    format!("Hello from app {index:04}!")
}

/// One request to each app, on a connection of its own; the milliseconds that each took.
pub fn serve_each(server: &Server, count: usize) -> Result<Vec<f64>> {
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
    Ok(times)
}

fn slowest(times: Vec<f64>) -> Result<Slowest> {
    let max_ms = times.iter().copied().fold(0.0, f64::max);
    Ok(Slowest { p50_ms: table::median(times).context("no app was served")?, max_ms })
}

const CASE: Case = Case { name: NAME, folder: "", kind: Kind::Script, path: "/", body: None, expect: "", seed: None };

/// Any app of a server, by its host.
pub fn target<'a>(server: &Server, host: &str) -> Target<'a> {
    Target { address: server.address(), host: host.to_owned(), case: &CASE }
}
