//! One app at 30 % of its peak, alone and beside requests of another app that loop for ever.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};

use super::Pace;
use super::cases;
use super::load::{self, Rate, Target};
use super::peer::{Contender, Tools};
use super::process::Server;
use super::report::Report;
use super::stage::{self, Stage};
use super::table;
use crate::repo::Repo;

pub const NAME: &str = "fairness";
const LOOPS: usize = 64;
const SHARE: f64 = 0.3;
const NOISE_APP: &str = "noise";

/// The loops outlast the measurement: every limit that would end them is at its largest.
const NOISE_LIMITS: &str = "limits = { cpu_ms = 300000, head_ms = 3600000 }";

pub fn run(repo: &Repo, tools: &Tools, quick: bool) -> Result<Report> {
    let pace = Pace::of(quick);
    let case = cases::hello();
    let stage = Stage::prepare(repo, tools, case, Contender::SelvedgeShared)?;
    deploy_noise(repo, tools, &stage)?;
    let server = stage.start(tools)?;
    let target = Target { address: server.address(), host: stage.host(), case };
    server.first_answer(&target)?;
    load::check_answer(&target)?;
    load::closed(tools, &stage, &target, pace.warm_s)?;
    let peak = load::closed(tools, &stage, &target, pace.run_s)?;
    let rate = Rate { per_s: peak.per_s * SHARE, connections: load::CONNECTIONS, pace };
    let alone = load::at_rate(tools, &stage, &target, rate)?;
    let mut loops = start_loops(&server)?;
    let beside = load::at_rate(tools, &stage, &target, rate)?;
    check_still_looping(&mut loops)?;
    let percentile = |outcomes: &[load::Outcome], share| table::percentile(&load::good_times(outcomes), share) / 1e3;
    let failed = |outcomes: &[load::Outcome]| outcomes.iter().filter(|outcome| outcome.status != 200).count() as f64;
    let asked = rate.per_s * f64::from(pace.run_s);
    Ok(Report::new(NAME, format!("hello at {:.0} % of its peak, beside {LOOPS} endless loops", SHARE * 100.0))
        .figure("peak alone, req/s", "peak_per_s", 0, peak.per_s)
        .figure("alone: reached of the rate, %", "alone_reached_percent", 1, alone.len() as f64 / asked * 100.0)
        .figure("alone: failed", "alone_failed", 0, failed(&alone))
        .figure("alone: p50, ms", "alone_p50_ms", 2, percentile(&alone, 0.5))
        .figure("alone: p99, ms", "alone_p99_ms", 2, percentile(&alone, 0.99))
        .figure("beside: reached of the rate, %", "beside_reached_percent", 1, beside.len() as f64 / asked * 100.0)
        .figure("beside: failed", "beside_failed", 0, failed(&beside))
        .figure("beside: p50, ms", "beside_p50_ms", 2, percentile(&beside, 0.5))
        .figure("beside: p99, ms", "beside_p99_ms", 2, percentile(&beside, 0.99)))
}

fn deploy_noise(repo: &Repo, tools: &Tools, stage: &Stage) -> Result<()> {
    let folder = stage.folder().join(NOISE_APP);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("worker.js"), "export default { fetch() { for (;;) {} } };\n")?;
    stage::write_manifest(repo, &folder, NOISE_APP, Contender::SelvedgeShared)?;
    let path = folder.join("selvedge.toml");
    let manifest = fs::read_to_string(&path)?;
    let isolation = manifest.lines().find(|line| line.starts_with("isolation")).context("no isolation is set")?;
    fs::write(&path, manifest.replace(isolation, &format!("{isolation}\n{NOISE_LIMITS}")))?;
    stage::deploy(tools, Contender::SelvedgeShared, &folder, &stage.data())
}

/// The requests last for as long as their connections are held.
fn start_loops(server: &Server) -> Result<Vec<TcpStream>> {
    let start = |_| {
        let mut stream = TcpStream::connect(server.address())?;
        write!(stream, "GET / HTTP/1.1\r\nhost: {NOISE_APP}.localhost\r\n\r\n")?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    };
    (0..LOOPS).map(start).collect()
}

fn check_still_looping(loops: &mut [TcpStream]) -> Result<()> {
    for stream in loops {
        let mut answer = [0; 512];
        match stream.read(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => bail!("a loop lost its connection: {error}"),
            Ok(length) => bail!("a loop was answered: {}", String::from_utf8_lossy(&answer[..length]).trim_end()),
        }
    }
    Ok(())
}
