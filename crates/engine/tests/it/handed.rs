//! Handlers that return the promise of another request, whose answer need not come by them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Body, BodyError, code};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::Semaphore;
use worker::{Call, Event, Failure, FetchEvent, Handle, Invoker, Response};

use crate::fixture::{Running, collect, get, on_core, setup};

/// A worker whose answers come when they may.
struct Other {
    may: Semaphore,
    /// Requests that were given up.
    gone: AtomicUsize,
}

struct Bound(Arc<Other>);

/// A request that waits for its answer.
struct Waiting(Arc<Other>, bool);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.gone.fetch_add(usize::from(self.1), Ordering::Relaxed);
    }
}

impl Invoker for Bound {
    fn invoke(&self, _: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let Event::Fetch(event) = event else { unreachable!("only requests are sent here") };
        let other = self.0.clone();
        Box::pin(async move {
            let mut waiting = Waiting(other.clone(), true);
            other.may.acquire().await.expect("it is never closed").forget();
            waiting.1 = false;
            answer(&event)
        })
    }
}

/// `hello` with gzip.
const CODED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x106\x05\x00\x00\x00";

/// As its path has it.
fn answer(event: &FetchEvent) -> Result<Response, Failure> {
    let mut response = Response::new(Body::full(format!("{} {}", event.method, event.url)));
    response.headers_mut().insert("x-other", HeaderValue::from_static("it"));
    match event.url.rsplit('/').next().unwrap_or_default() {
        "failed" => return Err(Failure::new(&code::GUEST_EXCEPTION, "it threw")),
        "empty" => *response.status_mut() = StatusCode::NO_CONTENT,
        "teapot" => *response.status_mut() = StatusCode::IM_A_TEAPOT,
        "odd" => *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS,
        "streamed" => *response.body_mut() = in_pieces(),
        "coded" => {
            *response.body_mut() = Body::full(CODED);
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        _ => {}
    }
    Ok(response)
}

fn in_pieces() -> Body {
    let frames = ["in ", "pieces"].map(|piece| Ok::<_, BodyError>(Frame::data(Bytes::from_static(piece.as_bytes()))));
    Body::stream(StreamBody::new(futures_util::stream::iter(frames)))
}

/// A worker whose module is `source`, and `OTHER`, whose answers are all held back.
fn start(source: &str) -> (Running, Arc<Other>) {
    let other = Arc::new(Other { may: Semaphore::new(0), gone: AtomicUsize::new(0) });
    (setup(source).bind("OTHER", Handle::Service(Arc::new(Bound(other.clone())))).start(), other)
}

/// A request that is under way, as far as it goes.
fn begin(app: &Running, event: FetchEvent) -> LocalBoxFuture<'static, Result<Response, Failure>> {
    let run = app.instance.clone().run(app.call(), Event::Fetch(Box::new(event)));
    let mut begun: LocalBoxFuture<'static, Result<Response, Failure>> = Box::pin(async move { Ok(run.await?) });
    assert!((&mut begun).now_or_never().is_none(), "it waits");
    begun
}

/// Handlers that pass a request on and keep nothing of it: a function, and one that is `async`.
const PASS_ON: [&str; 2] = [
    "fetch(request, { OTHER }) { return OTHER.fetch(request); }",
    "async fetch(request, { OTHER }) { return OTHER.fetch(request); }",
];

/// The same, but the answer comes by the handler.
const AWAIT: &str = "async fetch(request, { OTHER }) { return await OTHER.fetch(request); }";

/// What came of a request, to be compared.
async fn told(outcome: Result<Response, Failure>) -> (u16, String, String) {
    match outcome {
        Ok(response) => {
            let mut headers: Vec<String> =
                response.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            headers.sort();
            let status = response.status().as_u16();
            (status, headers.join("\n"), format!("{:?}", collect(response).await))
        }
        Err(failure) => (0, failure.code.name.to_owned(), failure.detail),
    }
}

#[test]
fn what_another_answers_is_the_answer_whatever_it_is() {
    on_core(async {
        for path in ["plain", "failed", "empty", "teapot", "odd", "streamed", "coded"] {
            for accepts in ["gzip", "identity"] {
                for method in [Method::GET, Method::HEAD] {
                    let mut outcomes = Vec::new();
                    for handler in [PASS_ON[0], PASS_ON[1], AWAIT] {
                        let (app, other) = start(&format!("export default {{ {handler} }};"));
                        let mut event = FetchEvent { method: method.clone(), ..get(&format!("http://a.test/{path}")) };
                        event.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepts));
                        let answer = begin(&app, event);
                        other.may.add_permits(1);
                        outcomes.push(told(answer.await).await);
                        assert_eq!(app.instance.state().in_flight, 0, "{path}: the request is over");
                    }
                    assert_eq!(outcomes[0], outcomes[2], "{method} {path} {accepts}");
                    assert_eq!(outcomes[1], outcomes[2], "{method} {path} {accepts}");
                }
            }
        }
    });
}

/// The module's first request does `first`, with the promise as `asked`; every other says whether that is alive.
fn watched(first: &str) -> String {
    format!(
        "let watched;
         export default {{ fetch(request, {{ OTHER }}, ctx) {{
             if (watched !== undefined) return new Response(watched.deref() === undefined ? 'forgotten' : 'kept');
             const asked = OTHER.fetch(request);
             watched = new WeakRef(asked);
             {first}
         }} }};"
    )
}

#[test]
fn a_guest_that_keeps_nothing_of_what_it_passed_on_has_forgotten_it() {
    on_core(async {
        for (first, is_kept) in [
            ("return asked;", "forgotten"),
            ("return (async () => asked)();", "forgotten"),
            ("return asked.then((answer) => answer);", "kept"),
            ("return (async () => await asked)();", "kept"),
            ("globalThis.kept = asked; return asked;", "kept"),
            ("globalThis.kept = request; return asked;", "kept"),
            ("globalThis.kept = ctx; return asked;", "kept"),
            ("request.signal.onabort = () => {}; return asked;", "kept"),
            ("ctx.waitUntil(asked); return asked;", "kept"),
            ("setTimeout(() => {}, 60_000); return asked;", "kept"),
            ("asked.finally(() => {}); return asked;", "kept"),
            ("return asked.catch(() => new Response('mended'));", "kept"),
            ("OTHER.fetch(request); return asked;", "kept"),
        ] {
            let (app, other) = start(&watched(first));
            let answer = begin(&app, get("http://a.test/teapot"));
            assert_eq!(app.text(get("http://a.test/")).await, is_kept, "{first}");
            other.may.add_permits(2);
            assert_eq!(answer.await.expect("an answer").status(), StatusCode::IM_A_TEAPOT, "{first}");
        }
    });
}

#[test]
fn a_request_over_the_network_is_passed_on_too() {
    on_core(async {
        let source =
            "export default { async fetch(request) { return fetch('http://origin.test/' + request.method); } };";
        let app = setup(source)
            .net(|request| {
                let mut response = Response::new(in_pieces());
                response.headers_mut().insert("x-path", HeaderValue::from_str(request.url.path()).expect("a value"));
                response
            })
            .start();
        let response = app.run(get("http://a.test/")).await.expect("an answer");
        assert_eq!(response.headers()["x-path"], "/GET");
        assert_eq!(collect(response).await, "in pieces");
        assert_eq!(app.instance.state().in_flight, 0);
    });
}

#[test]
fn what_was_passed_on_is_given_up_with_its_client_unless_it_is_the_handlers_own() {
    on_core(async {
        let own = "fetch(request, { OTHER }) { return OTHER.fetch('http://other.test/'); }";
        for (handler, gone) in [(PASS_ON[0], 1), (PASS_ON[1], 1), (AWAIT, 1), (own, 0)] {
            let (app, other) = start(&format!("export default {{ {handler} }};"));
            drop(begin(&app, get("http://a.test/")));
            // What goes with it does so in a task.
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            assert_eq!(other.gone.load(Ordering::Relaxed), gone, "{handler}");
            other.may.add_permits(1);
            while app.instance.state().in_flight > 0 {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn a_script_that_listens_to_its_client_hears_that_it_left() {
    on_core(async {
        let source = "let left = 'no';
            export default { fetch(request, { OTHER }) {
                if (request.url.endsWith('/left')) return new Response(left);
                request.signal.addEventListener('abort', () => { left = 'yes'; });
                return OTHER.fetch('http://other.test/');
            } };";
        let (app, _other) = start(source);
        drop(begin(&app, get("http://a.test/")));
        while app.text(get("http://a.test/left")).await != "yes" {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn an_answer_that_does_not_come_is_a_failure_as_ever() {
    on_core(async {
        for handler in PASS_ON {
            let other = Arc::new(Other { may: Semaphore::new(0), gone: AtomicUsize::new(0) });
            let app = setup(&format!("export default {{ {handler} }};"))
                .bind("OTHER", Handle::Service(Arc::new(Bound(other.clone()))))
                .limits(|limits| limits.head_ms = 1)
                .start();
            assert_eq!(app.code(get("http://a.test/")).await, "head_timeout");
            while other.gone.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
}

/// A worker that answers within the call.
struct AtOnce;

impl Invoker for AtOnce {
    fn invoke(&self, _: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let Event::Fetch(event) = event else { unreachable!("only requests are sent here") };
        Box::pin(std::future::ready(answer(&event)))
    }
}

#[test]
fn what_is_answered_at_once_is_the_answer_whatever_it_is() {
    on_core(async {
        for path in ["plain", "failed", "empty", "teapot", "odd", "streamed", "coded"] {
            for method in [Method::GET, Method::HEAD] {
                let mut outcomes = Vec::new();
                let looked = "async fetch(request, { OTHER }) {
                    const answer = await OTHER.fetch(request);
                    void answer.headers;
                    return answer;
                }";
                for handler in [PASS_ON[0], PASS_ON[1], AWAIT, looked] {
                    let source = format!("export default {{ {handler} }};");
                    let app = setup(&source).bind("OTHER", Handle::Service(Arc::new(AtOnce))).start();
                    let event = FetchEvent { method: method.clone(), ..get(&format!("http://a.test/{path}")) };
                    outcomes.push(told(app.run(event).await).await);
                    assert_eq!(app.instance.state().in_flight, 0, "{path}: the request is over");
                }
                outcomes.iter().for_each(|outcome| assert_eq!(*outcome, outcomes[3], "{method} {path}"));
            }
        }
    });
}

#[test]
fn a_script_that_keeps_an_answer_finds_in_it_what_it_always_does() {
    on_core(async {
        let source = "let kept, promise;
            const mine = async (OTHER, url) => OTHER.fetch(url);
            export default { async fetch(request, { OTHER }) {
                const look = async (answer) =>
                    Response.json([answer.status, answer.url, answer.type, answer.headers.get('x-other'), answer.bodyUsed,
                        await answer.text().catch((error) => error.name)]);
                switch (new URL(request.url).pathname) {
                    case '/keep': kept = await OTHER.fetch('http://other.test/teapot'); return kept;
                    case '/kept': return look(kept);
                    case '/promise': promise = OTHER.fetch('http://other.test/teapot'); return promise;
                    case '/copy': kept = await OTHER.fetch('http://other.test/teapot'); return kept.clone();
                    case '/promised': return look(await promise);
                    case '/new': return new Response('own', await OTHER.fetch('http://other.test/teapot'));
                    case '/many': {
                        const all = [];
                        for (let n = 0; n < 40; n++) all.push(await OTHER.fetch('http://other.test/' + n));
                        return Response.json((await Promise.all(all.map((one) => one.text()))).filter((text, n) => text !== 'GET http://other.test/' + n));
                    }
                    default:
                        for (let n = 0; n < 40; n++) await mine(OTHER, 'http://other.test/' + n);
                        return mine(OTHER, 'http://other.test/last');
                }
            } };";
        let app = setup(source).bind("OTHER", Handle::Service(Arc::new(AtOnce))).start();
        let text = async |path: &str| app.text(get(&format!("http://a.test{path}"))).await;
        let whole = r#"[418,"http://other.test/teapot","basic","it",false,"GET http://other.test/teapot"]"#;
        assert_eq!(text("/keep").await, "GET http://other.test/teapot");
        assert_eq!(text("/kept").await, whole);
        assert_eq!(text("/promise").await, "GET http://other.test/teapot");
        assert_eq!(text("/promised").await, whole);
        assert_eq!(text("/copy").await, "GET http://other.test/teapot");
        assert_eq!(text("/kept").await, whole);
        assert_eq!(text("/new").await, "own");
        assert_eq!(text("/many").await, "[]");
        assert_eq!(text("/last").await, "GET http://other.test/last");
        assert_eq!(text("/last").await, "GET http://other.test/last");
    });
}

#[test]
fn a_response_of_an_object_of_another_class_is_none() {
    on_core(async {
        let source = "export default { async fetch(request, { OTHER }) {
            const answer = await OTHER.fetch(request);
            const status = Object.getOwnPropertyDescriptor(Response.prototype, 'status').get;
            let told;
            try { status.call({}); } catch (error) { told = error.message; }
            return Response.json([answer instanceof Response, Object.keys(answer), status.call(answer), told]);
        } };";
        let app = setup(source).bind("OTHER", Handle::Service(Arc::new(AtOnce))).start();
        let text = app.text(get("http://a.test/teapot")).await;
        assert_eq!(text, r#"[true,[],418,"this is no Response"]"#);
    });
}
