//! Many objects at once: none waits for the disk to be made, and none is lost for that.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{ask, project};
use crate::harness::Place;

const OBJECTS: usize = 300;
const CALLERS: usize = 30;

/// What each object answers, asked by many callers; null for one that did not answer.
fn ask_all(node: &crate::harness::Node, what: &str) -> Vec<Value> {
    let call = |caller: usize| {
        let own = (caller..OBJECTS).step_by(CALLERS);
        own.map(|n| (n, ask(node, &format!("/many-{n}/{what}")))).collect::<Vec<_>>()
    };
    let mut answers = vec![Value::Null; OBJECTS];
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|caller| scope.spawn(move || call(caller))).collect();
        for caller in callers {
            for (n, answer) in caller.join().expect("a caller") {
                answers[n] = answer;
            }
        }
    });
    answers
}

#[test]
fn objects_that_were_just_made_are_there_after_kill_9() {
    let place = Place::new();
    let mut node = place.serve_project(&project(&place));
    assert_eq!(ask_all(&node, "increment"), vec![json!(1); OBJECTS]);
    node.signal(Signal::KILL);
    node.wait();
    let mut node = place.serve();
    assert_eq!(ask_all(&node, "increment"), vec![json!(2); OBJECTS]);
    node.signal(Signal::TERM);
    node.wait();
    let node = place.serve();
    assert_eq!(ask_all(&node, "increment"), vec![json!(3); OBJECTS]);
}
