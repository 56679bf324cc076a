use super::{filter, is_test};

#[test]
fn a_file_of_tests_is_known_by_the_end_of_its_name() {
    for name in ["a.test.ts", "a.spec.tsx", "a.b.test.mjs", ".test.js", "a.test.cts"] {
        assert!(is_test(name), "{name}");
    }
    for name in ["test.ts", "a.tests.ts", "a.test.json", "a.test.ts.snap", "atest.ts", "test", "a.test"] {
        assert!(!is_test(name), "{name}");
    }
}

#[test]
fn a_filter_is_a_part_of_a_path() {
    let files = || ["src/a.test.ts", "test/b.test.ts"].map(String::from).to_vec();
    let check = |filters: &[&str], expect: &[&str]| {
        let filters: Vec<_> = filters.iter().map(|f| (*f).to_owned()).collect();
        assert_eq!(filter(files(), &filters), expect);
    };
    check(&[], &["src/a.test.ts", "test/b.test.ts"]);
    check(&["b.test"], &["test/b.test.ts"]);
    check(&["./src/a"], &["src/a.test.ts"]);
    check(&["a.test", "b.test"], &["src/a.test.ts", "test/b.test.ts"]);
    check(&["none"], &[]);
}
