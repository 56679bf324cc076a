//! The contract of an engine.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::{Artifact, Body, Digest, WorkerLimits, code};
use futures_util::future::LocalBoxFuture;
use telemetry::Phases;

use crate::object::Seat;
use crate::{Call, Core, Ended, Env, Event, Failure};

/// The answer to an event. One of status 101 brings an end of a socket in its extensions
/// ([`base::socket::Upgrade`]); whoever passes the response on passes the socket on.
pub type Response = http::Response<Body>;

/// Makes programs of artifacts. One per node, shared by all cores.
///
/// Promises:
/// - A program depends on the artifact and the limits alone; nothing of an environment is in it.
/// - What was prepared once is found again after a restart, and is never believed unverified.
/// - A guest that loops, grows or traps during `prepare` ends with a failure, within its limits.
pub trait Engine: Send + Sync + 'static {
    /// Makes what all guests share, if that is not there yet. Whoever is about to serve a worker asks
    /// for it, on a thread that may block: it takes milliseconds to seconds. A node that serves none
    /// holds nothing of it.
    fn ready(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Brings an artifact to the point where instances start fast: compiles a component, or
    /// evaluates a script and keeps its image. Blocks for milliseconds to seconds: call it on a
    /// thread that may block. Preparing the same artifact twice is cheap.
    fn prepare(&self, artifact: &Artifact, limits: &WorkerLimits) -> Result<StartReport, Failure>;

    /// Loads what `prepare` made, in well under a millisecond; `None` if it is not there.
    fn load(&self, artifact: &Digest, limits: &WorkerLimits) -> Result<Option<Arc<dyn Program>>, Failure>;
}

/// What `prepare` did and how long it took.
#[derive(Debug, Clone, Default)]
pub struct StartReport {
    /// False if an earlier preparation was found.
    pub fresh: bool,
    pub elapsed: Duration,
    /// Size of the image or of the compiled component.
    pub bytes: u64,
    /// What the modules wrote to the console while they were evaluated.
    pub console: Vec<(telemetry::Level, String)>,
}

/// A loaded deployment of one worker, shared by all cores.
pub trait Program: Send + Sync + 'static {
    /// Makes an instance on this core. Takes microseconds and does not wait. `phases` receives
    /// how long each part took.
    fn instantiate(
        self: Arc<Self>,
        core: &Core,
        env: &Arc<Env>,
        phases: &Cell<Phases>,
    ) -> Result<Rc<dyn Instance>, Failure>;

    /// The same for an instance that is a durable object: all its events are that object's. Only
    /// scripts have classes.
    fn instantiate_object(
        self: Arc<Self>,
        _core: &Core,
        env: &Arc<Env>,
        _seat: Seat,
        _phases: &Cell<Phases>,
    ) -> Result<Rc<dyn Instance>, Failure> {
        let detail = format!("the worker {} is a component, which has no classes", env.worker);
        Err(Failure::new(&code::NO_OBJECT_CLASS, detail))
    }
}

/// A sandbox that runs events, on one core.
///
/// Promises:
/// - `run` may be called again while earlier events are in progress, up to
///   `WorkerLimits::instance_requests`, unless the program is one-event (a component).
/// - Dropping the future of `run` before the head of the response means that the client left: the
///   guest hears an abort, and work passed to `waitUntil` goes on.
/// - Limits end the request that broke them; where only ending the instance helps, every other
///   event in it fails with `instance_lost`, and `state().lost` is true from then on.
/// - Of these others, one that left no trace outside the sandbox comes back in [`Ended::again`], as
///   it was: it had started no operation of the host but timers, and its body is whole or was
///   never asked for. What it wrote to the log is no such trace: the log tells what happened, and
///   it happened. What it left with another request of the instance is not followed.
/// - The handle of the record in `Call` is held until the invocation is over, `waitUntil` and open
///   sockets included.
/// - An open socket that the guest listens to keeps its invocation going: each of its messages is
///   charged to it, and begins a new allowance of CPU time, sub-requests and log. Its socket ends
///   with code 1011 if the invocation or the instance does, and with 1012 when it retires.
/// - An open session of calls ([`crate::rpc`]) keeps the invocation that serves it going, on the one
///   allowance that it has, and ends with the invocation that called, with either instance, or when
///   neither side holds anything of the other.
pub trait Instance {
    fn run(self: Rc<Self>, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Ended>>;

    fn state(&self) -> InstanceState;

    /// The deployment was replaced: what would keep this instance for long, its open sockets,
    /// ends now and may come back to the successor. May be called more than once.
    fn retire(&self) {}

    /// Ends it now: whatever is in progress fails with this, and nothing more leaves it. For
    /// objects, which somebody else takes over.
    fn end(self: Rc<Self>, _failure: Failure) {}
}

#[derive(Debug, Clone, Copy, Default)]
pub struct InstanceState {
    /// Unique within the node's lifetime.
    pub id: u64,
    /// Events in progress, `waitUntil` work included.
    pub in_flight: u64,
    /// The guest is on the stack, paused in the middle of a computation.
    pub paused: bool,
    /// The sandbox is gone; take it out of the pool.
    pub lost: bool,
    /// Events that ever entered.
    pub events: u64,
    pub memory_bytes: u64,
    /// It has used up much of what it can't give back; a successor has it again.
    pub worn: bool,
}
