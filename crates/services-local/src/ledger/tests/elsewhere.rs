//! The copy of the archive in another directory.

use super::archive::{Timed, rows};
use super::*;

const DAY: u64 = 24 * 3_600_000;

fn limits(archive_days: u64, archive_copy_days: u64) -> base::NodeLimits {
    base::NodeLimits { archive_days, archive_copy_days, ..base::NodeLimits::default() }
}

fn behind(timed: &Timed) -> (u64, Option<String>) {
    let copy = timed.ledger().archive_copy().expect("it has one");
    assert_eq!(copy.place, timed.elsewhere().display().to_string());
    (copy.behind_ms, copy.problem)
}

fn write(numbers: &mut Numbers, n: i64) {
    numbers.run(&format!("INSERT INTO t VALUES ({n}, randomblob(20000))")).wait().expect("durable");
}

#[test]
fn what_went_beside_the_data_comes_back_from_elsewhere_for_as_long_as_that_keeps_it() {
    let timed = Timed::with(limits(2, 20));
    std::fs::create_dir(timed.elsewhere()).expect("made");
    let mut numbers = timed.numbers("sql.db");
    let mut moments = Vec::new();
    for n in 0..40 {
        write(&mut numbers, n);
        moments.push((timed.now(), rows(&numbers.connection)));
        timed.copy().expect("copied");
        timed.clock.advance(DAY);
    }
    timed.copy().expect("copied");
    let beside = Shelf::of(&timed.path("archive"), "sql.db").entries().expect("entries").len();
    let elsewhere = Shelf::of(&timed.copied(), "sql.db").entries().expect("entries").len();
    assert!(beside < 10 && elsewhere > 20 && elsewhere < 60, "{beside} beside the data, {elsewhere} elsewhere");
    for (time_ms, expected) in moments.iter().filter(|(time_ms, _)| time_ms + 20 * DAY > timed.now()) {
        assert_eq!(&timed.restored("sql.db", *time_ms).expect("restored"), expected);
    }
    assert!(matches!(timed.restored("sql.db", moments[0].0), Err(RestoreError::TooEarly { .. })));
    assert!(matches!(timed.restored("other.db", timed.now()), Err(RestoreError::Unknown(_))));
    let left = std::fs::read_dir(timed.path("archive")).expect("the archive").map(|entry| entry.expect("a name"));
    let left: Vec<_> = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(SCRATCH)).collect();
    assert!(left.is_empty(), "what was fetched is gone: {left:?}");
}

#[test]
fn a_place_that_is_not_there_holds_nobody_up_and_is_made_good_later() {
    let timed = Timed::new();
    let mut numbers = timed.numbers("a.db");
    write(&mut numbers, 1);
    let refused = timed.copy().expect_err("it is not there").to_string();
    assert!(refused.contains("is no directory that is there"), "{refused}");
    timed.clock.advance(5_000);
    write(&mut numbers, 2);
    assert_eq!(behind(&timed).0, 5_000);
    assert!(behind(&timed).1.is_some_and(|problem| problem.contains("is no directory")));
    assert!(!timed.elsewhere().exists(), "nobody makes what is not mounted");

    std::fs::create_dir(timed.elsewhere()).expect("made");
    timed.copy().expect("copied");
    assert_eq!(behind(&timed), (0, None));
    assert_eq!(timed.ledger().archive_copy().map(|copy| copy.failures), Some(1));
    assert_eq!(timed.restored_elsewhere("a.db", timed.now()), rows(&numbers.connection));
    timed.clock.advance(60_000);
    assert_eq!(behind(&timed), (0, None), "nothing was written since");
    write(&mut numbers, 3);
    timed.clock.advance(1_000);
    assert_eq!(behind(&timed).0, 61_000);
}

#[test]
fn a_place_that_was_lost_is_not_begun_anew_and_another_is() {
    let mut timed = Timed::new();
    std::fs::create_dir(timed.elsewhere()).expect("made");
    let mut numbers = timed.numbers("a.db");
    write(&mut numbers, 1);
    timed.copy().expect("copied");
    let copied = timed.copied();
    drop(numbers);
    timed.open();
    timed.copy().expect("copied");
    assert_eq!(timed.copied(), copied, "a start goes on with it");

    // As if it were not mounted any more.
    let kept = timed.place.path().join("kept");
    std::fs::rename(timed.elsewhere(), &kept).expect("moved");
    std::fs::create_dir(timed.elsewhere()).expect("made");
    let mut numbers = timed.numbers("a.db");
    write(&mut numbers, 2);
    let refused = timed.copy().expect_err("it is another").to_string();
    assert!(refused.contains("is it mounted?"), "{refused}");
    assert_eq!(std::fs::read_dir(timed.elsewhere()).expect("it is there").count(), 0);
    std::fs::remove_dir(timed.elsewhere()).expect("removed");
    std::fs::rename(&kept, timed.elsewhere()).expect("moved");
    timed.copy().expect("copied");
    assert_eq!(timed.restored_elsewhere("a.db", timed.now()), rows(&numbers.connection));
}

#[test]
fn what_the_copy_missed_is_an_error_and_no_other_moment() {
    let timed = Timed::with(limits(1, 30));
    std::fs::create_dir(timed.elsewhere()).expect("made");
    let mut numbers = timed.numbers("a.db");
    write(&mut numbers, 1);
    let copied = timed.now();
    let expected = rows(&numbers.connection);
    timed.clock.advance(1_000);
    write(&mut numbers, 2);
    timed.copy().expect("copied");
    // The place is away for longer than the archive beside the data goes back.
    timed.clock.advance(DAY);
    write(&mut numbers, 3);
    let missed = timed.now();
    for n in 4..9 {
        timed.clock.advance(DAY);
        write(&mut numbers, n);
        timed.ledger().sort().expect("sorted");
    }
    timed.copy().expect("copied");
    assert_eq!(timed.restored("a.db", copied).expect("restored"), expected);
    let error = timed.restored("a.db", missed).expect_err("it is not there");
    assert!(error.to_string().contains("lacks the changes from"), "{error}");
    assert_eq!(timed.restored("a.db", timed.now()).expect("restored"), rows(&numbers.connection));
}

#[test]
fn many_small_files_become_one_here_and_there() {
    let timed = Timed::new();
    std::fs::create_dir(timed.elsewhere()).expect("made");
    let mut numbers = timed.numbers("a.db");
    let mut moments = Vec::new();
    for n in 0..150 {
        numbers.insert(n).wait().expect("durable");
        moments.push((timed.now(), rows(&numbers.connection)));
        timed.copy().expect("copied");
        timed.clock.advance(60_000);
    }
    for archive in [timed.path("archive"), timed.copied()] {
        let files = Shelf::of(&archive, "a.db").entries().expect("entries").len();
        assert!(files < 40, "{files} files in {}", archive.display());
        assert!(check_archive(&archive).expect("checked").iter().all(|(_, whole)| whole.is_ok()));
    }
    for (time_ms, expected) in &moments {
        assert_eq!(&timed.restored("a.db", *time_ms).expect("restored"), expected);
        assert_eq!(&timed.restored_elsewhere("a.db", *time_ms), expected);
    }
}

#[test]
fn a_database_that_was_removed_is_known_there() {
    let timed = Timed::new();
    std::fs::create_dir(timed.elsewhere()).expect("made");
    let mut numbers = timed.numbers("a.db");
    write(&mut numbers, 1);
    let (before, expected) = (timed.now(), rows(&numbers.connection));
    drop(numbers);
    timed.clock.advance(1_000);
    timed.ledger().remove(&timed.path("a.db")).expect("removed");
    timed.copy().expect("copied");
    let mark = timed.copied().join("a.db/removed");
    assert!(mark.exists());
    assert_eq!(timed.restored_elsewhere("a.db", before), expected);
    let mut numbers = timed.numbers("a.db");
    write(&mut numbers, 2);
    timed.copy().expect("copied");
    assert!(!mark.exists());
    assert_eq!(timed.restored_elsewhere("a.db", timed.now()), rows(&numbers.connection));
}
