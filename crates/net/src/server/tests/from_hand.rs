//! Answers of HTTP/2 that are at hand, those that are waited for beside their connection, and those that take the long
//! way, on one connection.

use std::cell::Cell;

use tokio::sync::Notify;

use super::raw_h2::*;
use super::*;
use crate::{Given, Glance, Protocol};

/// Answers what is asked of `/a` with what was asked.
fn at_hand(glance: &Glance<'_>) -> Option<Given> {
    if glance.path != "/a" {
        return None;
    }
    let host = glance.lines("host").map(String::from_utf8_lossy).collect::<Vec<_>>().concat();
    assert_eq!((glance.protocol, host.as_str()), (Protocol::Http2, glance.authority));
    assert!(glance.request().is_none());
    Some(Given::Answer(http::Response::new(Body::full(format!("at hand: {host} {:?}", glance.query)))))
}

fn with_hand(test: impl AsyncFnOnce(Rc<Node>)) {
    let begin = |_: &NodeLimits, server: &Rc<Server>, _: &Seen, _: &Seen| server.answer_from_hand(Box::new(at_hand));
    with_server(NodeLimits::default(), Reception::default(), begin, test);
}

fn head(stream: u32, flags: u8, fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &block(fields))
}

/// A GET with another path or host, and more fields.
fn get_of(stream: u32, host: &str, path: &str, more: &[(&[u8], &[u8])]) -> Vec<u8> {
    let own: [(&[u8], &[u8]); 4] =
        [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", host.as_bytes()), (b":path", path.as_bytes())];
    head(stream, END_STREAM, &[&own[..], more].concat())
}

/// The content of these streams, in the order of their ends.
async fn contents(client: &mut RawH2, count: usize) -> Vec<(u32, String)> {
    let (mut open, mut ended) = (Vec::<(u32, String)>::new(), Vec::new());
    while ended.len() < count {
        let (kind, flags, stream, payload) = client.flagged_frame().await.expect("a frame");
        if kind == HEADERS {
            open.push((stream, String::new()));
        }
        let Some(at) = open.iter().position(|(id, _)| *id == stream) else { continue };
        if kind == DATA {
            open[at].1.push_str(&String::from_utf8_lossy(&payload));
        }
        if flags & END_STREAM != 0 {
            ended.push(open.remove(at));
        }
    }
    ended
}

#[test]
fn the_two_ways_take_turns_on_a_connection() {
    with_hand(async |node| {
        let mut client = RawH2::connect(&node, &[]).await;
        let all = [
            get_of(1, "h", "/a", &[]),
            get_of(3, "h", "/b", &[]),
            get_of(5, "h", "/a?x=1", &[(b"cookie", b"a=1"), (b"cookie", b"b=2")]),
        ];
        assert!(client.send(&all.concat()).await);
        let mut answers = contents(&mut client, 3).await;
        answers.sort();
        let expected = [(1, "at hand: h None"), (3, "GET /b at h "), (5, "at hand: h Some(\"x=1\")")];
        assert_eq!(answers, expected.map(|(stream, text)| (stream, text.to_owned())));
        assert_eq!(*node.seen.borrow(), ["GET /b at h"], "the service was not asked for what was there");
    });
}

#[test]
fn what_is_not_plain_takes_the_long_way() {
    with_hand(async |node| {
        let mut client = RawH2::connect(&node, &[]).await;
        let post: [(&[u8], &[u8]); 4] =
            [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"h"), (b":path", b"/a")];
        let all = [
            get_of(1, "H", "/a", &[]),
            get_of(3, "h", "/./a", &[]),
            get_of(5, "h", "/a", &[(b"host", b"h")]),
            get_of(7, "h", "/a", &[(b"expect", b"100-continue")]),
            head(9, END_STREAM, &post),
            head(11, 0, &GET_FIELDS),
            frame(DATA, END_STREAM, 11, b"body"),
        ];
        assert!(client.send(&all.concat()).await);
        let answers = contents(&mut client, 6).await;
        assert!(answers.iter().all(|(_, content)| !content.contains("at hand")), "{answers:?}");
        assert_eq!(node.seen.borrow().len(), 6);
    });
}

#[test]
fn one_that_its_client_has_no_room_for_waits_for_room() {
    with_hand(async |node| {
        // SETTINGS_INITIAL_WINDOW_SIZE
        let mut client = RawH2::connect(&node, &[0, 4, 0, 0, 0, 3]).await;
        assert!(client.send(&get(1)).await);
        let mut content = Vec::new();
        while content != b"at hand: h None" {
            let (kind, stream, payload) = client.frame().await.expect("a frame");
            if kind == DATA && stream == 1 {
                assert!(payload.len() <= 3, "{payload:?}");
                content.extend_from_slice(&payload);
                let more = u32::try_from(payload.len()).unwrap().to_be_bytes();
                client.send(&frame(WINDOW_UPDATE, 0, 1, &more)).await;
            }
        }
        // The connection goes on.
        assert!(client.send(&get_of(3, "h", "/b", &[])).await);
        assert!(matches!(client.outcome(3).await, Ended::Answered(_)));
    });
}

#[test]
fn a_connection_that_has_only_such_answers_drains() {
    with_hand(async |node| {
        let mut client = RawH2::connect(&node, &[]).await;
        assert!(client.send(&get(1)).await);
        assert!(matches!(client.outcome(1).await, Ended::Answered(_)));
        node.stop();
        assert_eq!(client.outcome(3).await, Ended::GoAway(0));
        drop(client);
        assert_eq!(node.drained().await, 0);
    });
}

/// What was begun beside connections and not ended, and who ends all of it.
#[derive(Default)]
struct Beside {
    waiting: Cell<usize>,
    go: Notify,
}

struct Waits(Rc<Beside>);

impl Waits {
    fn new(beside: &Rc<Beside>) -> Self {
        beside.waiting.set(beside.waiting.get() + 1);
        Self(beside.clone())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

/// Answers `/a` when it is told to, and other paths the long way.
fn with_beside(test: impl AsyncFnOnce(Rc<Node>, Rc<Beside>)) {
    let beside = Rc::<Beside>::default();
    let known = beside.clone();
    let later = move |glance: &Glance<'_>| {
        let (waits, query) = (Waits::new(&known), glance.query.map(str::to_owned));
        let answer = async move {
            waits.0.go.notified().await;
            http::Response::new(Body::full(format!("beside {query:?}")))
        };
        (glance.path == "/a").then(|| Given::Later(Box::pin(answer)))
    };
    let begin = |_: &NodeLimits, server: &Rc<Server>, _: &Seen, _: &Seen| server.answer_from_hand(Box::new(later));
    with_server(NodeLimits::default(), Reception::default(), begin, async |node| test(node, beside).await);
}

async fn until_waiting(beside: &Beside, count: usize) {
    while beside.waiting.get() != count {
        tokio::task::yield_now().await;
    }
}

#[test]
fn those_beside_their_connection_keep_nobody_waiting() {
    with_beside(async |node, beside| {
        let mut client = RawH2::connect(&node, &[]).await;
        let all = [get_of(1, "h", "/a?1", &[]), get_of(3, "h", "/b", &[]), get_of(5, "h", "/a?5", &[])];
        assert!(client.send(&all.concat()).await);
        assert_eq!(contents(&mut client, 1).await, [(3, "GET /b at h ".to_owned())]);
        until_waiting(&beside, 2).await;
        beside.go.notify_waiters();
        let mut answers = contents(&mut client, 2).await;
        answers.sort();
        assert_eq!(answers, [(1, "beside Some(\"1\")".to_owned()), (5, "beside Some(\"5\")".to_owned())]);
        until_waiting(&beside, 0).await;
    });
}

#[test]
fn one_beside_its_connection_ends_with_its_client() {
    with_beside(async |node, beside| {
        let mut client = RawH2::connect(&node, &[]).await;
        assert!(client.send(&[get_of(1, "h", "/a?1", &[]), get_of(3, "h", "/a?3", &[])].concat()).await);
        until_waiting(&beside, 2).await;
        // CANCEL
        assert!(client.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])).await);
        until_waiting(&beside, 1).await;
        drop(client);
        until_waiting(&beside, 0).await;
    });
}

#[test]
fn a_drain_waits_for_one_beside_its_connection() {
    with_beside(async |node, beside| {
        let mut client = RawH2::connect(&node, &[]).await;
        assert!(client.send(&get(1)).await);
        until_waiting(&beside, 1).await;
        node.stop();
        assert_eq!(client.outcome(3).await, Ended::GoAway(0));
        beside.go.notify_waiters();
        assert!(matches!(client.outcome(1).await, Ended::Answered(_)));
        drop(client);
        assert_eq!(node.drained().await, 0);
    });
}
