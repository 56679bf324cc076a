//! Reports for programs.

use serde_json::json;

use super::{project, run, says};
use crate::harness::Place;

const MIXED: &str = "import { describe, expect, test } from 'vitest';\n\
    describe('a suite', () => {\n  test('passes', () => { console.log('a line'); });\n  \
    test('fails', () => { expect('<x>').toBe('y'); });\n});\n\
    test.skip('skipped', () => {});\ntest.todo('later');\n";

#[test]
fn json_has_the_shape_that_tools_read() {
    let outcome = run(MIXED, &["--reporter", "json"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("one document, and nothing else");
    let sums = [
        ("success", json!(false)),
        ("numTotalTests", json!(4)),
        ("numPassedTests", json!(1)),
        ("numFailedTests", json!(1)),
        ("numPendingTests", json!(1)),
        ("numTodoTests", json!(1)),
        ("numFailedTestSuites", json!(1)),
    ];
    for (name, value) in sums {
        assert_eq!(report[name], value, "{name}: {report:#}");
    }
    let failed = &report["testResults"][0]["assertionResults"][1];
    assert_eq!(failed["fullName"], "a suite fails");
    assert_eq!(failed["ancestorTitles"], json!(["a suite"]));
    assert_eq!(failed["location"], json!({ "line": 4, "column": 3 }));
    let message = failed["failureMessages"][0].as_str().expect("a message");
    assert!(message.contains("expected '<x>' to be 'y'") && message.contains("src/index.test.ts:4:"), "{message}");
}

#[test]
fn the_flag_for_json_means_the_report() {
    let outcome = run(MIXED, &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("a document");
    assert_eq!(report["numTotalTests"], 4);
}

#[test]
fn junit_goes_to_a_file_and_people_still_read_along() {
    let place = Place::new();
    let project = project(&place, &[("a.test.ts", MIXED)]);
    let file = place.path("report.xml");
    let outcome = place.test(&project, &["--reporter", "junit", "--output", &file.display().to_string()]);
    says(&outcome, 1, &["× a suite > fails", "1 failed | 1 passed | 1 skipped | 1 todo (4)"]);
    let xml = std::fs::read_to_string(file).expect("the report");
    for part in [
        "<testsuites name=\"selvedge test\" tests=\"4\" failures=\"1\" errors=\"0\" skipped=\"2\"",
        "<testcase classname=\"a.test.ts\" name=\"a suite &gt; passes\"",
        "<failure type=\"AssertionError\" message=\"expected &apos;&lt;x&gt;&apos; to be &apos;y&apos;",
    ] {
        assert!(xml.contains(&part.replace("&apos;", "'")), "{part} is missing from:\n{xml}");
    }
}

#[test]
fn a_report_that_has_no_place_is_an_error() {
    let outcome = run(MIXED, &["--reporter", "json", "--output", "no/such/place.json"]);
    says(&outcome, 2, &["can't write no/such/place.json"]);
}
