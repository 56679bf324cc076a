//! Who is measured, and where the programs are found. Nothing is installed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::repo::{self, Repo};

const PEERS_FOLDER: &str = "SELVEDGE_BENCH_PEERS";

/// A program to measure instead of the one that this repository builds, for comparing two.
const BINARY: &str = "SELVEDGE_BENCH_BINARY";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    SelvedgeShared,
    SelvedgeRequest,
    Workerd,
    Deno,
    Bun,
}

impl Contender {
    pub const ALL: [Self; 5] = [Self::SelvedgeShared, Self::SelvedgeRequest, Self::Workerd, Self::Deno, Self::Bun];

    pub fn name(self) -> &'static str {
        match self {
            Self::SelvedgeShared => "selvedge shared",
            Self::SelvedgeRequest => "selvedge request",
            Self::Workerd => "workerd",
            Self::Deno => "deno",
            Self::Bun => "bun",
        }
    }

    fn program_name(self) -> &'static str {
        if self.is_selvedge() { "selvedge" } else { self.name() }
    }

    pub fn is_selvedge(self) -> bool {
        matches!(self, Self::SelvedgeShared | Self::SelvedgeRequest)
    }

    /// The `isolation` of the manifest.
    pub fn isolation(self) -> &'static str {
        if self == Self::SelvedgeRequest { "request" } else { "shared" }
    }
}

/// The programs of this machine.
#[derive(Debug)]
pub struct Tools {
    /// The binary as it is installed, or why there is none.
    selvedge: Result<PathBuf, String>,
    workerd: Option<PathBuf>,
    deno: Option<PathBuf>,
    bun: Option<PathBuf>,
    pub esbuild: Option<PathBuf>,
    /// The folder that has `hono`.
    pub packages: Option<PathBuf>,
    pub wrk: PathBuf,
    pub h2load: Option<PathBuf>,
    /// Whether server and load get a core each.
    pub pinned: bool,
}

impl Tools {
    pub fn find(repo: &Repo) -> Result<Self> {
        let wrk = repo::on_path("wrk").context("wrk is missing; to get it: apt-get install wrk")?;
        let folder = std::env::var_os(PEERS_FOLDER).map(PathBuf::from);
        let folder = folder.map(|folder| folder.canonicalize().context(PEERS_FOLDER)).transpose()?;
        // The program itself: a launcher would stand between us and the process to measure.
        let find = |name: &str, places: &[&str]| {
            let inside = |place: &&str| Some(folder.as_ref()?.join("node_modules").join(place)).filter(|p| p.is_file());
            places.iter().find_map(inside).or_else(|| repo::on_path(name))
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            selvedge: build_selvedge(repo).map_err(|error| format!("{error:#}")),
            workerd: find(
                "workerd",
                &["@cloudflare/workerd-linux-64/bin/workerd", "@cloudflare/workerd-linux-arm64/bin/workerd"],
            ),
            deno: find("deno", &["@deno/linux-x64-glibc/deno", "@deno/linux-arm64-glibc/deno"]),
            bun: find("bun", &["@oven/bun-linux-x64/bin/bun", "@oven/bun-linux-aarch64/bin/bun", "bun/bin/bun.exe"]),
            esbuild: find("esbuild", &["@esbuild/linux-x64/bin/esbuild", "@esbuild/linux-arm64/bin/esbuild"]),
            packages: folder.filter(|folder| folder.join("node_modules/hono").is_dir()),
            wrk,
            h2load: repo::on_path("h2load"),
            pinned: cores > 1 && repo::on_path("taskset").is_some(),
        })
    }

    /// What the figures will lack on this machine.
    pub fn report(&self) {
        for contender in Contender::ALL {
            if let Err(reason) = self.program(contender) {
                eprintln!("without {}: {reason:#}", contender.name());
            }
        }
        if self.h2load.is_none() {
            eprintln!("without h2load there is no open loop; to get it: apt-get install nghttp2-client");
        }
        if !self.pinned {
            eprintln!("server and load share their cores, for want of two cores or of taskset: requests/s say little");
        }
    }

    /// What each program says its version is.
    pub fn versions(&self) -> BTreeMap<&'static str, String> {
        let programs = Contender::ALL.into_iter().filter_map(|contender| {
            let printed = repo::output(Command::new(self.program(contender).ok()?).arg("--version")).ok()?;
            let version = printed.lines().next()?.trim().trim_start_matches(contender.program_name()).trim();
            Some((contender.program_name(), version.to_owned()))
        });
        programs.collect()
    }

    pub fn has(&self, contender: Contender) -> bool {
        self.program(contender).is_ok()
    }

    pub fn program(&self, contender: Contender) -> Result<&Path> {
        let found = match contender {
            Contender::SelvedgeShared | Contender::SelvedgeRequest => match &self.selvedge {
                Ok(path) => return Ok(path),
                Err(reason) => bail!("it does not build: {reason}"),
            },
            Contender::Workerd => &self.workerd,
            Contender::Deno => &self.deno,
            Contender::Bun => &self.bun,
        };
        let name = contender.name();
        let advice =
            || format!("{name} is neither on PATH nor in {PEERS_FOLDER}; to get it: npm install --prefix PEERS {name}");
        found.as_deref().with_context(advice)
    }
}

/// The binary as it is installed, built if anything changed.
fn build_selvedge(repo: &Repo) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(BINARY) {
        return PathBuf::from(given).canonicalize().context(BINARY);
    }
    repo.build_dist(&["--package", "selvedge"], "selvedge")
}
