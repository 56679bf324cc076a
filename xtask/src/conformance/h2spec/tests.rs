use super::*;

const REPORT: &str = r#"<testsuites>
  <testsuite name="3.5." package="http2/3.5">
    <testcase package="http2/3.5" classname="Sends a &#34;good&#34; preface" time="0.1"></testcase>
    <testcase package="http2/3.5" classname="Sends a bad preface" time="0.1">
      <failure>Actual: EOF</failure>
    </testcase>
  </testsuite>
</testsuites>"#;

#[test]
fn the_report_is_read_case_by_case() {
    let outcomes = outcomes("tls", REPORT).expect("cases");
    assert_eq!(outcomes.len(), 2);
    assert_eq!(outcomes[0], Outcome { case: "tls http2/3.5 Sends a \"good\" preface".to_owned(), failure: None });
    assert!(outcomes[1].failure.as_deref().is_some_and(|failure| failure.contains("Actual: EOF")));
    assert!(super::outcomes("tls", "").is_err());
}

#[test]
fn a_failure_without_a_reason_and_a_reason_without_a_failure_are_complaints() {
    let outcomes = outcomes("tls", REPORT).expect("cases");
    assert_eq!(Expected::default().judge(&outcomes, true).len(), 1);
    let record = "[[known]]\ncase = \"tls http2/3.5 Sends a bad preface\"\nreason = \"because\"\n";
    assert_eq!(Expected::parse(record).expect("a record").judge(&outcomes, true), Vec::<String>::new());
    let good = record.replace("a bad", "a \\\"good\\\"");
    assert_eq!(Expected::parse(&good).expect("a record").judge(&outcomes, true).len(), 2);
    let gone = record.replace("a bad", "another");
    let gone = Expected::parse(&gone).expect("a record");
    assert_eq!((gone.judge(&outcomes, true).len(), gone.judge(&outcomes, false).len()), (2, 1));
    assert!(Expected::parse("[[known]]\ncase = \"x\"\n").is_err());
}
