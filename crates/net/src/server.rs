//! Serving connections on one core.
//!
//! Each connection is one task. It drives hyper, and beside it one timer for everything that can
//! take too long: a head, an unused connection, a client that takes nothing. The timer is moved
//! only when a deadline comes nearer, so that a busy connection costs no timer work per request.

use std::cell::{Cell, RefCell};
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
use crate::head::Refusal;
use crate::listen::{Accepting, Incoming, Listener, Reception};
use crate::request::Request;
use crate::stream::Raw;

mod arrival;
mod connection;
mod farewell;
pub(crate) mod upgraded;

/// Told about every request that was refused before it became one. The status is the code's.
pub type OnRefusal = Box<dyn Fn(SocketAddr, Code, &str)>;

/// The connections of one core.
pub struct Server {
    limits: Rc<ServerLimits>,
    counts: Arc<ConnectionCounts>,
    on_refusal: OnRefusal,
    open: RefCell<HashMap<u64, Rc<State>>>,
    next: Cell<u64>,
    /// Refused connections that are still being told so.
    farewells: Cell<usize>,
    emptied: Notify,
}

/// Beyond so many, a refused connection is closed without a word.
const FAREWELLS_MAX: usize = 64;

/// How long accepting pauses after it failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Server {
    pub fn new(limits: ServerLimits, counts: Arc<ConnectionCounts>, on_refusal: OnRefusal) -> Rc<Self> {
        Rc::new(Self {
            limits: Rc::new(limits),
            counts,
            on_refusal,
            open: RefCell::default(),
            next: Cell::new(0),
            farewells: Cell::new(0),
            emptied: Notify::new(),
        })
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
        let listeners: Vec<Accepting> = listeners.into_iter().map(Listener::into_tokio).collect::<Result<_, _>>()?;
        let mut stop = std::pin::pin!(stop);
        let mut next = 0;
        while let Some((at, accepted)) =
            std::future::poll_fn(|cx| poll_any(&listeners, &mut next, stop.as_mut(), cx)).await
        {
            match accepted {
                Ok(incoming) => self.enter(incoming, &listeners[at].reception, &service),
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // What the kernel has already accepted for us would be reset by closing the socket.
        for listener in &listeners {
            let waiting = |cx: &mut Context<'_>| Poll::Ready(listener.poll_accept(cx));
            while let Poll::Ready(Ok(incoming)) = std::future::poll_fn(waiting).await {
                self.enter(incoming, &listener.reception, &service);
            }
        }
        drop(listeners);
        Ok(self.drain().await)
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
                // Known from here on, so that a drain that begins now does not miss it.
                let state = State::new(Instant::now());
                let id = self.next.replace(self.next.get() + 1);
                self.open.borrow_mut().insert(id, state.clone());
                let leave = Leave { server: self.clone(), id, place };
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

    /// Connections that are open on this core.
    pub fn open(&self) -> usize {
        self.open.borrow().len()
    }

    async fn drain(&self) -> usize {
        let now = Instant::now();
        for state in self.open.borrow().values() {
            state.draining_since.set(Some(now));
            state.wake();
        }
        if tokio::time::timeout_at(now + self.limits.drain, self.empty()).await.is_ok() {
            return 0;
        }
        let cut = self.open();
        for state in self.open.borrow().values() {
            state.cut.set(true);
            state.wake();
        }
        self.empty().await;
        cut
    }

    async fn empty(&self) {
        while self.open() > 0 {
            self.emptied.notified().await;
        }
    }
}

/// The next connection of any listener, taking turns; `None` when it is time to stop.
fn poll_any(
    listeners: &[Accepting],
    next: &mut usize,
    stop: Pin<&mut impl Future<Output = ()>>,
    cx: &mut Context<'_>,
) -> Poll<Option<(usize, io::Result<Incoming>)>> {
    if stop.poll(cx).is_ready() {
        return Poll::Ready(None);
    }
    for _ in 0..listeners.len() {
        *next = (*next + 1) % listeners.len();
        if let Poll::Ready(accepted) = listeners[*next].poll_accept(cx) {
            return Poll::Ready(Some((*next, accepted)));
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
        if self.server.open() == 0 {
            self.server.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
