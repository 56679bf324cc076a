use futures_util::FutureExt as _;

use super::*;

/// What has arrived; nothing is waited for.
fn received(end: &SessionEnd) -> Vec<Message> {
    end.receive().now_or_never().expect("it is there")
}

fn message(text: &'static str) -> Message {
    Message { bytes: Bytes::from_static(text.as_bytes()), ..Message::default() }
}

fn texts(messages: Vec<Message>) -> Vec<String> {
    messages.iter().map(|m| String::from_utf8_lossy(&m.bytes).into_owned()).collect()
}

#[test]
fn messages_arrive_in_order_and_then_the_end() {
    let (near, far) = session();
    near.send(message("a")).unwrap();
    near.send(message("b")).unwrap();
    far.send(message("back")).unwrap();
    assert_eq!(texts(received(&near)), ["back"]);
    drop(near);
    assert_eq!(texts(received(&far)), ["a", "b"]);
    assert!(received(&far).is_empty());
    assert_eq!(far.send(message("c")), Err(Closed));
}

#[test]
fn a_closed_end_is_the_end_on_both_sides() {
    let (near, far) = session();
    let mut reading = std::pin::pin!(near.receive());
    assert!(reading.as_mut().now_or_never().is_none());
    near.send(message("last")).unwrap();
    near.close();
    assert!(reading.now_or_never().expect("it is over").is_empty());
    assert_eq!(near.send(message("a")), Err(Closed));
    assert_eq!(texts(received(&far)), ["last"]);
    assert!(received(&far).is_empty());
    assert!(received(&near).is_empty());
}

#[test]
fn what_is_not_taken_is_bounded_and_one_message_always_fits() {
    let waiting = Waiting::default();
    let say = |bytes: usize| Message::new(vec![0; bytes].into(), vec![], &waiting, 1_000);
    let (near, far) = session();
    let (other, _others) = session();
    near.send(say(5_000).unwrap()).unwrap();
    assert_eq!(say(1).err(), Some(Overflow), "to whomever it would go");
    let taken = received(&far);
    assert_eq!(say(1).err(), Some(Overflow), "until it has arrived");
    drop(taken);
    near.send(say(1).unwrap()).unwrap();
    other.send(say(1).unwrap()).unwrap();
    drop((near, far));
    assert_eq!(waiting.0.load(Ordering::Relaxed), 1 + MESSAGE_BYTES);
}

#[test]
fn an_answer_travels_in_a_response() {
    let (near, far) = session();
    let answer =
        RpcAnswer { message: Message { bodies: vec![Body::full("body")], ..message("x") }, session: Some(near) };
    let answer = RpcAnswer::from_response(answer.into_response()).expect("it is one");
    assert_eq!((&answer.message.bytes[..], answer.message.bodies.len()), (&b"x"[..], 1));
    assert!(far.send(message("a")).is_ok());
    assert!(answer.session.is_some());
    assert!(RpcAnswer::from_response(Response::new(Body::empty())).is_none());
}
