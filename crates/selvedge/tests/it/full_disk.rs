//! A disk that is full, as those see it who use the node: every kind of write is refused by name,
//! reads go on, and once there is room everything goes on without anybody's help.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Node, Outcome, Place, Request};

const MANIFEST: &str = r#"
name = "app"
[workers.web]
entry = "index.ts"
bindings.DB = { sql = "main" }
bindings.KV = { kv = "kv" }
bindings.FILES = { blob = "files" }
bindings.THING = { object = "Thing" }
"#;

/// Each path is one kind of write; it answers the code of what refused it.
const SOURCE: &str = r#"
import { DurableObject } from "cloudflare:workers";
const bytes = (n: number) => new Uint8Array(n).fill(7);
export class Thing extends DurableObject {
  async entry(n: number) { await this.ctx.storage.put(`k${n}`, bytes(100_000)); }
  async row() {
    this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS t (v)");
    this.ctx.storage.sql.exec("INSERT INTO t VALUES (zeroblob(100000))");
  }
  async alarm() {}
  async wake() { await this.ctx.storage.setAlarm(Date.now() + 3_600_000); await this.entry(-1); }
  async count() { return (await this.ctx.storage.list({ prefix: "k" })).size > 0; }
}
const writes: Record<string, (env: any, n: number) => unknown> = {
  "kv": (env, n) => env.KV.put(`small${n}`, bytes(60_000)),
  "kv-large": (env, n) => env.KV.put(`large${n}`, bytes(1_000_000)),
  "kv-transaction": (env, n) => env.KV.atomic().put(`a${n}`, bytes(60_000)).put(`b${n}`, bytes(60_000)).commit(),
  "sql": (env) => env.DB.prepare("INSERT INTO t VALUES (zeroblob(100000))").run(),
  "sql-batch": (env) => env.DB.batch(Array(5).fill(env.DB.prepare("INSERT INTO t VALUES (zeroblob(100000))"))),
  "sql-transaction": (env) =>
    env.DB.transaction((tx: any) => tx.prepare("INSERT INTO t VALUES (zeroblob(100000))").run()),
  "sql-new": async (env, n) => { if (n === 0) await env.DB.exec("CREATE TABLE IF NOT EXISTS t (v)"); else await env.DB.exec(`CREATE TABLE t${n} (v)`); },
  "blob": (env, n) => env.FILES.put(`small${n}`, bytes(10_000)),
  "blob-large": (env, n) => env.FILES.put(`large${n}`, bytes(1_000_000)),
  "blob-part": async (env) => {
    const upload = await env.FILES.createMultipartUpload("parts");
    await upload.complete([await upload.uploadPart(1, bytes(1_000_000))]);
  },
  "object": (env, n) => env.THING.getByName("one").entry(n),
  "object-sql": (env) => env.THING.getByName("one").row(),
  "object-alarm": (env) => env.THING.getByName("one").wake(),
  "object-new": (env, n) => env.THING.getByName(`new${n}`).entry(0),
};
const reads: ((env: any) => Promise<unknown>)[] = [
  async (env) => (await env.KV.get("small0", "arrayBuffer")).byteLength,
  async (env) => (await env.KV.get("large0", "arrayBuffer")).byteLength,
  (env) => env.DB.prepare("SELECT count(*) > 0 AS n FROM t").first("n"),
  async (env) => (await (await env.FILES.get("small0")).arrayBuffer()).byteLength,
  async (env) => (await (await env.FILES.get("large0")).arrayBuffer()).byteLength,
  (env) => env.THING.getByName("one").count(),
];
const tried = (run: (env: any) => unknown) => async (env: any) => {
  try { return (await run(env)) ?? null; } catch (error: any) { return error.code ?? `${error}`; }
};
export default {
  async fetch(request: Request, env: any) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/reads") return Response.json(await Promise.all(reads.map((read) => tried(read)(env))));
    const write = writes[pathname.slice(1)]!;
    return Response.json(await tried(() => Promise.resolve(write(env, Number(searchParams.get("n")))).then(() => null))(env));
  },
};
"#;

const KINDS: [&str; 14] = [
    "sql-new",
    "kv",
    "kv-large",
    "kv-transaction",
    "sql",
    "sql-batch",
    "sql-transaction",
    "blob",
    "blob-large",
    "blob-part",
    "object",
    "object-sql",
    "object-alarm",
    "object-new",
];
const DISK: &str = "256m";
/// A kind of write that finds room left before it is refused does so at most so often.
const TRIES: u32 = 1_000;

/// A node whose data directory is a disk of its own.
struct Small {
    node: Node,
    place: Place,
}

impl Small {
    /// None where the machine can't have it.
    fn open() -> Option<Self> {
        let own = ["-rm", "mount", "-t", "tmpfs", "none", "/mnt"];
        let tried = Command::new("unshare").args(own).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !tried.is_ok_and(|status| status.success()) {
            let message = "missing requirement: mounts of one's own (unshare -rm)";
            assert!(std::env::var_os("SELVEDGE_REQUIRE_ALL").is_none(), "{message}");
            eprintln!("{message}");
            return None;
        }
        let place = Place::new();
        let project = place.project("project", &[("selvedge.toml", MANIFEST), ("index.ts", SOURCE)]);
        place.deploy(&project).expect_success();
        let script = "set -e; cp -a \"$1\" \"$1.seed\"; mount -t tmpfs -o size=$2,mode=700 none \"$1\"; \
            cp -a \"$1.seed/.\" \"$1\"; shift 2; exec \"$@\"";
        let serve = place.command(["serve"]);
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script, "sh"]).arg(place.data()).arg(DISK).arg(serve.get_program());
        command.args(serve.get_args()).current_dir(place.path(".")).env("NO_COLOR", "1");
        let node = Node::start(&mut command, &place.data());
        Some(Self { node, place })
    }

    /// A command on the data, where the node is.
    fn on_data(&self, args: &[&str]) -> Outcome {
        let command = self.place.command(args.iter().copied());
        let mut inside = Command::new("nsenter");
        inside.args(["--preserve-credentials", "-U", "-m", "-t", &self.node.pid().to_string()]);
        inside.arg(command.get_program()).args(command.get_args()).arg("--data").arg(self.place.data());
        Outcome::of(&mut inside, b"a value")
    }

    fn ballast(&self) -> PathBuf {
        let seen = format!("/proc/{}/root{}", self.node.pid(), self.place.data().display());
        PathBuf::from(seen).join("ballast.tmp")
    }

    /// Leaves no byte.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).expect("a file");
        for length in [1 << 20, 4_096, 1] {
            let block = vec![1; length];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn ask(&self, path: &str) -> Value {
        self.node.send(&Request::get(path).at_app("app")).expect(200).json()
    }

    /// Writes until it is refused, or the disk is full in the middle of it.
    fn refusal(&self, kind: &str) -> String {
        for n in 1..TRIES {
            let code = self.ask(&format!("/{kind}?n={n}"));
            match code.as_str() {
                Some(code) => return code.to_owned(),
                // What had room left has taken it; the rest of it goes as well.
                None => self.fill(),
            }
        }
        panic!("{kind} was never refused");
    }
}

#[test]
fn a_full_disk_refuses_every_kind_of_write_and_everything_goes_on_when_there_is_room() {
    let Some(small) = Small::open() else { return };
    for kind in KINDS {
        assert_eq!(small.ask(&format!("/{kind}?n=0")), json!(null), "{kind}");
    }
    let stored = json!([60_000, 1_000_000, 1, 10_000, 1_000_000, true]);
    assert_eq!(small.ask("/reads"), stored);
    small.fill();
    for kind in KINDS {
        let code = small.refusal(kind);
        assert!(["store_full", "store_read_only"].contains(&code.as_str()), "{kind}: {code}");
        assert_eq!(small.ask("/reads"), stored, "after {kind}: {}", small.node.stderr());
    }
    // The reserve was given up for what is to be removed; without it not even a secret has room.
    small.fill();
    for command in [&["secret", "put", "app", "key"][..], &["kv", "put", "app", "kv", "key", "value"]] {
        let refused = small.on_data(command).expect_failure();
        assert!(refused.contains("store_full") || refused.contains("store_read_only"), "{command:?}: {refused}");
    }
    let project = small.place.path("project");
    fs::write(project.join("index.ts"), SOURCE.replace("fill(7)", "fill(8)")).expect("another version");
    let refused = small.on_data(&["deploy", &project.display().to_string()]).expect_failure();
    assert!(refused.contains("store_full") || refused.contains("store_read_only"), "{refused}");
    assert_eq!(small.ask("/reads"), stored, "what is released is served as before");

    fs::remove_file(small.ballast()).expect("room");
    for kind in KINDS {
        let again = Request::get(&format!("/{kind}?n={TRIES}")).at_app("app");
        small.node.until(&again, |answer| answer.json() == json!(null));
    }
    assert_eq!(small.ask("/reads"), stored);
    small.on_data(&["deploy", &project.display().to_string()]).expect_success();
    small.on_data(&["secret", "put", "app", "key"]).expect_success();
    let sound = small.on_data(&["fsck"]).expect_success();
    assert!(sound.contains("all of it is sound"), "{sound}");
}
