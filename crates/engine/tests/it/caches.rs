//! `caches` in scripts.

use base::Body;
use bytes::Bytes;
use http_body_util::StreamBody;

use crate::fixture::*;

#[test]
fn a_response_is_found_until_it_is_deleted() {
    on_core(async {
        let app = setup(
            "export default { async fetch(request) {
               const cache = caches.default, key = 'http://cached.test/a?b#c';
               const seen = [await cache.match(key) === undefined];
               await cache.put(key, new Response('hello', { status: 404, headers: { 'cache-control': 'max-age=60', 'x-a': 'b' } }));
               const found = await cache.match(new Request('http://cached.test/a?b'));
               seen.push(found.status, found.headers.get('x-a'), found.headers.get('age'), found.headers.get('cf-cache-status'), await found.text());
               seen.push(await cache.match(new Request(key, { method: 'POST', body: 'x' })) === undefined);
               seen.push((await cache.match(new Request(key, { method: 'HEAD' }), { ignoreMethod: true })).status);
               seen.push(await (await caches.open('named')).match(key) === undefined);
               seen.push(await cache.delete(key), await cache.delete(key), await cache.match(key) === undefined);
               return Response.json(seen);
             } }",
        )
        .start();
        let expect = r#"[true,404,"b","0","HIT","hello",true,404,true,true,false,true]"#;
        assert_eq!(app.text(get("http://a.test/")).await, expect);
    });
}

#[test]
fn the_usual_pattern_serves_the_second_request_from_the_cache() {
    on_core(async {
        let app = setup(
            "export default { async fetch(request, env, ctx) {
               const cached = await caches.default.match(request);
               if (cached) return cached;
               let response = await fetch('http://origin.test/');
               response = new Response(response.body, response);
               response.headers.set('cache-control', 's-maxage=10');
               ctx.waitUntil(caches.default.put(request, response.clone()));
               return response;
             } }",
        )
        .net(|_| {
            let pieces = (0..30).map(|_| Ok(http_body::Frame::data(Bytes::from(vec![b'x'; 10_000]))));
            worker::Response::new(Body::stream(StreamBody::new(futures_util::stream::iter(pieces))))
        })
        .start();
        let first = app.run(get("http://a.test/page")).await.unwrap();
        assert!(!first.headers().contains_key("cf-cache-status"));
        assert_eq!(collect(first).await.len(), 300_000);
        let second = app.run(get("http://a.test/page")).await.unwrap();
        assert_eq!(second.headers()["cf-cache-status"], "HIT");
        assert_eq!(collect(second).await.len(), 300_000);
    });
}

#[test]
fn preconditions_ranges_and_vary_are_honoured() {
    on_core(async {
        let app = setup(
            "const url = 'http://cached.test/';
             const ask = async (headers) => {
               const found = await caches.default.match(new Request(url, { headers }));
               return found === undefined ? 'none' : found.status + ' ' + await found.text();
             };
             export default { async fetch() {
               const put = (body, language) => caches.default.put(
                 new Request(url, { headers: { 'accept-language': language } }),
                 new Response(body, { headers: { 'cache-control': 'max-age=60', etag: '\"1\"', vary: 'Accept-Language' } }));
               await put('hello', 'en'); await put('hallo', 'de');
               return Response.json([
                 await ask({ 'accept-language': 'en' }), await ask({ 'accept-language': 'de' }), await ask({ 'accept-language': 'fr' }),
                 await ask({ 'accept-language': 'en', 'if-none-match': '\"1\"' }), await ask({ 'accept-language': 'en', range: 'bytes=1-2' }),
               ]);
             } }",
        )
        .start();
        let expect = r#"["200 hello","200 hallo","none","304 ","206 el"]"#;
        assert_eq!(app.text(get("http://a.test/")).await, expect);
    });
}

#[test]
fn what_can_not_be_stored_throws_or_is_logged() {
    on_core(async {
        let app = setup(
            "const put = async (request, init) => {
               try { await caches.default.put(request, new Response('x', init)); return await caches.default.match(request) === undefined }
               catch (e) { return e.name }
             };
             export default { async fetch() {
               const url = 'http://cached.test/';
               return Response.json([
                 await put(new Request(url, { method: 'POST' })),
                 await put(url, { status: 206 }),
                 await put(url, { headers: { vary: '*' } }),
                 await put(url, { headers: { 'cache-control': 'no-store' } }),
                 await put(url, { headers: { 'cache-control': 'private' } }),
                 await put(url, { headers: { 'set-cookie': 'a=1', 'cache-control': 'max-age=9' } }),
                 await put(url, { headers: { 'set-cookie': 'a=1', 'cache-control': 'max-age=9, private=Set-Cookie' } }),
                 (await caches.default.match(url)).headers.has('set-cookie'),
               ]);
             } }",
        )
        .start();
        let expect = r#"["TypeError","TypeError","TypeError",true,true,true,false,false]"#;
        assert_eq!(app.text(get("http://a.test/")).await, expect);
        let lines = app.kept.lines.lock().unwrap();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].text.contains("no-store"), "{}", lines[0].text);
    });
}

#[test]
fn calls_count_as_subrequests() {
    on_core(async {
        let app = setup(
            "export default { async fetch() {
               let count = 0;
               try { for (;; count++) await caches.default.match('http://a.test/') } catch (e) { return new Response(count + ' ' + e.code) }
             } }",
        )
        .limits(|l| l.subrequests = 7)
        .start();
        assert_eq!(app.text(get("http://a.test/")).await, "7 subrequests_exceeded");
    });
}
