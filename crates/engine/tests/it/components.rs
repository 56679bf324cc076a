//! What components can do, and what becomes of those that misbehave.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::{Artifact, Body, BodyError, Secret, WorkerName, code};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use services::egress::EgressPolicy;
use telemetry::{Level, Phases, Start};
use worker::{Engine as _, Env, Event, Failure, FetchEvent, Fetcher, Handle, Outbound, Response};

use crate::fixture::*;

static RUST: &[u8] = include_bytes!("../fixtures/components/rust.wasm");
static C: &[u8] = include_bytes!("../fixtures/components/c.wasm");

fn rust() -> Setup {
    setup_artifact(Artifact::Component(RUST.to_vec()))
}

/// Sends an event to an instance of its own, as dispatch does.
async fn ask(app: &Running, event: FetchEvent) -> Result<Response, Failure> {
    Ok(app.fresh().run(app.call(), Event::Fetch(Box::new(event))).await?)
}

async fn text(app: &Running, event: FetchEvent) -> String {
    let response = ask(app, event).await.unwrap_or_else(|failure| panic!("{failure}"));
    String::from_utf8(collect(response).await.to_vec()).unwrap()
}

async fn failure(app: &Running, path: &str) -> Failure {
    match ask(app, at(path)).await {
        Ok(response) => panic!("{path} answered {}", response.status()),
        Err(failure) => failure,
    }
}

pub fn at(path: &str) -> FetchEvent {
    get(&format!("http://a.test/{path}"))
}

/// Waits until the record of the only request is complete.
async fn record(app: &Running) -> telemetry::Record {
    loop {
        if let Some(record) = app.kept.records.lock().unwrap().pop() {
            return record;
        }
        tokio::task::yield_now().await;
    }
}

fn lines(app: &Running) -> Vec<(Level, String)> {
    app.kept.lines.lock().unwrap().iter().map(|line| (line.level, line.text.clone())).collect()
}

type Frames = tokio::sync::mpsc::UnboundedSender<Result<Frame<Bytes>, BodyError>>;

/// A body that is written as the test goes on.
fn feed() -> (Frames, Body) {
    let (sender, mut frames) = tokio::sync::mpsc::unbounded_channel();
    (sender, Body::stream(StreamBody::new(futures_util::stream::poll_fn(move |cx| frames.poll_recv(cx)))))
}

#[test]
fn a_component_answers_and_is_recorded() {
    on_core(async {
        let app = rust().start();
        let response = ask(&app, at("hello")).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/plain");
        assert_eq!(collect(response).await, "hello from a.test");
        let record = record(&app).await;
        let [invocation] = &record.invocations[..] else { panic!("{record:?}") };
        let Start::Cold(phases) = invocation.start else { panic!("{invocation:?}") };
        assert!(phases.instantiate > Duration::ZERO && phases.first_response > Duration::ZERO, "{phases:?}");
        assert!(invocation.usage.cpu > Duration::ZERO && invocation.usage.memory_bytes > 0, "{:?}", invocation.usage);
        assert_eq!(invocation.failure, None);
    });
}

#[test]
fn the_request_arrives_as_it_was_sent() {
    on_core(async {
        let app = rust().start();
        let mut event = get("https://b.test:8443/describe/?q=1&r=%20");
        event.headers.insert("x-a", "1".parse().unwrap());
        event.headers.append("x-a", "2".parse().unwrap());
        event.headers.insert("host", "b.test:8443".parse().unwrap());
        event.headers.insert("connection", "keep-alive".parse().unwrap());
        assert_eq!(
            text(&app, event).await,
            "Method::Get Some(Scheme::Https) Some(\"b.test:8443\") Some(\"/describe/?q=1&r=%20\")\nx-a: 1\nx-a: 2"
        );
    });
}

#[test]
fn bodies_stream_in_both_directions_with_trailers() {
    on_core(async {
        let app = rust().start();
        let (sender, body) = feed();
        let mut response = ask(&app, post("http://a.test/echo", body)).await.unwrap();
        for n in 0..20 {
            // Each piece comes back before the next is sent.
            sender.send(Ok(Frame::data(Bytes::from(format!("piece {n}"))))).unwrap();
            let frame = response.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), format!("piece {n}"));
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "42".parse().unwrap());
        sender.send(Ok(Frame::trailers(trailers))).unwrap();
        drop(sender);
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap()["x-sum"], "42");
        assert!(response.body_mut().frame().await.is_none());
    });
}

#[test]
fn short_bodies_are_whole_and_trailers_and_slow_pieces_arrive() {
    on_core(async {
        let app = rust().start();
        // A component that a tick pauses between head and body answers with a stream; of a few, one
        // is not paused, even on a busy machine.
        let mut whole = None;
        for _ in 0..100 {
            whole = ask(&app, at("hello")).await.unwrap().into_body().take_whole();
            if whole.is_some() {
                break;
            }
        }
        assert_eq!(whole.expect("a short body needs no stream"), "hello from a.test");
        let mut body = ask(&app, at("trailers")).await.unwrap().into_body();
        assert_eq!(body.take_whole(), None);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "content");
        assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["x-sum"], "7");
        assert_eq!(text(&app, at("ticks")).await, "tick 0\ntick 1\ntick 2\ntick 3\ntick 4\n");
    });
}

#[test]
fn variables_and_secrets_are_in_the_store_and_variables_in_the_environment() {
    on_core(async {
        let app = rust()
            .bind("GREETING", Handle::Text("hi".into()))
            .bind("LIST", Handle::Json("[1]".into()))
            .bind("TOKEN", Handle::Secret(Secret::new("s3cret".into())))
            .start();
        assert_eq!(text(&app, at("config/GREETING")).await, "Ok(Some(\"hi\"))");
        assert_eq!(text(&app, at("config/TOKEN")).await, "Ok(Some(\"s3cret\"))");
        assert_eq!(text(&app, at("config/NOTHING")).await, "Ok(None)");
        let all = "Ok([(\"GREETING\", \"hi\"), (\"LIST\", \"[1]\"), (\"TOKEN\", \"s3cret\")])";
        assert_eq!(text(&app, at("config-all")).await, all);
        assert_eq!(text(&app, at("env")).await, "[(\"GREETING\", \"hi\"), (\"LIST\", \"[1]\")]");
    });
}

#[test]
fn kv_bindings_are_buckets_by_their_names() {
    on_core(async {
        let app = rust().bind("KV", crate::node::kv()).bind("TEXT", Handle::Text("no bucket".into())).start();
        let steps = |steps: &str| text(&app, at(&format!("kv/{steps}"))).boxed_local();
        let shown = steps("set:a:one/get:a:/exists:a:/exists:b:/get:b:/delete:a:/get:a:").await;
        assert_eq!(shown, "()\nSome(\"one\")\ntrue\nfalse\nNone\n()\nNone");
        let shown = steps("add:n:5/add:n:-7/get:n:/set:t:text/add:t:1").await;
        assert!(shown.starts_with("5\n-2\nSome(\"-2\")\n()\nError::Other(\"not_a_counter: "), "{shown}");
        assert_eq!(steps("set:a:one/swap:a:two/get:a:").await, "()\ntrue Some(\"meanwhile\") true\nSome(\"two\")");
        let shown = steps("many::x,y,z/exists:x:/exists:y:/list::").await;
        let all = "x=Some(\"x\") y=Some(\"y\") z=Some(\"z\") none=None";
        assert_eq!(shown, format!("{all}\nfalse\ntrue\n[\"a\", \"n\", \"t\", \"y\", \"z\"] None"));
        let shown = steps("open:TEXT:/open:NONE:/open:KV:/set::x/long:k:/list:nonsense:").await;
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[..3], ["Err(Error::NoSuchStore)", "Err(Error::NoSuchStore)", "Ok(())"]);
        for (line, code) in lines[3..].iter().zip(["key_empty", "key_too_long", "bad_cursor"]) {
            assert!(line.starts_with(&format!("Error::Other(\"{code}: ")), "{line}");
        }
        let record = record(&app).await;
        let usage = &record.invocations[0].usage;
        assert!(usage.kv_writes > 0 || usage.kv_reads > 0, "{usage:?}");
    });
}

#[test]
fn calls_of_buckets_are_sub_requests() {
    on_core(async {
        let app = rust().bind("KV", crate::node::kv()).limits(|limits| limits.subrequests = 2).start();
        let shown = text(&app, at("kv/set:a:1/get:a:/get:a:/add:n:1")).await;
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[..2], ["()", "Some(\"1\")"]);
        assert!(lines[2..].iter().all(|line| line.contains("subrequests_exceeded: ")), "{shown}");
    });
}

fn fetching(target: &str, body: Body) -> FetchEvent {
    let mut event = post("http://a.test/fetch", body);
    event.headers.insert("x-target", target.parse().unwrap());
    event
}

#[test]
fn requests_go_out_through_the_fetcher() {
    on_core(async {
        let app = rust()
            .net(|request| {
                assert_eq!(request.url.as_str(), "https://out.test:8443/a?b=c");
                assert_eq!(request.headers["x-from"], "component");
                assert!(!request.headers.contains_key("host"), "{:?}", request.headers);
                let mut response = Response::new(Body::full(request.method.to_string()));
                response.headers_mut().insert("x-trace", request.headers["traceparent"].clone());
                response
            })
            .start();
        let answer = text(&app, fetching("https://out.test:8443/a?b=c", Body::empty())).await;
        assert!(answer.starts_with("200 00-") && answer.ends_with(" GET"), "{answer}");
        let answer = text(&app, fetching("https://out.test:8443/a?b=c", Body::full("content"))).await;
        assert!(answer.ends_with(" POST"), "{answer}");
        assert_eq!(record(&app).await.invocations[0].usage.subrequests, 1);
    });
}

/// Refuses every request, as the connector does with a forbidden address.
struct NoNet;

impl Fetcher for NoNet {
    fn fetch(&self, _: Arc<EgressPolicy>, _: Outbound) -> BoxFuture<'static, Result<Response, Failure>> {
        Box::pin(async { Err(Failure::new(&code::EGRESS_DENIED, "127.0.0.1 is a loopback address")) })
    }
}

#[test]
fn a_refused_request_is_an_error_code() {
    on_core(async {
        let app = rust().start();
        let env = Arc::new(Env {
            app: "test".into(),
            worker: WorkerName::parse("web").unwrap(),
            bindings: vec![],
            limits: app.env.limits.clone(),
            egress: app.env.egress.clone(),
            fetcher: Arc::new(NoNet),
            responses: app.env.responses.clone(),
            source_map: None,
            dev: true,
        });
        let instance = app.program.clone().instantiate(&app.core, &env, &Cell::new(Phases::default())).unwrap();
        let event = Event::Fetch(Box::new(fetching("http://127.0.0.1/", Body::empty())));
        let response = instance.run(app.call(), event).await.unwrap();
        assert_eq!(collect(response).await, "ErrorCode::HttpRequestDenied");
    });
}

#[test]
fn too_many_subrequests_are_refused_by_name() {
    on_core(async {
        let app = rust().limits(|limits| limits.subrequests = 3).start();
        assert_eq!(text(&app, at("fetches/3")).await, "None");
        let answer = text(&app, at("fetches/4")).await;
        assert!(answer.contains("subrequests_exceeded") && answer.contains("limits.subrequests"), "{answer}");
    });
}

#[test]
fn nothing_but_http_leads_outside() {
    on_core(async {
        let app = rust().start();
        for path in ["files", "connect"] {
            let answer = text(&app, at(path)).await;
            assert!(answer.starts_with("Err("), "{path}: {answer}");
        }
    });
}

#[test]
fn random_numbers_differ_and_clocks_tick_in_milliseconds() {
    on_core(async {
        let app = rust().start();
        assert_ne!(text(&app, at("random")).await, text(&app, at("random")).await);
        let clock = text(&app, at("clock")).await;
        let parts: Vec<u64> = clock.split(' ').map(|part| part.parse().unwrap()).collect();
        assert_eq!((parts[0] % 1_000_000, parts[2] % 1_000_000), (0, 0), "{clock}");
        assert!(parts[1] > 1_700_000_000, "{clock}");
    });
}

#[test]
fn output_becomes_lines_of_the_log_up_to_its_limit() {
    on_core(async {
        let app = rust().limits(|limits| limits.log_bytes = 1000).start();
        assert_eq!(text(&app, at("log/1")).await, "logged");
        record(&app).await;
        let line = |level, text: &str| (level, text.to_owned());
        let first = line(Level::Info, &format!("line 0 {}", "x".repeat(80)));
        assert_eq!(lines(&app), [first, line(Level::Error, "to stderr"), line(Level::Error, "without an end")]);
        app.kept.lines.lock().unwrap().clear();
        assert_eq!(text(&app, at("log/1000")).await, "logged");
        let lines = lines(&app);
        assert_eq!(lines.len(), 12, "eleven lines and the notice");
        assert!(lines[11].0 == Level::Warn && lines[11].1.contains("limits.log_bytes"), "{:?}", lines[11]);
    });
}

#[test]
fn an_endless_loop_ends_and_leaves_the_core_to_others_meanwhile() {
    on_core(async {
        let app = rust().limits(|limits| limits.cpu_ms = 200).start();
        let looping = tokio::task::spawn_local(app.fresh().run(app.call(), Event::Fetch(Box::new(at("loop")))));
        let mut answered = 0;
        while !looping.is_finished() {
            assert_eq!(text(&app, at("hello")).await, "hello from a.test");
            answered += 1;
        }
        assert!(answered > 20, "only {answered} requests were answered beside the loop");
        let failure = looping.await.unwrap().unwrap_err().failure;
        assert_eq!(failure.code.name, "cpu_exceeded");
        assert!(failure.detail.contains("200 ms"), "{failure}");
    });
}

#[test]
fn endless_allocation_ends_the_instance() {
    on_core(async {
        let app = rust().limits(|limits| limits.memory_mib = 16).start();
        assert_eq!(failure(&app, "allocate").await.code.name, "memory_exceeded");
        let app = rust().limits(|limits| limits.memory_mib = 16).start();
        assert_eq!(text(&app, at("hello")).await, "hello from a.test");
    });
}

#[test]
fn a_trap_is_reported_with_its_stack_and_what_it_printed() {
    on_core(async {
        let app = rust().start();
        let instance = app.fresh();
        let failure = instance.clone().run(app.call(), Event::Fetch(Box::new(at("trap")))).await.unwrap_err().failure;
        assert_eq!(failure.code.name, "guest_trap");
        assert!(failure.detail.contains("unreachable"), "{failure}");
        assert!(failure.stack.is_some_and(|stack| stack.contains("handle")));
        assert!(instance.state().lost);
        let printed = lines(&app);
        assert!(printed.iter().any(|(_, text)| text.contains("was asked to panic")), "{printed:?}");
        assert_eq!(record(&app).await.invocations[0].failure.unwrap().name, "guest_trap");
    });
}

#[test]
fn a_handler_that_sets_no_response_is_named() {
    on_core(async {
        let app = rust().start();
        let silent = failure(&app, "silent").await;
        assert_eq!(silent.code.name, "invalid_response");
        assert!(silent.detail.contains("response-outparam.set"), "{silent}");
        let refused = failure(&app, "refuse").await;
        assert_eq!(refused.code.name, "guest_exception");
        assert!(refused.detail.contains("no thanks"), "{refused}");
    });
}

#[test]
fn a_late_head_times_out() {
    on_core(async {
        let app = rust().limits(|limits| limits.head_ms = 20).start();
        assert_eq!(failure(&app, "slow").await.code.name, "head_timeout");
        assert_eq!(record(&app).await.invocations[0].failure.unwrap().name, "head_timeout");
    });
}

#[test]
fn a_client_that_leaves_before_the_head_ends_the_handler() {
    on_core(async {
        let app = rust().start();
        let instance = app.fresh();
        let mut waiting = instance.clone().run(app.call(), Event::Fetch(Box::new(at("slow"))));
        assert!((&mut waiting).now_or_never().is_none());
        while instance.state().in_flight == 0 {
            tokio::task::yield_now().await;
        }
        drop(waiting);
        assert_eq!(record(&app).await.invocations[0].failure.unwrap().name, "client_gone");
        assert_eq!(instance.state().in_flight, 0);
    });
}

#[test]
fn work_goes_on_after_the_response_and_belongs_to_its_record() {
    on_core(async {
        let app = rust().start();
        assert_eq!(text(&app, at("after/5")).await, "early");
        assert!(app.kept.records.lock().unwrap().is_empty(), "the handler is at work");
        assert_eq!(record(&app).await.invocations[0].failure, None);
        assert_eq!(lines(&app), [(Level::Info, "done after the response".to_owned())]);
    });
}

#[test]
fn work_after_the_response_is_bounded() {
    on_core(async {
        let app = rust().limits(|limits| limits.wait_until_ms = 20).start();
        assert_eq!(text(&app, at("after/60000")).await, "early");
        assert_eq!(record(&app).await.invocations[0].failure.unwrap().name, "wait_until_exceeded");
    });
}

#[test]
fn half_a_body_is_never_taken_for_the_whole() {
    on_core(async {
        let app = rust().start();
        for (path, expected) in [("half", "guest_trap"), ("short", "guest_exception")] {
            let response = ask(&app, at(path)).await.unwrap();
            let error = response.into_body().collect(1 << 20).await.unwrap_err();
            assert_eq!(error.code.name, expected, "{path}: {error}");
        }
    });
}

#[test]
fn a_response_that_stands_still_is_given_up() {
    on_core(async {
        let app = rust().limits(|limits| limits.stream_idle_ms = 20).start();
        let response = ask(&app, at("stall")).await.unwrap();
        let error = response.into_body().collect(1 << 20).await.unwrap_err();
        assert_eq!(error.code.name, "stream_idle");
        assert!(error.detail.contains("20 ms (limits.stream_idle_ms)"), "{error}");
        assert_eq!(record(&app).await.invocations[0].failure.unwrap().name, "stream_idle");
    });
}

#[test]
fn a_request_body_that_fails_or_stands_still_is_no_end() {
    on_core(async {
        let app = rust().limits(|limits| limits.stream_idle_ms = 20).start();
        let (sender, body) = feed();
        sender.send(Ok(Frame::data(Bytes::from_static(b"first")))).unwrap();
        let response = ask(&app, post("http://a.test/echo", body)).await.unwrap();
        assert!(response.into_body().collect(1 << 20).await.is_err());
        let (sender, body) = feed();
        sender.send(Err(BodyError::gone())).unwrap();
        let response = ask(&app, post("http://a.test/echo", body)).await.unwrap();
        assert_eq!(response.into_body().collect(1 << 20).await.unwrap_err().code.name, "guest_exception");
        let printed = lines(&app);
        assert!(printed.iter().any(|(_, text)| text.contains("connection terminated")), "{printed:?}");
    });
}

#[test]
fn a_reader_that_leaves_is_heard_of_and_the_handler_goes_on() {
    on_core(async {
        let app = rust().start();
        let (sender, body) = feed();
        let response = ask(&app, post("http://a.test/echo", body)).await.unwrap();
        drop(response);
        sender.send(Ok(Frame::data(Bytes::from_static(b"nobody reads this")))).unwrap();
        assert_eq!(record(&app).await.invocations[0].failure, None);
    });
}

#[test]
fn an_instance_serves_one_event() {
    on_core(async {
        let app = rust().start();
        let instance = app.fresh();
        let run = |path| Rc::clone(&instance).run(app.call(), Event::Fetch(Box::new(at(path))));
        collect(run("hello").await.unwrap()).await;
        assert_eq!(run("hello").await.unwrap_err().failure.code.name, "instance_lost");
    });
}

#[test]
fn a_prepared_component_is_found_again() {
    let artifact = Artifact::Component(RUST.to_vec());
    engine().prepare(&artifact, &Default::default()).unwrap();
    assert!(!engine().prepare(&artifact, &Default::default()).unwrap().fresh);
}

/// The fixture with a name in it replaced by another of the same length.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = RUST.to_vec();
    let places: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, w)| *w == from.as_bytes()).map(|(i, _)| i).collect();
    assert!(!places.is_empty(), "{from} is not in the fixture");
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn what_is_no_component_for_this_host_is_refused_with_a_reason() {
    let refusal = |bytes: Vec<u8>| {
        let failure = engine().prepare(&Artifact::Component(bytes), &Default::default()).expect_err("it is refused");
        assert_eq!(failure.code.name, "bad_component");
        failure.detail
    };
    let check = |bytes: Vec<u8>, expected: &[&str]| {
        let detail = refusal(bytes);
        assert!(expected.iter().all(|part| detail.contains(part)), "{detail}");
    };
    check(b"GIF89a".to_vec(), &["not WebAssembly"]);
    check(b"\0asm\x01\0\0\0".to_vec(), &["core module", "wasm-tools component new"]);
    check(RUST[..RUST.len() / 2].to_vec(), &["cut short", "build it again"]);
    let mut damaged = RUST.to_vec();
    damaged[40] ^= 0xff;
    check(damaged, &["not valid", "build it again"]);
    let imports = renamed("wasi:config/store@0.2.0-rc.1", "acme:config/store@0.2.0-rc.1");
    check(imports, &["`acme:config/store@0.2.0-rc.1`", "not granted", "wasi:config/store"]);
    let exports = renamed("wasi:http/incoming-handler@0.2.12", "acme:http/incoming-handler@0.2.12");
    check(exports, &["`acme:http/incoming-handler@0.2.12`", "wasi:http/incoming-handler@0.2", "wasi:http/proxy"]);
}

#[test]
fn a_component_in_another_language_speaks_the_same_contract() {
    on_core(async {
        let app = setup_artifact(Artifact::Component(C.to_vec())).bind("GREETING", Handle::Text("hi".into())).start();
        let response = ask(&app, at("hello")).await.unwrap();
        assert_eq!(response.headers()["x-language"], "c");
        assert_eq!(collect(response).await, "hello from C");
        assert_eq!(text(&app, at("config")).await, "hi");
        let large: String = (0..100_000).map(|n| format!("{n},")).collect();
        assert_eq!(text(&app, post("http://a.test/echo", Body::full(large.clone()))).await, large);
        assert_eq!(ask(&app, at("nothing")).await.unwrap().status(), 404);
        assert_eq!(failure(&app, "trap").await.code.name, "guest_trap");
    });
}

#[test]
fn the_recipe_works() {
    on_core(async {
        let recipe = include_bytes!("../../../../recipes/component/component.wasm");
        let app =
            setup_artifact(Artifact::Component(recipe.to_vec())).bind("GREETING", Handle::Text("Hej".into())).start();
        assert_eq!(text(&app, at("hello/Ada")).await, "{\"message\":\"Hej, Ada!\"}\n");
        let counted = text(&app, post("http://a.test/stats", Body::full("one two\nthree"))).await;
        assert_eq!(counted, "{\"bytes\":13,\"lines\":1,\"words\":3}\n");
        assert_eq!(ask(&app, at("stats")).await.unwrap().headers()["allow"], "POST");
    });
}
