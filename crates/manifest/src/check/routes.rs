//! Routes of the manifest → the table.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Compiler, shorten};
use crate::bounds::ROUTES;
use crate::plan::{BucketIndex, HtmlHandling, NotFound, WorkerIndex};
use crate::raw::{RawManifest, RawRoute, Spanned};
use crate::report::{code, suggest};
use crate::route::{HostPattern, PathPattern, Route, RouteTable, Target, parse_pattern};

type Compiled = (RouteTable, BTreeSet<String>);

impl Compiler<'_, '_> {
    /// None if a route is wrong; that is reported.
    pub(super) fn routes(&mut self, raw: &RawManifest) -> Option<Compiled> {
        if raw.routes.is_empty() {
            return self.default_route(raw);
        }
        if raw.routes.len() as u64 > ROUTES.max {
            let span = &raw.routes[ROUTES.max as usize].pattern.span;
            let message = format!("the app has {} routes; at most {} (routes)", raw.routes.len(), ROUTES.max);
            self.problems.add(code::TOO_MANY, span, message);
            return None;
        }
        let all: Vec<_> = raw.routes.iter().map(|route| self.route(route)).collect();
        let mut routes: Vec<_> = all.iter().zip(&raw.routes).filter_map(|(r, raw)| Some((r.clone()?, raw))).collect();
        routes.sort_by(|a, b| a.0.compare_specificity(&b.0).then(a.1.pattern.span.start.cmp(&b.1.pattern.span.start)));
        for pair in routes.windows(2) {
            if pair[0].0.compare_specificity(&pair[1].0).is_eq() {
                self.same_route(pair[0].1, pair[1].1);
            }
        }
        self.check_precedence(&routes);
        self.check_redirects(&routes);
        let default = raw.name.as_ref().map(|name| format!("{}.localhost", name.value)).unwrap_or_default();
        let hosts = routes.iter().map(|(r, _)| &r.host).filter(|h| **h != HostPattern::Any).map(ToString::to_string);
        let hosts = hosts.filter(|host| *host != default).collect();
        let table = RouteTable::new(all.into_iter().collect::<Option<_>>()?).ok()?;
        Some((table, hosts))
    }

    /// One worker answers everywhere; more than one can't all do so.
    fn default_route(&mut self, raw: &RawManifest) -> Option<Compiled> {
        if !self.problems.report.problems.is_empty() {
            // A worker or a route that was left out for its faults is not missing.
            return None;
        }
        match raw.workers.as_slice() {
            [_] => {
                let path = PathPattern::parse("/*").expect("a constant pattern");
                let target = Target::Worker(WorkerIndex(0));
                let table = RouteTable::new(vec![Route::new(HostPattern::Any, path, target)]).ok()?;
                Some((table, BTreeSet::new()))
            }
            [] => {
                let message = "the manifest has neither a worker nor a route, so there is nothing to serve";
                self.problems.add(code::NO_WORKER, &(0..0), message).help =
                    Some("add a worker: [workers.web] entry = \"src/index.ts\"".to_owned());
                None
            }
            [first, ..] => {
                let message =
                    format!("the app has {} workers and no routes, so no request reaches any", raw.workers.len());
                let help = format!("add one: [[routes]] match = \"/*\" worker = \"{}\"", first.name.value);
                self.problems.add(code::BAD_ROUTE, &first.name.span, message).help = Some(help);
                None
            }
        }
    }

    /// With what it asks and does beside leading to its target.
    fn route(&mut self, raw: &RawRoute) -> Option<Route> {
        let faults = self.problems.report.problems.len();
        let mut route = self.plain_route(raw);
        let path = route.as_ref().map(|route| route.path.clone());
        let rules = self.rules(raw, path.as_ref());
        let when = raw.rules.iter().find(|entry| entry.key == "when").and_then(|entry| self.when(entry));
        let priority = raw.priority.as_ref().map_or(0, |priority| priority.value);
        if i32::try_from(priority).is_err() {
            let span = raw.priority.as_ref().map_or(raw.pattern.span.clone(), |priority| priority.span.clone());
            self.problems.add(code::BAD_VALUE, &span, format!("priority is {priority}; it fits into 32 bits"));
        }
        if self.problems.report.problems.len() > faults {
            return None;
        }
        if let Some(route) = &mut route {
            (route.when, route.priority, route.rules) = (when.map(Box::new), priority as i32, rules.map(Arc::new));
        }
        route
    }

    fn plain_route(&mut self, raw: &RawRoute) -> Option<Route> {
        let pattern = self.pattern(&raw.pattern);
        if raw.redirects() {
            if raw.worker.is_some() || raw.assets.is_some() || raw.blob.is_some() || raw.upstream.is_some() {
                let message = "a route that redirects leads nowhere else";
                self.problems.add(code::BAD_ROUTE, &raw.pattern.span, message).help =
                    Some("leave out its target, or give the redirect a route of its own".to_owned());
                return None;
            }
            let (host, path) = pattern?;
            return Some(Route::new(host, path, Target::Redirect));
        }
        let user = format!("the route `{}`", shorten(&raw.pattern.value));
        let worker = raw.worker.as_ref().map(|name| self.worker_index(name, &user));
        let not_found = raw.not_found.as_ref().map(|text| self.not_found(text, raw));
        let html = raw.html_handling.as_ref().map(|text| self.html_handling(text, raw));
        let assets = raw.assets.as_ref().map(|directory| {
            let not_found = not_found.flatten().unwrap_or(NotFound::None);
            self.assets_index(directory, Some((not_found, html.flatten().unwrap_or_default())))
        });
        if let Some(bucket) = &raw.blob {
            let (target, cache) = (self.bucket(bucket, raw, pattern.as_ref()), self.route_cache(raw));
            cache?;
            let (host, path) = pattern?;
            return Some(Route::new(host, path, target?));
        }
        let cache = self.route_cache(raw);
        let upstream = raw.upstream.as_ref().map(|name| self.upstream_index(name));
        let target = match (worker, assets, upstream) {
            (Some(worker), None, None) => Target::Worker(worker?),
            (None, Some(assets), None) => Target::Assets(assets?),
            (Some(worker), Some(assets), None) => Target::AssetsThenWorker { assets: assets?, worker: worker? },
            (None, None, Some(upstream)) => Target::Upstream { upstream: upstream?, cache: cache? },
            (None, None, None) => return None,
            (_, _, Some(_)) => {
                let message = format!("{user} leads to an upstream and to something else besides");
                self.problems.add(code::BAD_ROUTE, &raw.pattern.span, message).help =
                    Some("give each target a route of its own".to_owned());
                return None;
            }
        };
        cache?;
        let (host, path) = pattern?;
        Some(Route::new(host, path, target))
    }

    /// A public bucket: alone on its route, whose `*` stands for the key.
    fn bucket(
        &mut self,
        name: &Spanned<String>,
        raw: &RawRoute,
        pattern: Option<&(HostPattern, PathPattern)>,
    ) -> Option<Target> {
        let bucket = self.resource(name, "a blob bucket")?;
        if raw.worker.is_some() || raw.assets.is_some() || raw.upstream.is_some() {
            let message = "a route leads to a bucket, or to a worker, files or an upstream";
            self.problems.add(code::BAD_ROUTE, &name.span, message).help =
                Some("give each a route of its own".to_owned());
            return None;
        }
        if pattern.is_some_and(|(_, path)| !path.prefix) {
            let message = "the pattern of a public bucket ends with `/*`, which stands for the key of a blob";
            self.problems.add(code::BAD_ROUTE, &raw.pattern.span, message).help =
                Some("for example: match = \"/files/*\"".to_owned());
            return None;
        }
        let known = self.buckets.iter().position(|known| *known == bucket);
        let index = known.unwrap_or_else(|| {
            self.buckets.push(bucket);
            self.buckets.len() - 1
        });
        Some(Target::Blob(BucketIndex(index as u16)))
    }

    fn pattern(&mut self, text: &Spanned<String>) -> Option<(HostPattern, PathPattern)> {
        match parse_pattern(&text.value) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let message = format!("`{}` is no pattern: {error}", shorten(&text.value));
                self.problems.add(code::BAD_PATTERN, &text.span, message).help = error.help(&text.value);
                None
            }
        }
    }

    fn not_found(&mut self, text: &Spanned<String>, route: &RawRoute) -> Option<NotFound> {
        if route.assets.is_none() {
            let message = "`not_found` is for routes with assets; a worker answers itself what it does not find";
            self.problems.add(code::BAD_ROUTE, &text.span, message);
            return None;
        }
        self.not_found_by_name(text)
    }

    pub(super) fn not_found_by_name(&mut self, text: &Spanned<String>) -> Option<NotFound> {
        Some(match text.value.as_str() {
            "none" => NotFound::None,
            "single-page" => NotFound::SinglePage,
            "404-page" => NotFound::Page404,
            other => {
                let known = ["none", "single-page", "404-page"];
                let message = format!("`{}` says nothing about what is not found", shorten(other));
                self.problems.add(code::BAD_VALUE, &text.span, message).help = suggest(other, known, "it is one of");
                return None;
            }
        })
    }

    fn html_handling(&mut self, text: &Spanned<String>, route: &RawRoute) -> Option<HtmlHandling> {
        if route.assets.is_none() {
            self.problems.add(code::BAD_ROUTE, &text.span, "`html_handling` is for routes with assets");
            return None;
        }
        let found = HtmlHandling::NAMES.iter().find(|(name, _)| *name == text.value);
        if found.is_none() {
            let message = format!("`{}` says nothing about the addresses of pages", shorten(&text.value));
            let known = HtmlHandling::NAMES.map(|(name, _)| name);
            self.problems.add(code::BAD_VALUE, &text.span, message).help = suggest(&text.value, known, "it is one of");
        }
        found.map(|(_, html)| *html)
    }

    fn same_route(&mut self, first: &RawRoute, second: &RawRoute) {
        let (a, b) = (&first.pattern, &second.pattern);
        let message = if a.value == b.value {
            format!("the route `{}` stands twice; the second could never match", shorten(&b.value))
        } else {
            let (a, b) = (shorten(&a.value), shorten(&b.value));
            format!("the routes `{a}` and `{b}` match exactly the same requests; the second could never match")
        };
        let also = (a.span.clone(), "the first".to_owned());
        let problem = self.problems.add(code::SAME_ROUTE, &b.span, message);
        problem.label = Some("the second".to_owned());
        // Routes that a reader makes of one setting share its place.
        problem.also = Some(also).filter(|_| a.span != b.span);
        problem.help = Some("remove one of them, or make its pattern differ".to_owned());
    }
}
