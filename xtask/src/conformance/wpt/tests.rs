use std::time::Duration;

use super::expected::{Directory, Known, Skip, WHOLE, matches};
use super::*;

const EXAMPLE: &str = r#"
# What is run.
[[directory]]
name = "url"
bar = 2

[[skip]]
files = ["url/*.window.js"]
reason = "pages"

[[known]]
file = "url/a.any.js"
tests = [
  # A comment.
  "a \"quoted\" name",
  "every *",
]
reason = "not yet"
"#;

#[test]
fn the_record_is_read() {
    let expected = Expected::parse(EXAMPLE).unwrap();
    assert_eq!(expected.directories, [Directory { name: "url".into(), bar: Some(2) }]);
    assert_eq!(expected.skips, [Skip { files: vec!["url/*.window.js".into()], reason: "pages".into() }]);
    let tests = vec!["a \"quoted\" name".into(), "every *".into()];
    assert_eq!(expected.known, [Known { file: "url/a.any.js".into(), tests, reason: "not yet".into() }]);
    assert!(expected.leaves_out("url/b.window.js") && !expected.leaves_out("url/b.any.js"));
}

#[test]
fn an_exception_without_a_reason_is_refused() {
    let error = Expected::parse("[[skip]]\nfiles = [\"a\"]\nreason = \"\"").unwrap_err();
    assert_eq!(error.to_string(), "line 1: an exception without a reason is none");
}

#[test]
fn a_star_stands_for_any_characters() {
    assert!(matches("a*z", "az") && matches("a*z", "a b z") && matches("a", "a"));
    assert!(!matches("a*a", "a") && !matches("a", "ab"));
}

const META: &str = "\
// META: timeout=long
// META: script=../resources/helpers.js
// META: script=/common/gc.js
// META: variant=?1-10
// META: variant=?11-last
test(() => {});
";

#[test]
fn a_file_is_run_once_for_each_variant() {
    let tests = plan::variants("streams", "streams/piping/a.any.js", META);
    let searches: Vec<&str> = tests.iter().map(|test| test.search.as_str()).collect();
    assert_eq!(searches, ["?1-10", "?11-last"]);
    assert_eq!(tests[0].scripts, ["streams/resources/helpers.js", "common/gc.js", "streams/piping/a.any.js"]);
    assert_eq!(tests[0].timeout_ms, 60_000);
}

fn outcome(body: &str) -> Outcome {
    let test = plan::variants("url", "url/a.any.js", "").remove(0);
    drive::outcome(test, serde_json::json!({ "file": "0.json", "body": body }))
}

fn check(tests: &[(&str, bool)], failed: &[&str], passed: &[&str]) {
    let rows: Vec<_> = tests.iter().map(|(name, ok)| (name, if *ok { "PASS" } else { "FAIL" }, "why")).collect();
    let outcome = outcome(&serde_json::json!({ "status": "OK", "message": null, "tests": rows }).to_string());
    let expected = Expected::parse(EXAMPLE).unwrap();
    let report = Report::make(&expected, &[outcome], Duration::ZERO, false);
    let json = report.json();
    let names: Vec<&str> = match json["unexpectedFailures"].get("url/a.any.js") {
        Some(rows) => rows.as_array().unwrap().iter().map(|row| row[0].as_str().unwrap()).collect(),
        None => vec![],
    };
    assert_eq!(names, failed);
    let patterns = json["unexpectedPasses"].as_array().unwrap().iter().map(|row| row[1].as_str().unwrap());
    assert_eq!(patterns.collect::<Vec<_>>(), passed);
}

#[test]
fn the_record_is_a_ratchet() {
    check(&[("a \"quoted\" name", false), ("every day", false), ("fine", true)], &[], &[]);
    check(&[("a \"quoted\" name", false), ("every day", false), ("fine", false)], &["fine"], &[]);
    check(&[("a \"quoted\" name", true), ("every day", false)], &[], &["a \"quoted\" name"]);
    check(&[("a \"quoted\" name", false), ("every day", false), ("every night", true)], &[], &["every *"]);
    check(&[("a \"quoted\" name", false)], &[], &["every *"]);
}

#[test]
fn a_file_that_breaks_is_a_failure() {
    let expected = Expected::parse("[[directory]]\nname = \"url\"\nbar = 1").unwrap();
    let broken = outcome("not JSON");
    assert!(broken.failure.as_deref().unwrap().starts_with("the answer is no result"));
    let report = Report::make(&expected, &[broken], Duration::ZERO, true);
    assert_eq!(report.surprises(), 2, "the file, and the bar");
    assert!(report.to_string().contains(WHOLE));
}
