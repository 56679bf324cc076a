//! PostgreSQL bindings, against a real server.

use serde_json::json;
use testkit::PostgresServer;

use crate::harness::{Node, Place, Request, until};

const MANIFEST: &str = r#"
name = "app"
[workers.web]
entry = "src/index.ts"
egress = ["postgres://localhost:PORT"]
[workers.web.bindings]
DB = { postgres = "main" }
[postgres.main]
url = { secret = "database-url" }
tls = "off"
"#;

/// A project whose worker answers with what `body` returns, as JSON; `db`, `url` and `request` are there for it. An error
/// is an answer too.
fn project(place: &Place, server: &PostgresServer, body: &str) -> std::path::PathBuf {
    let manifest = MANIFEST.replace("PORT", &server.port.to_string());
    project_of(place, &manifest, &server.url(), body)
}

fn project_of(place: &Place, manifest: &str, url: &str, body: &str) -> std::path::PathBuf {
    let source = format!(
        r#"
const plain = (_: string, value: any) =>
  typeof value === "bigint" ? `${{value}}n` : value instanceof Uint8Array ? [...value] : value;
export default {{
  async fetch(request: Request, env: any, ctx: any): Promise<Response> {{
    const db = env.DB;
    const url = new URL(request.url);
    try {{
      const answer = await (async () => {{ {body} }})();
      return new Response(JSON.stringify(answer, plain) ?? "null");
    }} catch (error: any) {{
      return new Response(JSON.stringify({{ ...error, name: error.name, message: error.message }}), {{ status: 599 }});
    }}
  }},
}};
"#
    );
    let dev_vars = format!("DB={url}\n");
    place.project("project", &[("selvedge.toml", manifest), ("src/index.ts", &source), (".dev.vars", &dev_vars)])
}

fn json_of(node: &Node, path: &str) -> serde_json::Value {
    serde_json::from_str(&node.get(path).text()).expect("JSON")
}

#[test]
fn statements_run_with_parameters_and_values_of_every_kind() {
    let Some(server) = PostgresServer::start() else { return };
    let place = Place::new();
    let body = r#"
      if (url.pathname === "/hello") return await db.query("select 1 + $1::int as sum, 'x' as text", [2]);
      if (url.pathname === "/types") {
        const { rows: [row] } = await db.query(`select true as b, 7::int2 as i2, 9007199254740991::int8 as i8,
          9007199254740993::int8 as big, 1.5::float8 as f, 1.10::numeric as n, '\\x00ff'::bytea as bytes,
          '{"a":[1]}'::jsonb as j, '2024-02-29 12:00:00.5+02'::timestamptz as t, '2024-02-29'::date as d,
          array[1,2]::int4[] as ints, array['a',null]::text[] as texts, array[9007199254740993]::int8[] as bigs,
          null::int as nothing, '00000000-0000-0000-0000-000000000001'::uuid as u, 1 as "__proto__"`);
        return { ...row, isDate: row.t instanceof Date, isBytes: row.bytes instanceof Uint8Array, keys: Object.keys(row).length };
      }
      if (url.pathname === "/params") {
        const given = [42, 9007199254740993n, 1.25, true, "text", new Date(0), new Uint8Array([1, 255]), { a: 1 }, [1, 2], ["x", null, 'q"\\'], [1, { b: 2 }], null, undefined];
        const { rows } = await db.query(`select $1::int4 a, $2::int8 b, $3::float8 c, $4::bool d, $5::text e, $6::timestamptz f,
          $7::bytea g, $8::jsonb h, $9::int4[] i, $10::text[] j, $11::jsonb k, $12::text l, $13::int m`, given, { rowMode: "array" });
        return rows[0];
      }
      if (url.pathname === "/sql") {
        const name = "'; drop table users; --";
        return (await db.sql`select ${name}::text as name, ${2}::int * 3 as six`).rows;
      }
      if (url.pathname === "/pg") return await db.query({ text: "select $1::text", values: ["v"], rowMode: "array" });
      if (url.pathname === "/times") return (await db.query("select '2024-01-02 03:04:05.678901+00'::timestamptz t", [], { timestamps: "string" })).rows;
      await db.query("create table if not exists visits (id serial primary key, note text unique)");
      const added = await db.query("insert into visits (note) values ($1), ($2)", ["a" + Math.random(), "b" + Math.random()]);
      return { command: added.command, rowCount: added.rowCount, rows: added.rows };
    "#;
    let node = place.dev(&project(&place, &server, body));
    let hello = json_of(&node, "/hello");
    assert_eq!(hello["rows"], json!([{ "sum": 3, "text": "x" }]), "{hello}");
    assert_eq!(hello["fields"], json!([{ "name": "sum", "dataTypeID": 23 }, { "name": "text", "dataTypeID": 25 }]));
    assert_eq!((&hello["command"], &hello["rowCount"]), (&json!("SELECT"), &json!(1)));
    let types = json!({
        "b": true, "i2": 7, "i8": 9_007_199_254_740_991_i64, "big": "9007199254740993n", "f": 1.5, "n": "1.10",
        "bytes": [0, 255], "j": { "a": [1] }, "t": "2024-02-29T10:00:00.500Z", "d": "2024-02-29", "ints": [1, 2],
        "texts": ["a", null], "bigs": ["9007199254740993n"], "nothing": null,
        "u": "00000000-0000-0000-0000-000000000001", "isDate": true, "isBytes": true, "keys": 16, "__proto__": 1,
    });
    assert_eq!(json_of(&node, "/types"), types);
    let params = json!([42, "9007199254740993n", 1.25, true, "text", "1970-01-01T00:00:00.000Z", [1, 255], { "a": 1 },
        [1, 2], ["x", null, "q\"\\"], [1, { "b": 2 }], null, null]);
    assert_eq!(json_of(&node, "/params"), params);
    assert_eq!(json_of(&node, "/sql"), json!([{ "name": "'; drop table users; --", "six": 6 }]));
    assert_eq!(json_of(&node, "/pg")["rows"], json!([["v"]]));
    assert_eq!(json_of(&node, "/times"), json!([{ "t": "2024-01-02 03:04:05.678901+00" }]));
    assert_eq!(json_of(&node, "/insert"), json!({ "command": "INSERT", "rowCount": 2, "rows": [] }));
}

#[test]
fn transactions_commit_when_their_function_resolves_and_only_then() {
    let Some(server) = PostgresServer::start() else { return };
    server.sql("create table notes (note text primary key)");
    let place = Place::new();
    let body = r#"
      const add = (on: any, note: string) => on.sql`insert into notes values (${note})`;
      switch (url.pathname) {
        case "/commit": return await db.transaction(async (tx: any) => { await Promise.all([add(tx, "a"), add(tx, "b")]); return "result"; });
        case "/throw": return await db.transaction(async (tx: any) => { await add(tx, "lost"); throw new Error("no"); });
        case "/fail": return await db.transaction(async (tx: any) => { await add(tx, "lost"); await add(tx, "a").catch(() => {}); });
        case "/savepoint": return await db.transaction(async (tx: any) => {
          await add(tx, "outer");
          await tx.transaction(async () => { await add(tx, "inner"); await add(tx, "a"); }).catch(() => {});
          await tx.transaction(async (inner: any) => { await add(inner, "kept"); });
        });
        case "/isolation": return await db.transaction(async (tx: any) => (await tx.query("show transaction_isolation")).rows[0].transaction_isolation, { isolation: "repeatable read", readOnly: true });
        case "/nonsense": return await db.transaction(async () => {}, { isolation: "chaos" });
        case "/leave": {
          await new Promise<void>((resolve) => { db.transaction(async (tx: any) => { await add(tx, "left"); resolve(); await new Promise(() => {}); }); });
          return "left open";
        }
      }
      return (await db.query("select note from notes order by note", [], { rowMode: "array" })).rows.flat();
    "#;
    let node = place.dev(&project(&place, &server, body));
    assert_eq!(json_of(&node, "/commit"), json!("result"));
    assert_eq!(json_of(&node, "/all"), json!(["a", "b"]));
    assert_eq!(json_of(&node, "/throw")["message"], json!("no"));
    let failed = json_of(&node, "/fail");
    assert_eq!(failed["code"], json!("postgres_refused"), "what failed is not committed: {failed}");
    json_of(&node, "/savepoint");
    assert_eq!(json_of(&node, "/isolation"), json!("repeatable read"));
    assert_eq!(json_of(&node, "/nonsense")["name"], json!("TypeError"));
    // The request has ended with a transaction open: it is rolled back, and its lock is free.
    assert_eq!(json_of(&node, "/leave"), json!("left open"));
    server.sql("insert into notes values ('left')");
    assert_eq!(json_of(&node, "/all"), json!(["a", "b", "kept", "left", "outer"]));
}

#[test]
fn errors_say_what_the_server_said_and_whose_fault_it_is() {
    let Some(server) = PostgresServer::start() else { return };
    server.sql("create table users (id int primary key, name text check (name <> ''))");
    let place = Place::new();
    let body = r#"
      switch (url.pathname) {
        case "/twice": await db.query("insert into users values (1, 'a')"); return await db.query("insert into users values (1, 'a')");
        case "/syntax": return await db.query("selec 1");
        case "/large": return (await db.query("select repeat('x', 1000 + 0 * generate_series(1, 100000000))")).rows.length;
        case "/slow": return await db.query("select pg_sleep(60)", [], { timeoutMs: 100 });
        case "/count": return await db.query("select $1::int", []);
        case "/symbol": return await db.query("select $1::int", [Symbol()]);
        case "/many": for (;;) await db.query("select 1");
      }
      return (await db.query("select 1 as one")).rows;
    "#;
    let node = place.dev(&project(&place, &server, body));
    let twice = json_of(&node, "/twice");
    assert_eq!(twice["name"], json!("PostgresError"));
    let expect = json!(["postgres_statement", "23505", "users", "users_pkey", "Key (id)=(1) already exists."]);
    let found = ["code", "sqlstate", "table", "constraint", "detail"].map(|name| twice[name].clone());
    assert_eq!(json!(found), expect, "{twice}");
    assert_eq!(json_of(&node, "/syntax")["position"], json!(1));
    for (path, code) in [
        ("/large", "postgres_result_too_large"),
        ("/slow", "postgres_timeout"),
        ("/count", "postgres_refused"),
        ("/many", "subrequests_exceeded"),
    ] {
        let error = json_of(&node, path);
        assert_eq!(error["code"], json!(code), "{path}: {error}");
        assert_eq!(json_of(&node, "/"), json!([{ "one": 1 }]), "after {path}");
    }
    assert_eq!(json_of(&node, "/symbol")["name"], json!("TypeError"));
}

#[test]
fn a_statement_of_a_client_that_leaves_is_cancelled() {
    let Some(server) = PostgresServer::start() else { return };
    let place = Place::new();
    let node = place.dev(&project(&place, &server, "return await db.query('select pg_sleep(300)');"));
    let running = "select count(*) from pg_stat_activity where state = 'active' and query = 'select pg_sleep(300)'";
    let mut client = std::net::TcpStream::connect(node.address).expect("a connection");
    std::io::Write::write_all(&mut client, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("a request");
    until("it runs", || (server.sql(running) == "1").then_some(()));
    drop(client);
    until("it was cancelled", || (server.sql(running) == "0").then_some(()));
}

#[test]
fn a_database_is_reached_over_tls_that_is_verified_or_not_at_all() {
    let Some(mut server) = PostgresServer::start() else { return };
    let testdata = concat!(env!("CARGO_MANIFEST_DIR"), "/../net/src/connector/testdata");
    let read = |name: &str| std::fs::read(format!("{testdata}/{name}")).expect("a file of net's tests");
    let certificate = server.private_file("server.crt", &read("server.pem"));
    let key = server.private_file("server.key", &read("server.key"));
    let ca = String::from_utf8(read("ca.pem")).expect("PEM");
    let body = "return (await db.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')).rows;";
    let place = Place::new();
    let verify = MANIFEST.replace("PORT", &server.port.to_string()).replace("tls = \"off\"\n", "");
    let with_ca = format!("{verify}ca = \"\"\"{ca}\"\"\"\n");
    let url = server.url();
    let ask = |manifest: &str| json_of(&place.dev(&project_of(&place, manifest, &url, body)), "/");

    let refused = ask(&with_ca);
    assert_eq!(refused["code"], json!("postgres_tls"), "the server has no TLS: {refused}");
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    server.restart_with(&[("ssl", "on"), ("ssl_cert_file", &certificate), ("ssl_key_file", &key)]);
    let refused = ask(&verify);
    assert_eq!(refused["code"], json!("postgres_tls"), "nobody vouches for it: {refused}");
    assert_eq!(ask(&with_ca), json!([{ "ssl": true }]));
}

#[test]
fn an_address_that_egress_does_not_name_is_not_reached() {
    let Some(server) = PostgresServer::start() else { return };
    let place = Place::new();
    let manifest = MANIFEST.replace("\"postgres://localhost:PORT\"", "\"public\", \"http://localhost\"");
    let node = place.dev(&project_of(&place, &manifest, &server.url(), "return await db.query('select 1');"));
    let refused = json_of(&node, "/");
    assert_eq!(refused["code"], json!("egress_denied"), "{refused}");
}

#[test]
fn notifications_reach_a_worker_that_listens() {
    let Some(server) = PostgresServer::start() else { return };
    let place = Place::new();
    let body = r#"
      const listener = db.listen("jobs");
      await listener.ready();
      for (let i = 0; i < 3; i++) await db.notify("jobs", `job ${i}`);
      const heard = [];
      for await (const { channel, payload } of listener) {
        heard.push(`${channel}: ${payload}`);
        if (heard.length === 3) break;
      }
      const after = await listener.next();
      return { heard, after };
    "#;
    let node = place.dev(&project(&place, &server, body));
    for _ in 0..2 {
        let heard = ["jobs: job 0", "jobs: job 1", "jobs: job 2"];
        assert_eq!(json_of(&node, "/"), json!({ "heard": heard, "after": { "done": true } }));
    }
}

#[test]
fn a_url_comes_from_a_secret_and_is_told_to_nobody() {
    let Some(server) = PostgresServer::start() else { return };
    let place = Place::new();
    let manifest = MANIFEST.replace("PORT", &server.port.to_string());
    let source = "export default { async fetch(_: Request, env: any) { return new Response(JSON.stringify((await env.DB.query('select 1 as one')).rows)); } };\n";
    let project = place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", source)]);
    let deployed = place.deploy(&project);
    assert!(deployed.stderr.contains("database-url has no value yet"), "{}", deployed.stderr);
    let said = deployed.expect_success();
    let node = place.serve();
    let request = Request::get("/").at_app("app");
    node.send(&request).expect_problem(500, "secret_missing");
    let put =
        |value: &str| place.on_data_with(&["secret", "put", "app", "database-url"], value.as_bytes()).expect_success();
    put("postgres://app:opensesame@localhost:x/postgres");
    node.until(&request, |answer| answer.text().contains("postgres_address"));
    put(&server.url());
    node.until(&request, |answer| answer.text() == "[{\"one\":1}]");
    let checked = place.run(&["check", &project.display().to_string(), "--json"]).stdout;
    let everything = [said, checked, node.stderr(), node.log()].concat();
    assert!(!everything.contains(testkit::postgres::PASSWORD), "the password is told: {everything}");
}

#[test]
fn a_slow_statement_is_named_in_the_log_without_what_it_was_given() {
    let Some(server) = PostgresServer::start() else { return };
    let place = Place::new();
    let manifest = MANIFEST.replace("PORT", &server.port.to_string()) + "limits = { slow_ms = 100 }\n";
    let body = "return (await db.query('select pg_sleep(0.2)::text, $1::text as told', ['in confidence'])).rowCount;";
    let node = place.dev(&project_of(&place, &manifest, &server.url(), body));
    assert_eq!(json_of(&node, "/"), json!(1));
    let said = node.wait_for_stderr("a statement on the database main took");
    assert!(said.contains("select pg_sleep(0.2)::text, $1::text as told"), "{said}");
    assert!(!said.contains("in confidence"), "{said}");
    let metrics = node.ask_admin(Request::get("/metrics")).expect(200).text();
    for line in ["selvedge_postgres_connections 1", "selvedge_postgres_slow_total 1"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}
