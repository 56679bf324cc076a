//! Serving connections on one core.
//!
//! Each connection is one task. It drives hyper, and beside it one timer for everything that can
//! take too long: a head, an unused connection, a client that takes nothing. The timer is moved
//! only when a deadline comes nearer, so that a busy connection costs no timer work per request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::{Body, Code, code};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ServerLimits;
use crate::counts::{ConnectionCounts, Place};
use crate::gate::State;
use crate::head::Refusal;
use crate::listen::Listener;
use crate::request::Request;

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
        listener: Listener,
        service: S,
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<usize>
    where
        S: Fn(Request) -> F + Clone + 'static,
        F: Future<Output = http::Response<Body>> + 'static,
    {
        let listener = listener.into_tokio()?;
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.enter(stream, peer, &service),
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // What the kernel has already accepted for us would be reset by closing the socket.
        let waiting = |cx: &mut std::task::Context<'_>| std::task::Poll::Ready(listener.poll_accept(cx));
        while let std::task::Poll::Ready(Ok((stream, peer))) = std::future::poll_fn(waiting).await {
            self.enter(stream, peer, &service);
        }
        drop(listener);
        Ok(self.drain().await)
    }

    fn enter<S, F>(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, service: &S)
    where
        S: Fn(Request) -> F + Clone + 'static,
        F: Future<Output = http::Response<Body>> + 'static,
    {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        match self.counts.enter(peer.ip()) {
            Ok(place) => {
                // Known from here on, so that a drain that begins now does not miss it.
                let state = State::new(Instant::now());
                let id = self.next.replace(self.next.get() + 1);
                self.open.borrow_mut().insert(id, state.clone());
                let leave = Leave { server: self.clone(), id, _place: place };
                let service = service.clone();
                tokio::task::spawn_local(async move {
                    connection::serve(stream, peer, &leave.server, state, service).await;
                });
            }
            Err(refused) => self.turn_away(stream, peer, Refusal::new(&code::NODE_OVERLOADED, refused.to_string())),
        }
    }

    fn turn_away(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, refusal: Refusal) {
        (self.on_refusal)(peer, refusal.code, &refusal.detail);
        if self.farewells.get() >= FAREWELLS_MAX {
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

/// Takes a connection out of the list however its task ends, by a panic too.
struct Leave {
    server: Rc<Server>,
    id: u64,
    _place: Place,
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
