//! Which way a request goes through a node, and why no other: what `selvedge trace` tells. Nothing is asked and
//! nothing is changed; the decisions are those of the table that serves.

use std::net::IpAddr;

use http::{HeaderMap, Method, Uri};
use manifest::Route;
use manifest::route::when::Facts;

use crate::core::Countries;
use crate::site::{Hosts, Site};

/// What is asked about.
#[derive(Debug, Clone)]
pub struct Question {
    /// Absolute, `http` or `https`.
    pub url: Uri,
    pub method: Method,
    pub headers: HeaderMap,
    /// Who would send it.
    pub client: Option<IpAddr>,
}

/// Which way a request goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    pub host: String,
    pub path: String,
    pub app: Option<String>,
    pub deployment: Option<String>,
    /// The one that is taken comes first.
    pub routes: Vec<Candidate>,
    pub cache_keys: Vec<String>,
}

/// A route, and why it is taken or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub pattern: String,
    pub target: Option<String>,
    pub matches: bool,
    pub why: String,
}

/// `None` for what is no URL of a page.
pub fn way(hosts: &Hosts, countries: Option<&Countries>, question: &Question) -> Option<Way> {
    let Question { url, method, headers, client } = question;
    let scheme = match url.scheme_str()? {
        "http" => "http",
        "https" => "https",
        _ => return None,
    };
    let (host, path) = (url.host()?.to_ascii_lowercase(), url.path().to_owned());
    let map = hosts.now();
    let Some(site) = map.find(&host) else { return Some(Way { host, path, ..Way::default() }) };
    let facts = Facts {
        method: method.as_str(),
        query: url.query(),
        client: *client,
        header: &|name| headers.get(name)?.to_str().ok(),
        country: &|| countries?(client.as_ref()?.to_canonical()),
    };
    let found = site.plan().routes.find_for(&host, &path, &facts).map(|found| found.index);
    let mut routes: Vec<_> = site
        .plan()
        .routes
        .iter()
        .enumerate()
        .map(|(at, route)| {
            let is_it = found.is_some_and(|index| index.0 as usize == at);
            candidate(site, route, is_it, (&host, &path), &facts)
        })
        .collect();
    routes.sort_by_key(|one| !one.matches);
    let authority = url.authority()?.as_str().to_ascii_lowercase();
    let keys = hosts.cache_rules(site.app().as_str(), &host, &path);
    let page = |rule: &cache::KeyRule| rule.key(rule.page(scheme, &authority, &path, url.query()), headers);
    let mut cache_keys: Vec<_> = keys.iter().map(page).collect();
    cache_keys.dedup();
    let (app, deployment) = (Some(site.app().to_string()), Some(site.deployment().to_string()));
    Some(Way { host, path, app, deployment, routes, cache_keys })
}

fn candidate(site: &Site, route: &Route, is_it: bool, (host, path): (&str, &str), facts: &Facts<'_>) -> Candidate {
    let is_any = host == site.plan().default_host();
    let why = if is_it {
        "it is the most exact route that matches".to_owned()
    } else if !(is_any || route.host.matches(host)) {
        "its host is another one".to_owned()
    } else if !route.path.matches(path) {
        "its path is another one".to_owned()
    } else if let Some(objection) = route.when.as_ref().and_then(|when| when.objection(facts)) {
        objection
    } else {
        "it matches, and a more exact route comes before it".to_owned()
    };
    let target = site.label(&route.target).map(|label| label.to_string());
    Candidate { pattern: route.pattern().to_string(), target, matches: is_it, why }
}
