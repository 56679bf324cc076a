//! The targets of one upstream, together: what [`Pool::begin`], [`Pool::judge`] and [`Pool::end`] decide.
//!
//! A request goes to a target that may be used and has not been asked for it before. If there is none,
//! any that has not been asked will do, and then any at all: when everything is ejected, everything is
//! tried, since an answer that may fail is better than a failure for certain. No more than a share of the
//! targets is ejected at a time.
//!
//! Two bounds hold what is under way: so many at each target, and so many at all of them, which is fixed
//! or found by the [gradient](crate::gradient). Beyond, a request waits in line, and beyond the line it
//! is refused.

use crate::balance::{Balance, Balancer, Load, hash};
use crate::breaker::{Breaker, BreakerSettings};
use crate::budget::{Budget, BudgetSettings};
use crate::gradient::{Gradient, GradientSettings};
use crate::latency::{PeakMean, Spread};
use crate::retry::Outcome;
use crate::set::Set;
use crate::target::{State, Target, TargetPolicy};

#[derive(Debug, Clone)]
pub struct TargetSettings {
    /// What a consistent hash knows it by: its URL.
    pub name: String,
    pub weight: u64,
}

#[derive(Debug, Clone)]
pub struct PoolSettings {
    pub balance: Balance,
    pub target: TargetPolicy,
    /// Of a hundred targets, so many may be ejected at once.
    pub eject_percent: u64,
    pub budget: BudgetSettings,
    pub breaker: BreakerSettings,
    /// Requests under way at one target; 0 for any number.
    pub requests_max: u64,
    /// Requests that may wait.
    pub waiting_max: u64,
    /// How many may be under way at all of them is learnt.
    pub gradient: Option<GradientSettings>,
}

/// A request that wants a target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask {
    /// What a consistent hash goes by.
    pub key: Option<u64>,
    /// The target that it was bound to.
    pub sticky: Option<usize>,
    /// Targets that were asked for it.
    pub tried: Set,
    /// It could go elsewhere if it failed, so it may be the one that tries a target.
    pub trial: bool,
    /// It waited, and it is its turn.
    pub waited: bool,
    /// It has gone out before, or goes out beside another.
    pub again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    Go(Pick),
    /// In line, until [`Pool::end`] says that somebody may go on.
    Wait,
    Refuse(Refusal),
}

/// A request is under way. It is judged once it was answered, and ended by [`Pool::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    pub at: usize,
    trial: bool,
    breaker_trial: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The breaker is open.
    Open { retry_after_ms: u64 },
    /// As much is under way, and in line, as may be.
    Full,
}

/// What is to be seen of one target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetView {
    pub name: String,
    pub state: &'static str,
    pub weight: u64,
    pub in_flight: u64,
    pub requests: u64,
    pub failures: u64,
    pub ejections: u64,
    pub latency_us: u64,
}

/// What is to be seen of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolView {
    pub breaker_open: bool,
    pub in_flight: u64,
    pub waiting: u64,
    /// 0 if there is none.
    pub limit: u64,
    pub retries: u64,
    pub refused: u64,
}

#[derive(Debug)]
struct Member {
    settings: TargetSettings,
    target: Target,
    in_flight: u64,
    latency: PeakMean,
    requests: u64,
    failures: u64,
    ejections: u64,
}

#[derive(Debug)]
pub struct Pool {
    settings: PoolSettings,
    members: Vec<Member>,
    balancer: Balancer,
    budget: Budget,
    breaker: Breaker,
    gradient: Option<Gradient>,
    spread: Spread,
    in_flight: u64,
    waiting: u64,
    retries: u64,
    refused: u64,
    seed: u64,
}

impl Pool {
    /// What is drawn at random follows from the seed.
    ///
    /// # Panics
    /// Without a target, or with more than [`crate::TARGETS_MAX`].
    pub fn new(settings: PoolSettings, targets: Vec<TargetSettings>, seed: u64) -> Self {
        assert!((1..=crate::TARGETS_MAX).contains(&targets.len()), "a pool has 1 to {} targets", crate::TARGETS_MAX);
        let names: Vec<_> = targets.iter().map(|target| (target.name.as_str(), target.weight)).collect();
        let balancer = Balancer::new(settings.balance, &names);
        let member = |given: TargetSettings| Member {
            settings: given,
            target: Target::new(settings.target),
            in_flight: 0,
            latency: PeakMean::default(),
            requests: 0,
            failures: 0,
            ejections: 0,
        };
        let members = targets.into_iter().map(member).collect();
        let (budget, breaker) = (Budget::new(settings.budget), Breaker::new(settings.breaker));
        let gradient = settings.gradient.map(Gradient::new);
        let spread = Spread::default();
        Self {
            settings,
            members,
            balancer,
            budget,
            breaker,
            gradient,
            spread,
            in_flight: 0,
            waiting: 0,
            retries: 0,
            refused: 0,
            seed,
        }
    }

    /// Where a request goes.
    pub fn begin(&mut self, ask: &Ask, now_ms: u64) -> Begin {
        if ask.waited {
            self.waiting = self.waiting.saturating_sub(1);
        }
        let usable = self.usable(ask, now_ms);
        let full = self.gradient.as_ref().is_some_and(|gradient| self.in_flight >= gradient.limit());
        // Who waits goes first.
        if full || usable.is_empty() || (self.waiting > 0 && !ask.waited && !ask.again) {
            return self.hold(ask);
        }
        let breaker_trial = match self.breaker.admit(now_ms) {
            Ok(trial) => trial,
            Err(retry_after_ms) => {
                self.refused += 1;
                return Begin::Refuse(Refusal::Open { retry_after_ms });
            }
        };
        if !ask.again {
            self.budget.deposit(now_ms);
        }
        let at = match ask.sticky {
            Some(at) if usable.contains(at) => at,
            _ => self.choose(usable, ask.key, now_ms),
        };
        let member = &mut self.members[at];
        member.in_flight += 1;
        member.requests += 1;
        self.in_flight += 1;
        Begin::Go(Pick { at, trial: member.target.begin(now_ms), breaker_trial })
    }

    /// What came of it, up to the head of its response; once more if the rest broke off.
    pub fn judge(&mut self, pick: &mut Pick, outcome: Outcome, latency_us: u64, now_ms: u64) {
        let (trial, breaker_trial) = (std::mem::take(&mut pick.trial), std::mem::take(&mut pick.breaker_trial));
        let failure = outcome.is_failure();
        let ejected = match failure {
            Some(true) => (0..self.members.len()).filter(|at| self.is_ejected(*at, now_ms)).count() as u64,
            Some(false) | None => 0,
        };
        let ejected_max = self.members.len() as u64 * self.settings.eject_percent / 100;
        let member = &mut self.members[pick.at];
        match failure {
            None => member.target.abandoned(trial),
            Some(false) => member.target.succeeded(trial, now_ms),
            Some(true) => {
                member.failures += 1;
                // One that is tried is away already.
                if member.target.failed(trial, now_ms) && (trial || ejected < ejected_max) {
                    member.target.eject(now_ms);
                    member.ejections += 1;
                }
            }
        }
        if let Outcome::Answered { .. } = outcome {
            member.latency.add(latency_us, now_ms);
            self.spread.add(latency_us);
        }
        match (&mut self.gradient, outcome) {
            (Some(gradient), Outcome::Answered { .. }) => gradient.sample(latency_us, self.in_flight),
            (Some(gradient), Outcome::Broke) => gradient.overloaded(),
            _ => {}
        }
        self.breaker.done(failure.map(|failed| !failed), breaker_trial, now_ms);
    }

    /// It is over, with the last byte of its response. True if one that waits may go on.
    pub fn end(&mut self, pick: Pick) -> bool {
        self.members[pick.at].in_flight -= 1;
        self.in_flight -= 1;
        self.waiting > 0
    }

    /// One that waited went away.
    pub fn left(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Whether a request may go out again.
    pub fn may_retry(&mut self, now_ms: u64) -> bool {
        let may = self.budget.withdraw(now_ms);
        self.retries += u64::from(may);
        may
    }

    /// What a check found.
    pub fn checked(&mut self, at: usize, ok: bool, now_ms: u64) {
        self.members[at].target.checked(ok, now_ms);
    }

    /// So many of a hundred answers took no longer than this.
    pub fn percentile_us(&self, percent: u64) -> Option<u64> {
        self.spread.percentile_us(percent)
    }

    pub fn state(&mut self, at: usize, now_ms: u64) -> State {
        self.members[at].target.state(now_ms)
    }

    pub fn targets(&mut self, now_ms: u64) -> Vec<TargetView> {
        let view = |member: &mut Member| TargetView {
            name: member.settings.name.clone(),
            state: member.target.state(now_ms).name(),
            weight: member.settings.weight,
            in_flight: member.in_flight,
            requests: member.requests,
            failures: member.failures,
            ejections: member.ejections,
            latency_us: member.latency.us(now_ms) as u64,
        };
        self.members.iter_mut().map(view).collect()
    }

    pub fn view(&self) -> PoolView {
        PoolView {
            breaker_open: self.breaker.is_open(),
            in_flight: self.in_flight,
            waiting: self.waiting,
            limit: self.gradient.as_ref().map_or(0, Gradient::limit),
            retries: self.retries,
            refused: self.refused,
        }
    }

    fn hold(&mut self, ask: &Ask) -> Begin {
        // What went out before has a client that waits already; what goes beside another is not needed.
        if ask.again || (self.waiting >= self.settings.waiting_max && !ask.waited) {
            self.refused += u64::from(!ask.again);
            return Begin::Refuse(Refusal::Full);
        }
        self.waiting += 1;
        Begin::Wait
    }

    /// Those who may be asked; empty if all of them have as much under way as may be.
    fn usable(&mut self, ask: &Ask, now_ms: u64) -> Set {
        let max = self.settings.requests_max;
        let (mut good, mut any) = (Set::default(), Set::default());
        for (at, member) in self.members.iter_mut().enumerate() {
            if max > 0 && member.in_flight >= max {
                continue;
            }
            any.insert(at);
            if member.target.may_be_used(now_ms, ask.trial) {
                good.insert(at);
            }
        }
        let new = good.without(ask.tried);
        [new, good, any.without(ask.tried)].into_iter().find(|set| !set.is_empty()).unwrap_or(any)
    }

    fn choose(&mut self, usable: Set, key: Option<u64>, now_ms: u64) -> usize {
        if self.members.len() == 1 {
            return 0;
        }
        self.seed = hash(&self.seed.to_le_bytes());
        let loads: Vec<Load> = self
            .members
            .iter_mut()
            .map(|member| Load {
                weight: member.settings.weight * member.target.share(now_ms),
                in_flight: member.in_flight,
                latency_us: member.latency.us(now_ms),
            })
            .collect();
        self.balancer.choose(usable, |at| loads[at], key, self.seed)
    }

    fn is_ejected(&mut self, at: usize, now_ms: u64) -> bool {
        matches!(self.members[at].target.state(now_ms), State::Ejected { .. } | State::HalfOpen { .. } | State::Down)
    }
}

#[cfg(test)]
mod tests;
