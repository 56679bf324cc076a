use super::{Course, Fate, Mode, Node, Step, SuiteNode, TestNode};

fn test(name: &str, mode: Mode) -> Node {
    Node::Test(TestNode { id: 0, name: name.into(), mode, site: None, fails: false, timeout: None, hooks: 0 })
}

fn suite(name: &str, mode: Mode, children: Vec<Node>) -> Node {
    Node::Suite(SuiteNode { id: 0, name: name.into(), mode, site: None, before: None, after: None, children })
}

#[track_caller]
fn check(children: Vec<Node>, name: Option<&str>, runs: &[&str]) -> Course {
    let Node::Suite(root) = suite("", Mode::Run, children) else { panic!("a suite") };
    let course = Course::of(&root, name);
    let found: Vec<_> = course.tests.iter().filter(|t| t.fate == Fate::Runs).map(|t| t.full_name()).collect();
    assert_eq!(found, runs);
    course
}

#[test]
fn tests_run_in_the_order_of_the_file() {
    let children = vec![
        test("a", Mode::Run),
        suite("s", Mode::Run, vec![test("b", Mode::Run), test("c", Mode::Skip)]),
        test("d", Mode::Todo),
    ];
    let course = check(children, None, &["a", "s b"]);
    use Step::{Enter, Leave, Test};
    assert_eq!(course.steps, [Enter(0), Test(0), Enter(1), Test(1), Test(2), Leave(1), Test(3), Leave(0)]);
}

#[test]
fn only_is_for_the_whole_file_and_the_narrowest_counts() {
    let inner = || vec![test("b", Mode::Run), test("c", Mode::Only)];
    check(vec![test("a", Mode::Run), suite("s", Mode::Only, inner())], None, &["s c"]);
    check(vec![test("a", Mode::Run), suite("s", Mode::Only, vec![test("b", Mode::Run)])], None, &["s b"]);
    check(vec![test("a", Mode::Only), suite("s", Mode::Skip, inner())], None, &["a"]);
}

#[test]
fn a_filter_looks_into_full_names() {
    let children = || vec![test("a", Mode::Run), suite("s", Mode::Run, vec![test("a", Mode::Run)])];
    check(children(), Some("s a"), &["s a"]);
    check(children(), Some("a"), &["a", "s a"]);
    check(children(), Some("z"), &[]);
}

#[test]
fn a_suite_in_which_nothing_runs_is_not_entered() {
    let course = check(vec![suite("s", Mode::Skip, vec![test("a", Mode::Run)])], None, &[]);
    assert_eq!(course.steps, [Step::Test(0)]);
    let course = check(vec![suite("later", Mode::Todo, vec![])], None, &[]);
    assert_eq!((course.tests[0].full_name(), course.tests[0].fate), ("later".into(), Fate::Todo));
}
