//! `HTMLRewriter` in scripts.

use base::Body;
use bytes::Bytes;
use http_body_util::StreamBody;
use worker::Response;

use crate::fixture::*;

/// Runs `new HTMLRewriter()${rewriter}` over what `origin.test` answers: `html` in pieces of `cut`
/// bytes.
async fn rewritten(rewriter: &str, html: &'static str, cut: usize) -> String {
    let source = format!(
        "export default {{ async fetch() {{
           const log = [];
           const response = await fetch('http://origin.test/');
           return new HTMLRewriter(){rewriter}.transform(response);
         }} }}"
    );
    let app = setup(&source)
        .net(move |_| {
            let pieces: Vec<_> = html.as_bytes().chunks(cut).map(Bytes::copy_from_slice).collect();
            let frames = pieces.into_iter().map(|piece| Ok(http_body::Frame::data(piece)));
            Response::new(Body::stream(StreamBody::new(futures_util::stream::iter(frames))))
        })
        .start();
    app.text(get("http://a.test/")).await
}

/// Whole, and in small pieces.
fn check(rewriter: &str, html: &'static str, expect: &str) {
    on_core(async {
        for cut in [1 << 20, 3] {
            assert_eq!(rewritten(rewriter, html, cut).await, expect, "in pieces of {cut}: {rewriter}");
        }
    });
}

#[test]
fn elements_are_read_and_changed() {
    check(
        ".on('a[href]', { element(el) {
           const href = el.getAttribute('HREF');
           el.setAttribute('href', href.replace('http:', 'https:')).removeAttribute('target').setAttribute('rel', 'x');
           el.setAttribute('data-seen', [...el.attributes].map((p) => p.join('=')).join(' ') + el.hasAttribute('none'));
           el.before('<').after('<hr>', { html: true });
         } })",
        "<p><A HREF='http://a/' target=_blank hidden>x</A></p>",
        "<p>&lt;<A HREF=\"https://a/\" hidden rel=\"x\" data-seen=\"href=https://a/ hidden= rel=xfalse\">x</A><hr></p>",
    );
    check(
        ".on('div', { element(el) { el.tagName = 'section'; el.prepend('1').prepend('0').append('2').append('3') } })
         .on('b', { element(el) { el.removeAndKeepContent() } })
         .on('i', { element(el) { el.setInnerContent('<new>', { html: true }) } })
         .on('u', { element(el) { el.replace('[u]') } })
         .on('s', { element(el) { el.remove() } })",
        "<div><b>b</b><i>i</i><u>u</u><s>s</s></div>",
        "<section>01b<i><new></i>[u]23</section>",
    );
}

#[test]
fn handlers_may_wait_and_run_in_order() {
    check(
        ".on('*', { async element(el) {
           await new Promise((resolve) => setTimeout(resolve, 1));
           log.push(el.tagName);
           const answer = await fetch('http://origin.test/');
           el.setAttribute('n', String(log.length) + answer.status);
         } })
         .on('b', { element(el) { log.push('second ' + el.tagName); el.setAttribute('m', String(log.length)) } })
         .onDocument({ async end(end) { await null; end.append(log.join()) } })",
        "<a><b></b></a><c></c>",
        "<a n=\"1200\"><b n=\"2200\" m=\"3\"></b></a><c n=\"4200\"></c>a,b,second b,c",
    );
}

#[test]
fn text_comments_doctype_and_end_are_seen() {
    check(
        ".onDocument({
           doctype(d) { log.push([d.name, d.publicId, d.systemId].join('/')) },
           comments(c) { c.text = c.text.toUpperCase() },
           end(e) { e.append('<end>', { html: true }); e.append(log.join()) },
         })
         .on('p', { text(t) { if (t.lastInTextNode) t.after('|'); } })
         .on('title', { text(t) { if (t.text) t.replace('[' + t.text.length + ']'); else t.remove() } })",
        "<!DOCTYPE html><p>a&amp;b</p><!--c-->",
        "<!DOCTYPE html><p>a&amp;b|</p><!--C--><end>html//",
    );
}

#[test]
fn classes_work_as_handlers_and_end_tags_have_theirs() {
    check(
        ".on('p', new (class {
           count = 0;
           element(el) {
             const n = ++this.count;
             el.onEndTag((end) => { end.before('(' + n + end.name + ')'); });
             el.onEndTag(async (end) => { await null; end.name = 'q'; end.after('!') });
           }
         })())
         .on('br', { element(el) { try { el.onEndTag(() => {}) } catch (e) { el.after(e.name) } } })",
        "<p>a</p><br><p>b</p>",
        "<p>a(1p)</q>!<br>TypeError<p>b(2p)</q>!",
    );
}

#[test]
fn content_may_be_a_stream_or_a_response() {
    check(
        ".on('p', { element(el) {
           el.append(new Response('<i>').body, { html: true });
           el.after(new Response('<response>'));
           el.before(new Response(new Response('stream').body), { html: true });
         } })",
        "<p></p>",
        "stream<p><i></p>&lt;response&gt;",
    );
}

#[test]
fn the_response_keeps_its_head_but_for_the_length() {
    on_core(async {
        let app = setup(
            "export default { fetch() {
               const response = new Response('<p>', { status: 201, statusText: 'Made', headers: {
                 'content-type': 'text/html; charset=windows-1252', 'content-length': '3', etag: '\"1\"' } });
               const out = new HTMLRewriter().on('p', { element(el) { el.before('\u{20ac}') } }).transform(response);
               if (!response.bodyUsed || !(out instanceof Response)) throw new Error('used?');
               return out;
             } }",
        )
        .start();
        let response = app.run(get("http://a.test/")).await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["etag"], "\"1\"");
        assert!(!response.headers().contains_key("content-length"));
        assert_eq!(collect(response).await, b"\x80<p>"[..]);
    });
}

#[test]
fn mistakes_are_exceptions_and_end_the_document() {
    on_core(async {
        let app = setup(
            "const fails = async (run) => { try { await run(); return 'no' } catch (e) { return e.name + ': ' + e.message } };
             const page = () => new Response('<p>a</p><p>b</p>');
             export default { async fetch() {
               const kept = [];
               return Response.json([
                 await fails(() => new HTMLRewriter().on('p:hover', {})),
                 await fails(() => new HTMLRewriter().on('p', { element: 1 })),
                 await fails(() => new HTMLRewriter().on('p', {}).transform('x')),
                 await fails(() => new HTMLRewriter().on('p', { element() { throw new RangeError('mine') } }).transform(page()).text()),
                 await fails(() => new HTMLRewriter().on('p', { async element() { await null; throw new RangeError('later') } }).transform(page()).text()),
                 await fails(() => new HTMLRewriter().on('p', { element(el) { el.setAttribute('a b', '') } }).transform(page()).text()),
                 await fails(() => new HTMLRewriter().on('p', { element(el) { el.tagName = '1' } }).transform(page()).text()),
                 await fails(() => new HTMLRewriter().on('p', { element(el) { kept.push(el) } }).transform(page()).text().then(() => kept[0].tagName)),
                 await fails(() => new HTMLRewriter().on('p', {}).transform(new Response('', { headers: { 'content-type': 'text/html; charset=none' } }))),
               ]);
             } }",
        )
        .start();
        let got: Vec<String> = serde_json::from_str(&app.text(get("http://a.test/")).await).unwrap();
        let expect = [
            "TypeError: the selector \"p:hover\" is not supported",
            "TypeError: HTMLRewriter: the handler \"element\" must be a function",
            "TypeError: HTMLRewriter.transform takes a Response",
            "RangeError: mine",
            "RangeError: later",
            "TypeError: \"a b\" is not an attribute name",
            "TypeError: \"1\" is not a tag name",
            "TypeError: a token of HTMLRewriter is valid only until its handler has ended",
            "TypeError: the encoding \"none\" is not known",
        ];
        assert_eq!(got.len(), expect.len());
        for (got, expect) in got.iter().zip(expect) {
            assert!(got.starts_with(expect), "{got} is not {expect}");
        }
    });
}

#[test]
fn output_comes_before_the_input_has_ended() {
    on_core(async {
        let app = setup(
            "export default { fetch(request) {
               return new HTMLRewriter().on('p', { element(el) { el.setAttribute('x', '1') } }).transform(new Response(request.body));
             } }",
        )
        .start();
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
            let piece = receiver.recv().await?;
            Some((Ok(http_body::Frame::data(piece)), receiver))
        });
        let running = app.run(post("http://a.test/", Body::stream(StreamBody::new(frames))));
        let mut body = running.await.unwrap().into_body();
        for text in ["<p>1</p>", "<p>2</p>"] {
            sender.send(Bytes::from(text)).unwrap();
            let mut got = String::new();
            while !got.ends_with("</p>") {
                use http_body_util::BodyExt as _;
                let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
                got.push_str(std::str::from_utf8(&piece).unwrap());
            }
            assert_eq!(got, text.replace("<p>", "<p x=\"1\">"));
        }
    });
}

#[test]
fn rewriters_of_one_instance_are_bounded_by_name() {
    on_core(async {
        let app = setup(
            "export default { async fetch(request) {
               const open = [];
               try {
                 for (let i = 0; i < 100; i++) {
                   open.push(new HTMLRewriter().on('p', { text() {} }).transform(new Response('<p>')));
                 }
               } catch (e) { return new Response(open.length + ' ' + e.code) }
               return new Response('all') } }",
        )
        .limits(|l| l.native_mib = 1)
        .start();
        for _ in 0..3 {
            // What a request held is free again once it has ended.
            assert_eq!(app.text(get("http://a.test/")).await, "16 native_memory_exceeded");
        }
    });
}
