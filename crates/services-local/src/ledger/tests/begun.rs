//! A start goes on with the archive where the last process left off, and has little to write.

use super::archive::Timed;
use super::*;

/// The wholes of a database that are not sorted yet.
fn wholes(timed: &Timed, name: &str) -> usize {
    let collected = timed.ledger().inner.unsorted(Some(name)).expect("read");
    collected.commits.get(name).map_or(0, |commits| commits.iter().filter(|commit| commit.base).count())
}

fn write(timed: &Timed, name: &str, n: i64) {
    timed.clock.advance(10);
    timed.numbers(name).insert(n).wait().expect("durable");
}

#[test]
fn after_a_start_no_second_whole_is_kept_of_what_began_in_the_log() {
    let mut timed = Timed::new();
    write(&timed, "a.db", 1);
    let one = timed.now();
    timed.open();
    write(&timed, "a.db", 2);
    assert_eq!(wholes(&timed, "a.db"), 1, "the ledger has it");

    let log = timed.path("archive/log");
    timed.ledger().inner.retire_all();
    let lists = || crate::ledger::begun::read(&log).expect("lists");
    assert_eq!(lists(), HashSet::from(["a.db".to_owned()]));
    timed.open();
    write(&timed, "a.db", 3);
    assert_eq!(wholes(&timed, "a.db"), 1, "the archive's log has it");

    timed.ledger().inner.retire_all();
    timed.ledger().inner.sort(Sort::Retired).expect("sorted");
    assert_eq!(lists(), HashSet::new());
    timed.open();
    write(&timed, "a.db", 4);
    assert_eq!(wholes(&timed, "a.db"), 0, "it is sorted");
    let counts = |at_ms| timed.restored("a.db", at_ms).expect("restored").len();
    assert_eq!((counts(one), counts(timed.now())), (1, 4));
}

#[test]
fn a_successor_begins_with_a_whole_of_its_own() {
    let mut timed = Timed::new();
    write(&timed, "a.db", 1);
    timed.ledger().inner.retire_all();
    let numbers = timed.numbers("a.db");
    let Numbers { journal, connection } = numbers;
    journal.close(&connection).expect("closed").wait().expect("durable");
    drop(connection);
    timed.ledger().remove(&timed.path("a.db")).expect("removed");
    timed.open();
    write(&timed, "a.db", 7);
    assert_eq!(wholes(&timed, "a.db"), 2);
    assert_eq!(timed.restored("a.db", timed.now()).expect("restored").len(), 1);
}

#[test]
fn a_list_whose_segment_is_gone_goes() {
    let mut timed = Timed::new();
    let list = timed.path("archive/log/0000000000000001.begun");
    std::fs::write(&list, "a.db").expect("written");
    timed.open();
    assert!(!list.exists());
    write(&timed, "a.db", 1);
    assert_eq!(wholes(&timed, "a.db"), 1);
}

#[test]
fn what_packs_well_is_not_left_to_the_next_start() {
    let most = 64 << 20;
    let timed = Timed::with(base::NodeLimits { ledger_bytes: most, ..base::NodeLimits::default() });
    let mut large = timed.numbers("large.db");
    for n in 0..80 {
        large.run(&format!("INSERT INTO t VALUES ({n}, zeroblob(1 << 20))"));
    }
    large.journal.last_ticket().wait().expect("durable");
    let inner = timed.ledger().inner.clone();
    assert!(inner.log.segment() < 4, "the log is short: {}", inner.log.segment());
    inner.tend().expect("tended");
    let left: u64 = inner.all().iter().map(|member| member.recovered_bytes()).sum();
    assert!(left <= most, "{left} bytes are left to the next start");
}
