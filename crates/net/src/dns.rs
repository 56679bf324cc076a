//! Names of upstreams: their addresses and servers (SRV, RFC 2782), each for as long as the answer says.
//!
//! The system's resolver tells nobody how long an answer holds and knows no SRV records, so the servers of
//! `resolv.conf`, or those that the operator names, are asked directly: for A, AAAA and SRV, over UDP and,
//! for what is too large for it, over TCP. It is a stub (RFC 1035, section 7): it asks, and believes what its
//! servers say. What they do not know, the system's resolver is asked for, which knows other ways.
//!
//! [`message`] is pure; [`resolver`] has the sockets.

mod message;
mod resolver;

pub use resolver::{DnsOptions, Resolver};
