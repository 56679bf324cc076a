//! `CompressionStream` and `DecompressionStream` in scripts.

use base::Body;
use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};

use crate::fixture::*;

const ECHO: &str = "export default { fetch(request) {
    const format = new URL(request.url).pathname.slice(1);
    let body = request.body.pipeThrough(new CompressionStream(format));
    if (request.url.endsWith('?back')) body = body.pipeThrough(new DecompressionStream(format));
    return new Response(body);
} }";

fn pieces(data: &Bytes) -> Body {
    let frames: Vec<_> = data.chunks(10_000).map(|c| Ok(http_body::Frame::data(Bytes::copy_from_slice(c)))).collect();
    Body::stream(StreamBody::new(futures_util::stream::iter(frames)))
}

#[test]
fn what_was_compressed_comes_back() {
    on_core(async {
        let app = setup(ECHO).start();
        let data = Bytes::from("Selvedge keeps the fabric together. ".repeat(20_000));
        for format in ["gzip", "deflate", "deflate-raw", "brotli"] {
            let small = app.run(post(&format!("http://a.test/{format}"), pieces(&data))).await.unwrap();
            let small = collect(small).await;
            assert!(small.len() < data.len() / 50, "{format}: {} bytes", small.len());
            let back = app.run(post(&format!("http://a.test/{format}?back"), pieces(&data))).await.unwrap();
            assert_eq!(collect(back).await, data, "{format}");
        }
    });
}

#[test]
fn a_bomb_waits_for_its_reader() {
    on_core(async {
        let app = setup(
            "export default { async fetch() {
               const zeros = new ReadableStream({ i: 0, pull(c) { if (this.i++ < 512) c.enqueue(new Uint8Array(1 << 19)); else c.close() } });
               const small = await new Response(zeros.pipeThrough(new CompressionStream('gzip'))).bytes();
               return new Response(new Response(small).body.pipeThrough(new DecompressionStream('gzip')), { headers: { 'x-size': small.length } });
             } }",
        )
        .limits(|l| {
            l.memory_mib = 24;
            l.cpu_ms = 60_000;
        })
        .start();
        let response = app.run(get("http://a.test/")).await.unwrap();
        let small: usize = response.headers()["x-size"].to_str().unwrap().parse().unwrap();
        assert!(small < 400_000);
        let mut body = response.into_body();
        let mut total = 0;
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= 64 << 10);
            total += piece.len();
        }
        assert_eq!(total, 256 << 20);
    });
}

#[test]
fn damaged_input_is_a_type_error_on_both_sides() {
    on_core(async {
        let app = setup(
            "const outcome = async (bytes) => {
               const stream = new DecompressionStream('gzip');
               const writer = stream.writable.getWriter();
               const written = writer.write(bytes).then(() => writer.close()).then(() => 'written', (e) => e.name);
               const read = new Response(stream.readable).text().then((text) => text, (e) => e.name);
               return await read + '/' + await written;
             };
             export default { async fetch() {
               const good = await new Response(new Response('hello').body.pipeThrough(new CompressionStream('gzip'))).bytes();
               const joined = new Uint8Array([...good, 1]);
               return Response.json([
                 await outcome(good), await outcome(good.subarray(0, -1)), await outcome(joined), await outcome(new Uint8Array(9)),
                 await outcome('text'), await outcome(good.buffer),
               ]);
             } }",
        )
        .start();
        let got: Vec<String> = serde_json::from_str(&app.text(get("http://a.test/")).await).unwrap();
        let failed = "TypeError/TypeError";
        assert_eq!(got, ["hello/written", failed, failed, failed, failed, "hello/written"]);
    });
}

#[test]
fn unknown_formats_are_type_errors() {
    on_core(async {
        let app = setup(
            "export default { fetch() {
               const names = [];
               for (const format of ['zip', undefined, '', 'GZIP']) {
                 for (const Stream of [CompressionStream, DecompressionStream]) {
                   try { new Stream(format) } catch (e) { names.push(e.name) }
                 }
               }
               return new Response(names.join());
             } }",
        )
        .start();
        assert_eq!(app.text(get("http://a.test/")).await, ["TypeError"; 8].join(","));
    });
}

#[test]
fn codecs_are_bounded_and_go_with_their_request() {
    on_core(async {
        let app = setup(
            "export default { async fetch() {
               const open = [];
               try {
                 for (let i = 0; i < 50; i++) {
                   const stream = new CompressionStream('gzip');
                   open.push(stream);
                   const writer = stream.writable.getWriter();
                   const reading = stream.readable.getReader().read();
                   writer.closed.catch(() => {});
                   await writer.write(new Uint8Array(10));
                   void reading;
                 }
               } catch (e) { return new Response(e.code) }
               return new Response('all');
             } }",
        )
        .limits(|l| l.native_mib = 2)
        .start();
        for _ in 0..3 {
            assert_eq!(app.text(get("http://a.test/")).await, "native_memory_exceeded");
        }
    });
}

#[test]
fn what_was_decoded_is_read_before_the_error_about_what_follows() {
    on_core(async {
        let app = setup(
            "export default { async fetch() {
               const seen = [];
               for (const format of ['gzip', 'deflate', 'deflate-raw', 'brotli']) {
                 const good = await new Response(new Response('hello').body.pipeThrough(new CompressionStream(format))).bytes();
                 const stream = new DecompressionStream(format), reader = stream.readable.getReader();
                 stream.writable.getWriter().write(new Uint8Array([...good, 0])).catch(() => {});
                 seen.push(new TextDecoder().decode((await reader.read()).value), await reader.read().catch((e) => e.name));
               }
               return new Response(seen.join());
             } }",
        )
        .start();
        assert_eq!(app.text(get("http://a.test/")).await, ["hello,TypeError"; 4].join(","));
    });
}
