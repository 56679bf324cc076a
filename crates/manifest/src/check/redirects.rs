//! Redirects that lead in a circle. One request is followed for each route that redirects: from a path
//! that it matches to where it sends it, by the routes that ask for nothing else, until one is met again.

use super::{Compiler, shorten};
use crate::raw::RawRoute;
use crate::report::code;
use crate::route::template::Filling;
use crate::route::{HostPattern, Route, RouteIndex, RouteTable};

impl Compiler<'_, '_> {
    pub(super) fn check_redirects(&mut self, routes: &[(Route, &RawRoute)]) {
        let redirects = |route: &Route| route.rules.as_ref().is_some_and(|rules| rules.redirect.is_some());
        if !routes.iter().any(|(route, _)| redirects(route)) {
            return;
        }
        let Ok(table) = RouteTable::new(routes.iter().map(|(route, _)| route.clone()).collect()) else { return };
        // Both are in the same order.
        for (at, (route, raw)) in routes.iter().enumerate() {
            if route.when.is_some() || !redirects(route) {
                continue;
            }
            if let Some(through) = circle(&table, RouteIndex(at as u32)) {
                let message = format!("the redirect at `{}` leads back to itself", shorten(&raw.pattern.value));
                let problem = self.problems.add(code::BAD_REDIRECT, &raw.pattern.span, message);
                problem.label = Some(format!("a client is sent to {through}, and here again"));
                problem.help = Some("lead to a path that no redirect matches".to_owned());
            }
        }
    }
}

/// The last target of a chain of redirects that leads back to where it began.
fn circle(table: &RouteTable, start: RouteIndex) -> Option<String> {
    let mut host = match &table.route(start).host {
        HostPattern::Any => "x.invalid".to_owned(),
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Wildcard(suffix) => format!("x.{suffix}"),
    };
    let mut path = table.route(start).path.sample();
    let mut at = start;
    // Each redirect once; a circle that does not come back here is reported where it begins.
    for _ in 0..table.len() {
        let route = table.route(at);
        let redirect = route.rules.as_ref()?.redirect.as_ref()?;
        let of_request = |place: &str| match place {
            "host" => host.clone(),
            "path" => path.clone(),
            _ => String::new(),
        };
        let filling = Filling { captures: route.path.captures(&path), of_request: &of_request };
        let location = redirect.location(None, &filling);
        (host, path) = match location.split_once("://") {
            None => (host.clone(), location.clone()),
            Some((_, rest)) => {
                let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
                let name = authority.split(':').next().unwrap_or_default();
                (name.to_ascii_lowercase(), path.to_owned())
            }
        };
        path = path.split(['?', '#']).next().unwrap_or_default().to_owned();
        at = table.find(&host, &path)?.index;
        if at == start {
            return Some(location);
        }
    }
    None
}
