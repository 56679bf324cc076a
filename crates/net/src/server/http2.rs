//! One connection of HTTP/2: what it answers by itself, and the task that drives it.
//!
//! A request becomes a task of its own, as hyper means it, only if much may happen to it. One whose answer lies
//! ready ends where it began. One that waits for a server and for nothing else waits beside its connection, in
//! the same task: there are as many wakes as there are turns, not as there are requests, and what was answered in
//! one turn leaves in one piece.
//!
//! For that the task has to know who of those in it was woken ([`Bell`]). A connection that has nothing to read
//! is not asked to read because an answer came for it, and what one of them brings about in another is done in
//! the same turn.

use std::cell::{Cell, RefCell};
use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use base::Body;
use bytes::Bytes;
use futures_util::future::Either;
use futures_util::task::AtomicWaker;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::beside::{Running, Streams};
use super::connection::{Flight, H2_PIECE_BYTES, Shared, Tracked, Watch, answer, boxed, drive, note_alone};
use crate::glance::{FIELDS_MAX, Given, Glance};
use crate::outlet::{Outlet, Pieces};
use crate::request::Request;
use crate::stream::Stream;
use crate::target::split_port;

/// So often in one turn what was woken by itself is looked at again. Others have their turn then.
const ROUNDS_MAX: usize = 4;

pub(super) async fn serve<S, F>(stream: Stream, before: Bytes, shared: Rc<Shared<S>>)
where
    S: Fn(Request) -> F + 'static,
    F: Future<Output = http::Response<Body>> + 'static,
{
    let (limits, state) = (&shared.server.limits(), &shared.state);
    let outlet = Rc::new(RefCell::new(Outlet::new(stream, before, limits, state.clone())));
    let begun = Rc::<Begun>::default();
    let mut builder = hyper::server::conn::http2::Builder::new(OnThisCore(begun.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(256 << 10)
        .max_pending_accept_reset_streams(limits.h2_pending_resets)
        .enable_connect_protocol()
        .max_local_error_reset_streams(limits.h2_refused_streams);
    let service = service_fn(|request| {
        // What the gate counts for HTTP/1.1.
        state.passed.set(state.passed.get() + 1);
        let flight = Flight::new(state);
        match look(&shared, &request) {
            Some(Given::Answer(response)) => {
                begun.place.set(Place::Here);
                Either::Left(Either::Left(ready(Ok(whole(response, flight)))))
            }
            Some(Given::Later(response)) => {
                begun.place.set(Place::Beside);
                Either::Left(Either::Right(async move { Ok(whole(response.await, flight)) }))
            }
            None => {
                // Boxed, since hyper moves what it is given several times before it first runs.
                let shared = shared.clone();
                Either::Right(boxed(move || answer(shared, flight, request)))
            }
        }
    });
    let connection = pin!(builder.serve_connection(TokioIo::new(Pieces(outlet.clone())), service));
    let mut watch = Watch::new(state, limits.clone(), true);
    let mut turns = Turns::new(connection, outlet, begun.clone());
    drive(
        Pin::new(&mut turns),
        |mut turns| {
            turns.connection.as_mut().graceful_shutdown();
            turns.bells.connection.ring();
        },
        &mut watch,
        state,
    )
    .await;
    // What is in flight ends with the connection that it would be answered on.
    if let Some(refusal) = state.refusal.take() {
        (shared.server.on_refusal)(shared.peer, refusal.code, &refusal.detail);
    }
}

/// What there is for a request before anything is made of it.
fn look<S>(shared: &Shared<S>, request: &http::Request<Incoming>) -> Option<Given> {
    let at_hand = shared.server.at_hand.get()?;
    if !request.body().is_end_stream() {
        return None;
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let whom = (shared.peer, shared.listener, shared.secured.as_ref());
    let glance = Glance::of_head(request, &mut fields, &shared.server.limits(), whom)?;
    if shared.guard.as_ref().is_some_and(|guard| !guard.covers(split_port(glance.authority).0)) {
        return None;
    }
    at_hand(&glance)
}

/// An answer, followed to its end. One that is small and here is not cut into pieces.
fn whole(mut response: http::Response<Body>, flight: Flight) -> http::Response<Tracked> {
    flight.complete();
    note_alone(&mut response, &flight);
    let pieces = response.body().whole().is_none_or(|whole| whole.len() > H2_PIECE_BYTES);
    response.map(|body| Tracked { body, flight: Some(flight), pieces })
}

/// Where a stream runs.
#[derive(Debug, Clone, Copy, Default)]
enum Place {
    #[default]
    Task,
    /// Its answer is here: it ends where it begins, unless its client has no room for all of the answer.
    Here,
    /// In the task of its connection.
    Beside,
}

/// What the connection and its task tell each other.
#[derive(Default)]
struct Begun {
    /// Of the stream that begins next.
    place: Cell<Place>,
    /// To run beside the connection.
    streams: RefCell<Vec<Running>>,
}

/// Runs the streams of a connection on its core.
#[derive(Clone)]
struct OnThisCore(Rc<Begun>);

impl<F> hyper::rt::Executor<F> for OnThisCore
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, future: F) {
        let mut future = boxed(move || future);
        match self.0.place.take() {
            Place::Beside => return self.0.streams.borrow_mut().push(future),
            // Who waits is polled again by its own task, and leaves its waker then.
            Place::Here if future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() => return,
            Place::Here | Place::Task => {}
        }
        tokio::task::spawn_local(future);
    }
}

/// A connection, the streams beside it, and after each turn of them, what was written is sent.
struct Turns<'a, C> {
    connection: Pin<&'a mut C>,
    outlet: Rc<RefCell<Outlet>>,
    begun: Rc<Begun>,
    streams: Streams,
    bells: Bells,
}

impl<'a, C: Future> Turns<'a, C> {
    fn new(connection: Pin<&'a mut C>, outlet: Rc<RefCell<Outlet>>, begun: Rc<Begun>) -> Self {
        let bells = Bells::new();
        Self { connection, outlet, begun, streams: Streams::new(bells.streams.waker()), bells }
    }

    /// Whoever was woken goes on, until nobody is or it is the turn of others.
    fn poll_all(&mut self) -> Poll<()> {
        let for_connection = self.bells.connection.waker();
        for _ in 0..ROUNDS_MAX {
            let is_rung = self.bells.connection.take();
            if is_rung && self.connection.as_mut().poll(&mut Context::from_waker(&for_connection)).is_ready() {
                return Poll::Ready(());
            }
            let mut is_rung = self.bells.streams.take();
            for running in self.begun.streams.borrow_mut().drain(..) {
                self.streams.push(running);
                is_rung = true;
            }
            if is_rung {
                self.streams.poll();
            }
            if !self.bells.is_any_rung() {
                break;
            }
        }
        Poll::Pending
    }
}

impl<C: Future> Future for Turns<'_, C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.bells.begin(cx.waker());
        let is_over = this.poll_all().is_ready();
        if is_over {
            return Poll::Ready(());
        }
        // It is the connection that goes on when there is room.
        let waker = this.bells.connection.waker();
        let sent = this.outlet.borrow_mut().poll_send(&mut Context::from_waker(&waker));
        this.bells.end(cx.waker());
        match sent {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Who in a task was woken. At first everybody is.
struct Bells {
    connection: Bell,
    streams: Bell,
    house: Arc<House>,
}

/// What wakes the task, but for its own turn, at whose end it looks by itself.
struct House {
    in_turn: AtomicBool,
    task: AtomicWaker,
}

struct Bell(Arc<Ringing>);

struct Ringing {
    rung: AtomicBool,
    house: Arc<House>,
}

impl Bells {
    fn new() -> Self {
        let house = Arc::new(House { in_turn: AtomicBool::new(false), task: AtomicWaker::new() });
        let bell = || Bell(Arc::new(Ringing { rung: AtomicBool::new(true), house: house.clone() }));
        Self { connection: bell(), streams: bell(), house }
    }

    fn begin(&self, task: &Waker) {
        self.house.task.register(task);
        self.house.in_turn.store(true, Ordering::SeqCst);
    }

    /// Ends a turn. Who rings from now on wakes the task, and who did before has another turn.
    fn end(&self, task: &Waker) {
        self.house.in_turn.store(false, Ordering::SeqCst);
        if self.is_any_rung() {
            task.wake_by_ref();
        }
    }

    fn is_any_rung(&self) -> bool {
        [&self.connection, &self.streams].iter().any(|bell| bell.0.rung.load(Ordering::SeqCst))
    }
}

impl Bell {
    fn take(&self) -> bool {
        self.0.rung.swap(false, Ordering::SeqCst)
    }

    fn waker(&self) -> Waker {
        Waker::from(self.0.clone())
    }

    fn ring(&self) {
        self.0.wake_by_ref();
    }
}

impl Wake for Ringing {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::SeqCst) && !self.house.in_turn.load(Ordering::SeqCst) {
            self.house.task.wake();
        }
    }
}
