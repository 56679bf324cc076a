//! `selvedge test`: runs an app's own tests, in the manner of Vitest, inside the engine that serves
//! the app.
//!
//! **What a file of tests is.** A worker of its own, beside those of the app: `script::build_test`
//! writes its entry, which hands the file to the platform's runner (`selvedge:test/runner` of the
//! prelude). It has the bindings of the app's main worker, and one more, `SELF`, which leads to the
//! app by its routes ([`routed`]). So nothing here is special to the engine: tests are scripts, `SELF` is a service binding,
//! and limits are those of requests.
//!
//! **Who knows what.** The guest knows the tests; the driver ([`file`]) knows their order. It loads
//! the file, which answers with the tree of what it declares, chooses from that what runs ([`tree`]),
//! and then sends one request for each step: the `beforeAll` hooks of a suite, a test with its hooks,
//! the `afterAll` hooks. Each has a request's limits: a test that loops is ended by its CPU limit,
//! one that can't settle is found at once, one that waits too long is cut off; and the next goes on,
//! in another instance if this one was lost, for which the driver loads the file again and runs the
//! hooks of the suites that are open.
//!
//! **Data.** Each file has a deployment, with instances, data and a response cache of its own. The
//! driver takes a snapshot after the `beforeAll` hooks of a suite, and puts it back after each test in
//! it ([`data`]). KV and buckets are the memory models of their contracts; databases and objects
//! ([`sql`], [`objects`]) are the provider's own, and lie with everything else in a directory that goes
//! with the process ([`throwaway`]); compiled code is kept, under `.selvedge/test` in the project.
//!
//! **Time.** Fake timers are the guest's own affair; the time that they stand at is told to the app's
//! workers and to KV as well ([`control`], [`worker::ToldTime`]).
//!
//! **Threads.** A few, each a core with a runtime of its own; each takes one file after another.

mod alarms;
mod app;
mod control;
mod data;
mod discover;
mod file;
mod junit;
mod objects;
mod outcome;
mod pretty;
mod report;
mod rerun;
mod routed;
mod snapshots;
mod sql;
mod throwaway;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use base::limits::TEST;
use tokio::sync::mpsc;

use crate::cli::{self, Reporter};
use crate::terminal;
use crate::watch::Watch;
use app::{App, Suite, SuiteOptions, Unready};
use outcome::{FileOutcome, Run};
use report::Reports;
use snapshots::Update;

/// What the command ends with if there was nothing to run, or something could not be built.
pub const UNUSABLE: u8 = 2;

/// What the command ends with if it was told to stop, as shells have it for Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Files that run at the same time, where the command line says nothing.
const THREADS_MAX: usize = 4;

pub async fn run(args: cli::Test, json: bool) -> ExitCode {
    match try_run(args, json).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            crate::command::report(&error, json);
            ExitCode::from(UNUSABLE)
        }
    }
}

async fn try_run(args: cli::Test, json: bool) -> Result<u8> {
    let (dir, filters) = place(&args.paths)?;
    check_timeout(args.timeout)?;
    let reporter = args.reporter.unwrap_or(if json { Reporter::Json } else { Reporter::Pretty });
    let options = SuiteOptions {
        compiled: args.data.clone().unwrap_or_else(|| dir.join(".selvedge").join("test")),
        own_cache: args.data.is_none(),
        dir: dir.clone(),
        env: args.env.clone(),
        worker: args.worker.clone(),
        globals: args.globals,
        name: args.name.clone(),
        timeout_ms: args.timeout,
        update: Update::chosen(args.update),
    };
    let mut session = Session {
        suite: Suite::open(options)?,
        filters,
        reports: Reports::new(reporter, args.output.clone(), dir, args.name.is_some()),
        threads: args.cores.unwrap_or_else(|| terminal::cores(None).min(THREADS_MAX)).max(1),
    };
    let (stop, suite) = (terminal::stop_signal()?, session.suite.clone());
    let running = async {
        match args.watch {
            true => session.watch().await,
            false => session.once().await,
        }
    };
    tokio::select! {
        result = running => result,
        () = stop => {
            // Threads that still run tests end with the process, and clear up nothing.
            suite.clear_up();
            Ok(if args.watch { 0 } else { INTERRUPTED })
        }
    }
}

/// The first of the paths is the project if it is a directory; all others are parts of file names.
fn place(paths: &[String]) -> Result<(PathBuf, Vec<String>)> {
    let (dir, filters) = match paths.split_first() {
        Some((first, rest)) if Path::new(first).is_dir() => (Path::new(first), rest),
        _ => (Path::new("."), paths),
    };
    let dir = dir.canonicalize().with_context(|| format!("{} is not there", dir.display()))?;
    Ok((dir, filters.to_vec()))
}

fn check_timeout(timeout_ms: Option<u64>) -> Result<()> {
    let row = TEST.iter().find(|row| row.name == "test_ms").context("the limit test_ms has a row")?;
    match timeout_ms {
        Some(ms) if !(row.min..=row.max).contains(&ms) => {
            bail!("--timeout is {ms}; it must lie between {} and {} ms", row.min, row.max)
        }
        _ => Ok(()),
    }
}

struct Session {
    suite: Arc<Suite>,
    filters: Vec<String>,
    reports: Reports,
    threads: usize,
}

impl Session {
    async fn once(&mut self) -> Result<u8> {
        let begun = Instant::now();
        let app = Arc::new(self.suite.load().await?);
        let files = self.find(&app)?.files;
        if files.is_empty() {
            bail!("{}", discover::nothing_found(self.suite.dir(), &self.filters));
        }
        let run = self.run_files(&app, files, begun).await?;
        Ok(run.exit_code())
    }

    fn find(&self, app: &App) -> Result<discover::Found> {
        let found = discover::find(self.suite.dir(), &app.limits)?;
        Ok(discover::Found { files: discover::filter(found.files, &self.filters), ..found })
    }

    /// Runs these files and reports on them.
    async fn run_files(&mut self, app: &Arc<App>, files: Vec<String>, begun: Instant) -> Result<Run> {
        self.reports.begin(app.name(), files.len());
        let threads = self.threads.min(files.len());
        let (sender, mut outcomes) = mpsc::unbounded_channel();
        let queue = Arc::new(std::sync::Mutex::new(files.into_iter()));
        let workers: Vec<_> = (0..threads)
            .map(|index| {
                let (app, queue, sender) = (app.clone(), queue.clone(), sender.clone());
                let thread = std::thread::Builder::new().name(format!("tests-{index}"));
                thread.spawn(move || work(index, &app, &queue, &sender)).context("a thread did not start")
            })
            .collect::<Result<_>>()?;
        drop(sender);
        let mut by_name = BTreeMap::new();
        while let Some(outcome) = outcomes.recv().await {
            self.reports.file(&outcome);
            by_name.insert(outcome.file.clone(), outcome);
        }
        let panicked = workers.into_iter().filter_map(|worker| worker.join().err()).count();
        if panicked > 0 {
            bail!("a thread that ran tests panicked; please report this");
        }
        let run = Run { files: by_name.into_values().collect(), elapsed: begun.elapsed() };
        self.reports.end(&run, self.suite.name_filter())?;
        Ok(run)
    }

    /// Runs everything, then what depends on a file whenever that changes, until it is told to stop.
    async fn watch(&mut self) -> Result<u8> {
        let mut watch = Watch::new()?;
        let mut known = rerun::Known::default();
        let mut changed: Vec<PathBuf> = Vec::new();
        loop {
            if let Err(error) = self.round(&mut known, &changed).await {
                crate::command::report(&error, false);
                let unbuilt = error.downcast_ref::<crate::command::Unbuilt>().map(|failed| &failed.0.inputs);
                if let Some(inputs) = unbuilt.or(error.downcast_ref::<Unready>().map(|failed| &failed.inputs)) {
                    known.note_broken(inputs);
                }
            }
            watch.follow(&known.inputs());
            self.reports.waiting();
            changed = watch.changed().await;
        }
    }

    async fn round(&mut self, known: &mut rerun::Known, changed: &[PathBuf]) -> Result<()> {
        let begun = Instant::now();
        let app = match known.app(changed) {
            Some(app) => app,
            None => {
                let app = Arc::new(self.suite.load().await?);
                known.note_app(app.clone());
                app
            }
        };
        let found = self.find(&app)?;
        known.note_directories(found.directories);
        if found.files.is_empty() {
            bail!("{}", discover::nothing_found(self.suite.dir(), &self.filters));
        }
        let files = known.affected(&found.files, changed, &app);
        if files.is_empty() {
            return Ok(());
        }
        let concerns = |path: &&PathBuf| known.concerns(path, &found.files, &app);
        self.reports.changed(&changed.iter().filter(concerns).cloned().collect::<Vec<_>>());
        let run = self.run_files(&app, files, begun).await?;
        for file in run.files {
            known.note_file(file);
        }
        Ok(())
    }
}

/// One thread: a core, which runs files until there are no more.
fn work(
    index: usize,
    app: &Arc<App>,
    queue: &std::sync::Mutex<std::vec::IntoIter<String>>,
    sender: &mpsc::UnboundedSender<FileOutcome>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "there is no runtime for tests"),
    };
    loop {
        let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
        let Some(name) = next else { return };
        let local = tokio::task::LocalSet::new();
        let outcome = local.block_on(&runtime, file::run(app, index, name));
        // Whoever waits for outcomes is gone only if the process ends.
        let _ = sender.send(outcome);
    }
}
