use super::{escape, write};
use crate::test::outcome::{FileOutcome, Problem, Run, Status, TestOutcome};

fn test(name: &str, status: Status, problems: Vec<Problem>) -> TestOutcome {
    let (path, elapsed) = (vec!["suite".to_owned()], std::time::Duration::from_millis(2));
    TestOutcome { path, name: name.into(), status, elapsed, problems, place: None, note: String::new() }
}

#[test]
fn a_report_counts_and_tells_what_failed() {
    let mut file = FileOutcome::new("a.test.ts".into());
    let problem = Problem { name: "AssertionError".into(), message: "expected 1 to be 2".into(), ..Problem::default() };
    file.tests = vec![
        test("one", Status::Passed, vec![]),
        test("two \"2\"", Status::Failed, vec![problem]),
        test("three", Status::Todo, vec![]),
    ];
    let run = Run { files: vec![file], elapsed: std::time::Duration::from_millis(10) };
    let text = write(&run);
    for part in [
        "<testsuites name=\"selvedge test\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"0.010\">",
        "<testcase classname=\"a.test.ts\" name=\"suite &gt; one\" time=\"0.002\"/>",
        "name=\"suite &gt; two &quot;2&quot;\"",
        "<failure type=\"AssertionError\" message=\"expected 1 to be 2\">AssertionError: expected 1 to be 2</failure>",
        "<skipped/>",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn what_xml_has_no_place_for_is_replaced() {
    assert_eq!(escape("a<b>&\"\u{1b}[1m\n"), "a&lt;b&gt;&amp;&quot;\u{fffd}[1m&#10;");
}
