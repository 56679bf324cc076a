//! What components reach of blobs: `wasi:blobstore` over the memory model.

use std::sync::Arc;

use base::{AppName, Artifact, ResourceName, SystemClock, TenantName};
use services::blob::{BlobLimits, Bucket};
use services::memory::MemoryBlobs;
use worker::{Event, Handle};

use crate::components::at;
use crate::fixture::*;

static RUST: &[u8] = include_bytes!("../fixtures/components/rust.wasm");

fn files() -> Handle {
    let provider = Arc::new(MemoryBlobs::new(Arc::new(SystemClock::default()), BlobLimits::default()));
    let bucket = Bucket::new(
        TenantName::parse("t").unwrap(),
        AppName::parse("app").unwrap(),
        ResourceName::parse("files").unwrap(),
    );
    Handle::Blob { provider, bucket }
}

fn setup() -> Setup {
    setup_artifact(Artifact::Component(RUST.to_vec())).bind("FILES", files())
}

async fn steps(app: &Running, steps: &str) -> Vec<String> {
    let event = Event::Fetch(Box::new(at(&format!("blobs/{steps}"))));
    let response = app.fresh().run(app.call(), event).await.unwrap_or_else(|ended| panic!("{}", ended.failure));
    let text = String::from_utf8(collect(response).await.to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn blob_bindings_are_containers_by_their_names() {
    on_core(async {
        let app = setup().bind("TEXT", Handle::Text("no bucket".into())).start();
        let shown = steps(&app, "put:a:hello/get:a/part:a:1-3/size:a/has:a/has:b/stream:a/name").await;
        assert_eq!(shown, ["ok", "hello", "ell", "5 5", "true", "false", "5 true", "FILES"]);
        let shown = steps(&app, "many:large:300000/stream:large/size:large/part:a:9-12/get:none/size:none").await;
        assert_eq!(shown[..3], ["ok", "300000 true", "300000 300000"]);
        for (line, code) in shown[3..].iter().zip(["blob_range", "key_missing", "key_missing"]) {
            assert!(line.starts_with(code), "{line}");
        }
        let shown = steps(&app, "copy:a:b/move:b:c/has:b/get:c/move:c:c/get:c/copy:none:x/list:1:1/list:0:100").await;
        assert_eq!(shown[..6], ["()", "()", "false", "hello", "()", "hello"]);
        assert!(shown[6].starts_with("key_missing: "), "{shown:?}");
        assert_eq!(shown[7..], [r#"(1, false) (["c"], false)"#, r#"(0, false) (["a", "c", "large"], true)"#]);
        let shown =
            steps(&app, "delete:a/delete:a/has:a/clear/list:0:9/open:TEXT/open:NONE/exists:FILES/exists:x/remove")
                .await;
        assert_eq!(shown[..5], ["()", "()", "false", "()", "(0, false) ([], true)"]);
        assert!(shown[5].contains("not_found: ") && shown[6].contains("not_found: "), "{shown:?}");
        assert_eq!(shown[7..9], ["true", "false"]);
        assert!(shown[9].starts_with("bad_request: "), "{shown:?}");
    });
}

#[test]
fn what_a_component_writes_is_bounded_by_its_memory_and_its_calls() {
    on_core(async {
        let app = setup().limits(|limits| limits.memory_mib = 8).start();
        let shown = steps(&app, "flood:large:3000/has:large/put:small:x/get:small").await;
        assert!(shown[0].contains("Closed") || shown[0].starts_with("body_too_large: "), "{shown:?}");
        assert_eq!(shown[1..], ["false", "ok", "x"], "and its neighbours go on");
        let app = setup().limits(|limits| limits.subrequests = 2).start();
        let shown = steps(&app, "put:a:1/get:a/get:a").await;
        assert_eq!(shown[..2], ["ok", "1"]);
        assert!(shown[2].starts_with("subrequests_exceeded: "), "{shown:?}");
        let app = setup().start();
        let long = "k".repeat(1_100);
        let shown = steps(&app, &format!("put:{long}:x/put::x")).await;
        for (line, code) in shown.iter().zip(["blob_key_too_long", "key_empty"]) {
            assert!(line.starts_with(code), "{line}");
        }
    });
}
