//! What is asked of an edge, who takes part, and what is to be reached.

use super::contenders::Contender::{self, Caddy, Haproxy, Nginx, Trafficserver, Varnish};

#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub about: &'static str,
    pub kind: Kind,
    pub way: Way,
    /// Whether the edge may keep what it got.
    pub cached: bool,
    pub bytes: usize,
    pub bars: &'static [Bar],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As fast as 32 connections go.
    Requests,
    /// A connection for each request.
    Handshakes,
    /// Connections that are there, and say nothing any more.
    Idle,
    /// Thousands who ask at once for what is not there.
    Herd,
    /// A set that is larger than the cache, and some of it asked for more often than the rest.
    Zipf,
}

/// How clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Clear,
    Tls,
    TlsTwo,
}

/// Selvedge is to do so many times as much as the peer in a second of the server's CPU time.
#[derive(Debug)]
pub struct Bar {
    pub peer: Contender,
    pub at_least: f64,
}

const fn bar(peer: Contender, at_least: f64) -> Bar {
    Bar { peer, at_least }
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

const HIT: Case = Case {
    name: "hit-1k",
    about: "cache hits of 1 KiB, HTTP/1.1",
    kind: Kind::Requests,
    way: Way::Clear,
    cached: true,
    bytes: KIB,
    bars: &[bar(Nginx, 1.2), bar(Varnish, 2.0), bar(Haproxy, 0.9)],
};

const PROXY: Case =
    Case { name: "proxy-1k", about: "1 KiB passed through, HTTP/1.1", cached: false, bars: &[bar(Nginx, 1.0)], ..HIT };

pub const CASES: &[Case] = &[
    HIT,
    Case {
        name: "hit-64k",
        about: "cache hits of 64 KiB, HTTP/1.1",
        bytes: 64 * KIB,
        bars: &[bar(Trafficserver, 1.0), bar(Haproxy, 1.0)],
        ..HIT
    },
    Case { name: "hit-10m", about: "cache hits of 10 MiB, HTTP/1.1", bytes: 10 * MIB, bars: &[], ..HIT },
    Case {
        name: "tls-hit-1k",
        about: "cache hits of 1 KiB, HTTP/1.1 under TLS 1.3",
        way: Way::Tls,
        bars: &[bar(Nginx, 1.0)],
        ..HIT
    },
    Case {
        name: "tls-hit-64k",
        about: "cache hits of 64 KiB, HTTP/1.1 under TLS 1.3",
        way: Way::Tls,
        bytes: 64 * KIB,
        bars: &[bar(Nginx, 1.0)],
        ..HIT
    },
    Case {
        name: "h2-hit-1k",
        about: "cache hits of 1 KiB, HTTP/2 under TLS 1.3, 32 connections of 10 streams",
        way: Way::TlsTwo,
        bars: &[bar(Nginx, 1.0)],
        ..HIT
    },
    Case {
        name: "h2-hit-64k",
        about: "cache hits of 64 KiB, HTTP/2 under TLS 1.3, 32 connections of 10 streams",
        way: Way::TlsTwo,
        bytes: 64 * KIB,
        bars: &[bar(Nginx, 1.0)],
        ..HIT
    },
    PROXY,
    Case { name: "proxy-64k", about: "64 KiB passed through, HTTP/1.1", bytes: 64 * KIB, bars: &[], ..PROXY },
    Case {
        name: "h2-proxy-1k",
        about: "1 KiB passed through, HTTP/2 under TLS 1.3",
        way: Way::TlsTwo,
        bars: &[bar(Haproxy, 1.0)],
        ..PROXY
    },
    Case {
        name: "handshakes",
        about: "a full TLS 1.3 handshake and one cache hit of 1 KiB, P-256",
        kind: Kind::Handshakes,
        way: Way::Tls,
        bars: &[bar(Nginx, 1.0)],
        ..HIT
    },
    Case {
        name: "idle",
        about: "keep-alive connections under TLS that had one request each",
        kind: Kind::Idle,
        way: Way::Tls,
        bars: &[],
        ..HIT
    },
    Case {
        name: "h2-idle",
        about: "connections of HTTP/2 under TLS that had one request each",
        kind: Kind::Idle,
        way: Way::TlsTwo,
        bars: &[],
        ..HIT
    },
    Case {
        name: "herd",
        about: "10,000 clients who ask at once for one key that is cold",
        kind: Kind::Herd,
        bars: &[],
        ..HIT
    },
    Case {
        name: "zipf",
        about: "objects of 1 KiB to 1 MiB, four times what the cache may hold, by Zipf's law",
        kind: Kind::Zipf,
        bars: &[],
        ..HIT
    },
];

impl Case {
    pub fn contenders(&self) -> impl Iterator<Item = Contender> {
        Contender::ALL.into_iter().filter(|contender| match contender {
            // It has neither TLS nor HTTP/2 towards clients.
            Varnish => self.way == Way::Clear,
            Caddy => !self.cached,
            _ => true,
        })
    }

    /// What the clients ask for.
    pub fn path(&self) -> &'static str {
        "/object"
    }

    pub fn tls(&self) -> bool {
        self.way != Way::Clear
    }
}
