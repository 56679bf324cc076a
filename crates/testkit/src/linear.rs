//! Is a history linearizable? That is: is there an order of its operations, one after the other,
//! that never puts one before another that had ended when it began, and in which each shows what a
//! model of the object would have shown?
//!
//! The search is that of Wing and Gong (1993), with the memory of Lowe (2017) that makes it quick:
//! a set of operations that led to a state it has led to before need not be gone through again.
//! Porcupine and Knossos do the same. It is exponential at worst, so histories are short and many
//! rather than long and few.
//!
//! **Crashes.** An operation without an end, because its process died or its answer was lost, may
//! have happened at any moment after it began, or never. A history goes on across a crash.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

/// What one object does when it is asked one thing at a time.
pub trait Model {
    type State: Clone + Eq + Hash;
    type Op: fmt::Debug;
    type Seen: fmt::Debug;

    fn start(&self) -> Self::State;

    /// The state after an operation that showed this, or `None` if it can't have shown it. What an
    /// operation without an end has shown nobody knows.
    fn step(&self, state: &Self::State, op: &Self::Op, seen: Option<&Self::Seen>) -> Option<Self::State>;
}

/// One operation of a history. Moments are counted in any way in which later ones are larger; an
/// operation may be entered as longer than it was, never as shorter.
#[derive(Clone, Debug)]
pub struct Call<O, S> {
    pub client: u64,
    pub op: O,
    pub began: u64,
    /// When it ended, and what it showed.
    pub ended: Option<(u64, S)>,
}

/// A history under construction, whose moments are the order of what is entered.
#[derive(Debug)]
pub struct History<O, S> {
    calls: Vec<Call<O, S>>,
    now: u64,
}

impl<O, S> Default for History<O, S> {
    fn default() -> Self {
        Self { calls: Vec::new(), now: 0 }
    }
}

impl<O, S> History<O, S> {
    /// Enters a beginning; answers the operation's number.
    pub fn begin(&mut self, client: u64, op: O) -> usize {
        self.now += 1;
        self.calls.push(Call { client, op, began: self.now, ended: None });
        self.calls.len() - 1
    }

    pub fn end(&mut self, number: usize, seen: S) {
        self.now += 1;
        self.calls[number].ended = Some((self.now, seen));
    }

    pub fn calls(&self) -> &[Call<O, S>] {
        &self.calls
    }
}

/// The shape of a history that no order explains.
#[derive(Debug)]
pub struct Violation {
    /// The most operations that an order explains, by their places in the history.
    pub explained: Vec<usize>,
    text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Looks for an order that explains the history.
pub fn check<M: Model>(model: &M, calls: &[Call<M::Op, M::Seen>]) -> Result<(), Violation> {
    let mut search = Search::new(model, calls);
    match search.run() {
        true => Ok(()),
        false => Err(violation(calls, search.explained)),
    }
}

/// Some operations as bits.
type Bits = Vec<u64>;

struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call<M::Op, M::Seen>],
    /// Places in the history, by when they began.
    order: Vec<usize>,
    /// Those that the order under construction has, by their places in `order`.
    done: Bits,
    state: M::State,
    /// The order under construction: each operation, and the state before it.
    trail: Vec<(usize, M::State)>,
    seen: HashSet<(Bits, M::State)>,
    /// Operations with an end that are not done yet.
    left: usize,
    explained: Vec<usize>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, calls: &'a [Call<M::Op, M::Seen>]) -> Self {
        let mut order: Vec<usize> = (0..calls.len()).collect();
        order.sort_by_key(|&at| calls[at].began);
        Self {
            model,
            calls,
            done: vec![0; calls.len().div_ceil(64)],
            order,
            state: model.start(),
            trail: Vec::new(),
            seen: HashSet::new(),
            left: calls.iter().filter(|call| call.ended.is_some()).count(),
            explained: Vec::new(),
        }
    }

    fn run(&mut self) -> bool {
        let mut from = 0;
        while self.left > 0 {
            match self.next(from) {
                Some((at, state)) => {
                    self.take(at, state);
                    from = 0;
                }
                None => match self.back() {
                    Some(at) => from = at + 1,
                    None => return false,
                },
            }
        }
        true
    }

    /// The first operation at or after a place that may come next, and the state after it.
    fn next(&mut self, from: usize) -> Option<(usize, M::State)> {
        let deadline = self.deadline();
        for at in from..self.order.len() {
            let call = &self.calls[self.order[at]];
            if call.began > deadline {
                // So do all that follow: one that is not done had ended before.
                return None;
            }
            if self.is_done(at) {
                continue;
            }
            let seen = call.ended.as_ref().map(|(_, seen)| seen);
            let Some(state) = self.model.step(&self.state, &call.op, seen) else { continue };
            // What changed nothing and showed nothing may as well never have happened.
            if seen.is_none() && state == self.state {
                continue;
            }
            let mut done = self.done.clone();
            done[at / 64] |= 1 << (at % 64);
            if self.seen.insert((done, state.clone())) {
                return Some((at, state));
            }
        }
        None
    }

    /// The earliest end of what is not done.
    fn deadline(&self) -> u64 {
        let undone = (0..self.order.len()).filter(|&at| !self.is_done(at));
        let ends = undone.filter_map(|at| self.calls[self.order[at]].ended.as_ref().map(|(end, _)| *end));
        ends.min().unwrap_or(u64::MAX)
    }

    fn is_done(&self, at: usize) -> bool {
        self.done[at / 64] & (1 << (at % 64)) != 0
    }

    fn take(&mut self, at: usize, state: M::State) {
        self.done[at / 64] |= 1 << (at % 64);
        self.left -= usize::from(self.calls[self.order[at]].ended.is_some());
        let before = std::mem::replace(&mut self.state, state);
        self.trail.push((at, before));
        if self.trail.len() > self.explained.len() {
            self.explained = self.trail.iter().map(|&(at, _)| self.order[at]).collect();
        }
    }

    fn back(&mut self) -> Option<usize> {
        let (at, before) = self.trail.pop()?;
        self.done[at / 64] &= !(1 << (at % 64));
        self.left += usize::from(self.calls[self.order[at]].ended.is_some());
        self.state = before;
        Some(at)
    }
}

fn violation<O: fmt::Debug, S: fmt::Debug>(calls: &[Call<O, S>], explained: Vec<usize>) -> Violation {
    let mut text = String::from("no order explains this history; the longest that does:\n");
    let mut line = |mark: &str, at: usize| {
        let Call { client, op, began, ended } = &calls[at];
        let shown = match ended {
            Some((end, seen)) => format!("{end:>4}  client {client}  {op:?} → {seen:?}"),
            None => format!("   ?  client {client}  {op:?} → ?"),
        };
        text += &format!("{mark} {began:>4} to {shown}\n");
    };
    explained.iter().for_each(|&at| line(" ", at));
    (0..calls.len()).filter(|at| !explained.contains(at)).for_each(|at| line("!", at));
    Violation { explained, text }
}

#[cfg(test)]
mod tests;
