use super::*;

fn facts<'a>(header: &'a dyn Fn(&str) -> Option<&'a str>, query: Option<&'a str>, client: &str) -> Facts<'a> {
    Facts { method: "GET", query, client: client.parse().ok(), header, country: &|| Some("DE".to_owned()) }
}

fn one_of(values: &[&str]) -> Test {
    Test::OneOf(values.iter().map(|value| (*value).to_owned()).collect())
}

fn when(json: &str) -> When {
    serde_json::from_str(json).expect("conditions")
}

#[test]
fn all_that_is_asked_has_to_hold() {
    let header = |name: &str| match name {
        "x-beta" => Some("1"),
        "cookie" => Some("a=b; plan=\"pro\"; plan=free"),
        _ => None,
    };
    let facts = facts(&header, Some("preview&x=%C3%BC+1&x=2"), "10.1.2.3");
    let check = |json: &str, holds: bool| assert_eq!(when(json).holds(&facts), holds, "{json}");
    check("{}", true);
    check(r#"{"method":["GET","HEAD"],"header":{"x-beta":{"one_of":["1"]}}}"#, true);
    check(r#"{"method":["POST"],"header":{"x-beta":{"one_of":["1"]}}}"#, false);
    check(r#"{"header":{"x-beta":"absent"}}"#, false);
    check(r#"{"header":{"x-other":"absent","x-beta":"present"}}"#, true);
    check(r#"{"cookie":{"plan":{"one_of":["pro"]}}}"#, true);
    check(r#"{"cookie":{"plan":{"one_of":["free"]}}}"#, false);
    check(r#"{"query":{"preview":"present","x":{"one_of":["ü 1"]}}}"#, true);
    check(r#"{"query":{"x":{"prefix":"2"}}}"#, false);
    check(r#"{"network":["192.168.0.0/16","10.0.0.0/8"],"country":["DE"]}"#, true);
    check(r#"{"network":["192.168.0.0/16"]}"#, false);
    check(r#"{"country":["FR"]}"#, false);
}

#[test]
fn what_does_not_hold_is_said_with_what_there_is_instead() {
    let header = |name: &str| match name {
        "x-beta" => Some("2"),
        "cookie" => Some("plan=free"),
        _ => None,
    };
    let facts = facts(&header, Some("x=1"), "10.1.2.3");
    let check =
        |json: &str, expect: Option<&str>| assert_eq!(when(json).objection(&facts).as_deref(), expect, "{json}");
    check(r#"{"method":["GET"],"header":{"x-beta":"present"}}"#, None);
    check(r#"{"method":["PUT","POST"]}"#, Some("it wants the method POST or PUT, and this is GET"));
    check(
        r#"{"header":{"x-beta":{"one_of":["1","3"]}}}"#,
        Some(r#"it wants the field x-beta to be "1" or "3", and it is "2""#),
    );
    check(r#"{"header":{"x-other":"present"}}"#, Some("it wants the field x-other to be there, and there is none"));
    check(r#"{"cookie":{"plan":"absent"}}"#, Some(r#"it wants the cookie plan to be absent, and it is "free""#));
    check(
        r#"{"query":{"x":{"prefix":"2"}}}"#,
        Some(r#"it wants the parameter x to be one that begins with "2", and it is "1""#),
    );
    check(r#"{"network":["192.168.0.0/16"]}"#, Some("it wants a client in 192.168.0.0/16, and this one is 10.1.2.3"));
    check(r#"{"country":["FR"]}"#, Some("it wants a client of FR, and the address 10.1.2.3 is of DE"));
}

#[test]
fn an_address_of_version_4_is_one_behind_a_socket_of_version_6_too() {
    let none = |_: &str| None;
    assert!(when(r#"{"network":["10.0.0.0/8"]}"#).holds(&facts(&none, None, "::ffff:10.0.0.1")));
}

#[test]
fn what_covers_and_what_excludes_is_known_of_conditions() {
    let covers = |a: &str, b: &str| when(a).covers(&when(b));
    assert!(covers("{}", r#"{"method":["GET"]}"#));
    assert!(covers(r#"{"method":["GET","POST"]}"#, r#"{"method":["GET"]}"#));
    assert!(!covers(r#"{"method":["GET"]}"#, "{}"));
    assert!(covers(r#"{"network":["10.0.0.0/8"]}"#, r#"{"network":["10.1.0.0/16"],"country":["DE"]}"#));
    assert!(covers(r#"{"header":{"a":"present"}}"#, r#"{"header":{"a":{"one_of":["1"]}}}"#));
    let excludes = |a: &str, b: &str| when(a).excludes(&when(b)) && when(b).excludes(&when(a));
    assert!(excludes(r#"{"method":["GET"]}"#, r#"{"method":["POST"]}"#));
    assert!(excludes(r#"{"header":{"a":"absent"}}"#, r#"{"header":{"a":{"prefix":"x"}}}"#));
    assert!(excludes(r#"{"header":{"a":{"prefix":"y"}}}"#, r#"{"header":{"a":{"one_of":["x1","x2"]}}}"#));
    assert!(!excludes(r#"{"header":{"a":{"prefix":"x"}}}"#, r#"{"cookie":{"b":"present"}}"#));
    assert!(excludes(r#"{"network":["10.0.0.0/8"]}"#, r#"{"network":["11.0.0.0/8","fd00::/8"]}"#));
    assert_eq!(one_of(&["a"]), one_of(&["a", "a"]));
}
