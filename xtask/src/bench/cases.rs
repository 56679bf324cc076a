//! The workloads: what is asked of the server, and what must come back.

use super::peer::Contender;

#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    pub kind: Kind,
    pub path: &'static str,
    /// The JSON to post; a GET where there is none.
    pub body: Option<fn() -> String>,
    /// A part of the answer, so that no error page is ever measured.
    pub expect: &'static str,
    /// A path to ask for once, before any other.
    pub seed: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder of bench/functions, for every contender.
    Script,
    /// As a script, bundled with its packages first.
    Bundle,
    /// A folder of bench/functions, for Selvedge alone.
    Own,
    /// A recipe, for Selvedge as it stands.
    Recipe,
}

const HELLO: Case =
    Case { name: "hello", kind: Kind::Script, path: "/", body: None, expect: "Hello, world!", seed: None };

const HONO: Case = Case {
    name: "hono",
    kind: Kind::Bundle,
    path: "/api/users/42/posts/7?verbose=yes",
    body: None,
    expect: "\"verbose\":true",
    seed: None,
};

pub const CASES: &[Case] = &[
    HELLO,
    Case { name: "echo", kind: Kind::Script, path: "/", body: Some(one_kib_of_json), expect: "\"name-7\"", seed: None },
    HONO,
    Case {
        name: "kv",
        kind: Kind::Script,
        path: "/",
        body: None,
        expect: "Hello from the store!",
        seed: Some("/seed"),
    },
    Case { name: "kv-put", kind: Kind::Own, path: "/", body: None, expect: "Stored.", seed: None },
    Case { name: "component", kind: Kind::Recipe, path: "/", body: None, expect: "", seed: None },
];

pub fn hello() -> &'static Case {
    &HELLO
}

pub fn hono() -> &'static Case {
    &HONO
}

impl Case {
    pub fn admits(&self, contender: Contender) -> bool {
        match self.kind {
            Kind::Script | Kind::Bundle => true,
            Kind::Own => contender.is_selvedge(),
            Kind::Recipe => contender == Contender::SelvedgeRequest,
        }
    }

    pub fn method(&self) -> &'static str {
        if self.body.is_some() { "POST" } else { "GET" }
    }
}

/// Objects as APIs send them, 1,024 bytes in all.
fn one_kib_of_json() -> String {
    let item = |n: usize| format!(r#"{{"id":{n},"name":"name-{n}","tags":["a","b"],"score":{n}.5,"active":true}}"#);
    let items = (0..14).map(item).collect::<Vec<_>>().join(",");
    let start = format!(r#"{{"items":[{items}],"note":""#);
    let filling = "x".repeat(1024 - start.len() - 2);
    format!("{start}{filling}\"}}")
}
