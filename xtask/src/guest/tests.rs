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
    assert_eq!(committed.differences(&rebuilt), ["quickjs.wasm has another sum"]);
    let edited = Sums::parse(&COMMITTED.replace("cc", "ee"));
    assert_eq!(committed.differences(&edited), ["the sources of prelude.artifact have changed since it was built"]);
}

#[test]
fn a_file_that_was_never_summed_differs() {
    assert_eq!(Sums::parse("").differences(&Sums::parse(COMMITTED)).len(), 4);
}
