//! The operations, who takes part in each, and what is to be reached.

use super::contenders::Contender::{self, Contract, Floor, Handler, Miniflare, RedisAlways, RedisEverysec};

#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub about: &'static str,
    pub contenders: &'static [Contender],
    pub clients: u32,
    /// What `examples/kv_load` does.
    pub contract: &'static str,
    /// The test of `redis-benchmark`.
    pub redis: &'static str,
    /// The worker of the handler and of miniflare, and the path that does one operation.
    pub worker: &'static str,
    pub path: &'static str,
    pub expect: &'static str,
    pub bars: &'static [Bar],
}

/// Ours is to do so many times as much as the peer.
#[derive(Debug)]
pub struct Bar {
    pub own: Contender,
    pub peer: Contender,
    pub at_least: f64,
}

const fn bar(own: Contender, peer: Contender, at_least: f64) -> Bar {
    Bar { own, peer, at_least }
}

pub const CASES: &[Case] = &[
    Case {
        name: "kv-put",
        about: "durable puts of 100 bytes, 50 clients",
        contenders: &[Contract, Handler, RedisAlways, RedisEverysec, Miniflare, Floor],
        clients: 50,
        contract: "put",
        redis: "set",
        worker: "kv.js",
        path: "/put",
        expect: "Stored.",
        bars: &[bar(Contract, RedisAlways, 1.0), bar(Handler, RedisAlways, 0.4), bar(Handler, Miniflare, 10.0)],
    },
    Case {
        name: "kv-get",
        about: "gets of 100 bytes, 50 clients",
        contenders: &[Contract, Handler, RedisAlways, Miniflare],
        clients: 50,
        contract: "get",
        redis: "get",
        worker: "kv.js",
        path: "/get",
        expect: "xxxx",
        bars: &[bar(Contract, RedisAlways, 5.0), bar(Handler, Miniflare, 10.0)],
    },
];
