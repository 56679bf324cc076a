//! Who of the targets that may be used gets a request.
//!
//! - *Round robin*, smooth: with weights 5, 1, 1 the heavy one is not asked five times in a row.
//! - *Least requests*: the fewest under way, for their weight.
//! - *Two choices*: of two drawn at random, the one with the lower load, which is its latency (a mean that
//!   jumps up at once) times what is under way there. Nearly as good as knowing all, without everybody
//!   running to the same one.
//! - *Consistent hash*, by a ring (ketama) or a table (maglev): equal keys go to the same target, and when
//!   one is away only its keys move. A ring moves fewest keys when targets are added, a table spreads them
//!   most evenly.
//!
//! A consistent hash is made of the targets' names and weights, so that every node finds the same.

use crate::set::Set;

/// How a pool chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    LeastRequests,
    TwoChoices,
    Ketama,
    Maglev,
}

/// Points on the ring for a target of mean weight.
const POINTS: u64 = 160;
/// Slots of the table: a prime, far above a hundred times the targets.
const SLOTS: usize = 65_537;

/// What a choice goes by, for one target.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Its weight with what slow start leaves of it, in thousandths.
    pub weight: u64,
    pub in_flight: u64,
    /// 0 if nothing is known.
    pub latency_us: f64,
}

/// A way to choose, with what it remembers.
#[derive(Debug, Clone)]
pub(crate) enum Balancer {
    RoundRobin(Vec<i64>),
    /// Whose turn it is among equals.
    LeastRequests(usize),
    TwoChoices,
    /// Points in order, and whose they are.
    Ketama(Vec<(u64, u8)>),
    Maglev(Vec<u8>),
}

impl Balancer {
    pub fn new(balance: Balance, targets: &[(&str, u64)]) -> Self {
        match balance {
            Balance::RoundRobin => Self::RoundRobin(vec![0; targets.len()]),
            Balance::LeastRequests => Self::LeastRequests(0),
            Balance::TwoChoices => Self::TwoChoices,
            Balance::Ketama => Self::Ketama(ring(targets)),
            Balance::Maglev => Self::Maglev(table(targets)),
        }
    }

    /// One of `usable`, which is not empty. `key` is what a consistent hash goes by; without one a random
    /// target is as good as any.
    pub fn choose(&mut self, usable: Set, loads: impl Fn(usize) -> Load, key: Option<u64>, random: u64) -> usize {
        match self {
            Self::RoundRobin(credits) => in_turn(credits, usable, loads),
            Self::LeastRequests(turn) => {
                let chosen = least(*turn, usable, loads);
                *turn = chosen + 1;
                chosen
            }
            Self::TwoChoices => two_choices(usable, loads, random),
            Self::Ketama(points) => {
                let key = key.unwrap_or(random);
                let at = points.partition_point(|(point, _)| *point < key);
                walk(points.len(), at, |at| usize::from(points[at].1), usable)
            }
            Self::Maglev(slots) => {
                let at = (key.unwrap_or(random) % SLOTS as u64) as usize;
                walk(slots.len(), at, |at| usize::from(slots[at]), usable)
            }
        }
    }
}

/// Everybody is credited their weight; the richest pays for all.
fn in_turn(credits: &mut [i64], usable: Set, loads: impl Fn(usize) -> Load) -> usize {
    let mut all = 0;
    let mut chosen = None;
    for at in usable.iter() {
        let weight = loads(at).weight as i64;
        all += weight;
        credits[at] += weight;
        if chosen.is_none_or(|best: usize| credits[at] > credits[best]) {
            chosen = Some(at);
        }
    }
    let chosen = chosen.expect("somebody may be used");
    credits[chosen] -= all;
    chosen
}

fn least(turn: usize, usable: Set, loads: impl Fn(usize) -> Load) -> usize {
    // In turn among equals, so that an idle pool does not send everything to the first.
    let later = usable.iter().filter(|at| *at >= turn);
    let sooner = usable.iter().filter(|at| *at < turn);
    let costs = |at: usize| {
        let load = loads(at);
        (load.in_flight + 1) as f64 / load.weight.max(1) as f64
    };
    let chosen = later.chain(sooner).min_by(|a, b| costs(*a).total_cmp(&costs(*b)));
    chosen.expect("somebody may be used")
}

fn two_choices(usable: Set, loads: impl Fn(usize) -> Load, random: u64) -> usize {
    let draw = |among: Set, random: u32| {
        let all: u64 = among.iter().map(|at| loads(at).weight.max(1)).sum();
        let mut left = u64::from(random) * all >> 32;
        let found = among.iter().find(|at| {
            let weight = loads(*at).weight.max(1);
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        });
        found.expect("the weights add up")
    };
    let first = draw(usable, (random >> 32) as u32);
    let rest = usable.without(Set::from_iter([first]));
    if rest.is_empty() {
        return first;
    }
    let second = draw(rest, random as u32);
    let cost = |at: usize| {
        let load = loads(at);
        // Who is not known yet is tried, but not by everybody at once.
        let latency_us = if load.latency_us > 0.0 || load.in_flight == 0 { load.latency_us } else { 1e6 };
        latency_us * (load.in_flight + 1) as f64
    };
    if cost(second) < cost(first) { second } else { first }
}

/// From a place on, the first whose owner may be used.
fn walk(places: usize, from: usize, owner: impl Fn(usize) -> usize, usable: Set) -> usize {
    let mut found = (0..places).map(|step| owner((from + step) % places)).filter(|at| usable.contains(*at));
    found.next().or_else(|| usable.iter().next()).expect("somebody may be used")
}

fn ring(targets: &[(&str, u64)]) -> Vec<(u64, u8)> {
    let all: u64 = targets.iter().map(|(_, weight)| weight.max(&1)).sum();
    let mut points = Vec::new();
    for (at, (name, weight)) in targets.iter().enumerate() {
        let count = (POINTS * weight.max(&1) * targets.len() as u64 / all).max(1);
        let seed = hash(name.as_bytes());
        points.extend((0..count).map(|n| (mix(seed ^ mix(n)), at as u8)));
    }
    points.sort_unstable();
    points
}

/// Every target in turn takes the next free slot of an order of its own, as often as its weight says.
fn table(targets: &[(&str, u64)]) -> Vec<u8> {
    const FREE: u8 = u8::MAX;
    let heaviest = targets.iter().map(|(_, weight)| *weight).max().unwrap_or(1).max(1);
    let mut orders: Vec<(usize, usize, u64)> = targets
        .iter()
        .map(|(name, _)| {
            let seed = hash(name.as_bytes());
            let skip = (mix(seed) % (SLOTS as u64 - 1) + 1) as usize;
            ((seed % SLOTS as u64) as usize, skip, 0)
        })
        .collect();
    let mut slots = vec![FREE; SLOTS];
    let mut left = SLOTS;
    while left > 0 {
        for (at, (_, weight)) in targets.iter().enumerate() {
            let (next, skip, credit) = &mut orders[at];
            *credit += (*weight).max(1);
            if *credit < heaviest || left == 0 {
                continue;
            }
            *credit -= heaviest;
            while slots[*next] != FREE {
                *next = (*next + *skip) % SLOTS;
            }
            slots[*next] = at as u8;
            left -= 1;
        }
    }
    slots
}

/// The hash of a key or a name: FNV-1a, mixed so that names that differ in their last byte lie apart.
/// It says the same on every node and in every version.
pub fn hash(bytes: &[u8]) -> u64 {
    let folded = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(folded)
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests;
