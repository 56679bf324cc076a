//! What scripts can't do, and how they hear of it.

use std::time::Duration;

use crate::fixture::*;

#[test]
fn an_endless_loop_ends_alone_and_its_instance_lives_on() {
    on_core(async {
        let app =
            setup("export default { fetch(r) { if (r.url.endsWith('/loop')) for (;;); return new Response('ok') } }")
                .limits(|l| l.cpu_ms = 30)
                .start();
        assert_eq!(app.code(get("http://a.test/loop")).await, "cpu_exceeded");
        assert!(!app.instance.state().lost);
        assert_eq!(app.text(get("http://a.test/")).await, "ok");
    });
}

#[test]
fn a_native_loop_ends_with_its_instance() {
    on_core(async {
        let app =
            setup("export default { fetch() { return new Response(String(/(a+)+$/.test('a'.repeat(40) + 'b'))) } }")
                .limits(|l| l.cpu_ms = 20)
                .start();
        let code = app.code(get("http://a.test/")).await;
        assert_eq!(code, "cpu_exceeded");
    });
}

/// Work of QuickJS's own that is long in each call, or in each look at a property.
#[test]
fn a_loop_of_long_native_work_shares_the_core_and_ends_like_any_other() {
    const CASES: [&str; 13] = [
        "const s = 'a'.repeat(1 << 22); for (;;) s.indexOf('ab')",
        "const s = JSON.stringify(Array(1 << 18).fill(1)); for (;;) JSON.parse(s)",
        "const s = ' '.repeat(1 << 20) + '1'; for (;;) JSON.parse(s)",
        "const s = ['a'.repeat(1 << 20)]; for (;;) JSON.stringify(s)",
        "const a = new Uint8Array(1 << 22), b = new Uint8Array(1 << 22); for (;;) a.set(b)",
        "let o = {}; for (let i = 0; i < 20000; i++) o = Object.create(o); for (;;) o.missing",
        "const s = new Uint8Array(1 << 22).fill(97), d = new TextDecoder(); for (;;) d.decode(s)",
        "const s = new TextEncoder().encode('é'.repeat(1 << 20)), d = new TextDecoder(); for (;;) d.decode(s)",
        "const s = 'a'.repeat(1 << 22); for (;;) s.indexOf('b')",
        "const s = 'a'.repeat(1 << 22), t = 'a'.repeat(1 << 22); for (;;) s === t",
        "let o = {}; for (let i = 0; i < 20000; i++) o = Object.create(o); for (;;) Reflect.get(o, 'missing')",
        "let o = {}; for (let i = 0; i < 20000; i++) o = Object.create(o); for (;;) JSON.stringify(o)",
        "for (;;) new Array(1 << 18).fill(1)",
    ];
    for case in CASES {
        on_core(async {
            let source = format!("export default {{ fetch() {{ {case} }} }}");
            let looping = setup(&source).limits(|l| l.cpu_ms = 200).start();
            let hello = setup("export default { fetch() { return new Response('hi') } }").start();
            let event = Box::new(get("http://a.test/"));
            let run = looping.instance.clone().run(looping.call(), worker::Event::Fetch(event));
            let task = tokio::task::spawn_local(run);
            let mut answered = 0;
            while !task.is_finished() {
                assert_eq!(hello.text(get("http://b.test/")).await, "hi");
                answered += 1;
                // A request that is short is answered at once, without the runtime.
                tokio::task::yield_now().await;
            }
            assert!(answered > 10, "only {answered} short requests were answered beside: {case}");
            assert_eq!(task.await.unwrap().unwrap_err().failure.code.name, "cpu_exceeded", "{case}");
        });
    }
}

#[test]
fn runaway_recursion_is_a_range_error() {
    on_core(async {
        let app = setup("export default { fetch() { const f = () => f() + 1; try { f() } catch (e) { return new Response(e.name) } } }").start();
        assert_eq!(app.text(get("http://a.test/")).await, "RangeError");
    });
}

/// What recurses as far as it does on other engines goes through: a walk of a long list, a parser.
#[test]
fn recursion_as_deep_as_elsewhere_returns() {
    const CASES: [&str; 5] = [
        "const f = (n) => n === 0 ? 0 : f(n - 1) + 1; f(7000)",
        "const f = (a, b, c, n) => { const x = a + b, y = b + c; return n === 0 ? x + y : f(x, y, c, n - 1) }; f(1, 2, 3, 7000)",
        "class A { f(n) { return n === 0 ? 0 : this.f(n - 1) + 1 } } new A().f(7000)",
        "let v = []; for (let i = 0; i < 4000; i++) v = [v]; const f = (v) => v.map(f); f(v)",
        "let v = 1; for (let i = 0; i < 7000; i++) v = { v }; JSON.stringify(v).length",
    ];
    for case in CASES {
        on_core(async {
            let app =
                setup(&format!("export default {{ fetch() {{ {case}; return new Response('through') }} }}")).start();
            assert_eq!(app.text(get("http://a.test/")).await, "through", "{case}");
        });
    }
}

/// A guest's own stack and the engine's are two: what fills the second first would be a trap.
#[test]
fn what_nests_too_deeply_is_an_error_that_a_script_can_catch() {
    const CASES: [&str; 21] = [
        "JSON.parse('['.repeat(1e6))",
        "JSON.parse('{\"a\":'.repeat(1e6))",
        "JSON.parse('['.repeat(1e5) + ']'.repeat(1e5), (key, value) => value)",
        "JSON.stringify(nested((v) => [v]))",
        "JSON.stringify(nested((v) => ({ v })))",
        "JSON.stringify(nested((v) => [v]), null, 1)",
        "structuredClone(nested((v) => new Map([[v, v]])))",
        "'x' in nested(proxy)",
        "nested(proxy).x",
        "delete nested(proxy).x",
        "Reflect.ownKeys(nested(proxy))",
        "Reflect.defineProperty(nested(proxy), 'x', { value: 1 })",
        "Reflect.getPrototypeOf(nested(proxy))",
        "Reflect.setPrototypeOf(nested(proxy), null)",
        "new Function('('.repeat(1e5))",
        "new Function('x = ' + '{a:'.repeat(1e5))",
        "new Function('(a=' + '(a='.repeat(1e4))",
        "new Function('!'.repeat(1e5) + '1')",
        "new Function('a='.repeat(1e5) + '1')",
        "new Function('x = ' + '1?'.repeat(1e5))",
        "(() => { let i = [1].values(); for (let n = 0; n < 1e5; n++) i = i.map((v) => v); i.next(); })()",
    ];
    on_core(async {
        for case in CASES {
            let app = setup(&format!(
                "const proxy = (v) => new Proxy(Object(v), {{}});
                const nested = (wrap) => {{ let v = 0; for (let i = 0; i < 1e5; i++) v = wrap(v); return v; }};
                export default {{ fetch() {{ try {{ {case}; return new Response('nothing') }} catch (e) {{ return new Response(e.name) }} }} }}"
            ));
            let app = app.limits(|l| l.cpu_ms = 20_000).start();
            let name = app.text(get("http://a.test/")).await;
            // The parser tells of it as of whatever it can't read, and indents of each level fill the
            // memory before the stack.
            let other = [("Function", "SyntaxError"), ("null, 1", "InternalError")];
            let is_known = other.iter().any(|(part, error)| case.contains(part) && name == *error);
            assert!(name == "RangeError" || is_known, "{case}: {name}");
        }
    });
}

#[test]
fn endless_allocation_is_refused() {
    on_core(async {
        let app =
            setup("export default { fetch() { const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1)) } }")
                .limits(|l| {
                    l.memory_mib = 16;
                    l.cpu_ms = 5000
                })
                .start();
        assert_eq!(app.code(get("http://a.test/")).await, "memory_exceeded");
    });
}

#[test]
fn want_of_memory_in_a_job_is_told_by_its_name() {
    const CASES: [&str; 3] = [
        "const a = []; for (;;) a.push(new Uint8Array(1 << 16).fill(1))",
        "const a = []; for (;;) a.push({})",
        "let s = 'x'; const a = []; for (let n = 0;; n++) a.push(s + n)",
    ];
    on_core(async {
        for case in CASES {
            let source = format!("export default {{ async fetch() {{ await null; {case} }} }}");
            let app = setup(&source).limits(|l| (l.memory_mib, l.cpu_ms) = (16, 10_000)).start();
            assert_eq!(app.code(get("http://a.test/")).await, "memory_exceeded", "{case}");
            let state = app.instance.state();
            assert!(state.worn || state.lost, "{case}");
        }
    });
}

#[test]
fn a_promise_that_nothing_can_settle_is_noticed_at_once() {
    on_core(async {
        let app = setup("export default { fetch() { return new Promise(() => {}) } }").start();
        assert_eq!(app.code(get("http://a.test/")).await, "never_settled");
    });
}

#[test]
fn what_is_no_response_is_named() {
    on_core(async {
        let app = setup("export default { fetch() { return 'hello' } }").start();
        assert_eq!(app.code(get("http://a.test/")).await, "invalid_response");
        let app = setup("export default { }").start();
        assert_eq!(app.code(get("http://a.test/")).await, "no_handler");
    });
}

#[test]
fn a_late_head_times_out() {
    on_core(async {
        let app = setup("export default { async fetch() { await new Promise(r => setTimeout(r, 60000)) } }")
            .limits(|l| l.head_ms = 20)
            .start();
        assert_eq!(app.code(get("http://a.test/")).await, "head_timeout");
    });
}

#[test]
fn too_many_subrequests_are_refused_by_name() {
    on_core(async {
        let app = setup("export default { async fetch() { try { for (let i = 0; i < 5; i++) await fetch('http://o.test/') } catch (e) { return new Response(e.code) } } }")
            .limits(|l| l.subrequests = 3)
            .start();
        assert_eq!(app.text(get("http://a.test/")).await, "subrequests_exceeded");
    });
}

#[test]
fn more_timers_than_allowed_are_refused_and_go_with_their_request() {
    on_core(async {
        let source = "export default { fetch() { let n = 0; try { for (;; n++) setTimeout(() => {}, 60000) } catch (e) { return new Response(n + ' ' + e.message) } } }";
        let app = setup(source).limits(|l| l.timers = 3).start();
        for _ in 0..3 {
            let text = app.text(get("http://a.test/")).await;
            assert!(text.starts_with("3 ") && text.contains("limits.timers"), "{text}");
        }
    });
}

#[test]
fn what_a_timer_held_is_free_once_its_request_is_over() {
    on_core(async {
        let source = "export default { fetch() { const held = new Uint8Array(64 << 10).fill(1); setTimeout(() => held, 60000); return new Response('ok') } }";
        let app = setup(source).limits(|l| l.memory_mib = 16).start();
        for _ in 0..2_000 {
            assert_eq!(app.text(get("http://a.test/")).await, "ok");
        }
    });
}

#[test]
fn a_flood_of_log_lines_is_cut() {
    on_core(async {
        let app = setup("export default { fetch() { for (let i = 0; i < 100; i++) console.log('x'.repeat(100)); return new Response('ok') } }")
            .limits(|l| l.log_bytes = 1000)
            .start();
        app.text(get("http://a.test/")).await;
        let lines = app.kept.lines.lock().unwrap();
        assert_eq!(lines.len(), 11, "ten lines and the notice");
        assert!(lines[10].text.contains("log_bytes"), "{}", lines[10].text);
    });
}

#[test]
fn loops_share_the_core_with_short_requests() {
    on_core(async {
        let looping = setup("export default { fetch() { for (;;); } }").limits(|l| l.cpu_ms = 300).start();
        let hello = setup("export default { fetch() { return new Response('hi') } }").start();
        let event = Box::new(get("http://a.test/"));
        let task = tokio::task::spawn_local(looping.instance.clone().run(looping.call(), worker::Event::Fetch(event)));
        let mut answered = 0;
        while !task.is_finished() {
            assert_eq!(hello.text(get("http://b.test/")).await, "hi");
            answered += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(answered > 20, "only {answered} short requests were answered beside the loop");
        assert_eq!(task.await.unwrap().unwrap_err().failure.code.name, "cpu_exceeded");
    });
}

#[test]
fn evaluation_has_limits_of_its_own() {
    let failing = |source: &str| match setup(source).limits(|l| l.start_cpu_ms = 50).try_start() {
        Ok(_) => panic!("{source} started"),
        Err(failure) => failure,
    };
    let failure = failing("for (;;);");
    assert_eq!(failure.code.name, "start_failed");
    assert!(failure.detail.contains("start_cpu_ms"), "{failure}");
    let failure = failing("let x = 1;\nthrow new Error('no');");
    assert!(failure.detail.contains("Error: no"), "{failure}");
    assert_eq!(failure.frame.unwrap().line, 2);
    let failure = failing("export default { fetch( { } }");
    assert!(failure.detail.contains("SyntaxError"), "{failure}");
    let failure = failing("await fetch('http://x.test/'); export default {}");
    assert!(failure.detail.contains("evaluated"), "{failure}");
    let failure = failing("await new Promise(() => {});");
    assert!(failure.detail.contains("never settles"), "{failure}");
}

#[test]
fn an_error_is_no_longer_than_what_its_request_may_log() {
    on_core(async {
        let throws = "const e = new Error('é'.repeat(2e6)); e.stack = e.message + '\\n    at f (a.js:1:1)'.repeat(1e5); throw e;";
        let app = setup(&format!("export default {{ async fetch() {{ {throws} }} }}")).limits(|l| l.log_bytes = 20_000);
        let failure = app.start().run(get("http://a.test/")).await.expect_err("it throws");
        let stack = failure.stack.expect("a stack");
        assert!(
            failure.detail.starts_with("Error: éé")
                && failure.detail.ends_with("é (the rest is dropped, limits.log_bytes)")
        );
        assert!(failure.detail.len() < 20_100 && stack.len() < 20_100, "{} {}", failure.detail.len(), stack.len());

        let failure = setup(throws).try_start().err().expect("it throws at the start");
        assert!(failure.detail.len() < 300 << 10, "{}", failure.detail.len());
    });
}
