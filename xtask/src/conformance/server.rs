//! The program under test, as a process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context as _, Result};

use crate::repo::{self, Repo};

/// A program to test instead of the one that this repository builds.
const BINARY: &str = "SELVEDGE_CONFORMANCE_BINARY";

/// What a server says once it listens, in front of its addresses.
const LISTENS: &str = "://";
const LISTENS_FOR_ADMIN: &str = "admin on http://";

/// The program, built if anything changed.
pub fn program(repo: &Repo) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(BINARY) {
        return PathBuf::from(given).canonicalize().context(BINARY);
    }
    repo::run(repo.cargo().args(["build", "--package", "selvedge"]))?;
    let metadata = repo.metadata()?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?;
    Ok(Path::new(target).join("debug/selvedge"))
}
/// `selvedge dev` on one app; ended when dropped.
pub struct Server {
    child: Child,
    /// Where it serves.
    pub address: String,
    said: Option<std::thread::JoinHandle<String>>,
}

impl Server {
    /// With `more` on its command line; an authority of its own lies with its data.
    pub fn start(program: &Path, data: &Path, app: &Path, more: &[&str]) -> Result<Self> {
        fs::create_dir_all(data).with_context(|| format!("creating {}", data.display()))?;
        let mut command = Command::new(program);
        command.arg("dev").arg(app).args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data"]).arg(data);
        command
            .args(more)
            .env("XDG_DATA_HOME", data)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let stderr = child.stderr.take().context("a pipe")?;
        let (sender, addresses) = mpsc::channel();
        let said = std::thread::spawn(move || collect(stderr, &sender));
        let mut server = Self { child, address: String::new(), said: Some(said) };
        match addresses.recv() {
            Ok(address) => server.address = address,
            Err(_) => anyhow::bail!("selvedge ended before it listened:\n{}", server.stop()),
        }
        Ok(server)
    }

    /// Ends it, and gives what it said.
    pub fn stop(mut self) -> String {
        self.end();
        self.said.take().and_then(|said| said.join().ok()).unwrap_or_default()
    }

    fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads to the end, and sends the address of the server once it listens everywhere.
fn collect(pipe: impl Read, address: &mpsc::Sender<String>) -> String {
    let (mut said, mut sent) = (String::new(), false);
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        if !sent && said.contains(LISTENS_FOR_ADMIN) {
            let (_, rest) = said.split_once(LISTENS).unwrap_or_default();
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
            // The other side is gone only when the run ends.
            let _ = address.send(rest[..end].to_owned());
            sent = true;
        }
    }
    said
}
