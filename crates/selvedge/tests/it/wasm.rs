//! A worker that imports a WebAssembly module, as its author and its users see it.

use std::path::PathBuf;

use crate::harness::{ONE_WORKER, Place, Request};

const BASIC: &[u8] = include_bytes!("../../../engine/tests/fixtures/wasm/basic.wasm");
const RECURSIVE: &[u8] = include_bytes!("../../../engine/tests/fixtures/wasm/recursive.wasm");

const SOURCE: &str = "import module from \"./basic.wasm?module\";
const seen: number[] = [];
const env = { log: (x: number) => seen.push(x), twice: (x: bigint) => x * 2n, pair: () => [1, 2] };
const { exports: x } = new WebAssembly.Instance(module, { env }) as any;
x.poke(64, 7);
export default { fetch(request: Request): Response {
  const path = new URL(request.url).pathname;
  if (path === \"/loop\") x.loop_forever();
  return new Response(`${x.add(40, 2)} ${x.count_up()} ${x.peek(64)}`);
} };
";

fn project(place: &Place, wasm: &[u8]) -> PathBuf {
    let manifest = format!("{ONE_WORKER}limits = {{ cpu_ms = 50 }}\n");
    let project = place.project("app", &[("selvedge.toml", &manifest), ("src/index.ts", SOURCE)]);
    std::fs::write(project.join("src/basic.wasm"), wasm).expect("a file");
    project
}

#[test]
fn a_module_is_deployed_with_its_worker_and_survives_a_restart() {
    let place = Place::new();
    let project = project(&place, BASIC);
    place.deploy(&project).expect_success();
    let root = || Request::get("/").at_app("app");
    let node = place.serve();
    assert_eq!(node.send(&root()).expect(200).text(), "42 1 7");
    node.send(&Request::get("/loop").at_app("app")).expect_problem(503, "cpu_exceeded");
    assert!(node.send(&root()).expect(200).text().starts_with("42 "));
    drop(node);
    assert_eq!(place.serve().send(&root()).expect(200).text(), "42 1 7");

    // What the cache has lost is made anew.
    for file in std::fs::read_dir(place.data().join("cache")).into_iter().flatten().flatten() {
        let path = file.path();
        if path.extension().is_some_and(|e| e == "wasm" || e == "bundle") {
            std::fs::write(path, b"damaged").expect("a file");
        }
    }
    assert_eq!(place.serve().send(&root()).expect(200).text(), "42 1 7");
}

#[test]
fn a_module_that_can_t_be_taken_is_shown_with_its_name() {
    let place = Place::new();
    let project = project(&place, b"hello");
    let said = place.deploy(&project).expect_failure();
    assert!(said.contains("src/basic.wasm: this is no WebAssembly module"), "{said}");

    let node = place.dev(&project);
    node.get("/").expect(500);
    std::fs::write(project.join("src/basic.wasm"), BASIC).expect("a file");
    node.until(&Request::get("/"), |answer| answer.text().starts_with("42 "));
    std::fs::write(project.join("src/basic.wasm"), RECURSIVE).expect("a file");
    node.until(&Request::get("/"), |answer| answer.status == 500);
}
