//! Tests that are fed what nobody would write: a target is a test that gives [`Fuzz::run`] its seeds
//! and a function of bytes.
//!
//! In the ordinary test run a target replays its seeds, the files kept in `fuzz/NAME/` at the root
//! of the repository, and a few hundred mutations of them, the same ones every time. `cargo xtask
//! fuzz` runs the same test in a process of its own for as long as it is told, and says by the
//! environment how ([`Job`]). An input lies in a file before it is tried, so that whatever ends the
//! process (a panic, an abort, a stack that overflows, the watch) leaves what caused it.
//!
//! There is no coverage to steer by. Instead a target says what an input came to, in any number,
//! and an input that comes to something new is kept and mutated further.

mod choices;
mod mutate;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

pub use choices::Choices;
pub use mutate::Mutator;
use watch::Watch;

/// The folder of one run: the input that is tried lies there, and the report when it is over.
pub const FOLDER: &str = "SELVEDGE_FUZZ_FOLDER";
pub const SECONDS: &str = "SELVEDGE_FUZZ_SECONDS";
pub const SEED: &str = "SELVEDGE_FUZZ_SEED";
/// A file to try once, instead.
pub const INPUT: &str = "SELVEDGE_FUZZ_INPUT";

/// Mutations that the ordinary test run tries.
const QUICK_INPUTS: u64 = 300;

/// Inputs kept because they came to something new.
const KEPT_MAX: usize = 4096;

/// One target. What it holds besides its name has a default.
pub struct Fuzz<'a> {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    words: &'a [&'a str],
    quick_inputs: u64,
    input_time_max: Duration,
    resident_bytes_max: u64,
}

/// What this process is to do with a target.
enum Job {
    Test,
    Run { folder: PathBuf, time: Duration, seed: u64 },
    Replay(PathBuf),
}

impl<'a> Fuzz<'a> {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            seeds: Vec::new(),
            words: &[],
            quick_inputs: QUICK_INPUTS,
            input_time_max: Duration::from_secs(10),
            resident_bytes_max: 2 << 30,
        }
    }

    /// Real inputs, which mutations begin from.
    pub fn seeds<S: AsRef<[u8]>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.seeds.extend(seeds.into_iter().map(|seed| seed.as_ref().to_vec()));
        self
    }

    /// What the format is made of; mutations put these in.
    pub fn words(mut self, words: &'a [&'a str]) -> Self {
        self.words = words;
        self
    }

    /// Mutations in the ordinary test run, for a target that is slow.
    pub fn quick_inputs(mut self, inputs: u64) -> Self {
        self.quick_inputs = inputs;
        self
    }

    /// An input that takes longer on the processor ends the process, or ten times as long on the clock.
    pub fn input_time_max(mut self, time: Duration) -> Self {
        self.input_time_max = time;
        self
    }

    /// A process that holds more memory ends itself.
    pub fn resident_bytes_max(mut self, bytes: u64) -> Self {
        self.resident_bytes_max = bytes;
        self
    }

    /// Tries inputs. `come_to` panics on a failure, and says what an input came to otherwise.
    pub fn run<T: Hash>(mut self, mut come_to: impl FnMut(&[u8]) -> T) {
        self.seeds.extend(kept_in(&corpus(self.name)));
        let mut trial = Trial { watch: None, come_to: |input: &[u8]| hash(come_to(input)), input_file: None };
        match job() {
            Job::Replay(file) => {
                trial.watch = Some(Watch::start(self.input_time_max, self.resident_bytes_max));
                let input = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
                trial.come_to(&input);
            }
            Job::Test => {
                let count = self.quick_inputs;
                self.search(&mut trial, 1, |inputs| inputs >= count);
            }
            Job::Run { folder, time, seed } => {
                trial.watch = Some(Watch::start(self.input_time_max, self.resident_bytes_max));
                trial.input_file = Some(folder.join("input"));
                let began = Instant::now();
                let (inputs, kept) = self.search(&mut trial, seed, |_| began.elapsed() >= time);
                let report = format!("{inputs} {kept} {}", began.elapsed().as_secs());
                fs::write(folder.join("report"), report).expect("a folder to report to");
            }
        }
    }

    /// Tries every seed, then mutations of what is kept. Returns how many inputs it tried and how
    /// many came to something new.
    fn search(
        &self,
        trial: &mut Trial<impl FnMut(&[u8]) -> u64>,
        seed: u64,
        is_over: impl Fn(u64) -> bool,
    ) -> (u64, usize) {
        let mut mutator = Mutator::new(seed, self.words);
        let mut known = HashSet::new();
        let mut corpus = self.seeds.clone();
        for input in &self.seeds {
            known.insert(trial.come_to(input));
        }
        if corpus.is_empty() {
            corpus.push(Vec::new());
        }
        let (mut inputs, mut kept) = (0, 0);
        while !is_over(inputs) {
            let input = mutator.mutate(&corpus);
            inputs += 1;
            if known.insert(trial.come_to(&input)) {
                kept += 1;
                if corpus.len() < KEPT_MAX {
                    corpus.push(input);
                }
            }
        }
        (inputs, kept)
    }
}

/// One input after the other, each where it is found if it ends the process.
struct Trial<F> {
    watch: Option<Watch>,
    come_to: F,
    input_file: Option<PathBuf>,
}

impl<F: FnMut(&[u8]) -> u64> Trial<F> {
    fn come_to(&mut self, input: &[u8]) -> u64 {
        if let Some(file) = &self.input_file {
            fs::write(file, input).expect("a folder for the input");
        }
        if let Some(watch) = &self.watch {
            watch.begin();
        }
        let result = catch_unwind(AssertUnwindSafe(|| (self.come_to)(input)));
        if let Some(watch) = &self.watch {
            watch.end();
        }
        result.unwrap_or_else(|panic| {
            if self.input_file.is_none() {
                eprintln!("the input was: {}", input.escape_ascii());
            }
            resume_unwind(panic)
        })
    }
}

fn job() -> Job {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(file) = env::var_os(INPUT) {
        return Job::Replay(file.into());
    }
    match env::var_os(FOLDER) {
        None => Job::Test,
        Some(folder) => Job::Run {
            folder: folder.into(),
            time: Duration::from_secs(number(SECONDS).unwrap_or(60)),
            seed: number(SEED).unwrap_or(1),
        },
    }
}

/// Where inputs of a target are kept: those that found something once.
fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(name)
}

/// The files of a folder by their names; none if there is no such folder.
fn kept_in(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files.iter().filter_map(|file| fs::read(file).ok()).collect()
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
