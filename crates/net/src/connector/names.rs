//! Where a server is: the addresses of its name, or of the servers that its SRV records name, for as long as
//! they hold.
//!
//! A new connection goes where the name leads now. One that is kept is used again only as long as its
//! address is still one of the name's; when the answer has expired, the next request has it asked anew,
//! without waiting for that.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::Target;
use crate::dns::Resolver;

pub(super) struct Names {
    resolver: Arc<Resolver>,
    target: Target,
    /// The name is that of a service.
    srv: bool,
    last: Mutex<Option<Last>>,
    /// Somebody is asking.
    asking: AtomicBool,
}

/// What was found last.
struct Last {
    addresses: Vec<IpAddr>,
    until: Instant,
}

impl Names {
    pub fn new(resolver: Arc<Resolver>, target: Target, srv: bool) -> Arc<Self> {
        Arc::new(Self { resolver, target, srv, last: Mutex::default(), asking: AtomicBool::new(false) })
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is now, in the order in which to try.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let (found, until) = if self.srv {
            let found = self.resolver.servers(&self.target.host).await?;
            (found.records, found.until)
        } else {
            let found = self.resolver.addresses(&self.target.host).await?;
            let port = self.target.port;
            (found.records.into_iter().map(|address| SocketAddr::new(address, port)).collect(), found.until)
        };
        *self.last() = Some(Last { addresses: found.iter().map(SocketAddr::ip).collect(), until });
        Ok(found)
    }

    /// Whether a connection to an address may be used again.
    pub fn approve(self: &Arc<Self>, address: IpAddr) -> Result<(), String> {
        let last = self.last();
        let Some(last) = &*last else { return Ok(()) };
        if Instant::now() >= last.until && !self.asking.swap(true, Ordering::Relaxed) {
            let names = self.clone();
            tokio::spawn(async move {
                // If nobody knows, the addresses are what they were.
                if let Err(problem) = names.resolve().await {
                    tracing::debug!(target = %names.target, %problem, "a name is not resolved anew");
                }
                names.asking.store(false, Ordering::Relaxed);
            });
        }
        match last.addresses.contains(&address) {
            true => Ok(()),
            false => Err("the name leads elsewhere by now".to_owned()),
        }
    }
}
