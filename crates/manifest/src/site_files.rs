//! `_headers` and `_redirects`: the files in which static hosts keep rules beside the files that they
//! serve, in the formats that Netlify began and others took over. Text in, rules and faults out.
//!
//! `_headers`: a line that begins at the margin is a pattern, the indented lines below it are fields
//! for what it matches. All patterns that match add up; a field that two of them set has both values,
//! with a comma between. `! Name` takes a field away.
//!
//! ```text
//! /static/*
//!   Access-Control-Allow-Origin: *
//!   ! Cache-Control
//! ```
//!
//! `_redirects`: a source, a target and a status (302 if left out) on each line. A source may have
//! `:name` for one segment and end in `*`, which the target names as `:name` and `:splat`. Status 200
//! answers with the file at the target in place of a redirect.
//!
//! ```text
//! /home            /            301
//! /blog/*          /news/:splat
//! /app/*           /index.html  200
//! ```
//!
//! `#` begins a comment at the start of a line. Sources without a place are found in a map, the others
//! in a tree, so that a hundred thousand lines cost a request no more than ten. A source that stands
//! twice counts once, the first time; a literal comes before `:name` before `*`, wherever it stands.

use std::collections::HashMap;

use crate::bounds::{HEADER_RULES, REDIRECT_ROWS, TEMPLATE_BYTES};
use crate::route::rules::Redirect;
use crate::route::template::{Filling, Piece, Template};
use crate::route::{HostPattern, PathPattern, PathTree, parse_pattern};

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFault {
    /// From 1.
    pub line: usize,
    pub message: String,
}

/// The rules of a `_redirects` file.
#[derive(Debug, Default)]
pub struct Redirects {
    rows: Vec<Row>,
    literal: HashMap<Box<str>, u32>,
    tree: PathTree,
}

#[derive(Debug)]
struct Row {
    source: PathPattern,
    to: Redirect,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    Redirect {
        status: u16,
        location: String,
    },
    /// The file at another path answers.
    File(String),
}

impl Redirects {
    pub fn parse(text: &str) -> (Self, Vec<LineFault>) {
        let (mut redirects, mut faults) = (Self::default(), Vec::new());
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fault = |message: String| LineFault { line: at + 1, message };
            if redirects.rows.len() as u64 >= REDIRECT_ROWS.max {
                faults.push(fault(format!("there are more than {} redirects (redirect_rows)", REDIRECT_ROWS.max)));
                break;
            }
            match row(line) {
                Ok(row) => redirects.add(row),
                Err(message) => faults.push(fault(message)),
            }
        }
        (redirects, faults)
    }

    fn add(&mut self, row: Row) {
        let index = self.rows.len() as u32;
        let places = row.source.captured().next().is_some();
        let is_new = match places {
            true => self.tree.insert(&row.source, index),
            false => {
                let mut is_new = false;
                self.literal.entry(row.source.to_string().into()).or_insert_with(|| {
                    is_new = true;
                    index
                });
                is_new
            }
        };
        if is_new {
            self.rows.push(row);
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Where a path, as it was received, leads.
    pub fn find(&self, path: &str, query: Option<&str>) -> Option<Elsewhere> {
        let index = self.literal.get(path).copied().or_else(|| self.tree.find(path))?;
        let row = &self.rows[index as usize];
        let filling = Filling { captures: row.source.captures(path), of_request: &|_| String::new() };
        let status = row.to.status;
        if status == 200 {
            return Some(Elsewhere::File(row.to.location(None, &filling)));
        }
        Some(Elsewhere::Redirect { status, location: row.to.location(query, &filling) })
    }
}

fn row(line: &str) -> Result<Row, String> {
    let mut parts = line.split_whitespace();
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
        return Err("a line is a source, a target, and a status that may be left out".to_owned());
    };
    let status = match parts.next() {
        None => 302,
        Some(text) => match text.parse() {
            Ok(status @ (200 | 301 | 302 | 303 | 307 | 308)) => status,
            _ => return Err(format!("{text:?} is no status of a redirect; those are 200, 301, 302, 303, 307 and 308")),
        },
    };
    if parts.next().is_some() {
        return Err("conditions of other hosts (countries, languages) are not known here: use [[routes]]".to_owned());
    }
    let source = match parse_pattern(source) {
        Ok((HostPattern::Any, path)) => path,
        Ok(_) => return Err("a source is a path; a redirect for one host is a route".to_owned()),
        Err(error) => return Err(format!("{source:?} is no source: {error}")),
    };
    let to = target_template(target, &source)?;
    if status == 200 && !to.literal_start().starts_with('/') {
        return Err("with status 200 the target is a path".to_owned());
    }
    if leads_to_itself(&source, &to) && status != 200 {
        return Err(format!("{target} leads back to {source}"));
    }
    Ok(Row { source, to: Redirect { to, status, keep_query: true } })
}

/// `/news/:splat` as a template. The host is literal, or there is none.
fn target_template(target: &str, source: &PathPattern) -> Result<Template, String> {
    if target.len() as u64 > TEMPLATE_BYTES.max {
        return Err(format!("the target has {} bytes; at most {} (template_bytes)", target.len(), TEMPLATE_BYTES.max));
    }
    let start = target.find("://").map_or(0, |at| at + 3);
    let host_end = target[start..].find('/').map_or(target.len(), |at| start + at);
    let is_path = target.starts_with('/') && !target.starts_with("//") && !target.starts_with("/\\");
    let scheme = &target[..start];
    let host = &target[start..host_end];
    let is_url = matches!(scheme, "https://" | "http://") && !host.is_empty() && !host.contains(['@', '\\']);
    if !is_path && !is_url {
        return Err(format!(
            "{target:?} is no target: it begins with one slash, or with http:// or https:// and a host"
        ));
    }
    let (literal, rest) = if is_path { ("", target) } else { target.split_at(host_end) };
    Ok(colon_template(literal.to_owned(), rest, source))
}

fn leads_to_itself(source: &PathPattern, to: &Template) -> bool {
    let sample = source.sample();
    let filling = Filling { captures: source.captures(&sample), of_request: &|_| String::new() };
    let target = to.fill(&filling, |out, value| out.push_str(value));
    source.matches(target.split(['?', '#']).next().unwrap_or_default())
}

/// The rules of a `_headers` file.
#[derive(Debug, Default)]
pub struct SiteHeaders {
    rules: Vec<HeaderRule>,
}

#[derive(Debug)]
struct HeaderRule {
    host: HostPattern,
    path: PathPattern,
    changes: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Set(String, Template),
    Remove(String),
}

/// Fields of an answer, as a `_headers` file wants them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldChanges {
    /// Lower-case names.
    pub remove: Vec<String>,
    pub set: Vec<(String, String)>,
}

impl SiteHeaders {
    pub fn parse(text: &str) -> (Self, Vec<LineFault>) {
        let (mut headers, mut faults) = (Self::default(), Vec::new());
        for (at, line) in text.lines().enumerate() {
            let (indented, content) = (line.starts_with([' ', '\t']), line.trim());
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let done = if indented { headers.field(content) } else { headers.pattern(content) };
            if let Err(message) = done {
                faults.push(LineFault { line: at + 1, message });
            }
        }
        (headers, faults)
    }

    fn pattern(&mut self, text: &str) -> Result<(), String> {
        if self.rules.len() as u64 >= HEADER_RULES.max {
            return Err(format!("there are more than {} patterns (header_rules)", HEADER_RULES.max));
        }
        let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let (host, path) = parse_pattern(bare).map_err(|error| format!("{text:?} is no pattern: {error}"))?;
        self.rules.push(HeaderRule { host, path, changes: Vec::new() });
        Ok(())
    }

    fn field(&mut self, text: &str) -> Result<(), String> {
        let Some(rule) = self.rules.last_mut() else {
            return Err("a field stands below the pattern that it is for".to_owned());
        };
        if let Some(name) = text.strip_prefix('!') {
            rule.changes.push(Change::Remove(field_name(name.trim())?));
            return Ok(());
        }
        let (name, value) = text.split_once(':').ok_or("a field is a name, a colon and a value")?;
        let name = field_name(name.trim())?;
        let value = value.trim();
        if value.is_empty() || value.len() as u64 > TEMPLATE_BYTES.max || value.chars().any(char::is_control) {
            return Err(format!("the value of {name} is empty, or holds what no field can"));
        }
        rule.changes.push(Change::Set(name, colon_template(String::new(), value, &rule.path)));
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What is to be done to the fields of an answer for a host and a path, as it was received.
    pub fn changes(&self, host: &str, path: &str) -> FieldChanges {
        let mut changes = FieldChanges::default();
        for rule in self.rules.iter().filter(|rule| rule.path.matches(path) && rule.host.matches(host)) {
            let filling = Filling { captures: rule.path.captures(path), of_request: &|_| String::new() };
            for change in &rule.changes {
                match change {
                    Change::Remove(name) => {
                        changes.set.retain(|(set, _)| set != name);
                        changes.remove.push(name.clone());
                    }
                    Change::Set(name, value) => {
                        let value = value.fill(&filling, |out, piece| {
                            out.extend(piece.chars().filter(char::is_ascii_graphic));
                        });
                        match changes.set.iter_mut().find(|(set, _)| set == name) {
                            Some((_, before)) => *before = format!("{before}, {value}"),
                            None => changes.set.push((name.clone(), value)),
                        }
                    }
                }
            }
        }
        changes
    }
}

/// Fields that frame a message are nobody's to set.
fn field_name(name: &str) -> Result<String, String> {
    let lower = name.to_ascii_lowercase();
    let is_token =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    match lower.as_str() {
        _ if !is_token => Err(format!("{name:?} is no name of a field")),
        "connection" | "content-length" | "content-encoding" | "content-range" | "date" | "host" | "keep-alive"
        | "trailer" | "transfer-encoding" | "upgrade" | "x-request-id" => {
            Err(format!("the field {name} is the node's to write"))
        }
        _ => Ok(lower),
    }
}

/// `:name` and `:splat` stand for what the pattern captured; any other colon for itself.
fn colon_template(mut text: String, mut rest: &str, path: &PathPattern) -> Template {
    let names: Vec<&str> = path.captured().collect();
    let mut pieces = Vec::new();
    while let Some(at) = rest.find(':') {
        let name = rest[at + 1..].split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
        let end = at + 1 + name.len();
        let place = if name == "splat" { "*" } else { name };
        text.push_str(&rest[..at]);
        if names.contains(&place) {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Place(place.to_owned()));
        } else {
            text.push_str(&rest[at..end]);
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    Template { pieces }
}

#[cfg(test)]
mod tests;
