//! What becomes of the other requests when one ends their instance.

use base::Body;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use worker::{Ended, Event, FetchEvent, Response};

use crate::fixture::*;

/// Waits in as many ways as a request can, and dies in a native loop that no interrupt reaches.
const WAITING: &str = "
let lent;
const later = () => new Promise(resolve => setTimeout(resolve, 60000));
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/die') 3n ** 9000000n;
    console.log(pathname);
    switch (pathname) {
      case '/timer': await later(); break;
      case '/cancelled': await request.body.cancel(); await later(); break;
      case '/fetch': await (await fetch('http://out.test/')).text(); break;
      case '/read': await request.body.getReader().read(); console.log('read'); await later(); break;
      case '/lend': lent = request.body; await later(); break;
      case '/borrow': await lent.getReader().read(); console.log('read'); await later(); break;
      case '/stream': return new Response(new ReadableStream({ async pull(c) { c.enqueue(new TextEncoder().encode('a')); await later() } }));
      case '/echo': return new Response(await request.text());
    }
  },
};";

fn waiting() -> Running {
    let endless = |_: &worker::Outbound| Response::new(pieces(["x"], true));
    setup(WAITING).limits(|l| l.cpu_ms = 20).net(endless).start()
}

/// A body that comes in pieces; one that is open has no end.
fn pieces(pieces: impl IntoIterator<Item = &'static str>, open: bool) -> Body {
    let pieces: Vec<_> = pieces.into_iter().map(|piece| Ok(Frame::data(Bytes::from(piece)))).collect();
    let pieces = futures_util::stream::iter(pieces);
    if open {
        return Body::stream(StreamBody::new(futures_util::StreamExt::chain(pieces, futures_util::stream::pending())));
    }
    Body::stream(StreamBody::new(pieces))
}

async fn until_logged(app: &Running, lines: usize) {
    while app.kept.lines.lock().unwrap().len() < lines {
        tokio::task::yield_now().await;
    }
}

fn enter(app: &Running, event: FetchEvent) -> tokio::task::JoinHandle<Result<Response, Ended>> {
    tokio::task::spawn_local(app.instance.clone().run(app.call(), Event::Fetch(Box::new(event))))
}

async fn die(app: &Running) {
    assert_eq!(app.code(get("http://a.test/die")).await, "cpu_exceeded");
    assert!(app.instance.state().lost);
}

/// How a request ends that has logged so many lines when another one ends the instance.
async fn ended(app: &Running, event: FetchEvent, lines: usize) -> Ended {
    let waits = enter(app, event);
    until_logged(app, lines).await;
    die(app).await;
    let ended = waits.await.unwrap().unwrap_err();
    assert_eq!(ended.failure.code.name, "instance_lost");
    ended
}

fn check(event: FetchEvent, lines: usize, comes_back: bool) {
    on_core(async {
        let url = event.url.clone();
        let ended = ended(&waiting(), event, lines).await;
        assert_eq!(ended.again.is_some(), comes_back, "{url}");
    });
}

#[test]
fn a_request_that_waits_for_a_timer_comes_back_as_it_was() {
    on_core(async {
        let mut event = post("http://a.test/timer", Body::full("hello"));
        event.headers.insert("x-a", "b".parse().unwrap());
        let again = ended(&waiting(), event, 1).await.again.expect("it comes back");
        let Event::Fetch(event) = again.event else { panic!("it was a request") };
        assert_eq!((event.method.as_str(), event.url.as_str()), ("POST", "http://a.test/timer"));
        assert_eq!(event.headers["x-a"], "b");
        assert_eq!(event.body.collect(100).await.unwrap(), "hello");
    });
}

#[test]
fn a_request_that_started_an_operation_does_not_come_back() {
    check(get("http://a.test/fetch"), 1, false);
}

#[test]
fn a_body_that_streams_comes_back_if_nobody_began_to_read_it() {
    check(post("http://a.test/timer", pieces(["a", "b"], false)), 1, true);
    check(post("http://a.test/cancelled", pieces(["a", "b"], false)), 1, false);
    check(post("http://a.test/read", pieces(["a", "b"], false)), 2, false);
}

#[test]
fn a_body_that_another_request_reads_does_not_come_back() {
    on_core(async {
        let app = waiting();
        let lends = enter(&app, post("http://a.test/lend", pieces(["a", "b"], false)));
        until_logged(&app, 1).await;
        let borrows = enter(&app, get("http://a.test/borrow"));
        until_logged(&app, 3).await;
        die(&app).await;
        assert!(lends.await.unwrap().unwrap_err().again.is_none());
        assert!(borrows.await.unwrap().unwrap_err().again.is_none());
    });
}

#[test]
fn a_request_that_never_got_in_comes_back_and_runs_elsewhere_under_the_same_record() {
    on_core(async {
        let app = waiting();
        let dies = enter(&app, get("http://a.test/die"));
        while !app.instance.state().paused {
            tokio::task::yield_now().await;
        }
        let event = post("http://a.test/echo", pieces(["a", "b"], false));
        let again = enter(&app, event).await.unwrap().unwrap_err().again.expect("it comes back");
        assert_eq!(dies.await.unwrap().unwrap_err().failure.code.name, "cpu_exceeded");
        let response = app.fresh().run(again.call, again.event).await.unwrap();
        assert_eq!(collect(response).await, "ab");
        let records = app.kept.records.lock().unwrap();
        let runs: Vec<_> =
            records[1].invocations.iter().map(|run| (run.instance, run.failure.map(|code| code.name))).collect();
        assert_eq!(runs, [(app.instance.state().id, Some("instance_lost")), (app.instance.state().id + 1, None)]);
    });
}

#[test]
fn a_request_that_comes_to_a_lost_instance_is_given_back_at_once() {
    on_core(async {
        let app = waiting();
        die(&app).await;
        let ended = enter(&app, get("http://a.test/timer")).await.unwrap().unwrap_err();
        assert!(ended.again.is_some());
        assert_eq!(app.instance.state().in_flight, 0);
    });
}

#[test]
fn a_response_under_way_breaks_off_with_its_instance() {
    on_core(async {
        let app = waiting();
        let response = app.run(get("http://a.test/stream")).await.unwrap();
        die(&app).await;
        assert!(response.into_body().collect(100).await.is_err(), "nobody takes a part for the whole");
    });
}
