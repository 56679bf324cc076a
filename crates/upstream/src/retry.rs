//! What came of sending a request to a target, and whether it goes out again.

/// What came of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered with this status.
    Answered { status: u16 },
    /// No connection: nothing of the request was sent.
    Unreached,
    /// It broke off, or did not answer in time. What it did with the request is unknown.
    Broke,
    /// Nobody waits for the answer any more, so nothing is known.
    Abandoned,
}

impl Outcome {
    /// Whether it counts against the target; `None` if it says nothing.
    pub fn is_failure(self) -> Option<bool> {
        match self {
            // What a server has not implemented is no sign of an outage.
            Self::Answered { status } => Some(status >= 500 && status != 501 && status != 505),
            Self::Unreached | Self::Broke => Some(true),
            Self::Abandoned => None,
        }
    }
}

/// What of a request decides whether it may go out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry<'a> {
    /// Doing it twice is the same as doing it once (RFC 9110, section 9.2.2).
    pub idempotent: bool,
    /// Its body is at hand, all of it.
    pub replayable: bool,
    /// Times it went out again already, and times it may.
    pub retries: u64,
    pub retries_max: u64,
    /// Statuses that are worth another try.
    pub statuses: &'a [u16],
}

impl Retry<'_> {
    /// Whether this outcome is worth another try. The budget has the last word.
    pub fn wants(&self, outcome: Outcome) -> bool {
        if !self.replayable || self.retries >= self.retries_max {
            return false;
        }
        match outcome {
            Outcome::Unreached => true,
            Outcome::Broke => self.idempotent,
            Outcome::Answered { status } => self.idempotent && self.statuses.contains(&status),
            Outcome::Abandoned => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Retry<'_> =
        Retry { idempotent: true, replayable: true, retries: 0, retries_max: 2, statuses: &[502, 503] };
    const POST: Retry<'_> = Retry { idempotent: false, ..GET };

    #[test]
    fn only_what_is_safe_goes_out_again() {
        let check =
            |retry: Retry<'_>, outcome, wanted| assert_eq!(retry.wants(outcome), wanted, "{retry:?} {outcome:?}");
        check(GET, Outcome::Broke, true);
        check(GET, Outcome::Answered { status: 503 }, true);
        check(GET, Outcome::Answered { status: 500 }, false);
        check(GET, Outcome::Abandoned, false);
        check(POST, Outcome::Unreached, true);
        check(POST, Outcome::Broke, false);
        check(POST, Outcome::Answered { status: 503 }, false);
        check(Retry { replayable: false, ..GET }, Outcome::Unreached, false);
        check(Retry { retries: 2, ..GET }, Outcome::Unreached, false);
    }
}
