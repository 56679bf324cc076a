//! From the plan of an upstream to its servers: how each is reached, and under which policy.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base::{AppName, Clock, ResourceName, Rng, Secret, SystemRng};
use control_api::{TargetEntry, UpstreamEntry};
use edge::{Hosts, NodeName, Upstream, UpstreamParts, UpstreamView};
use manifest::{EgressRule, HostPlan, TargetPlan, UpstreamPlan};
use net::{Check, Connector, HostAsked, Peer, PeerOptions, PeerTimes, SocketCheck};
use services::egress::{EgressPolicy, Scheme, Target};
use telemetry::metrics::{Kind, Metrics, Point};
use url::Url;
use worker::Failure;

use crate::outbound::egress_rules;

/// What upstreams are made with.
#[derive(Clone)]
pub struct Upstreams {
    pub connector: Arc<Connector>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    /// Where request bodies are kept that are spooled.
    pub spool: PathBuf,
    pub node: NodeName,
}

/// How an upstream stands to the others of its app.
pub struct Kin {
    /// Whose cache is asked before.
    pub parent: Option<Arc<Upstream>>,
    /// Whether it is asked so itself.
    pub is_parent: bool,
}

impl Upstreams {
    pub fn new(connector: Arc<Connector>, data: &Path, clock: Arc<dyn Clock>) -> Self {
        let (spool, rng) = (data.join("spool"), Arc::new(SystemRng));
        let node = NodeName::new(&*rng);
        Self { connector, clock, rng, spool, node }
    }

    /// Each server may be reached whatever its address is, but for those of the node itself.
    pub fn open(
        &self,
        plan: &UpstreamPlan,
        kin: Kin,
        own: &[SocketAddr],
        certificate: Result<Option<Secret<String>>, Failure>,
    ) -> Result<Arc<Upstream>> {
        let rules: Vec<EgressRule> = plan.targets.iter().map(|target| target.server.clone()).collect();
        let policy = Arc::new(EgressPolicy::new(egress_rules(&rules), own.to_vec()));
        let (certificate, refusal) = match certificate {
            Ok(certificate) => (certificate, None),
            Err(failure) => (None, Some(failure)),
        };
        let mut peers = Vec::with_capacity(plan.targets.len());
        for target in &plan.targets {
            let host = host_asked(plan, kin.is_parent);
            let options = options(plan, target, (&policy, own), certificate.clone(), host)?;
            let peer = Peer::new(self.connector.clone(), options);
            peers.push(peer.with_context(|| format!("the upstream {} has a target that is none", plan.name))?);
        }
        let (clock, rng, spool) = (self.clock.clone(), self.rng.clone(), self.spool.clone());
        let (parent, node) = (kin.parent, self.node.clone());
        Ok(Upstream::new(UpstreamParts { plan, peers, refusal, clock, rng, spool, parent, node }))
    }
}

fn options(
    plan: &UpstreamPlan,
    target: &TargetPlan,
    (policy, own): (&Arc<EgressPolicy>, &[SocketAddr]),
    certificate: Option<Secret<String>>,
    host: HostAsked,
) -> Result<PeerOptions> {
    let limits = &plan.limits;
    let ms = Duration::from_millis;
    let url = Url::parse(&target.server.to_string())?;
    let check = check(&url, policy.clone())?;
    let srv = target.srv.then(|| service_check(target, own));
    let tls = plan.tls.clone().unwrap_or_default();
    Ok(PeerOptions {
        url,
        unix: target.unix.as_deref().map(PathBuf::from),
        h2c: target.h2c,
        check,
        srv,
        host,
        times: PeerTimes {
            connect: ms(limits.connect_ms),
            tls: ms(limits.tls_ms),
            first_byte: ms(limits.first_byte_ms),
        },
        head_bytes: usize::try_from(limits.head_bytes)?,
        head_fields: usize::try_from(limits.head_fields)?,
        idle: ms(limits.idle_connection_ms),
        idle_per_core: usize::try_from(limits.idle_connections)?,
        age: (limits.connection_ms > 0).then(|| ms(limits.connection_ms)),
        requests: (limits.connection_requests > 0).then_some(limits.connection_requests),
        ca: tls.ca,
        server_name: tls.server_name.or_else(|| plan.host.name().map(str::to_owned)),
        certificate,
    })
}

/// Which host the servers are asked for. A parent has the same sites, whatever else is said of it.
fn host_asked(plan: &UpstreamPlan, is_parent: bool) -> HostAsked {
    match &plan.host {
        HostPlan::Named(host) => HostAsked::Named(host.clone()),
        HostPlan::Client => HostAsked::Request,
        HostPlan::Target if is_parent => HostAsked::Request,
        HostPlan::Target => HostAsked::Target,
    }
}

/// What the policy says about each server that a service's name leads to, with the port that it has there.
fn service_check(target: &TargetPlan, own: &[SocketAddr]) -> SocketCheck {
    let (server, own) = (target.server.clone(), own.to_vec());
    Arc::new(move |found: SocketAddr| {
        let EgressRule::Host { scheme, host, .. } = &server else { return Err("it names no host".to_owned()) };
        let rule = EgressRule::Host { scheme: *scheme, host: host.clone(), port: Some(found.port()) };
        let policy = EgressPolicy::new(egress_rules(&[rule]), own.clone());
        let scheme = match scheme {
            Some(manifest::Scheme::Https) => Scheme::Https,
            _ => Scheme::Http,
        };
        let target = Target { scheme, host, port: found.port(), address: found.ip() };
        policy.decide(&target).map_err(|denial| denial.to_string())
    })
}

/// What the policy says about each address that the target resolves to.
fn check(url: &Url, policy: Arc<EgressPolicy>) -> Result<Check> {
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let port = url.port_or_known_default().unwrap_or_else(|| scheme.default_port());
    let host = url.host_str().context("the target names no host")?.to_owned();
    Ok(Arc::new(move |address: IpAddr| {
        let target = Target { scheme, host: &host, port, address };
        policy.decide(&target).map_err(|denial| denial.to_string())
    }))
}

/// What a node sees of the upstreams that it serves.
pub fn seen_of(hosts: &Arc<Hosts>) -> Arc<dyn Fn() -> Vec<UpstreamEntry> + Send + Sync> {
    let hosts = hosts.clone();
    Arc::new(move || {
        let mut seen = Vec::new();
        for site in hosts.now().sites() {
            let names = site.plan().upstreams.iter().map(|plan| &plan.name);
            let views = site.upstreams().iter().map(|upstream| upstream.view());
            seen.extend(names.zip(views).map(|(name, view)| entry(site.app(), name, view)));
        }
        seen
    })
}

fn entry(app: &AppName, name: &ResourceName, view: UpstreamView) -> UpstreamEntry {
    let UpstreamView { pool, targets } = view;
    let targets = targets.into_iter().map(|target| TargetEntry {
        target: target.name,
        state: target.state.to_owned(),
        weight: target.weight,
        in_flight: target.in_flight,
        requests: target.requests,
        failures: target.failures,
        ejections: target.ejections,
        latency_us: target.latency_us,
    });
    UpstreamEntry {
        app: app.clone(),
        upstream: name.clone(),
        breaker_open: pool.breaker_open,
        in_flight: pool.in_flight,
        waiting: pool.waiting,
        adaptive_limit: pool.limit,
        retries: pool.retries,
        refused: pool.refused,
        targets: targets.collect(),
    }
}

/// Shows them among the metrics of the node.
pub fn observe(metrics: &Metrics, hosts: &Arc<Hosts>) {
    type Read = fn(&TargetEntry) -> u64;
    let shown: [(&'static str, &'static str, Kind, Read); 5] = [
        ("selvedge_upstream_requests_total", "Requests sent to a target.", Kind::Counter, |target| target.requests),
        ("selvedge_upstream_failures_total", "Requests that a target failed.", Kind::Counter, |target| target.failures),
        ("selvedge_upstream_ejections_total", "How often a target was ejected.", Kind::Counter, |target| {
            target.ejections
        }),
        ("selvedge_upstream_in_flight", "Requests under way at a target.", Kind::Gauge, |target| target.in_flight),
        ("selvedge_upstream_usable", "1 for a target that gets requests as usual.", Kind::Gauge, |target| {
            u64::from(["healthy", "warming"].contains(&target.state.as_str()))
        }),
    ];
    let seen = seen_of(hosts);
    for (name, help, kind, read) in shown {
        let seen = seen.clone();
        metrics.observe_points(name, help, kind, move || points(&seen(), read));
    }
}

fn points(entries: &[UpstreamEntry], read: fn(&TargetEntry) -> u64) -> Vec<Point> {
    let of = |entry: &UpstreamEntry, target: &TargetEntry| Point {
        labels: vec![
            ("app", entry.app.to_string()),
            ("upstream", entry.upstream.to_string()),
            ("target", target.target.clone()),
        ],
        value: read(target),
    };
    entries.iter().flat_map(|entry| entry.targets.iter().map(move |target| of(entry, target))).collect()
}
