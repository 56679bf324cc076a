//! The server under measure: its process tree, what that cost, and its end.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::load::{self, Target};
use crate::repo;

const START_MAX: Duration = Duration::from_secs(20);
const END_MAX: Duration = Duration::from_secs(20);

/// Ended when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    began: Instant,
    tick_us: f64,
    log: PathBuf,
}

impl Server {
    pub fn start(mut command: Command, address: SocketAddr, log: PathBuf) -> Result<Self> {
        let ticks = repo::output(Command::new("getconf").arg("CLK_TCK"))?;
        let tick_us = 1e6 / ticks.trim().parse::<f64>().context("getconf CLK_TCK gave no number")?;
        let began = Instant::now();
        let child = command.spawn().context("starting the server")?;
        Ok(Self { child, address, began, tick_us, log })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Milliseconds from exec to the end of the first answer, whatever it is.
    pub fn first_answer(&self, target: &Target) -> Result<f64> {
        loop {
            if load::ask(target, target.case.seed.unwrap_or(target.case.path)).is_ok() {
                return Ok(self.began.elapsed().as_secs_f64() * 1e3);
            }
            if self.began.elapsed() > START_MAX {
                bail!("no answer within {} s\n{}", START_MAX.as_secs(), self.log());
            }
            // The port opens when it opens: nothing tells us.
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default().trim_end().to_owned()
    }

    /// User and system time of the whole tree so far, of what of it has ended too.
    pub fn cpu_us(&self) -> Result<f64> {
        let ticks: u64 = self.tree()?.iter().map(|stat| stat.ticks).sum();
        Ok(ticks as f64 * self.tick_us)
    }

    pub fn rss_kib(&self) -> Result<u64> {
        self.memory_kib("VmRSS:")
    }

    /// The most that it ever was.
    pub fn rss_max_kib(&self) -> Result<u64> {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, label: &str) -> Result<u64> {
        let sizes = self.tree()?.into_iter().filter_map(|stat| {
            let status = fs::read_to_string(format!("/proc/{}/status", stat.pid)).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix(label))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        });
        Ok(sizes.sum())
    }

    /// Files and sockets that it has open.
    pub fn files_open(&self) -> Result<usize> {
        let counts = self.tree()?.into_iter().map(|stat| Ok(fs::read_dir(format!("/proc/{}/fd", stat.pid))?.count()));
        counts.sum::<std::io::Result<usize>>().context("counting open files")
    }

    /// Ends it at once, in the middle of whatever it does.
    pub fn kill(&self) -> Result<()> {
        repo::run(Command::new("kill").args(["-KILL", &self.child.id().to_string()]))
    }

    /// The server and all that descends from it.
    fn tree(&self) -> Result<Vec<Stat>> {
        let entries = fs::read_dir("/proc").context("reading /proc")?;
        let stats = entries.filter_map(|entry| {
            let path = entry.ok()?.path().join("stat");
            Stat::parse(&fs::read_to_string(path).ok()?)
        });
        Ok(descendants(u64::from(self.child.id()), stats.collect()))
    }
}

/// Where a program that is compiled to do so writes how often each part of it ran, as it ends by itself.
pub const PROFILE: &str = "LLVM_PROFILE_FILE";

impl Drop for Server {
    fn drop(&mut self) {
        // What it started may not end with it.
        let started = self.tree().unwrap_or_default().into_iter().skip(1);
        let started: Vec<String> = started.map(|stat| stat.pid.to_string()).collect();
        let asked = std::env::var_os(PROFILE).is_some()
            && repo::runs(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
        if !asked || !ended(&mut self.child) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        if !started.is_empty() {
            repo::runs(Command::new("kill").arg("-KILL").args(started));
        }
    }
}

/// Whether it ends by itself within the time that a server has for that.
fn ended(child: &mut Child) -> bool {
    let asked = Instant::now();
    while asked.elapsed() < END_MAX {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// What `/proc/PID/stat` says, as far as we ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    pub pid: u64,
    pub parent: u64,
    /// User and system time of all its threads and of the children that it has waited for: a server may have
    /// a process for each connection.
    pub ticks: u64,
}

impl Stat {
    /// The name in parentheses may hold anything, so fields are counted from the last one.
    pub fn parse(text: &str) -> Option<Self> {
        let (pid, _) = text.split_once(' ')?;
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let times = (11..15).map(number).collect::<Option<Vec<_>>>()?;
        Some(Self { pid: pid.parse().ok()?, parent: number(1)?, ticks: times.iter().sum() })
    }
}

pub fn descendants(root: u64, all: Vec<Stat>) -> Vec<Stat> {
    let mut tree: Vec<Stat> = all.iter().filter(|stat| stat.pid == root).cloned().collect();
    let mut at = 0;
    while at < tree.len() {
        let parent = tree[at].pid;
        tree.extend(all.iter().filter(|stat| stat.parent == parent).cloned());
        at += 1;
    }
    tree
}
