//! How many requests may go out again: a share of those that came, and a few a second besides, so that
//! retries help while little fails and add no load where everything does.
//!
//! Counted over a window of ten seconds that moves second by second.

const SLOTS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Of a hundred requests, so many may go out again.
    pub percent: u64,
    /// So many a second besides.
    pub min_per_s: u64,
}

#[derive(Debug, Clone)]
pub struct Budget {
    settings: BudgetSettings,
    /// Requests and retries of each second.
    slots: [(u64, u64); SLOTS],
    second: u64,
}

impl Budget {
    pub fn new(settings: BudgetSettings) -> Self {
        Self { settings, slots: [(0, 0); SLOTS], second: 0 }
    }

    /// A request came.
    pub fn deposit(&mut self, now_ms: u64) {
        self.turn(now_ms);
        self.slots[self.at()].0 += 1;
    }

    /// One wants to go out again. True if it may.
    pub fn withdraw(&mut self, now_ms: u64) -> bool {
        self.turn(now_ms);
        let (requests, retries) = self.slots.iter().fold((0, 0), |sum, slot| (sum.0 + slot.0, sum.1 + slot.1));
        let allowed = requests * self.settings.percent / 100 + self.settings.min_per_s * SLOTS as u64;
        if retries >= allowed {
            return false;
        }
        self.slots[self.at()].1 += 1;
        true
    }

    fn at(&self) -> usize {
        (self.second % SLOTS as u64) as usize
    }

    /// Forgets the seconds that the window has left.
    fn turn(&mut self, now_ms: u64) {
        let second = now_ms / 1_000;
        let passed = second.saturating_sub(self.second).min(SLOTS as u64);
        for gone in 0..passed {
            self.slots[((second - gone) % SLOTS as u64) as usize] = (0, 0);
        }
        self.second = self.second.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_requests_may_go_out_again_and_a_few_besides() {
        let mut budget = Budget::new(BudgetSettings { percent: 20, min_per_s: 1 });
        (0..100).for_each(|_| budget.deposit(0));
        let granted = (0..1_000).filter(|_| budget.withdraw(5)).count();
        assert_eq!(granted, 20 + 10);
        assert!(!budget.withdraw(9_999), "the window still holds them");
        assert!(budget.withdraw(10_000), "a new window");
    }

    #[test]
    fn with_nothing_granted_nothing_goes_out_again() {
        let mut budget = Budget::new(BudgetSettings { percent: 0, min_per_s: 0 });
        budget.deposit(0);
        assert!(!budget.withdraw(0));
    }
}
