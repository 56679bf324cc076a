//! Deployments that follow each other, and a node that stops.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use selvedge_dispatch::Reservation;

use crate::bench::{Bench, WorkerSetup, first, post, send, settle};

#[test]
fn a_swap_under_load_loses_no_request() {
    let bench = Bench::new();
    let setup = || {
        vec![
            WorkerSetup { next: Some(1), ..WorkerSetup::default() },
            WorkerSetup { fresh: true, ..WorkerSetup::default() },
        ]
    };
    let current = Mutex::new(first(&bench.app("a").workers(setup()).deploy()));
    let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for index in 0..2 {
            let (bench, current, stop, served) = (&bench, &current, &stop, &served);
            scope.spawn(move || {
                bench.on_core_number(index, false, async {
                    while !stop.load(Ordering::SeqCst) {
                        let paths = ["/ok", "/next/ok", "/gate", "/next/gate", "/later"];
                        let all: Vec<_> = paths.map(|path| post(&current.lock().unwrap(), path)).into();
                        bench.engine.gate.open(3);
                        for answer in all {
                            answer.await.unwrap().expect("no request is lost");
                            served.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            });
        }
        for swap in 1..=40 {
            while served.load(Ordering::SeqCst) < swap * 10 {
                std::thread::yield_now();
            }
            let next = first(&bench.app("a").workers(setup()).deploy());
            *current.lock().unwrap() = next;
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!((bench.live(), bench.snapshot().instances), (0, 0));
    assert!(bench.snapshot().programs_loaded <= 2);
    assert_eq!(bench.snapshot().apps[0].workers.len(), 2, "only the current deployment is left");
}

#[test]
fn a_replaced_deployment_finishes_what_it_has_and_then_is_gone() {
    let bench = Bench::new();
    bench.on_core(async {
        let old = bench.app("a").deploy();
        let web = first(&old);
        let running = post(&web, "/gate");
        assert!(send(&web, "/later").await.is_ok());
        settle().await;
        let made = bench.app("a").deploy_beside(Reservation::default());
        let new = first(&made);
        assert_eq!(send(&new, "/ok").await, Ok(2));
        assert!(!old.is_retired(), "nobody is sent away before new requests reach the new one");
        made.take_over();
        assert!(old.is_retired() && !made.is_retired());
        let drained = tokio::task::spawn_local({
            let old = old.clone();
            async move { old.drained().await }
        });
        settle().await;
        assert!(!drained.is_finished());
        // A request that chose the old one before the swap is served by it.
        assert_eq!(send(&web, "/ok").await, Ok(1));
        bench.engine.gate.open(1);
        assert_eq!(running.await.unwrap(), Ok(1));
        settle().await;
        assert!(!drained.is_finished(), "there is still work after a response");
        bench.engine.gate.open(1);
        drained.await.unwrap();
        settle().await;
        assert_eq!((bench.live(), bench.engine.counts.programs.load(Ordering::SeqCst)), (1, 1));
        // Even now a late one is, only that nothing is kept for the next.
        assert!(send(&web, "/ok").await.is_ok());
        settle().await;
        assert_eq!(bench.live(), 1);
    });
}

#[test]
fn what_a_replaced_deployment_kept_warm_goes_at_once() {
    let bench = Bench::new();
    bench.on_core(async {
        let old = first(&bench.app("a").deploy());
        assert!(send(&old, "/ok").await.is_ok());
        let _new = bench.app("a").deploy();
        settle().await;
        assert_eq!((bench.live(), bench.engine.counts.programs.load(Ordering::SeqCst)), (0, 0));
    });
}

#[test]
fn a_swap_takes_the_admission_along() {
    let bench = Bench::new();
    bench.on_core(async {
        let old = bench.app("a").limits(|l| (l.concurrency, l.queue) = (1, 1)).deploy();
        let running = post(&first(&old), "/gate");
        settle().await;
        let new = first(&bench.app("a").limits(|l| (l.concurrency, l.queue) = (1, 1)).deploy());
        let waiting = post(&new, "/ok");
        settle().await;
        assert_eq!(send(&new, "/ok").await, Err("app_overloaded"));
        // The next one allows more, and at once.
        let newest = first(&bench.app("a").limits(|l| (l.concurrency, l.queue) = (3, 1)).deploy());
        assert!(waiting.await.unwrap().is_ok());
        assert!(send(&newest, "/ok").await.is_ok());
        bench.engine.gate.open(1);
        assert!(running.await.unwrap().is_ok());
    });
}

#[test]
fn a_draining_node_refuses_new_requests_and_waits_for_the_rest() {
    let bench = Bench::new();
    bench.on_core(async {
        let setup = vec![WorkerSetup { next: Some(1), ..WorkerSetup::default() }, WorkerSetup::default()];
        let app = bench.app("a").workers(setup).limits(|l| l.concurrency = 2).deploy();
        let web = first(&app);
        assert!(send(&web, "/next/later").await.is_ok());
        let running = post(&web, "/gate");
        settle().await;
        let waiting = post(&web, "/next/ok");
        settle().await;
        let dispatcher = bench.dispatcher.clone();
        let drain = tokio::task::spawn_local(async move { dispatcher.drain().await });
        settle().await;
        assert_eq!(send(&web, "/ok").await, Err("draining"));
        // A deployment made meanwhile is no way in either.
        assert_eq!(send(&first(&bench.app("b").deploy()), "/ok").await, Err("draining"));
        assert!(!drain.is_finished());
        bench.engine.gate.open(1);
        settle().await;
        assert!(!drain.is_finished());
        bench.engine.gate.open(1);
        assert!(running.await.unwrap().is_ok() && waiting.await.unwrap().is_ok());
        tokio::time::timeout(Duration::from_secs(1), drain).await.unwrap().unwrap();
    });
}

#[test]
fn an_idle_node_drains_at_once() {
    let bench = Bench::new();
    bench.on_core(async {
        bench.dispatcher.drain().await;
        assert_eq!(send(&first(&bench.app("a").deploy()), "/ok").await, Err("draining"));
    });
}

#[test]
fn a_core_that_closes_takes_its_instances_along() {
    let bench = Bench::new();
    let web = first(&bench.app("a").deploy());
    bench.on_core(async { assert!(send(&web, "/ok").await.is_ok()) });
    assert_eq!((bench.live(), bench.snapshot().instances), (0, 0));
}
