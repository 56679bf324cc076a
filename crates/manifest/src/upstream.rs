//! Upstreams: servers that routes pass requests on to, and how.

use base::{ResourceName, UpstreamLimits};
use serde::{Deserialize, Serialize};

use crate::egress::{EgressRule, Scheme};
use crate::plan::UpstreamIndex;

/// Servers that routes pass requests on to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamPlan {
    pub name: ResourceName,
    /// At least one.
    pub targets: Vec<TargetPlan>,
    #[serde(default, skip_serializing_if = "BalancePlan::is_default")]
    pub balance: BalancePlan,
    /// The cookie that binds a client to the target that answered it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<String>,
    /// Statuses that are worth another try.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry_on: Vec<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthPlan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<UpstreamTls>,
    /// Whose cache is asked before these servers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<UpstreamIndex>,
    /// Whether `103 Early Hints` of the servers reach clients.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early_hints: bool,
    /// Which host its servers are asked for.
    #[serde(default, skip_serializing_if = "HostPlan::is_default")]
    pub host: HostPlan,
    #[serde(default)]
    pub limits: UpstreamLimits,
}

/// Which host a server is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostPlan {
    /// That of its target.
    #[default]
    Target,
    /// The one that the client named.
    Client,
    /// A name or an address, in lower case, with a port if it has one.
    Named(String),
}

impl HostPlan {
    fn is_default(&self) -> bool {
        *self == Self::Target
    }

    /// Its name, which a certificate can be for; `None` for an address as well.
    pub fn name(&self) -> Option<&str> {
        let Self::Named(host) = self else { return None };
        match EgressRule::parse(host) {
            Ok(EgressRule::Host { host: bare, .. }) if bare.parse::<std::net::IpAddr>().is_err() => {
                Some(&host[..bare.len()])
            }
            _ => None,
        }
    }
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetPlan {
    /// `scheme://host` with a port where it is not the scheme's own.
    pub server: EgressRule,
    pub weight: u32,
    /// HTTP/2 without TLS (`h2c://`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub h2c: bool,
    /// The host is the name of a service, whose servers DNS names (`srv+http://`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub srv: bool,
    /// The absolute path of the socket where it listens (`unix:`); it is asked for `localhost` then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unix: Option<String>,
}

/// Bytes of a socket's path, on Linux.
const SOCKET_PATH_MAX: usize = 107;

/// Whether a text is the path of a socket that can be connected to.
pub(crate) fn is_socket(path: &str) -> bool {
    path.starts_with('/')
        && !path.ends_with('/')
        && path.len() <= SOCKET_PATH_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic() || !byte.is_ascii())
}

/// Who of the targets gets a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalancePlan {
    #[default]
    RoundRobin,
    LeastRequests,
    /// The less loaded of two at random, by latency.
    TwoChoices,
    /// A ring.
    Ketama(HashKey),
    /// A table.
    Maglev(HashKey),
}

/// What a consistent hash goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HashKey {
    Path,
    /// The client's address.
    Client,
    /// A field's value, by its lower-case name.
    Header(String),
    Cookie(String),
}

/// The request that asks a target whether it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthPlan {
    pub path: String,
    /// The statuses of one that is; those from 200 to 299 if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
}

/// How the targets prove who they are, and the node to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTls {
    /// The authorities that signed their certificates, as PEM text; no other is trusted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The name that their certificates are for, if it is not the target's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The secret that holds the node's certificate and its key, as PEM text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ResourceName>,
}

impl BalancePlan {
    fn is_default(&self) -> bool {
        *self == Self::RoundRobin
    }
}

impl UpstreamPlan {
    /// Whether a plan that was read back may be used.
    pub(crate) fn holds(&self) -> bool {
        let services = self.targets.iter().filter(|target| target.srv).all(|target| is_service(&target.server));
        let weights = self.targets.iter().all(|target| (1..=WEIGHT_MAX).contains(&target.weight));
        let sockets = self.targets.iter().filter_map(|target| target.unix.as_deref()).all(is_socket);
        !self.targets.is_empty()
            && weights
            && services
            && sockets
            && self.targets.iter().all(|target| is_target(&target.server))
    }
}

/// Whether the parents that upstreams name are there, and are nobody's children.
pub(crate) fn parents_hold(upstreams: &[UpstreamPlan]) -> bool {
    let parents = upstreams.iter().filter_map(|upstream| upstream.parent);
    parents.map(|parent| upstreams.get(usize::from(parent.0))).all(|found| found.is_some_and(|up| up.parent.is_none()))
}

/// The largest weight of a target.
pub(crate) const WEIGHT_MAX: u32 = 1_000;

/// Whether a rule names a service of HTTP: a scheme and a name, whose ports DNS knows.
pub(crate) fn is_service(rule: &EgressRule) -> bool {
    let EgressRule::Host { host, port, .. } = rule else { return false };
    is_target(rule) && port.is_none() && host.parse::<std::net::IpAddr>().is_err()
}

/// Whether a rule names one server of HTTP: a scheme and a host.
pub(crate) fn is_target(rule: &EgressRule) -> bool {
    matches!(rule, EgressRule::Host { scheme: Some(Scheme::Http | Scheme::Https), .. })
}
