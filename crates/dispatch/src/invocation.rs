//! One invocation, from the door to the head of the response.
//!
//! A warm request of a shared worker passes through here without waiting, reading a clock, or
//! taking a lock. What it allocates is its own future, the place in admission and the lease that
//! travel in `Call::admission`; what it writes that other cores read is the app's one word of
//! admission, once on the way in and once on the way out.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::code;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use telemetry::Phases;
use worker::{Again, Call, Ended, Event, Failure, Response};

use crate::admission::{Entry, Refusal, Slot};
use crate::cores::{CorePools, Full};
use crate::deployed::{Attempt, Loaded, Preparation, contained, whole_seconds};
use crate::deployment::Inner;
use crate::gauge::{Acting, Lease};
use crate::pool::{Member, Pick, Pool};
use crate::quarantine::FailedStart;
use crate::registry;

/// Calls a worker on the core that this thread is.
pub(crate) fn begin(
    deployment: &Arc<Inner>,
    worker: usize,
    call: Call,
    event: Event,
) -> LocalBoxFuture<'static, Result<Response, Failure>> {
    let Some(core) = registry::current().filter(|core| Arc::ptr_eq(&core.node, &deployment.node)) else {
        let detail = "a worker was called on a thread that is no core of its dispatcher";
        return Box::pin(std::future::ready(Err(Failure::new(&code::INTERNAL, detail))));
    };
    let pool = core.pool(deployment, &deployment.workers[worker]);
    let acting = pool.enter();
    Box::pin(run(core, pool, acting, call, event))
}

async fn run(
    core: Rc<CorePools>,
    pool: Rc<Pool>,
    acting: Acting,
    mut call: Call,
    event: Event,
) -> Result<Response, Failure> {
    check_nesting(&call, &pool.deployment.limits)?;
    let slot = match root_slot(&mut call) {
        Some(slot) => slot,
        None => admit(&core, &pool, &call).await?,
    };
    let obtained = obtain(&core, &pool, &call).await?;
    call.admission = Some(Lease::new(slot, obtained.member.gauge.clone(), acting));
    match run_in(&core, &pool, obtained, call, event).await {
        Ok(response) => Ok(response),
        Err(Ended { failure, again: None }) => Err(failure),
        Err(Ended { failure, again: Some(again) }) => Box::pin(run_again(&core, &pool, failure, *again)).await,
    }
}

pub(crate) fn check_nesting(call: &Call, limits: &base::AppLimits) -> Result<(), Failure> {
    let nesting = limits.nesting;
    if call.depth <= nesting {
        return Ok(());
    }
    let detail = format!("service bindings nest {} deep, limits.nesting allows {nesting}", call.depth);
    Err(Failure::new(&code::NESTING_EXCEEDED, detail))
}

async fn run_in(
    core: &CorePools,
    pool: &Pool,
    obtained: Obtained<'_>,
    call: Call,
    event: Event,
) -> Result<Response, Ended> {
    let Obtained { member, attempt } = obtained;
    // Declared before the run, so that it is dropped after it, whichever way this ends.
    let seated = Seated { core, pool, member };
    let instance = seated.member.instance.clone();
    let result = AssertUnwindSafe(async move { instance.run(call, event).await }).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(seated.panicked().into()));
    if let Some(attempt) = attempt {
        seated.judge(attempt, &result);
    }
    result
}

/// Runs an event that lost its instance to another one, and left no trace there, in other
/// instances. It keeps its place in admission, and what it has left of `head_ms`.
async fn run_again(core: &CorePools, pool: &Pool, failure: Failure, again: Again) -> Result<Response, Failure> {
    let limits = &pool.worker.env.limits;
    let (mut failure, mut again) = (failure, again);
    for _ in 0..limits.instance_retries {
        let Again { mut call, event, spent } = again;
        let acting = pool.enter();
        let Some(slot) = root_slot(&mut call) else { return Err(failure) };
        let left = Duration::from_millis(limits.head_ms).saturating_sub(spent);
        let attempt = async {
            let obtained = obtain(core, pool, &call).await?;
            call.admission = Some(Lease::new(slot, obtained.member.gauge.clone(), acting));
            core.node.counters.events_again.fetch_add(1, Ordering::Relaxed);
            run_in(core, pool, obtained, call, event).await
        };
        let ended = match tokio::time::timeout(left, attempt).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(ended)) => ended,
            Err(_) => {
                let detail = format!(
                    "no response after {} ms (limits.head_ms), the loss of an instance to another request included",
                    limits.head_ms
                );
                return Err(Failure::new(&code::HEAD_TIMEOUT, detail));
            }
        };
        failure = ended.failure;
        match ended.again {
            Some(more) => again = Again { spent: spent + more.spent, ..*more },
            None => return Err(failure),
        }
    }
    Err(failure)
}

/// The place of the request that this call acts for, if it is nested: it keeps that place and never
/// waits for one of its own, so workers that call each other can't wait for themselves.
pub(crate) fn root_slot(call: &mut Call) -> Option<Arc<Slot>> {
    let lease = call.admission.take()?.downcast::<Lease>().ok()?;
    Some(lease.slot())
}

pub(crate) async fn admit(core: &CorePools, pool: &Pool, call: &Call) -> Result<Arc<Slot>, Failure> {
    let (admission, limits) = (&pool.deployment.admission, &pool.deployment.limits);
    let refused = |refusal: Refusal| {
        let (concurrency, queue) = (limits.concurrency, limits.queue);
        let overloaded =
            |detail: String| Failure::new(&code::APP_OVERLOADED, detail).with_retry_after_s(queue_s(limits));
        match refusal {
            Refusal::QueueFull => overloaded(format!(
                "{concurrency} requests are in progress (limits.concurrency) and {queue} wait (limits.queue)"
            )),
            Refusal::WaitedTooLong => overloaded(format!(
                "none of {concurrency} places (limits.concurrency) came free within {} ms (limits.queue_ms)",
                limits.queue_ms
            )),
            Refusal::Closed => Failure::new(&code::DRAINING, "the node is draining and takes no new requests"),
        }
    };
    let waiting = match admission.enter().map_err(refused)? {
        Entry::Entered(slot) => return Ok(Arc::new(slot)),
        Entry::Waiting(waiting) => waiting,
    };
    let begun = core.node.clock.monotonic();
    let slot = waiting.within(Duration::from_millis(limits.queue_ms)).await;
    call.record.edit().admission_wait += core.node.clock.monotonic().saturating_sub(begun);
    slot.map(Arc::new).map_err(refused)
}

/// Seconds for `Retry-After`: by the end of `queue_ms`, everyone who waits now has been served or
/// refused.
fn queue_s(limits: &base::AppLimits) -> u32 {
    whole_seconds(Duration::from_millis(limits.queue_ms))
}

/// An instance to run an event in. If it was started for it, the attempt awaits its verdict.
struct Obtained<'a> {
    member: Rc<Member>,
    attempt: Option<Attempt<'a>>,
}

/// What a look around gave.
enum Looked<'a> {
    Found(Obtained<'a>),
    Full(Full),
}

async fn obtain<'a>(core: &'a CorePools, pool: &'a Pool, call: &Call) -> Result<Obtained<'a>, Failure> {
    // A request from outside goes behind those that wait; a nested call goes before them, since
    // others wait for it.
    let may_look = call.depth > 0 || pool.gauge.room.waiting() == 0;
    if may_look && let Looked::Found(obtained) = look(core, pool).await? {
        return Ok(obtained);
    }
    let begun = core.node.clock.monotonic();
    let obtained = wait_for_room(core, pool).await;
    call.record.edit().admission_wait += core.node.clock.monotonic().saturating_sub(begun);
    obtained
}

async fn wait_for_room<'a>(core: &'a CorePools, pool: &'a Pool) -> Result<Obtained<'a>, Failure> {
    let (gauge, limits) = (&pool.gauge, &pool.deployment.limits);
    let mut full = Full::App;
    if u64::from(gauge.room.waiting()) >= limits.queue {
        return Err(overloaded(core, pool, full));
    }
    let _waits = gauge.room.enlist();
    let mut end = pin!(tokio::time::sleep(Duration::from_millis(limits.queue_ms)));
    loop {
        // Waits only for the room that it lacks, so that it takes no signal from one who could use
        // it. Listens first and looks then: what comes free in between is not missed.
        let lacks = match full {
            Full::App => &gauge.app_room,
            Full::Node => &gauge.node_room,
        };
        let _waits = lacks.enlist();
        let (mut here, mut there) = (pin!(gauge.room.freed()), pin!(lacks.freed()));
        here.as_mut().enable();
        there.as_mut().enable();
        match look(core, pool).await? {
            Looked::Found(obtained) => return Ok(obtained),
            Looked::Full(why) if why != full => {
                full = why;
                continue;
            }
            // What stands idle on other cores only they can drop.
            Looked::Full(Full::Node) => core.node.sweep_all(),
            Looked::Full(Full::App) => {}
        }
        tokio::select! {
            () = here => {}
            () = there => {}
            () = &mut end => return Err(overloaded(core, pool, full)),
        }
    }
}

fn overloaded(core: &CorePools, pool: &Pool, full: Full) -> Failure {
    let limits = &pool.deployment.limits;
    let worker = &pool.worker.env.worker;
    let (code, what) = match full {
        Full::App => (&code::APP_OVERLOADED, format!("{} on one core (limits.instances)", limits.instances)),
        Full::Node => {
            (&code::NODE_OVERLOADED, format!("{} on the node (instances_total)", core.node.limits.instances_total))
        }
    };
    let detail = format!(
        "no instance of {worker} came free: {what}, all in use; {} may wait (limits.queue) for {} ms (limits.queue_ms)",
        limits.queue, limits.queue_ms
    );
    Failure::new(code, detail).with_retry_after_s(queue_s(limits))
}

/// Takes an instance that is there, or starts one. Waits only for a preparation.
async fn look<'a>(core: &'a CorePools, pool: &'a Pool) -> Result<Looked<'a>, Failure> {
    // When this request began to load the program, if it had to.
    let mut loading_since = None;
    loop {
        let mut paused = None;
        if !pool.worker.fresh {
            match pool.pick() {
                Pick::Ready(member) => return Ok(Looked::Found(Obtained { member, attempt: None })),
                // Not held on to: if nobody is in it, it may be what gives way to a new one.
                Pick::Paused(member) => paused = Some(Rc::downgrade(&member)),
                Pick::None => {}
            }
        }
        let found = |member| Looked::Found(Obtained { member, attempt: None });
        let started = start(core, pool, &mut loading_since);
        match (started, paused.and_then(|member| member.upgrade())) {
            (Started::Instance(member, attempt), _) => {
                return Ok(Looked::Found(Obtained { member, attempt: Some(attempt) }));
            }
            (Started::Full(_) | Started::Failed(_) | Started::Preparing(..), Some(member)) => return Ok(found(member)),
            (Started::Full(why), None) => return Ok(Looked::Full(why)),
            (Started::Failed(failure), None) => return Err(failure),
            // A probe stays this request's own until the preparation is over.
            (Started::Preparing(preparation, _attempt), None) => pool.set_program(preparation.await?),
        }
    }
}

enum Started<'a> {
    Instance(Rc<Member>, Attempt<'a>),
    /// The program has to be prepared first.
    Preparing(Preparation, Attempt<'a>),
    Full(Full),
    Failed(Failure),
}

fn start<'a>(core: &'a CorePools, pool: &'a Pool, loading_since: &mut Option<Duration>) -> Started<'a> {
    let (node, worker) = (&core.node, &pool.worker);
    let attempt = match worker.attempt(node) {
        Ok(attempt) => attempt,
        Err(quarantined) => return Started::Failed(quarantined),
    };
    let seat = match core.seat(pool) {
        Ok(seat) => seat,
        Err(full) => return Started::Full(full),
    };
    let program = match pool.program() {
        Some(program) => program,
        None => {
            loading_since.get_or_insert_with(|| node.clock.monotonic());
            match worker.program(node) {
                Loaded::Ready(program) => {
                    pool.set_program(program.clone());
                    program
                }
                Loaded::Preparing(preparation) => return Started::Preparing(preparation, attempt),
                Loaded::Failed(failure) => {
                    attempt.failed(FailedStart::BeforeEvent, &failure);
                    return Started::Failed(failure);
                }
            }
        }
    };
    let load = loading_since.map_or(Duration::ZERO, |since| node.clock.monotonic().saturating_sub(since));
    let phases = Cell::new(Phases { load, ..Phases::default() });
    match contained("instantiate", || program.instantiate(&core.core, &worker.env, &phases)) {
        Ok(instance) => {
            node.counters.instances_started.fetch_add(1, Ordering::Relaxed);
            Started::Instance(pool.add(instance, seat), attempt)
        }
        Err(failure) => {
            attempt.failed(FailedStart::BeforeEvent, &failure);
            Started::Failed(failure)
        }
    }
}

/// An event in an instance, until its head.
struct Seated<'a> {
    core: &'a CorePools,
    pool: &'a Pool,
    member: Rc<Member>,
}

impl Seated<'_> {
    /// What a first event says about the worker's start. An instance that was lost otherwise than
    /// by a trap of its own (too much CPU or memory) says nothing.
    fn judge(&self, attempt: Attempt<'_>, result: &Result<Response, Ended>) {
        match result {
            Err(Ended { failure, .. }) if self.member.instance.state().lost => {
                if std::ptr::eq(failure.code, &code::GUEST_TRAP) {
                    attempt.failed(FailedStart::FirstEvent, failure);
                }
            }
            Err(Ended { failure, .. }) if std::ptr::eq(failure.code, &code::INTERNAL) => {}
            _ => attempt.succeeded(),
        }
    }

    /// The engine panicked: the instance can't be trusted any more, everything else goes on.
    fn panicked(&self) -> Failure {
        self.core.node.counters.panics.fetch_add(1, Ordering::Relaxed);
        self.pool.remove(&self.member);
        let worker = &self.pool.worker;
        tracing::error!(app = %worker.app, worker = %worker.env.worker, "the engine panicked while it ran an event");
        Failure::new(&code::INTERNAL, "the engine panicked while it ran an event; the instance was discarded")
    }
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        self.pool.after_event(&self.member, &self.core.node.counters);
    }
}
