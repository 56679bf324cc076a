//! A new process in the place of an old one, on the same data: `serve --takeover`.
//!
//! The new process reads its configuration and certificates first, so that what is wrong with them
//! costs nothing. Then it takes the listening sockets ([`net::handover`]), upon which the old one
//! accepts nothing more, finishes what it has within `handover_ms` and gives up the data. Whoever
//! connects meanwhile waits until the new one has opened the data and accepts.
//!
//! What the old process then still has are answers that need nothing of the data: bodies that come from
//! a server, out of an open file or out of memory. They go on there for up to `drain_ms`, beside the new
//! process ([`Succession`]). All else was cut, for the data has one owner: it is given up by letting go of
//! every last holder of a store, and the end of their lock says that there is none. Should somebody hold on
//! (work that nobody waits for any more, say), the old process ends as a whole, and its locks with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use net::Sockets;
use net::handover::{Offer, Successor, Taken, take};
use tokio::sync::Notify;

use crate::node::GoingOn;
use crate::terminal;
use crate::wire::{self, Locked, Locks, Storage, Stores};

const SOCKET_FILE: &str = "takeover.sock";
/// Beyond its own limits, what a process needs to end.
const ENDING: Duration = Duration::from_secs(30);
/// Between its last word and the end of its lock.
const LOCK: Duration = Duration::from_secs(5);
/// So long the successor may have to wait for the last that holds a store, before nothing goes on.
const GIVING_UP: Duration = Duration::from_millis(500);

fn socket_of(data: &Path) -> PathBuf {
    data.join(SOCKET_FILE)
}

/// The sockets of the node that runs on this data, for this one to use from when that has ended;
/// none if nobody runs there. Blocks until then.
pub fn begin(data: &Path) -> Result<Arc<Sockets>> {
    let Some(taken) = take(&socket_of(data)).context("the node that runs here gives nothing")? else {
        terminal::say("no node runs on this data; starting as the first");
        return Ok(Arc::default());
    };
    terminal::say(&format!("taking over {} sockets; waiting for the old process to end", taken.count));
    wait(&taken)?;
    Ok(taken.sockets)
}

fn wait(taken: &Taken) -> Result<()> {
    // Its limits are its own; it has the longest that there may be, and then some.
    while !taken.freed(ENDING)? {
        tracing::warn!("the old process still finishes what it has");
    }
    Ok(())
}

/// Opens the data of a process that has just ended: its lock may go a moment later.
pub async fn open_stores(data: &Path, storage: &Storage, taken: bool) -> Result<Stores> {
    let until = tokio::time::Instant::now() + LOCK;
    loop {
        match wire::open_stores(data, storage) {
            Err(error) if taken && error.is::<Locked>() && tokio::time::Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            opened => return opened,
        }
    }
}

/// Where a successor will be.
#[derive(Clone, Default)]
pub struct Offered {
    told: Arc<Notify>,
    successor: Arc<Mutex<Option<Successor>>>,
}

impl Offered {
    /// Resolves when a successor has everything, once.
    pub async fn taken(self) {
        self.told.notified().await;
    }

    /// The one that has it.
    pub fn successor(&self) -> Option<Successor> {
        self.successor.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Offers this node's sockets to a successor. A node that can't (the path of a socket is short) runs all
/// the same.
pub fn offer(data: &Path, sockets: &Arc<Sockets>) -> Result<Offered> {
    let path = socket_of(data);
    let offered = Offered::default();
    let offer = match Offer::open(&path) {
        Ok(offer) => offer,
        Err(error) => {
            tracing::warn!("no other process can take over: {} can't be opened: {error}", path.display());
            return Ok(offered);
        }
    };
    let (tell, sockets) = (offered.clone(), sockets.clone());
    let wait = move || match offer.wait(&sockets) {
        Ok(successor) => {
            *tell.successor.lock().unwrap_or_else(PoisonError::into_inner) = Some(successor);
            tell.told.notify_one();
        }
        Err(error) => tracing::error!(%error, "no other process can take over any more"),
    };
    // It ends with the process.
    std::thread::Builder::new().name("takeover".to_owned()).spawn(wait)?;
    Ok(offered)
}

/// What is left of a process in whose place another comes.
pub struct Succession {
    pub successor: Successor,
    pub locks: Locks,
    pub going_on: GoingOn,
}

impl Succession {
    /// Gives up the data, then goes on with what needs none of it. Everything else of the node is gone by now.
    pub fn finish(self) -> Result<()> {
        let Self { successor, locks, going_on } = self;
        let count = going_on.count;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if locks.give_up(GIVING_UP) && successor.say_free().is_ok() {
            if count > 0 {
                terminal::say(&format!("another process has the data; {count} connections go on here until they end"));
            }
            return runtime.block_on(async {
                going_on.finish(terminal::stop_signal()?).await;
                Ok(())
            });
        }
        tracing::warn!("{count} connections are cut: something holds on to the data that another process waits for");
        runtime.block_on(going_on.finish(std::future::ready(())));
        // The end of this process, and of nothing before, tells the successor that the locks are free.
        std::mem::forget(successor);
        Ok(())
    }
}
