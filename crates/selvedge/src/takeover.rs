//! A new process in the place of an old one, on the same data: `serve --takeover`.
//!
//! The new process reads its configuration and certificates first, so that what is wrong with them
//! costs nothing. Then it takes the listening sockets ([`net::handover`]), upon which the old one
//! accepts nothing more, finishes what it has within `handover_ms`, gives up the data and ends.
//! Whoever connects meanwhile waits until the new one has opened the data and accepts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use net::Sockets;
use net::handover::{Offer, Taken, take};
use tokio::sync::Notify;

use crate::terminal;
use crate::wire::{self, Locked, Storage, Stores};

const SOCKET_FILE: &str = "takeover.sock";
/// Beyond its own limits, what a process needs to end.
const ENDING: Duration = Duration::from_secs(30);
/// Between its last word and the end of its lock.
const LOCK: Duration = Duration::from_secs(5);

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
    while !taken.ended(ENDING)? {
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

/// Offers this node's sockets to a successor; tells when they are taken. A node that can't (the path
/// of a socket is short) runs all the same.
pub fn offer(data: &Path, sockets: &Arc<Sockets>) -> Result<Arc<Notify>> {
    let path = socket_of(data);
    let taken = Arc::new(Notify::new());
    let offer = match Offer::open(&path) {
        Ok(offer) => offer,
        Err(error) => {
            tracing::warn!("no other process can take over: {} can't be opened: {error}", path.display());
            return Ok(taken);
        }
    };
    let (tell, sockets) = (taken.clone(), sockets.clone());
    let wait = move || match offer.wait(&sockets) {
        Ok(()) => tell.notify_one(),
        Err(error) => tracing::error!(%error, "no other process can take over any more"),
    };
    // It ends with the process.
    std::thread::Builder::new().name("takeover".to_owned()).spawn(wait)?;
    Ok(taken)
}
