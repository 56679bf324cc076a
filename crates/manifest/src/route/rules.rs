//! What a route does with a request beside leading it to its target. Types of the plan, and the
//! decisions that need no I/O: which side of a split, what a rewritten path is, where a redirect
//! leads.
//!
//! In the order in which they act: maintenance, redirect, the limit on the body, the side of a split,
//! the rewrite and the fields of the request, the middleware and the target within the time limit,
//! failover, the fields of the response. A mirrored request is a copy of what goes to the target.
//!
//! What a client chose (a capture, the path, the query) never becomes a host, a dot segment or a
//! second field: [`Redirect`] begins with a literal host or with one slash, [`Rewrite::path`] refuses
//! segments that mean `.` and `..`, and a value of a field that is none is left out.

use serde::{Deserialize, Serialize};

use super::Target;
use super::template::{Filling, Template};
use super::when::{When, decoded};
use crate::plan::{AssetsIndex, WorkerIndex};

/// A whole, in the unit of shares: a hundredth of a percent.
pub const WHOLE: u32 = 10_000;

/// The cookie that keeps a client on its side of a split.
pub const SPLIT_COOKIE: &str = "selvedge-split";

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
    /// A file of redirects, among the plan's assets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirects: Option<AssetsIndex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    #[serde(skip_serializing_if = "Rewrite::is_empty")]
    pub rewrite: Rewrite,
    #[serde(skip_serializing_if = "FieldRules::is_empty")]
    pub request_headers: FieldRules,
    #[serde(skip_serializing_if = "FieldRules::is_empty")]
    pub response_headers: FieldRules,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub middleware: Vec<Middleware>,
}

impl Rules {
    /// Every target that they lead to beside the route's own.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        let sides = self.split.iter().flat_map(|split| split.sides.iter().map(|side| &side.target));
        let failover = self.failover.iter().map(|failover| &failover.target);
        sides.chain(failover).chain(self.mirror.iter().map(|mirror| &mirror.target))
    }

    /// Whether a response depends on more than the URL and the target that was asked.
    pub fn changes_requests(&self) -> bool {
        !self.rewrite.is_empty() || !self.request_headers.is_empty() || !self.middleware.is_empty()
    }
}

/// The route is closed, but for whom `allow` lets in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Maintenance {
    /// HTML; without one, a problem document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<When>,
}

/// Parts of the requests go to other targets than the route's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Split {
    pub by: SplitBy,
    pub sides: Vec<Side>,
}

/// What keeps a client on its side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Nothing: each request is drawn anew.
    Request,
    /// A cookie that the node sets.
    Cookie,
    /// The client's address.
    Client,
    /// The value of a field; without one, the client's address.
    Header(String),
    /// The value of a cookie that the app sets; without one, the client's address.
    AppCookie(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Side {
    /// In hundredths of a percent.
    pub share: u32,
    pub target: Target,
}

impl Split {
    /// The side of a position below [`WHOLE`]; `None` is the route's own target. A side keeps its
    /// clients when its share grows, as long as those before it stay as they are.
    pub fn side(&self, position: u32) -> Option<&Side> {
        let mut end = 0;
        self.sides.iter().find(|side| {
            end += side.share;
            position < end
        })
    }
}

/// Where in a split the bearer of a value stands, the same on every node and in every version:
/// FNV-1a of 64 bits, its bits mixed as SplitMix64 does, since what differs in the last byte alone
/// would else lie side by side.
pub fn position(value: &[u8]) -> u32 {
    let fnv = value
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) % u64::from(WHOLE)) as u32
}

/// Another target, where the route's own can't be reached or fails.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failover {
    pub target: Target,
    /// Statuses that count as failure, beside not being reached.
    pub statuses: Vec<u16>,
    /// The one file of the target that answers everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<StandIn>,
}

/// A file that stands in for whatever was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StandIn {
    /// Of the file, from the root of the directory, with a slash.
    pub path: String,
    /// Of the answer.
    pub status: u16,
}

/// A copy of requests goes to a target whose answers are compared and thrown away.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mirror {
    pub target: Target,
    /// In hundredths of a percent.
    pub share: u32,
    /// Requests that may change something are copied too.
    pub changes: bool,
}

/// A worker on the way to the target and back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Middleware {
    pub worker: WorkerIndex,
    pub position: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// In front of the cache: for every request.
    Request,
    /// Behind the cache: for what it has not.
    Origin,
}

/// Another path and query for the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Rewrite {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Template>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_set: Vec<(String, Template)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_remove: Vec<String>,
}

/// Why a rewritten path is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rewritten path {0:?} has a dot segment")]
pub struct DotSegment(pub String);

impl Rewrite {
    pub fn is_empty(&self) -> bool {
        self.path.is_none() && self.query_set.is_empty() && self.query_remove.is_empty()
    }

    /// The new path. Captures are parts of a path, still encoded, and go in as they are; but what a
    /// server behind could take for `.` or `..` is refused, encoded or not.
    pub fn path(&self, path: &str, filling: &Filling<'_>) -> Result<String, DotSegment> {
        let Some(template) = &self.path else { return Ok(path.to_owned()) };
        let filled = template.fill(filling, |out, value| out.push_str(&value.replace(['?', '#'], "")));
        // Two slashes at the start would name a host to whoever joins the path to a URL.
        let filled = format!("/{}", filled.trim_start_matches(['/', '\\']));
        if filled.split(['/', '\\']).any(is_dots) {
            return Err(DotSegment(filled));
        }
        Ok(filled)
    }

    /// The new query, without the question mark.
    pub fn query(&self, query: Option<&str>, filling: &Filling<'_>) -> Option<String> {
        if self.query_set.is_empty() && self.query_remove.is_empty() {
            return query.map(str::to_owned);
        }
        let name = |pair: &str| decoded(pair.split('=').next().unwrap_or(pair));
        let goes = |pair: &&str| {
            let name = name(pair);
            !self.query_remove.contains(&name) && !self.query_set.iter().any(|(set, _)| *set == name)
        };
        let kept = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).filter(goes);
        let set = self.query_set.iter().map(|(name, value)| {
            let value = value.fill(filling, push_query);
            format!("{}={value}", encoded(name))
        });
        let pairs: Vec<String> = kept.map(str::to_owned).chain(set).collect();
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }
}

/// Whether a segment means `.` or `..` to some server: also with its dots encoded, once or twice, or
/// with parameters (`..;x`) behind.
fn is_dots(segment: &str) -> bool {
    let mut plain = segment.to_ascii_lowercase();
    while plain.contains("%25") {
        plain = plain.replace("%25", "%");
    }
    let plain = plain.replace("%2e", ".");
    let name = plain.split(';').next().unwrap_or_default();
    // An encoded slash would make a segment of its own.
    name.split("%2f").flat_map(|part| part.split("%5c")).any(|part| matches!(part, "." | ".."))
}

/// What may stand in a value of a query as it is, beside what is encoded already.
fn push_query(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '&' | '=' | '+' | '#' | '?' => {
                out.push('%');
                out.push_str(&format!("{:02X}", c as u32));
            }
            c => out.push(c),
        }
    }
}

fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A redirect: the route's own answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Redirect {
    /// A path, or a URL whose host is literal.
    pub to: Template,
    pub status: u16,
    /// The query of the request is added, where the target has none.
    pub keep_query: bool,
}

impl Redirect {
    /// What stands in `Location`. A target that is a path stays one: however many slashes a capture
    /// brings to its start, one is left.
    pub fn location(&self, query: Option<&str>, filling: &Filling<'_>) -> String {
        let mut location = self.to.fill(filling, |out, value| {
            // A field ends with the line, and a client's value ends no line.
            out.extend(value.chars().filter(|c| c.is_ascii_graphic() && *c != '\\'));
        });
        if self.to.literal_start().starts_with('/') {
            location = format!("/{}", location.trim_start_matches(['/', '\\']));
        }
        match query.filter(|_| self.keep_query && !location.contains('?')) {
            Some(query) => {
                let (path, fragment) = match location.split_once('#') {
                    Some((path, fragment)) => (path.to_owned(), format!("#{fragment}")),
                    None => (location, String::new()),
                };
                format!("{path}?{query}{fragment}")
            }
            None => location,
        }
    }
}

/// What is done to the fields of a message: removed, then set, then added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldRules {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(String, Template)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub append: Vec<(String, Template)>,
}

impl FieldRules {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.append.is_empty()
    }
}

#[cfg(test)]
mod tests;
