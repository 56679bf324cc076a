//! Confirms decision 0001 on the implementation: prints the rows of its last table.
//!
//! ```text
//! cargo run --release -p selvedge-engine --example spike
//! ```
//!
//! One thread is the core; requests whose latency counts come from another one, over a socket, so
//! that they wait for the runtime to look at I/O as those of a client do. CPU time is that of the
//! core's thread. On a machine that does something else meanwhile, the latencies mean little.

use std::cell::Cell;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base::artifact::{Module, ModuleKind, Script};
use base::{Artifact, Body, NodeLimits, WorkerLimits, WorkerName};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use http::{HeaderMap, Method};
use selvedge_engine::{Engine, RuntimeOptions};
use services::egress::EgressPolicy;
use telemetry::{NullSink, Phases, Record, RecordHandle, Sink};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use worker::{
    Call, Core, Engine as _, Env, Event, Failure, FetchEvent, Fetcher, Instance, Outbound, Program, Response,
    ResponseCache,
};

const HELLO: &str = "export default { fetch() { return new Response('Hello, world!'); } };";
const LOOP: &str = "export default { fetch() { for (;;); } };";
const REGEXP: &str = "export default { fetch() { return new Response(/(a+)+$/.test('a'.repeat(40) + 'b')); } };";
const WAIT: &str =
    "export default { async fetch() { await new Promise(r => setTimeout(r, 1)); return new Response(); } };";

/// As many rounds as the path says, each of so many steps, with a wait after each.
const COMPUTE: &str = "
const pause = () => new Promise((resolve) => setTimeout(resolve, 1));
export default {
  async fetch(request) {
    const [, rounds, steps] = new URL(request.url).pathname.split('/').map(Number);
    let x = 1;
    for (let round = 0; round < rounds; round++) {
      for (let step = 0; step < steps; step++) x = (x * 31 + step) | 0;
      await pause();
    }
    return new Response(String(x));
  },
};";

/// Long enough for whatever is measured beside it.
const FOR_EVER_MS: u64 = 300_000;

fn main() {
    let place = tempfile::tempdir().expect("a directory");
    let options = RuntimeOptions { instances_max: 200 };
    let engine = Engine::open(&place.path().join("cache"), &place.path().join("engine.key"), options);
    let bench = Bench { engine: engine.expect("an engine") };
    row("warm hello through Instance::run, µs p50", &micros(bench.warm_hello()));
    row("fresh instance and hello, µs p50", &micros(bench.fresh_hello()));
    row("one tick that pauses a guest, µs of the core", &micros(bench.tick()));
    row("hello beside no loops, ms p50 / p99 / max", &bench.beside(|_| vec![]));
    row("hello beside eight loops of one other app", &bench.beside(|core| bench.loops(core, 8)));
    row("hello beside 64 loops of one other app", &bench.beside(|core| bench.loops(core, 64)));
    row("hello beside eight guests of 5 ms each", &bench.beside(|core| bench.short_guests(core)));
    row("share of an app with one loop beside one with eight", &format!("{:.1} %", bench.share() * 100.0));
    let (one, thousand) = (bench.in_flight(1), bench.in_flight(1_000));
    let ratio = thousand.as_secs_f64() / one.as_secs_f64();
    row("µs a request, 1 / 1,000 in flight", &format!("{} / {} ({ratio:.2} ×)", micros(one), micros(thousand)));
    row("CPU charged less spent, two interleaved, ms median", &bench.attribution());
    row("loop: CPU beyond cpu_ms, ms median / max", &bench.overrun(LOOP));
    row("regular expression: CPU beyond cpu_ms, ms median / max", &bench.overrun(REGEXP));
}

fn row(what: &str, figure: &str) {
    println!("{what:<56} {figure}");
}

struct Bench {
    engine: Engine,
}

impl Bench {
    fn app(&self, core: &Core, name: &str, source: &str, cpu_ms: u64) -> App {
        let limits = WorkerLimits { cpu_ms, head_ms: FOR_EVER_MS, ..WorkerLimits::default() };
        let module = Module {
            name: "index.js".into(),
            kind: ModuleKind::Js,
            source: source.as_bytes().to_vec(),
            imports: vec![],
            source_map: None,
        };
        let artifact = Artifact::Script(Script { entry: 0, modules: vec![module], warm: None });
        self.engine.prepare(&artifact, &limits).expect("the script starts");
        let program = self.engine.load(&artifact.digest(), &limits).expect("it loads").expect("it was prepared");
        let env = Arc::new(Env {
            app: name.into(),
            worker: WorkerName::parse("web").expect("a name"),
            bindings: vec![],
            limits,
            egress: Arc::new(EgressPolicy::new(vec![], vec![])),
            fetcher: Arc::new(NoNet),
            responses: responses(),
            source_map: None,
            dev: true,
        });
        App { program, env, core: core.clone() }
    }

    fn warm_hello(&self) -> Duration {
        on_core(async |core| {
            let instance = self.app(&core, "hello", HELLO, 1_000).instance();
            let mut times = Vec::new();
            for _ in 0..50_000 {
                let begun = Instant::now();
                run(&instance, "/").await.expect("an answer");
                times.push(begun.elapsed());
            }
            at(&mut times, 0.5)
        })
    }

    fn fresh_hello(&self) -> Duration {
        on_core(async |core| {
            let app = self.app(&core, "hello", HELLO, 1_000);
            let mut times = Vec::new();
            for _ in 0..20_000 {
                let begun = Instant::now();
                run(&app.instance(), "/").await.expect("an answer");
                times.push(begun.elapsed());
            }
            at(&mut times, 0.5)
        })
    }

    /// CPU time that goes to the pause and not to the guest, by the number of pauses. A task that
    /// runs once in each pause counts them, in a run of its own.
    fn tick(&self) -> Duration {
        const CPU_MS: u64 = 2_000;
        on_core(async |core| {
            let app = self.app(&core, "loop", LOOP, CPU_MS);
            let pauses = Rc::new(Cell::new(0u32));
            let counting = tokio::task::spawn_local({
                let pauses = pauses.clone();
                async move {
                    loop {
                        pauses.set(pauses.get() + 1);
                        tokio::task::yield_now().await;
                    }
                }
            });
            let _ = run_charged(&app.instance(), "/").await;
            counting.abort();
            let _ = counting.await;
            let (_, charged, spent) = run_charged(&app.instance(), "/").await;
            spent.saturating_sub(charged) / pauses.get()
        })
    }

    /// The latency of hello, asked for every 2 to 3 ms by another thread.
    fn beside(&self, noise: impl Fn(&Core) -> Vec<Noise>) -> String {
        on_core(async |core| {
            let hello = self.app(&core, "hello", HELLO, 1_000).instance();
            run(&hello, "/").await.expect("an answer");
            for noise in noise(&core) {
                tokio::task::spawn_local(noise);
            }
            let (near, far) = UnixStream::pair().expect("a socket");
            let client = std::thread::spawn(move || ask_now_and_then(far));
            near.set_nonblocking(true).expect("a socket that does not block");
            let mut near = tokio::net::UnixStream::from_std(near).expect("a socket");
            let mut byte = [0];
            while near.read(&mut byte).await.expect("a request") == 1 {
                run(&hello, "/").await.expect("an answer");
                near.write_all(&byte).await.expect("an answer is sent");
            }
            let mut times = client.join().expect("the client ends");
            let ms = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1e3);
            let (p50, p99, max) = (at(&mut times, 0.5), at(&mut times, 0.99), at(&mut times, 1.0));
            format!("{} / {} / {}", ms(p50), ms(p99), ms(max))
        })
    }

    /// Each in an instance of its own, where the pool would put them.
    fn loops(&self, core: &Core, count: usize) -> Vec<Noise> {
        let app = self.app(core, "noise", LOOP, FOR_EVER_MS);
        let endless = |instance: Rc<dyn Instance>| async move { drop(run(&instance, "/").await) }.boxed_local();
        (0..count).map(|_| endless(app.instance())).collect()
    }

    /// Eight guests that have always just been asked for 5 ms of computation.
    fn short_guests(&self, core: &Core) -> Vec<Noise> {
        let app = self.app(core, "noise", COMPUTE, FOR_EVER_MS);
        let path = format!("/1/{}", self.steps(Duration::from_millis(5)));
        let guest = |instance: Rc<dyn Instance>| {
            let path = path.clone();
            async move { while run(&instance, &path).await.is_ok() {} }.boxed_local()
        };
        (0..8).map(|_| guest(app.instance())).collect()
    }

    /// How many steps of `COMPUTE` take so long.
    fn steps(&self, time: Duration) -> u64 {
        const PROBE: u64 = 1_000_000;
        std::thread::scope(|scope| {
            let probe = scope.spawn(|| {
                on_core(async |core| {
                    let instance = self.app(&core, "probe", COMPUTE, FOR_EVER_MS).instance();
                    run_charged(&instance, &format!("/1/{PROBE}")).await.1
                })
            });
            let took = probe.join().expect("the probe ends");
            (PROBE as f64 * time.as_secs_f64() / took.as_secs_f64()) as u64
        })
    }

    /// The share of the core that one loop gets beside eight of another app.
    fn share(&self) -> f64 {
        on_core(async |core| {
            for noise in self.loops(&core, 8) {
                tokio::task::spawn_local(noise);
            }
            let alone = self.app(&core, "alone", LOOP, 2_000).instance();
            let (_, charged, spent) = run_charged(&alone, "/").await;
            charged.as_secs_f64() / spent.as_secs_f64()
        })
    }

    /// CPU time of a request that waits once, with so many in one instance.
    fn in_flight(&self, count: usize) -> Duration {
        on_core(async |core| {
            let instance = self.app(&core, "wait", WAIT, 1_000).instance();
            let rounds = 2_000 / count;
            let round = || async {
                join_all((0..count).map(|_| run(&instance, "/"))).await.into_iter().for_each(|answer| {
                    answer.expect("an answer");
                });
            };
            round().await;
            let begun = thread_time();
            for _ in 0..rounds {
                round().await;
            }
            (thread_time() - begun) / (rounds * count) as u32
        })
    }

    /// Two requests take turns in one instance; one computes, one only waits. What is charged to
    /// each, less what the thread spends when it runs alone, the waits included.
    fn attribution(&self) -> String {
        let steps = self.steps(Duration::from_millis(2));
        let (computing, waiting) = (format!("/20/{steps}"), "/20/0".to_owned());
        let mut differences = [vec![], vec![]];
        for _ in 0..9 {
            let pair = on_core(async |core| {
                let app = self.app(&core, "pair", COMPUTE, FOR_EVER_MS);
                let (_, _, computing_alone) = run_charged(&app.instance(), &computing).await;
                let (_, _, waiting_alone) = run_charged(&app.instance(), &waiting).await;
                let both = app.instance();
                let (computed, waited) = tokio::join!(run_charged(&both, &computing), run_charged(&both, &waiting));
                [(computed.1, computing_alone), (waited.1, waiting_alone)]
            });
            for (differences, (charged, spent)) in differences.iter_mut().zip(pair) {
                differences.push((charged.as_secs_f64() - spent.as_secs_f64()) * 1e3);
            }
        }
        let [computing, waiting] = differences.map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        });
        format!("{computing:+.2} and {waiting:+.2}")
    }

    /// CPU time that a request uses beyond its limit.
    fn overrun(&self, source: &str) -> String {
        const CPU_MS: u64 = 50;
        let mut times: Vec<Duration> = (0..20)
            .map(|_| {
                on_core(async |core| {
                    let (answer, _, spent) =
                        run_charged(&self.app(&core, "over", source, CPU_MS).instance(), "/").await;
                    assert_eq!(answer.expect_err("it is stopped").code.name, "cpu_exceeded");
                    spent.saturating_sub(Duration::from_millis(CPU_MS))
                })
            })
            .collect();
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        format!("{:.2} / {:.2}", ms(at(&mut times, 0.5)), ms(at(&mut times, 1.0)))
    }
}

type Noise = futures_util::future::LocalBoxFuture<'static, ()>;

/// A loaded script and its environment, on one core.
struct App {
    program: Arc<dyn Program>,
    env: Arc<Env>,
    core: Core,
}

impl App {
    fn instance(&self) -> Rc<dyn Instance> {
        let phases = Cell::new(Phases::default());
        self.program.clone().instantiate(&self.core, &self.env, &phases).expect("an instance")
    }
}

async fn run(instance: &Rc<dyn Instance>, path: &str) -> Result<Response, Failure> {
    enter(instance, path, Arc::new(NullSink)).await
}

async fn enter(instance: &Rc<dyn Instance>, path: &str, sink: Arc<dyn Sink>) -> Result<Response, Failure> {
    let call = Call::new(RecordHandle::new(Record::default(), sink));
    let event = FetchEvent {
        method: Method::GET,
        url: format!("http://a.test{path}"),
        headers: HeaderMap::new(),
        body: Body::empty(),
        client: None,
        cf: None,
        entry: None,
    };
    Ok(instance.clone().run(call, Event::Fetch(Box::new(event))).await?)
}

/// The answer, the CPU time charged to the request, and that of the thread meanwhile.
async fn run_charged(instance: &Rc<dyn Instance>, path: &str) -> (Result<Response, Failure>, Duration, Duration) {
    let (sink, records) = mpsc::channel();
    let begun = thread_time();
    let answer = enter(instance, path, Arc::new(Records(sink))).await;
    let spent = thread_time() - begun;
    let record = loop {
        match records.try_recv() {
            Ok(record) => break record,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let charged = record.invocations.iter().map(|invocation| invocation.usage.cpu).sum();
    (answer, charged, spent)
}

struct Records(mpsc::Sender<Record>);

impl Sink for Records {
    fn record(&self, record: Record) {
        let _ = self.0.send(record);
    }

    fn line(&self, _: telemetry::GuestLine) {}
}

fn responses() -> ResponseCache {
    let limits = NodeLimits::default();
    ResponseCache::new(Arc::new(cache::MemoryStore::new(cache::MemoryStoreLimits::from(&limits))), &limits)
}

struct NoNet;

impl Fetcher for NoNet {
    fn fetch(&self, _: Arc<EgressPolicy>, _: Outbound) -> BoxFuture<'static, Result<Response, Failure>> {
        let refused = Failure::new(&base::code::INTERNAL, "there is no network here");
        async { Err(refused) }.boxed()
    }
}

fn ask_now_and_then(mut socket: UnixStream) -> Vec<Duration> {
    let mut times = Vec::new();
    for index in 0..2_000_u64 {
        std::thread::sleep(Duration::from_micros(2_000 + index % 11 * 100));
        let begun = Instant::now();
        socket.write_all(&[1]).expect("a request is sent");
        socket.read_exact(&mut [0]).expect("an answer");
        times.push(begun.elapsed());
    }
    times
}

/// Runs as a core of a node does.
fn on_core<T>(test: impl AsyncFnOnce(Core) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test(Core::new(0)))
}

fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn at(times: &mut [Duration], share: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * share).round() as usize]
}

fn micros(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e6)
}
