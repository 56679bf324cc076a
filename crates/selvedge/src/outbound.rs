//! Joins what `worker` asks of the outside with `net`'s connector: the policy decides about every
//! address that a name resolved to, before a byte is sent there.

use std::net::IpAddr;
use std::sync::Arc;

use base::{SocketOptions, code};
use futures_util::future::BoxFuture;
use net::{Check, Connector, ExchangeError, Outgoing, RawStream};
use services::egress::{EgressPolicy, EgressRule, Scheme, Target};
use services_cluster::{Link, LinkError, Network};
use worker::{Failure, Fetcher, Outbound, Response};

pub struct NetFetcher(pub Arc<Connector>);

impl Fetcher for NetFetcher {
    fn fetch(&self, policy: Arc<EgressPolicy>, request: Outbound) -> BoxFuture<'static, Result<Response, Failure>> {
        let connector = self.0.clone();
        Box::pin(async move {
            let check = check(policy, &request)?;
            let exchange = connector.exchange(outgoing(request), check);
            exchange.await.map_err(|error| Failure::new(error.code(), error.to_string()))
        })
    }

    fn upgrade(
        &self,
        policy: Arc<EgressPolicy>,
        request: Outbound,
        options: SocketOptions,
    ) -> BoxFuture<'static, Result<Response, Failure>> {
        let connector = self.0.clone();
        Box::pin(async move {
            let check = check(policy, &request)?;
            let upgrade = connector.upgrade(outgoing(request), options, check);
            upgrade.await.map_err(|error| Failure::new(error.code(), error.to_string()))
        })
    }
}

/// PostgreSQL's own name for its protocol (ALPN).
const POSTGRESQL: &str = "postgresql";

impl Network for NetFetcher {
    fn connect(
        &self,
        host: &str,
        port: u16,
        check: services_cluster::Check,
    ) -> BoxFuture<'static, Result<Link, LinkError>> {
        let (connector, host) = (self.0.clone(), host.to_owned());
        Box::pin(async move {
            let raw = connector.connect_raw(&host, port, check).await.map_err(link_error)?;
            Ok(Link { stream: Box::new(raw.stream), address: raw.address })
        })
    }

    fn secure(&self, link: Link, host: &str, ca: Option<&str>) -> BoxFuture<'static, Result<Link, LinkError>> {
        let (connector, host, ca) = (self.0.clone(), host.to_owned(), ca.map(str::to_owned));
        Box::pin(async move {
            let raw = RawStream { stream: Box::new(link.stream), address: link.address };
            let raw = connector.secure_raw(raw, &host, ca.as_deref(), POSTGRESQL).await.map_err(link_error)?;
            Ok(Link { stream: Box::new(raw.stream), address: raw.address })
        })
    }
}

fn link_error(error: ExchangeError) -> LinkError {
    match error {
        ExchangeError::Denied(reason) => LinkError::Denied(reason),
        ExchangeError::Tls { .. } => LinkError::Tls(error.to_string()),
        other => LinkError::Unreachable(other.to_string()),
    }
}

fn outgoing(request: Outbound) -> Outgoing {
    let Outbound { method, url, headers, body } = request;
    Outgoing { method, url, headers, body }
}

/// What the policy says about each address that the target resolves to.
fn check(policy: Arc<EgressPolicy>, request: &Outbound) -> Result<Check, Failure> {
    let scheme = if request.url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let port = request.url.port_or_known_default().unwrap_or_else(|| scheme.default_port());
    let Some(host) = request.url.host_str().map(str::to_owned) else {
        return Err(Failure::new(&code::UPSTREAM_UNREACHABLE, "the URL names no host"));
    };
    Ok(Arc::new(move |address: IpAddr| {
        let target = Target { scheme, host: &host, port, address };
        policy.decide(&target).map_err(|denial| denial.to_string())
    }))
}

/// The manifest's rules as the policy knows them.
pub fn egress_rules(rules: &[manifest::EgressRule]) -> Vec<EgressRule> {
    let scheme = |scheme: &manifest::Scheme| match scheme {
        manifest::Scheme::Http => Scheme::Http,
        manifest::Scheme::Https => Scheme::Https,
        manifest::Scheme::Postgres => Scheme::Postgres,
    };
    rules
        .iter()
        .map(|rule| match rule {
            manifest::EgressRule::Public => EgressRule::Public,
            manifest::EgressRule::Host { scheme: of, host, port } => {
                EgressRule::Host { scheme: of.as_ref().map(scheme), host: host.clone(), port: *port }
            }
            manifest::EgressRule::Cidr(net) => EgressRule::Net(*net),
        })
        .collect()
}
