//! One target's states.
//!
//! ```text
//!            failures in a row            its time is over
//!  Healthy ─────────────────────▶ Ejected ────────────────▶ HalfOpen
//!     ▲  ▲                           ▲                        │   │
//!     │  └──────── Warming ◀─────────┼──── the one request ───┘   │
//!     │   slow start  ▲              └──── fails ─────────────────┘
//!     │               │ checks succeed again
//!     └── … ──▶ Down ─┘  (checks fail; whatever the state was)
//! ```
//!
//! Ejection is what requests show (passive), `Down` what checks show (active). Each time a target is
//! ejected again soon after it came back, it stays away longer, up to [`EJECTIONS_MAX`] times as long.

/// So many times the first time away, at most.
pub const EJECTIONS_MAX: u32 = 10;

/// A target that warms up begins with this share of its weight, in thousandths.
const WARM_SHARE_MIN: u64 = 100;

/// What moves a target from state to state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetPolicy {
    /// Failures in a row that eject it; 0 for never.
    pub failures: u64,
    /// How long it stays away the first time.
    pub eject_ms: u64,
    /// How long its share grows after it came back.
    pub slow_start_ms: u64,
    /// Checks in a row that bring it back, and that take it down.
    pub checks_up: u64,
    pub checks_down: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Healthy,
    /// Requests failed; nobody is sent there before.
    Ejected {
        until_ms: u64,
    },
    /// One request at a time tries whether it is back.
    HalfOpen {
        trying: bool,
    },
    /// It came back, and gets a share that grows.
    Warming {
        since_ms: u64,
    },
    /// Its checks fail.
    Down,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Ejected { .. } => "ejected",
            Self::HalfOpen { .. } => "half-open",
            Self::Warming { .. } => "warming",
            Self::Down => "down",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Target {
    policy: TargetPolicy,
    state: State,
    /// Failures since the last success.
    failures: u64,
    checks_ok: u64,
    checks_bad: u64,
    /// How often it was ejected lately, and since when it is back.
    ejections: u32,
    back_ms: u64,
}

impl Target {
    pub fn new(policy: TargetPolicy) -> Self {
        let state = State::Healthy;
        Self { policy, state, failures: 0, checks_ok: 0, checks_bad: 0, ejections: 0, back_ms: 0 }
    }

    /// The state at this time: what only needed time to pass has passed.
    pub fn state(&mut self, now_ms: u64) -> State {
        match self.state {
            State::Ejected { until_ms } if now_ms >= until_ms => self.state = State::HalfOpen { trying: false },
            State::Warming { since_ms } if now_ms >= since_ms.saturating_add(self.policy.slow_start_ms) => {
                self.state = State::Healthy;
            }
            _ => {}
        }
        self.state
    }

    /// Whether a request may go there. `trial` if the request may be used to try it.
    pub fn may_be_used(&mut self, now_ms: u64, trial: bool) -> bool {
        match self.state(now_ms) {
            State::Healthy | State::Warming { .. } => true,
            State::HalfOpen { trying } => trial && !trying,
            State::Ejected { .. } | State::Down => false,
        }
    }

    /// A thousandth of its weight is 1.
    pub fn share(&mut self, now_ms: u64) -> u64 {
        match self.state(now_ms) {
            State::Warming { since_ms } => {
                let grown = 1_000 * now_ms.saturating_sub(since_ms) / self.policy.slow_start_ms.max(1);
                grown.clamp(WARM_SHARE_MIN, 1_000)
            }
            _ => 1_000,
        }
    }

    /// A request goes there. True if it is the one that tries it.
    pub fn begin(&mut self, now_ms: u64) -> bool {
        let tries = matches!(self.state(now_ms), State::HalfOpen { trying: false });
        if tries {
            self.state = State::HalfOpen { trying: true };
        }
        tries
    }

    /// A request was answered. `trial` as [`Target::begin`] said.
    pub fn succeeded(&mut self, trial: bool, now_ms: u64) {
        self.failures = 0;
        if trial && matches!(self.state, State::HalfOpen { .. }) {
            self.come_back(now_ms);
        }
    }

    /// A request failed. True if that is enough to send nobody there for a while: [`Target::eject`].
    pub fn failed(&mut self, trial: bool, now_ms: u64) -> bool {
        self.failures = self.failures.saturating_add(1);
        match self.state(now_ms) {
            State::HalfOpen { .. } => trial,
            State::Healthy | State::Warming { .. } => self.policy.failures > 0 && self.failures >= self.policy.failures,
            State::Ejected { .. } | State::Down => false,
        }
    }

    /// Nothing was learnt: the client went away.
    pub fn abandoned(&mut self, trial: bool) {
        if trial && matches!(self.state, State::HalfOpen { .. }) {
            self.state = State::HalfOpen { trying: false };
        }
    }

    pub fn eject(&mut self, now_ms: u64) {
        let calm_ms = self.policy.eject_ms.saturating_mul(u64::from(self.ejections));
        if now_ms.saturating_sub(self.back_ms) > calm_ms && !matches!(self.state, State::HalfOpen { .. }) {
            self.ejections = 0;
        }
        self.ejections = (self.ejections + 1).min(EJECTIONS_MAX);
        let away_ms = self.policy.eject_ms.saturating_mul(u64::from(self.ejections));
        self.failures = 0;
        self.state = State::Ejected { until_ms: now_ms.saturating_add(away_ms) };
    }

    /// What a check found.
    pub fn checked(&mut self, ok: bool, now_ms: u64) {
        if ok {
            self.checks_bad = 0;
            self.checks_ok = self.checks_ok.saturating_add(1);
            if self.state == State::Down && self.checks_ok >= self.policy.checks_up {
                self.failures = 0;
                self.come_back(now_ms);
            }
        } else {
            self.checks_ok = 0;
            self.checks_bad = self.checks_bad.saturating_add(1);
            if self.checks_bad >= self.policy.checks_down {
                self.state = State::Down;
            }
        }
    }

    fn come_back(&mut self, now_ms: u64) {
        self.back_ms = now_ms;
        self.state = if self.policy.slow_start_ms == 0 { State::Healthy } else { State::Warming { since_ms: now_ms } };
    }
}

#[cfg(test)]
mod tests;
