//! What becomes of events whose instance was lost to another one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use telemetry::{Record, RecordHandle};
use worker::Call;

use crate::bench::{Bench, Last, WorkerSetup, call, first, post, send, settle};
use crate::fake::fetch;

#[test]
fn an_event_that_left_no_trace_runs_again_in_another_instance() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        let (shares, marks) = (post(&web, "/share"), post(&web, "/mark"));
        settle().await;
        assert_eq!(send(&web, "/trap").await, Err("guest_trap"));
        assert_eq!(marks.await.unwrap(), Err("instance_lost"));
        settle().await;
        assert!(!shares.is_finished(), "it waits for the gate again, elsewhere");
        bench.engine.gate.open(1);
        assert_eq!(shares.await.unwrap(), Ok(2));
        let totals = bench.snapshot().totals;
        assert_eq!((totals.instances_lost, totals.events_again, bench.live()), (1, 1, 1));
        assert_eq!(bench.snapshot().apps[0].in_progress, 0);
    });
}

#[test]
fn it_keeps_its_place_and_its_record() {
    let bench = Bench::new();
    bench.on_core(async {
        // No other place is free, and nobody may wait for one.
        let app = bench.app("a").limits(|l| (l.concurrency, l.queue) = (2, 0)).deploy();
        let web = first(&app);
        let kept = Arc::new(Last::default());
        let record = RecordHandle::new(Record { path: "/share".into(), ..Record::default() }, kept.clone());
        let mut shares = web.invoke(Call::new(record), fetch("/share"));
        let lost = async { assert_eq!(send(&web, "/trap").await, Err("guest_trap")) };
        tokio::select! {
            biased;
            _ = &mut shares => panic!("the gate is shut"),
            () = lost => {}
        }
        assert_eq!(bench.snapshot().apps[0].in_progress, 1);
        bench.engine.gate.open(1);
        assert!(shares.await.is_ok());
        assert_eq!(kept.0.lock().unwrap().take().unwrap().path, "/share");
        assert_eq!(bench.snapshot().apps[0].in_progress, 0);
    });
}

/// How many losses an event survives under this limit.
fn check_retries(limit: u64) {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").worker(|w| w.limits.instance_retries = limit).deploy());
        let shares = post(&web, "/share");
        settle().await;
        for _ in 0..=limit {
            assert!(!shares.is_finished());
            assert_eq!(send(&web, "/trap").await, Err("guest_trap"));
            settle().await;
        }
        assert_eq!(shares.await.unwrap(), Err("instance_lost"));
        assert_eq!(bench.snapshot().totals.events_again, limit);
    });
}

#[test]
fn it_runs_again_only_as_often_as_it_may() {
    check_retries(0);
    check_retries(1);
    check_retries(2);
}

#[test]
fn its_time_does_not_begin_anew() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").worker(|w| w.limits.head_ms = 1_000).deploy());
        bench.engine.spent_ms.store(900, Ordering::SeqCst);
        let shares = post(&web, "/share");
        settle().await;
        assert_eq!(send(&web, "/trap").await, Err("guest_trap"));
        let since = tokio::time::Instant::now();
        assert_eq!(shares.await.unwrap(), Err("head_timeout"));
        assert_eq!(since.elapsed().as_millis(), 100);
    });
}

#[test]
fn a_nested_event_runs_again_while_its_caller_waits() {
    let bench = Bench::new();
    bench.on_core(async {
        let workers = vec![WorkerSetup { next: Some(1), ..WorkerSetup::default() }, WorkerSetup::default()];
        let app = bench.app("a").workers(workers).deploy();
        let back = app.invoker(manifest::WorkerIndex(1));
        let outer = post(&first(&app), "/next/share");
        settle().await;
        assert_eq!(send(&back, "/trap").await, Err("guest_trap"));
        bench.engine.gate.open(1);
        assert_eq!(outer.await.unwrap(), Ok(3));
    });
}

#[test]
fn a_client_that_leaves_takes_its_second_run_along() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        let shares = post(&web, "/share");
        settle().await;
        assert_eq!(send(&web, "/trap").await, Err("guest_trap"));
        settle().await;
        shares.abort();
        settle().await;
        let app = &bench.snapshot().apps[0];
        assert_eq!((app.in_progress, app.workers[0].in_flight), (0, 0));
    });
}

#[test]
fn many_events_of_a_lost_instance_start_one_instance_together() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        let all: Vec<_> = (0..200).map(|_| post(&web, "/share")).collect();
        settle().await;
        assert!(web.invoke(call(), fetch("/trap")).await.is_err());
        settle().await;
        bench.engine.gate.open(200);
        for answer in all {
            assert_eq!(answer.await.unwrap(), Ok(2));
        }
        let totals = bench.snapshot().totals;
        assert_eq!((totals.instances_started, totals.instances_lost, totals.events_again), (2, 1, 200));
    });
}
