//! A node in front of a node: the parent's cache is asked first, and the origin if the parent is away.

use crate::harness::{Node, Place, Request};
use crate::proxy::{Origin, send};

fn origin() -> Origin {
    Origin::start(|seen, stream| {
        let fields = if seen.target.starts_with("/own") { "" } else { "cache-control: max-age=60\r\n" };
        send(stream, fields, &format!("{} {}\n{}", seen.target, seen.number, seen.head));
    })
}

/// Both nodes have the same site; one of them asks the other.
fn node(place: &Place, origin: &Origin, parent: Option<&Node>) -> Node {
    let parent = parent.map_or_else(String::new, |parent| {
        format!("parent = \"tier\"\n[upstreams.tier]\ntargets = [\"http://{}\"]\n", parent.address)
    });
    let manifest = format!(
        "name = \"edge\"\n[[routes]]\nmatch = \"shop.example/*\"\nupstream = \"origin\"\n[upstreams.origin]\n\
         targets = [\"http://{}\"]\n{parent}",
        origin.address
    );
    place.dev(&place.project("project", &[("selvedge.toml", &manifest)]))
}

fn at(path: &str) -> Request {
    Request::get(path).header("host", "shop.example")
}

#[test]
fn what_the_parent_has_is_not_asked_of_the_origin() {
    let (above, below, other) = (Place::new(), Place::new(), Place::new());
    let origin = origin();
    let parent = node(&above, &origin, None);
    let children = [node(&below, &origin, Some(&parent)), node(&other, &origin, Some(&parent))];
    let first = children[0].send(&at("/a")).expect(200);
    assert!(first.text().starts_with("/a 0\n"), "{first:?}");
    let marks = first.text().lines().filter(|line| line.starts_with("cdn-loop: selvedge-")).count();
    assert_eq!(marks, 2, "both nodes say that it passed them: {}", first.text());
    let second = children[1].send(&at("/a")).expect(200);
    assert!(second.text().starts_with("/a 0\n"), "it is the parent's: {second:?}");
    assert_eq!(origin.visits(), 1);
    // What no cache may have does not go the longer way.
    let posted = children[0].send(&Request::post("/own", "x").header("host", "shop.example")).expect(200);
    assert_eq!(posted.text().lines().filter(|line| line.starts_with("cdn-loop: ")).count(), 1);
}

#[test]
fn the_origin_is_asked_when_the_parent_is_away() {
    let (above, below) = (Place::new(), Place::new());
    let origin = origin();
    let parent = node(&above, &origin, None);
    let child = node(&below, &origin, Some(&parent));
    child.send(&at("/a")).expect(200);
    drop(parent);
    let answer = child.send(&at("/b")).expect(200);
    assert!(answer.text().starts_with("/b 1\n"), "{answer:?}");
}

#[test]
fn a_parent_that_could_not_ask_is_passed_over() {
    let (above, below) = (Place::new(), Place::new());
    let (away, well) = (Origin::start(|_, _| {}), origin());
    let parent = node(&above, &away, None);
    let child = node(&below, &well, Some(&parent));
    let answer = child.send(&at("/a")).expect(200);
    assert!(answer.text().starts_with("/a 0\n"), "{answer:?}");
    assert!(away.visits() > 0, "the parent was asked");
}

#[test]
fn a_request_that_comes_back_is_refused_before_it_waits_for_itself() {
    let place = Place::new();
    let origin = origin();
    let node = node(&place, &origin, None);
    let told = node.send(&at("/a")).expect(200).text();
    let mark = told.lines().find_map(|line| line.strip_prefix("cdn-loop: ")).expect("it is marked").to_owned();
    for path in ["/b", "/own"] {
        let again = at(path).header("cdn-loop", &format!("other.example, {mark}; v=1"));
        node.send(&again).expect_problem(508, "upstream_loop");
    }
    assert_eq!(origin.visits(), 1);
    let passed = node.send(&at("/c").header("cdn-loop", "other.example")).expect(200).text();
    assert!(passed.contains("cdn-loop: other.example\r") || passed.contains("cdn-loop: other.example\n"), "{passed}");
}
