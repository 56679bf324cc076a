use super::*;
use crate::{Options, Source, read_selvedge};

#[test]
fn every_limit_has_its_line() {
    let text = "name = \"a\"\nworkers.a.entry = \"a.js\"\nworkers.b.entry = \"b.js\"\n\
                limits.queue = 3\n[[routes]]\nmatch = \"/*\"\nworker = \"a\"\n";
    let plan = read_selvedge(Source { path: "selvedge.toml", text }, &Options::default()).expect("valid");
    let lines = limits_table(&plan);
    assert_eq!(lines.len(), APP.len() + 2 * WORKER.len());
    let queue = lines.iter().find(|l| l.name == "queue").expect("a line");
    assert_eq!((queue.value, queue.set_at.as_str()), (3, "selvedge.toml:4"));
    let json = serde_json::to_string(&plan).expect("it serialises");
    let back = serde_json::from_str(&json).expect("it reads back");
    let queue = limits_table(&back).into_iter().find(|l| l.name == "queue").expect("a line");
    assert_eq!((queue.value, queue.set_at.as_str()), (3, "manifest"));
}
