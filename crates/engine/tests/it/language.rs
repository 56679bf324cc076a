//! What scripts of `language/` answer is what Node answered, which stands beside them. They try what the engine has
//! short ways for: JSON, objects of like shape, strings, promises, comparisons and their jumps.

use crate::fixture::{get, on_core, setup};

/// The second answer comes from shapes and transitions that the first left behind.
fn check(source: &str, expected: &str) {
    on_core(async {
        let app = setup(source).limits(|limits| limits.cpu_ms = 20_000).start();
        for _ in 0..2 {
            assert_eq!(app.text(get("http://a.test/")).await, expected);
        }
    });
}

#[test]
fn json_is_read_and_written_as_by_node() {
    check(include_str!("language/json.js"), include_str!("language/json.txt"));
}

#[test]
fn properties_come_and_go_as_in_node() {
    check(include_str!("language/shapes.js"), include_str!("language/shapes.txt"));
}

#[test]
fn promises_settle_in_the_order_of_node() {
    check(include_str!("language/promises.js"), include_str!("language/promises.txt"));
}

#[test]
fn comparisons_and_jumps_are_those_of_node() {
    check(include_str!("language/jumps.js"), include_str!("language/jumps.txt"));
}

#[test]
fn strings_that_grow_leave_what_was_copied() {
    check(include_str!("language/appended.js"), include_str!("language/appended.txt"));
}

#[test]
fn words_of_json_are_shared_and_do_not_show_it() {
    check(include_str!("language/words.js"), include_str!("language/words.txt"));
}

#[test]
fn built_in_functions_that_are_scripts_are_like_any() {
    check(include_str!("language/builtins.js"), include_str!("language/builtins.txt"));
}

#[test]
fn keys_literals_and_flags_are_those_of_node() {
    check(include_str!("language/members.js"), include_str!("language/members.txt"));
}

#[test]
fn errors_name_what_was_called() {
    check(include_str!("language/errors.js"), include_str!("language/errors.txt"));
}
