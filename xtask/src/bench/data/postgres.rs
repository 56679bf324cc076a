//! PostgreSQL as a peer: a cluster of its own, with the settings of its package, asked by pgbench over
//! loopback. What it promises with them is what we do: a commit is on the disk when it is answered.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::Figures;
use super::cases::Case;
use super::contenders::{on_core, wait_for_port};
use crate::bench::peer::Tools;
use crate::bench::process::Server;
use crate::bench::stage::{LOAD_CORE, SERVER_CORE, free_address};
use crate::bench::table::percentile;
use crate::repo;

/// The user that its package made; the server refuses to be root.
const OWNER: &str = "postgres";
const SETUP: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
    INSERT INTO item SELECT n, repeat('x', 100) FROM generate_series(0, 999) AS n; VACUUM ANALYZE item;";

/// The programs of an installation.
#[derive(Debug)]
pub struct Postgres {
    server: PathBuf,
    initdb: PathBuf,
    psql: PathBuf,
    pgbench: PathBuf,
}

impl Postgres {
    pub fn find() -> Option<Self> {
        Some(Self {
            server: beside_server("postgres")?,
            initdb: beside_server("initdb")?,
            psql: repo::on_path("psql")?,
            pgbench: repo::on_path("pgbench")?,
        })
    }
}

/// Debian keeps what belongs to one version off the path; the newest there is.
fn beside_server(program: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let found = versions.map(|version| version.path().join("bin").join(program)).filter(|path| path.is_file());
    found.max().or_else(|| repo::on_path(program))
}

pub fn measure(tools: &Tools, postgres: &Postgres, case: &Case, folder: &Path, seconds: u32) -> Result<Figures> {
    let data = folder.join("postgres");
    fs::create_dir(&data).with_context(|| format!("creating {}", data.display()))?;
    let owner = hand_over(folder, &data)?;
    let as_owner = |command: &mut Command, program: &Path| {
        if owner {
            command.args(["--reuid", OWNER, "--regid", OWNER, "--clear-groups"]).arg(program);
        }
    };
    let first = |program: &Path| if owner { PathBuf::from("setpriv") } else { program.to_owned() };
    let mut init = Command::new(first(&postgres.initdb));
    as_owner(&mut init, &postgres.initdb);
    repo::output(init.args(["-A", "trust", "-U", OWNER, "-N", "-D"]).arg(&data))?;

    let address = free_address()?;
    let mut command = on_core(tools, SERVER_CORE, &first(&postgres.server));
    as_owner(&mut command, &postgres.server);
    command.arg("-D").arg(&data).args(["-p", &address.port().to_string(), "-c", "listen_addresses=127.0.0.1"]);
    command.args(["-c", "unix_socket_directories="]).stdin(Stdio::null()).stdout(Stdio::null());
    let log = folder.join("server.log");
    command.stderr(fs::File::create(&log)?);
    let server = Server::start(command, address, log)?;
    wait_for_port(address)?;
    let at = ["-h", "127.0.0.1", "-U", OWNER, "-p", &address.port().to_string()].map(str::to_owned);
    let mut setup = Command::new(&postgres.psql);
    setup.args(&at).args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]);
    for statement in SETUP.split_inclusive(';') {
        setup.args(["-c", statement]);
    }
    // The port opens before the server takes anybody.
    while repo::output(Command::new(&postgres.psql).args(&at).args(["-d", "postgres", "-c", "SELECT 1"])).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    repo::output(&mut setup)?;

    let script = folder.join("script.sql");
    fs::write(&script, format!("\\set id random(0, 999)\n{}\n", case.postgres))?;
    let run = |seconds: u32| -> Result<Figures> {
        let mut command = on_core(tools, LOAD_CORE, &postgres.pgbench);
        command.args(&at).args(["-n", "-j", "1", "-M", "prepared", "-c", &case.clients.to_string()]);
        command.args(["-T", &seconds.to_string(), "-l", "--log-prefix"]).arg(folder.join("times"));
        command.arg("-f").arg(&script).arg("postgres");
        repo::output(&mut command)?;
        figures(&take_times(folder)?, seconds)
    };
    run(1)?;
    let before = server.cpu_us()?;
    let found = run(seconds)?;
    let cpu_us = Some((server.cpu_us()? - before) / (found.per_s * f64::from(seconds)));
    Ok(Figures { cpu_us, ..found })
}

/// Gives a directory to the server's user, if we are root; answers whether.
fn hand_over(folder: &Path, data: &Path) -> Result<bool> {
    let id = |arguments: &[&str]| -> Result<u32> {
        repo::output(Command::new("id").args(arguments))?.trim().parse::<u32>().context("id printed no number")
    };
    if id(&["-u"])? != 0 {
        return Ok(false);
    }
    chown(data, Some(id(&["-u", OWNER])?), Some(id(&["-g", OWNER])?))?;
    // It has to come through.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711))?;
    Ok(true)
}

/// The times that pgbench noted, one line for each transaction; the files go.
fn take_times(folder: &Path) -> Result<String> {
    let mut all = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("times.")) {
            all += &fs::read_to_string(&path)?;
            fs::remove_file(&path)?;
        }
    }
    Ok(all)
}

/// Reads lines such as `CLIENT NUMBER MICROSECONDS SCRIPT SECOND MICROSECOND`.
pub fn figures(log: &str, seconds: u32) -> Result<Figures> {
    let times = log.lines().map(|line| line.split(' ').nth(2).and_then(|us| us.parse::<f64>().ok()));
    let mut times: Vec<f64> = times.collect::<Option<_>>().context("pgbench noted a line without a time")?;
    if times.is_empty() {
        bail!("pgbench noted no transaction");
    }
    times.sort_by(f64::total_cmp);
    let per_s = times.len() as f64 / f64::from(seconds);
    Ok(Figures { cpu_us: None, per_s, p50_us: percentile(&times, 0.5), p99_us: percentile(&times, 0.99) })
}
