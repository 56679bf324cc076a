//! A connection of HTTP/1.1 that nobody uses.
//!
//! Most connections of an edge wait: a browser keeps its own for minutes and asks a few times. What
//! serves a request (hyper's two buffers of 8 KiB, its parser, the future around them) is worth
//! keeping between two requests that follow each other, and not for those minutes. So a connection
//! that was not used for `rest_ms` is taken from hyper, and what is left of it is the socket
//! (under TLS, its session), the timer, and the counts; the first byte of the next request begins
//! anew. Before its first request a connection rests as well.
//!
//! Nothing else changes: the same timer judges, by the same state, so that every deadline, a drain
//! and a cut hold as they do for a connection that is awake. It rests only when hyper has written
//! all that it had, and no byte of a next request is there.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Verdict, Watch};
use crate::counts::ConnectionCounts;
use crate::gate::{State, Upgrading, Wire};

/// When a connection may rest if nothing happens until then. `None` while something is under way.
pub(super) fn rests_at(state: &State, rest: Duration) -> Option<Instant> {
    let unused = !state.is_busy() && !state.is_refused() && state.stalled_since.get().is_none();
    (unused && state.upgrade.get() == Upgrading::No).then(|| state.idle_since.get() + rest)
}

/// Waits until the client sends something. False if the connection is over.
pub(super) async fn until_used(wire: &mut Wire, watch: &mut Watch, state: &State, counts: &ConnectionCounts) -> bool {
    let _resting = counts.rest();
    watch.resting = true;
    let used = poll_fn(|cx| {
        if let Poll::Ready(used) = wire.poll_used(cx) {
            return Poll::Ready(used);
        }
        // There is nobody who could be told anything.
        watch.poll(state, cx).map(|_: Verdict| false)
    });
    let used = used.await;
    watch.resting = false;
    used
}
