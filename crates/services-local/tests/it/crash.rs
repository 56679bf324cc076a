//! `kill -9` at random moments under thirty-two writers: nothing acknowledged is lost.

use std::io::{BufRead as _, BufReader};

use base::{Rng as _, SystemRng};
use services::{Sql as _, SqlStatement, SqlValue};
use services_local::DataDir;

use crate::child::{self, Job};
use crate::shelf::{self, Kept};
use crate::workload::{Acknowledged, Writer, namespace};
use crate::{Place, block_on, objects};

/// Rounds in an ordinary run; `SELVEDGE_CRASH_ROUNDS` asks for more.
const ROUNDS: u64 = 4;
/// A round is killed after at most so many acknowledgements.
const ACKNOWLEDGEMENTS_MAX: u64 = 600;

#[test]
fn a_killed_process_loses_no_acknowledged_write() {
    let rounds = std::env::var("SELVEDGE_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number"));
    let place = Place::new();
    let mut total = 0;
    let mut settled = Vec::new();
    for round in 0..rounds {
        let kill_after = SystemRng.next_u64() % ACKNOWLEDGEMENTS_MAX;
        let acknowledged = write_and_kill(&place, Job::Write, round, kill_after);
        total += acknowledged.0.values().sum::<u64>();
        let data = place.open();
        let kv = data.kv();
        block_on(async {
            kv.check(&namespace().app_id()).await.expect("no file is damaged");
            for (writer, count) in acknowledged.0 {
                let happened = writer.check(&kv, count).await;
                settled.push((writer, happened.unwrap_or_else(|lost| panic!("round {round}: {lost}"))));
            }
            for &(writer, count) in recent(&settled, round, rounds) {
                assert_eq!(writer.check(&kv, count).await, Ok(count), "after round {round}");
            }
        });
    }
    eprintln!("{rounds} rounds of kill -9, {total} acknowledged writes, none lost");
}

#[test]
fn a_killed_process_loses_nothing_that_the_ledger_acknowledged() {
    let rounds = std::env::var("SELVEDGE_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number"));
    let place = Place::new();
    let mut kept = Kept::default();
    for round in 0..rounds {
        let kill_after = SystemRng.next_u64() % ACKNOWLEDGEMENTS_MAX;
        let mut count = 0;
        run_and_kill(&place, Job::Commit, round, kill_after, |line| {
            let read = kept.read(line);
            count += u64::from(read);
            read
        });
        let data = place.open();
        for (&database, &count) in &kept.0 {
            shelf::check(data.path(), database, count).unwrap_or_else(|lost| panic!("round {round}: {lost}"));
        }
        kept.renew(data.path());
        assert!(count >= kill_after, "round {round} acknowledged {count}");
    }
    let total: u64 = kept.0.values().sum();
    eprintln!("{rounds} rounds of kill -9, {total} commits of {} databases, none lost", kept.0.len());
}

#[test]
fn a_killed_process_loses_no_acknowledged_batch_and_keeps_no_half_one() {
    let rounds = std::env::var("SELVEDGE_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number"));
    let place = Place::new();
    let mut total = 0;
    for round in 0..rounds {
        let kill_after = SystemRng.next_u64() % ACKNOWLEDGEMENTS_MAX;
        let acknowledged = write_and_kill(&place, Job::WriteSql, round, kill_after);
        total += acknowledged.0.values().sum::<u64>();
        let data = place.open();
        check_sql(&data, acknowledged).unwrap_or_else(|lost| panic!("round {round}: {lost}"));
    }
    eprintln!("{rounds} rounds of kill -9, {total} acknowledged batches, none lost");
}

/// What survived one crash survives the next: those that settled last are looked at again after each
/// round, and all of them after the last.
pub fn recent<T>(settled: &[T], round: u64, rounds: u64) -> &[T] {
    const AGAIN: usize = 200;
    let from = if round + 1 == rounds { 0 } else { settled.len().saturating_sub(AGAIN) };
    &settled[from..]
}

/// Checks that each writer's batches are all there and whole, and that the files are.
pub fn check_sql(data: &DataDir, acknowledged: Acknowledged) -> Result<(), String> {
    let ask = async |writer: Writer, text: &str| {
        let values = [writer.round, writer.number].map(|n| SqlValue::Integer(n as i64)).to_vec();
        let database = child::sql_database(writer.number);
        let answer = data.sql().batch(&database, vec![SqlStatement::bind(text, values)]).await;
        answer.map(|mut answer| answer.results.remove(0).rows.values).map_err(|error| format!("{writer:?}: {error:?}"))
    };
    block_on(async {
        for (writer, count) in acknowledged.0 {
            let held = "SELECT count(*), ifnull(max(operation) + 1, 0) FROM a WHERE round = ? AND writer = ?";
            let held = ask(writer, held).await?;
            let [SqlValue::Integer(held), SqlValue::Integer(last)] = held[..] else { return Err(format!("{held:?}")) };
            // The last one may have happened without being acknowledged.
            if held != last || !(count..=count + 1).contains(&(held as u64)) {
                return Err(format!("{writer:?} acknowledged {count}, {held} are there, up to {last}"));
            }
            let half = "SELECT count(*) FROM (SELECT * FROM a EXCEPT SELECT * FROM b UNION ALL
                SELECT * FROM (SELECT * FROM b EXCEPT SELECT * FROM a)) WHERE round = ? AND writer = ?";
            let half = ask(writer, half).await?;
            if half != [SqlValue::Integer(0)] {
                return Err(format!("{writer:?} left {half:?} halves of batches"));
            }
            let sound = data.sql().check(&child::sql_database(writer.number)).await;
            sound.map_err(|error| format!("{writer:?}: {error:?}"))?;
        }
        Ok(())
    })
}

#[test]
fn a_killed_process_loses_no_acknowledged_turn_of_an_object() {
    let rounds = std::env::var("SELVEDGE_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number"));
    let place = Place::new();
    let mut total = 0;
    for round in 0..rounds {
        let kill_after = SystemRng.next_u64() % ACKNOWLEDGEMENTS_MAX;
        let acknowledged = write_and_kill(&place, Job::WriteObjects, round, kill_after);
        total += acknowledged.0.values().sum::<u64>();
        let data = place.open();
        objects::check(&data, &acknowledged).unwrap_or_else(|lost| panic!("round {round}: {lost}"));
    }
    eprintln!("{rounds} rounds of kill -9, {total} acknowledged turns, none lost");
}

fn write_and_kill(place: &Place, job: Job, round: u64, kill_after: u64) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    run_and_kill(place, job, round, kill_after, |line| acknowledged.read(line));
    acknowledged
}

/// Kills the job after so many lines that count, and has what it said before it died read as well.
fn run_and_kill(place: &Place, job: Job, round: u64, kill_after: u64, mut read: impl FnMut(&str) -> bool) {
    let mut child = child::command(&[], job, place.path(), round).spawn().expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut count = 0;
    while count <= kill_after {
        let line = lines.next().expect("the child writes until it is killed");
        count += u64::from(read(&line));
    }
    child.kill().expect("the child can be killed");
    child.wait().expect("the child ends");
    for line in lines {
        // A line is one write to a pipe, and far shorter than what a pipe takes at once.
        read(&line);
    }
}
