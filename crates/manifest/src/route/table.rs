//! Routes compiled for lookup: a sorted list of hosts, and a tree of segments for each.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Facts, HostPattern, PathPattern, Route, Segment};

/// Position of a route in its table, the most specific first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteIndex(pub u32);

/// The route that answers, and its position, by which a metric or a log can name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteMatch<'a> {
    pub index: RouteIndex,
    pub route: &'a Route,
}

/// All routes of an app. See the [module's documentation](crate::route) for the order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(into = "Vec<Route>", try_from = "Vec<Route>")]
pub struct RouteTable {
    /// The most specific first.
    routes: Vec<Route>,
    /// By name.
    exact: Vec<(String, Node)>,
    /// By suffix.
    wildcard: Vec<(String, Node)>,
    any: Node,
}

/// Two routes that match exactly the same requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("two routes match exactly the same requests: {0} and {1}")]
pub struct SamePattern(pub String, pub String);

impl RouteTable {
    /// Builds the table. Fails if two routes match exactly the same requests.
    pub fn new(mut routes: Vec<Route>) -> Result<Self, SamePattern> {
        routes.sort_by(Route::compare_specificity);
        for pair in routes.windows(2) {
            if pair[0].compare_specificity(&pair[1]).is_eq() {
                return Err(SamePattern(pair[0].pattern(), pair[1].pattern()));
            }
        }
        let mut table = Self::default();
        for (at, route) in routes.iter().enumerate() {
            table.tree_of(&route.host).insert(&route.path, RouteIndex(at as u32));
        }
        table.routes = routes;
        Ok(table)
    }

    /// The most specific route for a host (without port) and a path (as received, without query)
    /// that asks for nothing else.
    pub fn find(&self, host: &str, path: &str) -> Option<RouteMatch<'_>> {
        self.find_where(host, path, &|index| self.route(index).when.is_none())
    }

    /// The most specific route for a request.
    pub fn find_for(&self, host: &str, path: &str, facts: &Facts<'_>) -> Option<RouteMatch<'_>> {
        self.find_where(host, path, &|index| self.holds(index, facts))
    }

    fn find_where(&self, host: &str, path: &str, takes: Takes<'_>) -> Option<RouteMatch<'_>> {
        let index = self.find_in_hosts(host, path, takes).or_else(|| self.any.find(path, takes))?;
        Some(RouteMatch { index, route: self.route(index) })
    }

    fn holds(&self, index: RouteIndex, facts: &Facts<'_>) -> bool {
        self.route(index).when.as_ref().is_none_or(|when| when.holds(facts))
    }

    /// What answers at the app's default host, where a host in a pattern stands for itself and for
    /// the default: no host first, then the routes with hosts in the order of [`Self::iter`].
    pub fn find_at_any_host(&self, path: &str) -> Option<RouteMatch<'_>> {
        self.find_at_any_host_where(path, &|index| self.route(index).when.is_none())
    }

    /// The same for a request, with what the routes ask beside their patterns.
    pub fn find_at_any_host_for(&self, path: &str, facts: &Facts<'_>) -> Option<RouteMatch<'_>> {
        self.find_at_any_host_where(path, &|index| self.holds(index, facts))
    }

    fn find_at_any_host_where(&self, path: &str, takes: Takes<'_>) -> Option<RouteMatch<'_>> {
        let hosts = self.exact.iter().chain(&self.wildcard).map(|(_, tree)| tree);
        let found = hosts.filter_map(|tree| tree.find(path, takes)).min();
        let index = self.any.find(path, takes).or(found)?;
        Some(RouteMatch { index, route: self.route(index) })
    }

    /// Every route, the most specific first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.routes.iter()
    }

    pub fn len(&self) -> usize {
        self.routes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    pub fn route(&self, index: RouteIndex) -> &Route {
        &self.routes[index.0 as usize]
    }

    fn find_in_hosts(&self, host: &str, path: &str, takes: Takes<'_>) -> Option<RouteIndex> {
        if self.exact.is_empty() && self.wildcard.is_empty() {
            return None;
        }
        let host = lower_case(host);
        if let Some(found) = named(&self.exact, &host).and_then(|tree| tree.find(path, takes)) {
            return Some(found);
        }
        if self.wildcard.is_empty() {
            return None;
        }
        // The first dot leaves the longest suffix, and so the most specific wildcard. A dot at the
        // very start has no label before it.
        let dots = host.bytes().enumerate().filter(|&(at, b)| b == b'.' && at > 0).map(|(at, _)| at);
        dots.filter_map(|at| named(&self.wildcard, &host[at + 1..])).find_map(|tree| tree.find(path, takes))
    }

    fn tree_of(&mut self, host: &HostPattern) -> &mut Node {
        let (list, name) = match host {
            HostPattern::Any => return &mut self.any,
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Wildcard(suffix) => (&mut self.wildcard, suffix),
        };
        let at = match list.binary_search_by(|(n, _)| n.as_str().cmp(name)) {
            Ok(at) => at,
            Err(at) => {
                list.insert(at, (name.clone(), Node::default()));
                at
            }
        };
        &mut list[at].1
    }
}

fn lower_case(host: &str) -> Cow<'_, str> {
    if host.bytes().any(|b| b.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() }
}

fn named<'a>(list: &'a [(String, Node)], name: &str) -> Option<&'a Node> {
    list.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok().map(|at| &list[at].1)
}

/// Paths compiled for lookup, each with a number.
#[derive(Debug, Clone, Default)]
pub struct PathTree(Node);

impl PathTree {
    /// False if a pattern that matches the same paths is there already.
    pub fn insert(&mut self, path: &PathPattern, number: u32) -> bool {
        self.0.insert(path, RouteIndex(number)) == 1
    }

    /// The number of the most specific pattern.
    pub fn find(&self, path: &str) -> Option<u32> {
        self.0.find(path, &|_| true).map(|index| index.0)
    }
}

/// Whether a route at a pattern that matches takes the request.
type Takes<'t> = &'t dyn Fn(RouteIndex) -> bool;

/// A segment of the tree of patterns. Each node is visited at most once in a lookup.
#[derive(Debug, Clone, Default)]
struct Node {
    /// By text.
    literals: Vec<(String, Node)>,
    param: Option<Box<Node>>,
    /// The routes of one pattern, in the order in which they are tried.
    exact: Vec<RouteIndex>,
    prefix: Vec<RouteIndex>,
}

fn first(routes: &[RouteIndex], takes: Takes<'_>) -> Option<RouteIndex> {
    routes.iter().copied().find(|index| takes(*index))
}

impl Node {
    /// How many routes its pattern has now.
    fn insert(&mut self, path: &PathPattern, index: RouteIndex) -> usize {
        let mut node = self;
        for segment in &path.segments {
            node = match segment {
                Segment::Param(_) => node.param.get_or_insert_default(),
                Segment::Literal(text) => {
                    let at = match node.literals.binary_search_by(|(t, _)| t.cmp(text)) {
                        Ok(at) => at,
                        Err(at) => {
                            node.literals.insert(at, (text.clone(), Node::default()));
                            at
                        }
                    };
                    &mut node.literals[at].1
                }
            };
        }
        let routes = if path.prefix { &mut node.prefix } else { &mut node.exact };
        routes.push(index);
        routes.len()
    }

    fn find(&self, path: &str, takes: Takes<'_>) -> Option<RouteIndex> {
        // What does not begin with a slash (`*` of OPTIONS) has no segments to compare.
        self.find_below(Some(path.strip_prefix('/')?), takes)
    }

    /// `rest` is what follows the last slash that was passed; none at the end of the path.
    fn find_below(&self, rest: Option<&str>, takes: Takes<'_>) -> Option<RouteIndex> {
        let Some(rest) = rest else { return first(&self.exact, takes).or_else(|| first(&self.prefix, takes)) };
        let (segment, below) = match rest.find('/') {
            Some(slash) => (&rest[..slash], Some(&rest[slash + 1..])),
            None => (rest, None),
        };
        let literal = self.literals.binary_search_by(|(t, _)| t.as_str().cmp(segment)).ok();
        literal
            .and_then(|at| self.literals[at].1.find_below(below, takes))
            .or_else(|| self.param.as_ref().filter(|_| !segment.is_empty())?.find_below(below, takes))
            .or_else(|| first(&self.prefix, takes))
    }
}

impl PartialEq for RouteTable {
    fn eq(&self, other: &Self) -> bool {
        self.routes == other.routes
    }
}

impl From<RouteTable> for Vec<Route> {
    fn from(table: RouteTable) -> Self {
        table.routes
    }
}

impl TryFrom<Vec<Route>> for RouteTable {
    type Error = SamePattern;
    fn try_from(routes: Vec<Route>) -> Result<Self, SamePattern> {
        Self::new(routes)
    }
}
