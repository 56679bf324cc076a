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

/// A request to another worker is answered within the call as well, and waits where the other does.
mod other_workers {
    use std::sync::Arc;

    use base::Body;
    use futures_util::future::LocalBoxFuture;
    use http_body_util::{BodyExt as _, Full};
    use worker::{Call, Event, Failure, FetchEvent, Handle, Invoker, Response};

    use crate::fixture::{Running, get, on_core, setup};

    /// A worker that is a function, and runs when its answer is asked for. To `/late`, that is when others had a turn.
    struct Other<F>(F);

    impl<F: Fn(&FetchEvent) -> Response + Clone + Send + Sync + 'static> Invoker for Other<F> {
        fn invoke(&self, _: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
            let Event::Fetch(event) = event else { unreachable!("only requests are sent here") };
            let answer = self.0.clone();
            Box::pin(async move {
                if event.url.ends_with("/late") {
                    tokio::task::yield_now().await;
                }
                Ok(answer(&event))
            })
        }
    }

    fn bound(body: &str, other: impl Fn(&FetchEvent) -> Response + Clone + Send + Sync + 'static) -> Running {
        let source = format!("export default {{ async fetch(request, env) {{ const {{ OTHER }} = env; {body} }} }};");
        setup(&source).bind("OTHER", Handle::Service(Arc::new(Other(other)))).start()
    }

    fn echo(event: &FetchEvent) -> Response {
        let mut response = Response::new(Body::full(event.body.whole().unwrap_or_default().to_vec()));
        response.headers_mut().insert("x-asked", event.url.parse().unwrap());
        response
    }

    #[test]
    fn an_answer_that_is_ready_is_there_within_a_few_turns_of_the_queue() {
        on_core(async {
            let app = bound(
                r#"let seen = [];
                OTHER.fetch("http://b.test/now", { method: "POST", body: "a" }).then((answer) => { seen.push(answer.url); });
                const late = OTHER.fetch("http://b.test/late", { method: "POST", body: "b" });
                await null; await null;
                seen.push(await (await late).text());
                return Response.json(seen);"#,
                echo,
            );
            assert_eq!(app.text(get("http://a.test/")).await, r#"["http://b.test/now","b"]"#);
        });
    }

    #[test]
    fn whether_it_is_ready_or_late_is_no_difference_to_who_asks() {
        on_core(async {
            let app = bound(
                r#"const told = [];
                for (const path of ["now", "late"]) {
                    const answer = await OTHER.fetch("http://b.test/" + path, { method: "POST", body: "é" });
                    told.push([answer.status, answer.redirected, answer.headers.get("x-asked"), await answer.text()]);
                }
                return Response.json(told);"#,
                echo,
            );
            let told = r#"[[200,false,"http://b.test/now","é"],[200,false,"http://b.test/late","é"]]"#;
            assert_eq!(app.text(get("http://a.test/")).await, told);
        });
    }

    /// A body that is coded or a stream, an answer without one, one that is none.
    #[test]
    fn an_answer_that_is_more_than_a_head_and_bytes_goes_the_long_way() {
        on_core(async {
            let app = bound(
                r#"const told = [];
                for (const path of ["stream", "coded", "empty", "upgrade"]) {
                    const answer = await OTHER.fetch("http://b.test/" + path).catch((error) => new Response(error.code));
                    told.push([answer.status, await answer.text()]);
                }
                return Response.json(told);"#,
                |event| {
                    let mut response = Response::new(Body::empty());
                    match event.url.rsplit('/').next().unwrap() {
                        "stream" => {
                            let frames = Full::from("streamed").map_err(|never| match never {});
                            *response.body_mut() = Body::stream(frames);
                        }
                        "empty" => *response.status_mut() = http::StatusCode::NO_CONTENT,
                        "upgrade" => *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS,
                        _ => {
                            // `printf coded | gzip --no-name`, in hexadecimal.
                            let coded = hex::decode("1f8b08000000000000034bce4f494d01008a447e6605000000").unwrap();
                            *response.body_mut() = Body::full(coded);
                            response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
                        }
                    }
                    response
                },
            );
            let told = r#"[[200,"streamed"],[200,"coded"],[204,""],[200,"upstream_protocol"]]"#;
            assert_eq!(app.text(get("http://a.test/")).await, told);
        });
    }

    /// All that the other sees of a request, in the order of names.
    fn seen(event: &FetchEvent) -> Response {
        let mut fields: Vec<String> = event.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        fields.retain(|field| !field.starts_with("traceparent: "));
        fields.sort();
        let traces = event.headers.get_all("traceparent").iter().count();
        let whole = event.body.whole().map(<[u8]>::len);
        let (method, url, cf) = (&event.method, &event.url, &event.cf);
        Response::new(Body::full(format!("{method} {url} {whole:?} {cf:?} {traces}\n{}", fields.join("\n"))))
    }

    /// What came is sent on as it lies there; what is made anew of its parts must look the same.
    #[test]
    fn a_request_that_is_passed_on_is_what_it_would_be_if_it_were_made_anew() {
        let passed = "return OTHER.fetch(request);";
        let copied = "void request.headers.get('accept'); return OTHER.fetch(new Request(request));";
        let anew = "return OTHER.fetch(request.url, { method: request.method, headers: request.headers });";
        let fields: [&[(&str, &[u8])]; 5] = [
            &[],
            &[("host", b"a.test"), ("accept", b"*/*"), ("traceparent", b"00-1-2-03"), ("cookie", b"a=b")],
            &[("x-two", b"1"), ("connection", b"close"), ("x-two", b"2"), ("te", b"trailers"), ("x-three", b"")],
            &[("x-latin", b"caf\xe9"), ("keep-alive", b"5"), ("accept", b"text/html")],
            &[("upgrade", b"websocket"), ("connection", b"upgrade"), ("expect", b"100-continue")],
        ];
        on_core(async {
            for fields in fields {
                let mut told = Vec::new();
                for body in [passed, copied, anew] {
                    let app = bound(body, seen);
                    let mut event = FetchEvent { cf: Some("{}".into()), ..get("http://a.test/now?a=%20") };
                    for (name, value) in fields {
                        let value = http::HeaderValue::from_bytes(value).expect("it may stand in a field");
                        event.headers.append(http::HeaderName::from_static(name), value);
                    }
                    told.push(app.text(event).await);
                }
                assert_eq!(told[0], told[2]);
                assert_eq!(told[1], told[2]);
            }
        });
    }

    #[test]
    fn what_the_script_changed_of_a_request_is_changed() {
        on_core(async {
            let app = bound(
                r#"const told = [];
                const asked = [
                    new Request(request, { headers: { accept: "text/plain" } }), new Request(request, { method: "DELETE" }),
                    new Request("http://b.test/else", request), request,
                ];
                for (const one of asked) told.push(await (await OTHER.fetch(one)).text());
                return new Response(told.join("\n"));"#,
                seen,
            );
            let mut event = get("http://a.test/");
            event.headers.insert("accept", "*/*".parse().unwrap());
            let told = [
                "GET http://a.test/ Some(0) None 1\naccept: \"text/plain\"",
                "DELETE http://a.test/ Some(0) None 1\naccept: \"*/*\"",
                "GET http://b.test/else Some(0) None 1\naccept: \"*/*\"",
                "GET http://a.test/ Some(0) None 1\naccept: \"*/*\"",
            ];
            assert_eq!(app.text(event).await, told.join("\n"));
        });
    }

    #[test]
    fn each_counts_as_a_call_to_the_outside() {
        on_core(async {
            let source = r#"export default { async fetch(request, { OTHER }) {
                let count = 0;
                try { for (;;) { await OTHER.fetch("http://b.test/"); count++; } }
                catch (error) { return Response.json([count, error.code]); }
            } };"#;
            let other = Handle::Service(Arc::new(Other(echo)));
            let app = setup(source).bind("OTHER", other).limits(|limits| limits.subrequests = 7).start();
            assert_eq!(app.text(get("http://a.test/")).await, r#"[7,"subrequests_exceeded"]"#);
        });
    }

    /// The time that another worker takes is its own.
    #[test]
    fn the_time_of_the_other_is_not_that_of_who_asks() {
        on_core(async {
            let source = r#"export default { async fetch(request, { OTHER }) {
                return OTHER.fetch("http://b.test/");
            } };"#;
            let other = Handle::Service(Arc::new(Other(|event: &FetchEvent| {
                let begun = std::time::Instant::now();
                while begun.elapsed().as_millis() < 500 {
                    std::hint::spin_loop();
                }
                echo(event)
            })));
            // Less than the other takes, and far more than the request itself.
            let app = setup(source).bind("OTHER", other).limits(|limits| limits.cpu_ms = 400).start();
            app.text(get("http://a.test/")).await;
            let record = app.kept.records.lock().unwrap().remove(0);
            assert!(record.invocations[0].usage.cpu.as_millis() < 400, "{:?}", record.invocations[0].usage);
        });
    }
}
