//! What is wrong with a manifest, all of it at once, for people and for programs.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde_json::{Value, json};

use crate::origin::{ExportUse, PathRole, PathUse, Place};

/// A file as the caller read it. `path` is the name that errors show.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub path: &'a str,
    pub text: &'a str,
}

/// A [`Source`] that outlives its reader; cheap to clone.
#[derive(Debug, Clone)]
pub struct SourceFile(Arc<NamedSource<String>>);

impl SourceFile {
    pub fn new(source: Source<'_>) -> Self {
        Self(Arc::new(NamedSource::new(source.path, source.text.to_owned())))
    }

    pub fn path(&self) -> &str {
        self.0.name()
    }

    pub fn text(&self) -> &str {
        self.0.inner()
    }

    /// A place in this file. What reaches beyond the text or into a character is widened or cut.
    pub fn place(&self, span: Range<usize>) -> Place {
        let text = self.text();
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
        Place { file: self.clone(), span: start..end }
    }
}

/// The stable codes of the problems that this crate finds.
pub mod code {
    pub const SYNTAX: &str = "manifest::syntax";
    pub const TOO_LARGE: &str = "manifest::too_large";
    pub const TOO_MANY: &str = "manifest::too_many";
    pub const UNKNOWN_FIELD: &str = "manifest::unknown_field";
    pub const MISSING_FIELD: &str = "manifest::missing_field";
    pub const WRONG_TYPE: &str = "manifest::wrong_type";
    pub const NOT_SUPPORTED: &str = "manifest::not_supported";
    pub const BAD_NAME: &str = "manifest::bad_name";
    pub const RESERVED_NAME: &str = "manifest::reserved_name";
    pub const BAD_VALUE: &str = "manifest::bad_value";
    pub const BAD_PATH: &str = "manifest::bad_path";
    pub const BAD_PATTERN: &str = "manifest::bad_pattern";
    pub const BAD_EGRESS: &str = "manifest::bad_egress";
    pub const BAD_BINDING: &str = "manifest::bad_binding";
    pub const BAD_ROUTE: &str = "manifest::bad_route";
    pub const SAME_ROUTE: &str = "manifest::same_route";
    pub const SHADOWED_ROUTE: &str = "manifest::shadowed_route";
    pub const AMBIGUOUS_ROUTE: &str = "manifest::ambiguous_route";
    pub const BAD_REDIRECT: &str = "manifest::bad_redirect";
    pub const NAME_CLASH: &str = "manifest::name_clash";
    pub const UNKNOWN_UPSTREAM: &str = "manifest::unknown_upstream";
    pub const UNKNOWN_WORKER: &str = "manifest::unknown_worker";
    pub const UNKNOWN_LIMIT: &str = "manifest::unknown_limit";
    pub const LIMIT_RANGE: &str = "manifest::limit_range";
    pub const UNKNOWN_ENV: &str = "manifest::unknown_env";
    pub const NO_WORKER: &str = "manifest::no_worker";
    pub const MISSING_FILE: &str = "manifest::missing_file";
    pub const MISSING_EXPORT: &str = "manifest::missing_export";
}

/// One problem: what, where, and what to do.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// One of [`code`].
    pub code: &'static str,
    pub message: String,
    /// Nowhere, if it comes from the command line.
    pub place: Option<Place>,
    /// A few words beside the marked text.
    pub label: Option<String>,
    /// A second place in the same file, and the words beside it.
    pub also: Option<(Range<usize>, String)>,
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place: None, label: None, also: None, help: None }
    }

    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The diagnostic for a file or directory that is named in the manifest and does not exist.
    pub fn missing_path(wanted: &PathUse) -> Self {
        let message = match &wanted.role {
            PathRole::Entry(worker) => format!("the entry file of worker `{worker}` does not exist: {}", wanted.path),
            PathRole::Assets => format!("the asset directory does not exist: {}", wanted.path),
            PathRole::Redirects => format!("the file of redirects does not exist: {}", wanted.path),
            PathRole::Migrations => format!("the directory of migrations does not exist: {}", wanted.path),
        };
        let help = "paths are relative to the directory of the manifest";
        Self::new(code::MISSING_FILE, message).at(wanted.place.clone()).label("no such file or directory").help(help)
    }

    /// The diagnostic for an export that a binding names and its worker has not.
    pub fn missing_export(wanted: &ExportUse, worker: &str, exports: &BTreeSet<String>) -> Self {
        let ExportUse { binding, export, place, .. } = wanted;
        let message = format!("the worker `{worker}` has no export `{export}`, which the binding `{binding}` names");
        let known = exports.iter().map(String::as_str);
        let help = suggest(export, known, "it exports").unwrap_or_else(|| "it exports nothing".to_owned());
        Self::new(code::MISSING_EXPORT, message).at(place.clone()).label("no such export").help(help)
    }

    /// For telling problems apart that several environments share.
    fn identity(&self) -> (&'static str, &str, Option<(&str, &Range<usize>)>) {
        (self.code, &self.message, self.place.as_ref().map(|p| (p.file.path(), &p.span)))
    }

    fn to_json(&self) -> Value {
        let place = self.place.as_ref().map(|place| {
            let (line, column) = place.line_column();
            json!({
                "file": place.file.path(),
                "line": line,
                "column": column,
                "start": place.span.start,
                "end": place.span.end,
            })
        });
        json!({
            "code": self.code,
            "message": self.message,
            "place": place,
            "label": self.label,
            "help": self.help,
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// The same problem as [`miette`] wants it: the message without the place, which it draws itself.
#[derive(Debug)]
struct Drawn<'a>(&'a Diagnostic);

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.0.code))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.0.help.as_ref()?))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.0.place.as_ref()?.file.0)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.0.place.as_ref()?.span.clone();
        let first = LabeledSpan::new_primary_with_span(self.0.label.clone(), span);
        let second = self.0.also.clone().map(|(span, label)| LabeledSpan::new_with_span(Some(label), span));
        Some(Box::new(std::iter::once(first).chain(second)))
    }
}

/// Every problem of a manifest, in the order of the file. Never empty when it is an error.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub problems: Vec<Diagnostic>,
}

/// Columns of a rendered report, whatever the terminal's: a report is also read in logs.
const RENDER_COLUMNS: usize = 100;

/// Problems of one report. A file may hold thousands; after the first hundred, more help nobody.
const PROBLEMS_MAX: usize = 100;

impl Report {
    /// For a person: each problem with the lines of the file around it.
    pub fn render(&self, color: bool) -> String {
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(RENDER_COLUMNS);
        let mut text = String::new();
        for problem in &self.problems {
            if !text.is_empty() {
                text.push('\n');
            }
            handler.render_report(&mut text, &Drawn(problem)).expect("writing to a string does not fail");
        }
        text
    }

    /// For a program: `{"problems": [{code, message, place: {file, line, column, start, end}, label, help}]}`.
    pub fn to_json(&self) -> Value {
        json!({ "problems": self.problems.iter().map(Diagnostic::to_json).collect::<Vec<_>>() })
    }

    /// Adds what the other found, with an environment over the base, and this one did not.
    pub(crate) fn merge_env(&mut self, other: Report, env: &str) {
        for mut problem in other.problems.into_iter().take(PROBLEMS_MAX) {
            if !self.problems.iter().any(|known| known.identity() == problem.identity()) {
                problem.message = format!("{} (with [env.{env}])", problem.message);
                self.problems.push(problem);
            }
        }
    }

    /// Adds what the other found and this one did not.
    pub(crate) fn merge(&mut self, other: Report) {
        for problem in other.problems.into_iter().take(PROBLEMS_MAX) {
            if !self.problems.iter().any(|known| known.identity() == problem.identity()) {
                self.problems.push(problem);
            }
        }
    }

    /// Orders by place.
    pub(crate) fn finish(mut self) -> Self {
        self.problems.sort_by_key(|p| p.place.as_ref().map(|p| (p.file.path().to_owned(), p.span.start)));
        self.problems.truncate(PROBLEMS_MAX);
        self
    }
}

impl From<Diagnostic> for Report {
    fn from(problem: Diagnostic) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [] => f.write_str("no problems"),
            [one] => write!(f, "{one}"),
            [first, rest @ ..] => write!(f, "{first} (and {} more)", rest.len()),
        }
    }
}

impl std::error::Error for Report {}

/// Collects the problems of one file.
pub(crate) struct Problems {
    pub file: SourceFile,
    pub report: Report,
}

impl Problems {
    pub fn new(file: &SourceFile) -> Self {
        Self { file: file.clone(), report: Report::default() }
    }

    /// Adds a problem; the caller may go on to describe it.
    pub fn add(&mut self, code: &'static str, span: &Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        let place = self.file.place(span.clone());
        self.report.problems.push(Diagnostic::new(code, message).at(place));
        self.report.problems.last_mut().expect("one was just pushed")
    }
}

/// The known name that a wrong one was probably meant to be.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let scored = known.into_iter().map(|name| {
        let lower = name.to_lowercase();
        (strsim::osa_distance(&wrong, &lower), strsim::jaro_winkler(&wrong, &lower), name)
    });
    // A slip in every third letter at most, or a common beginning (`entrypoint` for `entry`); more
    // is guessing.
    let slips = (wrong.chars().count() / 3).max(1);
    let near = scored.filter(|(distance, likeness, _)| *distance <= slips || *likeness >= 0.85);
    let best = near.min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    best.map(|(_, _, name)| name)
}

/// "did you mean …?", or the list of what there is.
pub(crate) fn suggest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str> + Clone, what: &str) -> Option<String> {
    if let Some(name) = nearest(wrong, known.clone()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let all: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    (!all.is_empty()).then(|| format!("{what}: {}", all.join(", ")))
}

#[cfg(test)]
mod tests;
