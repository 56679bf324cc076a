//! From what went wrong in a guest to what a person reads: original places, the lines around them,
//! and none of the platform's own modules.

use base::artifact::Script;
use base::{TestLimits, builtin, code};
use script::{Position, SnippetLine, SourceMaps};
use serde::Deserialize;
use worker::{Failure, Frame};

use crate::test::outcome::{Line, Problem};

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
        Problem { name: name.clone(), message: by_specifier(message), diff: diff.clone(), ..located }
    }

    pub fn of_failure(&self, failure: &Failure) -> Problem {
        let located = self.located(failure.stack.as_deref().unwrap_or_default());
        Problem { name: failure.code.title.to_owned(), message: failure.detail.clone(), ..located }
    }

    /// A place as the guest gives it: `file:line:column`.
    pub fn of_site(&self, site: &str) -> Option<Frame> {
        Frame::first(&self.maps.map_stack(site))
    }

    /// Where a stack trace of the guest first leads outside of the platform.
    pub fn of_stack(&self, stack: &str) -> Option<Frame> {
        Frame::first(&self.maps.map_stack(stack))
    }

    /// The problem, at this place if it has none.
    pub fn or_at(&self, problem: Problem, place: Option<Frame>) -> Problem {
        match place {
            Some(frame) if problem.frame.is_none() => {
                let mut stack = vec![Line::Call(format!("{}:{}:{}", frame.file, frame.line, frame.column))];
                stack.extend(problem.stack);
                Problem { stack, snippet: self.snippet(&frame), frame: Some(frame), ..problem }
            }
            _ => problem,
        }
    }

    /// A problem with the calls of a mapped stack trace.
    fn located(&self, stack: &str) -> Problem {
        let mut calls: Vec<Line> = stack.lines().filter_map(line).collect();
        // Of a recursion one call is enough.
        calls.dedup();
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

/// `    at name (place)` as `name place`; `None` for a call within the platform.
fn line(text: &str) -> Option<Line> {
    let Some(rest) = text.trim_start().strip_prefix("at ") else {
        return Some(text.trim_end().to_owned()).filter(|text| !text.is_empty()).map(Line::Cause);
    };
    let (name, place) = match rest.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")) {
        Some((name, place)) => (name, place),
        None => ("", rest),
    };
    let is_ours = place.starts_with(PLATFORM) || place == "native";
    let name = if name == "<anonymous>" { "" } else { name };
    (!is_ours).then(|| Line::Call(format!("{name} {place}").trim().to_owned()))
}

/// The message with modules of the platform by the specifiers that they go by: `cloudflare:test`, not
/// the file that holds it.
fn by_specifier(message: &str) -> String {
    let file = |specifier: &&&str| message.contains(&format!("'{PLATFORM}{}'", builtin::module_file(specifier)));
    match builtin::MODULES.iter().find(file) {
        Some(specifier) => {
            message.replace(&format!("'{PLATFORM}{}'", builtin::module_file(specifier)), &format!("'{specifier}'"))
        }
        None => message.to_owned(),
    }
}

/// A stack trace without the calls within the platform.
pub fn without_platform(stack: &str) -> String {
    let lines = stack.trim_end().lines().filter(|text| line(text).is_some());
    lines.collect::<Vec<_>>().join("\n")
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
    let (name, message, help) = if is(&code::CPU_EXCEEDED) {
        let message = format!("{what} used more than {} ms of CPU time", cpu_ms(limits));
        ("Timeout", message, "is there an endless loop? --timeout allows more")
    } else if is(&code::NEVER_SETTLED) {
        let message = format!("{what} waits for a promise that nothing can settle any more");
        ("Error", message, "look for a callback that is never called, or for fake timers that nobody advances")
    } else {
        (problem.name.as_str(), problem.message.clone(), failure.code.remedy)
    };
    let name = name.to_owned();
    Problem { name, message, help: Some(help.to_owned()), ..problem }
}

/// CPU time of one step: a little less than the time it has, so that a loop is ended as such, and
/// its instance goes on, before the step is given up.
pub fn cpu_ms(limits: &TestLimits) -> u64 {
    (limits.test_ms - limits.test_ms / 10).clamp(1, 300_000)
}

impl Problem {
    pub fn plain(message: &str) -> Self {
        Self { name: "Error".into(), message: message.to_owned(), ..Self::default() }
    }
}
