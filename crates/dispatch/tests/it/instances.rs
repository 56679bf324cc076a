//! Which instance an event goes to, and when instances come and go.

use std::sync::atomic::Ordering;

use crate::bench::{Bench, WorkerSetup, first, post, send, settle};

#[test]
fn requests_of_a_shared_worker_go_to_one_warm_instance() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        let waiting: Vec<_> = (0..100).map(|_| post(&web, "/gate")).collect();
        settle().await;
        assert_eq!(send(&web, "/ok").await, Ok(1));
        bench.engine.gate.open(100);
        for answer in waiting {
            assert_eq!(answer.await.unwrap(), Ok(1));
        }
        assert_eq!((bench.live(), bench.engine.counts.loads.load(Ordering::SeqCst)), (1, 1));
    });
}

#[test]
fn a_paused_instance_is_passed_over_until_there_may_be_no_more() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").limits(|l| l.instances = 2).deploy());
        let (one, two) = (post(&web, "/pause"), post(&web, "/pause"));
        settle().await;
        assert_eq!(bench.live(), 2);
        // Both are paused, so the least loaded takes it all the same.
        assert_eq!(send(&web, "/ok").await, Ok(1));
        bench.engine.gate.open(2);
        assert_eq!((one.await.unwrap(), two.await.unwrap()), (Ok(1), Ok(2)));
        // The oldest one is kept hot.
        assert_eq!(send(&web, "/ok").await, Ok(1));
    });
}

#[test]
fn a_full_instance_makes_way_for_a_second_and_then_requests_wait_their_turn() {
    let bench = Bench::new();
    bench.on_core(async {
        let app = bench.app("a").worker(|w| w.limits.instance_requests = 1).limits(|l| (l.instances, l.queue) = (2, 1));
        let web = first(&app.deploy());
        let running = [post(&web, "/gate"), post(&web, "/gate")];
        settle().await;
        let waiting = post(&web, "/ok");
        settle().await;
        assert_eq!(send(&web, "/ok").await, Err("app_overloaded"));
        bench.engine.gate.open(1);
        assert!(waiting.await.unwrap().is_ok());
        assert_eq!(bench.live(), 2);
        bench.engine.gate.open(1);
        for answer in running {
            assert!(answer.await.unwrap().is_ok());
        }
    });
}

#[test]
fn one_that_waits_gets_in_as_soon_as_any_request_of_a_full_instance_ends() {
    let bench = Bench::new();
    bench.on_core(async {
        let app = bench.app("a").worker(|w| w.limits.instance_requests = 2).limits(|l| l.instances = 1);
        let web = first(&app.deploy());
        let _running = [post(&web, "/gate"), post(&web, "/gate")];
        settle().await;
        let waiting = post(&web, "/ok");
        settle().await;
        bench.engine.gate.open(1);
        assert_eq!(waiting.await.unwrap(), Ok(1));
    });
}

#[test]
fn an_instance_that_falls_idle_makes_way_for_another_worker_of_the_app() {
    let bench = Bench::new();
    bench.on_core(async {
        let workers = vec![WorkerSetup::default(), WorkerSetup { fresh: true, ..WorkerSetup::default() }];
        let app = bench.app("a").workers(workers).limits(|l| l.instances = 2).deploy();
        let (shared, fresh) = (first(&app), app.invoker(manifest::WorkerIndex(1)));
        let running = post(&shared, "/gate");
        settle().await;
        let _fills = post(&fresh, "/gate");
        settle().await;
        let waiting = post(&fresh, "/ok");
        settle().await;
        assert!(!waiting.is_finished());
        bench.engine.gate.open(1);
        assert_eq!((running.await.unwrap(), waiting.await.unwrap()), (Ok(1), Ok(3)));
    });
}

#[test]
fn the_wait_for_an_instance_ends_after_queue_ms() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").worker(|w| w.fresh = true).limits(|l| l.instances = 1).deploy());
        let _running = post(&web, "/gate");
        settle().await;
        let failure = web.invoke(crate::bench::call(), crate::fake::fetch("/ok")).await.err().unwrap();
        assert_eq!(failure.code.name, "app_overloaded");
        assert!(failure.detail.contains("1 on one core (limits.instances)"), "{failure}");
    });
}

#[test]
fn request_isolation_runs_each_event_in_an_instance_of_its_own() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").worker(|w| w.fresh = true).deploy());
        assert_eq!((send(&web, "/ok").await, send(&web, "/ok").await), (Ok(1), Ok(2)));
        assert_eq!(bench.live(), 0);
        assert_eq!(bench.engine.counts.loads.load(Ordering::SeqCst), 1);
        // It lives as long as its work after the response.
        assert_eq!(send(&web, "/later").await, Ok(3));
        settle().await;
        assert_eq!(bench.live(), 1);
        bench.engine.gate.open(1);
        settle().await;
        assert_eq!(bench.live(), 0);
        // And no longer than its client, if that leaves.
        let gone = post(&web, "/gate");
        settle().await;
        gone.abort();
        settle().await;
        assert_eq!(bench.live(), 0);
    });
}

#[test]
fn an_instance_is_replaced_after_as_many_events_as_it_may_have() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").worker(|w| w.limits.instance_requests_total = 2).deploy());
        let served = [send(&web, "/later").await, send(&web, "/ok").await, send(&web, "/ok").await];
        assert_eq!(served, [Ok(1), Ok(1), Ok(2)]);
        assert_eq!(bench.live(), 2, "the first still has work to do");
        bench.engine.gate.open(1);
        settle().await;
        assert_eq!(bench.live(), 1);
        assert_eq!(bench.snapshot().totals.instances_retired, 1);
    });
}

#[test]
fn an_instance_whose_memory_grew_is_replaced_but_not_one_that_needs_it_from_the_start() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        let served = [send(&web, "/ok").await, send(&web, "/grow").await, send(&web, "/ok").await];
        assert_eq!(served, [Ok(1), Ok(1), Ok(2)]);
        let hungry = first(&bench.app("b").deploy());
        let served = [send(&hungry, "/need").await, send(&hungry, "/ok").await, send(&hungry, "/need").await];
        assert_eq!(served, [Ok(3), Ok(3), Ok(3)]);
        let served = [send(&hungry, "/grow").await, send(&hungry, "/ok").await];
        assert_eq!(served, [Ok(3), Ok(4)]);
    });
}

#[test]
fn an_instance_whose_first_event_leaves_no_room_is_replaced() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        let served = [send(&web, "/grow").await, send(&web, "/ok").await, send(&web, "/ok").await];
        assert_eq!(served, [Ok(1), Ok(2), Ok(2)]);
        assert_eq!(bench.snapshot().totals.instances_retired, 1);
    });
}

#[test]
fn a_worn_instance_is_replaced() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        let served = [send(&web, "/ok").await, send(&web, "/wear").await, send(&web, "/ok").await];
        assert_eq!(served, [Ok(1), Ok(1), Ok(2)]);
        assert_eq!(bench.snapshot().totals.instances_retired, 1);
    });
}

#[test]
fn a_lost_instance_takes_no_more_events() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        assert_eq!(send(&web, "/ok").await, Ok(1));
        assert_eq!(send(&web, "/trap").await, Err("guest_trap"));
        assert_eq!(send(&web, "/ok").await, Ok(2));
        assert_eq!((bench.live(), bench.snapshot().totals.instances_lost), (1, 1));
    });
}

#[test]
fn an_instance_that_was_lost_unseen_is_dropped_by_the_next_request() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        assert_eq!(send(&web, "/rot").await, Ok(1));
        settle().await;
        assert_eq!(send(&web, "/ok").await, Ok(2));
        assert_eq!(bench.live(), 1);
    });
}

#[test]
fn a_panic_of_the_engine_ends_one_request_and_one_instance() {
    let bench = Bench::new();
    bench.on_core(async {
        let web = first(&bench.app("a").deploy());
        let neighbour = post(&web, "/gate");
        settle().await;
        assert_eq!(send(&web, "/panic").await, Err("internal"));
        assert_eq!(send(&web, "/ok").await, Ok(2));
        bench.engine.gate.open(1);
        assert_eq!(neighbour.await.unwrap(), Ok(1));
        settle().await;
        assert_eq!((bench.live(), bench.snapshot().totals.panics), (1, 1));
        assert_eq!(bench.snapshot().apps[0].in_progress, 0);
    });
}

#[test]
fn an_instance_that_stands_unused_is_dropped_and_so_is_its_program_in_the_end() {
    let bench = Bench::with(|l| l.loaded_images = 1);
    bench.on_core(async {
        let (a, b) = (first(&bench.app("a").unprepared().deploy()), first(&bench.app("b").deploy()));
        assert!(send(&a, "/ok").await.is_ok() && send(&b, "/ok").await.is_ok());
        bench.pass(9_000).await;
        assert_eq!(bench.live(), 2);
        bench.pass(10_001).await;
        assert_eq!(bench.live(), 0);
        // Only one image may stay for those who have no instance.
        bench.pass(10_001).await;
        assert_eq!(bench.engine.counts.programs.load(Ordering::SeqCst), 1);
        assert!(send(&a, "/ok").await.is_ok() && send(&b, "/ok").await.is_ok());
    });
}

#[test]
fn the_longest_idle_instance_makes_room_on_a_full_node() {
    let bench = Bench::with(|l| l.instances_total = 3);
    bench.on_core(async {
        let apps: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| first(&bench.app(name).deploy())).into();
        for web in &apps {
            assert!(send(web, "/ok").await.is_ok());
        }
        let snapshot = bench.snapshot();
        let with_instance: Vec<&str> =
            snapshot.apps.iter().filter(|app| app.workers[0].instances > 0).map(|app| app.app.as_str()).collect();
        assert_eq!((with_instance, snapshot.totals.instances_evicted, bench.live()), (vec!["c", "d", "e"], 2, 3));
    });
}

#[test]
fn a_node_full_of_busy_instances_says_so() {
    let bench = Bench::with(|l| l.instances_total = 1);
    bench.on_core(async {
        let (a, b) = (first(&bench.app("a").deploy()), first(&bench.app("b").deploy()));
        let running = post(&a, "/gate");
        settle().await;
        assert_eq!(send(&b, "/ok").await, Err("node_overloaded"));
        let waiting = post(&b, "/ok");
        settle().await;
        bench.engine.gate.open(1);
        assert!(running.await.unwrap().is_ok() && waiting.await.unwrap().is_ok());
    });
}

#[test]
fn room_on_the_node_goes_to_one_who_can_use_it() {
    let bench = Bench::with(|l| l.instances_total = 3);
    bench.on_core(async {
        let fresh = |name| bench.app(name).worker(|w| w.fresh = true);
        let (x, y, z) = (fresh("x").limits(|l| l.instances = 1).deploy(), fresh("y").deploy(), fresh("z").deploy());
        let first_done = post(&first(&z), "/gate");
        settle().await;
        let _others = [post(&first(&z), "/gate"), post(&first(&x), "/gate")];
        settle().await;
        // The limit of their own app holds these back, not the node's.
        let _wait_for_their_app = [0; 4].map(|_| post(&first(&x), "/ok"));
        settle().await;
        let waits_for_the_node = post(&first(&y), "/ok");
        settle().await;
        bench.engine.gate.open(1);
        assert!(first_done.await.unwrap().is_ok() && waits_for_the_node.await.unwrap().is_ok());
    });
}

#[test]
fn an_idle_instance_on_another_core_makes_room_too() {
    let bench = Bench::with(|l| l.instances_total = 1);
    let (a, b) = (first(&bench.app("a").deploy()), first(&bench.app("b").limits(|l| l.queue_ms = 60_000).deploy()));
    let (holds, held) = std::sync::mpsc::channel();
    let done = tokio::sync::Notify::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            bench.on_core_number(0, false, async {
                assert!(send(&a, "/ok").await.is_ok());
                holds.send(()).unwrap();
                done.notified().await;
            });
        });
        held.recv().unwrap();
        let answer = bench.on_core_number(1, false, send(&b, "/ok"));
        done.notify_one();
        assert!(answer.is_ok());
    });
}

#[test]
fn a_snapshot_shows_instances_and_their_memory() {
    let bench = Bench::new();
    bench.on_core(async {
        let workers = vec![WorkerSetup { next: Some(1), ..WorkerSetup::default() }, WorkerSetup::default()];
        let app = bench.app("a").workers(workers).deploy();
        assert!(send(&first(&app), "/next/later").await.is_ok());
        bench.pass(0).await;
        let snapshot = bench.snapshot();
        let seen: Vec<_> =
            snapshot.apps[0].workers.iter().map(|w| (w.worker.as_str(), w.instances, w.in_flight)).collect();
        assert_eq!(seen, [("w0", 1, 0), ("w1", 1, 1)]);
        assert!(snapshot.apps[0].workers.iter().all(|w| w.memory_bytes == 1 << 20 && w.quarantine.is_none()));
        assert_eq!((snapshot.instances, snapshot.programs_loaded, snapshot.totals.loads), (2, 2, 2));
    });
}
