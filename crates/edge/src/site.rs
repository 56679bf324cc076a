//! Which app answers at which host.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base::AppName;
use manifest::{AssetsIndex, BucketIndex, Plan, RouteCache, RouteIndex, Rules, Target, UpstreamIndex, WorkerIndex};
use worker::Invoker;

use crate::assets::AssetIndex;
use crate::blobs::PublicBucket;
use crate::proxy::{Counts, ProxyCache, Rule, Upstream};

/// What a site is made of.
pub struct SiteParts {
    /// For the log: the digest of the deployment, or `dev`.
    pub deployment: Arc<str>,
    pub plan: Arc<Plan>,
    /// In the order of the plan's workers.
    pub workers: Vec<Arc<dyn Invoker>>,
    /// In the order of the plan's asset directories.
    pub assets: Vec<Arc<AssetIndex>>,
    /// In the order of the plan's public buckets.
    pub buckets: Vec<PublicBucket>,
    /// In the order of the plan's upstreams.
    pub upstreams: Vec<Arc<Upstream>>,
    /// The directory of the sources, if failures are shown to the client as they are to a
    /// developer. Never set for a released app.
    pub dev: Option<PathBuf>,
}

/// One deployment of one app, ready to be served. Immutable.
pub struct Site {
    parts: SiteParts,
    app: Arc<str>,
    /// The pattern of each route, for the record.
    patterns: Vec<Arc<str>>,
    labels: Labels,
    /// One URL may lead to more than one upstream, or be changed on its way in more than one manner.
    forks: bool,
    /// In the order of the plan's rules for the cache.
    rules: Vec<Rule>,
    /// How its requests fared with the cache of the node, once one did.
    counts: OnceLock<Arc<Counts>>,
}

impl Site {
    /// # Panics
    /// If there are not as many workers, asset indexes or buckets as the plan has: a fault of the caller.
    pub fn new(parts: SiteParts) -> Arc<Self> {
        assert_eq!(parts.workers.len(), parts.plan.workers.len(), "an invoker for each worker of the plan");
        assert_eq!(parts.assets.len(), parts.plan.assets.len(), "an index for each asset directory of the plan");
        assert_eq!(parts.buckets.len(), parts.plan.buckets.len(), "each public bucket of the plan");
        assert_eq!(parts.upstreams.len(), parts.plan.upstreams.len(), "the servers of each upstream of the plan");
        let app = parts.plan.app.as_str().into();
        let patterns = parts.plan.routes.iter().map(|route| route.pattern().into()).collect();
        let forks = parts.plan.routes.iter().any(|route| {
            let rules = route.rules.as_deref();
            let moves =
                |rules: &Rules| rules.split.is_some() || rules.failover.is_some() || !rules.middleware.is_empty();
            route.when.is_some() || rules.is_some_and(moves)
        });
        let rules = parts.plan.cache_rules.iter().map(Rule::new).collect();
        let labels = Labels::of(&parts.plan);
        Arc::new(Self { parts, app, patterns, labels, rules, forks, counts: OnceLock::new() })
    }

    pub fn app(&self) -> &AppName {
        &self.parts.plan.app
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.parts.plan
    }

    pub fn deployment(&self) -> &Arc<str> {
        &self.parts.deployment
    }

    pub(crate) fn app_label(&self) -> &Arc<str> {
        &self.app
    }

    /// The counts of its app, which are looked up once.
    pub(crate) fn counts(&self, cache: &ProxyCache) -> &Counts {
        self.counts.get_or_init(|| cache.counts(&self.app))
    }

    pub(crate) fn dev(&self) -> Option<&PathBuf> {
        self.parts.dev.as_ref()
    }

    pub(crate) fn worker(&self, index: WorkerIndex) -> &Arc<dyn Invoker> {
        &self.parts.workers[usize::from(index.0)]
    }

    pub(crate) fn asset_index(&self, index: AssetsIndex) -> &Arc<AssetIndex> {
        &self.parts.assets[usize::from(index.0)]
    }

    pub(crate) fn bucket(&self, index: BucketIndex) -> &PublicBucket {
        &self.parts.buckets[usize::from(index.0)]
    }

    /// In the order of the plan's.
    pub fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.parts.upstreams
    }

    pub(crate) fn upstream(&self, index: UpstreamIndex) -> &Arc<Upstream> {
        &self.parts.upstreams[usize::from(index.0)]
    }

    /// What tells apart, in the cache, the answers to one URL, if it can have more than one: the
    /// upstream, and the route if that changes requests.
    pub(crate) fn cache_space(&self, index: RouteIndex, target: &Target) -> Option<Arc<str>> {
        let Target::Upstream { upstream, .. } = target else { return None };
        if !self.forks {
            return None;
        }
        let upstream = self.parts.plan.upstream(*upstream).name.as_str();
        let route = self.parts.plan.routes.route(index);
        let changes = route.rules.as_deref().is_some_and(Rules::changes_requests);
        // No script opens a cache of such a name.
        let route = if changes { format!("\0{}", index.0) } else { String::new() };
        Some(format!("\0{upstream}{route}").into())
    }

    pub(crate) fn cache_rule(&self, cache: RouteCache) -> Cow<'_, Rule> {
        match cache {
            RouteCache::Rule(index) => Cow::Borrowed(&self.rules[usize::from(index.0)]),
            plain => Cow::Owned(Rule::plain(plain)),
        }
    }

    /// Where a route leads, for the record.
    pub(crate) fn label(&self, target: &Target) -> Option<Arc<str>> {
        let Labels { workers, assets, buckets, upstreams, redirect } = &self.labels;
        let label = match target {
            Target::Worker(index) => workers.get(usize::from(index.0)),
            Target::Assets(index) => assets.get(usize::from(index.0)),
            Target::AssetsThenWorker { worker, .. } => workers.get(usize::from(worker.0)),
            Target::Blob(index) => buckets.get(usize::from(index.0)),
            Target::Upstream { upstream, .. } => upstreams.get(usize::from(upstream.0)),
            Target::Redirect => Some(redirect),
        };
        label.cloned()
    }

    /// Whether answers of a route to an upstream are compressed.
    pub(crate) fn compresses(&self, cache: RouteCache) -> bool {
        match cache {
            RouteCache::Rule(index) => self.rules[usize::from(index.0)].compress,
            _ => false,
        }
    }

    pub(crate) fn pattern(&self, index: RouteIndex) -> &Arc<str> {
        &self.patterns[index.0 as usize]
    }

    /// Every host the site claims; a wildcard begins with `*.`.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        let plan = &self.parts.plan;
        plan.hosts.iter().cloned().chain(std::iter::once(plan.default_host()))
    }
}

/// What the targets of a plan are called in the record.
struct Labels {
    workers: Vec<Arc<str>>,
    assets: Vec<Arc<str>>,
    buckets: Vec<Arc<str>>,
    upstreams: Vec<Arc<str>>,
    redirect: Arc<str>,
}

impl Labels {
    fn of(plan: &Plan) -> Self {
        let label = |kind: &str, name: &str| Arc::from(format!("{kind} {name}"));
        Self {
            workers: plan.workers.iter().map(|worker| label("worker", worker.name.as_str())).collect(),
            assets: plan.assets.iter().map(|assets| label("assets", &assets.directory)).collect(),
            buckets: plan.buckets.iter().map(|bucket| label("bucket", bucket.as_str())).collect(),
            upstreams: plan.upstreams.iter().map(|upstream| label("upstream", upstream.name.as_str())).collect(),
            redirect: "redirect".into(),
        }
    }
}

/// Two apps claim one host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("both {first} and {second} claim the host {host}")]
pub struct HostClash {
    pub host: String,
    pub first: AppName,
    pub second: AppName,
}

/// Every host of a node. Immutable; [`Hosts`] replaces it as a whole.
///
/// An exact name comes before a wildcard, and a longer wildcard before a shorter one. A wildcard
/// stands for one or more labels.
#[derive(Default)]
pub struct HostMap {
    exact: HashMap<Box<str>, Arc<Site>>,
    /// By what follows the `*.`.
    wildcard: HashMap<Box<str>, Arc<Site>>,
    fallback: Option<Arc<Site>>,
}

impl HostMap {
    /// Fails if two sites claim the same host.
    pub fn new(sites: impl IntoIterator<Item = Arc<Site>>) -> Result<Self, HostClash> {
        let mut map = Self::default();
        for site in sites {
            for host in site.hosts() {
                let (table, name) = match host.strip_prefix("*.") {
                    Some(suffix) => (&mut map.wildcard, suffix),
                    None => (&mut map.exact, host.as_str()),
                };
                let before = table.insert(name.into(), site.clone());
                if let Some(other) = before.filter(|other| other.app() != site.app()) {
                    return Err(HostClash { host, first: other.app().clone(), second: site.app().clone() });
                }
            }
        }
        Ok(map)
    }

    /// One app that answers at every host, as in `dev`.
    pub fn single(site: Arc<Site>) -> Self {
        Self { fallback: Some(site), ..Self::default() }
    }

    /// Each site once, in the order of the apps' names.
    pub fn sites(&self) -> Vec<Arc<Site>> {
        let all = self.exact.values().chain(self.wildcard.values()).chain(&self.fallback);
        let by_app: BTreeMap<_, _> = all.map(|site| (site.app().clone(), site.clone())).collect();
        by_app.into_values().collect()
    }

    /// The site of a host in lower case, without its port.
    pub fn find(&self, host: &str) -> Option<&Arc<Site>> {
        if let Some(site) = self.exact.get(host) {
            return Some(site);
        }
        if !self.wildcard.is_empty() {
            // From the left, so that the first that is found is the longest. A dot at the very
            // start has no label before it.
            let dots = host.bytes().enumerate().filter(|(at, byte)| *byte == b'.' && *at > 0);
            if let Some(site) = dots.into_iter().find_map(|(at, _)| self.wildcard.get(&host[at + 1..])) {
                return Some(site);
            }
        }
        self.fallback.as_ref()
    }
}

/// The node's current host map. Publishing replaces it as a whole; requests that began with the
/// former one finish with it.
#[derive(Default)]
pub struct Hosts {
    current: Mutex<Arc<HostMap>>,
    generation: AtomicU64,
}

impl Hosts {
    pub fn new(map: HostMap) -> Arc<Self> {
        Arc::new(Self { current: Mutex::new(Arc::new(map)), generation: AtomicU64::new(1) })
    }

    /// Every request that arrives from now on sees this map.
    pub fn publish(&self, map: HostMap) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(map);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// The map that requests see which arrive now.
    pub fn now(&self) -> Arc<HostMap> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the keys of an app's responses are made of, at a host and path: by each route that may answer
    /// there, whatever else it asks of a request, and by each way that it may go.
    pub(crate) fn cache_rules(&self, app: &str, host: &str, path: &str) -> Vec<cache::KeyRule> {
        let map = self.load();
        let Some(site) = map.find(host).filter(|site| site.app().as_str() == app) else { return Vec::new() };
        let plan = site.plan();
        let is_any = host == plan.default_host();
        let routes = plan.routes.iter().filter(|route| is_any || route.host.matches(host));
        let targets = routes.filter(|route| route.path.matches(path)).flat_map(|route| {
            let ways = route.rules.iter().flat_map(|rules| rules.targets());
            std::iter::once(&route.target).chain(ways)
        });
        let rule = |target: &Target| match *target {
            Target::Upstream { cache, .. } => Some(site.cache_rule(cache).key.clone()),
            _ => None,
        };
        targets.filter_map(rule).collect()
    }

    /// How often a map was published.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn load(&self) -> Rc<Generation> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Rc::new(Generation { number: self.generation(), map: current.clone() })
    }
}

/// One core's view of the hosts: reads a number per request, and the lock only after a change.
/// What it hands out is counted on this core alone.
pub(crate) struct HostsReader {
    hosts: Arc<Hosts>,
    cached: RefCell<Rc<Generation>>,
}

/// One published map.
pub(crate) struct Generation {
    number: u64,
    map: Arc<HostMap>,
}

impl Generation {
    pub fn find(&self, host: &str) -> Option<&Arc<Site>> {
        self.map.find(host)
    }
}

impl HostsReader {
    pub fn new(hosts: Arc<Hosts>) -> Self {
        let cached = RefCell::new(hosts.load());
        Self { hosts, cached }
    }

    pub fn current(&self) -> Rc<Generation> {
        let mut cached = self.cached.borrow_mut();
        if cached.number != self.hosts.generation() {
            *cached = self.hosts.load();
        }
        cached.clone()
    }
}

#[cfg(test)]
mod tests;
