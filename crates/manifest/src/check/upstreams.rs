//! Upstreams of the manifest → the plan's, and what routes say of them.

use base::ResourceName;

use super::{Compiler, bad_name, shorten};
use crate::bounds::UPSTREAM_TARGETS;
use crate::egress::EgressRule;
use crate::plan::{UpstreamIndex, UpstreamPlan, is_target};
use crate::raw::{RawCache, RawRoute, RawUpstream, Spanned};
use crate::report::{code, suggest};
use crate::route::{DEFAULT_TTL_S_MAX, RouteCache};

impl Compiler<'_, '_> {
    pub(super) fn upstream(&mut self, raw: &RawUpstream) -> Option<UpstreamPlan> {
        let name = match ResourceName::parse(&raw.name.value) {
            Ok(name) => Some(name),
            Err(error) => {
                bad_name(self.problems, &raw.name, "an upstream", &error);
                None
            }
        };
        if raw.targets.len() as u64 > UPSTREAM_TARGETS.max {
            let (count, max) = (raw.targets.len(), UPSTREAM_TARGETS.max);
            let message = format!("the upstream has {count} targets; at most {max} (upstream_targets)");
            self.problems.add(code::TOO_MANY, &raw.name.span, message);
            return None;
        }
        let targets: Vec<_> = raw.targets.iter().map(|target| self.target(target)).collect();
        Some(UpstreamPlan { name: name?, targets: targets.into_iter().collect::<Option<_>>()? })
    }

    fn target(&mut self, text: &Spanned<String>) -> Option<EgressRule> {
        let parsed = EgressRule::parse(text.value.trim_end_matches('/'));
        let message = match parsed {
            Ok(rule) if is_target(&rule) => return Some(rule),
            Ok(EgressRule::Host { scheme: Some(_), .. }) => {
                format!("the target `{}` speaks no HTTP", shorten(&text.value))
            }
            Ok(_) => format!("the target `{}` has no scheme", shorten(&text.value)),
            Err(error) => format!("`{}` is no target: {error}", shorten(&text.value)),
        };
        self.problems.add(code::BAD_VALUE, &text.span, message).help =
            Some("a target is a scheme, a host and a port, such as \"http://127.0.0.1:9000\"".to_owned());
        None
    }

    pub(super) fn upstream_index(&mut self, name: &Spanned<String>) -> Option<UpstreamIndex> {
        if let Some(at) = self.upstreams.iter().position(|known| *known == name.value) {
            return Some(UpstreamIndex(at as u16));
        }
        let message = format!("the route names the upstream `{}`, which does not exist", shorten(&name.value));
        let known = self.upstreams.iter().map(String::as_str);
        let help = suggest(&name.value, known, "the upstreams are");
        let add = || format!("add it: [upstreams.{}] targets = [\"http://127.0.0.1:9000\"]", shorten(&name.value));
        self.problems.add(code::UNKNOWN_UPSTREAM, &name.span, message).help = Some(help.unwrap_or_else(add));
        None
    }

    /// What a route says about caching, which is for upstreams alone.
    pub(super) fn route_cache(&mut self, raw: &RawRoute) -> Option<RouteCache> {
        let Some(cache) = &raw.cache else { return Some(RouteCache::Standard) };
        if raw.upstream.is_none() {
            let message = "`cache` is for routes with an upstream; a worker has `caches`";
            self.problems.add(code::BAD_ROUTE, &cache.span, message);
            return None;
        }
        match cache {
            RawCache { on: false, .. } => Some(RouteCache::Off),
            RawCache { default_ttl_s: None, .. } => Some(RouteCache::Standard),
            RawCache { default_ttl_s: Some(seconds), .. } => match seconds.value {
                0..=DEFAULT_TTL_S_MAX => Some(RouteCache::DefaultTtl(seconds.value as u32)),
                other => {
                    let message = format!("default_ttl_s is {other}; it lies between 0 and {DEFAULT_TTL_S_MAX}");
                    self.problems.add(code::BAD_VALUE, &seconds.span, message);
                    None
                }
            },
        }
    }
}
