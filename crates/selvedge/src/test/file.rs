//! Drives one file of tests: one request for each step, in the order of the tree.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::{Artifact, Body, Digest};
use bytes::Bytes;
use control::BuiltWorker;
use futures_util::future::LocalBoxFuture;
use http::{HeaderMap, Method};
use serde::Deserialize;

use telemetry::{GuestLine, Level, Record, RecordHandle, Sink};
use tokio::sync::oneshot;
use worker::{Call, Event, Failure, FetchEvent, Frame, Response};

use super::app::{App, Stage, TESTS_WORKER};
use super::data::Snapshot;
use super::outcome::{ConsoleLine, FileOutcome, Problem, Status, SuiteProblem, TestOutcome};
use super::snapshots::{Snapshots, Written};
use super::tree::{Course, Fate, Node, Step};
use crate::prepare;
use crate::site::OnFailure;
use problems::{GuestProblem, Places};

pub mod problems;

/// Bytes of what the guest answers to one step.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// How many times its limit a step may go on that computes, until its CPU limit ends it.
const COMPUTING_LIMITS: u32 = 9;
/// How many instances one step is tried in.
const INSTANCES_MAX: u32 = 4;
/// How long an instance that waits takes to say so, at most.
const PING: Duration = Duration::from_secs(1);

type Running = LocalBoxFuture<'static, Result<Response, Failure>>;

pub async fn run(app: &Arc<App>, core: usize, name: String) -> FileOutcome {
    let begun = Instant::now();
    let mut outcome = FileOutcome::new(name);
    if let Err(problem) = run_into(app, core, &mut outcome).await {
        outcome.problems.push(SuiteProblem { path: Vec::new(), problem: *problem });
    }
    outcome.elapsed = begun.elapsed();
    outcome
}

async fn run_into(app: &Arc<App>, core: usize, outcome: &mut FileOutcome) -> Result<(), Box<Problem>> {
    let (dir, file, globals) = (app.suite.dir().to_owned(), outcome.file.clone(), app.globals);
    let options = control::script_options(app.build_settings());
    let building = tokio::task::spawn_blocking(move || script::build_test(&dir, Path::new(&file), globals, &options));
    let built = match building.await {
        Ok(Ok(built)) => built,
        Ok(Err(errors)) => {
            outcome.inputs = errors.inputs.clone();
            outcome.unbuilt = Some(errors);
            return Ok(());
        }
        Err(_) => return Err(Problem::plain("the build panicked; please report this").into()),
    };
    outcome.inputs = built.inputs;
    outcome.calls_app = app.is_called_by(&built.script);
    let places = Places::new(built.script.clone());
    let artifact = Artifact::Script(built.script);
    let bytes = Bytes::from(artifact.encode());
    let worker = BuiltWorker { artifact, digest: Digest::of(&bytes), bytes };
    let prepared = prepare::worker(&app.suite.engine, worker, &app.worker_limits()).await;
    let prepared = prepared.map_err(|failure| places.of_failure(&failure))?;
    let log = Arc::<Log>::default();
    let hears = log.clone();
    let on_failure: OnFailure = Arc::new(move |worker, failure| hears.failure(worker.as_str(), failure));
    let stage = app.stage(core, &outcome.file, prepared.code, on_failure).await;
    let stage = stage.map_err(|error| Problem::plain(&format!("{error:#}")))?;
    let mut driver = Driver {
        app,
        stage,
        places,
        outcome,
        course: Course::default(),
        instance: String::new(),
        open: Vec::new(),
        log,
        snapshots: Snapshots::default(),
    };
    let result = driver.run().await;
    let snapshots = std::mem::take(&mut driver.snapshots);
    let (written, problems) = snapshots.write(app.suite.dir());
    outcome.snapshots = written;
    outcome.problems.extend(problems.into_iter().map(|problem| SuiteProblem { path: Vec::new(), problem }));
    result
}

/// What the guest answers to a step.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    /// It is another instance than the one that was meant.
    stale: bool,
    problems: Vec<GuestProblem>,
    uncaught: Vec<GuestProblem>,
    skipped: Option<String>,
    instance: String,
    tree: Option<Node>,
    snapshots: Vec<Written>,
}

struct Driver<'a> {
    app: &'a App,
    stage: Stage,
    places: Places,
    outcome: &'a mut FileOutcome,
    course: Course,
    /// The instance that has loaded the file.
    instance: String,
    /// Suites that were entered and not left, outermost first.
    open: Vec<Open>,
    log: Arc<Log>,
    /// What is to be written into files of tests.
    snapshots: Snapshots,
}

struct Open {
    /// Index in the course.
    suite: usize,
    /// Its hooks failed, or those of one around it: its tests can't run.
    broken: bool,
    /// Its own `beforeAll` hooks were not run, because of one around it.
    untouched: bool,
    /// What was stored after its `beforeAll` hooks.
    data: Snapshot,
}

impl Driver<'_> {
    async fn run(&mut self) -> Result<(), Box<Problem>> {
        let Some(Node::Suite(root)) = self.load().await? else {
            return Err(Problem::plain("the runner told of no tests").into());
        };
        self.course = Course::of(&root, self.app.suite.name_filter());
        if self.course.tests.is_empty() {
            let help = "declare one with test(name, () => { … })";
            let problem = Problem { help: Some(help.to_owned()), ..Problem::plain("the file declares no tests") };
            return Err(problem.into());
        }
        for step in self.course.steps.clone() {
            match step {
                Step::Enter(suite) => self.enter(suite).await,
                Step::Test(test) => self.test(test).await,
                Step::Leave(suite) => self.leave(suite).await,
            }
        }
        Ok(())
    }

    /// Lets an instance load the file; answers what it declares.
    async fn load(&mut self) -> Result<Option<Node>, Box<Problem>> {
        // A new instance has no fake timers.
        self.stage.told.tell(None);
        let answer = self.ask("load", 0, self.app.limits.hook_ms, "loading the file").await;
        self.take_console(&[]);
        let answer = answer?;
        self.note_uncaught(&answer, &[]);
        if let Some(problem) = answer.problems.first() {
            return Err(self.places.of_guest(problem).into());
        }
        self.instance = answer.instance;
        Ok(answer.tree)
    }

    async fn enter(&mut self, index: usize) {
        let suite = &self.course.suites[index];
        let (id, before) = (suite.id, suite.before);
        let untouched = self.open.last().is_some_and(|open| open.broken);
        let mut broken = untouched;
        if let Some(own) = before.filter(|_| !untouched) {
            let limit = own.max(self.app.limits.hook_ms);
            let result = self.step("before", id, limit, "the beforeAll hooks").await;
            broken = self.note_hooks(index, result);
        }
        let data = self.stage.data.snapshot().await.unwrap_or_else(|error| {
            broken |= self.note_hooks(index, Err(Problem::plain(&format!("{error:#}")).into()));
            Snapshot::default()
        });
        self.open.push(Open { suite: index, broken, untouched, data });
    }

    async fn leave(&mut self, index: usize) {
        let suite = &self.course.suites[index];
        let untouched = self.open.last().is_some_and(|open| open.untouched);
        if let Some(own) = suite.after.filter(|_| !untouched) {
            let limit = own.max(self.app.limits.hook_ms);
            let result = self.step("after", suite.id, limit, "the afterAll hooks").await;
            self.note_hooks(index, result);
        }
        self.open.pop();
        self.restore();
    }

    /// Puts back what the app's data was when the innermost suite that is open began its tests.
    fn restore(&self) {
        match self.open.last() {
            Some(open) => self.stage.data.restore(&open.data),
            None => self.stage.data.clear(),
        }
    }

    /// Notes what the hooks of a suite said; true if something is wrong.
    fn note_hooks(&mut self, suite: usize, result: Result<Answer, Box<Problem>>) -> bool {
        let open = self.open.iter().map(|open| open.suite).filter(|&open| open != suite).chain([suite]);
        let names = open.map(|index| self.course.suites[index].name.clone());
        let path: Vec<String> = names.filter(|name| !name.is_empty()).collect();
        self.take_console(&path);
        let problems = match result {
            Ok(answer) => {
                self.note_uncaught(&answer, &path);
                self.snapshots.note(&answer.snapshots, &self.places);
                answer.problems.iter().map(|problem| self.places.of_guest(problem)).collect()
            }
            Err(problem) => vec![*problem],
        };
        let is_wrong = !problems.is_empty();
        let problems = problems.into_iter().map(|problem| SuiteProblem { path: path.clone(), problem });
        self.outcome.problems.extend(problems);
        is_wrong
    }

    async fn test(&mut self, index: usize) {
        let planned = &self.course.tests[index];
        let (node, path) = (planned.node.clone(), planned.path.clone());
        let begun = Instant::now();
        let mut outcome = TestOutcome {
            path: path.clone(),
            name: node.name.clone(),
            status: Status::Skipped,
            elapsed: Duration::ZERO,
            problems: Vec::new(),
            place: node.site.as_deref().and_then(|site| self.places.of_site(site)),
            note: String::new(),
        };
        let broken = self.open.last().is_some_and(|open| open.broken);
        match planned.fate {
            Fate::Todo => outcome.status = Status::Todo,
            Fate::Runs if !broken => {
                let limit = node.timeout.unwrap_or(self.app.limits.test_ms).max(node.hooks);
                let during: Vec<String> = path.iter().chain([&node.name]).cloned().collect();
                (outcome.status, outcome.note) = match self.step("test", node.id, limit, "the test").await {
                    Ok(answer) => self.judge(answer, &during, outcome.place.as_ref(), &mut outcome.problems),
                    Err(problem) => {
                        outcome.problems.push(self.places.or_at(*problem, outcome.place.clone()));
                        self.clean(node.id, &during, &mut outcome.problems).await;
                        (Status::Failed, String::new())
                    }
                };
                if node.fails && outcome.status != Status::Skipped {
                    invert(&mut outcome, &self.places);
                }
                self.take_console(&during);
                self.restore();
            }
            Fate::Runs | Fate::Skipped => {}
        }
        outcome.elapsed = begun.elapsed();
        self.outcome.tests.push(outcome);
    }

    fn judge(
        &mut self,
        answer: Answer,
        during: &[String],
        place: Option<&Frame>,
        problems: &mut Vec<Problem>,
    ) -> (Status, String) {
        self.note_uncaught(&answer, during);
        self.snapshots.note(&answer.snapshots, &self.places);
        let found = answer.problems.iter().map(|problem| self.places.of_guest(problem));
        problems.extend(found.map(|problem| self.places.or_at(problem, place.cloned())));
        match answer.skipped {
            _ if !problems.is_empty() => (Status::Failed, String::new()),
            Some(note) => (Status::Skipped, note),
            None => (Status::Passed, String::new()),
        }
    }

    /// Lets the hooks run that a test never came to, because it was ended from outside. If its
    /// instance is gone, so is what they would clear up.
    async fn clean(&mut self, test: u32, during: &[String], problems: &mut Vec<Problem>) {
        let limit = self.app.limits.hook_ms;
        if let Ok(answer) = self.ask("clean", test, limit, "the afterEach hooks").await {
            self.judge(answer, during, None, problems);
        }
    }

    /// A step in the instance that has loaded the file; in a new one, brought to the same point, if
    /// that was lost. One that is paused in a computation counts as lost until it is through.
    async fn step(&mut self, command: &str, id: u32, limit_ms: u64, what: &str) -> Result<Answer, Box<Problem>> {
        for _ in 0..INSTANCES_MAX {
            let answer = self.ask(command, id, limit_ms, what).await?;
            if !answer.stale {
                return Ok(answer);
            }
            self.prepare_again().await?;
        }
        Err(Problem::plain(&format!("the sandbox of this file was lost {INSTANCES_MAX} times in a row")).into())
    }

    /// Brings a new instance to where the lost one was.
    async fn prepare_again(&mut self) -> Result<(), Box<Problem>> {
        self.load().await?;
        let suites = self.open.iter().filter(|open| !open.broken).map(|open| &self.course.suites[open.suite]);
        let hooks: Vec<u32> = suites.filter(|suite| suite.before.is_some()).map(|suite| suite.id).collect();
        for suite in hooks {
            let answer = self.ask("before", suite, self.app.limits.hook_ms, "the beforeAll hooks").await?;
            if let Some(problem) = answer.problems.first() {
                return Err(self.places.of_guest(problem).into());
            }
        }
        self.restore();
        Ok(())
    }

    /// Sends one step and waits for what comes of it, and for what it left behind.
    async fn ask(&self, command: &str, id: u32, limit_ms: u64, what: &str) -> Result<Answer, Box<Problem>> {
        let (running, over) = self.send(command, id);
        let answer = match self.within(running, limit_ms).await {
            Ok(Ok(response)) => read(response.into_body()).await,
            Ok(Err(failure)) => Err(problems::of_step(&self.places, &failure, what, &self.app.limits).into()),
            Err(limit_ms) => Err(problems::timed_out(what, limit_ms).into()),
        };
        self.quiet(over).await;
        answer
    }

    /// What comes of a step in time, or how long was waited for it. A busy machine gives a loop
    /// little CPU time, and its CPU limit is the better end, which the instance survives: a step
    /// that computes may go on.
    async fn within(&self, mut running: Running, limit_ms: u64) -> Result<Result<Response, Failure>, u64> {
        let limit = Duration::from_millis(limit_ms);
        match tokio::time::timeout(limit, &mut running).await {
            Ok(result) => Ok(result),
            Err(_) if self.computes().await => {
                let longer = tokio::time::timeout(limit * COMPUTING_LIMITS, running).await;
                longer.map_err(|_| limit_ms * u64::from(COMPUTING_LIMITS + 1))
            }
            Err(_) => Err(limit_ms),
        }
    }

    /// Waits until nothing acts for a step any more; what goes on for longer is left to go on.
    async fn quiet(&self, over: oneshot::Receiver<()>) {
        let quiet = Duration::from_millis(self.app.limits.quiet_ms);
        let _ = tokio::time::timeout(quiet, over).await;
    }

    /// Sends one step. The second future is ready when nothing acts for it any more.
    fn send(&self, command: &str, id: u32) -> (Running, oneshot::Receiver<()>) {
        let update = self.app.suite.options.update.word();
        let body = serde_json::json!({ "instance": self.instance, "id": id, "update": update }).to_string();
        let event = FetchEvent {
            method: Method::POST,
            url: format!("http://selvedge.test/{command}"),
            headers: HeaderMap::new(),
            body: Body::full(body),
            client: None,
            cf: None,
            entry: None,
        };
        let (done, over) = oneshot::channel();
        let sink = StepSink { log: self.log.clone(), done: Mutex::new(Some(done)) };
        let call = Call::new(RecordHandle::new(Record::default(), Arc::new(sink)));
        (self.stage.tests.invoke(call, Event::Fetch(Box::new(event))), over)
    }

    /// Whether the instance is in the middle of a computation: then it is not the one that answers.
    async fn computes(&self) -> bool {
        let (running, over) = self.send("ping", 0);
        let computes = match tokio::time::timeout(PING, running).await {
            Ok(Ok(response)) => read(response.into_body()).await.is_ok_and(|answer| answer.stale),
            Ok(Err(_)) | Err(_) => true,
        };
        self.quiet(over).await;
        computes
    }

    fn note_uncaught(&mut self, answer: &Answer, during: &[String]) {
        let problems = answer.uncaught.iter().map(|problem| self.places.of_guest(problem));
        let problems = problems.map(|problem| SuiteProblem { path: during.to_vec(), problem });
        self.outcome.uncaught.extend(problems);
    }

    fn take_console(&mut self, during: &[String]) {
        let lines = std::mem::take(&mut *self.log.lines());
        let lines = lines.into_iter().map(|line| ConsoleLine { during: during.to_vec(), ..line });
        self.outcome.console.extend(lines);
    }
}

/// A test that is to fail passes if it does.
fn invert(outcome: &mut TestOutcome, places: &Places) {
    if outcome.status == Status::Failed {
        outcome.status = Status::Passed;
        outcome.problems.clear();
    } else {
        outcome.status = Status::Failed;
        let problem = Problem::plain("the test is marked as one that fails, and it passed");
        outcome.problems.push(places.or_at(problem, outcome.place.clone()));
    }
}

async fn read(body: Body) -> Result<Answer, Box<Problem>> {
    let failed = |error: &dyn std::fmt::Display| Problem::plain(&format!("the result can't be read: {error}"));
    let bytes = body.collect(ANSWER_BYTES_MAX).await.map_err(|error| failed(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| failed(&error).into())
}

/// What was written since the last look.
#[derive(Default)]
struct Log(Mutex<Vec<ConsoleLine>>);

impl Log {
    fn lines(&self) -> std::sync::MutexGuard<'_, Vec<ConsoleLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, line: GuestLine) {
        self.lines().push(ConsoleLine {
            during: Vec::new(),
            worker: Some(line.worker.to_string()).filter(|worker| worker != TESTS_WORKER),
            is_error: line.level >= Level::Warn,
            text: line.text,
            source: line.source,
        });
    }

    /// Why a worker of the app failed: its caller, a test, is told no more than that it did.
    fn failure(&self, worker: &str, failure: &Failure) {
        let stack =
            failure.stack.as_ref().map_or(String::new(), |stack| format!("\n{}", problems::without_platform(stack)));
        self.lines().push(ConsoleLine {
            during: Vec::new(),
            worker: Some(worker.to_owned()),
            is_error: true,
            text: format!("{} ({})\n{}{stack}", failure.code.title, failure.code.name, failure.detail),
            source: None,
        });
    }
}

/// Where the record of one step goes: it comes when nothing acts for the step any more.
struct StepSink {
    log: Arc<Log>,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Sink for StepSink {
    fn record(&self, _: Record) {
        if let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nobody may wait any more.
            let _ = done.send(());
        }
    }

    fn line(&self, line: GuestLine) {
        self.log.line(line);
    }
}
