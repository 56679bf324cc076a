//! What KV has beside reads and writes, as workers and operators see it: transactions, counters,
//! the change feed, lists with values, quotas, export and import.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Node, ONE_WORKER, Place, Request};

/// Runs what the body of a request says, with `kv` as the namespace; answers JSON, or the error.
const SOURCE: &str = r#"
const show = (_: string, value: any): any =>
  typeof value === "bigint" ? `${value}n` : value instanceof Map ? [...value] : value;

const steps: Record<string, (kv: any, request: any) => Promise<any>> = {
  async transfer(kv, { from, to, amount }) {
    const source = await kv.getWithMetadata(from);
    return kv.atomic().check({ key: from, revision: source.revision }).add(from, -amount).add(to, amount).commit();
  },
  async claim(kv, { key }) {
    return kv.atomic().check({ key, revision: null }).put(key, "mine", { metadata: { by: "me" } }).delete("spare").commit();
  },
  async add(kv, { key, by }) {
    return kv.add(key, typeof by === "string" ? BigInt(by) : by);
  },
  async put(kv, { key, value, options }) {
    return kv.put(key, value, options);
  },
  async keys(kv, { bad }) {
    const keys: any = { nul: "a\0b", long: "k".repeat(513), surrogate: "\ud800", empty: "", number: 7, longest: "k".repeat(512) };
    await kv.put(keys[bad], "x");
    return kv.get(keys[bad]);
  },
  async size(kv, { bytes }) {
    return kv.put("sized", new Uint8Array(bytes));
  },
  async list(kv, options) {
    return kv.list(options);
  },
  async watch(kv, { prefix, since, writes }) {
    const seen = [];
    for await (const written of kv.watch({ prefix, since })) {
      seen.push(written);
      if (seen.length === writes) return seen;
    }
  },
  async both(kv) {
    const watcher = kv.watch({ prefix: "live/" });
    const first = watcher.next();
    await kv.put("other", "x");
    await kv.put("live/1", "x");
    await kv.atomic().put("live/2", "x").delete("live/1").commit();
    const seen = [await first, await watcher.next()];
    const last = watcher.next();
    await watcher.return();
    return [...seen, await last];
  },
};

/** Server-sent events of what is written. */
function stream(kv: any): Response {
  const { readable, writable } = new TransformStream();
  const watcher = kv.watch();
  (async () => {
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode(": open\n"));
    for await (const { changes } of watcher) await writer.write(new TextEncoder().encode(`data: ${changes[0].key}\n`));
  })();
  return new Response(readable);
}

export default {
  async fetch(request: Request, env: any): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/stream") return stream(env.KV);
    const given: any = await request.json();
    try {
      return new Response(JSON.stringify(await steps[pathname.slice(1)](env.KV, given) ?? null, show));
    } catch (error: any) {
      return Response.json({ name: error.name, code: error.code ?? null, message: error.message }, { status: 400 });
    }
  },
};
"#;

fn project(place: &Place) -> PathBuf {
    let manifest =
        format!("{ONE_WORKER}limits = {{ subrequests = 1000 }}\n[workers.web.bindings]\nKV = {{ kv = \"things\" }}\n");
    place.project("project", &[("selvedge.toml", &manifest), ("src/index.ts", SOURCE)])
}

#[track_caller]
fn ask(node: &Node, step: &str, given: &Value) -> Value {
    node.send(&Request::json("POST", &format!("/{step}"), given).at_app("app")).expect(200).json()
}

#[track_caller]
fn refuse(node: &Node, step: &str, given: &Value) -> String {
    let refused = node.send(&Request::json("POST", &format!("/{step}"), given).at_app("app")).expect(400).json();
    refused["code"].as_str().or(refused["name"].as_str()).unwrap_or_default().to_owned()
}

/// Stores so many entries, in a few transactions.
fn fill(place: &Place, count: usize) {
    let line = |n| format!("{{\"key\":\"key/{n:04}\",\"value\":\"välue {n}\"}}\n");
    let lines: String = (0..count).map(line).collect();
    place.on_data_with(&["kv", "import", "app", "things"], lines.as_bytes()).expect_success();
}

#[test]
fn a_transaction_moves_what_two_keys_agree_on() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    ask(&node, "add", &json!({ "key": "a", "by": 10 }));
    let moved = ask(&node, "transfer", &json!({ "from": "a", "to": "b", "amount": 4 }));
    assert_eq!(moved["counters"], json!([["a", 6], ["b", 4]]));
    assert_eq!(moved["durability"], "fsync");
    let listed = ask(&node, "list", &json!({ "values": "text" }));
    let shown: Vec<_> = listed["keys"].as_array().expect("keys").iter().map(|key| key["value"].clone()).collect();
    assert_eq!(shown, ["6", "4"]);
    assert!(listed["keys"].as_array().expect("keys").iter().all(|key| key["revision"] == moved["revision"]));
    assert_eq!(ask(&node, "put", &json!({ "key": "spare", "value": "x" }))["durability"], "fsync");
    ask(&node, "claim", &json!({ "key": "lock" }));
    assert_eq!(refuse(&node, "claim", &json!({ "key": "lock" })), "revision_conflict");
    let names = place.on_data(&["kv", "list", "app", "things"]).expect_success();
    assert_eq!(names, "a\nb\nlock\n", "the claim that held took the spare with it");
}

#[test]
fn counters_are_exact_and_say_what_they_are_not() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    assert_eq!(ask(&node, "add", &json!({ "key": "n", "by": 1 })), 1);
    assert_eq!(ask(&node, "add", &json!({ "key": "n", "by": -3 })), -2);
    assert_eq!(
        ask(&node, "add", &json!({ "key": "n", "by": "9007199254740993" })),
        "9007199254740991".parse::<i64>().expect("a number")
    );
    assert_eq!(ask(&node, "add", &json!({ "key": "n", "by": "9007199254740993" })), "18014398509481984n");
    assert_eq!(refuse(&node, "add", &json!({ "key": "n", "by": "9223372036854775807" })), "counter_overflow");
    assert_eq!(refuse(&node, "add", &json!({ "key": "n", "by": 1.5 })), "TypeError");
    ask(&node, "put", &json!({ "key": "text", "value": "hello" }));
    assert_eq!(refuse(&node, "add", &json!({ "key": "text", "by": 1 })), "not_a_counter");
}

#[test]
fn a_watch_tells_every_write_and_a_gap_is_an_error() {
    let place = Place::new();
    let project = project(&place);
    place.deploy(&project).expect_success();
    let config = place.project("config", &[("node.toml", "[limits]\nwatch_changes = 10\n")]).join("node.toml");
    let node = place.serve_with(&["--config", &config.display().to_string()]);
    let seen = ask(&node, "both", &json!({}));
    let keys = |at: usize| -> Vec<String> {
        let changes = seen[at]["value"]["changes"].as_array().expect("changes");
        changes.iter().map(|change| format!("{} {}", change["type"], change["key"]).replace('"', "")).collect()
    };
    assert_eq!((keys(0), keys(1)), (vec!["put live/1".to_owned()], vec!["put live/2".into(), "delete live/1".into()]));
    assert_eq!(seen[2]["done"], true, "a watch that is ended answers who waits");
    let since = ask(&node, "list", &json!({ "changedSince": 0 }))["revision"].clone();
    ask(&node, "put", &json!({ "key": "a/1", "value": "x" }));
    ask(&node, "put", &json!({ "key": "b/1", "value": "x", "options": { "expirationTtl": 1000 } }));
    let told = ask(&node, "watch", &json!({ "since": since, "writes": 2 }));
    assert_eq!(told[1]["changes"], json!([{ "key": "b/1", "type": "put" }]));
    assert_eq!(ask(&node, "watch", &json!({ "since": since, "writes": 1, "prefix": "b/" }))[0], told[1]);
    let new = ask(&node, "list", &json!({ "changedSince": told[0]["revision"] }));
    assert_eq!(new["keys"].as_array().map(Vec::len), Some(1));
    fill(&place, 600);
    assert_eq!(refuse(&node, "watch", &json!({ "since": since, "writes": 1 })), "changes_gone");
    // What a backup that was put back has undone: to wait for it would pass over all that is written until then.
    assert_eq!(refuse(&node, "watch", &json!({ "since": 1_000_000, "writes": 1 })), "changes_gone");
}

#[test]
fn a_watch_that_streams_goes_with_its_client() {
    use std::io::{BufRead as _, Write as _};
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    let mut client = std::net::TcpStream::connect(node.address).expect("a connection");
    client.set_read_timeout(Some(crate::harness::PATIENCE)).expect("a time-out");
    client.write_all(b"GET /stream HTTP/1.1\r\nhost: app.localhost\r\n\r\n").expect("a request");
    let mut lines = std::io::BufReader::new(client).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == ": open"));
    for key in ["one", "two"] {
        place.on_data(&["kv", "put", "app", "things", key, "x"]).expect_success();
        assert!(lines.any(|line| line == format!("data: {key}")), "{key}");
    }
    drop(lines);
    // The request is over when its record is written, and nothing went wrong.
    let record = node.wait_for_log("/stream");
    assert!(!record.contains("wait_until_exceeded"), "{record}");
}

#[test]
fn bad_keys_values_and_expiries_are_refused_by_name() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    for (bad, expected) in
        [("long", "key_too_long"), ("empty", "key_empty"), ("number", "TypeError"), ("surrogate", "TypeError")]
    {
        assert_eq!(refuse(&node, "keys", &json!({ "bad": bad })), expected, "{bad}");
    }
    for fine in ["nul", "longest"] {
        assert_eq!(ask(&node, "keys", &json!({ "bad": fine })), "x", "{fine}");
    }
    ask(&node, "size", &json!({ "bytes": 25 << 20 }));
    assert_eq!(refuse(&node, "size", &json!({ "bytes": (25 << 20) + 1 })), "value_too_large");
    for options in [json!({ "expiration": 1 }), json!({ "expirationTtl": 0 }), json!({ "expirationTtl": -5 })] {
        let put = json!({ "key": "k", "value": "x", "options": options });
        assert_eq!(refuse(&node, "put", &put), "bad_expiry", "{options}");
    }
    let put = json!({ "key": "k", "value": "x", "options": { "metadata": "m".repeat(1023) } });
    assert_eq!(refuse(&node, "put", &put), "metadata_too_large");
    assert_eq!(refuse(&node, "list", &json!({ "values": "stream" })), "TypeError");
    // Over HTTP, a key that is no UTF-8 can't even be asked for.
    let refused = node.ask_admin(Request::get("/v1/apps/app/kv/things/%FF"));
    assert_eq!(refused.expect(400).json()["code"], "bad_path");
    let left = place.on_data(&["kv", "list", "app", "things"]).expect_success();
    assert_eq!(left.lines().count(), 3, "{left}");
}

#[test]
fn an_export_of_a_serving_node_is_imported_whole_into_another() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    fill(&place, 1_234);
    let binary = [0, 0xff, b'\n', b'"'];
    let large = "ä".repeat(100_000);
    place.on_data_with(&["kv", "put", "app", "things", "binary", "--metadata", "{\"n\":1}"], &binary).expect_success();
    place.on_data_with(&["kv", "put", "app", "things", "large", "--ttl", "1000"], large.as_bytes()).expect_success();
    ask(&node, "add", &json!({ "key": "count", "by": 7 }));
    let export = place.on_data(&["kv", "export", "app", "things"]).expect_success();
    assert_eq!(export.lines().count(), 1_237);
    let part = place.on_data(&["kv", "export", "app", "things", "--prefix", "key/00"]).expect_success();
    assert_eq!(part.lines().count(), 100);

    let other = Place::new();
    let said = other.on_data_with(&["kv", "import", "app", "things"], export.as_bytes()).expect_success();
    assert_eq!(said, "1237 lines are stored\n");
    // The second time it comes to the same.
    other.on_data_with(&["kv", "import", "app", "things"], export.as_bytes()).expect_success();
    let without_revisions = |export: &str| -> Vec<Value> {
        let parse = |line: &str| {
            let mut line: Value = serde_json::from_str(line).expect("a line of JSON");
            line.as_object_mut().expect("an object").remove("revision");
            line
        };
        export.lines().map(parse).collect()
    };
    let again = other.on_data(&["kv", "export", "app", "things"]).expect_success();
    assert_eq!(without_revisions(&again), without_revisions(&export));
    assert_eq!(other.on_data(&["kv", "get", "app", "things", "large"]).expect_success(), large);
    let usage = other.on_data(&["kv", "usage", "app", "--json"]).json();
    assert_eq!(usage["namespaces"][0]["keys"], 1_237);
    let shown = other.on_data(&["kv", "usage", "app"]).expect_success();
    assert!(shown.starts_with("things ") && shown.contains("1237 of 10000000 keys"), "{shown}");

    for (line, expected) in [
        ("{\"key\":\"a\"}", "wants one of value, base64 and deleted"),
        ("{\"key\":\"a\",\"base64\":\"?\"}", "is no base64"),
        ("nonsense", "line 1 is not what export writes"),
        ("{\"key\":\"\",\"value\":\"x\"}", "the key is empty"),
    ] {
        let refused = other.on_data_with(&["kv", "import", "app", "things"], line.as_bytes()).expect_failure();
        assert!(refused.contains(expected), "{line}: {refused}");
    }
    let expired = "{\"key\":\"old\",\"value\":\"x\",\"expires_at_ms\":1}\n";
    let said = other.on_data_with(&["kv", "import", "app", "things"], expired.as_bytes()).expect_success();
    assert_eq!(said, "0 lines are stored, 1 had expired\n");
}

#[test]
fn what_changes_is_told_on_the_command_line() {
    let place = Place::new();
    let node = place.serve_project(&project(&place));
    ask(&node, "put", &json!({ "key": "a/1", "value": "x" }));
    place.on_data(&["kv", "delete", "app", "things", "a/1"]).expect_success();
    ask(&node, "put", &json!({ "key": "b", "value": "x" }));
    let told = place.on_data(&["kv", "watch", "app", "things", "--since", "0", "--once"]).expect_success();
    let words: Vec<&str> = told.split_whitespace().collect();
    assert_eq!(words, ["1", "put", "a/1", "2", "delete", "a/1", "3", "put", "b"]);
}

#[test]
fn a_quota_names_its_limit_and_spares_the_neighbour() {
    let place = Place::new();
    let manifest = |name: &str| {
        format!(
            "name = \"{name}\"\n[workers.web]\nentry = \"src/index.ts\"\n[workers.web.bindings]\nKV = {{ kv = \"things\" }}\n"
        )
    };
    for name in ["app", "other"] {
        place
            .deploy(&place.project(name, &[("selvedge.toml", &manifest(name)), ("src/index.ts", SOURCE)]))
            .expect_success();
    }
    let config = place.project("config", &[("node.toml", "[limits]\nkv_app_keys = 2\nkv_app_bytes = 1000\n")]);
    let node = place.serve_with(&["--config", &config.join("node.toml").display().to_string()]);
    for key in ["a", "b"] {
        ask(&node, "put", &json!({ "key": key, "value": "x" }));
    }
    let put = |key: &str, value: &str| json!({ "key": key, "value": value });
    assert_eq!(refuse(&node, "put", &put("c", "x")), "quota_exceeded");
    assert_eq!(refuse(&node, "put", &put("a", &"x".repeat(1000))), "quota_exceeded");
    ask(&node, "put", &put("a", "another"));
    node.send(&Request::json("POST", "/put", &put("a", &"x".repeat(900))).at_app("other")).expect(200);
    place.on_data(&["kv", "delete", "app", "things", "a"]).expect_success();
    ask(&node, "put", &put("c", "x"));
}
