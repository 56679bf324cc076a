use services::{KvUsage, PutOptions};

use super::*;

fn known(namespace: i64, key: &str, id: i64) -> Known {
    let row = Found::of(id).replaced(KvUsage::default(), 1, &PutOptions::default());
    Known { namespace, key: key.to_owned(), row }
}

fn taken(recent: &mut Recent, namespace: i64, key: &str) -> Option<i64> {
    recent.take(namespace, key).map(|known| known.row.id)
}

#[test]
fn a_row_is_found_once_and_under_its_own_namespace() {
    let mut recent = Recent::default();
    recent.keep(known(1, "key", 7));
    assert_eq!(taken(&mut recent, 2, "key"), None);
    assert_eq!(taken(&mut recent, 1, "other"), None);
    assert_eq!(taken(&mut recent, 1, "key"), Some(7));
    assert_eq!(taken(&mut recent, 1, "key"), None);
}

#[test]
fn a_row_takes_the_place_of_another_namespaces() {
    let mut recent = Recent::default();
    recent.keep(known(1, "key", 7));
    recent.keep(known(2, "key", 8));
    assert_eq!(taken(&mut recent, 1, "key"), None);
    assert_eq!(taken(&mut recent, 2, "key"), Some(8));
}

#[test]
fn no_more_rows_are_remembered_than_may_be() {
    let mut recent = Recent::default();
    (0..3 * RECENT_ROWS_MAX as i64).for_each(|id| recent.keep(known(1, &id.to_string(), id)));
    assert!(recent.0.len() <= RECENT_ROWS_MAX);
    let last = 3 * RECENT_ROWS_MAX as i64 - 1;
    assert_eq!(taken(&mut recent, 1, &last.to_string()), Some(last));
}
