//! Blobs under `kill -9` and power loss: nothing acknowledged is lost, and nothing is half there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use base::{Body, Rng as _, SystemRng};
use bytes::Bytes;
use services::blob::{
    BlobError, Blobs as _, Bucket, Conditions, Content, DeleteKey, Expected, GetOptions, PartWanted, PutOptions,
    UploadOptions,
};
use services_local::{DataDir, LocalBlobs};

use crate::child::{self, Job};
use crate::crash::recent;
use crate::power_loss::disk::{Disk, Dropped};
use crate::power_loss::trace::{self, Step};
use crate::workload::{Acknowledged, Writer, namespace};
use crate::{Place, block_on, requirement};

/// Rounds in an ordinary run; `SELVEDGE_CRASH_ROUNDS` asks for more.
const ROUNDS: u64 = 3;
const ACKNOWLEDGEMENTS_MAX: u64 = 300;
/// Disks built in an ordinary run; `SELVEDGE_POWER_LOSS_DISKS` asks for more.
const DISKS: usize = 150;
const KEYS: u64 = 5;

pub fn bucket() -> Bucket {
    let ns = namespace();
    Bucket::new(ns.tenant, ns.app, ns.name)
}

fn key(writer: Writer, operation: u64) -> String {
    format!("{}/{}/{}", writer.round, writer.number, (operation * 3 + operation / 7) % KEYS)
}

/// What an operation leaves under its key: nothing after a deletion. Sizes lie on both sides of what
/// a row holds and of a chunk.
fn content(writer: Writer, operation: u64) -> Option<Bytes> {
    let length = match operation % 11 {
        10 => return None,
        3 | 8 => 40_000,
        6 => 150_000,
        _ => 100,
    };
    let mut content = format!("{}/{}/{operation} ", writer.round, writer.number).into_bytes();
    content.resize(length, b'a' + (operation % 26) as u8);
    Some(content.into())
}

/// Every eighth operation ending in content is an upload in one part, the others are puts.
pub async fn run(writer: Writer, blobs: &LocalBlobs, operation: u64) -> Result<(), BlobError> {
    let (bucket, key) = (bucket(), key(writer, operation));
    let Some(content) = content(writer, operation) else {
        let outcome = blobs.delete(&bucket, vec![DeleteKey::new(key)]).await?.remove(0);
        return outcome.map(drop);
    };
    if operation % 11 != 8 {
        return blobs.put(&bucket, &key, Body::full(content), PutOptions::default()).await.map(drop);
    }
    let id = blobs.create_upload(&bucket, &key, UploadOptions::default()).await?;
    blobs.put_part(&bucket, &key, &id, 2, Body::full("left out"), Expected::default()).await?;
    let part = blobs.put_part(&bucket, &key, &id, 1, Body::full(content), Expected::default()).await?;
    let parts = vec![PartWanted { number: 1, etag: part.etag, checksum: None }];
    blobs.complete_upload(&bucket, &key, &id, parts, Conditions::default()).await.map(drop)
}

fn state(writer: Writer, operations: u64) -> BTreeMap<String, Option<Bytes>> {
    let mut state: BTreeMap<_, _> = (0..KEYS * 7).map(|operation| (key(writer, operation), None)).collect();
    state.extend((0..operations).map(|operation| (key(writer, operation), content(writer, operation))));
    state
}

/// Checks that the keys are as after `acknowledged` operations, or one more. Answers how many there
/// were.
async fn check(writer: Writer, blobs: &Arc<LocalBlobs>, acknowledged: u64) -> Result<u64, String> {
    let mut found = BTreeMap::new();
    for key in state(writer, 0).into_keys() {
        let blob = blobs.get(&bucket(), &key, GetOptions::default()).await;
        let content = match blob.map_err(|error| format!("get {key}: {error:?}"))?.map(|blob| blob.content) {
            Some(Content::Bytes { body, .. }) => {
                Some(body.collect(1 << 20).await.map_err(|error| format!("read {key}: {error:?}"))?)
            }
            _ => None,
        };
        found.insert(key, content);
    }
    let happened = [acknowledged, acknowledged + 1].into_iter().find(|&n| state(writer, n) == found);
    happened.ok_or_else(|| format!("{writer:?} acknowledged {acknowledged}, and holds something else"))
}

/// Every file is there and opens.
async fn check_whole(blobs: &Arc<LocalBlobs>) -> Result<(), String> {
    blobs.check(&bucket().app_id()).await.map_err(|error| format!("{error:?}"))?;
    let report = blobs.scrub(&bucket()).await.map_err(|error| format!("{error:?}"))?;
    if report.damaged.is_empty() { Ok(()) } else { Err(format!("{:?}", report.damaged)) }
}

#[test]
fn a_killed_process_loses_no_acknowledged_blob() {
    let rounds = std::env::var("SELVEDGE_CRASH_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number"));
    let (place, mut settled, mut total) = (Place::new(), Vec::new(), 0);
    for round in 0..rounds {
        let kill_after = SystemRng.next_u64() % ACKNOWLEDGEMENTS_MAX;
        let mut child = child::command(&[], Job::WriteBlobs, place.path(), round).spawn().expect("the child starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let (mut acknowledged, mut count) = (Acknowledged::default(), 0);
        while count <= kill_after {
            let line = lines.next().expect("the child writes until it is killed");
            count += u64::from(acknowledged.read(&line));
        }
        child.kill().expect("the child can be killed");
        child.wait().expect("the child ends");
        for line in lines {
            acknowledged.read(&line);
        }
        let blobs = place.open().blobs().expect("the node key is there");
        block_on(async {
            check_whole(&blobs).await.unwrap_or_else(|damage| panic!("round {round}: {damage}"));
            for (writer, count) in acknowledged.0 {
                total += count;
                let happened = check(writer, &blobs, count).await;
                settled.push((writer, happened.unwrap_or_else(|lost| panic!("round {round}: {lost}"))));
            }
            for &(writer, count) in recent(&settled, round, rounds) {
                assert_eq!(check(writer, &blobs, count).await, Ok(count), "after round {round}");
            }
        });
    }
    eprintln!("{rounds} rounds of kill -9, {total} acknowledged writes of blobs, none lost");
}

#[test]
fn every_disk_that_a_power_cut_can_leave_holds_the_blobs_that_were_acknowledged() {
    if !requirement::strace() {
        return;
    }
    let place = Place::new();
    let record = place.path().join("record");
    let wrapper = trace::wrapper(&record);
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let status = child::command(&wrapper, Job::WriteBlobsAndEnd, place.path(), 0).stdout(Stdio::null()).status();
    assert!(status.expect("the child starts").success());
    let steps = trace::read(&record, &place.data().canonicalize().expect("the data directory"));
    let seed = std::env::var("SELVEDGE_POWER_LOSS_SEED")
        .map_or_else(|_| SystemRng.next_u64(), |text| text.parse().expect("a number"));
    let disks = std::env::var("SELVEDGE_POWER_LOSS_DISKS").map_or(DISKS, |text| text.parse().expect("a number"));
    let moments: Vec<u64> = steps.iter().filter(|step| step.is_promise()).map(|step| step.ended).collect();
    assert!(moments.len() > 150, "the record holds {} flushes and acknowledgements", moments.len());
    let ways = [Dropped::All, Dropped::Nothing, Dropped::AfterPrefix, Dropped::Some, Dropped::Some];
    for n in 0..disks {
        let moment = moments[n * moments.len() / disks];
        check_disk(&place, &steps, moment, ways[n % ways.len()], seed.wrapping_add(n as u64));
    }
    eprintln!("{disks} disks from {} steps, seed {seed}", steps.len());
}

fn check_disk(traced: &Place, steps: &[Step], moment: u64, way: Dropped, seed: u64) {
    let what = format!("power lost at step {moment}, {way:?}, SELVEDGE_POWER_LOSS_SEED={seed}");
    let mut acknowledged = Acknowledged::default();
    for step in steps.iter().filter(|step| step.began <= moment) {
        if let trace::Act::Say(line) = &step.act {
            acknowledged.read(line.trim());
        }
    }
    let place = Place::in_memory();
    Disk::after(steps, moment, way, seed).write_to(&place.data());
    // The node key lies elsewhere and was there before.
    std::fs::copy(traced.path().join("node.key"), place.path().join("node.key")).expect("the node key");
    let data = DataDir::open(place.data(), place.options()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let blobs = data.blobs().unwrap_or_else(|error| panic!("{what}: {error}"));
    block_on(async {
        check_whole(&blobs).await.unwrap_or_else(|damage| panic!("{what}: {damage}"));
        for (writer, count) in acknowledged.0 {
            check(writer, &blobs, count).await.unwrap_or_else(|lost| panic!("{what}: {lost}"));
        }
    });
}
