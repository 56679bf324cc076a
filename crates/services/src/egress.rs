//! Egress policy: which addresses a worker's outbound requests may reach. A pure function of the
//! target as it was asked for and the address it resolved to.
//!
//! The connector asks again for each resolved address, on each redirect and each retry, and
//! connects to exactly the address that was judged, so that a name that changes its mind in
//! between gains nothing.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

mod address;

pub use address::{AddressClass, canonical, classify};

/// One entry of a worker's egress list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EgressRule {
    /// Every globally reachable unicast address, under any name.
    Public,
    /// One host. A name may resolve to a loopback, private or shared address, which is the point
    /// of naming it; never to a link-local one, where clouds keep their credentials. An address
    /// (without brackets) is that address, of whatever kind.
    Host {
        /// All, if it is absent.
        scheme: Option<Scheme>,
        host: String,
        /// The default port of the target's scheme, if it is absent.
        port: Option<u16>,
    },
    /// Addresses, whatever name led to them, on any port.
    Net(IpNet),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    Https,
    Postgres,
}

impl Scheme {
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Postgres => 5432,
        }
    }
}

/// A target, as asked for and as resolved.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub scheme: Scheme,
    /// As in the URL: a name, or an address with or without brackets.
    pub host: &'a str,
    pub port: u16,
    /// One address that the host resolved to.
    pub address: IpAddr,
}

/// What a worker may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    rules: Vec<EgressRule>,
    denied: Vec<SocketAddr>,
}

/// Why a target is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error("egress is empty: this worker may make no outbound requests")]
    NoRules,
    #[error("{0} belongs to the node itself")]
    NodeItself(SocketAddr),
    #[error("{address} is {}, which can't be a target", .class.describe())]
    Unusable { address: IpAddr, class: AddressClass },
    #[error("{address} is {}; name the host or the address in egress to allow it", .class.describe())]
    NotPublic { address: IpAddr, class: AddressClass },
    #[error("no egress rule names {host} port {port}")]
    NotNamed { host: String, port: u16 },
}

impl EgressPolicy {
    /// `denied` holds the node's own addresses that no rule can open, the admin listener above
    /// all. An unspecified address (`0.0.0.0`, `::`) there means its port on every address.
    pub fn new(rules: Vec<EgressRule>, denied: Vec<SocketAddr>) -> Self {
        Self { rules, denied }
    }

    /// Judges one target.
    pub fn decide(&self, target: &Target<'_>) -> Result<(), Denial> {
        let address = canonical(target.address);
        let class = classify(address);
        if self.rules.is_empty() {
            return Err(Denial::NoRules);
        }
        self.check_denied(address, target.port)?;
        if matches!(class, AddressClass::Unspecified | AddressClass::Multicast | AddressClass::Broadcast) {
            return Err(Denial::Unusable { address, class });
        }
        if self.rules.iter().any(|rule| rule.allows(target, address, class)) {
            return Ok(());
        }
        match class {
            AddressClass::Global => Err(Denial::NotNamed { host: target.host.into(), port: target.port }),
            _ => Err(Denial::NotPublic { address, class }),
        }
    }

    fn check_denied(&self, address: IpAddr, port: u16) -> Result<(), Denial> {
        // An address that carries another one inside (NAT64, 6to4) leads to both.
        let reached = [Some(address), address::embedded(address).map(IpAddr::V4)];
        let hit = |denied: &&SocketAddr| {
            let own = canonical(denied.ip());
            denied.port() == port && (own.is_unspecified() || reached.contains(&Some(own)))
        };
        match self.denied.iter().find(hit) {
            Some(_) => Err(Denial::NodeItself(SocketAddr::new(address, port))),
            None => Ok(()),
        }
    }
}

impl EgressRule {
    fn allows(&self, target: &Target<'_>, address: IpAddr, class: AddressClass) -> bool {
        match self {
            EgressRule::Public => class == AddressClass::Global,
            EgressRule::Net(net) => net.contains(&address),
            EgressRule::Host { scheme, host, port } => {
                let port = port.unwrap_or_else(|| target.scheme.default_port());
                let named = match host.parse::<IpAddr>() {
                    Ok(named) => canonical(named) == address,
                    Err(_) => class.may_be_named() && same_name(host, target.host),
                };
                named && port == target.port && scheme.is_none_or(|s| s == target.scheme)
            }
        }
    }
}

/// Names are equal without regard to case and to the dot that makes them absolute.
fn same_name(rule: &str, host: &str) -> bool {
    let bare = |name: &'_ str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    bare(rule) == bare(host)
}

#[cfg(test)]
mod tests;
