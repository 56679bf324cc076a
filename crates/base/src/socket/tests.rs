use futures_util::FutureExt as _;

use super::*;

fn options() -> SocketOptions {
    let options = SocketOptions::from(&WorkerLimits::default());
    SocketOptions { message_bytes: 1000, buffer_bytes: 4000, ..options }
}

fn message(length: usize) -> Message {
    Message::Binary(vec![7; length].into())
}

#[test]
fn messages_arrive_in_order_and_the_end_comes_last() {
    let (one, other) = pair(options());
    one.send(Message::text("a")).unwrap();
    one.send(message(2)).unwrap();
    one.close(Ended::new(1000, "bye").cleanly());
    one.close(Ended::new(1001, "again"));
    assert_eq!(one.send(message(1)), Err(NotSent::Closed));
    assert_eq!(other.try_receive(), Some(Received::Message(Message::text("a"))));
    assert_eq!(other.try_receive(), Some(Received::Message(message(2))));
    for _ in 0..2 {
        assert_eq!(other.try_receive(), Some(Received::Ended(Ended::new(1000, "bye").cleanly())));
    }
    // The other direction is open still.
    other.send(message(1)).unwrap();
    assert_eq!(one.try_receive(), Some(Received::Message(message(1))));
    assert_eq!(one.try_receive(), None);
}

#[test]
fn who_cannot_wait_is_refused_beyond_the_buffer() {
    let (one, other) = pair(options());
    assert_eq!(one.send(message(1001)), Err(NotSent::TooLarge(1000)));
    for _ in 0..3 {
        one.send(message(1000)).unwrap();
    }
    assert_eq!(one.buffered(), 3000);
    assert_eq!(one.send(message(1000)), Err(NotSent::Overflow(4000)));
    assert!(one.room().now_or_never().is_none(), "there is no room");
    while other.try_receive().is_some() {}
    assert!(one.room().now_or_never().is_some());
    one.send(message(1000)).unwrap();
}

#[test]
fn an_abort_overtakes_what_was_queued() {
    let (one, other) = pair(options());
    one.send(message(10)).unwrap();
    one.close(Ended::new(1000, ""));
    assert!(other.aborted().now_or_never().is_none());
    one.abort(Ended::new(1011, ""));
    assert!(other.aborted().now_or_never().is_some());
    assert_eq!(other.try_receive(), Some(Received::Ended(Ended::new(1011, ""))));
}

#[test]
fn an_end_that_is_dropped_is_gone_for_the_other() {
    let (one, other) = pair(options());
    one.send(message(10)).unwrap();
    other.send(message(10)).unwrap();
    drop(one);
    assert_eq!(other.try_receive(), Some(Received::Message(message(10))));
    assert_eq!(other.try_receive(), Some(Received::Ended(Ended::gone())));
    assert_eq!(other.send(message(1)), Err(NotSent::Closed));
    assert_eq!(other.buffered(), 0);
    assert!(other.room().now_or_never().is_some(), "nobody waits for one who is gone");
}

#[test]
fn a_response_carries_an_end_once() {
    let (one, other) = pair(options());
    let mut response = http::Response::new(Body::empty());
    Upgrade::attach(&mut response, one);
    assert!(Upgrade::is_in(&response));
    let end = Upgrade::take(&mut response).unwrap();
    assert!(!Upgrade::is_in(&response) && Upgrade::take(&mut response).is_none());
    end.send(Message::text("x")).unwrap();
    assert_eq!(other.try_receive(), Some(Received::Message(Message::text("x"))));
}
