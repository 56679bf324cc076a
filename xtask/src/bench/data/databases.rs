//! Thousands of databases on one node, of which few are asked: memory and open files follow those; and a
//! thousand that all write at once.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::node::{App, Node, deployed, sleep_until_idle};
use super::{contenders, floor};
use crate::bench::load::{self, Closed};
use crate::bench::peer::Tools;
use crate::bench::report::Report;
use crate::bench::stage::{LOAD_CORE, Stage};
use crate::repo::{self, Repo};

pub const NAME: &str = "databases";
const DATABASES: usize = 10_000;
const QUICK: usize = 1_000;
const ACTIVE: usize = 100;
/// So many write at once, by as many connections.
const WRITING: usize = 1_000;
/// Databases that one request makes, and requests that make them at the same time.
const MADE: usize = 40;
const MAKERS: usize = 4;

const IDLE: &str = "[limits]\nsql_idle_ms = 1000\n";
const AT_ONCE: &str = "[limits]\nconnections = 10000\nconnections_per_address = 10000\nsql_files_open = 2000\n";
/// How long the sleepers may take to close: each leaves a file that is whole.
const CLOSING_MAX: Duration = Duration::from_secs(300);

pub fn run(repo: &Repo, tools: &Tools, quick: bool) -> Result<Report> {
    let (databases, seconds) = if quick { (QUICK, 2) } else { (DATABASES, 6) };
    let data_load = contenders::build_data_load(repo)?;
    // What a node takes that has no more databases than are active.
    let few = active_of(tools, &tenants(repo, tools, IDLE)?, ACTIVE)?;
    let many = active_of(tools, &tenants(repo, tools, IDLE)?, databases)?;
    let stage = tenants(repo, tools, AT_ONCE)?;
    let node = Node::start(tools, &stage, "/read?of=1")?;
    make(&node, WRITING)?;
    let together = wrk(&node, WRITING, &format!("/write?of={WRITING}"), seconds)?;
    drop(node);
    let contract = stage.folder().join("contract");
    fs::create_dir(&contract)?;
    let contract = contenders::at_the_contract(&data_load, NAME, WRITING as u32, &contract, seconds)?;
    let floor = floor::measure(stage.folder(), seconds)?;
    let mib = |kib: u64| kib as f64 / 1024.0;
    let about = format!(
        "{databases} databases, {ACTIVE} of them active, and {WRITING} that write at once: memory and files are to be those of \
         the active ones, commits at least 5 x the floor"
    );
    Ok(Report::new(NAME, about)
        .figure("RSS with as many as are active, MiB", "few_rss_mib", 0, mib(few.active.rss_kib))
        .figure("RSS with all, asleep, MiB", "asleep_rss_mib", 0, mib(many.asleep.rss_kib))
        .figure("RSS with all, some active, MiB", "active_rss_mib", 0, mib(many.active.rss_kib))
        .figure("files with as many as are active", "few_files", 0, few.active.files as f64)
        .figure("files with all, asleep", "asleep_files", 0, many.asleep.files as f64)
        .figure("files with all, some active", "active_files", 0, many.active.files as f64)
        .figure("reads of active ones, few, /s", "few_reads_per_s", 0, few.reads.per_s)
        .figure("reads of active ones, all, /s", "many_reads_per_s", 0, many.reads.per_s)
        .figure("commits at once, contract, /s", "contract_commits_per_s", 0, contract.per_s)
        .figure("commits at once, contract, p99, ms", "contract_commits_p99_ms", 1, contract.p99_us / 1e3)
        .figure("commits at once, handler, /s", "commits_per_s", 0, together.per_s)
        .figure("commits at once, handler, p99, ms", "commits_p99_ms", 1, together.p99_us / 1e3)
        .figure("flushes of one writer, /s", "floor_per_s", 0, floor.per_s)
        .figure("commits over flushes, contract", "contract_commits_over_floor", 1, contract.per_s / floor.per_s)
        .figure("commits over flushes, handler", "commits_over_floor", 1, together.per_s / floor.per_s))
}

fn tenants(repo: &Repo, tools: &Tools, limits: &str) -> Result<Stage> {
    let binding = "TENANTS = { sql = \"t-*\" }";
    deployed(repo, tools, &App { worker: "tenants.js", binding, config: limits.to_owned(), ..App::default() })
}

/// What the node holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    rss_kib: u64,
    files: usize,
}

#[derive(Debug)]
struct Active {
    asleep: Held,
    active: Held,
    reads: Closed,
}

/// Makes databases, lets all sleep, and asks some.
fn active_of(tools: &Tools, stage: &Stage, databases: usize) -> Result<Active> {
    let node = Node::start(tools, stage, "/read?of=1")?;
    make(&node, databases)?;
    let asleep = asleep(&node)?;
    let reads = wrk(&node, ACTIVE, &format!("/read?of={ACTIVE}"), 2)?;
    Ok(Active { asleep, active: held(&node)?, reads })
}

fn held(node: &Node) -> Result<Held> {
    Ok(Held { rss_kib: node.server.rss_kib()?, files: node.server.files_open()? })
}

/// What it holds once no more is closed.
fn asleep(node: &Node) -> Result<Held> {
    let (begun, mut last) = (Instant::now(), usize::MAX);
    while begun.elapsed() < CLOSING_MAX {
        sleep_until_idle();
        let now = held(node)?;
        if now.files >= last {
            return Ok(now);
        }
        last = now.files;
    }
    bail!("databases were still being closed after {} s", CLOSING_MAX.as_secs())
}

fn make(node: &Node, databases: usize) -> Result<()> {
    let batches: Vec<usize> = (0..databases).step_by(MADE).collect();
    thread::scope(|scope| {
        let makers: Vec<_> = (0..MAKERS)
            .map(|maker| {
                let own: Vec<usize> = batches.iter().copied().skip(maker).step_by(MAKERS).collect();
                scope.spawn(move || own.into_iter().try_for_each(|from| made(node, from)))
            })
            .collect();
        makers.into_iter().try_for_each(|maker| match maker.join() {
            Ok(made) => made,
            Err(_) => bail!("a thread that made databases panicked"),
        })
    })
}

fn made(node: &Node, from: usize) -> Result<()> {
    node.ask(&format!("/make?from={from}"), "Made.").map(drop)
}

fn wrk(node: &Node, connections: usize, path: &str, seconds: u32) -> Result<Closed> {
    let program: &Path = &node.tools.wrk;
    let mut command = contenders::on_core(node.tools, LOAD_CORE, program);
    command.args(["-t1", "--latency", "-c", &connections.to_string(), "-d", &format!("{seconds}s")]);
    command.args(["-H", &format!("Host: {}", node.host())]).arg(format!("http://{}{path}", node.server.address()));
    load::parse_wrk(&repo::output(&mut command)?)
}
