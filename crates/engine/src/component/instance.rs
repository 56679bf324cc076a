//! A component's instance: one sandbox for one event.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Body, Clock, code};
use futures_util::future::LocalBoxFuture;
use telemetry::Phases;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use wasmtime::{PoolConcurrencyLimitError, Store, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use worker::{Call, Core, Ended, Env, Event, Failure, FetchEvent, Instance, InstanceState, Response};

use super::body::{Incoming, Outgoing};
use super::console::Console;
use super::host::{CpuExhausted, Host};
use super::invocation::Invocation;
use super::share::Share;
use crate::runtime::Runtime;

/// A loaded component.
pub struct Program {
    pub runtime: Arc<Runtime>,
    pub clock: Arc<dyn Clock>,
    pub proxy: ProxyPre<Host>,
}

impl worker::Program for Program {
    /// The sandbox itself is allocated when the event enters, because what a component does while
    /// it is instantiated already counts against its limits.
    fn instantiate(
        self: Arc<Self>,
        core: &Core,
        env: &Arc<Env>,
        phases: &Cell<Phases>,
    ) -> Result<Rc<dyn Instance>, Failure> {
        Ok(Rc::new(ComponentInstance {
            id: self.runtime.next_instance(),
            program: self,
            core: core.clone(),
            env: env.clone(),
            share: Share::default(),
            phases: phases.get(),
            entered: Cell::new(false),
            running: Cell::new(false),
            lost: Cell::new(false),
            memory_bytes: Cell::new(0),
        }))
    }
}

pub struct ComponentInstance {
    id: u64,
    program: Arc<Program>,
    core: Core,
    env: Arc<Env>,
    share: Share,
    phases: Phases,
    entered: Cell<bool>,
    running: Cell<bool>,
    lost: Cell<bool>,
    memory_bytes: Cell<u64>,
}

impl Instance for ComponentInstance {
    fn run(self: Rc<Self>, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Ended>> {
        Box::pin(async move { Ok(self.answer(call, event).await?) })
    }

    fn state(&self) -> InstanceState {
        InstanceState {
            id: self.id,
            in_flight: u64::from(self.running.get()),
            paused: self.share.is_paused(),
            lost: self.lost.get(),
            events: u64::from(self.entered.get()),
            memory_bytes: self.memory_bytes.get(),
            worn: false,
        }
    }
}

impl ComponentInstance {
    async fn answer(self: Rc<Self>, call: Call, event: Event) -> Result<Response, Failure> {
        let Event::Fetch(event) = event else {
            return Err(Failure::new(&code::NO_HANDLER, "components take fetch events only"));
        };
        if self.entered.replace(true) {
            return Err(Failure::new(&code::INSTANCE_LOST, "an instance of a component serves one request"));
        }
        let (clock, share) = (self.program.clock.clone(), self.share.clone());
        let invocation = Invocation::begin(call, self.env.clone(), share, clock, self.id, self.phases);
        let (sender, head) = oneshot::channel();
        let serving = self.clone().serve(invocation.clone(), event, sender);
        let task = tokio::task::spawn_local(serving).abort_handle();
        let mut leaving = Leaving { task, invocation: &invocation, armed: true };
        let head_ms = self.env.limits.head_ms;
        match tokio::time::timeout(Duration::from_millis(head_ms), head).await {
            Ok(answer) => {
                leaving.armed = false;
                let response = answer.unwrap_or_else(|_| Err(invocation.why_it_ended()))?;
                let finished = !self.running.get();
                Ok(response.map(|body| if finished { body.at_hand() } else { Body::stream(body) }))
            }
            Err(_) => {
                let detail = format!("no response after {head_ms} ms (limits.head_ms)");
                let failure = Failure::new(&code::HEAD_TIMEOUT, detail);
                invocation.fail(failure.clone());
                Err(failure)
            }
        }
    }

    /// The handler's task: from the allocation of the sandbox to the end of whatever the handler
    /// does after its response.
    async fn serve(self: Rc<Self>, invocation: Arc<Invocation>, event: Box<FetchEvent>, head: Head) {
        self.running.set(true);
        let begun = Instant::now();
        let Program { runtime, clock, proxy } = &*self.program;
        let mut store = Host::store(proxy.engine(), clock, self.core.clone(), self.share.clone(), &invocation);
        let serving = Serving { instance: &self, console: store.data().console.clone() };
        let outcome = {
            let guest = self.share.metered(runtime, self.handle(&mut store, &invocation, *event, head, begun));
            tokio::pin!(guest);
            tokio::select! {
                biased;
                outcome = &mut guest => outcome,
                overdue = invocation.overdue() => Err(overdue),
            }
        };
        self.memory_bytes.set(invocation.memory_bytes());
        match outcome {
            Err(failure) => self.fail(&invocation, failure),
            Ok(()) if !invocation.is_head_sent() => {
                let detail = "the handler returned without a response (response-outparam.set was never called)";
                self.fail(&invocation, Failure::new(&code::INVALID_RESPONSE, detail));
            }
            Ok(()) => {}
        }
        // The store goes last: with it goes the guest's end of the body, which would look whole if
        // the failure were not known yet.
        drop(serving);
        drop(store);
    }

    async fn handle(
        &self,
        store: &mut Store<Host>,
        invocation: &Arc<Invocation>,
        event: FetchEvent,
        head: Head,
        begun: Instant,
    ) -> Result<(), Failure> {
        let proxy = match self.program.proxy.instantiate_async(&mut *store).await {
            Ok(proxy) => proxy,
            Err(error) if error.is::<PoolConcurrencyLimitError>() => {
                return Err(Failure::new(
                    &code::NODE_OVERLOADED,
                    format!("no sandbox is free (instances_total): {error:#}"),
                ));
            }
            Err(error) => return self.ended(store, error),
        };
        let entered = Instant::now();
        let phases = Phases { instantiate: self.phases.instantiate + (entered - begun), ..self.phases };
        let request = self.request(event)?;
        let scheme = if request.uri().scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http };
        let respond = responder(invocation.clone(), head, entered, phases);
        let mut http = store.data_mut().http();
        let resources = http
            .new_incoming_request(scheme, request)
            .and_then(|request| Ok((request, http.new_response_outparam_from_callback(respond)?)));
        let (request, out) = resources.map_err(|error| Failure::new(&code::INTERNAL, format!("{error:#}")))?;
        match proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await {
            Ok(()) => Ok(()),
            Err(error) => self.ended(store, error),
        }
    }

    fn request(&self, event: FetchEvent) -> Result<http::Request<Incoming>, Failure> {
        let FetchEvent { method, url, headers, body, .. } = event;
        let uri =
            http::Uri::try_from(&url).map_err(|error| Failure::new(&code::BAD_REQUEST, format!("{url}: {error}")))?;
        let mut request =
            http::Request::new(Incoming::new(body, Duration::from_millis(self.env.limits.stream_idle_ms)));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        // A component can't open a socket; the field is one that it may not see.
        request.headers_mut().remove(http::header::UPGRADE);
        Ok(request)
    }

    /// What it means that the guest stopped with an error.
    fn ended(&self, store: &Store<Host>, error: wasmtime::Error) -> Result<(), Failure> {
        let limits = &self.env.limits;
        if error.is::<CpuExhausted>() {
            let detail = format!("more than {} ms of CPU time (limits.cpu_ms)", limits.cpu_ms);
            return Err(Failure::new(&code::CPU_EXCEEDED, detail));
        }
        if store.data().memory.denied {
            let detail = format!("more than {} MiB of memory (limits.memory_mib)", limits.memory_mib);
            return Err(Failure::new(&code::MEMORY_EXCEEDED, detail));
        }
        if let Some(I32Exit(status)) = error.downcast_ref() {
            if *status == 0 {
                return Ok(());
            }
            return Err(Failure::new(&code::GUEST_TRAP, format!("the component exited with status {status}")));
        }
        let stack = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string).unwrap_or_default();
        let failure = Failure::new(&code::GUEST_TRAP, error.root_cause().to_string());
        Err(self.env.located(failure, stack))
    }

    fn fail(&self, invocation: &Invocation, failure: Failure) {
        let (app, worker) = (&self.env.app, &self.env.worker);
        tracing::warn!(%app, %worker, instance = self.id, code = failure.code.name, "component ended: {}", failure.detail);
        self.lost.set(!std::ptr::eq(failure.code, &code::INVALID_RESPONSE));
        invocation.fail(failure);
    }
}

/// Where the head of the response goes.
type Head = oneshot::Sender<Result<http::Response<Outgoing>, Failure>>;

/// Takes the guest's response over, once.
fn responder(
    invocation: Arc<Invocation>,
    head: Head,
    entered: Instant,
    phases: Phases,
) -> impl FnOnce(Result<http::Response<HyperOutgoingBody>, ErrorCode>) + Send + Sync + 'static {
    move |answer| {
        invocation.record_start(Phases { first_response: entered.elapsed(), ..phases });
        invocation.head_sent();
        let answer = match answer {
            Ok(response) => Ok(response.map(|body| Outgoing::new(body, invocation.clone()))),
            Err(error) => {
                invocation.body_ended();
                let failure =
                    Failure::new(&code::GUEST_EXCEPTION, format!("the handler answered with an error: {error:?}"));
                invocation.fail(failure.clone());
                Err(failure)
            }
        };
        // If nobody waits any more, the body is dropped, and its end tells the guest.
        let _ = head.send(answer);
    }
}

/// Ends the handler if nobody waits for its response any more.
struct Leaving<'a> {
    task: AbortHandle,
    invocation: &'a Invocation,
    armed: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.invocation.fail(Failure::new(&code::CLIENT_GONE, "the client left before the response"));
            self.task.abort();
        }
    }
}

/// Tidies up after the handler, however it ended.
struct Serving<'a> {
    instance: &'a ComponentInstance,
    console: [Console; 2],
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.instance.running.set(false);
        self.console.iter().for_each(Console::finish);
    }
}
