//! Who is measured, and how each is started, loaded, and ended.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::cases::Case;
use super::node::{self, App, WORKERS};
use super::postgres::Postgres;
use super::{Figures, floor, postgres};
use crate::bench::cases as functions;
use crate::bench::load::{self, Target};
use crate::bench::peer::{Contender as Isolation, Tools};
use crate::bench::process::Server;
use crate::bench::stage::{LOAD_CORE, SERVER_CORE, Stage, free_address};
use crate::repo::{self, Repo};

const PEERS_FOLDER: &str = "SELVEDGE_BENCH_PEERS";
const WARM_S: u32 = 1;
const START_MAX: Duration = Duration::from_secs(20);
/// Keys of the workers, and how many one request to `/fill` writes.
const KEYS: u32 = 1_000;
const FILLED: u32 = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    Contract,
    Handler,
    RedisAlways,
    RedisEverysec,
    Postgres,
    Miniflare,
    Floor,
}

impl Contender {
    pub fn name(self) -> &'static str {
        match self {
            Self::Contract => "selvedge contract",
            Self::Handler => "selvedge handler",
            Self::RedisAlways => "redis always",
            Self::RedisEverysec => "redis everysec",
            Self::Postgres => "postgresql",
            Self::Miniflare => "miniflare",
            Self::Floor => "fsync floor",
        }
    }
}

/// The programs that only this bench needs.
#[derive(Debug)]
pub struct Peers {
    /// Built only where a case calls the contract.
    data_load: Option<PathBuf>,
    redis: Option<(PathBuf, PathBuf)>,
    postgres: Option<Postgres>,
    /// The folder that has `miniflare`, and node.
    miniflare: Option<(PathBuf, PathBuf)>,
}

impl Peers {
    pub fn find(repo: &Repo, contract: bool) -> Result<Self> {
        let folder = std::env::var_os(PEERS_FOLDER).map(PathBuf::from);
        let folder = folder.map(|folder| folder.canonicalize().context(PEERS_FOLDER)).transpose()?;
        let folder = folder.filter(|folder| folder.join("node_modules/miniflare").is_dir());
        Ok(Self {
            data_load: contract.then(|| build_data_load(repo)).transpose()?,
            postgres: Postgres::find(),
            redis: repo::on_path("redis-server").zip(repo::on_path("redis-benchmark")),
            miniflare: folder.zip(repo::on_path("node")),
        })
    }
}

pub fn build_data_load(repo: &Repo) -> Result<PathBuf> {
    repo.build_dist(&["--package", "selvedge-services-local", "--example", "data_load"], "examples/data_load")
}

pub fn measure(
    repo: &Repo,
    tools: &Tools,
    peers: &Peers,
    case: &Case,
    contender: Contender,
    seconds: u32,
) -> Result<Figures> {
    // A folder of its own, on the disk that all share; gone in the end.
    let stage = Stage::empty(Isolation::SelvedgeShared)?;
    match contender {
        Contender::Contract => contract(peers, case, stage.folder(), seconds),
        Contender::Handler => handler(repo, tools, case, &stage, seconds),
        Contender::RedisAlways => redis(tools, peers, case, stage.folder(), "always", seconds),
        Contender::RedisEverysec => redis(tools, peers, case, stage.folder(), "everysec", seconds),
        Contender::Postgres => {
            let advice = "PostgreSQL is missing; to get it: apt-get install postgresql";
            let found = peers.postgres.as_ref().context(advice)?;
            postgres::measure(tools, found, case, stage.folder(), seconds)
        }
        Contender::Miniflare => miniflare(repo, tools, peers, case, &stage, seconds),
        Contender::Floor => floor::measure(stage.folder(), seconds),
    }
}

fn contract(peers: &Peers, case: &Case, folder: &Path, seconds: u32) -> Result<Figures> {
    let data_load = peers.data_load.as_ref().context("it was not built")?;
    at_the_contract(data_load, case.contract, case.clients, folder, seconds)
}

/// What `examples/data_load` measures of an operation.
pub fn at_the_contract(
    data_load: &Path,
    operation: &str,
    clients: u32,
    folder: &Path,
    seconds: u32,
) -> Result<Figures> {
    let mut command = Command::new(data_load);
    command.arg(folder).arg(operation).args([clients.to_string(), seconds.to_string()]);
    parse_contract(&repo::output(&mut command)?)
}

pub fn parse_contract(printed: &str) -> Result<Figures> {
    let figures: Value = serde_json::from_str(printed).context("data_load printed no JSON")?;
    let number = |name: &str| figures[name].as_f64().with_context(|| format!("data_load printed no {name}"));
    let (cpu_us, per_s) = (Some(number("cpu_us")?), number("per_s")?);
    Ok(Figures { cpu_us, per_s, p50_us: number("p50_us")?, p99_us: number("p99_us")? })
}

fn handler(repo: &Repo, tools: &Tools, case: &Case, stage: &Stage, seconds: u32) -> Result<Figures> {
    node::deploy(repo, tools, stage, &App { worker: case.worker, binding: case.binding, ..App::default() })?;
    over_http(tools, case, &stage.start(tools)?, &stage.host(), seconds)
}

fn miniflare(repo: &Repo, tools: &Tools, peers: &Peers, case: &Case, stage: &Stage, seconds: u32) -> Result<Figures> {
    let advice =
        "miniflare is missing; to get it: npm install --prefix PEERS miniflare, with PEERS in SELVEDGE_BENCH_PEERS";
    let (packages, node) = peers.miniflare.as_ref().context(advice)?;
    let address = free_address()?;
    let mut command = on_core(tools, SERVER_CORE, node);
    command.arg(repo.path(WORKERS).join("miniflare.mjs")).arg(address.port().to_string());
    command.arg(repo.path(WORKERS).join(case.worker)).arg(stage.folder());
    command.env(PEERS_FOLDER, packages).stdin(Stdio::null()).stdout(Stdio::null());
    let log = stage.folder().join("server.log");
    command.stderr(fs::File::create(&log)?);
    over_http(tools, case, &Server::start(command, address, log)?, "localhost", seconds)
}

/// Fills the keys and asks as fast as the connections go.
fn over_http(tools: &Tools, case: &Case, server: &Server, host: &str, seconds: u32) -> Result<Figures> {
    let asked = functions::Case { name: case.name, path: case.path, expect: case.expect, ..functions::PLAIN };
    let target = Target { address: server.address(), host: host.to_owned(), case: &asked };
    server.first_answer(&target)?;
    for from in (0..KEYS).step_by(FILLED as usize) {
        let answer = load::ask(&target, &format!("/fill?from={from}"))?;
        if !answer.contains("Filled.") {
            bail!("the keys can't be filled:\n{}", answer.trim_end());
        }
    }
    load::check_answer(&target)?;
    let wrk = |seconds: u32| -> Result<load::Closed> {
        let mut command = on_core(tools, LOAD_CORE, &tools.wrk);
        command.args(["-t1", "--latency", "-c", &case.clients.to_string(), "-d", &format!("{seconds}s")]);
        command.args(["-H", &format!("Host: {host}")]).arg(format!("http://{}{}", target.address, case.path));
        load::parse_wrk(&repo::output(&mut command)?)
    };
    wrk(WARM_S)?;
    let before = server.cpu_us()?;
    let closed = wrk(seconds)?;
    if closed.requests == 0.0 {
        bail!("no request was answered within {seconds} s");
    }
    let cpu_us = Some((server.cpu_us()? - before) / closed.requests);
    Ok(Figures { cpu_us, per_s: closed.per_s, p50_us: closed.p50_us, p99_us: closed.p99_us })
}

fn redis(tools: &Tools, peers: &Peers, case: &Case, folder: &Path, appendfsync: &str, seconds: u32) -> Result<Figures> {
    let advice = "redis is missing; to get it: apt-get install redis-server redis-tools";
    let (program, benchmark) = peers.redis.as_ref().context(advice)?;
    let address = free_address()?;
    let mut command = on_core(tools, SERVER_CORE, program);
    command.args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
    command.args(["--appendfsync", appendfsync, "--daemonize", "no", "--dir"]).arg(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server::start(command, address, folder.join("server.log"))?;
    wait_for_port(address)?;
    let ask = |test: &str, requests: u64| -> Result<(f64, f64, f64)> {
        let mut command = on_core(tools, LOAD_CORE, benchmark);
        command.args(["-p", &address.port().to_string(), "-t", test, "-c", &case.clients.to_string(), "-d", "100"]);
        command.args(["-r", &KEYS.to_string(), "-n", &requests.to_string(), "--csv"]);
        parse_redis(&repo::output(&mut command)?)
    };
    // So that reads find something.
    ask("set", u64::from(KEYS) * 5)?;
    // It takes a number of requests, and no time: a short run tells how many fill the time.
    let (per_s, ..) = ask(case.redis, 20_000)?;
    let requests = (per_s * f64::from(seconds)) as u64;
    let before = server.cpu_us()?;
    let (per_s, p50_us, p99_us) = ask(case.redis, requests)?;
    let cpu_us = Some((server.cpu_us()? - before) / requests as f64);
    Ok(Figures { cpu_us, per_s, p50_us, p99_us })
}

/// Requests per second, and the median and the 99th percentile in microseconds.
pub fn parse_redis(printed: &str) -> Result<(f64, f64, f64)> {
    let mut lines = printed.lines().filter(|line| line.starts_with('"'));
    let fields = |line: Option<&str>| -> Result<Vec<String>> {
        let line = line.with_context(|| format!("redis-benchmark printed no table:\n{printed}"))?;
        Ok(line.split(',').map(|field| field.trim_matches('"').to_owned()).collect())
    };
    let (titles, values) = (fields(lines.next())?, fields(lines.next())?);
    let number = |title: &str| -> Result<f64> {
        let at = titles.iter().position(|known| known == title);
        let value = at.and_then(|at| values.get(at)?.parse().ok());
        value.with_context(|| format!("redis-benchmark printed no {title}"))
    };
    Ok((number("rps")?, number("p50_latency_ms")? * 1e3, number("p99_latency_ms")? * 1e3))
}

pub fn wait_for_port(address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        if begun.elapsed() > START_MAX {
            bail!("nothing listens on {address} after {} s", START_MAX.as_secs());
        }
        // The port opens when it opens: nothing tells us.
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

pub fn on_core(tools: &Tools, core: &str, program: &Path) -> Command {
    if !tools.pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}
