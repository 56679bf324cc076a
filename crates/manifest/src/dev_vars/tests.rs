use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<(String, String)> {
    let vars = parse(Source { path: ".dev.vars", text }).unwrap_or_else(|r| panic!("{}", r.render(false)));
    vars.vars.iter().map(|(name, (value, _))| (name.to_string(), value.expose().clone())).collect()
}

fn check(text: &str, expect: &[(&str, &str)]) {
    let expect: Vec<_> = expect.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    assert_eq!(read(text), expect, "{text:?}");
}

#[test]
fn lines_are_read_as_env_files_are() {
    check("", &[]);
    check("# a comment\n\n  \nA=1", &[("A", "1")]);
    check("A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")]);
    check("export A = spaced out  # why\n", &[("A", "spaced out")]);
    check("A=x#y\nB=# nothing", &[("A", "x#y"), ("B", "")]);
    check("A=a=b", &[("A", "a=b")]);
    check("A='it # stands' # comment", &[("A", "it # stands")]);
    check("A=\"two\\nlines \\\"quoted\\\" \\d\"", &[("A", "two\nlines \"quoted\" \\d")]);
    check("A=\"one\ntwo\"\nB='x\ny'\nC=`\"'`", &[("A", "one\ntwo"), ("B", "x\ny"), ("C", "\"'")]);
    check("A=1\nA=2", &[("A", "2")]);
    check("\u{feff}A=1", &[("A", "1")]);
}

#[test]
fn every_fault_is_told_with_its_line() {
    let text = "A\n1B=x\nC='open";
    let report = parse(Source { path: ".dev.vars", text }).expect_err("three faults");
    let lines: Vec<_> = report.problems.iter().map(|p| p.place.as_ref().map(Place::line)).collect();
    assert_eq!(lines, [Some(1), Some(2), Some(3)]);
}

proptest! {
    #[test]
    fn a_report_shows_no_value(lines in prop::collection::vec("[A-Z-]{0,2}=? ?[\"'`]?[a-z0-9]{6,9}[\"'`]? ?", 1..6)) {
        let text = lines.join("\n");
        if let Err(report) = parse(Source { path: "f", text: &text }) {
            let shown = report.render(false) + &report.to_json().to_string();
            for line in &lines {
                let value: String = line.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit()).collect();
                // Our own words may hold a short value by chance; digits and letters mixed don't.
                let mixed = value.bytes().any(|b| b.is_ascii_digit()) && value.bytes().any(|b| b.is_ascii_lowercase());
                prop_assert!(!mixed || !shown.contains(&value), "{}", shown);
            }
        }
    }
}
