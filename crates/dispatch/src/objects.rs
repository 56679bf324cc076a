//! Durable objects: one instance for each id, at home on one core.
//!
//! **Home.** An object that is awake, or keeps sockets, has a home: the core whose instance it is.
//! The [`registry`] of the node says which, and gives one that sleeps a home by the hash of its id.
//! A call from another core goes there through a channel, as the event that it is: bodies, sockets
//! and sessions are queues, and do not mind the core.
//!
//! **A life.** What may happen to an object, as the pure [`policy`] decides it:
//!
//! ```text
//!              event                          event
//!   asleep ───────────▶ starting ─────▶ awake ◀─────▶ idle
//!     ▲                    │              │             │ object_idle_ms, room wanted for others
//!     │                    │ failed       │             ▼
//!     └────────────────────┴──────────────┴───────── evicting
//!                                lost, reset,
//!                                another deployment took over
//! ```
//!
//! To start is to take the lease, open the state under the lease's fence, and map an image. All
//! events of an object pass its *door*, one after another: who comes first starts the instance, and
//! whoever comes meanwhile enters it in the order of coming. Within the instance many events may be
//! in progress, as in any other.
//!
//! **Takeover.** An event that finds an instance of a deployment that is not current any more waits
//! at the door until the last event in there is over, or `object_takeover_ms`, and is then served by
//! the current one. Nothing of the old one's memory comes along; its state and its sockets do.
//!
//! **Hibernation.** Sockets that an object accepted for good are read by a task each, here
//! ([`sockets`]); what they bring are events. So they don't need the instance, which may go.

use std::sync::{Arc, Weak};

use base::code;
use futures_util::future::LocalBoxFuture;
use services::object::{Leases, ObjectClass, ObjectKey, ObjectStore};
use telemetry::{Record, RecordHandle, Sink};
use tokio::sync::oneshot;
use worker::object::Target;
use worker::{Call, Event, Failure, Objects, Response};

use crate::deployment::Inner;
use crate::node::Node;

pub(crate) mod alarms;
pub(crate) mod home;
pub mod policy;
pub(crate) mod registry;
mod sockets;

use registry::Registry;

/// What objects need besides an engine.
#[derive(Clone)]
pub struct ObjectParts {
    pub store: Arc<dyn ObjectStore>,
    pub leases: Arc<dyn Leases>,
    /// Where the records of events go that nobody sent.
    pub sink: Arc<dyn Sink>,
}

/// The objects of a node.
pub(crate) struct ObjectsOfNode {
    pub parts: ObjectParts,
    pub registry: Registry,
}

/// An event on its way to its object's home.
pub(crate) struct Job {
    pub target: Target,
    pub call: Call,
    pub event: Event,
    pub reply: oneshot::Sender<Result<Response, Failure>>,
}

impl Node {
    pub fn objects(&self) -> Result<&ObjectsOfNode, Failure> {
        self.objects.as_ref().ok_or_else(|| Failure::new(&code::INTERNAL, "this node has no store for durable objects"))
    }

    /// The deployment that serves a class now, and which of its workers.
    pub fn serving(&self, class: &ObjectClass) -> Result<(Arc<Inner>, usize), Failure> {
        let apps = self.apps();
        let current = apps.get(&class.app.app).and_then(|entry| entry.deployments.last()).and_then(Weak::upgrade);
        drop(apps);
        let Some(current) = current else {
            return Err(Failure::new(&code::DRAINING, format!("the app {} is not deployed", class.app.app)));
        };
        match current.classes.get(&class.name) {
            Some(&worker) => Ok((current, worker)),
            None => {
                let detail = format!("no binding of the app {} names the class {}", class.app.app, class.name);
                Err(Failure::new(&code::NO_OBJECT_CLASS, detail))
            }
        }
    }

    /// The circumstances of an event that nobody sent.
    pub(crate) fn own_call(&self, parts: &ObjectParts, what: &str, key: &ObjectKey) -> Call {
        let record = Record {
            started_unix_ms: self.clock.unix_ms(),
            app: Some(key.class.app.app.as_str().into()),
            method: what.to_owned(),
            path: format!("/{}/{}", key.class.name, key.id),
            ..Record::default()
        };
        Call::new(RecordHandle::new(record, parts.sink.clone()))
    }
}

/// The way to the objects of a node, for the environments of workers.
pub(crate) struct Door {
    pub node: Weak<Node>,
}

impl Objects for Door {
    fn invoke(&self, target: Target, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        match self.node.upgrade() {
            Some(node) => Box::pin(home::invoke(node, target, call, event)),
            None => Box::pin(std::future::ready(Err(Failure::new(&code::DRAINING, "the node is gone")))),
        }
    }
}
