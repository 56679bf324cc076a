//! Failing flushes and full disks: the store turns read-only, says so, recovers, and has lost
//! nothing that it acknowledged.

use std::io::Read as _;

use crate::child::{self, Job};
use crate::shelf::{self, Kept};
use crate::workload::{Acknowledged, namespace};
use crate::{Place, block_on, requirement};

/// Runs the child to its end and answers what it said.
fn run(wrapper: &[&str], job: Job, place: &Place) -> Vec<String> {
    let mut child = child::command(wrapper, job, place.path(), 0).spawn().expect("the child starts");
    let mut said = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut said).expect("text");
    let status = child.wait().expect("the child ends");
    assert!(status.success(), "{status}: {said}");
    said.lines().map(String::from).collect()
}

fn check_fault(inject: &str, expected: &[&str]) {
    if !requirement::strace() {
        return;
    }
    let place = Place::new();
    let calls = inject.split(':').next().expect("the system call");
    let (trace, inject) = (format!("trace={calls}"), format!("inject={inject}"));
    let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let said = run(&wrapper, Job::WriteThroughFaults, &place);
    let failure = said.iter().find_map(|line| line.strip_prefix("failed ")).expect("the store failed");
    assert!(expected.contains(&failure), "{inject}: {failure}");
    assert!(said.iter().any(|line| line.starts_with("recovered")), "{said:?}");
    let mut acknowledged = Acknowledged::default();
    for line in &said {
        acknowledged.read(line);
    }
    let data = place.open();
    block_on(async {
        data.kv().check(&namespace().app_id()).await.expect("no file is damaged");
        for (writer, count) in acknowledged.0 {
            assert_eq!(writer.check(&data.kv(), count).await, Ok(count));
        }
    });
}

#[test]
fn a_failed_flush_is_not_retried_and_loses_nothing() {
    check_fault("fsync,fdatasync:error=EIO:when=40", &["store_read_only", "store_failed"]);
}

#[test]
fn a_disk_that_fails_for_a_while_is_survived() {
    check_fault("fsync,fdatasync:error=EIO:when=40..43", &["store_read_only", "store_failed"]);
}

#[test]
fn a_failed_write_loses_nothing() {
    check_fault("pwrite64:error=EIO:when=60..63", &["store_read_only", "store_failed"]);
}

#[test]
fn a_write_that_finds_no_space_says_so() {
    check_fault("pwrite64:error=ENOSPC:when=60..63", &["store_full"]);
}

fn check_ledger_fault(inject: &str, expected: &[&str]) {
    check_fault_of(&Place::new(), Job::CommitThroughFaults, inject, &[], expected);
}

fn check_fault_of(place: &Place, job: Job, inject: &str, more: &[&str], expected: &[&str]) {
    if !requirement::strace() {
        return;
    }
    let calls = inject.split(':').next().expect("the system call");
    let (trace, inject) = (format!("trace={calls}"), format!("inject={inject}"));
    let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let said = run(&[&wrapper, more].concat(), job, place);
    let failure = said.iter().find_map(|line| line.strip_prefix("failed ")).expect("the ledger failed");
    assert!(expected.contains(&failure), "{inject}: {failure}");
    assert!(said.iter().any(|line| line.starts_with("recovered")), "{said:?}");
    let mut kept = Kept::default();
    for line in &said {
        kept.read(line);
    }
    let data = place.open();
    for (database, count) in kept.0 {
        shelf::check(data.path(), database, count).unwrap_or_else(|lost| panic!("{inject}: {lost}"));
    }
}

#[test]
fn a_failed_flush_of_the_ledger_loses_nothing() {
    check_ledger_fault("fdatasync:error=EIO:when=30..31", &["store_read_only", "store_failed"]);
}

/// Each flush takes a tenth of a second, and so does whoever saw what it is of.
#[test]
fn no_read_shows_what_a_crash_may_take_back() {
    if !requirement::strace() {
        return;
    }
    let inject = "inject=fdatasync:delay_enter=100000";
    let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject];
    let said = run(&wrapper, Job::ReadWhatCommits, &Place::new());
    for way in ["batch", "transaction", "stream", "refusal"] {
        let seen = said.iter().find_map(|line| line.strip_prefix(way)?.trim().parse::<u64>().ok());
        assert!(seen.is_some_and(|ms| ms >= 100), "{way}: seen after {seen:?} ms");
    }
}

#[test]
fn a_database_that_could_not_be_flushed_is_written_anew() {
    let place = Place::new();
    let file = place.path().canonicalize().expect("a path").join("data/shelf-0.db").display().to_string();
    // The first one is SQLite's, as it makes the file.
    let inject = "fdatasync:error=EIO:when=2";
    check_fault_of(&place, Job::CloseUnflushed, inject, &["-P", &file], &["store_read_only", "store_failed"]);
}

#[test]
fn a_ledger_that_finds_no_space_says_so_and_goes_on() {
    check_ledger_fault("fdatasync:error=ENOSPC:when=30..31", &["store_full"]);
}

/// Runs the child in a mount namespace of its own, with `mount` on the place.
fn mounted(mount: &str, job: Job) -> Option<Vec<String>> {
    if !requirement::own_mounts() {
        return None;
    }
    let place = Place::new();
    let path = place.path().display();
    let script = format!("set -e; {} && exec \"$0\" \"$@\"", mount.replace("PLACE", &path.to_string()));
    Some(run(&["unshare", "-rm", "sh", "-c", &script], job, &place))
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let mount = "mount -t tmpfs -o size=8m none PLACE && dd if=/dev/zero of=PLACE/ballast bs=1M count=4 2>/dev/null";
    let Some(said) = mounted(mount, Job::FillTheDisk) else { return };
    assert!(said.contains(&"failed store_full".to_owned()), "{said:?}");
    assert!(said.contains(&"recovered".to_owned()), "{said:?}");
}

#[test]
fn a_full_disk_refuses_commits_until_there_is_room() {
    let mount = "mount -t tmpfs -o size=40m none PLACE && dd if=/dev/zero of=PLACE/ballast bs=1M count=8 2>/dev/null";
    let Some(said) = mounted(mount, Job::CommitOnAFullDisk) else { return };
    assert!(said.contains(&"failed store_full".to_owned()), "{said:?}");
    assert!(said.contains(&"recovered".to_owned()), "{said:?}");
}

#[test]
fn a_node_starts_on_a_full_disk_reads_and_writes_again_when_there_is_room() {
    let Some(said) = mounted("mount -t tmpfs -o size=320m none PLACE", Job::StartOnAFullDisk) else { return };
    assert!(said.contains(&"recovered".to_owned()), "{said:?}");
}

#[test]
fn a_full_disk_lets_through_what_makes_room() {
    let Some(said) = mounted("mount -t tmpfs -o size=320m none PLACE", Job::RemoveOnAFullDisk) else { return };
    assert!(said.contains(&"recovered".to_owned()), "{said:?}");
}

#[test]
fn a_data_directory_on_a_full_disk_says_so() {
    let mount = "mount -t tmpfs -o size=64k none PLACE && mkdir PLACE/data && (dd if=/dev/zero of=PLACE/ballast bs=4k 2>/dev/null || true)";
    let Some(said) = mounted(mount, Job::Open) else { return };
    assert!(said.iter().any(|line| line.starts_with("store_full: ")), "{said:?}");
}

#[test]
fn a_data_directory_on_a_read_only_file_system_says_so() {
    let mount = "mount -t tmpfs none PLACE && mkdir PLACE/data && mount -o remount,ro PLACE";
    let Some(said) = mounted(mount, Job::Open) else { return };
    let expected = "is on a read-only file system; remount it for writing, or choose another --data";
    assert!(said.iter().any(|line| line.starts_with("data_unusable: ") && line.ends_with(expected)), "{said:?}");
}
