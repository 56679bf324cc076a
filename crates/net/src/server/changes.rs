//! What changes of a server while it runs: listeners that come and go, what happens to their
//! connections, and limits. Connections that are there go on as they began.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Server;
use crate::ServerLimits;
use crate::listen::{Accepting, Listener, Reception};

/// One change.
#[derive(Debug)]
pub enum Change {
    /// Another socket to accept from.
    Listen(Listener),
    /// What happens to connections that this listener accepts from now on.
    Receive(Arc<Reception>),
    /// A listener is no more. What waits in its queue is accepted still; its connections finish what
    /// they have and end.
    Retire(usize),
    /// For connections that begin from now on, and requests that do on others.
    Limits(ServerLimits),
}

/// Where a server hears of them.
pub type Changes = mpsc::UnboundedReceiver<Change>;

impl Server {
    /// Makes a change; answers the listeners that are to be closed.
    pub(super) fn change(&self, change: Change, listeners: &mut Vec<Accepting>) -> Vec<Accepting> {
        match change {
            Change::Listen(listener) => match listener.into_tokio() {
                Ok(accepting) => listeners.push(accepting),
                Err(error) => tracing::error!(%error, "a listener can't be used on this core"),
            },
            Change::Receive(reception) => {
                let its = listeners.iter_mut().filter(|one| one.reception.listener == reception.listener);
                its.for_each(|one| one.reception = reception.clone());
            }
            Change::Retire(number) => {
                return listeners.extract_if(.., |one| one.reception.listener == number).collect();
            }
            Change::Limits(limits) => {
                self.drain.set(limits.drain);
                *self.limits.borrow_mut() = Rc::new(limits);
            }
        }
        Vec::new()
    }

    /// Lets the connections of listeners that are no more finish what they have.
    pub(super) fn finish(&self, retired: &[Accepting]) {
        let is_retired = |number: usize| retired.iter().any(|one| one.reception.listener == number);
        let now = Instant::now();
        for (_, state) in self.open.borrow().values().filter(|(listener, _)| is_retired(*listener)) {
            state.draining_since.set(Some(now));
            state.wake();
        }
    }

    /// The limits as they are now.
    pub(crate) fn limits(&self) -> Rc<ServerLimits> {
        self.limits.borrow().clone()
    }
}
