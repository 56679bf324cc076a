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
        let script = Artifact::Script(Script { entry: 0, modules: vec![main, builtin], warm: None });
        let app = setup_artifact(script).bind("WHO", Handle::Text("me".into())).start();
        assert_eq!(app.text(get("http://a.test/")).await, "[true,\"me\"]");
    });
}

#[test]
fn an_environment_is_not_read_while_modules_are_evaluated() {
    const READ: &str = "import { env } from 'cloudflare:workers';
         let seen = 'WHO' in env;
         try { env.WHO } catch (error) { seen += ` ${error.code}: ${error.message}` }
         const kept = env;
         export default { fetch() { return new Response([seen, env.WHO, kept.WHO, env.NONE].join(', ')) } }";
    on_core(async {
        let mut main = module(READ);
        main.imports.push(("cloudflare:workers".into(), 1));
        let builtin = Module { name: "cloudflare:workers".into(), kind: ModuleKind::Builtin, ..module("") };
        let script = Artifact::Script(Script { entry: 0, modules: vec![main, builtin], warm: None });
        let app = setup_artifact(script).bind("WHO", Handle::Text("me".into())).start();
        let said =
            "false io_at_start: reading env.WHO is not possible while modules are evaluated; do it inside a handler";
        assert_eq!(app.text(get("http://a.test/")).await, format!("{said}, me, me, "));
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

/// A body that comes in pieces of so many bytes.
fn in_pieces(content: &[u8], bytes: usize) -> Body {
    let pieces: Vec<Bytes> = content.chunks(bytes).map(Bytes::copy_from_slice).collect();
    let frames = pieces.into_iter().map(|piece| Ok(http_body::Frame::data(piece)));
    Body::stream(http_body_util::StreamBody::new(futures_util::stream::iter(frames)))
}

#[test]
fn a_body_that_comes_in_pieces_is_read_whole_in_every_form() {
    on_core(async {
        let app = setup(
            "export default { async fetch(request) {
               switch (new URL(request.url).pathname) {
                 case '/text': return new Response(await request.text());
                 case '/json': return Response.json(await request.json());
                 case '/bytes': return new Response(await request.bytes());
                 case '/blob': return new Response(await (await request.blob()).text());
               } } }",
        )
        .start();
        let long = "[\"é\",1]".repeat(100_000);
        let texts = ["", "[1,\"é\"]", "\u{feff}[2]", long.as_str()];
        for text in texts {
            // Characters are cut, and the last is more than the host gathers at a time.
            for bytes in [3, 7_001, 1 << 20] {
                let (plain, read) = (text.trim_start_matches('\u{feff}'), in_pieces(text.as_bytes(), bytes));
                assert!(app.text(post("http://a.test/text", read)).await == plain, "text in pieces of {bytes}");
                let read = app.text(post("http://a.test/bytes", in_pieces(text.as_bytes(), bytes))).await;
                assert!(read == text, "bytes in pieces of {bytes}");
                let read = app.text(post("http://a.test/blob", in_pieces(text.as_bytes(), bytes))).await;
                assert!(read == plain, "a blob in pieces of {bytes}");
            }
        }
        assert_eq!(app.text(post("http://a.test/text", in_pieces(b"a\xff\xe2\x82", 2))).await, "a\u{fffd}\u{fffd}");
        assert_eq!(app.text(post("http://a.test/json", in_pieces(b"\xef\xbb\xbf{\"a\":[1]}", 4))).await, "{\"a\":[1]}");
    });
}

#[test]
fn what_a_script_made_of_a_body_is_freed_when_it_lets_go_of_it() {
    on_core(async {
        let app = setup(
            "let last = null;
             const read = {
               '/json': (request) => request.json(),
               '/host': async (request) => ({ text: await request.text() }),
               '/stream': (request) => new Response(request.body.pipeThrough(new TransformStream())).json(),
             };
             export default { async fetch(request) {
               const before = last?.deref();
               last = new WeakRef(await read[new URL(request.url).pathname](request));
               return new Response(String(before)) } }",
        )
        .start();
        for path in ["/json", "/json", "/host", "/host", "/stream", "/stream"] {
            let body = in_pieces(b"{\"a\":1}", 2);
            assert_eq!(app.text(post(&format!("http://a.test{path}"), body)).await, "undefined", "{path}");
        }
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

/// What is written, and what it gives.
const AS_THE_LANGUAGE_HAS_THEM: &[(&str, &str)] = &[
    ("S({ b: 1, 2: 2, a: 3, 1: 4, '4294967294': 5, '-1': 7 })", r#"{"1":4,"2":2,"4294967294":5,"b":1,"a":3,"-1":7}"#),
    ("S({ a: undefined, b: () => 1, c: Symbol(), d: null, [Symbol()]: 1 })", r#"{"d":null}"#),
    (
        "S([undefined, () => 1, Symbol(), -0, NaN, 1.5, 1e21, 0.1 + 0.2])",
        "[null,null,null,0,null,1.5,1e+21,0.30000000000000004]",
    ),
    (
        "S({ 'é': '\\u2028', q: '\"\\\\\\n\\u0001', h: '\\ud800' })",
        "{\"é\":\"\u{2028}\",\"q\":\"\\\"\\\\\\n\\u0001\",\"h\":\"\\ud800\"}",
    ),
    ("S(new (class { #x = 1; a = 2; get b() { return 3; } })())", r#"{"a":2}"#),
    ("S({ p: { toJSON(k) { return k + 1; } }, l: [{ toJSON(k) { return k; } }] })", r#"{"p":"p1","l":["0"]}"#),
    ("{ const o = { a: { toJSON() { delete o.b; o.c = 7; return 1; } }, b: 2, c: 3 }; S(o); }", r#"{"a":1,"c":7}"#),
    ("{ const o = { a: 1, b: 2, c: 3 }; delete o.b; o.d = 4; S(o); }", r#"{"a":1,"c":3,"d":4}"#),
    (
        "S({ get x() { return 5; }, y: [new Date(0), new String('s')] })",
        r#"{"x":5,"y":["1970-01-01T00:00:00.000Z","s"]}"#,
    ),
    ("S({ a: [1, { b: 2 }] }, null, 1)", "{\n \"a\": [\n  1,\n  {\n   \"b\": 2\n  }\n ]\n}"),
    ("S({ a: 1, b: [2] }, (k, v) => typeof v === 'number' ? v + 1 : v)", r#"{"a":2,"b":[3]}"#),
    ("{ const o = {}; o.o = o; try { S(o); } catch (e) { e.name; } }", "TypeError"),
    (
        r#"S(P('{"a":1, "b" : [1,2,{"c":null}],"a":2,"__proto__":3,"1":4}'))"#,
        r#"{"1":4,"a":2,"b":[1,2,{"c":null}],"__proto__":3}"#,
    ),
    (
        "Object.is(P('-0'), -0) + ' ' + P('123456789') + ' ' + P('1234567890123') + ' ' + P('1E+2')",
        "true 123456789 1234567890123 100",
    ),
    (
        "['{\"a\":1,}', '[1 2]', '{a:1}', '01', '\"a', '{\"a\"1}', '1.', '+1'].map((t) => { try { return P(t); } catch (e) { return e.name; } }).join()",
        "SyntaxError,SyntaxError,SyntaxError,SyntaxError,SyntaxError,SyntaxError,SyntaxError,SyntaxError",
    ),
    (
        "{ function f(a, b) {} const g = () => {}; [f.name, f.length, g.name, (() => {}).name, Object.getOwnPropertyNames(g)].join(); }",
        "f,2,g,,length,name",
    ),
    (
        "{ class A { x = 1; y = this.x + 1; } class B extends A { y = 10; } S([new A(), new B(), Object.keys(new B())]); }",
        r#"[{"x":1,"y":2},{"x":1,"y":10},["x","y"]]"#,
    ),
    (
        "{ const o = Object.preventExtensions({ a: 1 }); try { o.b = 1; } catch (e) { e.name + S(o); } }",
        r#"TypeError{"a":1}"#,
    ),
    (
        "{ let n = 0; for (let i = 0; i < 3000; i++) { const x = {}; for (let k = 0; k < 40; k++) x['p' + (i * 7 + k) % 97] = k; n += Object.keys(x).length; } n; }",
        "120000",
    ),
];

/// The patched ways of JSON and of objects, against what the language says.
#[test]
fn json_and_objects_are_as_the_language_has_them() {
    let cases = AS_THE_LANGUAGE_HAS_THEM;
    let expressions: Vec<String> = cases.iter().map(|(code, _)| format!("{code:?}")).collect();
    on_core(async {
        let app = setup(&format!(
            "const S = JSON.stringify, P = JSON.parse;
             const cases = [{}].map((code) => new Function('S', 'P', '\"use strict\"; return eval(' + S(code) + ')'));
             export default {{ fetch() {{ return Response.json(cases.map((run) => String(run(S, P)))) }} }}",
            expressions.join(",")
        ))
        .start();
        // Objects of one form are made again and again: each round finds more of their shapes.
        for round in 0..4 {
            let answers: Vec<String> = serde_json::from_str(&app.text(get("http://a.test/")).await).unwrap();
            for ((code, expected), answer) in cases.iter().zip(answers) {
                assert_eq!(&answer, expected, "round {round}: {code}");
            }
        }
    });
}

/// What each function answers, or the error it throws, is what V8 says of it.
#[test]
fn variables_are_used_after_their_declaration_only() {
    const SOURCE: &str = r"
        const out = [];
        const t = (name, f) => { try { out.push(`${name}:${f()}`); } catch (e) { out.push(`${name}:${e.name}`); } };
        t('a',()=>{ let r=x; let x=1; return r; });
        t('b',()=>{ let [a]=[a]; return a; });
        t('b2',()=>{ let {a}=f(); function f(){ return {a:a}; } return a; });
        t('c',()=>{ for(const x of [x]) return x; });
        t('c2',()=>{ for(const x in {x}) return x; });
        t('c3',()=>{ let r=''; for(const x of [1,2]) { let y=x*2; r+=y+x; y+=1; r+=y; } return r; });
        t('d',()=>{ switch(1){ case 0: let q=1; case 1: return q; } });
        t('d2',()=>{ switch(0){ case 0: let q=1; q++; case 1: return q; } });
        t('d3',()=>{ switch(1){ case 0: { let q=1; } case 1: { let q=7; return q; } } });
        t('e',()=>{ let r=''; for(let i=0;i<3;i++){ if(i===2){ try{ r+=z; }catch(e){ r+=e.name; } } let z=i; r+=z; } return r; });
        t('f',()=>{ let fs=[]; for(let i=0;i<3;i++){ let j=i*2; fs.push(()=>i+j++); } return fs.map(f=>f()+','+f()).join(); });
        t('g',()=>{ const k=1; k=2; return k; });
        t('h',()=>{ const k=1; return (()=>{ k++; })(); });
        t('i',()=>{ let x=(()=>x)(); return x; });
        t('j',()=>{ class C extends (()=>C)() {} return C; });
        t('k',()=>{ class C { static a=1; static b=C.a+1; } return C.b; });
        t('l',()=>{ lbl:{ let a=1; if(a) break lbl; let b=2; } let c=3; return c; });
        t('m',()=>{ let a; a??=5; let b=a; b+=a; b**=2; [a,b]=[b,a]; return a+'/'+b; });
        t('n',()=>{ let x=1; { let y=x; let x2=y; { let x=x2; return x; } } });
        t('o',()=>{ let x=1; { try { return eval('x2'); } catch(e){ return e.name; } let x2=1; } });
        t('p',()=>{ try { let a=1; throw a; } catch(a) { let b=a; return b; } finally { let c=1; } });
        t('q',()=>{ function f(a=b,b){ return a; } return f(); });
        t('r',()=>{ function f(a,b=a){ return b; } return f(4); });
        t('s',()=>{ let i=0; do { let v=i; i=v+1; if(v>3) continue; } while(i<10); return i; });
        t('u',()=>{ function* g(){ let a=yield 1; let b=yield a; return a+b; } const it=g(); it.next(); it.next(2); return it.next(3).value; });
        t('v',()=>{ { return typeof w; let w=1; } });
        t('w',()=>{ { typeof w; let w; } });
        t('x',()=>{ let a=1; let f=function(){ return a; }; a=2; return f(); });
        t('y',()=>{ let s=''; for (let i=0, n=3; i<n; i++) { let o={i}; s+=o.i; if(i==1) continue; let late=i; s+=late; } return s; });
        t('z',()=>{ let a=1,b=a+1,c=b+a; return c; });
        t('aa',()=>{ let r=[]; while(true){ let n=r.length; if(n>2) break; r.push(n); } return r; });
        t('ab',()=>{ return late(); let q=1; function late(){ return q; } });
        t('ac',()=>{ let f=()=>q; let q=3; return f(); });
        t('ad',()=>{ let {x,y=x}={x:1}; return y; });
        t('ae',()=>{ let {y=x,x}={x:1}; return y; });
        t('af',()=>{ for (let [a,b=a] of [[1]]) return b; });
        t('ag',()=>{ delete globalThis.zz; let v=1; with_(v); function with_(q){ v=q+1; } return v; });
        export default { fetch: () => new Response(out.join(' ')) };";
    on_core(async {
        let expected = "a:ReferenceError b:ReferenceError b2:ReferenceError c:ReferenceError c2:ReferenceError c3:3365 d:ReferenceError d2:2 d3:7 e:01ReferenceError2 f:0,1,3,4,6,7 g:TypeError h:TypeError i:ReferenceError j:ReferenceError k:2 l:3 m:100/5 n:1 o:ReferenceError p:1 q:ReferenceError r:4 s:10 u:5 v:ReferenceError w:ReferenceError x:2 y:00122 z:3 aa:0,1,2 ab:ReferenceError ac:3 ad:1 ae:ReferenceError af:1 ag:2";
        assert_eq!(setup(SOURCE).start().text(get("http://a.test/")).await, expected);
    });
}

#[test]
fn an_object_may_change_while_it_is_written_as_json() {
    on_core(async {
        let app = setup(
            "export default { fetch() {
                const o = {};
                for (let i = 0; i < 20; i++) o['k' + i] = i;
                // So many that the object is left with a form of its own.
                for (let i = 0; i < 10; i++) delete o['k' + i];
                o.z = { toJSON() { for (let i = 0; i < 50; i++) o['n' + i] = { i }; delete o.last; return 'z'; } };
                o.last = 1;
                o.end = 2;
                return new Response(JSON.stringify(o));
            } }",
        );
        let members: Vec<String> = (10..20).map(|i| format!("\"k{i}\":{i}")).collect();
        let expected = format!("{{{},\"z\":\"z\",\"end\":2}}", members.join(","));
        assert_eq!(app.start().text(get("http://a.test/")).await, expected);
    });
}

/// The faults that this thread took for which no disk was read.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The name, which may have anything in it, ends with the last parenthesis; two fields later is the third.
    stat.rsplit(')').next().unwrap().split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn a_fresh_sandbox_stays_cheap_wherever_a_request_writes() {
    if !engine().fresh_is_cheap() {
        return;
    }
    on_core(async {
        // More places than wasmtime resets by copying: all behind the 32nd would be faulted in for each request.
        let mut app = setup(
            "const blocks = Array.from({ length: 50 }, () => new Uint8Array(12_000));
             export default { fetch() {
               for (const block of blocks) block[6_000]++;
               return new Response(String(blocks[7][6_000])) } }",
        )
        .start();
        let mut before = 0;
        for nth in 0..400 {
            if nth == 300 {
                before = faults();
            }
            app.instance = app.fresh();
            assert_eq!(app.text(get("http://a.test/")).await, "1");
        }
        let each = (faults() - before) / 100;
        assert!(each < 10, "{each} faults for each request");
    });
}
