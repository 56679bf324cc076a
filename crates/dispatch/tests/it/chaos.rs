//! Random histories: whatever happens in whatever order, every limit holds at every moment, and in
//! the end nothing is left behind.

use std::time::Duration;

use proptest::prelude::*;

use crate::bench::{Bench, WorkerSetup, first, post, settle};

const PATHS: &[&str] = &[
    "/ok",
    "/gate",
    "/later",
    "/pause",
    "/trap",
    "/rot",
    "/panic",
    "/grow",
    "/share",
    "/mark",
    "/next/ok",
    "/next/gate",
    "/next/later",
    "/next/trap",
    "/next/share",
];

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    Leave(usize),
    Open(usize),
    Swap,
    Break(&'static str),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..PATHS.len()).prop_map(Step::Send),
        2 => any::<usize>().prop_map(Step::Leave),
        3 => (1usize..4).prop_map(Step::Open),
        1 => Just(Step::Swap),
        1 => prop_oneof![Just("load"), Just("instantiate"), Just("prepare")].prop_map(Step::Break),
        1 => (0u64..15_000).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..80)
}

fn check(steps: Vec<Step>, fresh: bool, prepared: bool) {
    const NODE_MAX: u64 = 5;
    let bench = Bench::with(|l| (l.instances_total, l.loaded_images) = (NODE_MAX, 1));
    bench.on_core(async {
        let deploy = || {
            let front = WorkerSetup { next: Some(1), fresh, ..WorkerSetup::default() };
            let mut back = WorkerSetup { fresh: !fresh, ..WorkerSetup::default() };
            back.limits.instance_requests = 2;
            let app = bench.app("a").workers(vec![front, back]);
            let app = if prepared { app } else { app.unprepared() };
            app.limits(|l| (l.concurrency, l.queue, l.instances) = (4, 4, 3)).deploy()
        };
        let mut web = first(&deploy());
        let mut sent = Vec::new();
        for step in steps {
            match step {
                Step::Send(path) => sent.push(post(&web, PATHS[path])),
                Step::Leave(which) if !sent.is_empty() => sent.swap_remove(which % sent.len()).abort(),
                Step::Leave(_) => {}
                Step::Open(count) => bench.engine.gate.open(count),
                Step::Swap => web = first(&deploy()),
                Step::Break(step) => bench.engine.breaks(step, 1),
                Step::Pass(ms) => bench.clock.advance(ms),
            }
            settle().await;
            let app = &bench.snapshot().apps[0];
            assert!(app.in_progress <= 4 && app.waiting <= 4, "{app:?}");
            assert!(bench.live() <= NODE_MAX && bench.live() == bench.snapshot().instances);
        }
        bench.engine.gate.open(10_000);
        for answer in sent {
            let answer = tokio::time::timeout(Duration::from_secs(60), answer).await.expect("no request hangs");
            let code = answer.unwrap().err().unwrap_or("ok");
            let expected = [
                "ok",
                "app_overloaded",
                "node_overloaded",
                "guest_trap",
                "instance_lost",
                "internal",
                "start_failed",
                "quarantined",
            ];
            assert!(expected.contains(&code), "{code}");
        }
        bench.pass(20_000).await;
        bench.pass(20_000).await;
        let (snapshot, app) = (bench.snapshot(), &bench.snapshot().apps[0]);
        assert_eq!((app.in_progress, app.waiting, snapshot.instances, bench.live()), (0, 0, 0, 0));
        assert!(app.workers.iter().all(|worker| worker.in_flight == 0 && !worker.retired));
        tokio::time::timeout(Duration::from_secs(1), bench.dispatcher.drain()).await.expect("nothing to wait for");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_stays(steps in steps(), fresh: bool, prepared: bool) {
        check(steps, fresh, prepared);
    }
}

#[test]
fn a_paused_instance_that_gave_way_takes_no_event() {
    use Step::{Leave, Send};
    check(vec![Send(3), Leave(0), Send(8), Send(3), Send(1), Send(4), Send(2)], false, true);
}
