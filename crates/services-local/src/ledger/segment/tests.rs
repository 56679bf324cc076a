use std::fs;

use super::*;

const HEADER: Header = Header { number: 3, after: 9, first: 10, replay_from: 0 };

fn batch(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin_batch(&mut bytes);
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn read(dir: &Path, until: Option<u64>) -> Result<Vec<String>, String> {
    let mut reader = Reader::open(dir, 3).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    while let Some(batch) = reader.next(until).map_err(|error| error.to_string())? {
        found.push(format!("{} {}", batch.number, String::from_utf8_lossy(batch.payload)));
    }
    Ok(found)
}

fn written(texts: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::create(dir.path(), HEADER).expect("created");
    for (number, text) in (10..).zip(texts) {
        writer.append(number, &mut batch(text)).expect("appended");
    }
    dir
}

fn damage(dir: &Path, at: u64) {
    let file = OpenOptions::new().write(true).open(path(dir, 3)).expect("opens");
    file.write_all_at(&[0xff], at).expect("damaged");
}

#[test]
fn batches_come_back_in_order() {
    let dir = written(&["one", "two"]);
    assert_eq!(read(dir.path(), None), Ok(vec!["10 one".into(), "11 two".into()]));
    assert_eq!(read(dir.path(), Some(10)), Ok(vec!["10 one".into()]));
}

#[test]
fn a_torn_tail_ends_the_log_and_a_hole_is_damage() {
    let dir = written(&["one", "two", "three"]);
    damage(dir.path(), 3 * BLOCK_BYTES + 33);
    assert_eq!(read(dir.path(), None), Ok(vec!["10 one".into(), "11 two".into()]));
    assert!(read(dir.path(), Some(12)).is_err_and(|error| error.contains("batch 12 is missing or damaged")));
    let dir = written(&["one", "two", "three"]);
    damage(dir.path(), 2 * BLOCK_BYTES + 33);
    assert!(read(dir.path(), None).is_err_and(|error| error.contains("batch 11 is missing or damaged")));
}

#[test]
fn a_damaged_header_is_an_error() {
    let dir = written(&["one"]);
    damage(dir.path(), 20);
    assert!(read(dir.path(), None).is_err_and(|error| error.contains("the checksum of its header is wrong")));
    fs::write(path(dir.path(), 3), "").expect("emptied");
    assert!(read(dir.path(), None).is_err_and(|error| error.contains("it is shorter than a header")));
}

#[test]
fn what_a_file_held_before_is_not_read_again() {
    let dir = written(&["one", "two", "three", "four"]);
    retire(dir.path(), 3, dir.path()).expect("retired");
    assert!(list(dir.path()).expect("a list").is_empty());
    let header = Header { number: 3, after: 20, first: 21, replay_from: 0 };
    let mut writer = Writer::create(dir.path(), header).expect("created");
    assert_eq!(read(dir.path(), None), Ok(vec![]));
    writer.append(21, &mut batch("new")).expect("appended");
    assert_eq!(read(dir.path(), None), Ok(vec!["21 new".into()]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_new_file_is_filled_ahead_of_its_batches_and_a_used_one_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::create(dir.path(), HEADER).expect("created");
    for (number, filled) in [(10, 18), (11, 18), (12, 18)] {
        writer.append(number, &mut batch("one")).expect("appended");
        assert_eq!(disk::filled_bytes(&writer.file), filled * BLOCK_BYTES, "after {number}");
    }
    assert_eq!(writer.file.metadata().expect("its length").len(), SEGMENT_BYTES);
    retire(dir.path(), 3, dir.path()).expect("retired");
    let mut again =
        Writer::create(dir.path(), Header { number: 4, after: 12, first: 13, replay_from: 0 }).expect("again");
    for number in 13..30 {
        again.append(number, &mut batch("two")).expect("appended");
    }
    assert_eq!(again.filled, 18 * BLOCK_BYTES);
    again.append(30, &mut batch("two")).expect("appended");
    assert_eq!(again.filled, (19 + 19) * BLOCK_BYTES);
}
