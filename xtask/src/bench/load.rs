//! The load: one request by hand, a closed loop by wrk, an open loop by h2load.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::cases::Case;
use super::peer::Tools;
use super::stage::{LOAD_CORE, Stage};
use super::table;
use crate::repo;

pub const CONNECTIONS: usize = 32;
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// An open loop that reached less of its rate did not keep up.
const KEPT_UP: f64 = 0.97;

#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub warm_s: u32,
    pub run_s: u32,
}

impl Pace {
    pub fn of(quick: bool) -> Self {
        if quick { Self { warm_s: 1, run_s: 2 } } else { Self { warm_s: 2, run_s: 6 } }
    }
}

#[derive(Debug)]
pub struct Target<'a> {
    pub address: SocketAddr,
    pub host: String,
    pub case: &'a Case,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closed {
    pub requests: f64,
    pub per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Open {
    pub p50_us: f64,
    pub p99_us: f64,
    /// Whether the rate was reached.
    pub kept_up: bool,
}

/// Asks once, on a connection of its own, and gives the whole answer.
pub fn ask(target: &Target, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&target.address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_nodelay(true)?;
    let body = target.case.body.map(|body| body()).unwrap_or_default();
    let (method, host) = (target.case.method(), &target.host);
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{length}");
    stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.is_empty() {
        bail!("the connection was closed without an answer");
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What is about to be measured must be the right answer.
pub fn check_answer(target: &Target) -> Result<()> {
    let answer = ask(target, target.case.path)?;
    if !answer.starts_with("HTTP/1.1 200") || !answer.contains(target.case.expect) {
        bail!("the answer is not that of the case:\n{}", answer.trim_end());
    }
    Ok(())
}

/// As fast as 32 connections go, one request in flight on each.
pub fn closed(tools: &Tools, stage: &Stage, target: &Target, seconds: u32) -> Result<Closed> {
    let mut command = on_load_core(tools, &tools.wrk);
    command.args(["-t1", "--latency", "-c", &CONNECTIONS.to_string(), "-d", &format!("{seconds}s")]);
    command.args(["-H", &format!("Host: {}", target.host)]);
    if let Some(body) = target.case.body {
        let script = stage.folder().join("post.lua");
        let content = "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n";
        fs::write(&script, format!("{content}wrk.body = [==[{}]==]\n", body()))?;
        command.arg("-s").arg(script);
    }
    command.arg(format!("http://{}{}", target.address, target.case.path));
    parse_wrk(&repo::output(&mut command)?)
}

pub fn parse_wrk(printed: &str) -> Result<Closed> {
    if let Some(line) = printed.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx")) {
        bail!("requests failed: {}", line.trim());
    }
    let after = |label: &str| {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(label));
        line.map(str::trim).with_context(|| format!("wrk printed no {label:?}:\n{printed}"))
    };
    let requests =
        printed.lines().find_map(|line| line.trim().split_once(" requests in")).context("wrk printed no count")?;
    Ok(Closed {
        requests: requests.0.parse().context("wrk's count")?,
        per_s: after("Requests/sec:")?.parse().context("wrk's rate")?,
        p50_us: microseconds(after("50%")?)?,
        p99_us: microseconds(after("99%")?)?,
    })
}

/// `1.26ms` and its like.
fn microseconds(text: &str) -> Result<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 6e7)];
    let found =
        units.into_iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor));
    found.with_context(|| format!("{text:?} is no time"))
}

/// A steady rate, whatever the answers take.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub per_s: f64,
    pub connections: usize,
    pub pace: Pace,
}

/// What came of one request of an open loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Of HTTP; less than 100 where there was no answer.
    pub status: i64,
    pub time_us: f64,
}

/// The latencies at a rate that the server can keep up with; `None` without h2load.
pub fn open(tools: &Tools, stage: &Stage, target: &Target, per_s: f64, pace: Pace) -> Result<Option<Open>> {
    if tools.h2load.is_none() {
        return Ok(None);
    }
    let outcomes = at_rate(tools, stage, target, Rate { per_s, connections: CONNECTIONS, pace })?;
    summarise(&outcomes, per_s * f64::from(pace.run_s)).map(Some)
}

/// Every outcome at a rate that is more, perhaps, than the server can keep up with.
pub fn at_rate(tools: &Tools, stage: &Stage, target: &Target, rate: Rate) -> Result<Vec<Outcome>> {
    let h2load = tools.h2load.as_ref().context("h2load is missing; to get it: apt-get install nghttp2-client")?;
    let Rate { per_s, connections, pace } = rate;
    let log = stage.folder().join("open.tsv");
    let mut command = on_load_core(tools, h2load);
    command.args(["--h1", "-t1", "-c", &connections.to_string(), "-D", &pace.run_s.to_string()]);
    command.args(["--warm-up-time", &pace.warm_s.to_string()]);
    command.arg(format!("--rps={:.2}", per_s / connections as f64)).arg(format!("--log-file={}", log.display()));
    if let Some(body) = target.case.body {
        let data = stage.folder().join("body.json");
        fs::write(&data, body())?;
        command.arg("-d").arg(data).args(["-H", "content-type: application/json"]);
    }
    command.arg(format!("--connect-to={}", target.address));
    command.arg(format!("http://{}:{}{}", target.host, target.address.port(), target.case.path));
    repo::output(&mut command)?;
    let records = fs::read_to_string(&log).context("reading h2load's log")?;
    let _ = fs::remove_file(&log);
    parse_h2load(&records)
}

/// Each line is the start, the status and the microseconds until the end of one response.
pub fn parse_h2load(records: &str) -> Result<Vec<Outcome>> {
    let outcomes: Option<Vec<Outcome>> = records
        .lines()
        .map(|record| {
            let mut fields = record.split('\t').skip(1);
            Some(Outcome { status: fields.next()?.parse().ok()?, time_us: fields.next()?.parse().ok()? })
        })
        .collect();
    let outcomes = outcomes.context("h2load's log is not as expected")?;
    if outcomes.is_empty() {
        bail!("h2load recorded no request");
    }
    Ok(outcomes)
}

/// The latencies, if all is well.
pub fn summarise(outcomes: &[Outcome], expected: f64) -> Result<Open> {
    if let Some(failed) = outcomes.iter().find(|outcome| outcome.status != 200) {
        bail!("a request failed at 70 % of the peak, with status {}", failed.status);
    }
    let times = good_times(outcomes);
    let at = |share: f64| table::percentile(&times, share);
    Ok(Open { p50_us: at(0.5), p99_us: at(0.99), kept_up: times.len() as f64 >= expected * KEPT_UP })
}

/// The microseconds of those that were answered with 200, shortest first.
pub fn good_times(outcomes: &[Outcome]) -> Vec<f64> {
    let good = outcomes.iter().filter(|outcome| outcome.status == 200);
    let mut times: Vec<f64> = good.map(|outcome| outcome.time_us).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn on_load_core(tools: &Tools, program: &Path) -> Command {
    if !tools.pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CORE]).arg(program);
    command
}
