//! The recipe of chat rooms: sockets that outlive the instance of their object.

use serde_json::{Value, json};

use crate::harness::{Node, Place, Request, until};
use crate::sockets::{Frame, Socket};

/// Objects sleep almost at once.
const CONFIG: &str = "[limits]\nobject_idle_ms = 50\ninstance_idle_ms = 50\n";

fn serve(place: &Place) -> Node {
    let config = place.path("node.toml");
    std::fs::write(&config, CONFIG).expect("a write");
    place.serve_with(&["--config", config.to_str().expect("a path")])
}

fn get(node: &Node, path: &str) -> Value {
    node.send(&Request::get(path).at_app("chat")).expect(200).json()
}

#[track_caller]
fn heard(socket: &mut Socket) -> Value {
    match socket.read() {
        Frame::Text(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => panic!("not a text: {other:?}"),
    }
}

fn asleep(node: &Node) {
    until("every object to sleep", || {
        let metrics = node.ask_admin(Request::get("/metrics")).text();
        metrics.lines().any(|line| line == "selvedge_instances 0").then_some(())
    });
}

#[test]
fn a_room_sleeps_while_its_sockets_stay_and_wakes_for_a_message() {
    let place = Place::new();
    place.deploy(&place.recipe("chat")).expect_success();
    let node = serve(&place);
    let open = |who: &str| Socket::open_at(node.address, "chat", &format!("/rooms/lobby/socket?who={who}"));
    let mut ada = open("ada");
    assert_eq!(heard(&mut ada), json!({ "history": [] }));
    assert_eq!(heard(&mut ada), json!({ "joined": "ada" }));
    let mut grace = open("grace");
    assert_eq!(heard(&mut grace), json!({ "history": [] }));
    assert_eq!(heard(&mut grace), json!({ "joined": "grace" }));
    assert_eq!(heard(&mut ada), json!({ "joined": "grace" }));
    assert_eq!(get(&node, "/rooms/lobby/people"), json!(["ada", "grace"]));
    assert_eq!(get(&node, "/rooms/garden/people"), json!([]), "another room");

    asleep(&node);
    ada.send(1, b"ping");
    assert_eq!(heard(&mut ada), json!("pong"));
    asleep(&node);
    grace.send(1, "grüße".as_bytes());
    for socket in [&mut ada, &mut grace] {
        let message = heard(socket);
        assert_eq!((&message["message"]["who"], &message["message"]["text"]), (&json!("grace"), &json!("grüße")));
    }
    assert_eq!(get(&node, "/rooms/lobby/messages")[0]["text"], "grüße");
    ada.send(1, b"  ");
    assert!(heard(&mut ada)["error"].is_string());
    asleep(&node);
    drop(grace);
    assert_eq!(heard(&mut ada), json!({ "left": "grace" }));
    assert_eq!(get(&node, "/rooms/lobby/people"), json!(["ada"]));
    ada.send(8, &1000_u16.to_be_bytes());
    assert_eq!(ada.read(), Frame::Close(1000));
    node.stop();

    let node = serve(&place);
    assert_eq!(get(&node, "/rooms/lobby/messages")[0]["who"], "grace", "what was said is kept");
    node.send(&Request::get("/rooms/lobby/socket").at_app("chat")).expect(426);
    node.send(&Request::get("/rooms/NO/people").at_app("chat")).expect(404);
}
