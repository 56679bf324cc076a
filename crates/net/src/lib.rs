//! Sockets and the protocols on them: where a request comes in, and where a request of a worker
//! goes out.
//!
//! Inwards, a [`Listener`] accepts on one core and a [`Server`] speaks HTTP/1.1 and HTTP/2 on what
//! was accepted, under [TLS](tls) or in the clear; an endpoint of [HTTP/3](quic) hands it more. Every request that leaves this crate is
//! normalised: it has one host, its path has no dot segments, its framing is beyond doubt. What
//! could be read in two ways is refused, with a problem document where the protocol still allows
//! an answer. Outwards, a [`Connector`] makes one exchange with a server, over a pooled connection
//! whose address the caller has approved. [ACME](acme) is a client of the second that proves
//! itself by the first.
//!
//! This crate knows no route, no app and no policy of its own; it is not a proxy. It is step 1 and
//! half of step 6 on the path of a request.
//!
//! Everything inwards runs on a current-thread runtime inside a `LocalSet`, and is not `Send`.

pub mod acme;
pub mod chunked;
pub mod connector;

pub mod counts;
mod dns;
mod frames;
#[cfg(test)]
mod fuzz;
mod gate;
pub mod glance;
pub mod handover;
pub mod head;
mod interim;
pub mod limits;
pub mod listen;
pub mod names;
mod outlet;
pub mod proxy_protocol;
pub mod quic;
pub mod request;
pub mod server;
mod stream;
pub mod target;
pub mod tls;
pub mod websocket;

pub use connector::{
    Check, Connector, ConnectorOptions, ExchangeError, HostAsked, Outgoing, Peer, PeerOptions, PeerTimes, Phase,
    Phases, PlainAnswer, PlainRequest, RawStream, Reply, SocketCheck, Telling, Undone, is_hop_by_hop, strip_hop_by_hop,
};
pub use counts::ConnectionCounts;
pub use dns::{DnsOptions, Resolver};
pub use glance::{AtHand, AtOnce, Found, Given, Glance, Late, Later};
pub use handover::Sockets;
pub use interim::Interim;
pub use limits::ServerLimits;
pub use listen::{Address, ListenError, ListenOptions, Listener, Reception};
pub use names::NameMap;
pub use quic::{Intake, Quic};
pub use request::{Believed, Protocol, Request};
pub use server::{Change, Changes, Server, Standalone};
pub use target::Paths;
pub use tls::{Secured, Tls, TlsOptions};
pub use websocket::{OnSocketEnd, Summary};
