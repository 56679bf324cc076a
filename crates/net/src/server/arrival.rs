//! What happens on a connection before HTTP: a proxy says whose it is, TLS is agreed on, and it is
//! found out which version of HTTP the client speaks.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base::code;
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::Leave;
use super::connection::DRAIN_LINGER;
use crate::ServerLimits;
use crate::gate::State;
use crate::head::Refusal;
use crate::listen::Reception;
use crate::proxy_protocol;
use crate::stream::{Raw, Stream};
use crate::tls::{AcceptError, Policies, Secured, Shaken};

/// RFC 9113, section 3.4.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is known of a connection when it is accepted.
pub(super) struct Entrance {
    pub peer: SocketAddr,
    /// It begins with a header of the PROXY protocol.
    pub proxied: bool,
    pub reception: Arc<Reception>,
    pub state: Rc<State>,
}

/// A connection on which HTTP begins.
pub(super) struct Arrived {
    pub stream: Stream,
    /// What was read of it.
    pub before: Bytes,
    pub h2: bool,
    pub secured: Option<Arc<Secured>>,
    pub guard: Option<Guard>,
}

/// Which hosts a connection may ask for, where that depends on the client's certificate.
#[derive(Clone)]
pub(crate) struct Guard {
    policies: Arc<Policies>,
    policy: usize,
}

impl Guard {
    pub fn new(policies: Arc<Policies>, policy: usize) -> Self {
        Self { policies, policy }
    }

    pub fn covers(&self, host: &str) -> bool {
        self.policies.covers(self.policy, host)
    }
}

/// Brings a connection to where HTTP begins. `None` if it did not get there; whoever could be told
/// why, was.
pub(super) async fn arrive(mut stream: Raw, entrance: &mut Entrance, leave: &mut Leave) -> Option<Arrived> {
    let server = leave.server.clone();
    let limits = &*server.limits();
    if entrance.proxied {
        let told = within(&entrance.state, limits.header, read_proxy_header(&mut stream, limits)).await?;
        if let Err(refusal) = believe(told, entrance, leave) {
            let mute = entrance.reception.tls.is_some() || std::ptr::eq(refusal.code, &code::BAD_PROXY_HEADER);
            server.turn_away(stream, entrance.peer, refusal, mute);
            return None;
        }
    }
    let (peer, state) = (entrance.peer, &entrance.state);
    let Some(tls) = &entrance.reception.tls else { return arrive_plain(stream, state, limits).await };
    let Some(accepted) = within(state, limits.tls_handshake, tls.accept(stream)).await else {
        if state.draining_since.get().is_none() && !state.cut.get() {
            tls.late();
        }
        return None;
    };
    match accepted {
        Ok(shaken) => arrive_secured(shaken, state, limits).await,
        Err(AcceptError::Plain(stream)) => {
            let refusal = Refusal::new(&code::TLS_REQUIRED, "the request came in the clear");
            server.turn_away(stream, peer, refusal, false);
            None
        }
        Err(AcceptError::Answered) => None,
        Err(AcceptError::Failed(failed)) => {
            tls.tell(peer, &failed, limits.tls_refusal_lines);
            None
        }
    }
}

/// Takes what a proxy said for the truth, and a place in the counts for its client.
fn believe(
    told: Result<Option<SocketAddr>, String>,
    entrance: &mut Entrance,
    leave: &mut Leave,
) -> Result<(), Refusal> {
    let told = told.map_err(|reason| Refusal::new(&code::BAD_PROXY_HEADER, reason))?;
    let Some(client) = told else { return Ok(()) };
    entrance.peer = client;
    let claimed = leave.place.claim(client.ip());
    claimed.map_err(|refused| Refusal::new(&code::NODE_OVERLOADED, refused.to_string()))
}

async fn arrive_plain(stream: Raw, state: &State, limits: &ServerLimits) -> Option<Arrived> {
    let mut stream = Stream::Plain(stream);
    let before = within(state, limits.header, read_preface(&mut stream)).await??;
    let h2 = before.starts_with(H2_PREFACE);
    Some(Arrived { stream, before, h2, secured: None, guard: None })
}

async fn arrive_secured(shaken: Shaken, state: &State, limits: &ServerLimits) -> Option<Arrived> {
    let mut stream = Stream::Tls(shaken.stream);
    let (before, h2) = match shaken.h2 {
        Some(h2) => (Bytes::new(), h2),
        None => {
            let before = within(state, limits.header, read_preface(&mut stream)).await??;
            let h2 = before.starts_with(H2_PREFACE);
            (before, h2)
        }
    };
    let guard = Some(Guard::new(shaken.policies, shaken.policy));
    Some(Arrived { stream, before, h2, secured: Some(Arc::new(shaken.secured)), guard })
}

/// Reads until it is clear whether the client speaks HTTP/2. `None` if it says nothing.
async fn read_preface(stream: &mut Stream) -> Option<Bytes> {
    let mut bytes = BytesMut::with_capacity(1024);
    let undecided = |bytes: &[u8]| bytes.len() < H2_PREFACE.len() && H2_PREFACE.starts_with(bytes);
    while undecided(&bytes) {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(bytes.freeze())
}

/// The client that a proxy names, `None` if it speaks for itself; the error is what is wrong.
async fn read_proxy_header(stream: &mut Raw, limits: &ServerLimits) -> Result<Option<SocketAddr>, String> {
    let mut bytes = BytesMut::with_capacity(512);
    loop {
        match proxy_protocol::read(&bytes, limits.proxy_header_bytes) {
            Ok(Some(header)) => {
                stream.unread(bytes.split_off(header.bytes).freeze());
                return Ok(header.client);
            }
            Ok(None) => {}
            Err(malformed) => return Err(malformed.to_string()),
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return Err("the connection ended before its PROXY header".to_owned());
        }
    }
}

/// Waits for what comes before HTTP: no longer than `limit`, and hardly longer than a drain.
pub(super) async fn within<T>(state: &State, limit: Duration, arriving: impl Future<Output = T>) -> Option<T> {
    let end = Instant::now() + limit;
    let mut timer = pin!(tokio::time::sleep_until(end));
    let mut arriving = pin!(arriving);
    poll_fn(|cx| {
        remember(state, cx);
        if let Poll::Ready(arrived) = arriving.as_mut().poll(cx) {
            return Poll::Ready(Some(arrived));
        }
        if state.rearm.take()
            && let Some(since) = state.draining_since.get()
        {
            timer.as_mut().reset((since + DRAIN_LINGER).min(end));
        }
        if state.cut.get() { Poll::Ready(None) } else { timer.as_mut().poll(cx).map(|()| None) }
    })
    .await
}

/// So that a drain reaches a connection that waits.
pub(super) fn remember(state: &State, cx: &Context<'_>) {
    let mut waker = state.waker.borrow_mut();
    if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
        *waker = Some(cx.waker().clone());
    }
}
