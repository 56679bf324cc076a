//! What scripts can do.

use base::artifact::{Module, ModuleKind, Script};
use base::{Artifact, Body};
use bytes::Bytes;
use worker::{Handle, Response};

use crate::fixture::*;

#[test]
fn a_handler_answers() {
    on_core(async {
        let app = setup("export default { fetch(request) { return new Response('hello ' + new URL(request.url).pathname, { status: 201, headers: { 'x-a': 'b' } }) } }").start();
        let response = app.run(get("http://a.test/x")).await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["x-a"], "b");
        assert_eq!(response.headers()["content-type"], "text/plain;charset=UTF-8");
        assert_eq!(collect(response).await, "hello /x");
    });
}

#[test]
fn an_async_handler_reads_json_and_answers_json() {
    on_core(async {
        let app = setup("export default { async fetch(request) { const x = await request.json(); return Response.json({ got: x.a + 1 }) } }").start();
        assert_eq!(app.text(post("http://a.test/", Body::full("{\"a\":41}"))).await, "{\"got\":42}");
    });
}

#[test]
fn a_feature_is_there_when_it_is_wanted() {
    on_core(async {
        // Named in the source, so it is part of the image; and reached by a name that no search finds.
        for name in ["structuredClone", "globalThis['structured' + 'Clone']"] {
            let app = setup(&format!(
                "export default {{ fetch() {{
                   const before = {{ at: new Date(0), list: [1] }};
                   const after = {name}(before);
                   return Response.json([after.at.getTime(), after.list, after !== before,
                     Object.getOwnPropertyDescriptor(globalThis, 'structured' + 'Clone').value === {name}]) }} }}"
            ))
            .start();
            assert_eq!(app.text(get("http://a.test/")).await, "[0,[1],true,true]");
            assert_eq!(app.text(get("http://a.test/")).await, "[0,[1],true,true]");
        }
    });
}

#[test]
fn a_module_of_the_platform_is_imported() {
    on_core(async {
        let mut main = module(
            "import { WorkerEntrypoint, env } from 'cloudflare:workers';
             export default class extends WorkerEntrypoint {
               fetch() { return Response.json([this.env === env, env.WHO]) } }",
        );
        main.imports.push(("cloudflare:workers".into(), 1));
        let builtin = Module { name: "cloudflare:workers".into(), kind: ModuleKind::Builtin, ..module("") };
        let script = Artifact::Script(Script { entry: 0, modules: vec![main, builtin] });
        let app = setup_artifact(script).bind("WHO", Handle::Text("me".into())).start();
        assert_eq!(app.text(get("http://a.test/")).await, "[true,\"me\"]");
    });
}

#[test]
fn many_requests_are_in_flight_in_one_instance() {
    on_core(async {
        let app = setup(
            "let open = 0, most = 0;
             export default { async fetch(request) {
               open++; most = Math.max(most, open);
               await new Promise(r => setTimeout(r, 5));
               open--;
               return new Response(String(most)) } }",
        )
        .start();
        let all = futures_util::future::join_all((0..20).map(|_| app.text(get("http://a.test/")))).await;
        assert!(all.iter().all(|most| most == "20"), "{all:?}");
    });
}

#[test]
fn bodies_stream_in_both_directions() {
    on_core(async {
        let app = setup("export default { fetch(request) { return new Response(request.body) } }").start();
        let pieces =
            futures_util::stream::iter((0..100).map(|i| Ok(http_body::Frame::data(Bytes::from(format!("{i},"))))));
        let body = Body::stream(http_body_util::StreamBody::new(pieces));
        let expected: String = (0..100).map(|i| format!("{i},")).collect();
        assert_eq!(app.text(post("http://a.test/", body)).await, expected);
    });
}

/// A body whose pieces the test sends.
fn open_body() -> (tokio::sync::mpsc::UnboundedSender<&'static str>, Body) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((Ok(http_body::Frame::data(Bytes::from(piece))), receiver))
    });
    (sender, Body::stream(http_body_util::StreamBody::new(pieces)))
}

#[test]
fn a_fetched_body_that_is_passed_on_needs_the_script_no_more() {
    on_core(async {
        let (sender, body) = open_body();
        let body = std::sync::Mutex::new(Some(body));
        let app = setup(
            "export default { async fetch(request) {
               const upstream = await fetch(request);
               return new Response(upstream.body, upstream) } }",
        )
        .net(move |_| Response::new(body.lock().unwrap().take().unwrap()))
        .start();
        let response = app.run(get("http://a.test/")).await.unwrap();
        assert_eq!(app.instance.state().in_flight, 0, "the script has done all that it does");
        sender.send("from ").unwrap();
        sender.send("afar").unwrap();
        drop(sender);
        assert_eq!(collect(response).await, "from afar");
    });
}

#[test]
fn a_body_that_is_piped_through_unchanged_needs_the_script_no_more() {
    on_core(async {
        let (sender, body) = open_body();
        let body = std::sync::Mutex::new(Some(body));
        let app = setup(
            "export default { async fetch(request, env, ctx) {
               const upstream = await fetch('http://out.test/');
               const { readable, writable } = new TransformStream();
               ctx.waitUntil(upstream.body.pipeTo(writable));
               return new Response(readable) } }",
        )
        .net(move |_| Response::new(body.lock().unwrap().take().unwrap()))
        .start();
        let response = app.run(get("http://a.test/")).await.unwrap();
        assert_eq!(app.instance.state().in_flight, 0, "the script has done all that it does");
        sender.send("from afar").unwrap();
        drop(sender);
        assert_eq!(collect(response).await, "from afar");
    });
}

#[test]
fn a_passed_on_body_that_stands_still_is_given_up() {
    on_core(async {
        let (_sender, body) = open_body();
        let body = std::sync::Mutex::new(Some(body));
        let app =
            setup("export default { async fetch() { return new Response((await fetch('http://out.test/')).body) } }")
                .limits(|limits| limits.stream_idle_ms = 20)
                .net(move |_| Response::new(body.lock().unwrap().take().unwrap()))
                .start();
        let response = app.run(get("http://a.test/")).await.unwrap();
        let error = response.into_body().collect(1 << 20).await.unwrap_err();
        assert_eq!(error.code.name, "stream_idle");
    });
}

#[test]
fn fetch_goes_out_and_comes_back() {
    on_core(async {
        let app = setup("export default { async fetch() { const r = await fetch('http://out.test/a', { method: 'PUT', headers: { 'x-q': '1' }, body: 'b' }); return new Response(r.status + await r.text()) } }")
            .net(|request| {
                assert_eq!(request.method, "PUT");
                assert_eq!(request.headers["x-q"], "1");
                assert!(request.headers.contains_key("traceparent"));
                Response::new(Body::full("fine"))
            })
            .start();
        assert_eq!(app.text(get("http://a.test/")).await, "200fine");
    });
}

#[test]
fn variables_are_in_env_and_not_in_the_image() {
    on_core(async {
        let source = "export default { fetch(r, env) { return new Response(env.GREETING + env.N.a) } }";
        let app = setup(source)
            .bind("GREETING", Handle::Text("hi".into()))
            .bind("N", Handle::Json("{\"a\":1}".into()))
            .start();
        assert_eq!(app.text(get("http://a.test/")).await, "hi1");
    });
}

#[test]
fn fresh_instances_draw_different_random_numbers() {
    on_core(async {
        let app = setup("const early = Math.random(); export default { fetch() { return new Response(early + ' ' + Math.random() + ' ' + crypto.randomUUID()) } }").start();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let instance = app.fresh();
            let response =
                instance.run(app.call(), worker::Event::Fetch(Box::new(get("http://a.test/")))).await.unwrap();
            let text = String::from_utf8(collect(response).await.to_vec()).unwrap();
            let (_, drawn) = text.split_once(' ').unwrap();
            assert!(seen.insert(drawn.to_owned()), "{drawn} came twice");
        }
    });
}
