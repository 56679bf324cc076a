use std::path::Path;

use super::*;

fn check(root: &str, path: &str, expect: &str) {
    assert_eq!(name_of(Path::new(root), Path::new(path)).as_deref(), Some(expect));
}

#[test]
fn a_file_in_the_app_is_named_from_the_app() {
    check("/w/app", "/w/app/src/index.ts", "src/index.ts");
    check("/w/app", "/w/app/node_modules/hono/dist/index.js", "node_modules/hono/dist/index.js");
}

#[test]
fn a_file_outside_the_app_is_named_by_the_way_to_it() {
    check("/w/apps/web", "/w/packages/ui/src/a.ts", "../../packages/ui/src/a.ts");
    check("/w/app", "/w/apple/x.js", "../apple/x.js");
}

#[test]
fn packages_are_told_from_own_code() {
    assert!(is_in_packages(Path::new("/w/node_modules/a/b.js")));
    assert!(!is_in_packages(Path::new("/w/node_modules_old/a/b.js")));
}
