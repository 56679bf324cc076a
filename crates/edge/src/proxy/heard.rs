//! Which server answered a request, and at which try: for the record, whoever else reads the answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use net::Phases;
use telemetry::{Record, Steps};

/// What is known so far. A request that was answered without any server leaves it empty.
#[derive(Default)]
pub(crate) struct Heard {
    server: Option<Arc<str>>,
    tries: u32,
    /// When the request came, if that is a time of the upstream's own clock: it goes out in the same turn, and need
    /// not ask for the time again.
    pub began: Option<Duration>,
    /// When an answer was there that came whole, by the same clock.
    pub ended: Option<Duration>,
}

impl Heard {
    /// This server is asked, or has answered.
    fn note(&mut self, server: &Arc<str>, tries: u64) {
        // Most often the one that was asked is the one that answers.
        if !self.server.as_ref().is_some_and(|known| Arc::ptr_eq(known, server)) {
            self.server = Some(server.clone());
        }
        self.tries = u32::try_from(tries).unwrap_or(u32::MAX);
    }

    pub fn write(&self, record: &mut Record) {
        record.server.clone_from(&self.server);
        record.tries = self.tries;
    }
}

/// The same where a request goes on in more than one task.
#[derive(Default)]
pub(crate) struct SharedHeard {
    heard: Mutex<Heard>,
    /// Each step of the request is told there.
    steps: Option<Arc<Steps>>,
}

impl SharedHeard {
    pub fn telling(steps: Option<Arc<Steps>>) -> Self {
        Self { steps, ..Self::default() }
    }

    /// Tells what happens, where somebody wants to know each step.
    pub fn step(&self, phase: &'static str, text: impl FnOnce() -> String) {
        if let Some(steps) = &self.steps {
            steps.note(phase, text());
        }
    }

    /// Is told of each phase of an exchange.
    pub fn phases(&self) -> Option<Phases> {
        let steps = self.steps.clone()?;
        Some(Arc::new(move |phase| steps.note("connection", phase.to_string())))
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self, record: &mut Record) {
        self.heard().write(record);
    }
}

/// Who is told.
pub(super) enum Listener<'a> {
    Own(&'a mut Heard),
    Shared(Arc<SharedHeard>),
}

impl Listener<'_> {
    pub fn step(&self, phase: &'static str, text: impl FnOnce() -> String) {
        if let Self::Shared(heard) = self {
            heard.step(phase, text);
        }
    }

    pub fn phases(&self) -> Option<Phases> {
        match self {
            Self::Own(_) => None,
            Self::Shared(heard) => heard.phases(),
        }
    }

    /// See [`Heard::began`].
    pub fn began(&self) -> Option<Duration> {
        match self {
            Self::Own(heard) => heard.began,
            Self::Shared(_) => None,
        }
    }

    /// An answer was there.
    pub fn end(&mut self, at: Option<Duration>) {
        if let Self::Own(heard) = self {
            heard.ended = at.filter(|_| heard.began.is_some());
        }
    }

    pub fn note(&mut self, server: &Arc<str>, tries: u64) {
        match self {
            Self::Own(heard) => heard.note(server, tries),
            Self::Shared(heard) => heard.heard().note(server, tries),
        }
    }
}
