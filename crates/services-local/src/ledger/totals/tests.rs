use std::fs;
use std::path::Path;

use super::Totals;

#[test]
fn an_area_is_measured_once_and_then_counted() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("sql/local/app");
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(dir.join("a.db"), [0; 100]).expect("a file");
    fs::write(dir.join("a.db-wal"), [0; 50]).expect("a file");
    fs::create_dir_all(root.path().join("sql/local/other")).expect("a directory");
    fs::write(root.path().join("sql/local/other/b.db"), [0; 7]).expect("a file");
    let totals = Totals::default();
    let total = totals.of(root.path(), Path::new("sql/local/app/a.db")).expect("a total");
    assert_eq!(total.bytes(), 100);
    total.resize(0, 30);
    total.resize(100, 90);
    assert_eq!(totals.of(root.path(), Path::new("sql/local/app/new.db")).expect("a total").bytes(), 120);
    assert_eq!(totals.of(root.path(), Path::new("sql/local/other/x.db")).expect("a total").bytes(), 7);
    assert_eq!(totals.of(root.path(), Path::new("objects/local/app/C/x.db")).expect("a total").bytes(), 0);
    total.resize(1_000, 0);
    assert_eq!(total.bytes(), 0, "it is never less than nothing");
}
