//! How soon a node answers: after its exec, and in `dev` after an edit.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::cases;
use super::load::{self, Target};
use super::peer::{Contender, Tools};
use super::report::Report;
use super::stage::Stage;
use super::table;
use crate::repo::Repo;

pub const NAME: &str = "start";
const LIVE_MAX: Duration = Duration::from_secs(10);

pub fn run(repo: &Repo, tools: &Tools, quick: bool) -> Result<Report> {
    let times = if quick { 3 } else { 10 };
    let case = cases::hello();
    let stage = Stage::prepare(repo, tools, case, Contender::SelvedgeShared)?;
    let mut serve_ms = Vec::new();
    // The first one warms the cache of compiled code.
    for _ in 0..=times {
        let server = stage.start(tools)?;
        let target = Target { address: server.address(), host: stage.host(), case };
        serve_ms.push(server.first_answer(&target)?);
        load::check_answer(&target)?;
    }
    serve_ms.remove(0);
    let edit_ms = edits(&stage, tools, times)?;
    let max = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    Ok(Report::new(NAME, format!("{times} starts of `serve` with a warm cache, {times} edits in `dev`"))
        .figure("exec to first response median, ms", "serve_p50_ms", 1, median(&serve_ms)?)
        .figure("exec to first response slowest, ms", "serve_max_ms", 1, max(&serve_ms))
        .figure("edit to live median, ms", "edit_p50_ms", 1, median(&edit_ms)?)
        .figure("edit to live slowest, ms", "edit_max_ms", 1, max(&edit_ms)))
}

fn median(times: &[f64]) -> Result<f64> {
    table::median(times.to_vec()).context("nothing was measured")
}

/// Milliseconds from the write of a changed worker to its first answer.
fn edits(stage: &Stage, tools: &Tools, times: usize) -> Result<Vec<f64>> {
    let case = cases::hello();
    let server = stage.start_dev(tools)?;
    let target = Target { address: server.address(), host: stage.host(), case };
    server.first_answer(&target)?;
    let worker = stage.folder().join("worker.js");
    let source = fs::read_to_string(&worker).context("reading the worker")?;
    (0..times)
        .map(|edit| {
            let greeting = format!("Hello, edit {edit}!");
            // An edit that follows another at once would be built together with it.
            std::thread::sleep(Duration::from_millis(300));
            let began = Instant::now();
            fs::write(&worker, source.replace(case.expect, &greeting)).context("editing the worker")?;
            while !load::ask(&target, case.path)?.contains(&greeting) {
                if began.elapsed() > LIVE_MAX {
                    bail!("an edit was not live within {} s", LIVE_MAX.as_secs());
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            Ok(began.elapsed().as_secs_f64() * 1e3)
        })
        .collect()
}
