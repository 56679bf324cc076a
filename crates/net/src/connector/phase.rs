//! The phases of an exchange up to its request, for who wants to hear of them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Is told of each phase when it is over.
pub type Phases = Arc<dyn Fn(Phase) + Send + Sync>;

/// What is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A connection of an earlier request takes this one.
    Reused { address: IpAddr, h2: bool },
    /// A name was resolved, its addresses were judged, and one of them answered.
    Connected { address: IpAddr },
    /// The handshake of TLS; the certificate was verified.
    Secured { h2: bool },
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = |h2| if h2 { "HTTP/2" } else { "HTTP/1.1" };
        match *self {
            Self::Reused { address, h2 } => write!(f, "a kept one to {address} is used again, {}", version(h2)),
            Self::Connected { address } => write!(f, "a new one to {address} is open"),
            Self::Secured { h2 } => write!(f, "TLS stands, the certificate is verified; {} goes on it", version(h2)),
        }
    }
}

pub(super) fn tell(phases: Option<&Phases>, phase: impl FnOnce() -> Phase) {
    if let Some(phases) = phases {
        phases(phase());
    }
}
