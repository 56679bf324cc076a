//! Admission, nesting, and what happens when there is too much.

use std::sync::Arc;
use std::time::Duration;

use telemetry::{Record, RecordHandle};
use worker::Call;

use crate::bench::{Bench, Last, WorkerSetup, call, first, post, send, settle};
use crate::fake::fetch;

#[test]
fn beyond_concurrency_a_request_waits_and_beyond_the_queue_it_is_refused() {
    let bench = Bench::new();
    bench.on_core(async {
        let app = bench.app("a").limits(|l| (l.concurrency, l.queue, l.queue_ms) = (1, 1, 2_500)).deploy();
        let web = first(&app);
        let running = post(&web, "/gate");
        settle().await;
        let waiting = post(&web, "/ok");
        settle().await;
        let failure = web.invoke(call(), fetch("/ok")).await.err().unwrap();
        assert_eq!(failure.code.name, "app_overloaded");
        assert!(failure.detail.contains("limits.concurrency") && failure.detail.contains("limits.queue"), "{failure}");
        assert_eq!(failure.retry_after_s, Some(3));
        let snapshot = &bench.snapshot().apps[0];
        assert_eq!((snapshot.in_progress, snapshot.waiting, snapshot.refused), (1, 1, 1));
        bench.engine.gate.open(1);
        assert!(running.await.unwrap().is_ok() && waiting.await.unwrap().is_ok());
        assert_eq!(bench.snapshot().apps[0].in_progress, 0);
    });
}

#[test]
fn waiting_ends_after_queue_ms_and_is_recorded() {
    let bench = Bench::new();
    bench.on_core(async {
        let app = bench.app("a").limits(|l| (l.concurrency, l.queue_ms) = (1, 250)).deploy();
        let web = first(&app);
        let _running = post(&web, "/gate");
        settle().await;
        let kept = Arc::new(Last::default());
        let record = RecordHandle::new(Record::default(), kept.clone());
        let waiting = web.invoke(Call::new(record), fetch("/ok"));
        let (clock, began) = (bench.clock.clone(), tokio::time::Instant::now());
        let failure = tokio::join!(waiting, async { clock.advance(250) }).0.err().unwrap();
        assert_eq!(failure.code.name, "app_overloaded");
        assert!(failure.detail.contains("250 ms (limits.queue_ms)"), "{failure}");
        assert!(began.elapsed() >= Duration::from_millis(250));
        assert_eq!(kept.0.lock().unwrap().take().unwrap().admission_wait, Duration::from_millis(250));
    });
}

#[test]
fn work_after_the_response_keeps_the_place() {
    let bench = Bench::new();
    bench.on_core(async {
        let app = bench.app("a").limits(|l| (l.concurrency, l.queue) = (1, 0)).deploy();
        let web = first(&app);
        assert!(send(&web, "/later").await.is_ok());
        assert_eq!(send(&web, "/ok").await, Err("app_overloaded"));
        bench.engine.gate.open(1);
        settle().await;
        assert!(send(&web, "/ok").await.is_ok());
    });
}

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    let bench = Bench::new();
    bench.on_core(async {
        let app = bench.app("a").limits(|l| (l.concurrency, l.queue) = (1, 1)).deploy();
        let web = first(&app);
        let (running, waiting) = (post(&web, "/gate"), post(&web, "/ok"));
        settle().await;
        waiting.abort();
        running.abort();
        settle().await;
        assert!(send(&web, "/ok").await.is_ok());
        assert_eq!((bench.snapshot().apps[0].in_progress, bench.snapshot().apps[0].waiting), (0, 0));
    });
}

#[test]
fn nested_calls_keep_the_place_of_their_root() {
    let bench = Bench::new();
    bench.on_core(async {
        let workers = vec![
            WorkerSetup { next: Some(1), ..WorkerSetup::default() },
            WorkerSetup { next: Some(2), fresh: true, ..WorkerSetup::default() },
            WorkerSetup { fresh: true, ..WorkerSetup::default() },
        ];
        // One request, one instance, nobody may wait: and still three workers call each other.
        let app =
            bench.app("a").workers(workers).limits(|l| (l.concurrency, l.queue, l.instances) = (1, 0, 1)).deploy();
        let web = first(&app);
        assert!(send(&web, "/next/next/ok").await.is_ok());
        // What the last of them left behind still counts as the root's.
        assert!(send(&web, "/next/next/later").await.is_ok());
        assert_eq!(send(&web, "/ok").await, Err("app_overloaded"));
        bench.engine.gate.open(1);
        settle().await;
        assert!(send(&web, "/ok").await.is_ok());
    });
}

#[test]
fn a_cycle_of_bindings_ends_at_the_nesting_limit() {
    let bench = Bench::new();
    bench.on_core(async {
        let setup = WorkerSetup { next: Some(0), ..WorkerSetup::default() };
        let app = bench.app("a").workers(vec![setup]).limits(|l| l.nesting = 3).deploy();
        let web = first(&app);
        assert!(send(&web, "/next/next/next/ok").await.is_ok());
        let failure = web.invoke(call(), fetch("/next/next/next/next/ok")).await.err().unwrap();
        assert_eq!(failure.code.name, "nesting_exceeded");
        assert!(failure.detail.contains("limits.nesting allows 3"), "{failure}");
    });
}

#[test]
fn a_flood_meets_bounded_memory_and_clean_refusals() {
    let bench = Bench::new();
    bench.on_core(async {
        let app = bench.app("a").worker(|w| w.fresh = true).limits(|l| {
            (l.concurrency, l.queue, l.instances) = (40, 100, 8);
        });
        let app = app.deploy();
        let web = first(&app);
        let flood: Vec<_> = (0..5_000).map(|_| post(&web, "/gate")).collect();
        while bench.snapshot().apps[0].refused < 4_860 {
            tokio::task::yield_now().await;
        }
        let now = &bench.snapshot().apps[0];
        assert_eq!((now.in_progress, now.waiting, now.refused), (40, 100, 4_860));
        bench.engine.gate.open(140);
        let (mut served, mut refused) = (0, 0);
        for answer in flood {
            match answer.await.unwrap() {
                Ok(_) => served += 1,
                Err(code) => {
                    assert_eq!(code, "app_overloaded");
                    refused += 1;
                }
            }
        }
        assert_eq!((served, refused), (140, 4_860));
        assert!(bench.engine.counts.live_max.load(std::sync::atomic::Ordering::SeqCst) <= 8);
        assert_eq!(bench.live(), 0);
    });
}

#[test]
fn cores_share_the_queue_fairly() {
    let bench = Bench::new();
    let app = bench.app("a").limits(|l| (l.concurrency, l.queue, l.queue_ms) = (1, 200, 60_000)).deploy();
    let web = first(&app);
    bench.engine.gate.open(200);
    let finish = std::thread::scope(|scope| {
        let core = |index| {
            let (bench, web) = (&bench, &web);
            scope.spawn(move || {
                bench.on_core_number(index, false, async {
                    let all: Vec<_> = (0..100).map(|_| post(web, "/gate")).collect();
                    for answer in all {
                        assert!(answer.await.unwrap().is_ok());
                    }
                });
            })
        };
        [core(0), core(1)].map(|thread| thread.join().is_ok())
    });
    assert_eq!(finish, [true, true]);
    assert_eq!(bench.snapshot().apps[0].refused, 0);
}

#[test]
fn a_thread_that_is_no_core_is_told_so() {
    let (bench, other) = (Bench::new(), Bench::new());
    let app = bench.app("a").deploy();
    let web = first(&app);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(send(&web, "/ok")), Err("internal"));
    other.on_core(async { assert_eq!(send(&web, "/ok").await, Err("internal")) });
    bench.on_core(async { assert!(send(&web, "/ok").await.is_ok()) });
    // The guard is gone, so the thread may become a core again.
    bench.on_core_number(1, true, async { assert!(send(&web, "/ok").await.is_ok()) });
}
