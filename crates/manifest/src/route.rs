//! Routes: which worker or directory answers at a host and path.
//!
//! # Patterns
//!
//! `example.com/api/*` is a host pattern followed by a path pattern, which begins at the first
//! slash.
//!
//! The host is an exact name (`example.com`), a wildcard (`*.example.com`: one or more labels
//! before `.example.com`, not `example.com` itself), or left out (any host). Hosts compare without
//! regard to case and have no port.
//!
//! The path is a list of segments. A segment is a literal, or `:name` for any one segment that is
//! not empty; as the last one, `*` stands for everything below. So `/a/*` matches `/a`, `/a/`, and
//! whatever lies below `/a/`, but not `/ab`; `/*` matches every path; `/a/b` and `/a/b/` match only
//! themselves. Paths compare byte for byte with the path as it was received, still percent-encoded,
//! case-sensitive, without the query.
//!
//! # Which route wins
//!
//! The order in the file plays no part.
//!
//! 1. By host: the exact name, then wildcards from the longest to the shortest, then no host. If
//!    none of the routes of one step matches the path, the next step is asked.
//! 2. By path, segment by segment from the left: a literal before `:name` before `*`. At the end
//!    of the path, a pattern that ends there comes before one that ends in `*`.
//!
//! 3. Among routes of one pattern: the greater `priority`, then the one that asks for more
//!    ([`When::count`]). One that asks for nothing is the last. If what the first asks does not hold,
//!    the next is tried, and then the next pattern of steps 1 and 2.
//!
//! Two routes that match exactly the same requests are an error. So are a route that another one
//! always comes before, and two of which neither comes first though both can match one request.
//!
//! A lookup walks a tree that was built once; it allocates only if the host has upper-case letters.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bounds::PATTERN_BYTES;
use crate::cache_rule::CacheRuleIndex;
use crate::egress::is_label;
use crate::plan::{AssetsIndex, BucketIndex, UpstreamIndex, WorkerIndex};

pub mod rules;
mod table;
pub mod template;
pub mod when;

pub use rules::Rules;
pub use table::{PathTree, RouteIndex, RouteMatch, RouteTable, SamePattern};
pub use when::{Facts, When};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub host: HostPattern,
    pub path: PathPattern,
    pub target: Target,
    /// What it asks beside; nothing, if it takes every request at its pattern.
    pub when: Option<Box<When>>,
    /// Among routes of one pattern, the greater comes first.
    pub priority: i32,
    pub rules: Option<Arc<Rules>>,
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Worker(WorkerIndex),
    Assets(AssetsIndex),
    /// The file at the path if there is one, otherwise the worker.
    AssetsThenWorker {
        assets: AssetsIndex,
        worker: WorkerIndex,
    },
    /// The blob under what the pattern's `*` stands for.
    Blob(BucketIndex),
    Upstream {
        upstream: UpstreamIndex,
        cache: RouteCache,
    },
    /// The route itself: its rules answer.
    Redirect,
}

/// The longest default lifetime: a year, as `Cache-Control` is commonly given.
pub(crate) const DEFAULT_TTL_S_MAX: i64 = 31_536_000;

/// What is stored of the answers of an upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteCache {
    /// What RFC 9111 allows, as long as it says, or as long as one may guess.
    #[default]
    Standard,
    /// The same, but what does not say how long it is fresh is so for these seconds.
    DefaultTtl(u32),
    /// As one of [`Plan::cache_rules`](crate::Plan::cache_rules) says.
    Rule(CacheRuleIndex),
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Any,
    /// A lower-case host name.
    Exact(String),
    /// The lower-case name after `*.`; stands for one or more labels before it.
    Wildcard(String),
}

/// A path pattern; its segments are what stands between slashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    pub(crate) segments: Vec<Segment>,
    pub(crate) prefix: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    Literal(String),
    /// The name is for people; two patterns that differ only in it are equal to the matcher.
    Param(String),
}

/// Why a text is no route pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("a pattern can't be empty")]
    Empty,
    #[error("a pattern has at most {max} bytes (pattern_bytes), this one has {0}", max = PATTERN_BYTES.max)]
    TooLong(usize),
    #[error("a pattern has no scheme")]
    Scheme,
    #[error("a pattern has no port; every port that the node listens on is served")]
    Port,
    #[error("a pattern needs a path after the host")]
    NoPath,
    #[error("a pattern can't match on the query or the fragment")]
    Query,
    #[error("{0:?} is not a host name")]
    BadHost(String),
    #[error("a `*` in the host stands alone as its first label, as in *.example.com")]
    BadWildcard,
    #[error("a `*` in the path stands alone as its last segment, as in /api/*")]
    StarInside,
    #[error("an empty segment can't stand inside the path")]
    EmptySegment,
    #[error("a segment `{0}` never reaches a route, since paths are resolved before")]
    DotSegment(&'static str),
    #[error("{0:?} never appears in a path as it is received")]
    BadCharacter(char),
    #[error("`%` is followed by two hexadecimal digits")]
    BadEscape,
    #[error("{0:?} is not a name for a segment; it is made of letters, digits and underscores")]
    BadParam(String),
    #[error("the name {0:?} stands for two segments")]
    ParamTwice(String),
}

impl PatternError {
    /// What to write instead.
    pub fn help(&self, pattern: &str) -> Option<String> {
        Some(match self {
            Self::Empty => "to match everything, write \"/*\"".to_owned(),
            Self::Scheme => {
                let rest = pattern.split_once("://").map_or("", |(_, rest)| rest);
                format!("write {rest:?}; http and https are served alike")
            }
            Self::NoPath => format!("for every path of the host, write \"{pattern}/*\""),
            Self::BadCharacter(c) => {
                let mut buffer = [0; 4];
                let escaped: String = c.encode_utf8(&mut buffer).bytes().map(|b| format!("%{b:02X}")).collect();
                format!("write it percent-encoded: {escaped}")
            }
            Self::StarInside => "for any one segment, write `:name`".to_owned(),
            Self::BadEscape => "for the character itself, write %25".to_owned(),
            Self::BadHost(host) if host.bytes().any(|b| !b.is_ascii()) => {
                "write an international host name in its ASCII form, xn--…".to_owned()
            }
            _ => return None,
        })
    }
}

/// Reads `HOST/PATH` or `/PATH`.
pub fn parse_pattern(text: &str) -> Result<(HostPattern, PathPattern), PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.len() as u64 > PATTERN_BYTES.max {
        return Err(PatternError::TooLong(text.len()));
    }
    if text.contains("://") {
        return Err(PatternError::Scheme);
    }
    let Some(slash) = text.find('/') else {
        // Better to hear that the host is wrong than that a path is missing.
        return Err(HostPattern::parse(text).err().unwrap_or(PatternError::NoPath));
    };
    let host = if slash == 0 { HostPattern::Any } else { HostPattern::parse(&text[..slash])? };
    Ok((host, PathPattern::parse(&text[slash..])?))
}

impl HostPattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.contains(':') {
            return Err(PatternError::Port);
        }
        let lower = text.to_ascii_lowercase();
        let (wildcard, name) = match lower.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, lower.as_str()),
        };
        if name.contains('*') {
            return Err(PatternError::BadWildcard);
        }
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(PatternError::BadHost(text.to_owned()));
        }
        let name = name.to_owned();
        Ok(if wildcard { Self::Wildcard(name) } else { Self::Exact(name) })
    }

    /// Whether a host without port matches, whatever its case.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => name.eq_ignore_ascii_case(host),
            Self::Wildcard(suffix) => {
                let Some(dot) = host.len().checked_sub(suffix.len() + 1) else { return false };
                dot > 0
                    && host.as_bytes()[dot] == b'.'
                    && host.as_bytes()[dot + 1..].eq_ignore_ascii_case(suffix.as_bytes())
            }
        }
    }

    /// The more specific pattern is the lesser one.
    fn rank(&self) -> (u8, std::cmp::Reverse<usize>, &str) {
        use std::cmp::Reverse;
        match self {
            Self::Exact(name) => (0, Reverse(0), name),
            Self::Wildcard(suffix) => (1, Reverse(suffix.split('.').count()), suffix),
            Self::Any => (2, Reverse(0), ""),
        }
    }
}

impl PathPattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let rest = text.strip_prefix('/').ok_or(PatternError::NoPath)?;
        let mut segments = Vec::new();
        let mut prefix = false;
        let mut pieces = rest.split('/').peekable();
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            if last && piece == "*" {
                prefix = true;
            } else if piece.is_empty() && !last {
                return Err(PatternError::EmptySegment);
            } else {
                segments.push(parse_segment(piece, &segments)?);
            }
        }
        Ok(Self { segments, prefix })
    }

    /// Whether it ends in `*`.
    pub fn is_prefix(&self) -> bool {
        self.prefix
    }

    /// A path that matches, of captures that hardly stand in a pattern.
    pub(crate) fn sample(&self) -> String {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => text.as_str(),
            Segment::Param(_) => "~any",
        });
        let pieces: Vec<&str> = segments.chain(self.prefix.then_some("~any")).collect();
        format!("/{}", pieces.join("/"))
    }

    /// Whether a path matches.
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut pieces = path.split('/');
        let begins = self.segments.iter().all(|segment| match (segment, pieces.next()) {
            (Segment::Literal(text), Some(piece)) => text == piece,
            (Segment::Param(_), Some(piece)) => !piece.is_empty(),
            (_, None) => false,
        });
        begins && (self.prefix || pieces.next().is_none())
    }

    /// What the `*` at the end stands for in a path that matches.
    pub fn rest<'p>(&self, path: &'p str) -> &'p str {
        let rest = path.strip_prefix('/').unwrap_or(path);
        rest.splitn(self.segments.len() + 1, '/').nth(self.segments.len()).unwrap_or_default()
    }

    fn rank(&self) -> impl Iterator<Item = (u8, &str)> {
        let segments = self.segments.iter().map(|s| match s {
            Segment::Literal(text) => (0, text.as_str()),
            Segment::Param(_) => (1, ""),
        });
        segments.chain(std::iter::once((if self.prefix { 3 } else { 2 }, "")))
    }
}

fn parse_segment(piece: &str, before: &[Segment]) -> Result<Segment, PatternError> {
    if let Some(name) = piece.strip_prefix(':') {
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.is_empty()
            && !name.as_bytes()[0].is_ascii_digit();
        if !is_name {
            return Err(PatternError::BadParam(name.to_owned()));
        }
        if before.iter().any(|s| matches!(s, Segment::Param(other) if other == name)) {
            return Err(PatternError::ParamTwice(name.to_owned()));
        }
        return Ok(Segment::Param(name.to_owned()));
    }
    match piece {
        "." => return Err(PatternError::DotSegment(".")),
        ".." => return Err(PatternError::DotSegment("..")),
        _ => {}
    }
    check_literal(piece)?;
    Ok(Segment::Literal(piece.to_owned()))
}

/// Only bytes that a request target can hold (RFC 3986, `pchar`, and the few that clients send
/// without encoding them).
fn check_literal(piece: &str) -> Result<(), PatternError> {
    let bytes = piece.as_bytes();
    for (at, c) in piece.char_indices() {
        match c {
            '*' => return Err(PatternError::StarInside),
            '?' | '#' => return Err(PatternError::Query),
            '%' => {
                let two = bytes.get(at + 1..at + 3).is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
                if !two {
                    return Err(PatternError::BadEscape);
                }
            }
            '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '}' => return Err(PatternError::BadCharacter(c)),
            c if !c.is_ascii_graphic() => return Err(PatternError::BadCharacter(c)),
            _ => {}
        }
    }
    Ok(())
}

impl Route {
    /// The pattern as one text, `example.com/api/*`.
    pub fn pattern(&self) -> String {
        format!("{}{}", self.host, self.path)
    }

    /// A route that takes every request at its pattern, and does nothing but lead to its target.
    pub fn new(host: HostPattern, path: PathPattern, target: Target) -> Self {
        Self { host, path, target, when: None, priority: 0, rules: None }
    }

    /// How many things it asks beside its pattern.
    fn asks(&self) -> usize {
        self.when.as_ref().map_or(0, |when| when.count())
    }

    /// The order of the module's documentation; the more specific route is the lesser. Equal if
    /// and only if both match exactly the same requests, but for their priority.
    pub fn compare_specificity(&self, other: &Self) -> Ordering {
        self.compare_pattern(other)
            .then_with(|| self.compare_precedence(other))
            .then_with(|| self.when.cmp(&other.when))
    }

    /// By host and path alone.
    pub fn compare_pattern(&self, other: &Self) -> Ordering {
        self.host.rank().cmp(&other.host.rank()).then_with(|| self.path.rank().cmp(other.path.rank()))
    }

    /// Which of two routes of one pattern is tried first.
    pub fn compare_precedence(&self, other: &Self) -> Ordering {
        (other.priority, other.asks()).cmp(&(self.priority, self.asks()))
    }

    /// Whether no request at its pattern reaches `later`, which is tried after this one.
    pub fn shadows(&self, later: &Self) -> bool {
        match (&self.when, &later.when) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(later)) => mine.covers(later),
        }
    }

    /// Whether one request at their pattern can fulfil both.
    pub fn meets(&self, other: &Self) -> bool {
        match (&self.when, &other.when) {
            (Some(mine), Some(other)) => !mine.excludes(other),
            _ => true,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::Param(name) => write!(f, "/:{name}")?,
            }
        }
        if self.prefix { f.write_str("/*") } else { Ok(()) }
    }
}

/// A route in JSON: the pattern as it is written, and the target.
#[derive(Serialize, Deserialize)]
struct RouteText {
    r#match: String,
    target: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<Box<When>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    priority: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<Rules>,
}

fn is_zero(priority: &i32) -> bool {
    *priority == 0
}

impl Serialize for Route {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (when, rules) = (self.when.clone(), self.rules.as_deref().cloned());
        RouteText { r#match: self.pattern(), target: self.target, when, priority: self.priority, rules }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = RouteText::deserialize(d)?;
        let (host, path) = parse_pattern(&text.r#match).map_err(serde::de::Error::custom)?;
        let (when, priority, rules) = (text.when, text.priority, text.rules.map(Arc::new));
        Ok(Self { host, path, target: text.target, when, priority, rules })
    }
}

#[cfg(test)]
mod tests;
