//! WebAssembly modules that scripts import.

use base::Artifact;
use base::artifact::{Module, ModuleKind, Script};
use worker::Failure;

use crate::fixture::*;

const BASIC: &[u8] = include_bytes!("../fixtures/wasm/basic.wasm");
const REFS: &[u8] = include_bytes!("../fixtures/wasm/refs.wasm");
const STARTS: &[u8] = include_bytes!("../fixtures/wasm/starts.wasm");
const START_TRAP: &[u8] = include_bytes!("../fixtures/wasm/start_trap.wasm");
const START_LOOP: &[u8] = include_bytes!("../fixtures/wasm/start_loop.wasm");
const HUGE: &[u8] = include_bytes!("../fixtures/wasm/huge.wasm");
const DEEP: &[u8] = include_bytes!("../fixtures/wasm/deep.wasm");
const DATA_OUTSIDE: &[u8] = include_bytes!("../fixtures/wasm/data_outside.wasm");
const ELEMENTS_OUTSIDE: &[u8] = include_bytes!("../fixtures/wasm/elements_outside.wasm");
const RECURSIVE: &[u8] = include_bytes!("../fixtures/wasm/recursive.wasm");

/// A script that imports modules as `./NAME.wasm`.
fn importing(source: &str, modules: &[(&str, &[u8])]) -> Setup {
    let mut main = module(source);
    let mut all = Vec::new();
    for (index, (name, wasm)) in modules.iter().enumerate() {
        main.imports.push((format!("./{name}.wasm"), index as u32 + 1));
        let (name, source) = (format!("{name}.wasm"), wasm.to_vec());
        all.push(Module { name, kind: ModuleKind::Wasm, source, ..module("") });
    }
    all.insert(0, main);
    setup_artifact(Artifact::Script(Script { entry: 0, modules: all, warm: None }))
}

/// What the functions of `basic.wasm` import.
const ENV: &str = "const seen = [];
    const env = { log: (x) => { seen.push(x) }, twice: (x) => x * 2n, pair: () => [1, 2.5] };";

/// Runs the body of a handler over a fresh instance of `basic.wasm`.
fn basic(body: &str) -> Setup {
    importing(
        &format!(
            "import m from './basic.wasm'; {ENV}
             const run = (f) => {{ try {{ return f() }} catch (e) {{ return `${{e.constructor.name}}: ${{e.message}}` }} }};
             export default {{ async fetch(request) {{
               const {{ exports: x }} = new WebAssembly.Instance(m, {{ env }});
               {body} }} }}"
        ),
        &[("basic", BASIC)],
    )
}

async fn answer(setup: Setup) -> String {
    setup.start().text(get("http://a.test/")).await
}

fn failure(setup: Setup) -> Failure {
    match setup.try_start() {
        Ok(_) => panic!("it starts"),
        Err(failure) => failure,
    }
}

#[test]
fn a_script_calls_a_module_that_it_imports() {
    on_core(async {
        let answer = answer(basic("return Response.json([x.add(2, 3), x.mul(-4, 2.9), x.add('7', undefined)])")).await;
        assert_eq!(answer, "[5,-8,7]");
    });
}

#[test]
fn numbers_of_every_type_go_both_ways() {
    on_core(async {
        let body = "const [i, I, f, d] = x.numbers(-1, -(2n ** 63n), 0.1, 0.1);
            return Response.json([i, String(I), f === Math.fround(0.1), d, x.vector(9), String(x.four_times(-3n)),
              x.sum_of_pair(), run(() => x.four_times(1)), String(x.limit.value)])";
        let answer = answer(basic(body)).await;
        assert_eq!(
            answer,
            "[-1,\"-9223372036854775808\",true,0.1,9,\"-12\",3.5,\"TypeError: cannot convert to bigint\",\"9007199254740993\"]"
        );
    });
}

#[test]
fn a_memory_is_the_same_bytes_on_both_sides() {
    on_core(async {
        let body = "const bytes = new Uint8Array(x.memory.buffer);
            const text = new TextDecoder().decode(bytes.subarray(16, 21));
            bytes[100] = 77;
            x.poke(200, 0x01020304);
            x.fill(300, 9, 3);
            x.copy(310, 200, 4);
            x.later(320);
            return Response.json([text, x.peek(100), [...bytes.subarray(200, 204)], [...bytes.subarray(299, 304)],
              [...bytes.subarray(310, 314)], new TextDecoder().decode(bytes.subarray(320, 325)), bytes.length])";
        let answer = answer(basic(body)).await;
        assert_eq!(answer, "[\"hello\",77,[4,3,2,1],[0,9,9,9,0],[4,3,2,1],\"later\",65536]");
    });
}

#[test]
fn a_memory_grows_and_its_old_buffer_is_detached() {
    on_core(async {
        let body = "const first = x.memory.buffer;
            new Uint8Array(first)[5] = 55;
            const grown = [x.grow(2), first.byteLength, x.memory.buffer.byteLength, x.size()];
            const second = x.memory.buffer;
            grown.push(x.memory.grow(1), second.byteLength, x.peek(5), x.peek(4 * 65536 - 1), x.memory === x.memory);
            grown.push(x.memory.buffer === x.memory.buffer, x.grow(100), run(() => x.memory.grow(100)));
            return Response.json(grown)";
        let answer = answer(basic(body)).await;
        assert!(answer.starts_with("[1,0,196608,3,3,0,55,0,true,true,-1,\"RangeError: "), "{answer}");
    });
}

#[test]
fn every_trap_is_a_runtime_error_and_the_instance_goes_on() {
    on_core(async {
        let body = "const traps = [
              () => x.fail(), () => x.peek(65536), () => x.peek(-1), () => x.peek_far(0), () => x.poke(65533, 1),
              () => x.fill(65535, 1, 2), () => x.copy(0, 65535, 2), () => x.divide(1, 0), () => x.divide(-(2 ** 31), -1),
              () => x.to_int(1e10), () => x.to_int(NaN), () => x.call(0, 1, 1), () => x.call(9, 1, 1)];
            const all = traps.map((f) => run(f));
            return Response.json([...new Set(all.map((e) => e.split(':')[0])), ...all.map((e) => e.slice(14)), x.add(1, 1)])";
        let answer = answer(basic(body)).await;
        let expected = "[\"RuntimeError\",\"unreachable\",\"memory access out of bounds\",\"memory access out of bounds\",\"memory access out of bounds\",\"memory access out of bounds\",\"memory access out of bounds\",\"memory access out of bounds\",\"divide by zero\",\"integer overflow\",\"integer overflow\",\"a float can't be represented as an integer\",\"a null function was called\",\"table index is out of bounds\",2]";
        assert_eq!(answer, expected);
    });
}

#[test]
fn recursion_without_end_is_a_range_error() {
    on_core(async {
        let answer = answer(basic("return new Response(run(() => x.deep(0)) + '|' + x.add(1, 1))")).await;
        assert_eq!(answer, "RangeError: Maximum call stack size exceeded|2");
    });
}

#[test]
fn a_loop_ends_with_its_request_alone() {
    on_core(async {
        let source =
            basic("if (request.url.endsWith('loop')) x.loop_forever(); return new Response(String(x.count_up()))");
        let app = source.limits(|limits| limits.cpu_ms = 30).start();
        assert_eq!(app.text(get("http://a.test/")).await, "1");
        assert_eq!(app.code(get("http://a.test/loop")).await, "cpu_exceeded");
        assert!(!app.instance.state().lost);
        assert_eq!(app.text(get("http://a.test/")).await, "1");
    });
}

#[test]
fn cpu_time_of_a_module_is_its_requests() {
    on_core(async {
        let source = basic("try { x.loop_forever() } catch { return new Response('caught') }");
        let app = source.limits(|limits| limits.cpu_ms = 50).start();
        assert_eq!(app.code(get("http://a.test/")).await, "cpu_exceeded");
        let records = app.kept.records.lock().unwrap();
        let used = records[0].invocations[0].usage.cpu.as_micros();
        assert!((50_000..100_000).contains(&used), "{used}");
    });
}

#[test]
fn what_an_imported_function_throws_goes_through_the_module() {
    on_core(async {
        let body = "const error = new RangeError('mine');
            env.log = () => { throw error };
            const y = new WebAssembly.Instance(m, { env }).exports;
            let caught;
            try { y.log_it(1) } catch (e) { caught = e }
            return Response.json([caught === error, y.add(1, 2)])";
        assert_eq!(answer(basic(body)).await, "[true,3]");
    });
}

#[test]
fn tables_hold_the_functions_that_instances_export() {
    on_core(async {
        let body = "const t = x.table;
            const got = [t.length, t.get(0), t.get(1) === x.add, t.get(2) === x.mul, t.get(1)(2, 3), x.call(2, 6, 7)];
            t.set(3, x.add);
            got.push(x.call(3, 6, 7), t.grow(2, x.mul), t.length, x.call(5, 6, 7), run(() => t.get(6)));
            got.push(run(() => t.set(0, () => 1)), x.add.name, x.add.length, run(() => t.grow(100)));
            return Response.json(got)";
        let answer = answer(basic(body)).await;
        let expected = "[4,null,true,true,5,42,13,4,6,42,\"RangeError: the index is outside of the table\",\"TypeError: a table of functions holds functions that an instance exports\",\"3\",2,\"RangeError: the table can't grow by so many places\"]";
        assert_eq!(answer, expected);
    });
}

#[test]
fn an_instance_made_while_modules_are_evaluated_is_in_the_image() {
    on_core(async {
        let source = format!(
            "import m from './basic.wasm'; {ENV}
             const x = new WebAssembly.Instance(m, {{ env }}).exports;
             x.count_up(); x.count_up();
             x.poke(64, 123); x.grow(1); x.table.set(0, x.mul); x.table.set(1, null); x.table.grow(1, x.add);
             const view = new Uint8Array(x.memory.buffer);
             const free = new WebAssembly.Global({{ value: 'i64', mutable: true }}, 5n);
             free.value = 6n;
             export default {{ fetch() {{
               x.log_it(8);
               return Response.json([x.count_up(), x.count.value, x.peek(64), x.size(), view[64], view.length, x.call(0, 3, 3),
                 x.table.get(1), x.call(2, 3, 3), x.call(4, 3, 3), String(free.value), seen, String(x.four_times(1n))]) }} }}"
        );
        let app = importing(&source, &[("basic", BASIC)]).start();
        let expected = "[3,3,123,2,123,131072,9,null,9,6,\"6\",[8],\"4\"]";
        assert_eq!(app.text(get("http://a.test/")).await, expected);
        assert!(app.text(get("http://a.test/")).await.starts_with("[4,4,123,2,123,131072,9,null,9,6,\"6\",[8,8]"));
        // Another one begins where the first began.
        let other = Running { instance: app.fresh(), ..app };
        assert_eq!(other.text(get("http://a.test/")).await, expected);
    });
}

#[test]
fn values_of_javascript_are_kept_by_a_module() {
    on_core(async {
        let source = "import m from './refs.wasm';
            const env = { describe: (value) => ({ value }) };
            const early = new WebAssembly.Instance(m, { env }).exports;
            const thing = { at: 'start' };
            early.put(0, thing); early.keep(thing); early.more('filler', 2);
            export default { fetch() {
              const x = new WebAssembly.Instance(m, { env }).exports;
              const o = {};
              const got = [x.same(o) === o, x.same(undefined) === undefined, x.same(null), x.is_null(null), x.is_null(o)];
              x.put(1, o);
              got.push(x.get(1) === o, x.values.get(1) === o, x.get(0), x.more(7, 3), x.length(), x.get(4));
              x.clear(0, 5);
              got.push(x.get(4), x.give());
              x.keep(o);
              got.push(x.give() === o, x.kept.value === o, x.described(o).value === o);
              got.push(x.choose(1, 2, 1), x.choose(1, 2, 0), x.branch(5, 1), x.branch(5, 0));
              got.push(early.get(0) === thing, early.give() === thing, early.get(3), early.length());
              try { x.get(99) } catch (e) { got.push(e instanceof WebAssembly.RuntimeError, e.message) }
              return Response.json(got) } }";
        let answer = answer(importing(source, &[("refs", REFS)])).await;
        let expected = "[true,true,null,1,0,true,true,null,2,5,7,null,null,true,true,true,1,2,5,null,true,true,\"filler\",4,true,\"table index is out of bounds\"]";
        assert_eq!(answer, expected);
    });
}

#[test]
fn a_start_function_runs_once_and_what_is_imported_is_shared() {
    on_core(async {
        let source = "import m from './starts.wasm';
            const memory = new WebAssembly.Memory({ initial: 1 });
            const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
            const shared = new WebAssembly.Global({ value: 'f64', mutable: true }, 1);
            let ready = 0;
            const env = { ready: () => { ready++ }, memory, table, base: 40, shared };
            const instance = new WebAssembly.Instance(m, { env });
            export default { fetch() {
              const text = new TextDecoder().decode(new Uint8Array(memory.buffer, 40, 7));
              shared.value += 1;
              return Response.json([ready, text, table.get(0)(), shared.value, Object.keys(instance.exports)]) } }";
        assert_eq!(answer(importing(source, &[("starts", STARTS)])).await, "[1,\"started\",42,2.5,[]]");
    });
}

#[test]
fn a_module_tells_what_it_imports_and_exports() {
    on_core(async {
        let source = "import m from './basic.wasm';
            export default { async fetch() {
              const run = async (f) => { try { return await f() } catch (e) { return [e.name, e.code, e instanceof Error] } };
              const empty = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
              return Response.json([m instanceof WebAssembly.Module, WebAssembly.Module.imports(m),
                WebAssembly.Module.exports(m).slice(0, 4), WebAssembly.Module.customSections(m, 'x'),
                WebAssembly.validate(empty), WebAssembly.validate(new Uint8Array(3)),
                await run(() => new WebAssembly.Module(empty)), await run(() => WebAssembly.compile(empty)),
                await run(() => WebAssembly.instantiate(new Uint8Array([1, 2]))),
                (await WebAssembly.instantiate(m, { env: { log() {}, twice() {}, pair() {} } })) instanceof WebAssembly.Instance,
                String(WebAssembly), Object.prototype.toString.call(m)]) } }";
        let answer = answer(importing(source, &[("basic", BASIC)])).await;
        let expected = "[true,[{\"module\":\"env\",\"name\":\"log\",\"kind\":\"function\"},{\"module\":\"env\",\"name\":\"twice\",\"kind\":\"function\"},{\"module\":\"env\",\"name\":\"pair\",\"kind\":\"function\"}],[{\"name\":\"memory\",\"kind\":\"memory\"},{\"name\":\"table\",\"kind\":\"table\"},{\"name\":\"count\",\"kind\":\"global\"},{\"name\":\"limit\",\"kind\":\"global\"}],[],true,false,[\"CompileError\",\"wasm_not_imported\",true],[\"CompileError\",\"wasm_not_imported\",true],[\"CompileError\",\"wasm_not_imported\",true],true,\"[object WebAssembly]\",\"[object WebAssembly.Module]\"]";
        assert_eq!(answer, expected);
    });
}

#[test]
fn bytes_are_compiled_at_deploy_and_later_only_if_the_manifest_says_so() {
    on_core(async {
        let bytes = RECURSIVE.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        let source = format!(
            "const bytes = new Uint8Array([{bytes}]);
             const {{ module, instance }} = await WebAssembly.instantiate(bytes, {{ env: {{ back: (n) => n * 2 }} }});
             export default {{ async fetch() {{
               const early = [instance.exports.down(4), WebAssembly.Module.exports(module)[0].name];
               try {{
                 const again = await WebAssembly.instantiate(bytes, {{ env: {{ back: (n) => n * 3 }} }});
                 return Response.json([...early, again.instance.exports.down(4)]);
               }} catch (e) {{ return Response.json([...early, e.name, e.code]) }} }} }}"
        );
        let app = setup(&source).start();
        assert_eq!(app.text(get("http://a.test/")).await, "[8,\"down\",\"CompileError\",\"wasm_not_imported\"]");
        let max = RECURSIVE.len() as u64 * 2;
        let app = setup(&source).limits(|limits| limits.wasm_compile_bytes = max).start();
        for expected in ["[8,\"down\",12]", "[8,\"down\",12]", "[8,\"down\",\"CompileError\",\"wasm_not_imported\"]"] {
            assert_eq!(app.text(get("http://a.test/")).await, expected);
        }
    });
}

#[test]
fn a_memory_may_grow_while_its_module_waits_for_a_callback() {
    on_core(async {
        let source = format!(
            "import m from './basic.wasm'; {ENV}
             const x = new WebAssembly.Instance(m, {{ env }}).exports;
             const blocks = [];
             export default {{ fetch() {{
               let y;
               const grows = (n) => {{ y.memory.grow(2); blocks.push(new Uint8Array(1 << 20)); new Uint8Array(y.memory.buffer)[9] = n }};
               y = new WebAssembly.Instance(m, {{ env: {{ ...env, log: grows }} }}).exports;
               y.poke(20, 5);
               y.log_it(6);
               return Response.json([y.peek(9), y.peek(20), y.size(), x.size()]) }} }}"
        );
        let app = importing(&source, &[("basic", BASIC)]).start();
        assert_eq!(app.text(get("http://a.test/")).await, "[6,5,3,1]");
    });
}

#[test]
fn a_fresh_sandbox_for_each_request_begins_where_the_image_was_taken() {
    on_core(async {
        let source = format!(
            "import m from './basic.wasm'; {ENV}
             const x = new WebAssembly.Instance(m, {{ env }}).exports;
             x.count_up();
             export default {{ fetch() {{ return new Response(`${{x.count_up()}} ${{x.call(1, 2, 2)}}`) }} }}"
        );
        let mut app = importing(&source, &[("basic", BASIC)]).start();
        for _ in 0..20 {
            assert_eq!(app.text(get("http://a.test/")).await, "2 4");
            app.instance = app.fresh();
        }
    });
}

#[test]
fn a_loop_in_a_module_lets_others_of_the_instance_run_before_and_after() {
    on_core(async {
        let source = basic(
            "if (request.url.endsWith('loop')) { try { x.loop_forever() } finally { x.add(1, 1) } }
             return new Response('fine')",
        );
        let app = source.limits(|limits| limits.cpu_ms = 40).start();
        let (looped, fine) = tokio::join!(app.code(get("http://a.test/loop")), app.text(get("http://a.test/")));
        assert_eq!((looped, fine.as_str()), ("cpu_exceeded", "fine"));
    });
}

#[test]
fn imports_that_do_not_fit_are_link_errors() {
    on_core(async {
        let body = "const attempts = [undefined, {}, { env: {} }, { env: { ...env, log: 1 } }, { env: { ...env, twice: x.add } }];
            return Response.json(attempts.map((imports) => run(() => { new WebAssembly.Instance(m, imports); return 'made' }).split(':')[0]))";
        let answer = answer(basic(body)).await;
        assert_eq!(answer, "[\"TypeError\",\"TypeError\",\"LinkError\",\"LinkError\",\"LinkError\"]");
    });
}

#[test]
fn calls_that_nest_without_end_are_a_range_error() {
    on_core(async {
        let source = "import m from './recursive.wasm';
            let deepest = 0;
            const x = new WebAssembly.Instance(m, { env: { back: (n) => { deepest = n; return x.down(n + 1) } } }).exports;
            export default { fetch() {
              try { x.down(1) } catch (e) { return Response.json([e.name, e.message.includes('limits.wasm_depth'), deepest]) } } }";
        let app = importing(source, &[("recursive", RECURSIVE)]).limits(|limits| limits.wasm_depth = 10).start();
        for _ in 0..3 {
            assert_eq!(app.text(get("http://a.test/")).await, "[\"RangeError\",true,10]");
        }
    });
}

/// At worst the instance is lost, never the node.
#[test]
fn a_callback_on_what_is_left_of_a_stack_ends_the_instance_at_worst() {
    on_core(async {
        let source = "import m from './deep.wasm';
            const back = (n) => JSON.stringify([n, [n, [n]]]).length;
            const x = new WebAssembly.Instance(m, { env: { back } }).exports;
            export default { fetch(request) {
              const depth = Number(new URL(request.url).searchParams.get('depth'));
              try { return new Response(String(x.down(depth))) } catch (e) { return new Response(e.constructor.name) } } }";
        let mut app = importing(source, &[("deep", DEEP)]).start();
        let mut seen = std::collections::BTreeSet::new();
        for depth in (0..1_200_000).step_by(7_500) {
            let answer = match app.run(get(&format!("http://a.test/?depth={depth}"))).await {
                Ok(response) => String::from_utf8(collect(response).await.to_vec()).unwrap(),
                Err(failure) => failure.code.name.to_owned(),
            };
            if answer.parse() == Ok(depth + 11) {
                seen.insert("an answer".to_owned());
            } else {
                seen.insert(answer);
                app.instance = app.fresh();
            }
        }
        let allowed = ["RangeError", "an answer", "guest_trap"];
        assert!(seen.iter().all(|outcome| allowed.contains(&outcome.as_str())), "{seen:?}");
        assert!(seen.contains("RangeError") && seen.contains("an answer"), "{seen:?}");
    });
}

#[test]
fn what_is_no_module_is_an_error_of_the_build() {
    for (wasm, words) in [
        (&b"hello"[..], "this is no WebAssembly module"),
        (&BASIC[..200], "the module is not valid"),
        (b"\0asm\x0d\0\x01\0", "this is a component"),
        (b"\0asm\x02\0\0\0", "the module is not valid"),
    ] {
        let failure = failure(importing("import m from './x.wasm'; export default {}", &[("x", wasm)]));
        assert_eq!(failure.code.name, "bad_script");
        assert!(failure.detail.contains("x.wasm") && failure.detail.contains(words), "{}", failure.detail);
    }
    let limited = importing("import m from './x.wasm'; export default {}", &[("x", BASIC)]);
    let failure = failure(limited.limits(|limits| limits.wasm_bytes = 100));
    assert!(failure.detail.contains("limits.wasm_bytes"), "{}", failure.detail);
}

#[test]
fn a_start_function_that_fails_fails_the_deployment() {
    let source = "import m from './x.wasm'; new WebAssembly.Instance(m); export default {}";
    let trapped = failure(importing(source, &[("x", START_TRAP)]));
    assert_eq!(trapped.code.name, "start_failed");
    assert!(trapped.detail.contains("RuntimeError: unreachable"), "{}", trapped.detail);
    let looped = failure(importing(source, &[("x", START_LOOP)]).limits(|limits| limits.start_cpu_ms = 30));
    assert_eq!(looped.code.name, "start_failed");
    assert!(looped.detail.contains("limits.start_cpu_ms"), "{}", looped.detail);
}

#[test]
fn segments_outside_of_their_place_are_runtime_errors() {
    on_core(async {
        let source = "import data from './data.wasm'; import elements from './elements.wasm';
            const run = (m) => { try { new WebAssembly.Instance(m) } catch (e) { return `${e.constructor.name}: ${e.message}` } };
            export default { fetch() { return Response.json([run(data), run(elements), run(data)]) } }";
        let modules: &[(&str, &[u8])] = &[("data", DATA_OUTSIDE), ("elements", ELEMENTS_OUTSIDE)];
        let data = "\"RuntimeError: memory access out of bounds\"";
        let elements = "\"RuntimeError: table index is out of bounds\"";
        assert_eq!(answer(importing(source, modules)).await, format!("[{data},{elements},{data}]"));
    });
}

#[test]
fn a_loop_in_a_module_lets_other_instances_of_the_core_answer() {
    on_core(async {
        let source = basic("if (request.url.endsWith('loop')) x.loop_forever(); return new Response('fine')");
        let app = source.limits(|limits| limits.cpu_ms = 300).start();
        let other = app.fresh();
        let ended = std::cell::Cell::new(false);
        let hello = async {
            for _ in 0..20 {
                tokio::task::yield_now().await;
                let event = worker::Event::Fetch(Box::new(get("http://a.test/")));
                let response = other.clone().run(app.call(), event).await.map_err(|ended| ended.failure).unwrap();
                assert_eq!(collect(response).await, "fine");
            }
            assert!(!ended.get(), "the others waited for the loop");
        };
        let looping = async {
            assert_eq!(app.code(get("http://a.test/loop")).await, "cpu_exceeded");
            ended.set(true);
        };
        tokio::join!(looping, hello);
    });
}

#[test]
fn pages_count_against_the_memory_of_the_instance() {
    on_core(async {
        let source = "import huge from './huge.wasm';
            const run = (f) => { try { return f() } catch (e) { return `${e.name}: ${e.message}` } };
            export default { fetch() {
              const memory = new WebAssembly.Memory({ initial: 16 });
              return Response.json([run(() => new WebAssembly.Instance(huge)), run(() => memory.grow(160)),
                run(() => new WebAssembly.Memory({ initial: 65537 })), memory.buffer.byteLength >> 16]) } }";
        let app = importing(source, &[("huge", HUGE)]).limits(|limits| limits.memory_mib = 10).start();
        let answer = app.text(get("http://a.test/")).await;
        assert!(answer.starts_with("[\"RangeError: there is no room for 65536 pages"), "{answer}");
        assert!(answer.contains("\"RangeError: the memory can't grow") && answer.ends_with(",16]"), "{answer}");
    });
}

#[test]
fn instances_memories_tables_and_globals_are_limited() {
    on_core(async {
        let cases = [
            ("wasm_instances", 3, "new WebAssembly.Instance(m, { env })"),
            ("wasm_memories", 4, "new WebAssembly.Memory({ initial: 0 })"),
            ("wasm_tables", 5, "new WebAssembly.Table({ element: 'anyfunc', initial: 0 })"),
            ("wasm_globals", 6, "new WebAssembly.Global({ value: 'i32' }, 1)"),
        ];
        for (limit, count, make) in cases {
            let body = format!(
                "let made = 0;
                 try {{ for (;;) {{ {make}; made++ }} }} catch (e) {{ return Response.json([made, e.name, e.message.includes('limits.{limit}')]) }}"
            );
            let source = format!("import m from './basic.wasm'; {ENV} export default {{ fetch() {{ {body} }} }}");
            let app =
                importing(&source, &[("basic", BASIC)]).limits(|limits| assert!(limits.set(limit, count))).start();
            assert_eq!(app.text(get("http://a.test/")).await, format!("[{count},\"RangeError\",true]"));
        }
    });
}

#[test]
fn a_memory_can_not_be_transferred() {
    on_core(async {
        let body = "const buffer = x.memory.buffer;
            const view = new Uint8Array(buffer);
            return Response.json([run(() => structuredClone(1, { transfer: [buffer] })), run(() => buffer.transfer()),
              run(() => buffer.transfer(5)), view.length, structuredClone(view.subarray(16, 18)), x.grow(1), view.length])";
        let why = "\"TypeError: the memory of a WebAssembly instance cannot be transferred\"";
        let answer = answer(basic(body)).await;
        assert_eq!(answer, format!("[{why},{why},{why},65536,{{\"0\":104,\"1\":101}},1,0]"));
    });
}

#[test]
fn an_instance_that_makes_one_for_each_request_says_when_it_is_worn() {
    on_core(async {
        let app = basic("return new Response(String(x.count_up()))").limits(|limits| limits.wasm_instances = 6).start();
        let mut worn = Vec::new();
        for _ in 0..4 {
            assert_eq!(app.text(get("http://a.test/")).await, "1");
            worn.push(app.instance.state().worn);
        }
        assert_eq!(worn, [false, false, true, true]);
    });
}

#[test]
fn a_script_without_a_module_has_memories_all_the_same() {
    on_core(async {
        let source = "const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
            new Uint8Array(memory.buffer)[3] = 4;
            export default { fetch() {
              return Response.json([new Uint8Array(memory.buffer)[3], memory.grow(1), memory.buffer.byteLength]) } }";
        assert_eq!(answer(setup(source)).await, "[4,1,131072]");
    });
}

#[test]
fn large_bytes_are_validated_elsewhere() {
    on_core(async {
        let body = "const large = new Uint8Array(200_000);
            large.set([0, 97, 115, 109, 1, 0, 0, 0, 0, 0xb5, 0x9a, 0x0c, 1, 97]);
            return Response.json([WebAssembly.validate(large), WebAssembly.validate(large.subarray(0, 199_998))])";
        assert_eq!(answer(basic(body)).await, "[false,false]");
        // A custom section of this length, and nothing behind it.
        let exact = body.replace("200_000", "0x30d35 + 12");
        assert_eq!(answer(basic(&exact)).await, "[true,false]");
    });
}

#[test]
fn a_warm_up_request_may_make_an_instance_that_is_in_the_image() {
    on_core(async {
        let source = format!(
            "import m from './basic.wasm'; {ENV}
             let x;
             export default {{ fetch() {{
               x ??= new WebAssembly.Instance(m, {{ env }}).exports;
               x.poke(64, 5); x.table.set(0, x.mul);
               return new Response(`${{x.count_up()}} ${{x.call(0, 3, 4)}}`) }} }}"
        );
        let mut setup = importing(&source, &[("basic", BASIC)]);
        if let Artifact::Script(script) = &mut setup.artifact {
            script.warm = Some("/".into());
        }
        let app = setup.start();
        assert_eq!(app.text(get("http://a.test/")).await, "2 12");
    });
}
