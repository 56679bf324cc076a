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
    let outcomes = outcomes(REPORT).expect("cases");
    assert_eq!(outcomes.len(), 2);
    let good = Outcome { request: "http2/3.5 Sends a \"good\" preface".to_owned(), difference: None };
    assert_eq!(outcomes[0], good);
    assert!(outcomes[1].difference.as_deref().is_some_and(|failure| failure.contains("Actual: EOF")));
    assert!(super::outcomes("").is_err());
}
