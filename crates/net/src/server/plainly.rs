//! A connection of HTTP/1.1 on which there are only plain requests.
//!
//! What is answered before hyper hears of it ([`Wire::poll_plainly`]) needs no hyper to be read either: its
//! buffers, its parser's state and its own look at the clock for each request are for those that are not
//! plain. So a connection is given to it with the first of those, and with every byte that was read. There it stays until
//! it was not used for a while, and begins here anew.
//!
//! The same timer judges by the same state as everywhere else.

use std::future::poll_fn;
use std::task::Poll;

use super::connection::{Verdict, Watch};
use crate::gate::{State, Wire};

/// Why it does not go on here.
pub(super) enum Turn {
    /// What comes, or is under way, is for hyper.
    Hyper,
    /// It was not used for a while.
    Rested,
    Over,
}

/// Serves plain requests for as long as there are no others.
pub(super) async fn serve(wire: &mut Wire, watch: &mut Watch, state: &State) -> Turn {
    poll_fn(|cx| {
        match wire.poll_plainly(cx) {
            Poll::Ready(Ok(true)) => return Poll::Ready(Turn::Hyper),
            Poll::Ready(Ok(false) | Err(_)) => return Poll::Ready(Turn::Over),
            Poll::Pending => {}
        }
        if state.gone.get() && state.is_busy() {
            return Poll::Ready(Turn::Over);
        }
        watch.poll(state, cx).map(|verdict| match verdict {
            Verdict::Rest if wire.is_at_rest() => Turn::Rested,
            // Nothing is under way, so nobody is waiting for a word.
            Verdict::Close if !state.is_busy() => Turn::Over,
            Verdict::Cut => Turn::Over,
            Verdict::Rest | Verdict::Close => Turn::Hyper,
            Verdict::Refuse(refusal) => {
                *state.refusal.borrow_mut() = Some(refusal);
                Turn::Hyper
            }
        })
    })
    .await
}
