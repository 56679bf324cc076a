//! From what went wrong in a guest to what a person reads: original places, the lines around them,
//! and none of the platform's own modules.

use base::artifact::Script;
use base::{TestLimits, code};
use script::{Position, SnippetLine, SourceMaps};
use serde::Deserialize;
use worker::{Failure, Frame};

use crate::test::outcome::Problem;

/// What the names of the platform's modules begin with.
const PLATFORM: &str = "selvedge:";

/// An error as the guest tells it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct GuestProblem {
    name: String,
    message: String,
    stack: String,
    diff: Option<Vec<String>>,
}

/// Leads from places in what runs to places in what was written.
pub struct Places {
    script: Script,
    maps: SourceMaps,
}

impl Places {
    pub fn new(script: Script) -> Self {
        Self { maps: SourceMaps::new(&script), script }
    }

    pub fn of_guest(&self, problem: &GuestProblem) -> Problem {
        let GuestProblem { name, message, stack, diff } = problem;
        let located = self.located(&self.maps.map_stack(stack));
        Problem { name: name.clone(), message: message.clone(), diff: diff.clone(), ..located }
    }

    pub fn of_failure(&self, failure: &Failure) -> Problem {
        let located = self.located(failure.stack.as_deref().unwrap_or_default());
        Problem { name: failure.code.title.to_owned(), message: failure.detail.clone(), ..located }
    }

    /// A place as the guest gives it: `file:line:column`.
    pub fn of_site(&self, site: &str) -> Option<Frame> {
        Frame::first(&self.maps.map_stack(site))
    }

    /// The problem, at this place if it has none.
    pub fn or_at(&self, problem: Problem, place: Option<Frame>) -> Problem {
        match place {
            Some(frame) if problem.frame.is_none() => {
                let stack = vec![format!("{}:{}:{}", frame.file, frame.line, frame.column)];
                Problem { stack, snippet: self.snippet(&frame), frame: Some(frame), ..problem }
            }
            _ => problem,
        }
    }

    /// A problem with the calls of a mapped stack trace.
    fn located(&self, stack: &str) -> Problem {
        let calls: Vec<String> = stack.lines().filter_map(call).collect();
        let own = stack.lines().filter(|line| !line.contains("node_modules/")).collect::<Vec<_>>().join("\n");
        let frame = Frame::first(&own).or_else(|| Frame::first(stack));
        let snippet = frame.as_ref().map(|frame| self.snippet(frame)).unwrap_or_default();
        Problem { stack: calls, frame, snippet, ..Problem::default() }
    }

    fn snippet(&self, frame: &Frame) -> Vec<SnippetLine> {
        let position = Position { file: frame.file.clone(), line: frame.line, column: frame.column };
        script::snippet(&self.script, &position)
    }
}

/// `    at name (place)` as `name place`; what is no call (`caused by: …`) stays; `None` for a call
/// within the platform.
fn call(line: &str) -> Option<String> {
    let Some(rest) = line.trim_start().strip_prefix("at ") else {
        return Some(line.trim_end().to_owned()).filter(|line| !line.is_empty());
    };
    let (name, place) = match rest.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")) {
        Some((name, place)) => (name, place),
        None => ("", rest),
    };
    let is_ours = place.starts_with(PLATFORM) || place == "native";
    let name = if name == "<anonymous>" { "" } else { name };
    (!is_ours).then(|| format!("{name} {place}").trim().to_owned())
}

pub fn timed_out(what: &str, limit_ms: u64) -> Problem {
    let help = "let what it waits for happen sooner, or give it more time: test(name, body, ms), or --timeout";
    let message = format!("{what} took longer than {limit_ms} ms");
    Problem { name: "Timeout".into(), message, help: Some(help.into()), ..Problem::default() }
}

/// Of a step that was ended from outside.
pub fn of_step(places: &Places, failure: &Failure, what: &str, limits: &TestLimits) -> Problem {
    let problem = places.of_failure(failure);
    let is = |code: base::Code| failure.code.name == code.name;
    let (message, help) = if is(&code::CPU_EXCEEDED) {
        let message = format!("{what} used more than {} ms of CPU time", limits.test_ms);
        (message, "is there an endless loop? --timeout allows more")
    } else if is(&code::NEVER_SETTLED) {
        let message = format!("{what} waits for a promise that nothing can settle any more");
        (message, "look for a callback that is never called, or for fake timers that nobody advances")
    } else {
        (problem.message.clone(), failure.code.remedy)
    };
    Problem { message, help: Some(help.to_owned()), ..problem }
}

impl Problem {
    pub fn plain(message: &str) -> Self {
        Self { name: "Error".into(), message: message.to_owned(), ..Self::default() }
    }
}
