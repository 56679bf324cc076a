//! Serving connections on one core.
//!
//! Each connection is one task. It drives hyper, and beside it one timer for everything that can
//! take too long: a head, an unused connection, a client that takes nothing. The timer is moved
//! only when a deadline comes nearer, so that a busy connection costs no timer work per request.
//!
//! Where another process takes the place of this one, the drain has two parts ([`Server::hand_over`]). The
//! first is short, for whatever the service holds on to has to be given up at its end. Connections that then
//! carry nothing but answers which need nothing of that ([`Standalone`]) outlive it, and end in the second.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::{Body, Code, code};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ServerLimits;
use crate::counts::{ConnectionCounts, Place};
use crate::gate::State;
use crate::glance::{AtHand, AtOnce};
use crate::head::Refusal;
use crate::listen::{Accepting, Incoming, Listener, Reception};
use crate::quic::{Arrival, Intake};
use crate::request::Request;
use crate::stream::Raw;
use crate::target::Paths;

mod arrival;
mod beside;
pub mod changes;
pub(crate) mod connection;
mod farewell;
mod http2;
mod http3;
mod plainly;
mod rest;
pub(crate) mod upgraded;

pub use changes::{Change, Changes};

/// Told about every request that was refused before it became one. The status is the code's.
pub type OnRefusal = Box<dyn Fn(SocketAddr, Code, &str)>;

/// In the extensions of a response whose body is a stream: it needs nothing of the service any more, only the
/// process that it is in. Bodies that are whole are so by nature.
#[derive(Debug, Clone, Copy)]
pub struct Standalone;

/// The connections of one core.
pub struct Server {
    limits: RefCell<Rc<ServerLimits>>,
    counts: Arc<ConnectionCounts>,
    on_refusal: OnRefusal,
    /// With the number of the listener of each.
    open: RefCell<HashMap<u64, (usize, Rc<State>)>>,
    next: Cell<u64>,
    /// Refused connections that are still being told so.
    farewells: Cell<usize>,
    draining: Cell<bool>,
    /// How long a drain may take.
    drain: Cell<Duration>,
    /// What stands alone outlives the drain.
    hands_over: Cell<bool>,
    left: Notify,
    pub(crate) paths: Cell<Paths>,
    pub(crate) at_once: OnceCell<AtOnce>,
    pub(crate) at_hand: OnceCell<AtHand>,
    /// Memory for the heads of such answers.
    pub(crate) scratch: Rc<RefCell<Vec<u8>>>,
}

/// Beyond so many, a refused connection is closed without a word.
const FAREWELLS_MAX: usize = 64;

/// How long accepting pauses after it failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Server {
    pub fn new(limits: ServerLimits, counts: Arc<ConnectionCounts>, on_refusal: OnRefusal) -> Rc<Self> {
        Rc::new(Self {
            drain: Cell::new(limits.drain),
            limits: RefCell::new(Rc::new(limits)),
            counts,
            on_refusal,
            open: RefCell::default(),
            next: Cell::new(0),
            farewells: Cell::new(0),
            draining: Cell::new(false),
            hands_over: Cell::new(false),
            left: Notify::new(),
            paths: Cell::default(),
            at_once: OnceCell::new(),
            at_hand: OnceCell::new(),
            scratch: Rc::default(),
        })
    }

    /// What the paths of requests are, if not segments; before it serves.
    pub fn take_paths_as(&self, paths: Paths) {
        self.paths.set(paths);
    }

    /// Who is asked first for the answer to a plain request of HTTP/1.1; before it serves, and once.
    pub fn answer_at_once(&self, at_once: AtOnce) {
        assert!(self.at_once.set(at_once).is_ok(), "one who is asked first");
    }

    /// The same for HTTP/2.
    pub fn answer_from_hand(&self, at_hand: AtHand) {
        assert!(self.at_hand.set(at_hand).is_ok(), "one who is asked first");
    }

    /// Where memory for such answers lies between two of them.
    pub fn scratch(&self) -> Rc<RefCell<Vec<u8>>> {
        self.scratch.clone()
    }

    /// Accepts and serves until `stop`, then drains: takes no new connection, lets every request
    /// that has begun finish for up to the drain limit, and cuts what is left. Returns how many
    /// connections were cut.
    ///
    /// Must run inside a `LocalSet`. `service` never fails: whatever goes wrong is a response.
    pub async fn run<S, F>(
        self: Rc<Self>,
        listeners: Vec<Listener>,
        service: S,
        stop: impl Future<Output = ()>,
    ) -> io::Result<usize>
    where
        S: Fn(Request) -> F + Clone + 'static,
        F: Future<Output = http::Response<Body>> + 'static,
    {
        self.run_with(listeners, None, service, stop).await
    }

    /// The same, with [`Change`]s while it runs.
    pub async fn run_with<S, F>(
        self: Rc<Self>,
        listeners: Vec<Listener>,
        mut changes: Option<Changes>,
        service: S,
        stop: impl Future<Output = ()>,
    ) -> io::Result<usize>
    where
        S: Fn(Request) -> F + Clone + 'static,
        F: Future<Output = http::Response<Body>> + 'static,
    {
        let mut listeners: Vec<Accepting> =
            listeners.into_iter().map(Listener::into_tokio).collect::<Result<_, _>>()?;
        let mut stop = std::pin::pin!(stop);
        let mut next = 0;
        loop {
            let polled = |cx: &mut Context<'_>| poll_any(&listeners, &mut next, &mut changes, stop.as_mut(), cx);
            match std::future::poll_fn(polled).await {
                Next::Stop => break,
                Next::Change(change) => {
                    let retired = self.change(change, &mut listeners);
                    self.accept_waiting(&retired, &service).await;
                    self.finish(&retired);
                }
                Next::Accepted(at, Ok(incoming)) => self.enter(incoming, &listeners[at].reception, &service),
                Next::Accepted(_, Err(error)) => {
                    tracing::warn!(%error, "a connection can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        self.accept_waiting(&listeners, &service).await;
        drop(listeners);
        Ok(self.drain().await)
    }

    /// What the kernel has already accepted for us would be reset by closing the socket.
    async fn accept_waiting<S, F>(self: &Rc<Self>, listeners: &[Accepting], service: &S)
    where
        S: Fn(Request) -> F + Clone + 'static,
        F: Future<Output = http::Response<Body>> + 'static,
    {
        for listener in listeners.iter().filter(|listener| !listener.is_gone()) {
            let waiting = |cx: &mut Context<'_>| Poll::Ready(listener.poll_accept(cx));
            while let Poll::Ready(Ok(incoming)) = std::future::poll_fn(waiting).await {
                self.enter(incoming, &listener.reception, service);
            }
        }
    }

    fn enter<S, F>(self: &Rc<Self>, incoming: Incoming, reception: &Arc<Reception>, service: &S)
    where
        S: Fn(Request) -> F + Clone + 'static,
        F: Future<Output = http::Response<Body>> + 'static,
    {
        let Incoming { stream, peer, counted } = incoming;
        let proxied = reception.is_proxied(counted);
        match self.counts.enter(counted.filter(|_| !proxied)) {
            Ok(place) => {
                let (state, leave) = self.note(place, reception.listener);
                let (service, reception) = (service.clone(), reception.clone());
                tokio::task::spawn_local(async move {
                    let mut leave = leave;
                    let entrance = arrival::Entrance { peer, proxied, reception, state };
                    connection::serve(stream, entrance, &mut leave, service).await;
                });
            }
            Err(refused) => {
                let refusal = Refusal::new(&code::NODE_OVERLOADED, refused.to_string());
                self.turn_away(stream, peer, refusal, reception.tls.is_some());
            }
        }
    }

    /// Serves, beside [`Server::run`] and until that ends, what an endpoint of HTTP/3 hands over.
    ///
    /// Must run inside a `LocalSet`.
    pub fn serve_quic<S, F>(self: &Rc<Self>, mut intake: Intake, service: S)
    where
        S: Fn(Request) -> F + Clone + 'static,
        F: Future<Output = http::Response<Body>> + 'static,
    {
        let server = self.clone();
        tokio::task::spawn_local(async move {
            while let Some(arrival) = intake.next().await {
                server.enter_quic(arrival, &intake, &service);
            }
        });
    }

    fn enter_quic<S, F>(self: &Rc<Self>, arrival: Arrival, intake: &Intake, service: &S)
    where
        S: Fn(Request) -> F + Clone + 'static,
        F: Future<Output = http::Response<Body>> + 'static,
    {
        if self.draining.get() {
            return arrival.incoming.refuse();
        }
        // Whose it is, is known when the handshake has shown it: the address may be forged.
        match self.counts.enter(None) {
            Ok(place) => {
                let (state, leave) = self.note(place, intake.shared.listener);
                let (service, shared) = (service.clone(), intake.shared.clone());
                tokio::task::spawn_local(async move {
                    let mut leave = leave;
                    http3::serve(arrival, &shared, state, &mut leave, service).await;
                });
            }
            Err(refused) => {
                (self.on_refusal)(arrival.incoming.remote_address(), &code::NODE_OVERLOADED, &refused.to_string());
                arrival.incoming.refuse();
            }
        }
    }

    /// A connection that has a place. Known from here on, so that a drain that begins now does not
    /// miss it.
    fn note(self: &Rc<Self>, place: Place, listener: usize) -> (Rc<State>, Leave) {
        let state = State::new(Instant::now());
        let id = self.next.replace(self.next.get() + 1);
        self.open.borrow_mut().insert(id, (listener, state.clone()));
        (state, Leave { server: self.clone(), id, place })
    }

    /// Refuses a connection, in words if they would be understood: a handshake costs more than a
    /// connection that there is no room for is worth.
    fn turn_away(self: &Rc<Self>, stream: Raw, peer: SocketAddr, refusal: Refusal, mute: bool) {
        (self.on_refusal)(peer, refusal.code, &refusal.detail);
        if mute || self.farewells.get() >= FAREWELLS_MAX {
            return;
        }
        self.farewells.set(self.farewells.get() + 1);
        let server = self.clone();
        tokio::task::spawn_local(async move {
            farewell::refuse(stream, &refusal).await;
            server.farewells.set(server.farewells.get() - 1);
        });
    }

    /// A drain takes no longer than this, whatever the limit is.
    pub fn drain_within(&self, within: Duration) {
        self.drain.set(self.drain.get().min(within));
    }

    /// The same, and what stands alone then is not cut but left to [`Server::finish_rest`].
    pub fn hand_over(&self, within: Duration) {
        self.drain_within(within);
        self.hands_over.set(true);
    }

    /// Lets what a drain left go on to its end, for so long; then cuts it. Returns how many connections were
    /// cut.
    pub async fn finish_rest(&self, within: Duration) -> usize {
        if tokio::time::timeout(within, self.empty()).await.is_ok() {
            return 0;
        }
        self.cut(|_| true).await
    }

    /// Connections that are open on this core.
    pub fn open(&self) -> usize {
        self.open.borrow().len()
    }

    async fn drain(&self) -> usize {
        let now = Instant::now();
        self.draining.set(true);
        for (_, state) in self.open.borrow().values() {
            state.draining_since.set(Some(now));
            state.wake();
        }
        if tokio::time::timeout_at(now + self.drain.get(), self.empty()).await.is_ok() {
            return 0;
        }
        let hands_over = self.hands_over.get();
        self.cut(|state| !(hands_over && state.stands_alone())).await
    }

    /// Ends connections, whatever is in flight. Returns how many there were.
    async fn cut(&self, which: impl Fn(&State) -> bool) -> usize {
        let mut count = 0;
        for (_, state) in self.open.borrow().values().filter(|(_, state)| which(state)) {
            state.cut.set(true);
            state.wake();
            count += 1;
        }
        while self.open.borrow().values().any(|(_, state)| state.cut.get()) {
            self.left.notified().await;
        }
        count
    }

    async fn empty(&self) {
        while self.open() > 0 {
            self.left.notified().await;
        }
    }
}

/// What a server has to do.
enum Next {
    Stop,
    Change(Change),
    Accepted(usize, io::Result<Incoming>),
}

/// The next connection of any listener, taking turns, unless there is something else to do.
fn poll_any(
    listeners: &[Accepting],
    next: &mut usize,
    changes: &mut Option<Changes>,
    stop: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
) -> Poll<Next> {
    if stop.poll(cx).is_ready() {
        return Poll::Ready(Next::Stop);
    }
    match changes.as_mut().map(|changes| changes.poll_recv(cx)) {
        Some(Poll::Ready(Some(change))) => return Poll::Ready(Next::Change(change)),
        Some(Poll::Ready(None)) => *changes = None,
        Some(Poll::Pending) | None => {}
    }
    for _ in 0..listeners.len() {
        *next = (*next + 1) % listeners.len();
        if let Poll::Ready(accepted) = listeners[*next].poll_accept(cx) {
            return Poll::Ready(Next::Accepted(*next, accepted));
        }
    }
    Poll::Pending
}

/// Takes a connection out of the list however its task ends, by a panic too.
struct Leave {
    server: Rc<Server>,
    id: u64,
    place: Place,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.server.open.borrow_mut().remove(&self.id);
        if self.server.draining.get() {
            self.server.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
