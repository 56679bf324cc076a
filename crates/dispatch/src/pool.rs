//! The instances of one worker on one core.
//!
//! **Which instance takes an event** (shared isolation): the oldest one that has room and is not
//! paused. On one core a second instance adds no parallelism, so there is nothing to gain from
//! spreading requests out; filling them in a fixed order keeps the first ones hot and lets those
//! that a burst called for stand idle and age out. Only when every instance is paused in the
//! middle of a computation, or full, is a new one started; and where that is not allowed, the
//! least loaded paused one takes the event.
//!
//! **When an instance is replaced**: after `instance_requests_total` events, when it is worn, or when its memory
//! has grown past three quarters of `memory_mib` since its first event (a linear memory never
//! shrinks, so this is a leak or soon an error). An app whose first event needs that much is let off
//! until seven eighths: it would only start cold each time, but the next event must find room. It
//! takes no more events then and is dropped when its last invocation is over.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use worker::{Instance, InstanceState, Program};

use crate::deployed::DeployedWorker;
use crate::deployment::Inner;
use crate::gauge::{Acting, MemberGauge, PoolGauge, Room};
use crate::node::Counters;

pub(crate) struct Pool {
    pub worker: Arc<DeployedWorker>,
    pub app: Rc<AppOnCore>,
    pub gauge: Arc<PoolGauge>,
    /// Keeps the deployment, and with it late-bound invokers, for as long as anything runs here.
    pub deployment: Arc<Inner>,
    /// Kept while there are instances, so that a fresh one needs nothing that cores share.
    program: RefCell<Option<Arc<dyn Program>>>,
    /// Those that take events, oldest first.
    members: RefCell<Vec<Rc<Member>>>,
    /// Those that take no more, until their last invocation is over.
    leaving: RefCell<Vec<Rc<Member>>>,
    active: Cell<bool>,
    used_at: Cell<Duration>,
}

/// What the workers of one app share on one core.
#[derive(Default)]
pub(crate) struct AppOnCore {
    pub instances: Cell<u64>,
    pub room: Arc<Room>,
}

/// An instance in a pool.
pub(crate) struct Member {
    pub instance: Rc<dyn Instance>,
    pub gauge: Arc<MemberGauge>,
    /// Set by every use, cleared by every sweep: the path of a request reads no clock.
    active: Cell<bool>,
    used_at: Cell<Duration>,
    /// Memory after the first event; 0 before.
    settled_bytes: Cell<u64>,
    // After the instance, so that a place is free only once the sandbox is gone.
    _seat: Seat,
}

/// A place for one instance: on the node, and in its app on this core.
pub(crate) struct Seat {
    app: Rc<AppOnCore>,
    node: Arc<AtomicU64>,
    pool: Arc<PoolGauge>,
}

impl Seat {
    pub fn new(app: Rc<AppOnCore>, node: Arc<AtomicU64>, pool: Arc<PoolGauge>) -> Self {
        app.instances.set(app.instances.get() + 1);
        pool.instances.fetch_add(1, Ordering::Relaxed);
        Self { app, node, pool }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.app.instances.set(self.app.instances.get() - 1);
        self.pool.instances.fetch_sub(1, Ordering::Relaxed);
        self.node.fetch_sub(1, Ordering::SeqCst);
        self.app.room.signal();
        self.pool.node_room.signal();
    }
}

/// What `pick` found.
pub(crate) enum Pick {
    Ready(Rc<Member>),
    /// Room, but behind a paused guest.
    Paused(Rc<Member>),
    None,
}

impl Pool {
    pub fn new(deployment: Arc<Inner>, worker: Arc<DeployedWorker>, app: Rc<AppOnCore>, gauge: PoolGauge) -> Self {
        let gauge = Arc::new(gauge);
        worker.add_gauge(gauge.clone());
        Self {
            worker,
            app,
            gauge,
            deployment,
            program: RefCell::default(),
            members: RefCell::default(),
            leaving: RefCell::default(),
            active: Cell::new(true),
            used_at: Cell::default(),
        }
    }

    /// An invocation is on its way in.
    pub fn enter(&self) -> Acting {
        self.active.set(true);
        self.gauge.begin()
    }

    pub fn program(&self) -> Option<Arc<dyn Program>> {
        self.program.borrow().clone()
    }

    pub fn set_program(&self, program: Arc<dyn Program>) {
        *self.program.borrow_mut() = Some(program);
    }

    /// Chooses an instance for an event; see the module's documentation.
    pub fn pick(&self) -> Pick {
        let requests_max = self.worker.env.limits.instance_requests;
        let mut paused: Option<(u32, Rc<Member>)> = None;
        let mut found_lost = false;
        let mut ready = None;
        for member in self.members.borrow().iter() {
            let state = member.instance.state();
            let in_use = member.gauge.in_use();
            if state.lost {
                found_lost = true;
            } else if u64::from(in_use) >= requests_max {
                // Full.
            } else if !state.paused {
                ready = Some(member.clone());
                break;
            } else if paused.as_ref().is_none_or(|(least, _)| in_use < *least) {
                paused = Some((in_use, member.clone()));
            }
        }
        if found_lost {
            self.remove_lost();
        }
        match (ready, paused) {
            (Some(member), _) => {
                member.active.set(true);
                Pick::Ready(member)
            }
            (None, Some((_, member))) => Pick::Paused(member),
            (None, None) => Pick::None,
        }
    }

    /// Adds an instance that was just started. A fresh one is for its event only.
    pub fn add(&self, instance: Rc<dyn Instance>, seat: Seat) -> Rc<Member> {
        let member = Rc::new(Member {
            instance,
            gauge: MemberGauge::new(self.gauge.clone()),
            active: Cell::new(true),
            used_at: Cell::default(),
            settled_bytes: Cell::new(0),
            _seat: seat,
        });
        if !self.worker.fresh {
            self.members.borrow_mut().push(member.clone());
        }
        member
    }

    /// After an event's head, or its failure: may the instance go on?
    pub fn after_event(&self, member: &Rc<Member>, counters: &Counters) {
        if self.worker.fresh {
            return self.dismiss(member.clone());
        }
        let state = member.instance.state();
        if state.lost {
            self.remove_lost();
        } else if member.is_spent(&state, &self.worker.env.limits) && self.remove(member) {
            counters.instances_retired.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The instance takes no more events. False if it took none already.
    pub fn remove(&self, member: &Rc<Member>) -> bool {
        self.remove_where(|other| Rc::ptr_eq(other, member)) > 0
    }

    /// Whoever comes first after the loss counts it, once.
    fn remove_lost(&self) {
        let lost = self.remove_where(|member| member.instance.state().lost);
        self.deployment.node.counters.instances_lost.fetch_add(lost, Ordering::Relaxed);
    }

    /// Answers how many.
    fn remove_where(&self, gone: impl Fn(&Rc<Member>) -> bool) -> u64 {
        let mut removed = Vec::new();
        self.members.borrow_mut().retain(|member| {
            let gone = gone(member);
            if gone {
                removed.push(member.clone());
            }
            !gone
        });
        let count = removed.len() as u64;
        for member in removed {
            self.dismiss(member);
        }
        count
    }

    /// Drops the instance now, or when its last invocation is over.
    fn dismiss(&self, member: Rc<Member>) {
        if !member.gauge.leave() && !self.leaving.borrow().iter().any(|other| Rc::ptr_eq(other, &member)) {
            self.leaving.borrow_mut().push(member);
        }
    }

    /// Drops instances whose last invocation is over.
    pub fn reap(&self) {
        let mut over = Vec::new();
        self.leaving.borrow_mut().retain(|member| {
            let done = member.gauge.in_use() == 0;
            if done {
                over.push(member.clone());
            }
            !done
        });
        drop(over);
    }

    /// Takes instances out that stood unused for so long, and lost ones; counts the memory of the
    /// rest. Answers true if the pool itself has been unused for as long.
    pub fn sweep(&self, now: Duration, idle: Duration) -> bool {
        self.reap();
        self.remove_lost();
        let retired = self.deployment.lifecycle.is_retired();
        if retired {
            let members = [&self.members, &self.leaving];
            let members: Vec<_> = members.iter().flat_map(|members| members.borrow().clone()).collect();
            members.iter().for_each(|member| member.instance.retire());
        }
        self.remove_where(|member| {
            if member.active.replace(false) || member.gauge.in_use() > 0 {
                member.used_at.set(now);
            }
            let unused = member.gauge.in_use() == 0;
            unused && (retired || now.saturating_sub(member.used_at.get()) >= idle)
        });
        let memory = |members: &RefCell<Vec<Rc<Member>>>| -> u64 {
            members.borrow().iter().map(|member| member.instance.state().memory_bytes).sum()
        };
        self.gauge.memory_bytes.store(memory(&self.members) + memory(&self.leaving), Ordering::Relaxed);
        let busy = self.gauge.in_flight() > 0 || self.instances() > 0;
        if self.active.replace(false) || busy {
            self.used_at.set(now);
        }
        !busy && (retired || now.saturating_sub(self.used_at.get()) >= idle)
    }

    /// The instance that has been unused for longest, with the order of eviction.
    pub fn longest_idle(&self) -> Option<((bool, Duration, u64), Rc<Member>)> {
        let members = self.members.borrow();
        let idle = members.iter().filter(|member| member.gauge.in_use() == 0);
        idle.map(|member| ((member.active.get(), member.used_at.get(), member.instance.state().id), member.clone()))
            .min_by_key(|(order, _)| *order)
    }

    pub fn instances(&self) -> u32 {
        self.gauge.instances.load(Ordering::Relaxed)
    }

    /// The thread stops being a core: nothing stays.
    pub fn clear(&self) {
        let members = (self.members.take(), self.leaving.take(), self.program.take());
        drop(members);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.worker.remove_gauge(&self.gauge);
        if self.deployment.lifecycle.is_retired() {
            self.deployment.lifecycle.quiet.notify_waiters();
        }
    }
}

impl Member {
    fn is_spent(&self, state: &InstanceState, limits: &base::WorkerLimits) -> bool {
        if state.worn || state.events >= limits.instance_requests_total {
            return true;
        }
        if self.settled_bytes.get() == 0 {
            self.settled_bytes.set(state.memory_bytes);
        }
        let eighth = (limits.memory_mib << 20) / 8;
        let (much, nearly_all) = (eighth * 6, eighth * 7);
        let settled = self.settled_bytes.get();
        state.memory_bytes > if settled > much { nearly_all } else { much }
    }
}
