//! A place with a data directory and projects, the commands that are run there, and nodes that end
//! with the test.
//!
//! No test sleeps for something to happen: [`until`] asks until it has happened, and gives up after
//! [`PATIENCE`].

mod browser;
mod client;
mod node;
mod pebble;
mod warm;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use browser::Browser;
pub use client::{Answer, Request};
pub use node::{Node, Watcher};
pub use pebble::{BOUND_KEY, Pebble, PebbleOptions, free_port};

/// How long to wait for what ought to take milliseconds; a loaded machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

const BINARY: &str = env!("CARGO_BIN_EXE_selvedge");

/// The manifest of one worker in `src/index.ts` that takes every path.
pub const ONE_WORKER: &str = "name = \"app\"\n[workers.web]\nentry = \"src/index.ts\"\n";

/// A directory of the test's own, with a data directory whose engine cache is warm.
pub struct Place {
    dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { dir: TempDir::new().expect("a temporary directory") };
        warm::copy(&place.data());
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// A project of these files, as (path, content).
    pub fn project(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let dir = self.path(name);
        for (file, content) in files {
            write(&dir.join(file), content);
        }
        dir
    }

    /// A project of one worker.
    pub fn worker(&self, source: &str) -> PathBuf {
        self.project("project", &[("selvedge.toml", ONE_WORKER), ("src/index.ts", source)])
    }

    /// A copy of one of the repository's recipes, free to be changed.
    pub fn recipe(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        copy_dir(&repository().join("recipes").join(name), &dir);
        dir
    }

    /// `selvedge dev PROJECT` on this place's data.
    pub fn dev(&self, project: &Path) -> Node {
        Node::start(self.command(["dev"]).arg(project), &self.data())
    }

    /// `selvedge serve` on this place's data.
    pub fn serve(&self) -> Node {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, args: &[&str]) -> Node {
        Node::start(self.command(["serve"]).args(args), &self.data())
    }

    /// A node that serves this one app, deployed before its start.
    pub fn serve_project(&self, project: &Path) -> Node {
        self.deploy(project).expect_success();
        self.serve()
    }

    pub fn deploy(&self, project: &Path) -> Outcome {
        self.on_data(&["deploy", &project.display().to_string()])
    }

    /// Runs a command with `--data`.
    pub fn on_data(&self, args: &[&str]) -> Outcome {
        self.on_data_with(args, b"")
    }

    pub fn on_data_with(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        Outcome::of(self.command(args.iter().copied()).arg("--data").arg(self.data()), stdin)
    }

    /// `selvedge test PROJECT`, with the compiled code of this place.
    pub fn test(&self, project: &Path, args: &[&str]) -> Outcome {
        let mut command = self.command(["test"]);
        Outcome::of(command.arg(project).args(args).arg("--data").arg(self.data()), b"")
    }

    /// The same with variables of the process.
    pub fn test_with(&self, project: &Path, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let mut command = self.command(["test"]);
        command.envs(variables.iter().copied());
        Outcome::of(command.arg(project).args(args).arg("--data").arg(self.data()), b"")
    }

    /// `selvedge test PROJECT --watch`.
    pub fn watch_tests(&self, project: &Path, args: &[&str]) -> Watcher {
        let mut command = self.command(["test"]);
        Watcher::start(command.arg(project).args(args).args(["--watch", "--data"]).arg(self.data()))
    }

    /// Runs a command that needs no data.
    pub fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(args.iter().copied()), b"")
    }

    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("SELVEDGE_LOG")
            .env_remove("CI")
            .env("NO_COLOR", "1");
        command
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Outcome {
    pub ok: bool,
    /// What it ended with; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(command: &mut Command, stdin: &[u8]) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut input = child.stdin.take().expect("a pipe");
        // A command that reads nothing may be gone already.
        let _ = input.write_all(stdin);
        drop(input);
        let output = child.wait_with_output().expect("the command ends");
        Self {
            ok: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn expect_success(self) -> String {
        assert!(self.ok, "the command failed:\n{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// What it said on standard error, for it must have failed.
    #[track_caller]
    pub fn expect_failure(self) -> String {
        assert!(!self.ok, "the command succeeded:\n{}{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "it panicked:\n{}", self.stderr);
        self.stderr
    }

    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let text = self.expect_success();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

/// Asks until there is an answer.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for this: {what}");
        std::thread::yield_now();
    }
}

/// Replaces a file as editors do, or makes it, with the directories that lead to it.
pub fn write(path: &Path, content: &str) {
    let parent = path.parent().expect("a file in a directory");
    fs::create_dir_all(parent).expect("a directory");
    let temporary = parent.join(".new");
    fs::write(&temporary, content).expect("a file");
    fs::rename(&temporary, path).expect("the file in its place");
}

/// Runs what speaks with a node through an asynchronous client.
pub fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}

/// Draws numbers below a bound, the same ones each time.
pub fn draws(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        // Knuth's constants (MMIX); the upper bits are the good ones.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_name() == ".selvedge" || entry.file_name() == "target" {
            continue;
        }
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
