//! Upstreams of the manifest → the plan's, and what routes say of them.

use base::limits::UPSTREAM;
use base::{ResourceName, UpstreamLimits};

use super::{Compiler, bad_name, shorten};
use crate::bounds::UPSTREAM_TARGETS;
use crate::egress::{EgressRule, Scheme};
use crate::plan::UpstreamIndex;
use crate::raw::{RawTarget, RawUpstream, Spanned};
use crate::report::{Problems, code, suggest};
use crate::upstream::{
    BalancePlan, HashKey, HealthPlan, HostPlan, TargetPlan, UpstreamPlan, UpstreamTls, WEIGHT_MAX, is_service,
    is_socket, is_target,
};

const WEIGHTS_TO: i64 = WEIGHT_MAX as i64;
const TARGET_HELP: &str =
    "a target is a scheme, a host and a port, such as \"http://127.0.0.1:9000\", or a socket: \"unix:/run/app.sock\"";
const HASH_HELP: &str = "it is one of: \"path\", \"client\", \"header:NAME\", \"cookie:NAME\"";

/// RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

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
        let (balance, sticky) = (self.balance(raw), self.sticky(raw));
        let retry_on = self.statuses(&raw.retry_on, "retry_on", 400);
        let health = self.health(raw);
        let tls = self.upstream_tls(raw);
        let host = self.host_asked(raw);
        self.check_services(raw);
        let parent = self.parent(raw);
        let mut limits = UpstreamLimits::default();
        self.limits(&raw.limits, UPSTREAM, None, |name, value| limits.set(name, value));
        Some(UpstreamPlan {
            name: name?,
            targets: targets.into_iter().collect::<Option<_>>()?,
            balance: balance?,
            sticky: sticky?,
            retry_on: retry_on?,
            health: health?,
            tls: tls?,
            parent: parent?,
            early_hints: raw.early_hints,
            host: host?,
            limits,
        })
    }

    fn target(&mut self, raw: &RawTarget) -> Option<TargetPlan> {
        let text = &raw.url;
        let weight = match raw.weight.as_ref().map_or(1, |weight| weight.value) {
            weight @ 1..=WEIGHTS_TO => Some(weight as u32),
            other => {
                let span = &raw.weight.as_ref().unwrap_or(&Spanned::new(1, text.span.clone())).span.clone();
                let message = format!("the weight {other} lies not between 1 and {WEIGHT_MAX}");
                self.problems.add(code::BAD_VALUE, span, message);
                None
            }
        };
        let (socket, socket_h2c) = match text.value.strip_prefix("h2c+unix:") {
            Some(path) => (Some(path), true),
            None => (text.value.strip_prefix("unix:"), false),
        };
        if let Some(path) = socket {
            return self.socket(text, path, weight?, socket_h2c);
        }
        let (plain, srv) = match text.value.strip_prefix("srv+") {
            Some(rest) => (rest, true),
            None => (text.value.as_str(), false),
        };
        let (url, h2c) = match plain.strip_prefix("h2c://") {
            Some(rest) => (format!("http://{rest}"), true),
            None => (plain.to_owned(), false),
        };
        let message = match EgressRule::parse(url.trim_end_matches('/')) {
            Ok(server) if srv && !is_service(&server) => {
                format!("the target `{}` is no service: it has a port, or no name", shorten(&text.value))
            }
            Ok(server) if is_target(&server) => {
                return Some(TargetPlan { server, weight: weight?, h2c, srv, unix: None });
            }
            Ok(EgressRule::Host { scheme: Some(_), .. }) => {
                format!("the target `{}` speaks no HTTP", shorten(&text.value))
            }
            Ok(_) => format!("the target `{}` has no scheme", shorten(&text.value)),
            Err(error) => format!("`{}` is no target: {error}", shorten(&text.value)),
        };
        self.problems.add(code::BAD_VALUE, &text.span, message).help = Some(TARGET_HELP.to_owned());
        None
    }

    /// A server on this machine, at a socket of the file system.
    fn socket(&mut self, text: &Spanned<String>, path: &str, weight: u32, h2c: bool) -> Option<TargetPlan> {
        if is_socket(path) {
            let server = EgressRule::Host { scheme: Some(Scheme::Http), host: "localhost".to_owned(), port: None };
            return Some(TargetPlan { server, weight, h2c, srv: false, unix: Some(path.to_owned()) });
        }
        let message = format!("the target `{}` names no socket", shorten(&text.value));
        self.problems.add(code::BAD_VALUE, &text.span, message).help = Some(
            "behind unix: or h2c+unix: stands the absolute path of a socket, of at most 107 bytes and without spaces: \
             \"unix:/run/app.sock\""
                .to_owned(),
        );
        None
    }

    fn balance(&mut self, raw: &RawUpstream) -> Option<BalancePlan> {
        let named = raw.balance.as_ref().map_or("round_robin", |balance| balance.value.as_str());
        let hashed = match named {
            "round_robin" => Err(BalancePlan::RoundRobin),
            "least_requests" => Err(BalancePlan::LeastRequests),
            "two_choices" => Err(BalancePlan::TwoChoices),
            "ketama" => Ok(BalancePlan::Ketama as fn(HashKey) -> BalancePlan),
            "maglev" => Ok(BalancePlan::Maglev as fn(HashKey) -> BalancePlan),
            other => {
                let span = raw.balance.as_ref().map(|balance| balance.span.clone()).unwrap_or_default();
                let message = format!("`{}` is no way to choose a target", shorten(other));
                self.problems.add(code::BAD_VALUE, &span, message).help = suggest(
                    other,
                    ["round_robin", "least_requests", "two_choices", "ketama", "maglev"],
                    "it is one of",
                );
                return None;
            }
        };
        match (hashed, &raw.hash) {
            (Err(balance), None) => Some(balance),
            (Ok(balance), Some(key)) => self.hash_key(key).map(balance),
            (Err(_), Some(key)) => {
                let message = format!("`hash` has no meaning for {named}");
                self.problems.add(code::BAD_VALUE, &key.span, message).help =
                    Some("it is the key of balance = \"ketama\" and \"maglev\"".to_owned());
                None
            }
            (Ok(_), None) => {
                let message = format!("{named} needs a key: `hash`");
                self.problems.add(code::MISSING_FIELD, &raw.name.span, message).help = Some(HASH_HELP.to_owned());
                None
            }
        }
    }

    fn hash_key(&mut self, text: &Spanned<String>) -> Option<HashKey> {
        match text.value.split_once(':') {
            None if text.value == "path" => return Some(HashKey::Path),
            None if text.value == "client" => return Some(HashKey::Client),
            Some(("header", name)) if is_token(name) => return Some(HashKey::Header(name.to_ascii_lowercase())),
            Some(("cookie", name)) if is_token(name) => return Some(HashKey::Cookie(name.to_owned())),
            _ => {}
        }
        let message = format!("`{}` is no key", shorten(&text.value));
        self.problems.add(code::BAD_VALUE, &text.span, message).help = Some(HASH_HELP.to_owned());
        None
    }

    fn sticky(&mut self, raw: &RawUpstream) -> Option<Option<String>> {
        match &raw.sticky {
            Some(name) if !is_token(&name.value) => {
                let message = format!("`{}` is no name of a cookie", shorten(&name.value));
                self.problems.add(code::BAD_VALUE, &name.span, message);
                None
            }
            name => Some(name.as_ref().map(|name| name.value.clone())),
        }
    }

    fn statuses(&mut self, raw: &[Spanned<i64>], field: &str, min: i64) -> Option<Vec<u16>> {
        let mut all = Some(Vec::with_capacity(raw.len()));
        for status in raw {
            match status.value {
                value if (min..=599).contains(&value) => all.iter_mut().for_each(|all| all.push(value as u16)),
                other => {
                    let message = format!("{other} is no status for {field}, which lie between {min} and 599");
                    self.problems.add(code::BAD_VALUE, &status.span, message);
                    all = None;
                }
            }
        }
        all
    }

    fn health(&mut self, raw: &RawUpstream) -> Option<Option<HealthPlan>> {
        let Some(health) = &raw.health else { return Some(None) };
        let status = self.statuses(&health.status, "status", 100);
        let path = &health.path;
        let is_path =
            path.value.starts_with('/') && path.value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !is_path {
            let message = format!("`{}` is no path", shorten(&path.value));
            self.problems.add(code::BAD_VALUE, &path.span, message).help =
                Some("it begins with a slash, and what is not ASCII is percent-encoded".to_owned());
        }
        (is_path && status.is_some()).then(|| status.map(|status| HealthPlan { path: path.value.clone(), status }))
    }

    fn upstream_tls(&mut self, raw: &RawUpstream) -> Option<Option<UpstreamTls>> {
        let Some(tls) = &raw.tls else { return Some(None) };
        let ca = match &tls.ca {
            Some(pem) => Some(self.authorities(pem)?),
            None => None,
        };
        let server_name = match &tls.server_name {
            Some(name) if matches!(EgressRule::parse(&name.value), Ok(EgressRule::Host { port: None, .. })) => {
                Some(name.value.to_ascii_lowercase())
            }
            Some(name) => {
                let message = format!("`{}` is no host name", shorten(&name.value));
                self.problems.add(code::BAD_VALUE, &name.span, message);
                return None;
            }
            None => None,
        };
        let certificate = match &tls.certificate {
            Some(secret) => Some(self.resource(secret, "a secret")?),
            None => None,
        };
        Some(Some(UpstreamTls { ca, server_name, certificate }))
    }

    fn host_asked(&mut self, raw: &RawUpstream) -> Option<HostPlan> {
        let Some(host) = &raw.host else { return Some(HostPlan::Target) };
        match host.value.as_str() {
            "target" => return Some(HostPlan::Target),
            "client" => return Some(HostPlan::Client),
            name if matches!(EgressRule::parse(name), Ok(EgressRule::Host { scheme: None, .. })) => {
                return Some(HostPlan::Named(name.to_ascii_lowercase()));
            }
            _ => {}
        }
        let message = format!("`{}` is no host name", shorten(&host.value));
        self.problems.add(code::BAD_VALUE, &host.span, message).help =
            Some("it is \"target\", \"client\", or a name such as \"app.example.com\"".to_owned());
        None
    }

    /// Whom it asks first. That its parent has none itself is for [`check_parents`] to say.
    fn parent(&mut self, raw: &RawUpstream) -> Option<Option<UpstreamIndex>> {
        let Some(name) = &raw.parent else { return Some(None) };
        if name.value == raw.name.value {
            let message = format!("the upstream `{}` can't be its own parent", shorten(&name.value));
            self.problems.add(code::BAD_VALUE, &name.span, message);
            return None;
        }
        if let Some(at) = self.upstreams.iter().position(|known| *known == name.value) {
            return Some(Some(UpstreamIndex(at as u16)));
        }
        let message = format!("the parent `{}` does not exist", shorten(&name.value));
        let known = self.upstreams.iter().filter(|known| **known != raw.name.value).map(String::as_str);
        self.problems.add(code::UNKNOWN_UPSTREAM, &name.span, message).help =
            suggest(&name.value, known, "the upstreams are");
        None
    }

    /// Whoever answers for a service's name in DNS could name a server of their own: its certificate has to be
    /// for a name that the manifest says.
    fn check_services(&mut self, raw: &RawUpstream) {
        let named = raw.tls.as_ref().is_some_and(|tls| tls.server_name.is_some());
        if let Some(target) = raw.targets.iter().find(|target| target.url.value.starts_with("srv+https://") && !named) {
            let message = format!("the target `{}` needs `tls.server_name`", shorten(&target.url.value));
            self.problems.add(code::MISSING_FIELD, &target.url.span, message).help =
                Some("say whose certificate its servers show: tls = { server_name = \"api.internal\" }".to_owned());
        }
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

/// A parent asks its own servers and nobody else: a chain of tiers is made of nodes, each with its own manifest.
pub(super) fn check_parents(raw: &[RawUpstream], problems: &mut Problems) {
    for upstream in raw {
        let Some(name) = &upstream.parent else { continue };
        let parent = raw.iter().find(|other| other.name.value == name.value && other.name.value != upstream.name.value);
        if parent.is_some_and(|parent| parent.parent.is_some()) {
            let message = format!("the parent `{}` has a parent itself", shorten(&name.value));
            problems.add(code::BAD_VALUE, &name.span, message).help =
                Some("let the node that it leads to name the next one in its own manifest".to_owned());
        }
    }
}
