use super::runner::added_up;
use super::*;

#[test]
fn options_are_read() {
    let options = Options::parse(&["--require-all", "-p", "manifest", "-p", "selvedge-net", "-p", "xtask"]).unwrap();
    let packages = ["selvedge-manifest", "selvedge-net", "xtask"].map(str::to_owned);
    assert_eq!(options, Options { require_all: true, packages: packages.into() });
    assert!(Options::parse(&[]).unwrap().is_whole());
}

#[test]
fn unknown_options_are_named() {
    assert!(Options::parse(&["--all"]).unwrap_err().to_string().contains("\"--all\""));
    assert!(Options::parse(&["-p"]).unwrap_err().to_string().contains("name of a crate"));
}

#[test]
fn cargo_tests_results_are_added_up() {
    let results = [
        "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s".to_owned(),
        "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.01s".to_owned(),
    ];
    assert_eq!(added_up(&results), "Summary: 17 tests run: 15 passed, 2 failed, 1 skipped");
    assert_eq!(added_up(&[]), "Summary: 0 tests run: 0 passed, 0 failed, 0 skipped");
}

#[test]
fn nodes_counts_are_found() {
    let counts = ["ℹ tests 31", "ℹ suites 0", "ℹ pass 29", "ℹ fail 1", "ℹ skipped 1"].map(str::to_owned);
    assert_eq!(node_summary(&counts), "31 tests run: 29 passed, 1 failed, 1 skipped");
    assert_eq!(node_summary(&[]), "? tests run: ? passed, ? failed, ? skipped");
}

#[test]
fn times_are_readable() {
    assert_eq!(minutes(Duration::from_millis(61_900)), "1 min 01 s");
}
