use super::super::expected::{Expected, Outcome};
use super::drive::outcomes;

const RECORD: &str = "# a comment\n\n[[known]]\napp = \"a\"\nrequests = [\"1 GET /x\"]\nreason = \"because\"\n";

#[test]
fn answers_are_paired_and_the_first_difference_is_told() {
    let expected = "{\"request\":\"GET /\",\"status\":200,\"headers\":[],\"text\":\"one two\"}\n\
                    {\"request\":\"GET /\",\"status\":200,\"headers\":[],\"text\":\"same\"}\n\
                    {\"request\":\"GET /b\",\"status\":204,\"headers\":[],\"text\":\"\"}\n";
    let found = expected.replace("one two", "one 2").replace("204", "500");
    let outcomes = outcomes(expected, &found).expect("answers");
    assert_eq!(outcomes[0].request, "1 GET /");
    let difference = outcomes[0].difference.as_deref().expect("a difference");
    assert_eq!(difference, "body, from byte 4: \"one two\" under node, \"one 2\" here");
    assert_eq!(outcomes[1].difference, None);
    assert!(outcomes[2].difference.as_deref().is_some_and(|d| d.starts_with("status: 204 under node, 500 here")));
}

#[test]
fn a_missing_answer_is_a_difference() {
    let outcomes =
        outcomes("{\"request\":\"GET /\",\"status\":200,\"headers\":[],\"text\":\"\"}", "").expect("answers");
    assert!(outcomes[0].difference.is_some());
}

#[test]
fn what_is_known_may_differ_and_must() {
    let record = Expected::parse(RECORD).expect("a record");
    let outcome = |request: &str, difference: Option<&str>| Outcome {
        request: request.to_owned(),
        difference: difference.map(str::to_owned),
    };
    assert_eq!(record.judge("a", &[outcome("1 GET /x", Some("differs"))]), Vec::<String>::new());
    assert_eq!(record.judge("a", &[outcome("1 GET /x", None)]), ["1 GET /x: passes, against the record"]);
    let judged = record.judge("a", &[outcome("1 GET /x", Some("d")), outcome("2 GET /", Some("differs"))]);
    assert_eq!(judged, ["2 GET /: differs"]);
    assert_eq!(record.judge("a", &[]), ["1 GET /x: is in the record, and is no test of a"]);
    let gone: Vec<String> = record.of_no_app(&["b".to_owned()]).collect();
    assert_eq!(gone, ["a: is in the record, and there is no such app"]);
}

#[test]
fn a_record_without_a_reason_is_refused() {
    assert!(Expected::parse("[[known]]\napp = \"a\"\nrequests = [\"*\"]\n").is_err());
    assert!(Expected::parse("[[known]]\napps = \"a\"\n").is_err());
    assert!(Expected::parse("app = \"a\"\n").is_err());
}
