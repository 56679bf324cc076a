//! The objects of one core.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::code;
use base::socket::close_code;
use futures_util::FutureExt as _;
use services::object::{Lease, ObjectError, ObjectKey};
use telemetry::Phases;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Mutex, Notify, oneshot};
use worker::object::{KeptSockets, ObjectBounds, Seat, Target};
use worker::{Call, Ended, Event, Failure, Instance, Response};

use super::policy::{self, Step, View};
use super::{Job, sockets};
use crate::cores::CorePools;
use crate::deployed::{Loaded, contained};
use crate::deployment::Inner;
use crate::gauge::{Lease as Hold, MemberGauge, Room};
use crate::invocation::{admit, check_nesting, root_slot};
use crate::node::Node;
use crate::pool::Pool;
use crate::quarantine::FailedStart;
use crate::registry;

/// What a core knows of its objects.
#[derive(Default)]
pub(crate) struct Home {
    objects: RefCell<HashMap<ObjectKey, Rc<Object>>>,
    /// Objects awake, by app.
    awake: RefCell<HashMap<Arc<str>, Rc<Cell<u64>>>>,
}

/// An object that is awake, keeps sockets, or is on its way to either.
pub(crate) struct Object {
    pub target: Target,
    pub sockets: Arc<KeptSockets>,
    /// Events pass one at a time, in the order of coming.
    door: Mutex<()>,
    waiting: Cell<u64>,
    awake: RefCell<Option<Awake>>,
    lease: RefCell<Option<Lease>>,
    /// The last event in the instance is over.
    over: Notify,
    /// Set by every use, cleared by every sweep.
    active: Cell<bool>,
    used_at: Cell<Duration>,
}

#[derive(Clone)]
struct Awake {
    instance: Rc<dyn Instance>,
    pool: Rc<Pool>,
    gauge: Arc<MemberGauge>,
    // After the instance, so that a place is free only once the sandbox is gone.
    _place: Rc<Place>,
}

/// A place among the instances of the node, and among the app's objects on this core.
struct Place {
    app: Rc<Cell<u64>>,
    node: Arc<AtomicU64>,
    node_room: Arc<Room>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.app.set(self.app.get() - 1);
        self.node.fetch_sub(1, Ordering::SeqCst);
        self.node_room.signal();
    }
}

/// Calls an object from the core that this thread is.
pub(crate) async fn invoke(node: Arc<Node>, target: Target, call: Call, event: Event) -> Result<Response, Failure> {
    let gone = || Failure::new(&code::DRAINING, "the core that the object was on has stopped");
    let Some(core) = registry::current().filter(|core| Arc::ptr_eq(&core.node, &node)) else {
        return Err(Failure::new(&code::INTERNAL, "an object was called on a thread that is no core of its node"));
    };
    let key = target.key();
    // What is known here is at home here.
    if let Some(object) = core.home.known(&key) {
        return serve_at(core, object, call, event).await;
    }
    let (home, jobs) = node.objects()?.registry.home(&key).ok_or_else(gone)?;
    if home == core.core.index {
        let object = core.home.object(target);
        return serve_at(core, object, call, event).await;
    }
    let (reply, answer) = oneshot::channel();
    jobs.send(Job { target, call, event, reply }).map_err(|_| gone())?;
    answer.await.unwrap_or_else(|_| Err(gone()))
}

/// Serves what comes from other cores.
pub(crate) fn open(core: &Rc<CorePools>) {
    let Some(objects) = &core.node.objects else { return };
    let (sender, jobs) = unbounded_channel();
    objects.registry.open(core.core.index, sender);
    core.note(tokio::task::spawn_local(take_jobs(Rc::downgrade(core), jobs)).abort_handle());
    core.note(tokio::task::spawn_local(super::alarms::run(Rc::downgrade(core))).abort_handle());
}

async fn take_jobs(core: std::rc::Weak<CorePools>, mut jobs: UnboundedReceiver<Job>) {
    while let Some(Job { target, call, event, mut reply }) = jobs.recv().await {
        let Some(core) = core.upgrade() else { return };
        // It may have moved on meanwhile.
        let here = core
            .node
            .objects()
            .is_ok_and(|o| o.registry.home(&target.key()).is_some_and(|(at, _)| at == core.core.index));
        let node = core.node.clone();
        tokio::task::spawn_local(async move {
            let served = async {
                match here {
                    true => serve(core, target, call, event).await,
                    false => Box::pin(invoke(node, target, call, event)).await,
                }
            };
            tokio::select! {
                result = served => drop(reply.send(result)),
                // The caller left.
                () = reply.closed() => {}
            }
        });
    }
}

/// Serves an event at home.
pub(crate) async fn serve(core: Rc<CorePools>, target: Target, call: Call, event: Event) -> Result<Response, Failure> {
    let object = core.home.object(target);
    serve_at(core, object, call, event).await
}

async fn serve_at(
    core: Rc<CorePools>,
    object: Rc<Object>,
    mut call: Call,
    mut event: Event,
) -> Result<Response, Failure> {
    // Declared first, so that it is dropped last, whichever way this ends.
    let visit = Visit::new(core.clone(), object.clone());
    let (deployment, worker) = core.node.serving(&object.target.class)?;
    check_nesting(&call, &deployment.limits)?;
    let pool = core.pool(&deployment, &deployment.workers[worker]);
    // Who serves now, as long as nothing was waited for.
    let mut serving = Some(deployment.workers[worker].key).filter(|_| call.admission.is_some());
    let slot = match root_slot(&mut call) {
        Some(slot) => slot,
        // Apart, as all that is rare, so that an event takes little room.
        None => Box::pin(admit(&core, &pool, &call)).await?,
    };
    let queue = deployment.limits.object_queue;
    if object.waiting.get() + u64::from(object.in_use()) > queue {
        let detail =
            format!("{} has {queue} events that wait or are in progress (limits.object_queue)", object.target.key());
        return Err(Failure::new(&code::OBJECT_OVERLOADED, detail).with_retry_after_s(1));
    }
    let mut tries = 0;
    loop {
        let ended = match visit.enter(&slot, serving.take(), call, event).await? {
            Ok(response) => return Ok(response),
            Err(ended) => ended,
        };
        let Some(again) = ended.again.filter(|_| tries < pool.worker.env.limits.instance_retries) else {
            return Err(ended.failure);
        };
        (call, event) = (again.call, again.event);
        tries += 1;
    }
}

/// One event at an object.
struct Visit {
    core: Rc<CorePools>,
    object: Rc<Object>,
}

impl Visit {
    fn new(core: Rc<CorePools>, object: Rc<Object>) -> Self {
        object.waiting.set(object.waiting.get() + 1);
        Self { core, object }
    }

    /// Passes the door and runs the event. The outer error is of one that did not get in.
    async fn enter(
        &self,
        slot: &Arc<crate::admission::Slot>,
        serving: Option<u64>,
        mut call: Call,
        event: Event,
    ) -> Result<Result<Response, Ended>, Failure> {
        let (door, serving) = match self.object.door.try_lock() {
            Ok(door) => (door, serving),
            Err(_) => (self.object.door.lock().await, None),
        };
        let serving = match serving {
            Some(key) => key,
            None => {
                let (deployment, worker) = self.core.node.serving(&self.object.target.class)?;
                deployment.workers[worker].key
            }
        };
        // Mostly it is awake, and the current one.
        let awake = match self.object.awake_of(serving) {
            Some(awake) => awake,
            None => Box::pin(self.core.instance_of(&self.object)).await?,
        };
        self.object.active.set(true);
        // Room for another is made by putting to sleep what was used longest ago.
        self.object.used_at.set(self.core.node.clock.monotonic());
        call.admission = Some(Hold::new(slot.clone(), awake.gauge.clone(), awake.pool.enter()));
        let mut run = pin!(AssertUnwindSafe(awake.instance.clone().run(call, event)).catch_unwind());
        // The event is in the instance before the next one passes.
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(run.as_mut().poll(cx))).await;
        drop(door);
        let result = match first {
            std::task::Poll::Ready(result) => result,
            std::task::Poll::Pending => run.await,
        };
        let result = result.unwrap_or_else(|_| {
            self.core.node.counters.panics.fetch_add(1, Ordering::Relaxed);
            self.object.forget_instance(&awake.instance);
            Err(Failure::new(&code::INTERNAL, "the engine panicked while it ran an event of an object").into())
        });
        if awake.instance.state().lost {
            self.core.node.counters.instances_lost.fetch_add(1, Ordering::Relaxed);
            self.object.forget_instance(&awake.instance);
        }
        Ok(result)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let waiting = self.object.waiting.get() - 1;
        self.object.waiting.set(waiting);
        sockets::keep_fresh(&self.core, &self.object);
        self.core.let_go(&self.object);
    }
}

impl Object {
    fn in_use(&self) -> u32 {
        self.awake.borrow().as_ref().map_or(0, |awake| awake.gauge.in_use())
    }

    /// The instance, if it is of this worker and an event may enter it.
    fn awake_of(&self, worker: u64) -> Option<Awake> {
        let awake = self.awake.borrow();
        awake.as_ref().filter(|awake| awake.pool.worker.key == worker && !awake.instance.state().lost).cloned()
    }

    fn view(&self, current: Option<u64>) -> View {
        let runs = self.awake.borrow().as_ref().map(|awake| awake.pool.worker.key);
        View { runs, current, in_use: self.in_use(), waited: Duration::ZERO, takeover: Duration::ZERO }
    }

    /// The instance is lost, if it is still this one.
    fn forget_instance(&self, instance: &Rc<dyn Instance>) {
        let is_this = self.awake.borrow().as_ref().is_some_and(|awake| Rc::ptr_eq(&awake.instance, instance));
        if is_this {
            self.sleep();
        }
    }

    /// Others take it over, whatever is still in progress.
    fn give_way(&self, detail: &str) {
        if let Some(awake) = self.awake.borrow().as_ref().filter(|awake| awake.gauge.in_use() > 0) {
            awake.instance.clone().end(Failure::new(&code::OBJECT_RESET, detail));
        }
        self.sleep();
        // The next lease has a higher fence, which keeps what is left of it from writing.
        drop(self.lease.borrow_mut().take());
    }

    fn sleep(&self) {
        let awake = self.awake.borrow_mut().take();
        drop(awake);
        self.over.notify_waiters();
    }
}

impl Home {
    fn known(&self, key: &ObjectKey) -> Option<Rc<Object>> {
        self.objects.borrow().get(key).cloned()
    }

    fn object(&self, target: Target) -> Rc<Object> {
        let key = target.key();
        if let Some(known) = self.objects.borrow().get(&key) {
            return known.clone();
        }
        let make = || {
            Rc::new(Object {
                target,
                sockets: Arc::default(),
                door: Mutex::default(),
                waiting: Cell::new(0),
                awake: RefCell::default(),
                lease: RefCell::default(),
                over: Notify::new(),
                active: Cell::new(true),
                used_at: Cell::default(),
            })
        };
        self.objects.borrow_mut().entry(key).or_insert_with(make).clone()
    }

    fn awake_of(&self, app: &Arc<str>) -> Rc<Cell<u64>> {
        self.awake.borrow_mut().entry(app.clone()).or_default().clone()
    }

    fn all(&self) -> Vec<Rc<Object>> {
        self.objects.borrow().values().cloned().collect()
    }
}

impl CorePools {
    /// The instance that the object's next event enters: started, or taken over, if need be.
    async fn instance_of(self: &Rc<Self>, object: &Rc<Object>) -> Result<Awake, Failure> {
        let begun = self.node.clock.monotonic();
        loop {
            let (deployment, worker) = self.node.serving(&object.target.class)?;
            let worker = deployment.workers[worker].clone();
            let lost = object.awake.borrow().as_ref().is_some_and(|awake| awake.instance.state().lost);
            if lost {
                object.sleep();
            }
            let takeover = Duration::from_millis(deployment.limits.object_takeover_ms);
            let waited = self.node.clock.monotonic().saturating_sub(begun);
            match policy::at_the_door(View { waited, takeover, ..object.view(Some(worker.key)) }) {
                Step::Enter => {}
                Step::Start => {
                    let awake = self.wake(object, &deployment, worker).await?;
                    *object.awake.borrow_mut() = Some(awake);
                }
                Step::Replace => object.give_way("another deployment took the object over (limits.object_takeover_ms)"),
                Step::WaitForLast(left) => wait_for_last(object, left).await,
            }
            if let Some(awake) =
                object.awake.borrow().as_ref().filter(|awake| awake.pool.worker.key == worker_key(&deployment, object))
            {
                return Ok(awake.clone());
            }
        }
    }

    async fn wake(
        self: &Rc<Self>,
        object: &Rc<Object>,
        deployment: &Arc<Inner>,
        worker: Arc<crate::deployed::DeployedWorker>,
    ) -> Result<Awake, Failure> {
        let parts = &self.node.objects()?.parts;
        let key = object.target.key();
        let pool = self.pool(deployment, &worker);
        let attempt = worker.attempt(&self.node)?;
        let place = self.place(&pool)?;
        if object.lease.borrow().is_none() {
            let lease = parts.leases.acquire(&key).await.map_err(|e| Failure::new(e.code(), format!("{key}: {e}")))?;
            *object.lease.borrow_mut() = Some(lease);
        }
        let fence = object.lease.borrow().as_ref().map_or(0, |lease| lease.fence);
        let storage = parts.store.open(&key, fence).await.map_err(|e| unusable(&key, &e))?;
        let loading = self.node.clock.monotonic();
        let program = match worker.program(&self.node) {
            Loaded::Ready(program) => program,
            Loaded::Preparing(preparation) => preparation.await?,
            Loaded::Failed(failure) => {
                attempt.failed(FailedStart::BeforeEvent, &failure);
                return Err(failure);
            }
        };
        let load = self.node.clock.monotonic().saturating_sub(loading);
        let phases = Cell::new(Phases { load, ..Phases::default() });
        let seat = Seat {
            target: object.target.clone(),
            storage,
            sockets: object.sockets.clone(),
            bounds: ObjectBounds {
                alarm_retries: self.node.limits.object_alarm_retries,
                keys: self.node.limits.object_keys,
                attachment_bytes: self.node.limits.object_attachment_bytes,
                sockets: deployment.limits.object_sockets,
            },
        };
        let started = contained("instantiate", || program.instantiate_object(&self.core, &worker.env, seat, &phases));
        match started {
            Ok(instance) => {
                attempt.succeeded();
                self.node.counters.instances_started.fetch_add(1, Ordering::Relaxed);
                let gauge = MemberGauge::new(pool.gauge.clone());
                Ok(Awake { instance, pool, gauge, _place: Rc::new(place) })
            }
            Err(failure) => {
                attempt.failed(FailedStart::BeforeEvent, &failure);
                Err(failure)
            }
        }
    }

    /// Room for one more object; idle ones give way, the longest idle first.
    fn place(&self, pool: &Pool) -> Result<Place, Failure> {
        let (app, max) = (&pool.worker.app, pool.deployment.limits.objects);
        let count = self.home.awake_of(app);
        while count.get() >= max {
            if !self.evict_object(|other| other.pool.worker.app == *app) {
                let detail =
                    format!("{max} durable objects of the app are awake on one core (limits.objects), all in use");
                return Err(Failure::new(&code::APP_OVERLOADED, detail).with_retry_after_s(1));
            }
        }
        let node_max = self.node.limits.instances_total;
        while self.node.instances.fetch_add(1, Ordering::SeqCst) >= node_max {
            self.node.instances.fetch_sub(1, Ordering::SeqCst);
            if !self.evict_any() {
                let detail =
                    format!("no place for an object came free: {node_max} instances on the node (instances_total)");
                return Err(Failure::new(&code::NODE_OVERLOADED, detail).with_retry_after_s(1));
            }
        }
        count.set(count.get() + 1);
        Ok(Place { app: count, node: self.node.instances.clone(), node_room: self.node.room.clone() })
    }

    /// Puts the longest idle object to sleep, among these.
    fn evict_object(&self, among: impl Fn(&Awake) -> bool) -> bool {
        let all = self.home.all();
        let idle = all.iter().filter(|object| {
            object.in_use() == 0 && object.door.try_lock().is_ok() && object.awake.borrow().as_ref().is_some_and(&among)
        });
        let Some(longest) = idle.min_by_key(|object| object.used_at.get()) else { return false };
        longest.sleep();
        self.let_go(longest);
        self.node.counters.instances_evicted.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// The same among all.
    pub fn evict_any_object(&self) -> bool {
        self.evict_object(|_| true)
    }

    /// Forgets an object that sleeps, keeps no sockets, and is not waited for.
    pub(super) fn let_go(&self, object: &Rc<Object>) {
        let needed = object.awake.borrow().is_some() || object.waiting.get() > 0 || !object.sockets.is_empty();
        if needed {
            return;
        }
        let key = object.target.key();
        let removed = self.home.objects.borrow_mut().remove(&key);
        drop(removed);
        drop(object.lease.borrow_mut().take());
        if let Ok(objects) = self.node.objects() {
            objects.registry.release(&key, self.core.index);
        }
    }

    /// Puts to sleep what stood unused for so long, and what is not current any more.
    pub fn sweep_objects(&self, now: Duration) {
        let idle = Duration::from_millis(self.node.limits.object_idle_ms);
        for object in self.home.all() {
            let current = self.node.serving(&object.target.class).ok().map(|(inner, worker)| inner.workers[worker].key);
            let view = object.view(current);
            if object.active.replace(false) || view.in_use > 0 {
                object.used_at.set(now);
            }
            if view.in_use == 0 {
                object.over.notify_waiters();
            }
            if view.runs.is_some() && view.runs != current {
                let instance = object.awake.borrow().as_ref().map(|awake| awake.instance.clone());
                instance.iter().for_each(|instance| instance.retire());
            }
            // Whoever stands at the door decides for itself.
            let free = object.door.try_lock().is_ok();
            if free && policy::sleeps(view, now.saturating_sub(object.used_at.get()), idle) {
                object.sleep();
            }
            if current.is_none() {
                object.sockets.end_all(close_code::RESTART, None);
            }
            self.let_go(&object);
        }
        self.home.awake.borrow_mut().retain(|_, count| Rc::strong_count(count) > 1);
    }

    /// Ends all, sockets included.
    pub fn end_objects(&self) {
        for object in self.home.all() {
            object.give_way("what the object stored was put back to what it was");
            object.sockets.end_all(close_code::RESTART, None);
            self.let_go(&object);
        }
    }

    /// The last event in an instance of these pools is over: whoever waits for that goes on.
    pub fn reap_objects(&self, pools: &[u64]) {
        let objects = self.home.objects.borrow();
        let of_pools = |object: &&Rc<Object>| {
            object.awake.borrow().as_ref().is_some_and(|awake| pools.contains(&awake.pool.worker.key))
        };
        objects
            .values()
            .filter(of_pools)
            .filter(|object| object.in_use() == 0)
            .for_each(|object| object.over.notify_waiters());
    }

    /// The thread stops being a core.
    pub fn close_objects(&self) {
        let objects = self.home.objects.take();
        if let Ok(of_node) = self.node.objects() {
            of_node.registry.close(self.core.index);
        }
        objects.values().for_each(|object| object.sleep());
    }
}

fn worker_key(deployment: &Arc<Inner>, object: &Object) -> u64 {
    deployment.classes.get(&object.target.class.name).map_or(0, |&worker| deployment.workers[worker].key)
}

async fn wait_for_last(object: &Object, left: Duration) {
    let mut over = std::pin::pin!(object.over.notified());
    over.as_mut().enable();
    let (instance, gauge) = match object.awake.borrow().as_ref() {
        Some(awake) => (awake.instance.clone(), awake.gauge.clone()),
        None => return,
    };
    // It says so when its last event is over.
    if !gauge.leave() {
        instance.retire();
        let _ = tokio::time::timeout(left, over).await;
    }
}

fn unusable(key: &ObjectKey, error: &ObjectError) -> Failure {
    let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    Failure::new(error.code(), format!("{key}: {error}{source}"))
}
