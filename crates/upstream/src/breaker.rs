//! The breaker: where too many requests to an upstream fail, all of it is left alone for a while.
//!
//! Closed, it counts the outcomes of the last ten seconds. Open, it refuses. Then one request at a time
//! tries, and the first that succeeds closes it.

const SLOTS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures of a hundred requests that open it; 0 for never.
    pub percent: u64,
    /// With fewer requests in the window it says nothing.
    pub requests_min: u64,
    pub open_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until_ms: u64 },
    HalfOpen { trying: bool },
}

#[derive(Debug, Clone)]
pub struct Breaker {
    settings: BreakerSettings,
    state: State,
    /// Outcomes and failures of each second.
    slots: [(u64, u64); SLOTS],
    second: u64,
}

impl Breaker {
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: State::Closed, slots: [(0, 0); SLOTS], second: 0 }
    }

    /// Whether a request may go out; else after how many milliseconds it is worth another try. `Ok(true)`
    /// for the one that tries.
    pub fn admit(&mut self, now_ms: u64) -> Result<bool, u64> {
        match self.state {
            State::Closed => Ok(false),
            State::Open { until_ms } if now_ms < until_ms => Err(until_ms - now_ms),
            State::Open { .. } | State::HalfOpen { trying: false } => {
                self.state = State::HalfOpen { trying: true };
                Ok(true)
            }
            State::HalfOpen { trying: true } => Err(self.settings.open_ms),
        }
    }

    pub fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// What came of a request; `None` if nothing was learnt. `trial` as [`Breaker::admit`] said.
    pub fn done(&mut self, ok: Option<bool>, trial: bool, now_ms: u64) {
        if trial {
            self.state = match ok {
                Some(true) => State::Closed,
                Some(false) => State::Open { until_ms: now_ms.saturating_add(self.settings.open_ms) },
                None => State::HalfOpen { trying: false },
            };
            self.slots = [(0, 0); SLOTS];
            return;
        }
        let (Some(ok), true) = (ok, self.settings.percent > 0 && self.state == State::Closed) else { return };
        let second = now_ms / 1_000;
        for gone in 0..second.saturating_sub(self.second).min(SLOTS as u64) {
            self.slots[((second - gone) % SLOTS as u64) as usize] = (0, 0);
        }
        self.second = self.second.max(second);
        let slot = &mut self.slots[(self.second % SLOTS as u64) as usize];
        slot.0 += 1;
        slot.1 += u64::from(!ok);
        let (all, failed) = self.slots.iter().fold((0, 0), |sum, slot| (sum.0 + slot.0, sum.1 + slot.1));
        if all >= self.settings.requests_min && failed * 100 >= all * self.settings.percent {
            self.state = State::Open { until_ms: now_ms.saturating_add(self.settings.open_ms) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerSettings { percent: 50, requests_min: 10, open_ms: 1_000 })
    }

    #[test]
    fn it_opens_at_its_share_of_errors_and_not_before_it_has_seen_enough() {
        let mut breaker = breaker();
        (0..9).for_each(|_| breaker.done(Some(false), false, 0));
        assert_eq!(breaker.admit(0), Ok(false));
        breaker.done(Some(false), false, 0);
        assert_eq!(breaker.admit(400), Err(600));
    }

    #[test]
    fn one_request_tries_and_its_success_closes_it() {
        let mut breaker = breaker();
        (0..10).for_each(|_| breaker.done(Some(false), false, 0));
        assert_eq!(breaker.admit(1_000), Ok(true));
        assert!(breaker.admit(1_000).is_err(), "one at a time");
        breaker.done(None, true, 1_000);
        assert_eq!(breaker.admit(1_000), Ok(true), "its client went away");
        breaker.done(Some(false), true, 1_000);
        assert!(breaker.admit(1_999).is_err());
        assert_eq!(breaker.admit(2_000), Ok(true));
        breaker.done(Some(true), true, 2_000);
        assert_eq!(breaker.admit(2_000), Ok(false));
    }

    #[test]
    fn errors_of_long_ago_do_not_count() {
        let mut breaker = breaker();
        (0..9).for_each(|_| breaker.done(Some(false), false, 0));
        breaker.done(Some(false), false, 10_000);
        assert!(!breaker.is_open());
    }
}
