//! Long random sequences of operations, counted: what the oracle and a provider are compared over.
//!
//! A sequence runs on one fresh store and goes on where its operations left that, for the states
//! that matter are deep: a version behind a marker, a part that was undone after a restart. The more
//! operations are asked for, the longer the sequences, so that a million of them do not mean fifty
//! thousand stores.

use std::cell::Cell;
use std::fmt::Debug;

use base::{Rng as _, SystemRng};
use proptest::collection::vec;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// Operations of each suite in an ordinary run; `SELVEDGE_CONFORMANCE_OPERATIONS` asks for more.
const OPERATIONS: usize = 3_000;
/// Sequences in a run, until they would get longer than [`SEQUENCE_MAX`].
const SEQUENCES: usize = 40;
const SEQUENCE_MAX: usize = 2_000;
/// Attempts to make a sequence that fails smaller.
const SHRINK_ITERATIONS: u32 = 4_000;

/// Tries random sequences until there were enough operations. The smallest that fails is printed with
/// the seed that leads there (`SELVEDGE_CONFORMANCE_SEED`).
pub fn random<S: Strategy>(what: &str, operation: S, test: impl Fn(Vec<S::Value>) -> Result<(), TestCaseError>)
where
    S::Value: Debug + Clone,
{
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let wanted = number("SELVEDGE_CONFORMANCE_OPERATIONS").map_or(OPERATIONS, |wanted| wanted as usize);
    let seed = number("SELVEDGE_CONFORMANCE_SEED").unwrap_or_else(|| SystemRng.next_u64());
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { failure_persistence: None, max_shrink_iters: SHRINK_ITERATIONS, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let sequence = vec(operation, 1..=(wanted * 2 / SEQUENCES).clamp(1, SEQUENCE_MAX));
    let (done, sequences) = (Cell::new(0), Cell::new(0));
    while done.get() < wanted {
        let tree = sequence.new_tree(&mut runner).expect("nothing is rejected");
        let outcome = runner.run_one(tree, |operations| {
            done.set(done.get() + operations.len());
            sequences.set(sequences.get() + 1);
            test(operations)
        });
        if let Err(failure) = outcome {
            panic!("{what}: SELVEDGE_CONFORMANCE_SEED={seed}: {failure}");
        }
    }
    eprintln!("{what}: {} random operations in {} sequences agree, seed {seed}", done.get(), sequences.get());
}
