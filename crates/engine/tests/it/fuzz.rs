//! Programs made of random bytes, run in the guest: `cargo xtask fuzz` runs these for as long as
//! one likes, the ordinary test run for a moment.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use base::{WorkerLimits, code};
use testkit::fuzz::{Choices, Fuzz, Mutator};
use worker::Failure;

use crate::fixture::{Running, collect, on_core, post, setup};
use crate::node::{importing, kv};

const HEAP: &str = include_str!("fuzz/heap.js");

/// Worlds whose making is in an image. Each is evaluated once per run.
const WORLDS: usize = 8;
const WORLD_BYTES: usize = 1600;

/// One world, made in the image and made by the first request.
struct World {
    sealed: Running,
    fresh: Running,
}

impl World {
    fn start(number: usize) -> Self {
        let program = program(number);
        let start = |source: String| {
            setup(&source)
                .limits(|limits| {
                    limits.cpu_ms = 20_000;
                    limits.start_cpu_ms = 20_000;
                    limits.head_ms = 60_000;
                })
                .start()
        };
        let answer = "return new Response(await work(w, new Uint8Array(await request.arrayBuffer())));";
        let sealed =
            format!("{HEAP}\nconst w = make({program});\nexport default {{ async fetch(request) {{ {answer} }} }}");
        let fresh = format!(
            "{HEAP}\nlet w;\nexport default {{ async fetch(request) {{
                if (!w) {{ w = make({program}); await settle(); }}
                {answer} }} }}"
        );
        Self { sealed: start(sealed), fresh: start(fresh) }
    }
}

/// The first part of a program, the same for the same number.
fn program(number: usize) -> String {
    let mut bytes = Vec::new();
    let mut mutator = Mutator::new(number as u64, &[]);
    bytes.resize_with(WORLD_BYTES, || mutator.byte());
    format!("{bytes:?}")
}

/// What a new instance answers to each part of the program, or how it ended.
async fn run(running: &Running, parts: &[&[u8]]) -> Result<Vec<String>, Failure> {
    let instance = running.fresh();
    let mut answers = Vec::new();
    for part in parts {
        let event = post("http://t/", base::Body::full(part.to_vec()));
        let event = worker::Event::Fetch(Box::new(event));
        let response = instance.clone().run(running.call(), event).await?;
        answers.push(String::from_utf8_lossy(&collect(response).await).into_owned());
    }
    Ok(answers)
}

/// An image is sealed: what is in it is neither counted nor traversed. A program must not notice.
#[test]
fn heap() {
    let worlds = RefCell::new(HashMap::new());
    let fuzz = Fuzz::new("heap").seeds((0..WORLDS as u8).map(|world| seed(world))).quick_inputs(25);
    fuzz.input_time_max(Duration::from_secs(60)).run(|input| {
        let mut choices = Choices::new(input);
        let number = choices.below(WORLDS);
        let parts = 1 + choices.below(3);
        let program = choices.rest();
        let parts: Vec<&[u8]> = program.chunks(program.len().div_ceil(parts).max(1)).collect();
        on_core(async {
            let mut worlds = worlds.borrow_mut();
            let world = worlds.entry(number).or_insert_with(|| World::start(number));
            let (sealed, fresh) = (run(&world.sealed, &parts).await, run(&world.fresh, &parts).await);
            match (sealed, fresh) {
                (Ok(sealed), Ok(fresh)) => {
                    assert_eq!(sealed, fresh, "in an image, and made by the request");
                    sealed.iter().map(|answer| answer.len() / 64).sum()
                }
                (sealed, fresh) => ended(&[sealed.err(), fresh.err()]),
            }
        })
    });
}

const SURFACE: &str = include_str!("fuzz/surface.js");
const MODULES: [&str; 10] = [
    "node:buffer",
    "node:crypto",
    "node:url",
    "node:util",
    "node:zlib",
    "node:events",
    "node:stream",
    "node:querystring",
    "node:async_hooks",
    "node:string_decoder",
];

/// Whatever a script does with what it is given, only its own request fails.
#[test]
fn surface() {
    let running: OnceCell<Running> = OnceCell::new();
    let seeds = (0..24).map(|number| {
        let mut mutator = Mutator::new(2000 + number, &[]);
        (0..200).map(|_| mutator.byte()).collect::<Vec<u8>>()
    });
    let fuzz = Fuzz::new("surface").seeds(seeds).quick_inputs(60);
    fuzz.input_time_max(Duration::from_secs(30)).run(|input| {
        on_core(async {
            let running = running.get_or_init(|| {
                let limits = |limits: &mut WorkerLimits| {
                    limits.cpu_ms = 400;
                    limits.start_cpu_ms = 20_000;
                    limits.head_ms = 4_000;
                };
                importing(&MODULES, SURFACE).limits(limits).bind("KV", kv()).start()
            });
            match run(running, &[input]).await {
                Ok(answers) => answers[0].clone(),
                Err(failure) => {
                    let codes = [&code::GUEST_TRAP, &code::INTERNAL, &code::INSTANCE_LOST];
                    assert!(codes.iter().all(|code| code.name != failure.code.name), "{failure}");
                    failure.code.name.to_owned()
                }
            }
        })
    });
}

/// A program that went over a limit was ended; anything else is a fault of the guest.
fn ended(failures: &[Option<Failure>]) -> usize {
    for failure in failures.iter().flatten() {
        assert!(is_limit(failure), "{failure}\n{}", failure.stack.as_deref().unwrap_or_default());
    }
    0
}

fn is_limit(failure: &Failure) -> bool {
    [&code::CPU_EXCEEDED, &code::MEMORY_EXCEEDED, &code::HEAD_TIMEOUT]
        .iter()
        .any(|limit| failure.code.name == limit.name)
}

fn seed(world: u8) -> Vec<u8> {
    let mut mutator = Mutator::new(1000 + u64::from(world), &[]);
    let mut bytes = vec![world, world];
    bytes.resize_with(400, || mutator.byte());
    bytes
}

const CLONE: &str = include_str!("fuzz/clone.js");

/// A structured clone is what it was made of, or an error; whatever changes under way.
#[test]
fn clone() {
    let running: OnceCell<Running> = OnceCell::new();
    let seeds = (0..24).map(|number| {
        let mut mutator = Mutator::new(4000 + number, &[]);
        (0..300).map(|_| mutator.byte()).collect::<Vec<u8>>()
    });
    let fuzz = Fuzz::new("clone").seeds(seeds).quick_inputs(100);
    fuzz.input_time_max(Duration::from_secs(30)).run(|input| {
        on_core(async {
            let running = running.get_or_init(|| {
                let answer = "new Response(check(new Uint8Array(await request.arrayBuffer())))";
                setup(&format!("{CLONE}\nexport default {{ async fetch(request) {{ return {answer} }} }}")).start()
            });
            match run(running, &[input]).await {
                Ok(answers) => {
                    assert!(!answers[0].starts_with("differs"), "{}", answers[0]);
                    answers[0].clone()
                }
                Err(failure) => {
                    assert!(is_limit(&failure), "{failure}");
                    failure.code.name.to_owned()
                }
            }
        })
    });
}
