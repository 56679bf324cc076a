//! A node that is killed while it writes, and how soon the next one answers with all that was acknowledged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use anyhow::{Context as _, Result, bail};

use super::node::{App, Node, deployed, number_after};
use crate::bench::peer::Tools;
use crate::bench::report::Report;
use crate::repo::Repo;

pub const NAME: &str = "recovery";
/// Rows of a MiB.
const ROWS: u64 = 1_024;
const QUICK: u64 = 128;
const WRITERS: usize = 4;

pub fn run(repo: &Repo, tools: &Tools, quick: bool) -> Result<Report> {
    let wanted = if quick { QUICK } else { ROWS };
    let app = App { worker: "tenants.js", binding: "TENANTS = { sql = \"t-*\" }", ..App::default() };
    let stage = deployed(repo, tools, &app)?;
    let node = Node::start(tools, &stage, "/rows")?;
    node.ask("/load", "Loaded.")?;
    drop(node);
    // The image of the worker is there by now, and the table.
    let node = Node::start(tools, &stage, "/rows")?;
    let empty_ms = node.ready_ms;
    let acknowledged = killed_while_writing(node, wanted)?;
    let node = Node::start(tools, &stage, "/rows")?;
    let found = number_after(&node.ask("/rows", "Rows")?, "Rows ")?;
    if found < acknowledged {
        bail!("{acknowledged} rows were acknowledged, and {found} are there");
    }
    let about =
        format!("a node with {wanted} MiB is killed while it writes; the next is to answer a second later at most");
    Ok(Report::new(NAME, about)
        .figure("rows of a MiB that were acknowledged", "acknowledged", 0, acknowledged as f64)
        .figure("rows that are there", "found", 0, found as f64)
        .figure("exec to first answer, empty, ms", "empty_ms", 1, empty_ms)
        .figure("exec to first answer, killed, ms", "killed_ms", 1, node.ready_ms)
        .figure("recovery, ms", "recovery_ms", 1, node.ready_ms - empty_ms))
}

/// How many rows were acknowledged before the node was killed, with that of the start; writers were writing then.
fn killed_while_writing(node: Node, wanted: u64) -> Result<u64> {
    let (killed, mut acknowledged) = (AtomicBool::new(false), 0);
    let (tell, told) = mpsc::channel();
    let write = &|tell: Sender<()>| loop {
        match node.ask("/load", "Loaded.") {
            Ok(_) => tell.send(()).context("nobody counts")?,
            Err(_) if killed.load(Ordering::SeqCst) => return Ok(()),
            Err(error) => return Err(error),
        }
    };
    let outcomes: Vec<Result<()>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| tell.clone()).map(|tell| scope.spawn(move || write(tell))).collect();
        // Without a writer nobody tells any more.
        drop(tell);
        let before = told.iter().take(wanted as usize).count() as u64;
        killed.store(true, Ordering::SeqCst);
        let ended = node.server.kill();
        acknowledged = before + told.iter().count() as u64;
        writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).chain([ended]).collect()
    });
    outcomes.into_iter().collect::<Result<()>>()?;
    Ok(1 + acknowledged)
}
