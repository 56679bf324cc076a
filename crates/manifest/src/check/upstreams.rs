//! Upstreams of the manifest → the plan's, and what routes say of them.

use base::ResourceName;

use super::{Compiler, bad_name, shorten};
use crate::bounds::UPSTREAM_TARGETS;
use crate::egress::EgressRule;
use crate::plan::{UpstreamIndex, UpstreamPlan, is_target};
use crate::raw::{RawUpstream, Spanned};
use crate::report::{code, suggest};

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
}
