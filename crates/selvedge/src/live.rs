//! What of a node's configuration changes while it runs.
//!
//! A change is made as a whole or not at all: the file is read, certificates are read, and new ports
//! are taken before anything of the running node is touched. Connections that are there go on as they
//! began; those of a listener that is gone finish what they have. What can't change is said by name.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use base::NodeLimits;
use edge::{Door, Doors};
use net::{Address, Change, ConnectionCounts, ListenOptions, Listener, Reception, ServerLimits, Sockets, Tls};
use tokio::sync::mpsc::UnboundedSender;

use crate::listeners::ListenerOptions;
use crate::wire::QUOTAS;

/// Limits that take effect for what begins from now on.
const LIVE: &[&str] = &[
    "connections",
    "connections_per_address",
    "header_bytes",
    "header_count",
    "uri_bytes",
    "header_ms",
    "body_idle_ms",
    "body_bytes_per_s_min",
    "idle_ms",
    "rest_ms",
    "write_idle_ms",
    "h2_streams",
    "h2_resets",
    "h2_pending_resets",
    "h2_refused_streams",
    "h2_control_frames",
    "h2_window_updates",
    "h2_continuations",
    "tls_handshake_ms",
    "proxy_header_bytes",
    "tls_refusal_lines",
];

/// What a change did, in sentences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub changed: Vec<String>,
    /// What takes effect at the next start, or with a takeover.
    pub later: Vec<String>,
}

/// A listener as it runs.
struct Running {
    address: Address,
    mode: u32,
    http3: bool,
    tls: Option<Arc<Tls>>,
    door: Door,
}

/// The parts of a node that change.
pub struct Live {
    pub cores: Vec<UnboundedSender<Change>>,
    pub doors: Arc<Doors>,
    pub counts: Arc<ConnectionCounts>,
    pub sockets: Arc<Sockets>,
    pub limits: NodeLimits,
    /// By the number of the listener; a number is used once.
    running: Vec<Option<Running>>,
}

impl Live {
    pub fn new(
        cores: Vec<UnboundedSender<Change>>,
        doors: Arc<Doors>,
        counts: Arc<ConnectionCounts>,
        sockets: Arc<Sockets>,
        limits: NodeLimits,
    ) -> Self {
        Self { cores, doors, counts, sockets, limits, running: Vec::new() }
    }

    /// A listener that was opened at the start.
    pub fn note(&mut self, address: Address, mode: u32, http3: bool, tls: Option<Arc<Tls>>, door: Door) {
        self.running.push(Some(Running { address, mode, http3, tls, door }));
    }

    /// Makes the node what it is to be. An error leaves everything as it was.
    pub fn apply(&mut self, wanted: Vec<ListenerOptions>, limits: &NodeLimits, now: Duration) -> Result<Applied> {
        let mut applied = Applied::default();
        let (numbers, gone) = self.compare(&wanted);
        let (mut new, mut known) = (Vec::new(), Vec::new());
        for (one, number) in wanted.into_iter().zip(numbers) {
            match number {
                Some(number) => known.push((number, one)),
                None => new.push(one),
            }
        }
        let bound = self.bind(&new)?;
        // Nothing fails from here on.
        for number in gone {
            self.retire(number, &mut applied);
        }
        for (number, one) in known {
            self.change(number, one, now, &mut applied);
        }
        for (one, listeners) in new.into_iter().zip(bound) {
            self.add(one, listeners, &mut applied);
        }
        self.publish();
        self.set_limits(limits, &mut applied);
        Ok(applied)
    }

    /// Takes the ports of listeners, all or none.
    fn bind(&self, new: &[ListenerOptions]) -> Result<Vec<Vec<Listener>>> {
        let bind = |one: &ListenerOptions| {
            let (cores, mode, sockets) = (self.cores.len(), one.mode, self.sockets.clone());
            Listener::bind(one.address.clone(), &ListenOptions { cores, mode, sockets, ..ListenOptions::default() })
        };
        let mut bound = Vec::new();
        for one in new {
            match bind(one) {
                Ok(listeners) => bound.push(listeners),
                Err(error) => {
                    new.iter().take(bound.len()).for_each(|taken| self.forget(&taken.address));
                    return Err(error.into());
                }
            }
        }
        Ok(bound)
    }

    /// No successor is given the sockets of this one any more.
    fn forget(&self, address: &Address) {
        self.sockets.forget(&format!("{} {address}", ListenOptions::default().role));
    }

    /// The number of each that runs already, and the numbers of those that are to go. Those of one
    /// address (port 0 may be asked for more than once) are told apart by their order.
    fn compare(&self, wanted: &[ListenerOptions]) -> (Vec<Option<usize>>, Vec<usize>) {
        let runs = |number: usize, address: &Address| {
            self.running[number].as_ref().is_some_and(|running| running.address == *address)
        };
        let mut rest: Vec<usize> = (0..self.running.len()).filter(|at| self.running[*at].is_some()).collect();
        let number_of = |one: &ListenerOptions| {
            let at = rest.iter().position(|number| runs(*number, &one.address))?;
            Some(rest.remove(at))
        };
        let numbers = wanted.iter().map(number_of).collect();
        (numbers, rest)
    }

    fn retire(&mut self, number: usize, applied: &mut Applied) {
        let Some(one) = self.running[number].take() else { return };
        self.forget(&one.address);
        self.tell(|| Change::Retire(number));
        applied.changed.push(format!("{} is served no more", one.address));
        if one.http3 {
            applied.later.push(format!("HTTP/3 of {} ends with the next start", one.address));
        }
    }

    fn add(&mut self, one: ListenerOptions, listeners: Vec<Listener>, applied: &mut Applied) {
        let number = self.running.len();
        let ListenerOptions { address, mode, reception, mut door, http3 } = one;
        let tls = reception.tls.clone();
        let reception = Arc::new(Reception { listener: number, ..reception });
        let served = listeners.first().map_or(address.clone(), |one| one.address().clone());
        door.port = served.tcp().map(|address| address.port());
        for (core, listener) in self.cores.iter().cycle().zip(listeners) {
            // A core that has ended serves nobody.
            let _ = core.send(Change::Listen(listener.with(&reception)));
        }
        applied.changed.push(format!("{served} is served"));
        if http3 {
            applied.later.push(format!("HTTP/3 of {address} begins with the next start"));
        }
        self.running.push(Some(Running { address, mode, http3: false, tls, door }));
    }

    fn change(&mut self, number: usize, one: ListenerOptions, now: Duration, applied: &mut Applied) {
        let Some(before) = self.running[number].as_mut() else { return };
        let ListenerOptions { address, mode, mut reception, door, http3 } = one;
        if http3 != before.http3 {
            applied.later.push(format!("http3 of {address} changes with the next start"));
        }
        if mode != before.mode && address.tcp().is_none() {
            applied.later.push(format!("mode of {address} changes with the next start"));
        }
        if let (Some(tls), Some(new)) = (&before.tls, &reception.tls) {
            match tls.replace(new, now) {
                Ok(summary) => applied.changed.push(format!(
                    "{address}: {} certificates for {} hosts are read",
                    summary.certificates, summary.names
                )),
                // They were read a moment ago.
                Err(problems) => tracing::error!("{address}: {problems:?}; what was read before goes on being served"),
            }
            reception.tls = Some(tls.clone());
        } else if before.tls.is_some() != reception.tls.is_some() {
            let how = if reception.tls.is_some() { "under TLS" } else { "in the clear" };
            applied.changed.push(format!("{address} is served {how}"));
        }
        before.tls = reception.tls.clone();
        before.door = Door { alt_svc: before.door.alt_svc.clone(), port: before.door.port, ..door };
        let reception = Arc::new(Reception { listener: number, ..reception });
        self.tell(|| Change::Receive(reception.clone()));
    }

    fn publish(&self) {
        let door = |one: &Option<Running>| one.as_ref().map(|one| one.door.clone()).unwrap_or_default();
        self.doors.publish(self.running.iter().map(door).collect());
    }

    fn set_limits(&mut self, limits: &NodeLimits, applied: &mut Applied) {
        for row in base::limits::NODE {
            let (Some(before), Some(after)) = (self.limits.get(row.name), limits.get(row.name)) else { continue };
            if before == after {
                continue;
            }
            if LIVE.contains(&row.name) || QUOTAS.contains(&row.name) {
                self.limits.set(row.name, after);
                applied.changed.push(format!("limits.{} is {after}", row.name));
            } else {
                applied.later.push(format!("limits.{} changes from {before} to {after} with the next start", row.name));
            }
        }
        self.counts.set_limits(&self.limits);
        let limits = ServerLimits::from(&self.limits);
        self.tell(|| Change::Limits(limits.clone()));
    }

    fn tell(&self, change: impl Fn() -> Change) {
        for core in &self.cores {
            let _ = core.send(change());
        }
    }
}
