//! An engine without a guest: what an event does is said by its path.
//!
//! `/ok` answers; `/gate` waits for the gate before it answers; `/pause` does so on the stack;
//! `/later` answers and goes on in `waitUntil` until the gate opens; `/trap` loses the instance;
//! `/rot` loses it after its answer; `/panic` panics; `/grow` fills the memory, `/need` all but three sixteenths of it; `/next/…` calls the
//! binding with the rest of the path. `/share` waits for the gate and leaves no trace, so that it is
//! given back if its instance is lost meanwhile; `/mark` does the same and leaves one.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{Artifact, Body, Digest, WorkerLimits, code};
use futures_util::future::LocalBoxFuture;
use telemetry::Phases;
use tokio::sync::{Notify, Semaphore};
use worker::{
    Again, Call, Core, Ended, Engine, Env, Event, Failure, Handle, Instance, InstanceState, Program, Response,
    StartReport,
};

#[derive(Default)]
pub struct FakeEngine {
    /// What is not here has to be prepared.
    pub prepared: Mutex<HashSet<Digest>>,
    /// How many of the next starts fail, by the step in which they do.
    pub broken: Mutex<HashMap<&'static str, u64>>,
    pub counts: Counts,
    pub gate: Gate,
    /// What an event that is given back has used of its time.
    pub spent_ms: AtomicU64,
}

#[derive(Default)]
pub struct Counts {
    pub loads: AtomicU64,
    pub prepares: AtomicU64,
    pub events: AtomicU64,
    pub live: AtomicU64,
    pub live_max: AtomicU64,
    pub programs: AtomicU64,
    ids: AtomicU64,
}

pub struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Gate {
    /// Lets so many through.
    pub fn open(&self, count: usize) {
        self.0.add_permits(count);
    }

    async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

impl FakeEngine {
    pub fn breaks(&self, step: &'static str, times: u64) {
        self.broken.lock().unwrap().insert(step, times);
    }

    fn step(&self, step: &'static str) -> Result<(), Failure> {
        match self.broken.lock().unwrap().get_mut(step) {
            Some(times) if *times > 0 => {
                *times -= 1;
                Err(Failure::new(&code::START_FAILED, format!("{step} is broken")))
            }
            _ => Ok(()),
        }
    }
}

/// The engine as others hold it, and as its programs do.
#[derive(Clone)]
pub struct Shared(pub Arc<FakeEngine>);

impl Engine for Shared {
    fn prepare(&self, artifact: &Artifact, _: &WorkerLimits) -> Result<StartReport, Failure> {
        self.0.counts.prepares.fetch_add(1, Ordering::SeqCst);
        self.0.step("prepare")?;
        self.0.prepared.lock().unwrap().insert(artifact.digest());
        Ok(StartReport::default())
    }

    fn load(&self, artifact: &Digest, _: &WorkerLimits) -> Result<Option<Arc<dyn Program>>, Failure> {
        self.0.counts.loads.fetch_add(1, Ordering::SeqCst);
        self.0.step("load")?;
        if self.0.broken.lock().unwrap().get("panic in load").is_some_and(|&times| times > 0) {
            panic!("the fake engine panics in load");
        }
        let there = self.0.prepared.lock().unwrap().contains(artifact);
        Ok(there.then(|| {
            self.0.counts.programs.fetch_add(1, Ordering::SeqCst);
            Arc::new(FakeProgram(self.0.clone())) as Arc<dyn Program>
        }))
    }
}

struct FakeProgram(Arc<FakeEngine>);

impl Drop for FakeProgram {
    fn drop(&mut self) {
        self.0.counts.programs.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Program for FakeProgram {
    fn instantiate(self: Arc<Self>, _: &Core, env: &Arc<Env>, _: &Cell<Phases>) -> Result<Rc<dyn Instance>, Failure> {
        self.0.step("instantiate")?;
        let live = self.0.counts.live.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.counts.live_max.fetch_max(live, Ordering::SeqCst);
        Ok(Rc::new(FakeInstance {
            id: self.0.counts.ids.fetch_add(1, Ordering::SeqCst) + 1,
            program: self.clone(),
            env: env.clone(),
            in_flight: Cell::new(0),
            events: Cell::new(0),
            memory: Cell::new(1 << 20),
            worn: Cell::new(false),
            paused: Cell::new(false),
            lost: Cell::new(false),
            loss: Notify::new(),
        }))
    }
}

struct FakeInstance {
    id: u64,
    program: Arc<FakeProgram>,
    env: Arc<Env>,
    in_flight: Cell<u64>,
    events: Cell<u64>,
    memory: Cell<u64>,
    worn: Cell<bool>,
    paused: Cell<bool>,
    lost: Cell<bool>,
    loss: Notify,
}

impl Drop for FakeInstance {
    fn drop(&mut self) {
        self.program.0.counts.live.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An invocation until it is over; it holds the call, as the contract demands.
struct Running {
    instance: Rc<FakeInstance>,
    call: RefCell<Option<Call>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.instance.in_flight.set(self.instance.in_flight.get() - 1);
        drop(self.call.take());
    }
}

impl FakeInstance {
    fn lose(&self) {
        self.lost.set(true);
        self.loss.notify_waiters();
    }

    fn answer(&self) -> Response {
        http::Response::new(Body::full(self.id.to_string()))
    }

    async fn handle(self: Rc<Self>, call: Call, event: Event) -> Result<Response, Ended> {
        let Event::Fetch(fetched) = &event else { panic!("only fetch events here") };
        let path = fetched.url.clone();
        assert!(!self.lost.get(), "an event entered a lost instance");
        self.events.set(self.events.get() + 1);
        self.in_flight.set(self.in_flight.get() + 1);
        let engine = self.program.0.clone();
        engine.counts.events.fetch_add(1, Ordering::SeqCst);
        let running = Running { instance: self.clone(), call: RefCell::new(Some(call.clone())) };
        match path.as_str() {
            "/ok" => {}
            "/gate" => engine.gate.pass().await,
            "/pause" => {
                self.paused.set(true);
                engine.gate.pass().await;
                self.paused.set(false);
            }
            "/later" => {
                tokio::task::spawn_local(async move {
                    engine.gate.pass().await;
                    drop(running);
                });
            }
            "/rot" => {
                tokio::task::spawn_local(async move { running.instance.lose() });
            }
            "/trap" => {
                self.lose();
                return Err(Failure::new(&code::GUEST_TRAP, "unreachable executed").into());
            }
            "/share" | "/mark" => tokio::select! {
                biased;
                () = self.loss.notified() => {
                    let failure = Failure::new(&code::INSTANCE_LOST, "another event ended the instance");
                    let spent = Duration::from_millis(engine.spent_ms.load(Ordering::SeqCst));
                    let again = (path == "/share").then(|| Box::new(Again { call, event, spent }));
                    return Err(Ended { failure, again });
                }
                () = engine.gate.pass() => {}
            },
            "/panic" => panic!("the fake engine panics in run"),
            "/wear" => self.worn.set(true),
            "/grow" => self.memory.set(self.env.limits.memory_mib << 20),
            "/need" => self.memory.set((self.env.limits.memory_mib << 20) / 16 * 13),
            other => {
                let rest = other.strip_prefix("/next").unwrap_or_else(|| panic!("no such path: {other}"));
                let Some((_, Handle::Service(next))) = self.env.bindings.first() else { panic!("no binding") };
                let nested = call.deeper();
                return Ok(next.invoke(nested, fetch(rest)).await?);
            }
        }
        Ok(self.answer())
    }
}

impl Instance for FakeInstance {
    fn run(self: Rc<Self>, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Ended>> {
        Box::pin(self.handle(call, event))
    }

    fn state(&self) -> InstanceState {
        InstanceState {
            id: self.id,
            in_flight: self.in_flight.get(),
            paused: self.paused.get(),
            lost: self.lost.get(),
            events: self.events.get(),
            memory_bytes: self.memory.get(),
            worn: self.worn.get(),
        }
    }
}

pub fn fetch(path: &str) -> Event {
    Event::Fetch(Box::new(worker::FetchEvent {
        method: http::Method::GET,
        url: path.to_owned(),
        headers: http::HeaderMap::new(),
        body: Body::empty(),
        client: None,
        cf: None,
        entry: None,
    }))
}
