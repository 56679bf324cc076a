//! The operations, who takes part in each, and what is to be reached.

use super::contenders::Contender::{self, Contract, Floor, Handler, Miniflare, Postgres, RedisAlways, RedisEverysec};

#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub about: &'static str,
    pub contenders: &'static [Contender],
    pub clients: u32,
    /// What `examples/data_load` does.
    pub contract: &'static str,
    /// The test of `redis-benchmark`.
    pub redis: &'static str,
    /// The statement of `pgbench`.
    pub postgres: &'static str,
    /// The worker of the handler and of miniflare, its binding, and the path that does one operation.
    pub worker: &'static str,
    pub binding: &'static str,
    pub path: &'static str,
    pub expect: &'static str,
    pub bars: &'static [Bar],
}

/// Ours is to do so many times as much as the peer, and with a lower 99th percentile if the peer is
/// miniflare.
#[derive(Debug)]
pub struct Bar {
    pub own: Contender,
    pub peer: Contender,
    pub at_least: f64,
}

const fn bar(own: Contender, peer: Contender, at_least: f64) -> Bar {
    Bar { own, peer, at_least }
}

/// What most cases do not have.
const PLAIN: Case = Case {
    name: "",
    about: "",
    contenders: &[],
    clients: 50,
    contract: "",
    redis: "",
    postgres: "",
    worker: "",
    binding: "",
    path: "",
    expect: "",
    bars: &[],
};

const KV: Case = Case { worker: "kv.js", binding: "STORE = { kv = \"store\" }", ..PLAIN };
const SQL: Case = Case { worker: "sql.js", binding: "DB = { sql = \"main\" }", ..PLAIN };
const BLOB: Case = Case { worker: "blob.js", binding: "FILES = { blob = \"files\" }", ..PLAIN };
const OBJECT: Case = Case { worker: "object.js", binding: "COUNTER = { object = \"Counter\" }", clients: 64, ..PLAIN };

pub const CASES: &[Case] = &[
    Case {
        name: "kv-put",
        about: "durable puts of 100 bytes, 50 clients",
        contenders: &[Contract, Handler, RedisAlways, RedisEverysec, Miniflare, Floor],
        contract: "put",
        redis: "set",
        path: "/put",
        expect: "Stored.",
        bars: &[bar(Contract, RedisAlways, 1.0), bar(Handler, RedisAlways, 0.4), bar(Handler, Miniflare, 10.0)],
        ..KV
    },
    Case {
        name: "kv-get",
        about: "gets of 100 bytes, 50 clients",
        contenders: &[Contract, Handler, RedisAlways, Miniflare],
        contract: "get",
        redis: "get",
        path: "/get",
        expect: "xxxx",
        bars: &[bar(Contract, RedisAlways, 5.0), bar(Handler, Miniflare, 10.0)],
        ..KV
    },
    Case {
        name: "sql-query",
        about: "point queries of one row by its key, 50 clients",
        contenders: &[Handler, Postgres, Miniflare],
        postgres: "SELECT value FROM item WHERE id = :id;",
        path: "/query",
        expect: "xxxx",
        bars: &[bar(Handler, Miniflare, 10.0)],
        ..SQL
    },
    Case {
        name: "sql-commit",
        about: "durable commits that update one row, 50 clients",
        contenders: &[Handler, Postgres, Miniflare, Floor],
        postgres: "UPDATE item SET value = repeat('y', 100) WHERE id = :id;",
        path: "/commit",
        expect: "Stored.",
        bars: &[bar(Handler, Miniflare, 10.0)],
        ..SQL
    },
    Case {
        name: "blob-put",
        about: "durable puts of 10 KiB, 50 clients",
        contenders: &[Handler, Miniflare, Floor],
        path: "/put",
        expect: "Stored.",
        bars: &[bar(Handler, Miniflare, 10.0)],
        ..BLOB
    },
    Case {
        name: "blob-get",
        about: "gets of 10 KiB, 50 clients",
        contenders: &[Handler, Miniflare],
        path: "/get",
        expect: "xxxx",
        bars: &[bar(Handler, Miniflare, 10.0)],
        ..BLOB
    },
    Case {
        name: "object-increment",
        about: "one durable object that reads, adds one, and writes, 64 callers",
        contenders: &[Handler, Miniflare, Floor],
        path: "/add",
        expect: "Counted",
        bars: &[bar(Handler, Miniflare, 10.0), bar(Handler, Floor, 3.0)],
        ..OBJECT
    },
    Case {
        name: "object-read",
        about: "one durable object that reads a value, 64 callers",
        contenders: &[Handler, Miniflare],
        path: "/read",
        expect: "Counted",
        bars: &[bar(Handler, Miniflare, 10.0)],
        ..OBJECT
    },
];
