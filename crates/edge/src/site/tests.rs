use base::WorkerLimits;
use futures_util::FutureExt as _;
use manifest::{HostPattern, NotFound};
use proptest::prelude::*;

use super::*;
use crate::fixture::{Fake, no_files, plan, site};

fn named(app: &str, hosts: &[&str]) -> Arc<Site> {
    let worker = Fake(|_, _| async { Ok(http::Response::default()) }.boxed_local());
    site(plan(app, Vec::new(), hosts, WorkerLimits::default(), NotFound::None), Arc::new(worker), no_files())
}

fn found<'a>(map: &'a HostMap, host: &str) -> Option<&'a str> {
    map.find(host).map(|site| site.app().as_str())
}

#[test]
fn the_most_specific_host_wins() {
    let sites = [named("a", &["x.com", "*.x.com"]), named("b", &["*.y.x.com"]), named("c", &["z.y.x.com"])];
    let map = HostMap::new(sites).unwrap();
    for (host, app) in [
        ("x.com", Some("a")),
        ("q.x.com", Some("a")),
        ("y.x.com", Some("a")),
        ("q.y.x.com", Some("b")),
        ("p.q.y.x.com", Some("b")),
        ("z.y.x.com", Some("c")),
        ("xx.com", None),
        (".x.com", None),
        ("com", None),
        ("", None),
        ("b.localhost", Some("b")),
    ] {
        assert_eq!(found(&map, host), app, "{host}");
    }
}

#[test]
fn two_apps_may_not_claim_one_host() {
    let error = HostMap::new([named("a", &["*.x.com"]), named("b", &["*.x.com"])]).err().unwrap();
    assert_eq!(error.to_string(), "both a and b claim the host *.x.com");
    let error = HostMap::new([named("a", &[]), named("b", &["a.localhost"])]).err().unwrap();
    assert_eq!(error.to_string(), "both a and b claim the host a.localhost", "the default host is a claim");
    assert!(HostMap::new([named("a", &["a.localhost"])]).is_ok(), "an app may name its own");
}

#[test]
fn a_single_site_answers_everywhere() {
    let map = HostMap::single(named("a", &["x.com"]));
    assert_eq!(found(&map, "127.0.0.1"), Some("a"));
    assert_eq!(found(&map, ""), Some("a"));
}

#[test]
fn a_reader_sees_each_generation_as_a_whole() {
    let hosts = Hosts::new(HostMap::new([named("a", &["x.com"])]).unwrap());
    let reader = HostsReader::new(hosts.clone());
    let before = reader.current();
    assert!(Rc::ptr_eq(&before, &reader.current()), "nothing is loaded while nothing changes");
    hosts.publish(HostMap::new([named("b", &["x.com"])]).unwrap());
    assert_eq!(found(&before.map, "x.com"), Some("a"));
    assert_eq!(found(&reader.current().map, "x.com"), Some("b"));
}

/// Asks every pattern in turn and keeps the best.
fn naive(claims: &[(String, Vec<String>)], host: &str) -> Option<String> {
    let rank = |pattern: &str| (!pattern.starts_with("*."), pattern.len());
    let all = claims.iter().flat_map(|(app, hosts)| hosts.iter().map(move |host| (host, app)));
    let fits = all.filter(|(pattern, _)| HostPattern::parse(pattern).unwrap().matches(host));
    fits.max_by_key(|(pattern, _)| rank(pattern)).map(|(_, app)| app.clone())
}

proptest! {
    #[test]
    fn the_map_agrees_with_asking_every_pattern(
        claims in proptest::collection::vec(proptest::collection::vec("(\\*\\.)?[ab](\\.[ab]){0,2}", 0..4), 1..4),
        host in "[ab.]{0,7}",
    ) {
        let mut taken = std::collections::BTreeSet::new();
        let claims: Vec<(String, Vec<String>)> = claims.into_iter().enumerate().map(|(at, hosts)| {
            let hosts = hosts.into_iter().filter(|host| taken.insert(host.clone())).collect();
            (format!("app{at}"), hosts)
        }).collect();
        let sites = claims.iter().map(|(app, hosts)| {
            named(app, &hosts.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let map = HostMap::new(sites).unwrap();
        let host = host.as_str();
        prop_assert_eq!(found(&map, host).map(str::to_owned), naive(&claims, host), "{}", host);
    }
}
