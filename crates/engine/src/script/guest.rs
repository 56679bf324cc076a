//! What the host keeps beside one instance while the guest is on the stack: the content of its
//! wasmtime store.
//!
//! A guest's call is answered from here, or becomes an [`Effect`] that the instance carries out
//! after the entry: nothing in this file waits, spawns, or reaches outside.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::{Clock, Code, Fault, Rng, SystemRng, WorkerLimits, code};
use telemetry::Level;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{Caller, Memory, ResourceLimiter};
use worker::{Call, Core, Env, Event, Meter};

use super::abi::control;
use super::ask::Begun;
use super::codec::{Decoder, Value};
use super::held::Held;
use super::ids::IdMap;
use super::image::PAGE;
use super::nested::LastCalled;
use super::objects::{self, GuestObject};
use super::prelude::Prelude;
use super::rpc::Asked;
use super::sockets::Sockets;
use super::unread::Unread;
use super::wasm::{Interrupted, Wasm};
use crate::cpu;
use crate::lines::{self, Line};
use crate::runtime::TICK;

/// What the guest asked for during an entry, in order.
#[derive(Debug)]
pub enum Effect {
    /// Start an operation, charged to the request `context`.
    Start {
        operation: u32,
        context: u32,
        code: i32,
        arguments: Vec<u8>,
        handed: Handed,
    },
    /// Goes on with an operation that was begun already.
    Begun {
        operation: u32,
        context: u32,
        code: i32,
        begun: Begun,
        handed: Handed,
    },
    Cancel {
        operation: u32,
    },
    Respond(Responded),
    Done {
        request: u32,
    },
    Fail {
        request: u32,
        error: GuestError,
        pending: bool,
    },
    BodyCancel {
        handle: u32,
    },
    /// The answer to `request` is in the coding that its headers name; the body `handle`, if it is
    /// not 0, is read as it came.
    Coded {
        handle: u32,
        request: u32,
    },
    StreamOpen {
        stream: u32,
        /// The bytes that it will have in all, if its script knows.
        bytes: Option<u64>,
    },
    /// The rest of a body becomes the stream's.
    StreamLink {
        stream: u32,
        handle: u32,
    },
    StreamClose {
        stream: u32,
    },
    StreamAbort {
        stream: u32,
        error: GuestError,
    },
    Rpc(Asked),
    /// Something is said on a socket of a durable object.
    Object(objects::Asked),
}

/// Whose the end of an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handed {
    /// The guest's, as a COMPLETE event.
    #[default]
    No,
    /// Its request's, as the answer: nothing of the guest is waiting for either. If the client leaves it goes on, or is
    /// given up.
    Over { owned: bool },
}

/// An exception that reached the border, as the guest describes it.
#[derive(Debug, Default, Clone)]
pub struct GuestError {
    pub name: String,
    pub message: String,
    pub stack: String,
    /// The `code` property, if it is a string.
    pub code: String,
}

impl GuestError {
    /// Reads the encoding of [name, message, stack, code].
    pub fn decode(report: &[u8]) -> Self {
        let parts = match Decoder::new(report).next() {
            Ok(Value::Array(parts)) => parts,
            _ => Vec::new(),
        };
        let text = |i: usize| parts.get(i).and_then(|v| v.as_str().ok()).unwrap_or_default().to_owned();
        Self { name: text(0), message: text(1), stack: frames(&text(2)), code: text(3) }
    }

    /// An error is told in the log, so it is as long as what its request may write there, and a few
    /// lines in any case.
    pub fn cut(mut self, log_bytes: u64) -> Self {
        let max = usize::try_from(log_bytes).unwrap_or(usize::MAX).max(ERROR_BYTES_LEAST);
        for text in [&mut self.name, &mut self.message, &mut self.stack] {
            if text.len() > max {
                text.truncate(text.floor_char_boundary(max));
                text.push_str(" (the rest is dropped, limits.log_bytes)");
            }
        }
        self
    }

    /// The code that the host gave the error when it raised it. Only codes that tell of the guest
    /// or of a server it talks to: a guest may write what it likes into its errors.
    pub fn host_code(&self) -> Option<Code> {
        let row = code::ALL.iter().copied().find(|row| row.name == self.code)?;
        matches!(row.fault, Fault::Guest | Fault::Upstream).then_some(row)
    }
}

/// A stack trace without the error that it begins with, which is told apart.
fn frames(stack: &str) -> String {
    let mut lines = stack.split_inclusive('\n').skip_while(|line| !line.starts_with("    at ")).peekable();
    if lines.peek().is_none() { stack.to_owned() } else { lines.collect() }
}

/// The head of a response, and its body if it is whole.
#[derive(Debug)]
pub struct Responded {
    pub request: u32,
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: ResponseBody,
    /// Work remains: a DONE follows.
    pub pending: bool,
}

#[derive(Debug)]
pub enum ResponseBody {
    Whole(bytes::Bytes),
    Stream(u32),
}

/// One request in progress, as far as the guest's calls need to know it.
pub struct GuestCall {
    pub call: Call,
    pub meter: Arc<Meter>,
    /// CPU time so far.
    pub cpu: Duration,
    /// What of it was spent outside of the guest.
    pub native: Duration,
    /// `cpu` when the allowance was renewed last.
    pub renewed: Duration,
    /// It was told to stop, and at how much CPU time.
    pub interrupted_at: Option<Duration>,
    pub log_cut: bool,
    /// The event as it came, for as long as this request has left no trace outside the sandbox and
    /// could run again elsewhere.
    pub event: Option<Event>,
    /// Where the event's body is, if it was not whole.
    pub body: Option<u32>,
    /// Bodies that came with calls of methods, and go with it.
    pub bodies: Vec<u32>,
    /// Operations that are under way for it: those that go with it, and how many others.
    pub passive: Vec<u32>,
    pub operations: u32,
}

impl GuestCall {
    pub fn new(call: Call, event: Option<Event>, body: Option<u32>) -> Self {
        Self {
            call,
            meter: Arc::new(Meter::default()),
            cpu: Duration::ZERO,
            native: Duration::ZERO,
            renewed: Duration::ZERO,
            interrupted_at: None,
            log_cut: false,
            event,
            body,
            bodies: Vec::new(),
            passive: Vec::new(),
            operations: 0,
        }
    }
}

impl GuestCall {
    /// A new event of the same request has its own allowance.
    pub fn renew(&mut self) {
        self.renewed = self.cpu;
        self.log_cut = false;
        self.meter.renew();
    }
}

/// Whose time it is.
pub enum Phase {
    /// Modules are being evaluated: no I/O, no randomness, the clock stands still.
    Evaluating {
        console: Vec<(Level, String)>,
        cpu_max: Duration,
    },
    Serving,
}

/// Where things lie in the guest's memory; the same in every image of one guest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    pub control: usize,
    pub inbox: usize,
    pub inbox_bytes: usize,
}

/// What is told of each part of an error whatever `log_bytes` says.
const ERROR_BYTES_LEAST: usize = 4 << 10;

/// CPU time beyond its limit that a request may use before its instance ends: what a script needs
/// to notice the interrupt.
const GRACE: Duration = Duration::from_millis(50);

/// A guest that has run for less than this since its entry is not sent to the slow lane by a tick.
const FAST: Duration = Duration::from_micros(500);

pub struct Guest {
    pub memory: Option<Memory>,
    pub layout: Layout,
    pub phase: Phase,
    /// The guest-visible clock, in microseconds since the epoch; set at each entry.
    pub now_us: i64,
    pub calls: IdMap<GuestCall>,
    pub effects: Vec<Effect>,
    pub sockets: Arc<Sockets>,
    /// By calls that are begun while it is on the stack.
    pub called: LastCalled,
    /// If the instance is a durable object.
    pub object: Option<Box<GuestObject>>,
    /// An answer too large for the inbox.
    pub answer: Vec<u8>,
    pub limits: WorkerLimits,
    pub env: Option<Arc<Env>>,
    /// Set when the guest is instantiated.
    pub prelude: Option<Arc<Prelude>>,
    core: Option<Core>,
    /// What `now_us` is of.
    clock: Option<Arc<dyn Clock>>,
    /// The request that CPU time is charged to.
    charged: u32,
    /// The moment up to which CPU time has been charged.
    mark: Mark,
    /// CPU time of this entry.
    entry: Duration,
    /// CPU time that belongs to no request: of the evaluation, or of this entry.
    pub unowned: Duration,
    /// Timers that are pending, of all requests.
    pub timers: u64,
    lane: Arc<Mutex<LaneState>>,
    /// When the next tick is; none while what runs is short.
    tick: Option<Instant>,
    memory_max: usize,
    /// The guest asked for more memory than it may have.
    pub memory_denied: bool,
    next_id: u32,
    pub held: Held,
    pub unread: Unread,
    /// `None` where a script has nothing to do with WebAssembly.
    pub wasm: Option<Box<Wasm>>,
}

/// From when on time is charged. Until its first tick, which is within a millisecond, an entry is
/// timed by the wall clock: that costs a tenth of asking for the thread's CPU time, and short
/// entries are many. A guest that runs longer is charged the CPU time that it used.
#[derive(Debug, Clone, Copy)]
enum Mark {
    Wall(Instant),
    Cpu(Duration),
}

/// What a guest holds of the slow lane, and when it last came back from waiting for it.
#[derive(Default)]
struct LaneState {
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    resumed: Option<Duration>,
}

/// The request used up its CPU time and did not react.
#[derive(Debug, thiserror::Error)]
#[error("the guest ran on after its CPU time was used up")]
pub struct CpuExhausted;

impl Guest {
    pub fn evaluating(layout: Layout, limits: &WorkerLimits) -> Self {
        let cpu_max = Duration::from_millis(limits.start_cpu_ms);
        Self::new(layout, limits, Phase::Evaluating { console: Vec::new(), cpu_max }, None, None)
    }

    pub fn serving(layout: Layout, env: Arc<Env>, core: Core, clock: Arc<dyn Clock>) -> Self {
        let limits = env.limits.clone();
        let clock = Some(clock);
        Self { clock, ..Self::new(layout, &limits, Phase::Serving, Some(env), Some(core)) }
    }

    /// What time it is for the host, in milliseconds since the epoch.
    pub fn host_ms(&self) -> u64 {
        match self.core.as_ref().and_then(Core::told_us) {
            Some(told) => (told / 1000) as u64,
            None => self.clock.as_ref().map_or(0, |clock| clock.unix_ms()),
        }
    }

    /// The guest sees another time from here on: whole milliseconds, so that it tells nothing of
    /// the host's work.
    pub fn look_at_clock(&mut self) {
        let told = self.core.as_ref().zip(self.env.as_ref()).and_then(|(core, env)| core.told_us_to(&env.worker));
        let clock = || self.clock.as_ref().map(|clock| (clock.unix_ms() * 1000) as i64);
        if let Some(now_us) = told.or_else(clock) {
            self.now_us = now_us;
        }
    }

    fn new(layout: Layout, limits: &WorkerLimits, phase: Phase, env: Option<Arc<Env>>, core: Option<Core>) -> Self {
        Self {
            memory: None,
            layout,
            phase,
            now_us: 0,
            calls: IdMap::default(),
            effects: Vec::new(),
            sockets: Arc::default(),
            called: LastCalled::default(),
            object: None,
            answer: Vec::new(),
            memory_max: (limits.memory_mib as usize) << 20,
            limits: limits.clone(),
            env,
            prelude: None,
            core,
            clock: None,
            charged: 0,
            mark: Mark::Cpu(Duration::ZERO),
            entry: Duration::ZERO,
            unowned: Duration::ZERO,
            timers: 0,
            lane: Arc::default(),
            tick: None,
            memory_denied: false,
            next_id: 1,
            held: Held::default(),
            unread: Unread::default(),
            wasm: None,
        }
    }

    /// An id for an operation, a stream or a body: unique within the instance.
    pub fn fresh_id(&mut self) -> u32 {
        let id = self.next_id;
        // Ids stay positive as i32; two billion operations later the instance is long replaced.
        self.next_id = if id >= i32::MAX as u32 { 1 } else { id + 1 };
        id
    }

    /// Charges what was computed for the request outside of the guest since the last look.
    pub fn charge_native(&mut self, request: u32) {
        if let Some(call) = self.calls.get_mut(&request) {
            let native = Duration::from_micros(call.meter.native_us.load(Ordering::Relaxed));
            call.cpu += native.saturating_sub(call.native);
            call.native = native;
        }
    }

    /// The request whose work runs now.
    pub fn charged(&self) -> u32 {
        self.charged
    }

    /// Whether the script made so many instances of its modules that there is not room for many more.
    pub fn is_worn(&self) -> bool {
        self.wasm.as_ref().is_some_and(|wasm| wasm.is_worn(self.limits.wasm_instances))
    }

    /// Whether the request was told to stop while an instance of a module runs.
    fn is_to_leave_wasm(&self) -> bool {
        let runs = self.wasm.as_ref().is_some_and(|wasm| wasm.runs());
        runs && self.calls.get(&self.charged).is_some_and(|call| call.interrupted_at.is_some())
    }

    pub fn is_evaluating(&self) -> bool {
        matches!(self.phase, Phase::Evaluating { .. })
    }

    /// The clock starts to run for `request`.
    pub fn begin(&mut self, request: u32) {
        self.charged = request;
        self.entry = Duration::ZERO;
        let now = Instant::now();
        self.mark = Mark::Wall(now);
        self.tick = Some(now + TICK);
        if let Phase::Serving = self.phase {
            self.unowned = Duration::ZERO;
        }
    }

    /// What is entered now is short, and no tick is for it.
    pub fn hurry(&mut self) {
        self.tick = None;
    }

    /// Whether a tick has passed since the guest was entered, or since the last one that it was told of.
    pub fn is_ticked(&mut self) -> bool {
        let Some(tick) = self.tick else { return false };
        let now = Instant::now();
        let is_ticked = now >= tick;
        if is_ticked {
            self.tick = Some(now + TICK);
        }
        is_ticked
    }

    /// Charges what was used since the last look.
    pub fn charge(&mut self) {
        let resumed = self.lock_lane().resumed.take();
        let used = match resumed.map_or(self.mark, Mark::Cpu) {
            Mark::Wall(from) => {
                let now = Instant::now();
                self.mark = Mark::Wall(now);
                now - from
            }
            Mark::Cpu(from) => {
                let now = cpu::thread_time();
                self.mark = Mark::Cpu(now);
                now.saturating_sub(from)
            }
        };
        self.entry += used;
        match self.calls.get_mut(&self.charged) {
            Some(call) => call.cpu += used,
            None => self.unowned += used,
        }
    }

    /// Charges what another thread computed while the guest waited; the wait itself costs nothing.
    pub fn charge_elsewhere(&mut self, used: Duration) {
        self.mark = match self.mark {
            Mark::Wall(_) => Mark::Wall(Instant::now()),
            Mark::Cpu(_) => Mark::Cpu(cpu::thread_time()),
        };
        if let Some(call) = self.calls.get_mut(&self.charged) {
            call.cpu += used;
        }
    }

    /// From here on CPU time belongs to another request.
    pub fn switch(&mut self, request: u32) {
        if request != self.charged {
            self.charge();
            self.charged = request;
        }
    }

    /// The entry is over: leaves the slow lane.
    pub fn end(&mut self) {
        self.charge();
        self.lock_lane().permits = None;
    }

    fn lock_lane(&self) -> std::sync::MutexGuard<'_, LaneState> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to do about a guest that a tick found running.
    fn verdict(&mut self) -> Verdict {
        self.charge();
        if let Mark::Wall(_) = self.mark {
            self.mark = Mark::Cpu(cpu::thread_time());
        }
        if let Phase::Evaluating { cpu_max, .. } = self.phase {
            return if self.unowned > cpu_max { Verdict::End } else { Verdict::GoOn };
        }
        let cpu_max = Duration::from_millis(self.limits.cpu_ms);
        if let Some(call) = self.calls.get_mut(&self.charged) {
            match call.interrupted_at {
                None if call.cpu - call.renewed > cpu_max => {
                    call.interrupted_at = Some(call.cpu);
                    return Verdict::Interrupt(self.charged);
                }
                Some(at) if call.cpu > at + GRACE => return Verdict::End,
                _ => {}
            }
        } else if self.unowned > cpu_max + GRACE {
            return Verdict::End;
        }
        if self.entry < FAST { Verdict::GoOn } else { Verdict::TakeTurns }
    }

    /// Where it runs, and for which app.
    pub fn place(&self) -> Option<(Core, Arc<str>)> {
        self.core.as_ref().zip(self.env.as_ref()).map(|(core, env)| (core.clone(), env.app.clone()))
    }

    /// Waits for a turn in the slow lane. At each tick the guest first lets everything else on the
    /// core run while it still holds its place, then queues up again: first among its own app's
    /// guests, then among the apps, so that an app with many loops gets no more than one with few.
    fn take_turns(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let held = self.lock_lane().permits.take();
        let lane = self.lane.clone();
        let turns = self.place();
        Box::pin(async move {
            // Twice: what the first turn of the others made ready, responses above all, goes out in
            // the second.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            drop(held);
            let permits = match turns {
                Some((core, app)) => core.turn(&app).await,
                None => None,
            };
            let mut state = lane.lock().unwrap_or_else(PoisonError::into_inner);
            state.permits = permits;
            state.resumed = Some(cpu::thread_time());
        })
    }

    /// A line for the log, within the request's allowance.
    pub fn log(&mut self, request: u32, line: Line) {
        if let Phase::Evaluating { console, .. } = &mut self.phase {
            if console.len() < 1_000 {
                // There is no sink yet that keeps the place apart.
                let (first, rest) = line.text.split_once('\n').unwrap_or((line.text, ""));
                let site = line.site.map_or(String::new(), |site| format!(" ({site})"));
                let more = if rest.is_empty() { "" } else { "\n" };
                console.push((line.level, format!("{first}{site}{more}{rest}")));
            }
            return;
        }
        let (Some(call), Some(env)) = (self.calls.get_mut(&request), &self.env) else { return };
        let unix_ms = (self.now_us / 1000) as u64;
        lines::emit(&call.call, &call.meter, env, &mut call.log_cut, unix_ms, line);
    }

    pub fn random(&self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        SystemRng.fill(&mut bytes);
        bytes
    }
}

enum Verdict {
    GoOn,
    TakeTurns,
    /// End this request at the script's next check.
    Interrupt(u32),
    /// End the instance.
    End,
}

/// Decides about a running guest at each tick, and holds it until it may go on.
pub async fn on_tick(cx: &mut Caller<'_, Guest>) -> wasmtime::Result<()> {
    match cx.data_mut().verdict() {
        Verdict::GoOn if !cx.data().is_to_leave_wasm() => return Ok(()),
        Verdict::GoOn | Verdict::TakeTurns => {}
        Verdict::Interrupt(request) => {
            let at = cx.data().layout.control + control::INTERRUPT;
            if let Some(memory) = cx.data().memory {
                memory.write(&mut *cx, at, &request.to_le_bytes())?;
            }
        }
        Verdict::End => return Err(wasmtime::Error::new(CpuExhausted)),
    }
    // A module of the script's looks at no word in memory: it ends here, and QuickJS goes on.
    if cx.data().is_to_leave_wasm() {
        return Err(wasmtime::Error::new(Interrupted));
    }
    let turns = cx.data().take_turns();
    turns.await;
    // The time of the wait was not the guest's.
    cx.data_mut().is_ticked();
    Ok(())
}

impl ResourceLimiter for Guest {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let granted = desired <= self.memory_max.max(PAGE);
        self.memory_denied |= !granted;
        Ok(granted)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= 20_000)
    }
}
