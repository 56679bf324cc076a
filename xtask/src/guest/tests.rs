use super::Sums;

const COMMITTED: &str =
    "aa  prelude.artifact\nbb  quickjs.wasm\n# sources: cc  prelude.artifact\n# sources: dd  quickjs.wasm\n";

#[test]
fn sums_survive_their_text() {
    let sums = Sums::parse(COMMITTED);
    assert_eq!(sums.to_string(), COMMITTED);
    assert_eq!(sums.differences(&sums), [""; 0]);
}

#[test]
fn what_changed_is_named() {
    let committed = Sums::parse(COMMITTED);
    let rebuilt = Sums::parse(&COMMITTED.replace("bb", "ee"));
    assert_eq!(committed.differences(&rebuilt), ["quickjs.wasm is missing or has another sum"]);
    let edited = Sums::parse(&COMMITTED.replace("cc", "ee"));
    assert_eq!(committed.differences(&edited), ["the sources of prelude.artifact have changed since it was built"]);
}

#[test]
fn a_file_that_was_never_summed_differs() {
    assert_eq!(Sums::parse("").differences(&Sums::parse(COMMITTED)).len(), 4);
}

#[test]
fn a_file_that_is_gone_differs() {
    let gone = Sums::parse(&COMMITTED.replace("bb  quickjs.wasm\n", ""));
    assert_eq!(Sums::parse(COMMITTED).differences(&gone), ["quickjs.wasm is missing or has another sum"]);
    assert_eq!(gone.differences(&gone), ["quickjs.wasm is missing or has another sum"]);
}

#[test]
fn only_what_changed_is_built_again() {
    let committed = Sums::parse(COMMITTED);
    let edited = Sums::parse(&COMMITTED.replace("cc", "ee"));
    assert!(committed.agree(&edited, "quickjs.wasm") && !committed.agree(&edited, "prelude.artifact"));
    assert!(!Sums::default().agree(&Sums::default(), "quickjs.wasm"));
}
