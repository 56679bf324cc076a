//! Cold starts: a node that was just started answers the first request to each of many apps. The
//! figures are those of the access log, so they are what an operator sees.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::apps;
use super::peer::{Contender, Tools};
use super::process::Server;
use super::report::Report;
use super::stage::Stage;
use super::table;
use crate::repo::Repo;

pub const NAME: &str = "cold";
const COUNT: usize = 250;
const LOG_MAX: Duration = Duration::from_secs(10);

/// Microseconds of the phases of one cold start, and of the whole way to the head of the response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColdStart {
    pub load: f64,
    pub instantiate: f64,
    pub prepare: f64,
    pub first_response: f64,
    pub head: f64,
}

pub fn run(repo: &Repo, tools: &Tools, quick: bool) -> Result<Report> {
    let stage = Stage::empty(Contender::SelvedgeShared)?;
    apps::deploy(repo, tools, &stage, COUNT)?;
    let mut starts = Vec::new();
    let mut outside_ms = Vec::new();
    for _ in 0..if quick { 1 } else { 3 } {
        let server = stage.start_logging(tools)?;
        server.first_answer(&apps::target(&server, "none.localhost"))?;
        outside_ms.extend(apps::serve_each(&server, COUNT)?);
        starts.extend(logged(&server, &stage)?);
    }
    let report = Report::new(NAME, format!("the first request to each of {COUNT} apps of a node just started"));
    let report = percentiles(report, "total", "total_p50_us", "total_p99_us", &starts, ColdStart::total);
    let report = percentiles(report, "load", "load_p50_us", "load_p99_us", &starts, |start| start.load);
    let report =
        percentiles(report, "instantiate", "instantiate_p50_us", "instantiate_p99_us", &starts, |s| s.instantiate);
    let report = percentiles(report, "prepare", "prepare_p50_us", "prepare_p99_us", &starts, |start| start.prepare);
    let report =
        percentiles(report, "first response", "first_p50_us", "first_p99_us", &starts, |start| start.first_response);
    let report = percentiles(report, "outside the phases", "rest_p50_us", "rest_p99_us", &starts, ColdStart::rest);
    let outside = table::median(outside_ms).context("no app was served")?;
    Ok(report.figure("the client's wait p50, ms", "client_p50_ms", 2, outside))
}

fn percentiles(
    report: Report,
    label: &str,
    p50_key: &'static str,
    p99_key: &'static str,
    starts: &[ColdStart],
    value: impl Fn(&ColdStart) -> f64,
) -> Report {
    let mut values: Vec<f64> = starts.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let (p50, p99) = (table::percentile(&values, 0.5), table::percentile(&values, 0.99));
    report.figure(format!("{label} p50, µs"), p50_key, 0, p50).figure(format!("{label} p99, µs"), p99_key, 0, p99)
}

impl ColdStart {
    pub fn total(&self) -> f64 {
        self.load + self.instantiate + self.prepare + self.first_response
    }

    /// What the way to the head took beside the phases: routing, admission, the pool.
    fn rest(&self) -> f64 {
        self.head - self.total()
    }
}

/// The cold starts that the log tells of, once all are there.
fn logged(server: &Server, stage: &Stage) -> Result<Vec<ColdStart>> {
    let began = Instant::now();
    loop {
        let log = fs::read_to_string(stage.access_log()).context("reading the access log")?;
        let starts: Vec<ColdStart> = log.lines().filter_map(parse).collect();
        if starts.len() == COUNT {
            return Ok(starts);
        }
        if began.elapsed() > LOG_MAX {
            bail!("the log of {} tells of {} cold starts instead of {COUNT}", server.address(), starts.len());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `None` where a line is about something else.
pub fn parse(line: &str) -> Option<ColdStart> {
    let line: Value = serde_json::from_str(line).ok()?;
    let phases = &line["invocations"][0]["phases_us"];
    let phase = |name: &str| phases[name].as_f64();
    Some(ColdStart {
        load: phase("load")?,
        instantiate: phase("instantiate")?,
        prepare: phase("prepare")?,
        first_response: phase("first_response")?,
        head: line["head_us"].as_f64()?,
    })
}
