use super::*;

#[test]
fn options_are_read() {
    let options = Options::parse(&["--seconds", "3600", "--only", "heap", "--seed", "7"]).expect("they are valid");
    assert_eq!(options, Options { seconds: 3600, only: vec!["heap".into()], seed: 7, input: None });
    for wrong in [&["--seconds"][..], &["--seconds", "x"], &["heap"], &["--input", "file"]] {
        Options::parse(wrong).expect_err("it is refused");
    }
}

#[test]
fn targets_are_the_tests_of_modules_called_fuzz() {
    let list = "fuzz::heap: test\nscript::fuzz::codec: test\nfuzz::tests::other: test\nscript::codec: test\n\n3 tests";
    assert_eq!(target::names(list).collect::<Vec<_>>(), ["fuzz::heap", "script::fuzz::codec"]);
}

#[test]
fn an_input_shrinks_to_what_matters() {
    let input: Vec<u8> = (0..200).map(|i| b'A' + i % 26).collect();
    let small = shrink::shrink(&input, |input| input.contains(&b'Q') && input.contains(&b'C'));
    assert_eq!(small, b"CQ");
}

#[test]
fn a_cause_does_not_name_the_thread() {
    let said =
        "running 1 test\n\nthread 'fuzz::codec' (12) panicked at src/a.rs:1:2:\nindex out of bounds\nnote: run\n";
    assert_eq!(target::told(said), "panicked at src/a.rs:1:2:\n  index out of bounds\n  note: run");
    let said = "thread 'fuzz::codec' (123) has overflowed its stack\nfatal runtime error: stack overflow\n";
    assert!(target::told(said).starts_with("thread 'fuzz::codec'\n"));
}
