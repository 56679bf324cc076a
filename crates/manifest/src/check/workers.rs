//! A worker of the manifest → its plan.

use std::collections::BTreeMap;

use base::{BindingName, ClassName, ResourceName, WorkerLimits, WorkerName};

use super::{Compiler, Seen, bad_name, shorten};
use crate::bounds::{BINDINGS, EGRESS_RULES, ENTRYPOINT_BYTES, VAR_BYTES, VARS, WARM_BYTES};
use crate::egress::{EgressRule, is_unnameable};
use crate::origin::{ExportUse, PathRole, PathUse};
use crate::plan::{Binding, Grant, Isolation, Var, WorkerKind, WorkerPlan};
use crate::raw::{BindingKind, RawBinding, RawManifest, RawVar, RawWorker, Spanned};
use crate::report::{code, suggest};
use crate::tree::Value;

/// The endings of entry files.
const SCRIPT_ENDINGS: [&str; 6] = ["js", "mjs", "ts", "mts", "jsx", "tsx"];

impl Compiler<'_, '_> {
    /// None if something of it is wrong; that is reported.
    pub(super) fn worker(&mut self, raw: &RawWorker) -> Option<WorkerPlan> {
        let name = match WorkerName::parse(&raw.name.value) {
            Ok(name) => Some(name),
            Err(error) => {
                bad_name(self.problems, &raw.name, "a worker", &error);
                None
            }
        };
        let entry = self.entry(raw, name.as_ref());
        let kind = entry.as_ref().map(|(_, kind)| *kind);
        let isolation = self.isolation(raw, kind);
        let warm = self.warm(raw, kind);
        let mut bindings = self.bindings(raw);
        let mut vars = self.vars(raw);
        self.check_clashes(raw);
        self.dev_vars(&mut vars, &mut bindings);
        let egress = self.egress(raw);
        let mut limits = WorkerLimits::default();
        self.limits(&raw.limits, base::limits::WORKER, name.as_ref(), |name, value| limits.set(name, value));
        let (entry, kind) = entry?;
        let (name, isolation) = (name?, isolation?);
        Some(WorkerPlan {
            name,
            entry,
            kind,
            isolation,
            warm,
            vars,
            bindings,
            egress,
            limits,
            server_timing: raw.server_timing,
            build: raw.build.clone(),
        })
    }

    fn entry(&mut self, raw: &RawWorker, name: Option<&WorkerName>) -> Option<(String, WorkerKind)> {
        // One that is not there is reported by the reader.
        let entry = raw.entry.as_ref()?;
        let path = self.path(entry, "the entry file")?;
        let ending = path.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map_or("", |(_, ending)| ending);
        let kind = match ending {
            "wasm" => WorkerKind::Component,
            _ if SCRIPT_ENDINGS.contains(&ending) => WorkerKind::Script,
            _ => {
                let message = format!("what kind of file is `{}`? Its ending does not say so", shorten(&path));
                self.problems.add(code::BAD_VALUE, &entry.span, message).help = Some(
                    "a script ends in .js, .mjs, .ts, .mts, .jsx or .tsx, a WebAssembly component in .wasm".to_owned(),
                );
                return None;
            }
        };
        if let Some(name) = name {
            let place = self.problems.file.place(entry.span.clone());
            self.origins.paths.push(PathUse { path: path.clone(), role: PathRole::Entry(name.clone()), place });
        }
        Some((path, kind))
    }

    fn isolation(&mut self, raw: &RawWorker, kind: Option<WorkerKind>) -> Option<Isolation> {
        let Some(text) = &raw.isolation else {
            return Some(if kind == Some(WorkerKind::Component) { Isolation::Request } else { Isolation::Shared });
        };
        match text.value.as_str() {
            "request" => Some(Isolation::Request),
            "shared" if kind == Some(WorkerKind::Component) => {
                let message = "a component can't be shared: each request gets an instance of its own";
                self.problems.add(code::BAD_VALUE, &text.span, message).help =
                    Some("leave `isolation` out, or write \"request\"".to_owned());
                None
            }
            "shared" => Some(Isolation::Shared),
            other => {
                let message = format!("`{}` is no isolation", shorten(other));
                self.problems.add(code::BAD_VALUE, &text.span, message).help =
                    suggest(other, ["shared", "request"], "it is one of");
                None
            }
        }
    }

    /// The path of the warm-up request: what stands in a request line, no more.
    fn warm(&mut self, raw: &RawWorker, kind: Option<WorkerKind>) -> Option<String> {
        let path = raw.warm.as_ref()?;
        let is_plain = path.value.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        let (message, help) = if kind == Some(WorkerKind::Component) {
            ("a component has no image that could be warmed up", "leave `warm` out")
        } else if !path.value.starts_with('/') {
            ("`warm` is the path of a request, and begins with a slash", "for example: warm = \"/\"")
        } else if !is_plain || path.value.len() as u64 > WARM_BYTES.max {
            (
                "`warm` is a path with its query as a request carries it: visible ASCII, at most 2048 bytes (warm_bytes)",
                "escape what is no ASCII: %C3%BC",
            )
        } else {
            return Some(path.value.clone());
        };
        self.problems.add(code::BAD_VALUE, &path.span, message).help = Some(help.to_owned());
        None
    }

    fn vars(&mut self, raw: &RawWorker) -> BTreeMap<BindingName, Var> {
        if raw.vars.len() as u64 > VARS.max {
            let message = format!("the worker has {} variables; at most {} (vars)", raw.vars.len(), VARS.max);
            self.problems.add(code::TOO_MANY, &raw.vars[VARS.max as usize].name.span, message);
            return BTreeMap::new();
        }
        raw.vars.iter().filter_map(|var| self.var(var)).collect()
    }

    fn var(&mut self, raw: &RawVar) -> Option<(BindingName, Var)> {
        let name = self.env_name(&raw.name, "a variable")?;
        let (var, bytes) = match &raw.value.value {
            Value::String(text) => (Var::Text(text.clone()), text.len()),
            _ => {
                let Some(json) = raw.value.to_json() else {
                    let message = format!("the variable `{name}` holds a value that JSON has not (a date, inf or nan)");
                    self.problems.add(code::WRONG_TYPE, &raw.value.span, message).help =
                        Some("write it as a string".to_owned());
                    return None;
                };
                let bytes = json.to_string().len();
                (Var::Json(json), bytes)
            }
        };
        if bytes as u64 > VAR_BYTES.max {
            let message = format!("the variable `{name}` has {bytes} bytes; at most {} (var_bytes)", VAR_BYTES.max);
            self.problems.add(code::TOO_LARGE, &raw.name.span, message);
            return None;
        }
        Some((name, var))
    }

    /// A name in `env`.
    fn env_name(&mut self, name: &Spanned<String>, of_what: &str) -> Option<BindingName> {
        let parsed = match BindingName::parse(&name.value) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = format!("`{}` is no name for {of_what}: {error}", shorten(&name.value));
                let problem = self.problems.add(code::BAD_NAME, &name.span, message);
                let nearest = name.value.replace(['-', '.', ' '], "_");
                problem.help = BindingName::parse(&nearest).ok().map(|nearest| format!("for example: {nearest}"));
                return None;
            }
        };
        // An object has these already, and code would find them where no binding is.
        if ["__proto__", "constructor", "prototype"].contains(&parsed.as_str()) {
            let message = format!("{of_what} can't be called `{parsed}`: every object has one");
            self.problems.add(code::RESERVED_NAME, &name.span, message);
            return None;
        }
        if parsed.as_str().starts_with("SELVEDGE_") {
            let message = format!("{of_what} can't be called `{parsed}`: names with SELVEDGE_ belong to the platform");
            self.problems.add(code::RESERVED_NAME, &name.span, message);
            return None;
        }
        Some(parsed)
    }

    fn bindings(&mut self, raw: &RawWorker) -> Vec<Binding> {
        if raw.bindings.len() as u64 > BINDINGS.max {
            let message =
                format!("the worker has {} bindings; at most {} (bindings)", raw.bindings.len(), BINDINGS.max);
            self.problems.add(code::TOO_MANY, &raw.bindings[BINDINGS.max as usize].name.span, message);
            return Vec::new();
        }
        let mut bindings: Vec<_> = raw.bindings.iter().filter_map(|b| self.binding(b, &raw.name)).collect();
        bindings.sort_by(|a, b| a.name.cmp(&b.name));
        bindings
    }

    fn binding(&mut self, raw: &RawBinding, own: &Spanned<String>) -> Option<Binding> {
        let name = self.env_name(&raw.name, "a binding");
        let grant = match raw.kind {
            BindingKind::Kv => Grant::Kv { namespace: self.resource(&raw.target, "a KV namespace")? },
            BindingKind::Blob => Grant::Blob { bucket: self.resource(&raw.target, "a blob bucket")? },
            BindingKind::Secret => {
                Grant::Secret { secret: self.resource(&raw.target, "a secret")?, previous: raw.previous }
            }
            BindingKind::Config => Grant::Config {
                config: self.resource(&raw.target, "a configuration value")?,
                default: raw.default.as_ref().map(|default| default.value.clone()),
            },
            BindingKind::Sql => self.sql(raw)?,
            BindingKind::Worker => {
                let user = format!("the binding `{}`", shorten(&raw.name.value));
                let worker = self.worker_index(&raw.target, &user)?;
                let (entrypoint, props) = (self.entrypoint(raw), self.props(raw));
                let (entrypoint, props) = (entrypoint?, props?);
                if let (Some(binding), Some(export), Some(at)) = (&name, &entrypoint, &raw.entrypoint) {
                    let (binding, export) = (binding.clone(), export.clone());
                    let place = self.problems.file.place(at.span.clone());
                    self.origins.exports.push(ExportUse { binding, worker, export, place });
                }
                Grant::Worker { worker, entrypoint, props }
            }
            BindingKind::Object => self.object(raw, name.as_ref(), own)?,
            BindingKind::Assets => Grant::Assets { assets: self.assets_index(&raw.target, None)? },
            BindingKind::Postgres => self.postgres_grant(&raw.target)?,
        };
        Some(Binding { name: name?, grant })
    }

    /// A class of durable objects: an export of this worker, or of the one that is named.
    fn object(&mut self, raw: &RawBinding, name: Option<&BindingName>, own: &Spanned<String>) -> Option<Grant> {
        let class = match ClassName::parse(&raw.target.value) {
            Ok(class) => class,
            Err(error) => {
                bad_name(self.problems, &raw.target, "a class of objects", &error);
                return None;
            }
        };
        let user = format!("the binding `{}`", shorten(&raw.name.value));
        let worker = self.worker_index(raw.worker.as_ref().unwrap_or(own), &user)?;
        if let Some(binding) = name {
            let place = self.problems.file.place(raw.target.span.clone());
            let (binding, export) = (binding.clone(), class.to_string());
            self.origins.exports.push(ExportUse { binding, worker, export, place });
        }
        Some(Grant::Object { class, worker })
    }

    /// A class is the app's, and one worker exports it; components have none.
    pub(super) fn check_classes(&mut self, raw: &RawManifest, workers: &[Option<WorkerPlan>]) {
        let mut seen: BTreeMap<&str, (&str, &RawBinding)> = BTreeMap::new();
        for worker in &raw.workers {
            for binding in worker.bindings.iter().filter(|b| b.kind == BindingKind::Object) {
                let at = binding.worker.as_ref().unwrap_or(&worker.name);
                let span = binding.worker.as_ref().map_or(&binding.target.span, |worker| &worker.span);
                let exporter = workers.iter().flatten().find(|w| w.name.as_str() == at.value);
                if exporter.is_some_and(|exporter| exporter.kind == WorkerKind::Component) {
                    let message = format!("`{}` is a component, which has no classes of objects", shorten(&at.value));
                    self.problems.add(code::BAD_BINDING, span, message).help =
                        Some("name the script that exports the class: worker = \"…\"".to_owned());
                    continue;
                }
                let (first, earlier) = *seen.entry(&binding.target.value).or_insert((&at.value, binding));
                if first == at.value {
                    continue;
                }
                let class = shorten(&binding.target.value);
                let message = format!("the class `{class}` can't be both `{first}`'s and `{}`'s", shorten(&at.value));
                let problem = self.problems.add(code::BAD_BINDING, span, message);
                problem.also = Some((earlier.target.span.clone(), "bound here".to_owned()));
                problem.help =
                    Some(format!("say which worker exports it: {{ object = \"{class}\", worker = \"{first}\" }}"));
            }
        }
    }

    /// A component has no exports to choose from, and no `ctx`.
    pub(super) fn check_entrypoints(&mut self, raw: &RawManifest, workers: &[Option<WorkerPlan>]) {
        let is_component =
            |name: &str| workers.iter().flatten().any(|w| w.name.as_str() == name && w.kind == WorkerKind::Component);
        let bindings = raw.workers.iter().flat_map(|w| &w.bindings).filter(|b| b.kind == BindingKind::Worker);
        for binding in bindings.filter(|b| is_component(&b.target.value)) {
            let entrypoint = binding.entrypoint.as_ref().map(|e| ("entrypoint", &e.span));
            let Some((what, span)) = entrypoint.or(binding.props.as_ref().map(|p| ("props", &p.span))) else {
                continue;
            };
            let message = format!("`{what}` is for scripts, and `{}` is a component", shorten(&binding.target.value));
            self.problems.add(code::BAD_BINDING, span, message).help = Some("leave it out".to_owned());
        }
    }

    /// The export that a binding names. None if it can't be one; that is reported.
    fn entrypoint(&mut self, raw: &RawBinding) -> Option<Option<String>> {
        let Some(name) = &raw.entrypoint else { return Some(None) };
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
        let is_name = name.value.chars().all(is_part) && !name.value.starts_with(|c: char| c.is_ascii_digit());
        if name.value.is_empty() || !is_name || name.value.len() > ENTRYPOINT_BYTES.max as usize {
            let message = format!("`{}` can't be the name of an export", shorten(&name.value));
            self.problems.add(code::BAD_BINDING, &name.span, message).help =
                Some("name a class that the worker exports: entrypoint = \"Admin\"".to_owned());
            return None;
        }
        Some(Some(name.value.clone()).filter(|name| name != "default"))
    }

    fn props(&mut self, raw: &RawBinding) -> Option<Option<serde_json::Value>> {
        let Some(node) = &raw.props else { return Some(None) };
        let Some(json) = node.to_json().filter(serde_json::Value::is_object) else {
            let message = "`props` must be a table of values that JSON has";
            self.problems.add(code::WRONG_TYPE, &node.span, message);
            return None;
        };
        let bytes = json.to_string().len() as u64;
        if bytes > VAR_BYTES.max {
            let message = format!("`props` has {bytes} bytes as JSON; at most {} (var_bytes)", VAR_BYTES.max);
            self.problems.add(code::TOO_LARGE, &node.span, message);
            return None;
        }
        Some(Some(json))
    }

    pub(super) fn resource(&mut self, target: &Spanned<String>, of_what: &str) -> Option<ResourceName> {
        match ResourceName::parse(&target.value) {
            Ok(name) => Some(name),
            Err(error) => {
                bad_name(self.problems, target, of_what, &error);
                None
            }
        }
    }

    /// A name of `env` stands for one thing.
    fn check_clashes(&mut self, raw: &RawWorker) {
        let vars = raw.vars.iter().map(|v| (&v.name, "a variable"));
        let bindings = raw.bindings.iter().map(|b| (&b.name, "a binding"));
        let mut seen = Seen::new();
        for (name, what) in vars.chain(bindings) {
            let Some(first) = seen.insert(name.value.clone(), name.span.clone()) else { continue };
            let message = format!("`{}` already stands for something else in `env`", shorten(&name.value));
            let problem = self.problems.add(code::NAME_CLASH, &name.span, message);
            problem.label = Some(format!("{what} of this name"));
            problem.also = Some((first, "taken here".to_owned()));
            problem.help = Some("rename one of them".to_owned());
        }
    }

    /// What `.dev.vars` says stands over variables and in for secrets; other bindings stay.
    fn dev_vars(&mut self, vars: &mut BTreeMap<BindingName, Var>, bindings: &mut Vec<Binding>) {
        let context = self.context;
        for (name, (value, place)) in &context.dev_vars.vars {
            if let Some(at) = bindings.iter().position(|b| b.name == *name) {
                if let Grant::Postgres { dev_url, .. } = &mut bindings[at].grant {
                    *dev_url = Some(value.clone());
                    continue;
                }
                if !matches!(bindings[at].grant, Grant::Secret { .. } | Grant::Config { .. }) {
                    let message = format!("`{name}` is a binding in {}, and no secret", context.manifest);
                    let problem = crate::report::Diagnostic::new(code::NAME_CLASH, message)
                        .at(place.clone())
                        .help("a value from this file can stand in for a variable, a secret, a configuration value or the URL of a database; rename it");
                    self.problems.report.problems.push(problem);
                    continue;
                }
                bindings.remove(at);
            }
            vars.insert(name.clone(), Var::Dev(value.clone()));
        }
    }

    fn egress(&mut self, raw: &RawWorker) -> Vec<EgressRule> {
        let Some(texts) = &raw.egress else { return vec![EgressRule::Public] };
        if texts.len() as u64 > EGRESS_RULES.max {
            let message =
                format!("the worker has {} egress rules; at most {} (egress_rules)", texts.len(), EGRESS_RULES.max);
            self.problems.add(code::TOO_MANY, &texts[EGRESS_RULES.max as usize].span, message);
            return Vec::new();
        }
        let mut rules = Vec::with_capacity(texts.len());
        for text in texts {
            match self.egress_rule(text) {
                Some(rule) if !rules.contains(&rule) => rules.push(rule),
                _ => {}
            }
        }
        rules
    }

    fn egress_rule(&mut self, text: &Spanned<String>) -> Option<EgressRule> {
        let shown = shorten(&text.value);
        match EgressRule::parse(&text.value) {
            Ok(EgressRule::Host { host, .. }) if is_unnameable(&host) => {
                let message = format!("`{shown}` can't be reached: {host} is no address of one machine");
                self.problems.add(code::BAD_EGRESS, &text.span, message);
                None
            }
            // One label is a legal host, but more often a keyword that does not exist.
            Ok(EgressRule::Host { scheme: None, host, port: None }) if NO_KEYWORDS.contains(&host.as_str()) => {
                let message = format!("`{shown}` is no egress rule");
                self.problems.add(code::BAD_EGRESS, &text.span, message).help = Some(
                    "write \"public\" for the internet, [] for nowhere, and name private targets one by one, such as \
                     \"http://10.0.0.7:9000\" or \"10.0.0.0/8\""
                        .to_owned(),
                );
                None
            }
            Ok(rule) => Some(rule),
            Err(error) => {
                let message = format!("`{shown}` is no egress rule: {error}");
                self.problems.add(code::BAD_EGRESS, &text.span, message).help =
                    Some("write \"public\", a host, a URL without a path, or a network".to_owned());
                None
            }
        }
    }
}

/// What people write for a rule that does not exist.
const NO_KEYWORDS: [&str; 6] = ["none", "all", "any", "private", "internet", "internal"];
