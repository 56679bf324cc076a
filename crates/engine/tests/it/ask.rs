//! Operations on data that are answered within the call that asks for them.

use crate::fixture::{get, on_core, setup};
use crate::node::kv;

/// What `body`, the inside of a handler over a KV namespace, answers.
fn answer(body: &str) -> String {
    let source = format!("export default {{ async fetch(request, env) {{ const {{ KV }} = env; {body} }} }};");
    on_core(async {
        let app = setup(&source).bind("KV", kv()).limits(|limits| limits.subrequests = 1_000_000).start();
        app.text(get("http://a.test/")).await
    })
}

#[test]
fn what_is_ready_is_there_within_a_few_turns_of_the_queue() {
    let told = answer(
        r#"await KV.put("k", "v");
        let seen = null;
        KV.get("k").then((value) => { seen = value; });
        await null; await null;
        return new Response(seen);"#,
    );
    assert_eq!(told, "v");
}

#[test]
fn operations_keep_the_order_in_which_they_were_asked_for() {
    let told = answer(
        r#"const stream = new Response("three").body;
        const order = [KV.put("k", "one"), KV.get("k"), KV.put("k", "two"), KV.get("k"), KV.put("k", stream)];
        await Promise.all(order);
        return Response.json([await order[1], await order[3], await KV.get("k"), await KV.get("none")]);"#,
    );
    assert_eq!(told, r#"["one","two","three",null]"#);
}

#[test]
fn a_value_comes_as_it_was_asked_for() {
    let told = answer(
        r#"await KV.put("json", '{"a":[1,"é"]}');
        await KV.put("bytes", new Uint8Array([0xff, 0x61]));
        const bytes = await KV.get("bytes", "arrayBuffer");
        const stream = await KV.get("bytes", "stream");
        return Response.json([
            await KV.get("json", "json"), await KV.get("json", { type: "text" }), await KV.get("bytes"),
            bytes instanceof ArrayBuffer, [...new Uint8Array(bytes)], (await new Response(stream).bytes()).length,
        ]);"#,
    );
    assert_eq!(told, r#"[{"a":[1,"é"]},"{\"a\":[1,\"é\"]}","�a",true,[255,97],2]"#);
}

#[test]
fn what_goes_wrong_rejects_the_promise() {
    let told = answer(
        r#"await KV.put("text", "no json");
        const why = (promise) => promise.then(() => "nothing", (error) => error.code ?? error.name);
        const long = "k".repeat(600);
        return Response.json([
            await why(KV.get("text", "json")), await why(KV.get(long)), await why(KV.get(1)),
            await why(KV.get("text", "soup")), await why(KV.put("text", "x", { ifRevision: 1e9 })),
        ]);"#,
    );
    assert_eq!(told, r#"["SyntaxError","key_too_long","TypeError","TypeError","revision_conflict"]"#);
}

#[test]
fn the_clock_goes_on_while_one_reads() {
    let told = answer(
        r#"const begun = Date.now();
        while (Date.now() === begun) await KV.get("k");
        return new Response("later");"#,
    );
    assert_eq!(told, "later");
}

#[test]
fn each_counts_as_a_call_to_the_outside() {
    on_core(async {
        let source = r#"export default { async fetch(request, { KV }) {
            let count = 0;
            try { for (;;) { await KV.get("k"); count++; } } catch (error) { return Response.json([count, error.code]); }
        } };"#;
        let app = setup(source).bind("KV", kv()).limits(|limits| limits.subrequests = 7).start();
        assert_eq!(app.text(get("http://a.test/")).await, r#"[7,"subrequests_exceeded"]"#);
        assert_eq!(app.text(get("http://a.test/")).await, r#"[7,"subrequests_exceeded"]"#);
    });
}

/// Whether its jobs settle the answer or something else does, later.
#[test]
fn a_rejected_answer_is_a_failure_that_nobody_reports_as_unhandled() {
    on_core(async {
        for wait in ["null", "KV.get('k')", "new Promise((resolve) => setTimeout(resolve, 1))"] {
            let source = format!(
                "export default {{ async fetch(request, {{ KV }}) {{ await {wait}; throw new TypeError('thrown'); }} }};"
            );
            let app = setup(&source).bind("KV", kv()).limits(|limits| limits.subrequests = 1_000_000).start();
            let failure = app.run(get("http://a.test/")).await.expect_err("it throws");
            assert_eq!(failure.code.name, "guest_exception", "{wait}");
            assert!(failure.detail.contains("thrown"), "{}", failure.detail);
        }
    });
}
