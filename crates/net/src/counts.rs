//! How many connections there are, in all and of each client address. Shared by all cores.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::NodeLimits;

/// Counts connections and refuses those beyond a limit. Taken once per connection, never per
/// request.
#[derive(Debug)]
pub struct ConnectionCounts {
    total_max: AtomicU64,
    per_address_max: AtomicU64,
    total: AtomicU64,
    by_address: Mutex<HashMap<IpAddr, u64>>,
    refused: AtomicU64,
    resting: AtomicU64,
}

/// Which limit a connection would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the node has {0} connections, which is its limit (connections)")]
    Total(u64),
    #[error("this address has {0} connections, which is its limit (connections_per_address)")]
    PerAddress(u64),
}

impl ConnectionCounts {
    pub fn new(limits: &NodeLimits) -> Arc<Self> {
        Arc::new(Self {
            total_max: AtomicU64::new(limits.connections),
            per_address_max: AtomicU64::new(limits.connections_per_address),
            total: AtomicU64::new(0),
            by_address: Mutex::default(),
            refused: AtomicU64::new(0),
            resting: AtomicU64::new(0),
        })
    }

    /// A place for a connection, until the guard is dropped. It is counted for a client now, or
    /// when it is known who that is ([`Place::claim`]).
    pub fn enter(self: &Arc<Self>, peer: Option<IpAddr>) -> Result<Place, Refused> {
        let max = self.total_max.load(Ordering::Relaxed);
        if self.total.fetch_add(1, Ordering::Relaxed) >= max {
            self.total.fetch_sub(1, Ordering::Relaxed);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Refused::Total(max));
        }
        let mut place = Place { counts: self.clone(), client: None };
        if let Some(peer) = peer {
            place.claim(peer)?;
        }
        Ok(place)
    }

    /// Other limits from now on; nobody who is in is sent away.
    pub fn set_limits(&self, limits: &NodeLimits) {
        self.total_max.store(limits.connections, Ordering::Relaxed);
        self.per_address_max.store(limits.connections_per_address, Ordering::Relaxed);
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Open connections that wait for a request and hold no buffers.
    pub fn resting(&self) -> u64 {
        self.resting.load(Ordering::Relaxed)
    }

    /// Counts a connection that rests, until the guard is dropped.
    pub(crate) fn rest(&self) -> Resting<'_> {
        self.resting.fetch_add(1, Ordering::Relaxed);
        Resting(self)
    }

    /// Connections that were refused since the node started.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, u64>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who counts as one client: an IPv4 address, or an IPv6 network of 64 bits, since that is what
/// one subscriber is given.
fn client(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// A connection's place in the counts.
#[derive(Debug)]
pub struct Place {
    counts: Arc<ConnectionCounts>,
    client: Option<IpAddr>,
}

impl Place {
    /// Counts it for a client, once.
    pub fn claim(&mut self, peer: IpAddr) -> Result<(), Refused> {
        let client = client(peer);
        let mut by_address = self.counts.addresses();
        let count = by_address.entry(client).or_default();
        let max = self.counts.per_address_max.load(Ordering::Relaxed);
        if *count >= max {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Refused::PerAddress(max));
        }
        *count += 1;
        drop(by_address);
        self.client = Some(client);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.total.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = &self.client else { return };
        let mut by_address = self.counts.addresses();
        if let Some(count) = by_address.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(client);
            }
        }
    }
}

pub(crate) struct Resting<'a>(&'a ConnectionCounts);

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.resting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
