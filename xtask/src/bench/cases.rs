//! The workloads: what is asked of the server, and what must come back.

use super::origin;
use super::peer::Contender;

#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    /// Its folder in bench/functions, or the recipe.
    pub folder: &'static str,
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
    /// For every contender.
    Script,
    /// As a script, bundled with its packages first.
    Bundle,
    /// As a script, which is told where a server answers with [`origin::BODY_BYTES`].
    Proxy,
    /// For Selvedge alone.
    Own,
    /// A recipe, for Selvedge as it stands.
    Recipe,
}

const HELLO: Case = Case {
    name: "hello",
    folder: "hello",
    kind: Kind::Script,
    path: "/",
    body: None,
    expect: "Hello, world!",
    seed: None,
};

/// What a case is, apart from its name, if it asks for `/` of a script.
pub const PLAIN: Case =
    Case { name: "", folder: "", kind: Kind::Script, path: "/", body: None, expect: "", seed: None };

const HONO: Case = Case {
    name: "hono",
    folder: "hono",
    kind: Kind::Bundle,
    path: "/api/users/42/posts/7?verbose=yes",
    body: None,
    expect: "\"verbose\":true",
    seed: None,
};

pub const CASES: &[Case] = &[
    HELLO,
    Case { name: "echo", folder: "echo", body: Some(one_kib_of_json), expect: "\"name-7\"", ..PLAIN },
    Case { name: "echo-100k", folder: "echo", body: Some(a_hundred_kib_of_json), expect: "\"name-7\"", ..PLAIN },
    HONO,
    Case { name: "react", folder: "react", kind: Kind::Bundle, path: "/?q=a%26b", expect: "<h1>a&amp;b</h1>", ..PLAIN },
    Case { name: "proxy", folder: "proxy", kind: Kind::Proxy, expect: origin::PIECE, ..PLAIN },
    Case { name: "kv", folder: "kv", expect: "Hello from the store!", seed: Some("/seed"), ..PLAIN },
    Case { name: "kv-put", folder: "kv-put", kind: Kind::Own, expect: "Stored.", ..PLAIN },
    Case { name: "component", folder: "component", kind: Kind::Recipe, ..PLAIN },
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
            Kind::Script | Kind::Bundle | Kind::Proxy => true,
            Kind::Own => contender.is_selvedge(),
            Kind::Recipe => contender == Contender::SelvedgeRequest,
        }
    }

    /// Whether there is an open loop: h2load ends in the middle of large answers, and takes that for failures.
    pub fn paces(&self) -> bool {
        self.kind != Kind::Proxy
    }

    pub fn method(&self) -> &'static str {
        if self.body.is_some() { "POST" } else { "GET" }
    }
}

fn one_kib_of_json() -> String {
    json(14, 1 << 10)
}

fn a_hundred_kib_of_json() -> String {
    json(1_300, 100 << 10)
}

/// Objects as APIs send them, and text to fill it up.
fn json(items: usize, bytes: usize) -> String {
    let item = |n: usize| format!(r#"{{"id":{n},"name":"name-{n}","tags":["a","b"],"score":{n}.5,"active":true}}"#);
    let items = (0..items).map(item).collect::<Vec<_>>().join(",");
    let start = format!(r#"{{"items":[{items}],"note":""#);
    let filling = "x".repeat(bytes - start.len() - 2);
    format!("{start}{filling}\"}}")
}
