use futures_util::FutureExt as _;

use super::*;

/// What has arrived; nothing is waited for.
fn received(end: &SessionEnd) -> Vec<Message> {
    end.receive().now_or_never().expect("it is there")
}

fn message(text: &'static str) -> Message {
    Message { bytes: Bytes::from_static(text.as_bytes()), bodies: vec![] }
}

fn texts(messages: Vec<Message>) -> Vec<String> {
    messages.iter().map(|m| String::from_utf8_lossy(&m.bytes).into_owned()).collect()
}

#[test]
fn messages_arrive_in_order_and_then_the_end() {
    let (near, far) = session();
    near.send(message("a"), 1_000).unwrap();
    near.send(message("b"), 1_000).unwrap();
    far.send(message("back"), 1_000).unwrap();
    assert_eq!(texts(received(&near)), ["back"]);
    drop(near);
    assert_eq!(texts(received(&far)), ["a", "b"]);
    assert!(received(&far).is_empty());
    assert_eq!(far.send(message("c"), 1_000), Err(NotSent::Closed));
}

#[test]
fn a_closed_end_is_the_end_on_both_sides() {
    let (near, far) = session();
    let mut reading = std::pin::pin!(near.receive());
    assert!(reading.as_mut().now_or_never().is_none());
    near.send(message("last"), 1_000).unwrap();
    near.close();
    assert!(reading.now_or_never().expect("it is over").is_empty());
    assert_eq!(near.send(message("a"), 1_000), Err(NotSent::Closed));
    assert_eq!(texts(received(&far)), ["last"]);
    assert!(received(&far).is_empty());
    assert!(received(&near).is_empty());
}

#[test]
fn what_is_not_taken_is_bounded_and_one_message_always_fits() {
    let (near, far) = session();
    let long = || Message { bytes: vec![0; 5_000].into(), bodies: vec![] };
    near.send(long(), 1_000).unwrap();
    assert_eq!(near.send(message("a"), 1_000), Err(NotSent::Overflow));
    assert_eq!(received(&far).len(), 1);
    near.send(message("a"), 1_000).unwrap();
    assert!(near.receive().now_or_never().is_none());
}

#[test]
fn an_answer_travels_in_a_response() {
    let (near, far) = session();
    let answer = RpcAnswer {
        message: Message { bytes: Bytes::from_static(b"x"), bodies: vec![Body::full("body")] },
        session: Some(near),
    };
    let answer = RpcAnswer::from_response(answer.into_response()).expect("it is one");
    assert_eq!((&answer.message.bytes[..], answer.message.bodies.len()), (&b"x"[..], 1));
    assert!(far.send(message("a"), 1_000).is_ok());
    assert!(answer.session.is_some());
    assert!(RpcAnswer::from_response(Response::new(Body::empty())).is_none());
}
