//! Durable objects that sleep, and what the first request to one takes more than the next.

use anyhow::Result;

use super::node::{App, Node, deployed, sleep_until_idle};
use crate::bench::peer::Tools;
use crate::bench::report::Report;
use crate::repo::Repo;

pub const NAME: &str = "object-wake";
const OBJECTS: usize = 500;
const QUICK: usize = 100;

pub fn run(repo: &Repo, tools: &Tools, quick: bool) -> Result<Report> {
    let objects = if quick { QUICK } else { OBJECTS };
    let binding = "SLEEPER = { object = \"Sleeper\" }";
    let config = "[limits]\nobject_idle_ms = 1000\n".to_owned();
    let stage = deployed(repo, tools, &App { worker: "wake.js", binding, config, ..App::default() })?;
    let paths = |path: &str| (0..objects).map(|n| format!("{path}?name=object-{n}")).collect::<Vec<_>>();
    let (made, asleep) = {
        let node = Node::start(tools, &stage, "/read?name=first")?;
        let made = node.times_ms(&paths("/add"), "Counted 0.")?;
        sleep_until_idle();
        (made, node.times_ms(&paths("/read"), "Counted 1.")?)
    };
    // What the log had of them goes to their files, and nothing of them is in memory.
    let node = Node::start(tools, &stage, "/read?name=first")?;
    let after_start = node.times_ms(&paths("/read"), "Counted 1.")?;
    let awake = node.times_ms(&paths("/read"), "Counted 1.")?;
    let about =
        format!("{objects} durable objects, each asked by a request of its own; waking is to take 3 ms at most");
    let report = Report::new(NAME, about).figure("awake p50, ms", "awake_p50_ms", 2, awake.0).figure(
        "awake p99, ms",
        "awake_p99_ms",
        2,
        awake.1,
    );
    let report = woken(report, "asleep", ["asleep_p50_ms", "asleep_p99_ms", "wake_ms"], asleep, awake);
    let keys = ["restarted_p50_ms", "restarted_p99_ms", "restarted_wake_ms"];
    let report = woken(report, "after a restart", keys, after_start, awake);
    Ok(woken(report, "new, with a durable write", ["new_p50_ms", "new_p99_ms", "new_wake_ms"], made, awake))
}

fn woken(report: Report, what: &str, keys: [&'static str; 3], times: (f64, f64), awake: (f64, f64)) -> Report {
    report
        .figure(format!("{what} p50, ms"), keys[0], 2, times.0)
        .figure(format!("{what} p99, ms"), keys[1], 2, times.1)
        .figure(format!("{what}, more than awake, ms"), keys[2], 2, times.0 - awake.0)
}
