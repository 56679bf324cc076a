//! The load: `wrk` over HTTP/1.1, `h2load` over HTTP/2 and for what needs thousands of connections.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::Figures;
use super::cases::{Case, Way};
use super::contenders::{HOST, on_core};
use super::origin::Origin;
use crate::bench::load::{CONNECTIONS, parse_wrk};
use crate::bench::peer::Tools;
use crate::bench::process::Server;
use crate::bench::stage::LOAD_CORE;
use crate::repo;

const STREAMS: usize = 10;
const WARM_S: u32 = 1;
const HERD: usize = 10_000;
/// As many as one process may open where files are limited to 20,000.
const IDLE: usize = 15_000;
const START_MAX: Duration = Duration::from_secs(20);
/// Longer than any of them waits until it gives back what a request took.
const QUIET_S: u32 = 5;
/// What a server that does nothing may take in a second.
const QUIET_US: f64 = 20_000.0;
const CONNECTED_WITHIN: Duration = Duration::from_secs(120);

pub struct Load<'a> {
    pub tools: &'a Tools,
    pub case: &'a Case,
    pub address: SocketAddr,
    pub seconds: u32,
}

impl Load<'_> {
    fn url(&self) -> String {
        let scheme = if self.case.tls() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, self.case.path())
    }

    /// Until the server takes connections.
    pub fn wait(&self, server: &Server) -> Result<()> {
        let begun = Instant::now();
        while std::net::TcpStream::connect(self.address).is_err() {
            ensure!(begun.elapsed() < START_MAX, "it does not listen\n{}", server.log());
            // The port opens when it opens: nothing tells us.
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What is about to be measured must be the right answer. A herd's and a set's first request is its own.
    pub fn check(&self) -> Result<()> {
        if !self.case.kind.seeded() {
            return Ok(());
        }
        let version = if self.case.way == Way::TlsTwo { "--http2" } else { "--http1.1" };
        for _ in 0..3 {
            let mut curl = Command::new("curl");
            curl.args(["-sk", version, "-o", "/dev/null", "-w", "%{http_code} %{size_download} %{http_version}"]);
            curl.args(["--retry", "5", "--retry-all-errors", "--retry-delay", "1"]);
            let printed = repo::output(curl.args(["-H", &format!("Host: {HOST}"), &self.url()]))?;
            let expected = if self.case.way == Way::TlsTwo { "2" } else { "1.1" };
            let right = format!("200 {} {expected}", self.case.bytes);
            ensure!(printed == right, "the answer is not that of the case: {printed}, not {right}");
        }
        Ok(())
    }

    pub fn requests(&self, server: &Server, origin: &Origin) -> Result<Figures> {
        let run = |seconds| if self.case.way == Way::TlsTwo { self.h2load(seconds) } else { self.wrk(seconds, &[]) };
        run(WARM_S)?;
        let (cpu_before, origin_before) = (server.cpu_us()?, origin.requests());
        let (requests, mut figures) = run(self.seconds)?;
        figures.cpu_us = Some((server.cpu_us()? - cpu_before) / requests);
        figures.rss_kib = Some(server.rss_kib()? as f64);
        if self.case.cached {
            figures.origin = Some((origin.requests() - origin_before) as f64);
        }
        Ok(figures)
    }

    /// `wrk` closes after each request and resumes no session.
    pub fn handshakes(&self, server: &Server) -> Result<Figures> {
        let close = ["-H", "Connection: close"];
        self.wrk(WARM_S, &close)?;
        let before = server.cpu_us()?;
        let (requests, mut figures) = self.wrk(self.seconds, &close)?;
        figures.cpu_us = Some((server.cpu_us()? - before) / requests);
        Ok(figures)
    }

    fn wrk(&self, seconds: u32, more: &[&str]) -> Result<(f64, Figures)> {
        let mut command = on_core(self.tools, LOAD_CORE, &self.tools.wrk);
        command.args(["-t1", "--latency", "-c", &CONNECTIONS.to_string(), "-d", &format!("{seconds}s")]);
        command.args(["-H", &format!("Host: {HOST}")]).args(more).arg(self.url());
        let closed = parse_wrk(&repo::output(&mut command)?)?;
        ensure!(closed.requests > 0.0, "no request was answered");
        let (p50_us, p99_us) = (Some(closed.p50_us), Some(closed.p99_us));
        Ok((closed.requests, Figures { per_s: Some(closed.per_s), p50_us, p99_us, ..Figures::default() }))
    }

    fn h2load_command(&self) -> Result<Command> {
        let h2load =
            self.tools.h2load.as_ref().context("h2load is missing; to get it: apt-get install nghttp2-client")?;
        let mut command = on_core(self.tools, LOAD_CORE, h2load);
        command.arg("-t1").arg(format!("--connect-to={}", self.address));
        Ok(command)
    }

    fn named_url(&self) -> String {
        let scheme = if self.case.tls() { "https" } else { "http" };
        format!("{scheme}://{HOST}:{}{}", self.address.port(), self.case.path())
    }

    fn h2load(&self, seconds: u32) -> Result<(f64, Figures)> {
        let mut command = self.h2load_command()?;
        command.args(["-c", &CONNECTIONS.to_string(), "-m", &STREAMS.to_string(), "-D", &seconds.to_string()]);
        let (requests, per_s) = parse_h2load(&repo::output(command.arg(self.named_url()))?)?;
        Ok((requests, Figures { per_s: Some(per_s), ..Figures::default() }))
    }

    /// All at once, one request each, and the origin takes its time.
    pub fn herd(&self, origin: &Origin) -> Result<Figures> {
        let mut command = self.h2load_command()?;
        command.args(["--h1", "-c", &HERD.to_string(), "-n", &HERD.to_string()]).arg(self.named_url());
        let begun = Instant::now();
        let (requests, _) = parse_h2load(&repo::output(&mut command)?)?;
        ensure!(requests == HERD as f64, "{} of {HERD} were answered", requests);
        let per_s = Some(requests / begun.elapsed().as_secs_f64());
        Ok(Figures { per_s, origin: Some(origin.requests() as f64), ..Figures::default() })
    }

    /// What one more connection costs that had a request once.
    pub fn idle(&self, server: &Server) -> Result<Figures> {
        // The first connections also pay for what is made once.
        if self.case.way == Way::TlsTwo {
            self.h2load(WARM_S)?
        } else {
            self.wrk(WARM_S, &[])?
        };
        let before = server.rss_kib()? as f64;
        let silent = Silent::start(self)?;
        silent.wait(server)?;
        let idle = server.rss_kib()? as f64 - before;
        Ok(Figures { idle_kib: Some(idle / IDLE as f64), rss_kib: Some(before), ..Figures::default() })
    }
}

/// `h2load` that asks once on each connection and then waits. Ended when dropped.
struct Silent {
    child: Child,
    port: u16,
}

impl Silent {
    fn start(load: &Load) -> Result<Self> {
        let mut command = load.h2load_command()?;
        if load.case.way != Way::TlsTwo {
            command.arg("--h1");
        }
        // A request of each when it is connected, and the next in a quarter of an hour.
        command.args(["-c", &IDLE.to_string(), "-D", "600", "--rps", "0.001"]).arg(load.named_url());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: command.spawn().context("starting h2load")?, port: load.address.port() })
    }

    /// Until all are connected and have been answered, which is when the server has nothing to do.
    fn wait(&self, server: &Server) -> Result<()> {
        let begun = Instant::now();
        let (mut connected, mut cpu_us, mut quiet) = (0, 0.0, 0);
        while connected < IDLE || quiet < QUIET_S {
            if begun.elapsed() > CONNECTED_WITHIN {
                bail!("{connected} of {IDLE} connections were made");
            }
            std::thread::sleep(Duration::from_secs(1));
            connected = established(self.port)?;
            let now_us = server.cpu_us()?;
            quiet = if now_us - cpu_us < QUIET_US { quiet + 1 } else { 0 };
            cpu_us = now_us;
        }
        Ok(())
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Established connections to a local port, as `/proc/net/tcp` has them (state 01).
fn established(port: u16) -> Result<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp").context("reading /proc/net/tcp")?;
    let own = format!(":{port:04X}");
    let is_own = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&own)) && fields.nth(1) == Some("01")
    };
    Ok(table.lines().filter(is_own).count())
}

/// How many requests succeeded, and how many a second.
pub fn parse_h2load(printed: &str) -> Result<(f64, f64)> {
    let line = |label: &str| printed.lines().find_map(|line| line.strip_prefix(label));
    let failed = || format!("h2load's figures are not as expected:\n{printed}");
    let per_s = line("finished in ").and_then(|rest| rest.split(", ").nth(1)?.strip_suffix(" req/s")?.parse().ok());
    let counts = line("requests: ").with_context(failed)?;
    let count = |what: &str| -> Option<f64> {
        counts.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok())
    };
    let (succeeded, wrong) = (count("succeeded").with_context(failed)?, count("failed").with_context(failed)?);
    ensure!(wrong == 0.0 && succeeded > 0.0, "requests failed: {counts}");
    Ok((succeeded, per_s.with_context(failed)?))
}
