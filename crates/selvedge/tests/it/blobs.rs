//! Blob buckets as a worker, a browser and the command line see them.

use serde_json::json;

use crate::harness::{Place, Request};

const MANIFEST: &str = "name = \"app\"
[workers.web]
entry = \"src/index.ts\"
[workers.web.bindings]
FILES = { blob = \"images\" }
[[routes]]
match = \"/public/*\"
blob = \"images\"
[[routes]]
match = \"/*\"
worker = \"web\"
";

const SOURCE: &str = r#"
export default {
  async fetch(request: Request, env: any): Promise<Response> {
    const url = new URL(request.url);
    const key = decodeURIComponent(url.pathname.slice(1));
    if (url.pathname === "/api") return Response.json(await api(env.FILES));
    switch (request.method) {
      case "PUT": {
        const put = await env.FILES.put(key, request.body, {
          httpMetadata: request.headers,
          customMetadata: { by: "test" },
          onlyIf: request.headers,
        });
        return put === null ? new Response("refused", { status: 412 }) : Response.json({ etag: put.etag, size: put.size });
      }
      case "DELETE":
        await env.FILES.delete(key);
        return new Response(null, { status: 204 });
      default: {
        const found = await env.FILES.get(key, { onlyIf: request.headers, range: request.headers });
        if (found === null) return new Response("none", { status: 404 });
        const headers = new Headers();
        found.writeHttpMetadata(headers);
        headers.set("etag", found.httpEtag);
        if (!("body" in found)) return new Response(null, { status: 304, headers });
        const status = found.range.length === found.size ? 200 : 206;
        return new Response(found.body, { status, headers });
      }
    }
  },
};

async function api(files: any): Promise<unknown> {
  const said: any = {};
  await files.put("a/1", "one", { customMetadata: { n: "1" }, httpMetadata: { contentType: "text/x" } });
  await files.put("a/2", new Uint8Array([1, 2, 3]));
  await files.put("b", new Blob(["blob"], { type: "text/y" }));
  await files.put("nothing", null);
  const one = await files.get("a/1");
  said.one = [one.key, one.size, await one.text(), one.customMetadata, one.httpMetadata, one.checksums.toJSON().md5];
  said.bytes = [...new Uint8Array(await (await files.get("a/2")).arrayBuffer())];
  said.json = await files.put("j", '{"x":1}').then(() => files.get("j")).then((o: any) => o.json());
  said.none = [await files.head("none"), await files.get("none")];
  said.part = await (await files.get("a/1", { range: { offset: 1, length: 1 } })).text();
  said.suffix = await (await files.get("a/1", { range: { suffix: 2 } })).text();
  const page = await files.list({ delimiter: "/", limit: 1 });
  said.page = [page.objects.map((o: any) => o.key), page.delimitedPrefixes, page.truncated];
  const rest = await files.list({ delimiter: "/", cursor: page.cursor });
  said.rest = [rest.objects.map((o: any) => o.key), rest.truncated];
  const held = await files.get("a/1", { onlyIf: { etagMatches: "x" } });
  said.held = [held.key, "body" in held];
  said.refused = await files.put("a/1", "two", { onlyIf: { etagDoesNotMatch: one.etag } });
  const upload = await files.createMultipartUpload("big", { customMetadata: { big: "yes" } });
  const large = new Uint8Array(5 << 20).fill(7);
  const again = files.resumeMultipartUpload("big", upload.uploadId);
  const parts = [await again.uploadPart(2, "end"), await upload.uploadPart(1, large)];
  const whole = await upload.complete(parts);
  said.big = [whole.size, whole.durability, whole.etag.endsWith("-2"), (await files.head("big")).customMetadata];
  said.end = await (await files.get("big", { range: { suffix: 3 } })).text();
  const dropped = await files.createMultipartUpload("dropped");
  await dropped.abort();
  said.errors = [];
  for (const attempt of [
    () => dropped.uploadPart(1, "x"),
    () => files.put("k".repeat(1025), "x"),
    () => files.put("m", "x", { md5: "00000000000000000000000000000000" }),
    () => files.get("a/1", { range: { offset: 99 } }),
    () => files.list({ cursor: "nonsense" }),
    () => files.put(1 as any, "x"),
  ]) {
    try {
      await attempt();
      said.errors.push("none");
    } catch (error: any) {
      said.errors.push(error.code ?? error.name);
    }
  }
  await files.delete(["a/1", "a/2", "b", "j", "nothing", "big"]);
  said.left = (await files.list()).objects.length;
  return said;
}
"#;

fn project(place: &Place) -> std::path::PathBuf {
    place.project("project", &[("selvedge.toml", MANIFEST), ("src/index.ts", SOURCE)])
}

#[test]
fn a_worker_stores_and_serves_blobs() {
    let place = Place::new();
    let node = place.dev(&project(&place));
    let body = "x".repeat(200_000);
    let put = node.send(&Request::put("/photo", body.as_str()).header("content-type", "image/png")).expect(200);
    let etag = put.json()["etag"].as_str().expect("a tag").to_owned();
    let got = node.get("/photo").expect(200);
    assert_eq!(got.header("content-type"), Some("image/png"));
    assert_eq!(got.text(), body);
    let quoted = format!("\"{etag}\"");
    assert_eq!(got.header("etag"), Some(quoted.as_str()));
    node.send(&Request::get("/photo").header("if-none-match", &quoted)).expect(304);
    let part = node.send(&Request::get("/photo").header("range", "bytes=10-19")).expect(206);
    assert_eq!(part.text(), "x".repeat(10));
    node.send(&Request::put("/photo", "new").header("if-none-match", "*")).expect(412);

    let public = node.get("/public/photo").expect(200);
    assert_eq!((public.header("content-type"), public.text().len()), (Some("image/png"), 200_000));
    let part = node.send(&Request::get("/public/photo").header("range", "bytes=-5")).expect(206);
    assert_eq!((part.header("content-range"), part.text().len()), (Some("bytes 199995-199999/200000"), 5));
    node.send(&Request::get("/public/photo").header("if-none-match", &quoted)).expect(304);
    node.get("/public/none").expect(404);
    node.send(&Request::put("/public/photo", "x")).expect(405);
    node.send(&Request::new("DELETE", "/photo")).expect(204);
    node.get("/photo").expect(404);
}

#[test]
fn the_api_of_a_bucket_is_what_workers_know() {
    let place = Place::new();
    let node = place.dev(&project(&place));
    let said = node.get("/api").expect(200).json();
    assert_eq!(
        said,
        json!({
            "one": ["a/1", 3, "one", { "n": "1" }, { "contentType": "text/x" }, "f97c5d29941bfb1b2fdab0874906ab82"],
            "bytes": [1, 2, 3],
            "json": { "x": 1 },
            "none": [null, null],
            "part": "n",
            "suffix": "ne",
            "page": [[], ["a/"], true],
            "rest": [["b", "j", "nothing"], false],
            "held": ["a/1", false],
            "refused": null,
            "big": [(5 << 20) + 3, "fsync", true, { "big": "yes" }],
            "end": "end",
            "errors": ["no_upload", "blob_key_too_long", "blob_digest", "blob_range", "bad_cursor", "TypeError"],
            "left": 0,
        })
    );
}

#[test]
fn blobs_outlive_the_node_and_lie_nowhere_in_clear() {
    let place = Place::new();
    place.deploy(&project(&place)).expect_success();
    let node = place.serve();
    let secret = "opensesame".repeat(20_000);
    for path in ["/small", "/large"] {
        let body = if path == "/small" { "opensesame" } else { &secret };
        node.send(&Request::put(path, body).at_app("app")).expect(200);
    }
    let said = place.on_data(&["blob", "list", "app", "images"]).expect_success();
    assert!(said.contains("200000  large") && said.contains("10  small"), "{said}");
    node.stop();
    visit(&place.path("data"), &mut |file, content| {
        let found = content.windows(10).any(|window| window == b"opensesame");
        assert!(!found, "{} holds a blob in clear", file.display());
    });
    let said = place.on_data(&["blob", "scrub", "app", "images"]).expect_success();
    assert!(said.contains("read 2 blobs"), "{said}");
    let node = place.serve();
    assert_eq!(node.send(&Request::get("/large").at_app("app")).expect(200).text(), secret);
}

#[test]
fn rot_is_found_and_never_served() {
    let place = Place::new();
    place.deploy(&project(&place)).expect_success();
    let body = "0123456789".repeat(20_000);
    place.on_data_with(&["blob", "put", "app", "images", "large"], body.as_bytes()).expect_success();
    let mut rotten = 0;
    let contents = place.path("data").join("blob/local/app.content");
    for entry in std::fs::read_dir(contents).expect("the directory of contents") {
        let path = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("a file");
        bytes[150_000] ^= 1;
        std::fs::write(&path, bytes).expect("the file is written");
        rotten += 1;
    }
    assert_eq!(rotten, 1);
    let said = place.on_data(&["blob", "scrub", "app", "images"]).expect_failure();
    assert!(said.contains("1 blobs are damaged"), "{said}");
    let said = place.on_data(&["blob", "get", "app", "images", "large"]).expect_failure();
    assert!(said.contains("damaged"), "{said}");
}

#[test]
fn the_command_line_reads_and_writes_blobs() {
    let place = Place::new();
    place.deploy(&project(&place)).expect_success();
    let node = place.serve();
    let blob = |args: &[&str]| place.on_data(&[&["blob"], args].concat());
    place.on_data_with(&["blob", "put", "app", "images", "a/b", "--content-type", "text/x"], b"hello").expect_success();
    assert_eq!(blob(&["get", "app", "images", "a/b"]).expect_success(), "hello");
    let head = blob(&["head", "app", "images", "a/b"]).expect_success();
    assert!(head.contains("5 bytes, text/x") && head.contains("5d41402abc4b2a76b9719d911017c592"), "{head}");
    assert_eq!(node.send(&Request::get("/a%2Fb").at_app("app")).expect(200).text(), "hello");
    let made = blob(&["key", "create", "app", "--bucket", "images", "--read", "--json"]).expect_success();
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    let id = made["key"]["id"].as_str().expect("an id");
    let list = blob(&["key", "list", "app"]).expect_success();
    assert!(
        list.contains(id)
            && list.contains("read  images")
            && !list.contains(made["secret"].as_str().expect("a secret"))
    );
    assert_eq!(blob(&["key", "delete", "app", id]).expect_success(), "deleted\n");
    blob(&["key", "delete", "app", id]).expect_failure();
    assert_eq!(blob(&["delete", "app", "images", "a/b"]).expect_success(), "deleted\n");
    blob(&["get", "app", "images", "a/b"]).expect_failure();
}

fn visit(path: &std::path::Path, each: &mut impl FnMut(&std::path::Path, &[u8])) {
    for entry in std::fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            visit(&path, each);
        } else if path.is_file() && path.extension().is_none_or(|extension| extension != "code") {
            each(&path, &std::fs::read(&path).expect("a file"));
        }
    }
}

#[test]
fn a_browser_uploads_an_image_with_a_url_that_the_worker_signed() {
    let place = Place::new();
    place.deploy(&place.recipe("images")).expect_success();
    let made = place.on_data(&["blob", "key", "create", "images", "--bucket", "images", "--write", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made.expect_success()).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    for (name, value) in [("s3-access-key", text(&made["key"]["id"])), ("s3-secret-key", text(&made["secret"]))] {
        place.on_data_with(&["secret", "put", "images", name], value.as_bytes()).expect_success();
    }
    let node = place.serve();
    let wrong = Request::json("POST", "/uploads", &json!({ "type": "text/html" })).at_app("images");
    node.send(&wrong).expect(422);
    let asked = Request::json("POST", "/uploads", &json!({ "type": "image/png" })).at_app("images");
    let answer = node.send(&asked).expect(200).json();
    let url = text(&answer["url"]);
    let target = url.strip_prefix("http://127.0.0.1:8789").expect("the endpoint of the manifest").to_owned();
    // The node of a test listens elsewhere; what is signed is the name that the client uses.
    let send = |kind: &str| {
        let request = Request::put(&target, "a picture").header("host", "127.0.0.1:8789");
        let request = request.header("content-type", kind).header("if-none-match", "*");
        request.send(node.s3()).expect("the S3 listener answers")
    };
    assert!(send("text/html").expect(403).text().contains("SignatureDoesNotMatch"));
    send("image/png").expect(200);
    assert!(send("image/png").expect(412).text().contains("PreconditionFailed"));
    // They are counted and logged like other requests: of the app whose key has signed, and of nobody else.
    let counted = |line: &str| {
        let text = || node.ask_admin(Request::get("/metrics")).expect(200).text();
        crate::harness::until(line, || text().contains(line).then_some(()));
    };
    counted("selvedge_requests_total{app=\"images\",route=\"s3\",status=\"2xx\"} 1");
    counted("selvedge_requests_total{app=\"images\",route=\"s3\",status=\"4xx\"} 1");
    let logged = || node.log().lines().filter(|line| line.contains("\"route\":\"s3\"")).count();
    crate::harness::until("each of the three is logged", || (logged() == 3).then_some(()));
    let shown = node.send(&Request::get(&text(&answer["show"])).at_app("images")).expect(200);
    assert_eq!((shown.header("content-type"), shown.text().as_str()), (Some("image/png"), "a picture"));
    let list = node.send(&Request::get("/list").at_app("images")).expect(200).json();
    assert_eq!((list.as_array().map(Vec::len), &list[0]["size"]), (Some(1), &json!(9)));
}
