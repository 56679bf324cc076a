//! Power loss, replayed: a process is traced while it writes, and from the record of its writes,
//! flushes and renames every disk is built that could remain had the power gone at some moment.
//! Each must open, be sound, and hold what was acknowledged by then.

use std::process::Stdio;

use base::{Rng as _, SystemRng};

use crate::child::{self, Job};
use crate::shelf::{self, Kept};
use crate::workload::{Acknowledged, namespace};
use crate::{Place, block_on, crash, objects, requirement};

pub mod disk;
pub mod trace;

use disk::{Disk, Dropped};
use trace::Step;

/// Disks built in an ordinary run; `SELVEDGE_POWER_LOSS_DISKS` asks for more.
const DISKS: usize = 400;
/// Of the ledger fewer: each holds a segment, which takes longer to build than to check.
const LEDGER_DISKS: usize = 120;
/// Of databases and objects, each of which is opened and looked through.
const OPENED_DISKS: usize = 50;

#[test]
fn every_disk_that_a_power_cut_can_leave_holds_what_was_acknowledged() {
    replay(Job::WriteAndEnd, DISKS, |place, said, what| {
        let acknowledged = Acknowledged::of(said);
        let data = services_local::DataDir::open(place.data(), place.options());
        let kv = data.unwrap_or_else(|error| panic!("{what}: {error}")).kv();
        block_on(async {
            let sound = kv.check(&namespace().app_id()).await;
            sound.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            for (writer, count) in acknowledged.0 {
                let held = writer.check(&kv, count).await;
                held.unwrap_or_else(|lost| panic!("{what}: {lost}"));
            }
        });
    });
}

#[test]
fn every_disk_that_a_power_cut_can_leave_holds_what_the_ledger_acknowledged() {
    replay(Job::CommitAndEnd, LEDGER_DISKS, |place, said, what| {
        let mut kept = Kept::default();
        for line in said {
            kept.read(line);
        }
        let data = services_local::DataDir::open(place.data(), place.options());
        let data = data.unwrap_or_else(|error| panic!("{what}: {error}"));
        for (database, count) in kept.0 {
            shelf::check(data.path(), database, count).unwrap_or_else(|lost| panic!("{what}: {lost}"));
        }
    });
}

#[test]
fn every_disk_that_a_power_cut_can_leave_holds_the_batches_that_were_acknowledged() {
    replay(Job::WriteSqlAndEnd, OPENED_DISKS, |place, said, what| {
        let data = services_local::DataDir::open(place.data(), place.options());
        let data = data.unwrap_or_else(|error| panic!("{what}: {error}"));
        crash::check_sql(&data, Acknowledged::of(said)).unwrap_or_else(|lost| panic!("{what}: {lost}"));
    });
}

#[test]
fn every_disk_that_a_power_cut_can_leave_holds_the_turns_of_objects_that_were_acknowledged() {
    replay(Job::WriteObjectsAndEnd, OPENED_DISKS, |place, said, what| {
        let data = services_local::DataDir::open(place.data(), place.options());
        let data = data.unwrap_or_else(|error| panic!("{what}: {error}"));
        objects::check(&data, &Acknowledged::of(said)).unwrap_or_else(|lost| panic!("{what}: {lost}"));
    });
}

/// Runs the job, builds the disks, and has each checked against what was said by then.
fn replay(job: Job, disks: usize, check: impl Fn(&Place, &[&str], &str)) {
    if !requirement::strace() {
        return;
    }
    let place = Place::new();
    let record = place.path().join("record");
    let wrapper = trace::wrapper(&record);
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let status = child::command(&wrapper, job, place.path(), 0).stdout(Stdio::null()).status();
    assert!(status.expect("the child starts").success());
    let data = place.data().canonicalize().expect("the data directory");
    let steps = trace::read(&record, &data);

    let seed = std::env::var("SELVEDGE_POWER_LOSS_SEED")
        .map_or_else(|_| SystemRng.next_u64(), |text| text.parse().expect("a number"));
    let disks = std::env::var("SELVEDGE_POWER_LOSS_DISKS").map_or(disks, |text| text.parse().expect("a number"));
    // The interesting moments: just after a flush or an acknowledgement, when most is promised and
    // least is kept.
    let moments: Vec<u64> = steps.iter().filter(|step| step.is_promise()).map(|step| step.ended).collect();
    assert!(moments.len() > 200, "the record holds {} flushes and acknowledgements", moments.len());
    let ways = [Dropped::All, Dropped::Nothing, Dropped::AfterPrefix, Dropped::Some, Dropped::Some];
    for n in 0..disks {
        let moment = moments[n * moments.len() / disks];
        // All ways at every moment, when there are disks enough; one after the other when not.
        let per_moment = disks.div_ceil(moments.len());
        let way = ways[if per_moment > 1 { n % per_moment % ways.len() } else { n % ways.len() }];
        let what = format!("power lost at step {moment}, {way:?}, SELVEDGE_POWER_LOSS_SEED={seed}");
        let place = Place::in_memory();
        Disk::after(&steps, moment, way, seed.wrapping_add(n as u64)).write_to(&place.data());
        check(&place, &said_by(&steps, moment), &what);
    }
    eprintln!("{disks} disks from {} steps, seed {seed}", steps.len());
}

/// The lines that may have been read by the moment.
fn said_by(steps: &[Step], moment: u64) -> Vec<&str> {
    let begun = steps.iter().filter(|step| step.began <= moment);
    let lines = begun.filter_map(|step| match &step.act {
        trace::Act::Say(line) => Some(line.trim()),
        _ => None,
    });
    lines.collect()
}
