//! Many requests in one instance: nobody starves, memory is bounded, and whoever computes is the
//! one that is charged, whatever it waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base::{Body, BodyError};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use http_body::Frame;
use http_body_util::StreamBody;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use tokio::sync::Semaphore;
use worker::{Event, Response};

use crate::fixture::*;

/// A body that ends once the gate has a place for it.
fn gated(gate: &Arc<Semaphore>) -> Body {
    let gate = gate.clone();
    let piece = async move {
        gate.acquire().await.expect("nobody closes the gate").forget();
        Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"open")))
    };
    Body::stream(StreamBody::new(piece.into_stream()))
}

/// Half of the slow requests wait for a server, the others for a promise of the script, which the
/// first of these resolves.
const SLOW: &str = "
let open;
const opened = new Promise(resolve => open = resolve);
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/fast') return new Response('fast');
    const number = Number(pathname.slice(1));
    if (number % 2 === 0) open(await (await fetch('http://slow.test/')).text());
    else await opened;
    return new Response(pathname);
  },
};";

/// The durations of so many fast requests, shortest first.
async fn fast(app: &Running, count: usize) -> Vec<Duration> {
    let mut durations = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        assert_eq!(app.text(get("http://a.test/fast")).await, "fast");
        durations.push(begun.elapsed());
    }
    durations.sort();
    durations
}

#[test]
fn ten_thousand_slow_requests_leave_a_fast_one_its_way() {
    const SLOW_REQUESTS: usize = 10_000;
    on_core(async {
        let gate = Arc::new(Semaphore::new(0));
        let asked = gate.clone();
        let app = setup(SLOW).net(move |_| Response::new(gated(&asked))).start();
        fast(&app, 200).await;
        let idle = fast(&app, 1_000).await;

        let done = Arc::new(AtomicUsize::new(0));
        let slow: Vec<_> = (0..SLOW_REQUESTS)
            .map(|number| {
                let (done, url) = (done.clone(), format!("http://a.test/{number}"));
                let run = app.instance.clone().run(app.call(), Event::Fetch(Box::new(get(&url))));
                tokio::task::spawn_local(async move {
                    let response = run.await.expect("an answer");
                    done.fetch_add(1, Ordering::Relaxed);
                    collect(response).await
                })
            })
            .collect();
        while app.instance.state().in_flight < SLOW_REQUESTS as u64 {
            tokio::task::yield_now().await;
        }
        let busy = fast(&app, 1_000).await;
        assert_eq!(done.load(Ordering::Relaxed), 0);
        let bytes = app.instance.state().memory_bytes;
        assert!(bytes < 64 << 20, "{bytes} bytes for {SLOW_REQUESTS} requests");
        eprintln!(
            "fast request: idle p50 {:?} p99 {:?}; beside {SLOW_REQUESTS} p50 {:?} p99 {:?}; {} MiB",
            idle[500],
            idle[990],
            busy[500],
            busy[990],
            bytes >> 20
        );
        // The median, for the machine may be busy with something else.
        assert!(busy[500] < idle[500] * 5, "{:?} instead of {:?}", busy[500], idle[500]);

        // They all wake at once, and a fast request need not wait for the last of them.
        gate.add_permits(SLOW_REQUESTS);
        fast(&app, 1).await;
        assert!(done.load(Ordering::Relaxed) < SLOW_REQUESTS);
        for (number, answer) in slow.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap(), format!("/{number}"));
        }
        assert_eq!(app.instance.state().in_flight, 0);
    });
}

/// Ways to wait, each of which computes in the continuation that it is named for. A step of a
/// request is a way and how often to compute there.
const WAYS: &str = r#"
let tick, ticked, waiting = 0;
const renew = () => { ticked = new Promise((resolve) => tick = resolve); };
const release = () => { const now = tick; renew(); now(); };
renew();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const ways = [
  async (work) => { await null; work(); },
  async (work) => { await sleep(0); work(); },
  (work) => Promise.resolve().then(work),
  (work) => Promise.reject(new Error()).catch(work),
  (work) => Promise.resolve().finally(work),
  async (work) => { await { then(resolve) { work(); resolve(); } }; },
  async (work) => { await Promise.all([null, sleep(1)]); work(); },
  (work) => new Promise((resolve) => queueMicrotask(() => { work(); resolve(); })),
  (work) => new Promise((resolve) => setTimeout(() => { work(); resolve(); }, 1)),
  (work) => new Promise((resolve) => { const timer = setInterval(() => { clearInterval(timer); work(); resolve(); }, 1); }),
  async (work) => { for await (const _ of (async function* () { await null; work(); yield 1; })()); },
  async (work) => { await new ReadableStream({ async pull(c) { await null; work(); c.close(); } }).getReader().read(); },
  async (work) => {
    const { readable, writable } = new TransformStream({ transform(chunk, c) { work(); c.enqueue(chunk); } });
    const writer = writable.getWriter();
    writer.write(1);
    await readable.getReader().read();
  },
  async (work) => { await (await fetch("http://out.test/")).text(); work(); },
  // What another request resolves.
  (work) => {
    const worked = ticked.then(work);
    if (++waiting % 5 === 0) release();
    else setTimeout(release, 2);
    return worked;
  },
];

// A stretch of work, of a length that no engine knows beforehand.
let sum = 0;
const compute = (rounds) => { for (let i = 0; i < rounds; i++) sum = (sum * 31 + i) % 1000003; };

export default {
  async fetch(request) {
    const steps = await request.json();
    if (steps === null) return new Response(String(ways.length));
    for (const [way, rounds] of steps) await ways[way](() => compute(rounds));
    return new Response("done");
  },
};
"#;

/// Rounds of work of one stretch: some milliseconds.
const STRETCH: u64 = 100_000;

fn ways() -> Setup {
    setup(WAYS).net(|_| Response::new(Body::full("out")))
}

fn steps(steps: &[(usize, u64)]) -> worker::FetchEvent {
    let steps: Vec<String> = steps.iter().map(|(way, rounds)| format!("[{way},{rounds}]")).collect();
    post("http://a.test/", Body::full(format!("[{}]", steps.join(","))))
}

async fn ways_count(app: &Running) -> usize {
    app.text(post("http://a.test/", Body::full("null"))).await.parse().unwrap()
}

/// Sends one and answers what it was charged.
async fn charged(app: &Running, event: worker::FetchEvent) -> Duration {
    let kept = Arc::new(Kept::default());
    let record = telemetry::RecordHandle::new(telemetry::Record::default(), kept.clone());
    let call = worker::Call::new(record);
    let response = app.instance.clone().run(call, Event::Fetch(Box::new(event))).await.expect("an answer");
    assert_eq!(collect(response).await, "done");
    loop {
        if let Some(record) = kept.records.lock().unwrap().pop() {
            return record.invocations[0].usage.cpu;
        }
        tokio::task::yield_now().await;
    }
}

/// Hundreds of requests take steps beside each other; a few of them compute. Whoever computes is
/// charged for it, and nobody else.
async fn check(app: &Running, plans: &[Vec<(usize, bool)>]) {
    let all = plans.iter().map(|plan| async move {
        let stretches = plan.iter().filter(|(_, works)| *works).count() as u32;
        let plan: Vec<_> = plan.iter().map(|(way, works)| (*way, if *works { STRETCH } else { 0 })).collect();
        (stretches, charged(app, steps(&plan)).await, plan)
    });
    let (working, idle): (Vec<_>, Vec<_>) = join_all(all).await.into_iter().partition(|(stretches, ..)| *stretches > 0);
    // What a stretch costs, by the round itself: processors change their pace. One that is charged
    // to somebody else leaves next to nothing behind.
    let stretch = median(working.iter().map(|(stretches, cpu, _)| *cpu / *stretches));
    for (stretches, cpu, plan) in working {
        let least = stretch * stretches * 3 / 10;
        assert!(cpu >= least, "{cpu:?} for {stretches} stretches of {stretch:?}: {plan:?}");
    }
    // The median: until its first tick an entry is timed by the wall clock, so that a busy machine
    // adds to some of them.
    let idle = median(idle.iter().map(|(_, cpu, _)| *cpu));
    assert!(idle < stretch / 2, "{idle:?} for one that did nothing, {stretch:?} is a stretch");
}

fn median(values: impl Iterator<Item = Duration>) -> Duration {
    let mut values: Vec<_> = values.collect();
    values.sort();
    values[values.len() / 2]
}

#[test]
fn whoever_computes_is_charged_whatever_it_waited_for() {
    on_core(async {
        let app = ways().start();
        let count = ways_count(&app).await;
        // A few take each way for certain, the rest as chance has it.
        let step = (0..count, proptest::bool::weighted(0.04));
        let plans = proptest::collection::vec(proptest::collection::vec(step, 1..8), 300);
        let mut runner = TestRunner::default();
        for _ in 0..4 {
            let mut plans = plans.new_tree(&mut runner).unwrap().current();
            plans.extend((0..count).map(|way| vec![(way, true)]));
            check(&app, &plans).await;
        }
    });
}

#[test]
fn an_endless_loop_ends_its_own_request_whatever_it_waited_for() {
    on_core(async {
        let app = ways().limits(|l| l.cpu_ms = 20).start();
        let count = ways_count(&app).await;
        for way in 0..count {
            let endless = app.run(steps(&[(0, 0), (way, u64::MAX >> 12)]));
            let others = join_all((0..20).map(|n| app.text(steps(&[(n % count, 0), (way, 0), (n % 3, 0)]))));
            let (endless, others) = tokio::join!(endless, others);
            assert_eq!(endless.unwrap_err().code.name, "cpu_exceeded", "way {way}");
            assert!(others.iter().all(|answer| answer == "done"), "way {way}: {others:?}");
            assert!(!app.instance.state().lost, "way {way}");
        }
    });
}
