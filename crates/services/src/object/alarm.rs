//! When an alarm runs again: a pure function of what is stored.
//!
//! To begin an alarm's handler is to schedule its next try, in the same turn. So whatever ends the
//! try, a crash of the node included, the alarm runs again by itself; only a handler that came to
//! its end takes it back.

use super::Alarm;

/// The pause before the second try; it doubles from try to try.
const FIRST_PAUSE_MS: u64 = 2_000;
const PAUSE_MS_MAX: u64 = 3_600_000;

/// What is to be done with an alarm when it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is not due.
    NotYet,
    /// Its handler runs, and this is stored.
    Run { next: Alarm },
    /// It has been tried often enough: it is given up.
    GiveUp,
}

/// Looks at an alarm. `retries_max` is how often it may run again after its first try.
pub fn begin(alarm: Alarm, now_ms: u64, retries_max: u64) -> Begun {
    if alarm.due_ms > now_ms {
        return Begun::NotYet;
    }
    if u64::from(alarm.tries) > retries_max {
        return Begun::GiveUp;
    }
    let pause = FIRST_PAUSE_MS.saturating_mul(1 << alarm.tries.min(20)).min(PAUSE_MS_MAX);
    Begun::Run { next: Alarm { due_ms: now_ms + pause, tries: alarm.tries + 1, ..alarm } }
}
