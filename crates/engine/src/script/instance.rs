//! A script's instance: the host's side of its event loop.
//!
//! Inputs queue up in the inbox; whoever adds one drives the instance on, unless it is being driven
//! already. The drive runs inline in the task that caused it, so that a short request costs no
//! task and no wake-up; only when a tick suspends the guest does it become a task of its own, which
//! the end of a request's task can't cancel. After every entry the guest's effects are carried
//! out, and requests that can't be answered any more are settled.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use base::{Body, Code, code};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use http::header;
use services::StoreError;
use telemetry::{InvocationRecord, Phases, RecordHandle, Start};
use tokio::task::AbortHandle;
use worker::object::ObjectEvent;
use worker::{Call, Core, Ended, Env, Event, Failure, FetchEvent, Instance, InstanceState, Meter, Response, RpcEvent};

use super::codec::Encoder;
use super::coding::{self, Coding};
use super::guest::{Effect, GuestError, Handed};
use super::ids::IdMap;
use super::nested::LastCalled;
use super::operations::{self, Completion, Operation};
use super::program::Program;
use super::rpc::Sessions;
use super::sandbox::Sandbox;
use super::sockets::Sockets;
use super::streams::{Left, StreamBody, StreamSender, stream};
use super::{abi, host};
use crate::lines::Line;

mod arguments;
mod failures;
mod handed;
mod loss;
mod objects;
mod outgoing;
mod rpc;
mod sockets;
mod waiting;

use arguments::Entry;
use objects::Held;
use waiting::Slot;

/// What waits to enter the guest.
enum Input {
    Fetch {
        request: u32,
        call: Call,
        event: Box<FetchEvent>,
    },
    Rpc {
        request: u32,
        call: Call,
        event: Box<RpcEvent>,
    },
    Complete {
        operation: u32,
        request: u32,
        completion: Completion,
    },
    Object {
        request: u32,
        call: Call,
        event: Box<ObjectEvent>,
    },
    /// An object's turn is over.
    Commit,
    /// What an object wrote is durable, or will never be known to be.
    Durable {
        result: Result<(), StoreError>,
    },
    Abort {
        request: u32,
    },
    /// The time for `waitUntil` is over.
    Expire {
        request: u32,
    },
    /// An operation that went with its request: the guest is to forget it, too.
    Forget {
        operation: u32,
    },
}

/// So many timers that went with their requests may stay in the guest's books before it hears of
/// them. An instance that serves one request never pays for it.
const GONE_TIMERS_MAX: usize = 32;

pub struct ScriptInstance {
    id: u64,
    program: Arc<Program>,
    env: Arc<Env>,
    /// The worker's, for records.
    name: Arc<str>,
    core: Core,
    /// `None` while the guest is on the stack, and once it is lost.
    sandbox: RefCell<Option<Box<Sandbox>>>,
    inbox: RefCell<VecDeque<Input>>,
    requests: RefCell<IdMap<Request>>,
    running: RefCell<IdMap<Running>>,
    pub(super) bodies: RefCell<IdMap<Body>>,
    /// What the bodies that no one has read yet are decoded from.
    pub(super) codings: RefCell<IdMap<Coding>>,
    /// The request whose answer, which comes next, is in the coding that its headers name.
    coded_answer: Cell<u32>,
    streams: RefCell<IdMap<Stream>>,
    gone_timers: RefCell<Vec<u32>>,
    /// Streams that are bodies of the host's own, until they are taken.
    linked: RefCell<IdMap<Body>>,
    sockets: Arc<Sockets>,
    sessions: RefCell<Sessions>,
    /// What waits until an object's writes are durable.
    held: RefCell<VecDeque<Held>>,
    /// What waits until an object's turn is committed.
    uncommitted: RefCell<Vec<Effect>>,
    /// The instance is to end after this entry, and why.
    ending: RefCell<Option<Failure>>,
    pub(super) postgres: RefCell<super::postgres::Postgres>,
    pub(super) called: LastCalled,
    lost: Cell<bool>,
    initialised: Cell<bool>,
    events: Cell<u64>,
    memory_bytes: Cell<u64>,
    worn: Cell<bool>,
    /// Set until the first event has been answered, with the moment at which the cold start began.
    cold: Cell<Option<(Instant, Phases)>>,
    next_request: Cell<u32>,
}

/// A request in this instance, until nothing acts for it any more.
struct Request {
    slot: Rc<Slot>,
    record: RecordHandle,
    /// Position of this invocation in the record.
    place: usize,
    answered: bool,
    /// The body of its response, if that is a stream.
    stream: Option<u32>,
    /// What bounds its work after the response.
    watch: Option<AbortHandle>,
    /// The guest has said that it is done.
    done: bool,
    /// Its answer opened a socket.
    socket: bool,
    handed: Handed,
}

struct Running {
    request: u32,
    code: i32,
    /// None for one that was ready at once.
    task: Option<AbortHandle>,
}

impl Running {
    fn abort(self) {
        if let Some(task) = self.task {
            task.abort();
        }
    }

    fn is_timer(&self) -> bool {
        self.code == abi::operation::TIMER
    }

    fn is_passive(&self) -> bool {
        is_passive(self.code)
    }
}

/// An operation that only waits: it is no work, leaves no trace, and goes with its request.
fn is_passive(code: i32) -> bool {
    use abi::{kv, operation, postgres, rpc};
    matches!(code, operation::TIMER | operation::SOCKET_READ | rpc::READ | kv::CHANGES | postgres::NEXT)
}

struct Stream {
    sender: StreamSender,
    /// Until the body is taken for a response or an outgoing request.
    body: Option<(StreamBody, Left)>,
    /// The request whose response it is.
    request: Option<u32>,
}

impl ScriptInstance {
    pub fn new(
        id: u64,
        program: Arc<Program>,
        env: Arc<Env>,
        core: Core,
        sandbox: Sandbox,
        cold: (Instant, Phases),
    ) -> Self {
        Self {
            id,
            program,
            name: env.worker.as_str().into(),
            env,
            core,
            memory_bytes: Cell::new(sandbox.memory_bytes()),
            sockets: sandbox.store.data().sockets.clone(),
            sandbox: RefCell::new(Some(Box::new(sandbox))),
            inbox: RefCell::default(),
            requests: RefCell::default(),
            running: RefCell::default(),
            bodies: RefCell::default(),
            codings: RefCell::default(),
            coded_answer: Cell::new(0),
            streams: RefCell::default(),
            gone_timers: RefCell::default(),
            linked: RefCell::default(),
            sessions: RefCell::default(),
            held: RefCell::default(),
            uncommitted: RefCell::default(),
            ending: RefCell::default(),
            postgres: RefCell::default(),
            called: LastCalled::default(),
            lost: Cell::new(false),
            initialised: Cell::new(false),
            events: Cell::new(0),
            worn: Cell::new(false),
            cold: Cell::new(Some(cold)),
            next_request: Cell::new(1),
        }
    }

    async fn serve(self: Rc<Self>, call: Call, event: Event) -> Result<Response, Ended> {
        if self.lost.get() {
            return Err(loss::given_back(call, event));
        }
        let begun = Instant::now();
        let (request, slot) = self.admit(&call);
        let mut leaving = Leaving { instance: &self, request, slot: slot.clone(), armed: true };
        // What the client takes, if what answers is a response that may be coded.
        let mut accepts = None;
        let input = match event {
            Event::Fetch(event) => {
                accepts = Some(event.headers.get(header::ACCEPT_ENCODING).cloned());
                Input::Fetch { request, call, event }
            }
            Event::Rpc(event) => Input::Rpc { request, call, event },
            Event::Object(event) => Input::Object { request, call, event },
            _ => return Err(Failure::new(&code::NO_HANDLER, "scripts take no events of this kind").into()),
        };
        self.inbox.borrow_mut().push_back(input);
        std::future::poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        let at_once = slot.answer.borrow_mut().take();
        let answer = match at_once {
            Some(answer) => answer,
            // Apart, for most answers are there, and an event is moved about.
            None => Box::pin(self.wait_for_head(request, &slot, begun)).await,
        };
        leaving.armed = false;
        match (answer, accepts) {
            (Ok(response), Some(accepts)) => Ok(coding::negotiate(response, accepts.as_ref(), &self.env.limits)),
            (Ok(response), None) => Ok(response),
            (Err(mut ended), _) => {
                if let Some(again) = &mut ended.again {
                    again.spent = begun.elapsed();
                }
                Err(ended)
            }
        }
    }

    /// Enters the request in the books.
    fn admit(&self, call: &Call) -> (u32, Rc<Slot>) {
        let request = self.next_request.get();
        self.next_request.set(if request == u32::MAX { 1 } else { request + 1 });
        self.events.set(self.events.get() + 1);
        let start = if request == 1 { Start::Cold(Phases::default()) } else { Start::Warm };
        let invocation = InvocationRecord {
            worker: self.name.clone(),
            instance: self.id,
            start,
            usage: telemetry::Usage::default(),
            failure: None,
        };
        let place = {
            let mut record = call.record.edit();
            record.invocations.push(invocation);
            record.invocations.len() - 1
        };
        let slot = Rc::new(Slot::default());
        let entry = Request {
            slot: slot.clone(),
            record: call.record.clone(),
            place,
            answered: false,
            stream: None,
            watch: None,
            done: false,
            socket: false,
            handed: Handed::No,
        };
        self.requests.borrow_mut().insert(request, entry);
        (request, slot)
    }

    /// Runs the guest until the inbox is empty: now, as far as it goes without being suspended.
    fn drive(self: &Rc<Self>, cx: &mut Context<'_>) {
        let Some(sandbox) = self.sandbox.borrow_mut().take() else { return };
        let mut pump: LocalBoxFuture<'static, ()> = Box::pin(self.clone().pump(sandbox));
        if pump.as_mut().poll(cx).is_pending() {
            tokio::task::spawn_local(pump);
        }
    }

    fn push_and_spawn(self: &Rc<Self>, input: Input) {
        self.inbox.borrow_mut().push_back(input);
        let Some(sandbox) = self.sandbox.borrow_mut().take() else { return };
        tokio::task::spawn_local(self.clone().pump(sandbox));
    }

    async fn pump(self: Rc<Self>, mut sandbox: Box<Sandbox>) {
        loop {
            let next = self.inbox.borrow_mut().pop_front();
            let Some(input) = next else { break };
            if let Err(trap) = self.enter(&mut sandbox, input).await {
                self.lose(&mut sandbox, &trap);
                return;
            }
            if let Some(failure) = self.ending.take() {
                self.reset(&mut sandbox, &failure);
                return;
            }
            self.memory_bytes.set(sandbox.memory_bytes());
            self.worn.set(self.worn.get() || sandbox.store.data().is_worn());
            if self.inbox.borrow().is_empty() && self.running.borrow().is_empty() && self.holds_nothing() {
                self.settle_the_hopeless(&mut sandbox);
            }
        }
        *self.sandbox.borrow_mut() = Some(sandbox);
    }

    async fn enter(self: &Rc<Self>, sandbox: &mut Sandbox, input: Input) -> wasmtime::Result<()> {
        sandbox.store.data_mut().look_at_clock();
        if !self.initialised.replace(true) {
            // Once, so that no entry is larger for it.
            Box::pin(self.initialise(sandbox)).await?;
        }
        let mut arguments = Encoder::default();
        let Some(Entry { kind, id, request, ended }) = self.encode(sandbox, input, &mut arguments) else {
            return Ok(());
        };
        let outcome = sandbox.enter(kind, id, request, &arguments.0).await?;
        if outcome == abi::EXCEPTION {
            let error = GuestError::decode(&sandbox.report());
            sandbox.store.data_mut().effects.push(Effect::Fail { request, error, pending: false });
        }
        if outcome == abi::INTERRUPTED && self.interrupt_object(sandbox) {
            self.carry_out(sandbox);
            return Ok(());
        }
        self.carry_out(sandbox);
        if outcome == abi::INTERRUPTED {
            self.end_interrupted(sandbox)?;
        }
        match kind {
            abi::event::ABORT => self.after_abort(sandbox, request),
            abi::event::COMPLETE => self.settle_socket(sandbox, request, ended),
            _ => {}
        }
        Ok(())
    }

    /// Builds `env` in the guest, before its first event.
    async fn initialise(&self, sandbox: &mut Sandbox) -> wasmtime::Result<()> {
        let begun = Instant::now();
        host::seed(sandbox.memory, &mut sandbox.store)?;
        if let Some(environment) = operations::describe_env(&self.env) {
            let mut arguments = Encoder::default();
            arguments.string(&environment);
            sandbox.enter(abi::event::INIT, 0, 0, &arguments.0).await?;
        }
        self.introduce(sandbox).await?;
        if let Some((from, phases)) = self.cold.get() {
            self.cold.set(Some((from, Phases { prepare: begun.elapsed(), ..phases })));
        }
        Ok(())
    }

    /// Carries out what the guest asked for.
    fn carry_out(self: &Rc<Self>, sandbox: &mut Sandbox) {
        let mut effects = std::mem::take(&mut sandbox.store.data_mut().effects);
        if sandbox.store.data().object.is_some() {
            return self.through_the_gate(sandbox, effects);
        }
        self.perform(sandbox, &mut effects);
        // The vector's capacity serves the next entry.
        sandbox.store.data_mut().effects = effects;
    }

    fn perform(self: &Rc<Self>, sandbox: &mut Sandbox, effects: &mut Vec<Effect>) {
        let mut broken = outgoing::broken_at_once(effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Respond(responded) => match outgoing::take_broken(&mut broken, &responded) {
                    None => self.respond(sandbox, responded),
                    // Nothing of it has left: that it failed can still be said in the head.
                    Some(error) => {
                        let failure = self.failure(sandbox, error);
                        self.fail(sandbox, responded.request, failure, responded.pending);
                    }
                },
                Effect::Start { operation, context, code, arguments, handed } => {
                    self.hand_over(context, handed);
                    self.start(sandbox, operation, context, code, arguments);
                }
                Effect::Begun { operation, context, code, begun, handed } => {
                    self.hand_over(context, handed);
                    self.go_on(sandbox, operation, context, code, begun);
                }
                Effect::Cancel { operation } => {
                    if let Some(running) = self.strike(sandbox, operation) {
                        self.give_up(operation, running);
                    }
                }
                Effect::Done { request } => self.done(sandbox, request),
                Effect::Fail { request, error, pending } => {
                    let failure = self.failure(sandbox, error);
                    self.fail(sandbox, request, failure, pending);
                }
                Effect::BodyCancel { handle } => {
                    self.codings.borrow_mut().remove(&handle);
                    drop(self.bodies.borrow_mut().remove(&handle));
                }
                Effect::Coded { handle, request } => {
                    self.codings.borrow_mut().remove(&handle);
                    self.coded_answer.set(request);
                }
                Effect::StreamOpen { stream: id, bytes } => {
                    let (sender, body, left) = stream(bytes);
                    let stream = Stream { sender, body: Some((body, left)), request: None };
                    self.streams.borrow_mut().insert(id, stream);
                }
                Effect::StreamLink { stream, handle } => {
                    // A body that is gone was read to its end.
                    let body = self.bodies.borrow_mut().remove(&handle).unwrap_or_default();
                    let body = match self.codings.borrow_mut().remove(&handle) {
                        Some(coding) => coding::decoded(body, coding, &self.env.limits),
                        None => body,
                    };
                    self.streams.borrow_mut().remove(&stream);
                    self.linked.borrow_mut().insert(stream, body);
                }
                Effect::StreamClose { stream } => self.end_stream(stream, None),
                Effect::StreamAbort { stream, error } => {
                    self.end_stream(stream, Some(format!("{}: {}", error.name, error.message)));
                }
                Effect::Rpc(asked) => self.carry_out_rpc(sandbox, asked),
                Effect::Object(asked) => self.carry_out_object(asked, sandbox),
            }
        }
    }

    /// The answer is out and work remains.
    fn linger(self: &Rc<Self>, sandbox: &mut Sandbox, request: u32) {
        if let Some(call) = sandbox.store.data_mut().calls.get_mut(&request) {
            call.event = None;
        }
        self.watch(request);
    }

    /// Hands the response over; the first answer counts.
    fn answer(&self, request: u32, answer: Result<Response, Ended>) {
        let mut requests = self.requests.borrow_mut();
        let Some(entry) = requests.get_mut(&request) else { return };
        if std::mem::replace(&mut entry.answered, true) {
            return;
        }
        if let Some((from, phases)) = self.cold.take() {
            let earlier = phases.load + phases.instantiate + phases.prepare;
            let first_response = from.elapsed().saturating_sub(earlier);
            if let Some(invocation) = entry.record.edit().invocations.get_mut(entry.place) {
                invocation.start = Start::Cold(Phases { first_response, ..phases });
            }
        }
        *entry.slot.answer.borrow_mut() = Some(answer);
        if let Some(waker) = entry.slot.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    fn note_failure(&self, request: u32, failure: Code) {
        if let Some(entry) = self.requests.borrow().get(&request)
            && let Some(invocation) = entry.record.edit().invocations.get_mut(entry.place)
        {
            invocation.failure.get_or_insert(failure);
        }
    }

    fn fail(self: &Rc<Self>, sandbox: &mut Sandbox, request: u32, how: impl Into<Ended>, pending: bool) {
        let ended = how.into();
        self.note_failure(request, ended.failure.code);
        self.sockets.end_request(request, Some(ended.failure.code));
        self.answer(request, Err(ended));
        if pending { self.linger(sandbox, request) } else { self.finish(sandbox, request) }
    }

    /// Nothing acts for this request any more: writes down what it used.
    fn finish(&self, sandbox: &mut Sandbox, request: u32) {
        let Some(entry) = self.requests.borrow_mut().remove(&request) else { return };
        sandbox.store.data_mut().charge_native(request);
        sandbox.store.data_mut().held.end(request);
        if let Some(object) = sandbox.store.data_mut().object.as_deref_mut() {
            object.request_over(request);
        }
        if let Some(call) = sandbox.store.data_mut().calls.remove(&request) {
            call.meter.cpu_us.store(call.cpu.as_micros() as u64, Ordering::Relaxed);
            let usage = call.meter.usage(sandbox.memory_bytes());
            if let Some(invocation) = entry.record.edit().invocations.get_mut(entry.place) {
                invocation.usage = usage;
            }
            call.bodies.iter().for_each(|handle| drop(self.bodies.borrow_mut().remove(handle)));
            self.drop_passive(sandbox, call.passive);
        }
        self.sockets.end_request(request, None);
        self.sessions.borrow_mut().end_request(request);
        self.postgres.borrow_mut().end_request(request);
        if let Some(watch) = entry.watch {
            watch.abort();
        }
    }

    fn drop_passive(&self, sandbox: &mut Sandbox, operations: Vec<u32>) {
        if operations.is_empty() {
            return;
        }
        let mut gone = self.gone_timers.borrow_mut();
        for operation in operations {
            if let Some(running) = self.strike(sandbox, operation) {
                let code = running.code;
                running.abort();
                match code {
                    abi::operation::TIMER => gone.push(operation),
                    // What it held of other workers goes at once.
                    abi::rpc::READ | abi::kv::CHANGES | abi::postgres::NEXT => {
                        self.inbox.borrow_mut().push_back(Input::Forget { operation })
                    }
                    _ => {}
                }
            }
        }
        if gone.len() > GONE_TIMERS_MAX {
            self.inbox.borrow_mut().extend(gone.drain(..).map(|operation| Input::Forget { operation }));
        }
    }

    /// Takes an operation out of the books; `None` if it was given up already.
    fn strike(&self, sandbox: &mut Sandbox, operation: u32) -> Option<Running> {
        let running = self.running.borrow_mut().remove(&operation)?;
        let guest = sandbox.store.data_mut();
        if running.is_timer() {
            guest.timers -= 1;
        }
        if let Some(call) = guest.calls.get_mut(&running.request) {
            if running.is_passive() {
                call.passive.retain(|passive| *passive != operation);
            } else {
                call.operations -= 1;
            }
        }
        Some(running)
    }

    /// Whoever works for the operation hears of it at once.
    fn give_up(&self, operation: u32, running: Running) {
        match running.task {
            Some(task) => task.abort(),
            None => self.drop_lent(operation, running.request),
        }
    }

    /// Ends what the request started; what is passive goes when it is finished.
    fn abort_operations(&self, sandbox: &mut Sandbox, request: u32) {
        let running = self.running.borrow();
        let started = running.iter().filter(|(_, r)| r.request == request && !r.is_passive());
        let started: Vec<u32> = started.map(|(&id, _)| id).collect();
        drop(running);
        for operation in started {
            if let Some(running) = self.strike(sandbox, operation) {
                self.give_up(operation, running);
            }
        }
    }

    /// Bounds the work after a response. A response that still streams is bounded by
    /// `stream_idle_ms` instead, until its stream ends.
    fn watch(self: &Rc<Self>, request: u32) {
        let mut requests = self.requests.borrow_mut();
        let Some(entry) = requests.get_mut(&request) else { return };
        if entry.watch.is_some() || self.is_streaming(entry) || self.is_held(request) {
            return;
        }
        let instance = self.clone();
        let wait_until = Duration::from_millis(self.env.limits.wait_until_ms);
        let task = tokio::task::spawn_local(async move {
            tokio::time::sleep(wait_until).await;
            instance.push_and_spawn(Input::Expire { request });
        });
        entry.watch = Some(task.abort_handle());
    }

    fn is_streaming(&self, entry: &Request) -> bool {
        entry.stream.is_some_and(|id| self.streams.borrow().contains_key(&id))
    }

    fn expire(&self, sandbox: &mut Sandbox, request: u32) {
        // One that was opened meanwhile holds the request; its end sets the time anew.
        if self.is_held(request) {
            if let Some(entry) = self.requests.borrow_mut().get_mut(&request) {
                entry.watch = None;
            }
            return;
        }
        let ms = self.env.limits.wait_until_ms;
        let text =
            format!("wait_until_exceeded: work given to waitUntil was ended after {ms} ms (limits.wait_until_ms)");
        let line = Line { level: telemetry::Level::Warn, text: &text, site: None };
        sandbox.store.data_mut().log(request, line);
        self.note_failure(request, &code::WAIT_UNTIL_EXCEEDED);
        self.abort_operations(sandbox, request);
        self.finish(sandbox, request);
    }

    /// After the guest heard that the client left: a request that never answered is over, unless
    /// `waitUntil` work holds it.
    fn after_abort(self: &Rc<Self>, sandbox: &mut Sandbox, request: u32) {
        let answered = self.requests.borrow().get(&request).is_none_or(|entry| entry.answered);
        if !answered {
            self.note_failure(request, &code::CLIENT_GONE);
            self.answer(request, Err(Failure::new(&code::CLIENT_GONE, "the client left").into()));
            if sandbox.store.data().calls.get(&request).is_some_and(|call| call.operations > 0) {
                self.watch(request);
            } else {
                self.finish(sandbox, request);
            }
        }
    }

    fn start(self: &Rc<Self>, sandbox: &mut Sandbox, operation: u32, request: u32, code: i32, arguments: Vec<u8>) {
        let context = enter_operation(sandbox, operation, request, code);
        let work = Operation { instance: self.clone(), context, request, code, arguments };
        let mut work: LocalBoxFuture<'static, Completion> = Box::pin(work.perform());
        // What is ready at once needs no task.
        if code != abi::operation::TIMER
            && let Some(completion) = (&mut work).now_or_never()
        {
            self.running.borrow_mut().insert(operation, Running { request, code, task: None });
            self.inbox.borrow_mut().push_back(Input::Complete { operation, request, completion });
            return;
        }
        self.await_end(operation, request, code, work);
    }

    pub(super) fn env(&self) -> &Arc<Env> {
        &self.env
    }

    /// Where the instance runs.
    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    pub(super) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    pub(super) fn clock_ms(&self) -> u64 {
        (self.core.told_us().unwrap_or_else(|| self.program.clock_us()) / 1000) as u64
    }
}

/// Enters an operation in the books of its request.
fn enter_operation(sandbox: &mut Sandbox, operation: u32, request: u32, code: i32) -> Option<(Call, Arc<Meter>)> {
    let call = sandbox.store.data_mut().calls.get_mut(&request)?;
    if is_passive(code) {
        call.passive.push(operation);
    } else {
        call.operations += 1;
        // From here on it may have left a trace.
        call.event = None;
    }
    Some((call.call.clone(), call.meter.clone()))
}

impl Drop for ScriptInstance {
    fn drop(&mut self) {
        let Some(sandbox) = self.sandbox.get_mut() else { return };
        if self.events.get() == 1 && sandbox.store.data().object.is_none() {
            self.program.places.learn(sandbox);
        }
    }
}

/// Tells the guest when the task that waits for its response goes away.
struct Leaving<'a> {
    instance: &'a Rc<ScriptInstance>,
    request: u32,
    slot: Rc<Slot>,
    armed: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.instance.take_back(&self.slot);
        if self.armed && self.instance.requests.borrow().contains_key(&self.request) {
            self.instance.push_and_spawn(Input::Abort { request: self.request });
        }
    }
}

impl Instance for ScriptInstance {
    fn run(self: Rc<Self>, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Ended>> {
        Box::pin(self.serve(call, event))
    }

    fn retire(&self) {
        self.close_for_successor();
    }

    fn end(self: Rc<Self>, failure: Failure) {
        self.end_with(failure);
    }

    fn state(&self) -> InstanceState {
        InstanceState {
            id: self.id,
            in_flight: self.requests.borrow().len() as u64,
            paused: self.sandbox.borrow().is_none(),
            lost: self.lost.get(),
            events: self.events.get(),
            memory_bytes: self.memory_bytes.get(),
            worn: self.worn.get(),
        }
    }
}
