//! What is to be done about an object: a pure function of how it stands.

use std::time::Duration;

/// How an object stands when somebody looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The worker whose instance it is; `None` while it sleeps.
    pub runs: Option<u64>,
    /// The worker that serves its class now; `None` if none does.
    pub current: Option<u64>,
    /// Events in progress in it.
    pub in_use: u32,
    /// How long its next event has waited for it to be taken over.
    pub waited: Duration,
    pub takeover: Duration,
}

/// What the event at the door does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Enter,
    Start,
    /// Waits until the last event in the instance is over, so long at most.
    WaitForLast(Duration),
    /// Ends the instance, with whatever is in progress in it or not.
    Replace,
}

/// For an event whose class is served.
pub fn at_the_door(view: View) -> Step {
    match view.runs {
        None => Step::Start,
        Some(runs) if view.current == Some(runs) => Step::Enter,
        Some(_) if view.in_use == 0 || view.waited >= view.takeover => Step::Replace,
        Some(_) => Step::WaitForLast(view.takeover - view.waited),
    }
}

/// Whether an instance is put to sleep that nobody asks for.
pub fn sleeps(view: View, unused: Duration, idle: Duration) -> bool {
    let Some(runs) = view.runs else { return false };
    view.in_use == 0 && (unused >= idle || view.current != Some(runs))
}

#[cfg(test)]
mod tests;
