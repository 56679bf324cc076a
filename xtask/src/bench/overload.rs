//! The Hono route at four times the rate that it can serve.

use std::fs;

use anyhow::Result;

use super::Pace;
use super::cases;
use super::load::{self, Rate, Target};
use super::peer::{Contender, Tools};
use super::report::Report;
use super::stage::Stage;
use crate::repo::Repo;

pub const NAME: &str = "overload";
const TIMES: f64 = 4.0;

/// More than an app may have in progress and waiting (`concurrency`, `queue`), so that the rest
/// has to be refused.
const CONNECTIONS: usize = 4_000;

/// One client opens all the connections here.
const CONFIG: &str = "[limits]\nconnections_per_address = 10000\n";

pub fn run(repo: &Repo, tools: &Tools, quick: bool) -> Result<Report> {
    let pace = Pace::of(quick);
    let case = cases::hono();
    let stage = Stage::prepare(repo, tools, case, Contender::SelvedgeShared)?;
    let config = stage.folder().join("node.toml");
    fs::write(&config, CONFIG)?;
    let server = stage.start_configured(tools, &config)?;
    let target = Target { address: server.address(), host: stage.host(), case };
    server.first_answer(&target)?;
    load::check_answer(&target)?;
    load::closed(tools, &stage, &target, pace.warm_s)?;
    let peak = load::closed(tools, &stage, &target, pace.run_s)?;
    let before = server.rss_kib()?;
    let rate = Rate { per_s: peak.per_s * TIMES, connections: CONNECTIONS, pace };
    let outcomes = load::at_rate(tools, &stage, &target, rate)?;
    let (after, highest) = (server.rss_kib()?, server.rss_max_kib()?);
    let count = |wanted: fn(i64) -> bool| outcomes.iter().filter(|outcome| wanted(outcome.status)).count() as f64;
    let (good, refused) = (count(|status| status == 200), count(|status| status == 503));
    let (per_s, all) = (good / f64::from(pace.run_s), outcomes.len() as f64);
    let mib = |kib: u64| kib as f64 / 1024.0;
    Ok(Report::new(NAME, format!("the Hono route at {TIMES} times its peak, {CONNECTIONS} connections"))
        .figure("peak, req/s", "peak_per_s", 0, peak.per_s)
        .figure("answers of any status, /s", "answers_per_s", 0, all / f64::from(pace.run_s))
        .figure("good answers, /s", "good_per_s", 0, per_s)
        .figure("good answers of the peak, %", "goodput_percent", 1, per_s / peak.per_s * 100.0)
        .figure("503s of all answers, %", "refused_percent", 1, refused / all * 100.0)
        .figure("other failures", "other_failures", 0, all - good - refused)
        .figure("RSS before, MiB", "before_rss_mib", 0, mib(before))
        .figure("RSS highest, MiB", "highest_rss_mib", 0, mib(highest))
        .figure("RSS after, MiB", "after_rss_mib", 0, mib(after)))
}
