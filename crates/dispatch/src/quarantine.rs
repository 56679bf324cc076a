//! Quarantine: a worker that keeps failing to start is left alone for a while, then tried once.
//!
//! A *start* is everything from loading the program to the end of a new instance's first event.
//! Two kinds of failure count, each in a row of its own: starts that fail before an event could
//! enter (`start_failures`), and sandboxes that trap in their first event (`first_traps`, larger,
//! since a trap may be the doing of one client's request). Any good start forgets them all.
//!
//! The pauses are 1 s, 2 s, 4 s and so on up to `quarantine_ms`. After each, one request may try a
//! start; the others are refused until it is known how that went.
//!
//! [`Quarantine`] is pure: time goes in as a parameter.

use std::time::Duration;

use base::NodeLimits;

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub start_failures: u64,
    pub first_traps: u64,
    pub pause_max: Duration,
}

impl Policy {
    pub fn of(limits: &NodeLimits) -> Self {
        Self {
            start_failures: limits.start_failures,
            first_traps: limits.first_traps,
            pause_max: Duration::from_millis(limits.quarantine_ms),
        }
    }
}

/// How a start failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedStart {
    /// Load, preparation or instantiation.
    BeforeEvent,
    /// The sandbox trapped in its first event.
    FirstEvent,
}

/// May a start be made?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Start,
    /// This start decides. Report how it went, or that it was given up.
    Probe,
    /// Not before so much time has passed.
    Wait(Duration),
}

/// What is known of one worker's starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quarantine {
    start_failures: u64,
    first_traps: u64,
    pauses: u32,
    phase: Phase,
    /// What the first failure in the row said.
    first: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    Paused {
        until: Duration,
    },
    Probing,
}

impl Quarantine {
    pub fn ask(&mut self, now: Duration) -> Verdict {
        match self.phase {
            Phase::Open => Verdict::Start,
            Phase::Paused { until } if now < until => Verdict::Wait(until - now),
            Phase::Paused { .. } => {
                self.phase = Phase::Probing;
                Verdict::Probe
            }
            Phase::Probing => Verdict::Wait(PAUSE_MIN),
        }
    }

    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Answers the pause, if this failure begins one.
    pub fn failed(&mut self, how: FailedStart, detail: &str, now: Duration, policy: Policy) -> Option<Duration> {
        self.first.get_or_insert_with(|| detail.to_owned());
        let enough = match how {
            FailedStart::BeforeEvent => {
                self.start_failures += 1;
                self.start_failures >= policy.start_failures
            }
            FailedStart::FirstEvent => {
                self.first_traps += 1;
                self.first_traps >= policy.first_traps
            }
        };
        match self.phase {
            // A start that began before the pause did: it is no news.
            Phase::Paused { .. } => None,
            Phase::Open if !enough => None,
            Phase::Open | Phase::Probing => {
                let pause = PAUSE_MIN.saturating_mul(1 << self.pauses.min(20)).min(policy.pause_max);
                self.pauses += 1;
                self.phase = Phase::Paused { until: now + pause };
                Some(pause)
            }
        }
    }

    /// A probe ended without saying anything about the worker; the next request may probe.
    pub fn gave_up(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Probing) {
            self.phase = Phase::Paused { until: now };
        }
    }

    pub fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::Probing)
    }

    /// The time left until a start may be tried, if the worker is quarantined.
    pub fn remaining(&self, now: Duration) -> Option<Duration> {
        match self.phase {
            Phase::Open => None,
            Phase::Paused { until } => Some(until.saturating_sub(now)),
            Phase::Probing => Some(Duration::ZERO),
        }
    }

    pub fn failures(&self) -> u64 {
        self.start_failures + self.first_traps
    }

    pub fn first_failure(&self) -> Option<&str> {
        self.first.as_deref()
    }
}

#[cfg(test)]
mod tests;
