//! WebSockets of scripts: the test holds the end that the edge would.

use std::sync::{Arc, Mutex};

use base::socket::{self, Ended, Message, Received, SocketEnd, Upgrade};
use base::{SocketOptions, WorkerLimits};
use futures_util::future::LocalBoxFuture;
use worker::{Call, Event, Failure, FetchEvent, Handle, Invoker, Response};

use crate::fixture::*;

/// Echoes, and does what some messages ask for.
const ECHO: &str = "export default { fetch(request, env, ctx) {
  if (request.headers.get('upgrade') !== 'websocket') return new Response('no socket');
  const [client, server] = Object.values(new WebSocketPair());
  server.accept();
  server.addEventListener('message', async ({ data }) => {
    if (data === 'close') return server.close(3001, 'as you wish');
    if (data === 'spin') for (;;);
    if (data === 'stuck') return new Uint8Array(60 << 20).sort();
    if (data === 'work') { let x = 0; for (let i = 0; i < 300000; i++) x += i; }
    if (data === 'fetch') return server.send(await (await env.OTHER.fetch('http://x/')).text());
    if (data === 'flood') { try { for (;;) server.send('x'.repeat(1000)); } catch (e) { console.log(e.code) } return; }
    if (data === 'large') { try { server.send('x'.repeat(2000)); } catch (e) { server.send(e.code) } return; }
    server.send(data);
  });
  server.addEventListener('close', async ({ code, reason, wasClean }) => {
    console.log(`closed ${code} ${reason} ${wasClean}`);
    if (env.OTHER) console.log(await (await env.OTHER.fetch('http://x/')).text());
  });
  return new Response(null, { status: 101, webSocket: client, headers: { 'sec-websocket-protocol': 'echo' } });
} }";

fn upgrade() -> FetchEvent {
    let mut event = get("http://a.test/");
    event.headers.insert("upgrade", http::HeaderValue::from_static("websocket"));
    event
}

async fn open(app: &Running) -> SocketEnd {
    let mut response = app.run(upgrade()).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(response.status(), 101);
    Upgrade::take(&mut response).expect("the answer brings a socket")
}

fn text(text: &str) -> Received {
    Received::Message(Message::text(text))
}

fn say(end: &SocketEnd, what: &str) {
    end.send(Message::text(what)).unwrap();
}

async fn end_of(end: &SocketEnd) -> Ended {
    loop {
        if let Received::Ended(ended) = end.receive().await {
            return ended;
        }
    }
}

impl Running {
    fn lines(&self) -> Vec<String> {
        self.kept.lines.lock().unwrap().iter().map(|line| line.text.clone()).collect()
    }

    async fn record(&self) -> telemetry::Record {
        while self.kept.records.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        self.kept.records.lock().unwrap().remove(0)
    }
}

/// Answers by a function; keeps nothing.
struct Other<F>(F);

impl<F: Fn(FetchEvent) -> Response + Send + Sync + 'static> Invoker for Other<F> {
    fn invoke(&self, _: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let Event::Fetch(event) = event else { unreachable!() };
        let response = (self.0)(*event);
        Box::pin(async move { Ok(response) })
    }
}

fn other(answer: impl Fn(FetchEvent) -> Response + Send + Sync + 'static) -> Handle {
    Handle::Service(Arc::new(Other(answer)))
}

fn plain(body: &'static str) -> Response {
    Response::new(base::Body::full(body))
}

#[test]
fn messages_go_both_ways_and_the_record_is_written_at_the_end() {
    on_core(async {
        let app = setup(ECHO).start();
        let end = open(&app).await;
        say(&end, "hello");
        assert_eq!(end.receive().await, text("hello"));
        end.send(Message::Binary(vec![0, 255, 7].into())).unwrap();
        assert_eq!(end.receive().await, Received::Message(Message::Binary(vec![0, 255, 7].into())));
        assert_eq!(app.instance.state().in_flight, 1, "an open socket keeps its invocation");
        assert!(app.kept.records.lock().unwrap().is_empty());
        end.close(Ended::new(1000, "bye").cleanly());
        let record = app.record().await;
        assert!(record.invocations[0].failure.is_none() && !record.invocations[0].usage.cpu.is_zero());
        assert_eq!(app.lines(), ["closed 1000 bye true"]);
        assert_eq!(app.instance.state().in_flight, 0);
        assert_eq!(app.text(get("http://a.test/")).await, "no socket");
    });
}

#[test]
fn the_worker_closes() {
    on_core(async {
        let app = setup(ECHO).start();
        let end = open(&app).await;
        say(&end, "close");
        assert_eq!(end_of(&end).await, Ended::new(3001, "as you wish").cleanly());
        // As the wire answers a close.
        end.close(Ended::new(3001, "").cleanly());
        app.record().await;
        assert_eq!(app.lines(), ["closed 3001  true"]);
    });
}

#[test]
fn the_cpu_limit_is_for_each_message() {
    on_core(async {
        let app = setup(ECHO).limits(|l| l.cpu_ms = 300).start();
        let (end, neighbour) = (open(&app).await, open(&app).await);
        let mut total = 0;
        while total < 40 {
            say(&end, "work");
            assert_eq!(end.receive().await, text("work"));
            total += 1;
        }
        say(&end, "spin");
        let ended = end_of(&end).await;
        assert_eq!((ended.code, ended.cause.map(|cause| cause.name)), (1011, Some("cpu_exceeded")));
        let record = app.record().await;
        assert_eq!(record.invocations[0].failure.map(|code| code.name), Some("cpu_exceeded"));
        assert!(record.invocations[0].usage.cpu.as_millis() > 300, "all that it used is in its record");
        say(&neighbour, "still here");
        assert_eq!(neighbour.receive().await, text("still here"));
    });
}

#[test]
fn an_instance_that_is_lost_takes_its_sockets_along() {
    on_core(async {
        let app = setup(ECHO).limits(|l| l.cpu_ms = 50).start();
        let (culprit, neighbour) = (open(&app).await, open(&app).await);
        say(&culprit, "stuck");
        for (end, expect) in [(culprit, "cpu_exceeded"), (neighbour, "instance_lost")] {
            let ended = end_of(&end).await;
            assert_eq!((ended.code, ended.cause.map(|cause| cause.name)), (1011, Some(expect)));
            app.record().await;
        }
        assert!(app.instance.state().lost);
    });
}

#[test]
fn each_message_has_its_own_subrequests() {
    on_core(async {
        let app = setup(ECHO).limits(|l| l.subrequests = 1).bind("OTHER", other(|_| plain("other"))).start();
        let end = open(&app).await;
        for _ in 0..5 {
            say(&end, "fetch");
            assert_eq!(end.receive().await, text("other"));
        }
        // What a handler of the end begins is still done.
        end.close(Ended::new(1000, "").cleanly());
        let record = app.record().await;
        assert_eq!(record.invocations[0].usage.subrequests, 6);
        assert_eq!(app.lines(), ["closed 1000  true", "other"]);
    });
}

#[test]
fn a_worker_accepts_late_and_finishes_after_the_end() {
    on_core(async {
        let source = "export default { fetch(request, env, ctx) {
            const [client, server] = Object.values(new WebSocketPair());
            const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
            pause().then(() => server.accept());
            server.onmessage = ({ data }) => server.send(data);
            server.onclose = () => ctx.waitUntil(pause().then(() => console.log('after the end')));
            return new Response(null, { status: 101, webSocket: client });
          } }";
        let app = setup(source).start();
        let end = open(&app).await;
        say(&end, "early");
        assert_eq!(end.receive().await, text("early"));
        end.close(Ended::new(1000, "").cleanly());
        let record = app.record().await;
        assert!(record.invocations[0].failure.is_none());
        assert_eq!(app.lines(), ["after the end"]);
    });
}

#[test]
fn a_peer_that_takes_nothing_ends_the_socket() {
    on_core(async {
        let app = setup(ECHO).limits(|l| (l.socket_buffer_bytes, l.memory_mib) = (64 << 10, 32)).start();
        let end = open(&app).await;
        say(&end, "flood");
        end.aborted().await;
        let ended = end_of(&end).await;
        assert_eq!((ended.code, ended.cause.map(|cause| cause.name)), (1011, Some("socket_overflow")));
        drop(end);
        app.record().await;
        assert_eq!(app.lines(), ["socket_overflow", "closed 1006  false"]);
    });
}

#[test]
fn a_message_beyond_the_limit_is_refused() {
    on_core(async {
        let app = setup(ECHO).limits(|l| l.socket_message_bytes = 1000).start();
        let end = open(&app).await;
        say(&end, "large");
        assert_eq!(end.receive().await, text("socket_message_too_large"));
    });
}

#[test]
fn a_fresh_instance_lives_as_long_as_its_socket() {
    on_core(async {
        let app = setup(ECHO).start();
        let fresh = app.fresh();
        let event = Event::Fetch(Box::new(upgrade()));
        let mut response = fresh.clone().run(app.call(), event).await.unwrap();
        let end = Upgrade::take(&mut response).unwrap();
        say(&end, "a");
        assert_eq!(end.receive().await, text("a"));
        fresh.retire();
        let ended = end_of(&end).await;
        assert_eq!((ended.code, ended.reason.as_str()), (1012, "the worker was replaced"));
        end.close(Ended::new(1012, "").cleanly());
        app.record().await;

        let end = open(&app).await;
        drop(end);
        app.record().await;
        assert_eq!(app.lines().last().unwrap(), "closed 1006  false");
    });
}

#[test]
fn an_instance_has_only_so_many_sockets() {
    on_core(async {
        let app = setup(ECHO).limits(|l| l.sockets = 1).start();
        let end = open(&app).await;
        assert_eq!(app.code(upgrade()).await, "too_many_sockets");
        say(&end, "x");
        assert_eq!(end.receive().await, text("x"));
        end.close(Ended::new(1000, ""));
        app.record().await;
        app.record().await;
        open(&app).await;
    });
}

#[test]
fn a_101_without_a_socket_is_the_workers_fault() {
    on_core(async {
        let app = setup("export default { fetch() { return new Response(null, { status: 101 }) } }").start();
        assert_eq!(app.code(upgrade()).await, "guest_exception");
        let app = setup(
            "let kept; export default { fetch() {
               if (!kept) { const p = new WebSocketPair(); kept = new Response(null, { status: 101, webSocket: p[0] }) }
               return kept } }",
        )
        .limits(|l| l.wait_until_ms = 30)
        .start();
        // Nobody accepts the other end, for which there is a time.
        let end = open(&app).await;
        assert_eq!(end_of(&end).await.code, 1011);
        assert_eq!(app.code(upgrade()).await, "invalid_response");
    });
}

/// A pair whose one end a fake server keeps.
fn kept_pair() -> (Response, Arc<Mutex<Option<SocketEnd>>>) {
    let (near, far) = socket::pair(SocketOptions::from(&WorkerLimits::default()));
    let mut response = Response::new(base::Body::empty());
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    Upgrade::attach(&mut response, near);
    (response, Arc::new(Mutex::new(Some(far))))
}

#[test]
fn an_upgrade_passes_through_a_service_binding_and_leaves_no_trace() {
    on_core(async {
        let kept: Arc<Mutex<Vec<SocketEnd>>> = Arc::default();
        let keep = kept.clone();
        let answer = move |event: FetchEvent| {
            assert_eq!(event.headers["upgrade"], "websocket");
            let (response, far) = kept_pair();
            keep.lock().unwrap().extend(far.lock().unwrap().take());
            response
        };
        let source = "export default { fetch(request, env) { return env.OTHER.fetch(request) } }";
        let app = setup(source).bind("OTHER", other(answer)).start();
        let end = open(&app).await;
        app.record().await;
        assert_eq!(app.instance.state().in_flight, 0, "the two talk directly");
        let server = kept.lock().unwrap().pop().unwrap();
        say(&end, "there");
        assert_eq!(server.receive().await, text("there"));
        say(&server, "back");
        assert_eq!(end.receive().await, text("back"));
    });
}

#[test]
fn a_worker_speaks_to_a_server_as_a_client() {
    on_core(async {
        let kept: Arc<Mutex<Vec<SocketEnd>>> = Arc::default();
        let keep = kept.clone();
        let source = "export default { async fetch(request) {
            if (new URL(request.url).pathname === '/new') {
              const socket = new WebSocket('wss://b.test/chat', ['one', 'two']);
              const said = await new Promise((resolve) => {
                socket.onopen = () => socket.send('from new ' + socket.protocol);
                socket.onmessage = ({ data }) => { resolve(data); socket.close(1000) };
                socket.onerror = (e) => resolve('error ' + e.error.code);
              });
              return new Response(said);
            }
            const { webSocket } = await fetch('http://b.test/', { headers: { Upgrade: 'websocket' } });
            webSocket.accept();
            webSocket.send('from fetch');
            return new Response(await new Promise((resolve) => { webSocket.onmessage = ({ data }) => resolve(data) }));
          } }";
        let app = setup(source)
            .net(move |request| {
                if request.url.path() == "/chat" {
                    assert_eq!(request.url.as_str(), "https://b.test/chat");
                    assert_eq!(request.headers["sec-websocket-protocol"], "one, two");
                }
                let (mut response, far) = kept_pair();
                response.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static("two"));
                let far = far.lock().unwrap().take().unwrap();
                keep.lock().unwrap().push(far);
                response
            })
            .start();
        for (path, expect) in [("http://a.test/new", "from new two"), ("http://a.test/", "from fetch")] {
            let answer = app.text(get(path));
            let server = async {
                while kept.lock().unwrap().is_empty() {
                    tokio::task::yield_now().await;
                }
                let server = kept.lock().unwrap().pop().unwrap();
                assert_eq!(server.receive().await, text(expect));
                say(&server, "welcome");
                server
            };
            let (answer, server) = tokio::join!(answer, server);
            assert_eq!(answer, "welcome");
            if path.ends_with("new") {
                assert_eq!(end_of(&server).await, Ended::new(1000, "").cleanly());
            }
            server.close(Ended::new(1000, "").cleanly());
            app.record().await;
        }
        assert_eq!(app.instance.state().in_flight, 0);
    });
}

#[test]
fn a_socket_that_cannot_be_opened_is_an_error_event() {
    on_core(async {
        let source = "export default { fetch() { return new Promise((resolve) => {
            const socket = new WebSocket('ws://b.test/');
            socket.onerror = ({ error }) => resolve(new Response(error.code));
          }) } }";
        assert_eq!(setup(source).start().text(get("http://a.test/")).await, "upstream_protocol");
    });
}
