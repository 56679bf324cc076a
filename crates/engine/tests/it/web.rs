//! The web platform where the guest and the host make it together: URLs, encodings, codings.

use base::Body;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http_body::Body as _;
use worker::{FetchEvent, Response};

use crate::fixture::*;

/// Runs an expression in a handler; it answers with what `String` makes of its value.
async fn value(expression: &str) -> String {
    let source =
        format!("export default {{ async fetch(request) {{ return new Response(String(await ({expression}))) }} }}");
    setup(&source).start().text(get("http://a.test/")).await
}

async fn check(expression: &str, expect: &str) {
    assert_eq!(value(expression).await, expect, "{expression}");
}

fn taking(coding: &'static str) -> FetchEvent {
    let mut event = get("http://a.test/");
    event.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(coding));
    event
}

/// "hello" many times over, in gzip, as a response's body.
async fn coded() -> Bytes {
    let app = setup(
        "export default { fetch() { return new Response('hello'.repeat(1000), { headers: { 'content-encoding': 'gzip' } }) } }",
    );
    let response = app.start().run(taking("gzip")).await.unwrap();
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    let body = collect(response).await;
    assert!(body.len() < 200, "{} bytes", body.len());
    body
}

fn coded_response(body: Bytes) -> Response {
    let mut response = Response::new(Body::full(body.clone()));
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}

#[test]
fn patterns_of_sets_take_plain_punctuation_outside_of_classes() {
    on_core(async {
        for (pattern, text) in [
            ("^-?[0-9]+$", "-12"),
            ("a-b", "a-b"),
            ("a/b", "a/b"),
            ("a&&[b]", "a&&b"),
            ("!!==~~``##%%,,::;;<<>>@@", "!!==~~``##%%,,::;;<<>>@@"),
            ("^[[a-z]--[aeiou]]$", "b"),
            ("^[\\\\-\\\\/]+$", "-/"),
        ] {
            check(&format!("new RegExp('{pattern}', 'v').test('{text}')"), "true").await;
        }
        for pattern in ["[a-]", "[(]", "[a/b]", "[a&&&b]", "[!!]", "]", "}", "{"] {
            let made =
                format!("(() => {{ try {{ return new RegExp('{pattern}', 'v') }} catch (e) {{ return e.name }} }})()");
            check(&made, "SyntaxError").await;
        }
    });
}

#[test]
fn a_stream_of_fixed_length_says_its_length_to_whoever_sends_it() {
    const SEND: &str = "const { readable, writable } = new FixedLengthStream(5);
        const writer = writable.getWriter();
        writer.write(new Uint8Array(2)).then(() => writer.write(new Uint8Array(3))).then(() => writer.close());";
    on_core(async {
        let app = setup(&format!("export default {{ fetch() {{ {SEND} return new Response(readable) }} }}")).start();
        let response = app.run(get("http://a.test/")).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), Some(5));
        assert_eq!(collect(response).await.len(), 5);

        let source = "export default { fetch() { return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(1)); c.close() } })) } }";
        let response = setup(source).start().run(get("http://a.test/")).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), None);

        let source = format!(
            "export default {{ async fetch() {{ {SEND} return fetch('http://b.test/', {{ method: 'PUT', body: readable }}) }} }}"
        );
        let app = setup(&source).net(|asked| {
            let length = asked.body.size_hint().exact();
            Response::new(Body::full(format!("{length:?}")))
        });
        assert_eq!(app.start().text(get("http://a.test/")).await, "Some(5)");
    });
}

#[test]
fn a_form_takes_as_much_memory_as_it_has_bytes() {
    on_core(async {
        let app = setup(
            "export default { async fetch(request) {
                const form = await request.formData();
                const file = form.get('file');
                return new Response([form.get('a'), file.name, file.size, (await file.slice(-2).text())].join(' '));
            } }",
        );
        let app = app.limits(|l| (l.memory_mib, l.request_body_bytes) = (128, 64 << 20)).start();
        let mut body = b"--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nA\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n".to_vec();
        body.resize(body.len() + (30 << 20), b'\r');
        body.extend_from_slice(b"ok\r\n--b--");
        let mut event = post("http://a.test/", Body::full(body));
        event.headers.insert("content-type", HeaderValue::from_static("multipart/form-data; boundary=b"));
        assert_eq!(app.text(event).await, format!("A f {} ok", (30 << 20) + 2));
    });
}

#[test]
fn a_response_whose_stream_fails_is_not_stored_and_its_own_error_says_why() {
    on_core(async {
        check(
            "(async () => {
                const mine = new RangeError('mine');
                const body = new ReadableStream({ pull(c) { c.error(mine) } });
                const response = new Response(body, { headers: { 'cache-control': 'max-age=60' } });
                return caches.default.put('http://c.test/', response).then(() => 'stored', (e) => e === mine);
            })()",
            "true",
        )
        .await;
    });
}

#[test]
fn a_loop_of_redirects_is_a_type_error_with_a_code() {
    on_core(async {
        let source = "export default { fetch: () => fetch('http://b.test/').catch((e) => new Response([e.name, e.code, e instanceof TypeError].join())) }";
        let app = setup(source).net(|_| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = http::StatusCode::FOUND;
            response.headers_mut().insert("location", HeaderValue::from_static("/"));
            response
        });
        assert_eq!(app.start().text(get("http://a.test/")).await, "TypeError,upstream_protocol,true");
    });
}

#[test]
fn the_parts_of_a_url_are_cut_out_of_its_href() {
    on_core(async {
        let parts = "(u => [u.href, u.origin, u.protocol, u.username, u.password, u.host, u.hostname, u.port, u.pathname, \
                     u.search, u.hash].join(' '))(new URL(";
        check(
            &format!("{parts}'https://u:p@Ex.test:8443/a/../b?c=d#e'))"),
            "https://u:p@ex.test:8443/b?c=d#e https://ex.test:8443 https: u p ex.test:8443 ex.test 8443 /b ?c=d #e",
        )
        .await;
        check(&format!("{parts}'mailto:a@b'))"), "mailto:a@b null mailto:      a@b  ").await;
        check(
            "(u => (u.searchParams.append('x', 'ü'), u.hash = 'h', u.port = 81, u))(new URL('http://a/'))",
            "http://a:81/?x=%C3%BC#h",
        )
        .await;
        check("new URL('http://a/\\ud800')", "http://a/%EF%BF%BD").await;
    });
}

#[test]
fn text_in_any_encoding_is_decoded_in_pieces() {
    on_core(async {
        let pieces = "((label, bytes) => { const d = new TextDecoder(label); let s = ''; \
                      for (const b of bytes) s += d.decode(Uint8Array.of(b), { stream: true }); return s + d.decode(); })";
        check(&format!("{pieces}('shift_jis', [0x82, 0xa0, 0xb1])"), "あｱ").await;
        check(&format!("{pieces}('utf-16be', [0xfe, 0xff, 0xd8, 0x3d, 0xde, 0x00])"), "😀").await;
        check(&format!("{pieces}('iso-2022-jp', [0x1b, 0x24, 0x42, 0x24, 0x22, 0x1b, 0x28, 0x42, 0x61])"), "あa").await;
        check(&format!("{pieces}('gb18030', [0x81, 0x30, 0x81, 0x30])"), "\u{80}").await;
    });
}

#[test]
fn a_data_url_is_fetched_without_the_network() {
    on_core(async {
        check(
            "fetch('data:text/x;charset=utf-8;base64,aGVs bG8=#x').then(async r => [r.status, r.headers.get('content-type'), await r.text()])",
            "200,text/x;charset=utf-8,hello",
        )
        .await;
        check("fetch('data:nothing').catch(e => e.name)", "TypeError").await;
    });
}

#[test]
fn a_fetched_body_is_read_decoded() {
    on_core(async {
        let body = coded().await;
        let app = setup(
            "export default { async fetch() {
               const response = await fetch('http://o.test/');
               return Response.json([response.headers.get('content-encoding'), (await response.text()).length]);
             } }",
        )
        .net(move |request| {
            assert_eq!(request.headers[ACCEPT_ENCODING], "br, gzip, deflate");
            coded_response(body.clone())
        });
        assert_eq!(app.start().text(get("http://a.test/")).await, "[\"gzip\",5000]");
    });
}

#[test]
fn a_body_that_is_passed_on_stays_as_it_came_for_those_who_take_it() {
    on_core(async {
        let body = coded().await;
        let sent = body.clone();
        let app = setup("export default { fetch() { return fetch('http://o.test/') } }")
            .net(move |_| coded_response(sent.clone()))
            .start();
        let response = app.run(taking("br, gzip")).await.unwrap();
        assert_eq!(response.headers()[CONTENT_LENGTH], body.len().to_string());
        assert_eq!(collect(response).await, body);
        let response = app.run(get("http://a.test/")).await.unwrap();
        assert!(!response.headers().contains_key(CONTENT_ENCODING));
        assert_eq!(collect(response).await.len(), 5000);
    });
}

#[test]
fn a_body_that_a_script_encoded_itself_is_sent_as_it_is() {
    on_core(async {
        let app = setup(
            "export default { fetch() {
               return new Response(new Uint8Array([1, 2, 3]), { encodeBody: 'manual', headers: { 'content-encoding': 'gzip' } });
             } }",
        );
        let response = app.start().run(taking("gzip")).await.unwrap();
        assert_eq!(collect(response).await, [1, 2, 3].as_slice());
    });
}

#[test]
fn a_body_that_fails_before_its_first_piece_is_a_failure_of_the_request() {
    on_core(async {
        let app = setup(
            "const made = {
               pull: () => new ReadableStream({ pull() { throw new RangeError('at once') } }),
               later: () => new ReadableStream({ async pull() { await null; throw new RangeError('at once') } }),
               node: () => new ReadableStream({ start(c) { c.error(new RangeError('at once')) } }),
               text: () => new ReadableStream({ pull(c) { c.enqueue('text') } }),
               after: () => new ReadableStream({ start(c) { c.enqueue(new Uint8Array(3)) }, pull() { throw new Error('then') } }),
             };
             export default { fetch(request, env, ctx) {
               ctx.waitUntil(Promise.resolve());
               return new Response(made[new URL(request.url).pathname.slice(1)](), { status: 201 }) } }",
        )
        .start();
        for name in ["pull", "later", "node"] {
            let failure = app.run(get(&format!("http://a.test/{name}"))).await.expect_err("it fails");
            assert_eq!((failure.code.name, failure.detail.as_str()), ("guest_exception", "RangeError: at once"));
            assert!(failure.stack.is_some(), "{name}");
        }
        assert_eq!(app.code(get("http://a.test/text")).await, "guest_exception");
        // What has left stays, and is cut off.
        let response = app.run(get("http://a.test/after")).await.unwrap();
        assert_eq!(response.status(), 201);
        assert!(http_body_util::BodyExt::collect(response.into_body()).await.is_err());
    });
}
