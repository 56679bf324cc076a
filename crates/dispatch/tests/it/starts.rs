//! Loading, preparing, failing to start, and bindings that are bound late.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use manifest::WorkerIndex;
use selvedge_dispatch::Reservation;

use crate::bench::{Bench, WorkerSetup, call, first, post, send, settle};
use crate::fake::fetch;

#[test]
fn what_the_cache_lost_is_prepared_once_for_everyone() {
    let bench = Bench::new();
    let app = bench.app("a").unprepared().deploy();
    let web = first(&app);
    std::thread::scope(|scope| {
        for index in 0..2 {
            let (bench, web) = (&bench, &web);
            scope.spawn(move || {
                bench.on_core_number(index, false, async {
                    let all: Vec<_> = (0..50).map(|_| post(web, "/ok")).collect();
                    for answer in all {
                        assert!(answer.await.unwrap().is_ok());
                    }
                });
            });
        }
    });
    assert_eq!(bench.engine.counts.prepares.load(Ordering::SeqCst), 1);
    assert_eq!(bench.snapshot().totals.preparations, 1);
}

#[test]
fn a_client_that_leaves_does_not_end_the_preparation_for_others() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").unprepared().deploy());
        let (gone, stays) = (post(&web, "/ok"), post(&web, "/ok"));
        tokio::task::yield_now().await;
        gone.abort();
        assert!(stays.await.unwrap().is_ok());
        assert_eq!(bench.engine.counts.prepares.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_worker_that_keeps_failing_is_quarantined_and_comes_back() {
    for step in ["load", "instantiate", "prepare"] {
        let bench = Bench::new();
        bench.on_core(async {
            bench.engine.breaks(step, 4);
            let app = bench.app("a");
            let app = if step == "prepare" { app.unprepared() } else { app }.deploy();
            let web = first(&app);
            for _ in 0..3 {
                assert_eq!(send(&web, "/ok").await, Err("start_failed"), "{step}");
            }
            let failure = web.invoke(call(), fetch("/ok")).await.err().unwrap();
            assert_eq!(failure.code.name, "quarantined");
            assert!(failure.detail.contains(&format!("{step} is broken")), "{failure}");
            let seen = bench.snapshot().apps[0].workers[0].quarantine.clone().unwrap();
            assert_eq!((seen.failures, seen.remaining.as_millis()), (3, 1_000));
            // The probe fails, so the pause is twice as long.
            bench.clock.advance(1_000);
            assert_eq!(send(&web, "/ok").await, Err("start_failed"), "{step}");
            let again = web.invoke(call(), fetch("/ok")).await.err().unwrap();
            assert_eq!((again.code.name, again.retry_after_s), ("quarantined", Some(2)));
            bench.clock.advance(1_999);
            assert_eq!(send(&web, "/ok").await, Err("quarantined"), "{step}");
            bench.clock.advance(1);
            assert!(send(&web, "/ok").await.is_ok(), "{step}");
            assert!(bench.snapshot().apps[0].workers[0].quarantine.is_none());
            assert_eq!(bench.snapshot().totals.quarantines, 2);
        });
    }
}

#[test]
fn a_failed_preparation_counts_once_however_many_wait_for_it() {
    let bench = Bench::new();
    bench.on_core(async {
        bench.engine.breaks("prepare", 2);
        let web = first(&bench.app("a").unprepared().deploy());
        for _ in 0..2 {
            let all: Vec<_> = (0..20).map(|_| post(&web, "/ok")).collect();
            for answer in all {
                assert_eq!(answer.await.unwrap(), Err("start_failed"));
            }
        }
        assert!(send(&web, "/ok").await.is_ok());
    });
}

#[test]
fn a_worker_whose_instances_trap_at_once_is_quarantined() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").worker(|w| w.fresh = true).deploy());
        // One good start in between forgives the rest.
        for _ in 0..9 {
            assert_eq!(send(&web, "/trap").await, Err("guest_trap"));
        }
        assert!(send(&web, "/ok").await.is_ok());
        for _ in 0..10 {
            assert_eq!(send(&web, "/trap").await, Err("guest_trap"));
        }
        assert_eq!(send(&web, "/ok").await, Err("quarantined"));
        bench.clock.advance(1_000);
        // One probe at a time; the next request after it is served again.
        let probe = post(&web, "/gate");
        settle().await;
        assert_eq!(send(&web, "/ok").await, Err("quarantined"));
        bench.engine.gate.open(1);
        assert!(probe.await.unwrap().is_ok());
        assert!(send(&web, "/ok").await.is_ok());
    });
}

#[test]
fn traps_of_a_warm_instance_are_no_failed_starts() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        for _ in 0..30 {
            assert!(send(&web, "/ok").await.is_ok());
            assert_eq!(send(&web, "/trap").await, Err("guest_trap"));
        }
        assert_eq!(bench.snapshot().totals.quarantines, 0);
    });
}

#[test]
fn a_probe_whose_client_leaves_hands_on_its_turn() {
    let bench = Bench::new();
    bench.on_core(async {
        bench.engine.breaks("instantiate", 3);
        let web = first(&bench.app("a").deploy());
        for _ in 0..3 {
            assert_eq!(send(&web, "/ok").await, Err("start_failed"));
        }
        bench.clock.advance(1_000);
        let probe = post(&web, "/gate");
        settle().await;
        probe.abort();
        settle().await;
        assert!(send(&web, "/ok").await.is_ok());
    });
}

#[test]
fn a_panic_while_loading_is_a_failed_start() {
    let bench = Bench::new();
    bench.on_core(async {
        bench.engine.breaks("panic in load", 1);
        let web = first(&bench.app("a").deploy());
        for _ in 0..3 {
            assert_eq!(send(&web, "/ok").await, Err("internal"));
        }
        assert_eq!(send(&web, "/ok").await, Err("quarantined"));
        bench.engine.breaks("panic in load", 0);
        bench.clock.advance(1_000);
        assert!(send(&web, "/ok").await.is_ok());
    });
}

#[test]
fn a_binding_works_once_its_deployment_is_made_and_ends_with_it() {
    let bench = Bench::new();
    bench.on_core(async {
        let reservation = Reservation::default();
        let late = reservation.invoker(WorkerIndex(0));
        assert_eq!(send(&late, "/ok").await, Err("internal"));
        let app = bench.app("a").deploy_with(reservation);
        assert!(send(&late, "/ok").await.is_ok());
        drop(app);
        bench.pass(0).await;
        assert_eq!(send(&late, "/ok").await, Err("draining"));
    });
}

#[test]
fn a_worker_that_binds_itself_does_not_keep_its_deployment_alive() {
    let bench = Bench::new();
    bench.on_core(async {
        let setup = WorkerSetup { next: Some(0), ..WorkerSetup::default() };
        let app = bench.app("a").workers(vec![setup]).deploy();
        let web = first(&app);
        assert!(send(&web, "/next/ok").await.is_ok());
        let watch = Arc::downgrade(&app);
        drop((app, web));
        assert!(watch.upgrade().is_none());
        bench.pass(0).await;
        assert_eq!((bench.live(), bench.engine.counts.programs.load(Ordering::SeqCst)), (0, 0));
        assert!(bench.snapshot().apps.is_empty());
    });
}
