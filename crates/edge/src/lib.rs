//! The way of a request through a node: [`pipeline`] is one function, and the rest of this crate
//! is what its steps need.
//!
//! The edge decides which app and which route a request belongs to, bounds its body, asks a worker
//! or a file for the answer, and makes of every failure a problem document. It opens the request's
//! one record. It knows no engine and no instance (a worker is an [`worker::Invoker`] to it), and
//! speaks no protocol (that is `net`).
//!
//! On each core, [`run_core`] accepts and serves until the node drains.

pub mod assets;
mod blobs;
mod body;
mod cf;
mod compress;
mod core;
mod dates;
mod door;
mod drain;
pub mod explain;
mod overlay;
mod pipeline;
mod proxy;
mod respond;
mod sender;
mod site;
mod told;
mod traced;
mod upgrade;

pub use assets::{AssetEntry, AssetIndex, AssetMemory, AssetService, AssetsError};
pub use blobs::PublicBucket;
pub use body::bounded_response;
pub use core::{CoreConfig, Countries, Left, run_core};
pub use door::{Door, Doors, Hsts, Redirect, alt_svc};
pub use drain::Drain;
pub use proxy::{CacheCare, Counts, NodeName, ProxyCache, Totals, Upstream, UpstreamParts, UpstreamView};
pub use site::{HostClash, HostMap, Hosts, Site, SiteParts};
pub use traced::{Followed, Follower, Following, TracedRequest, Unfollowed};

#[cfg(test)]
mod fixture;
