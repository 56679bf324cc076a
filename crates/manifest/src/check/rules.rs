//! What a route does beside leading somewhere: raw → [`Rules`].

use super::when::{field_name, token};
use super::{Compiler, shorten};
use crate::bounds::{ASSETS, FIELD_RULES, MAINTENANCE_BYTES, SIDES, TEMPLATE_BYTES};
use crate::origin::PathRole;
use crate::plan::{AssetsIndex, BucketIndex};
use crate::raw::fields::{self, Field};
use crate::raw::{RawRoute, Reader, Spanned};
use crate::report::{code, suggest};
use crate::route::rules::{
    Failover, FieldRules, Maintenance, Middleware, Mirror, Position, Redirect, Rewrite, Rules, Side, Split, SplitBy,
    StandIn, WHOLE,
};
use crate::route::template::{PLACES, Template};
use crate::route::{PathPattern, RouteCache, Target};
use crate::tree::{Entry, Table, Value};

/// A year.
const SECONDS_MAX: i64 = 31_536_000;
const TIMEOUT_MS_MAX: i64 = 3_600_000;
const BODY_BYTES_MAX: i64 = 1 << 40;

/// Fields that frame a message or belong to its connection, and those that the node writes itself.
const NOT_CHANGED: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
];

impl Compiler<'_, '_> {
    /// None without any. What is wrong is reported, and left out.
    pub(super) fn rules(&mut self, raw: &RawRoute, path: Option<&PathPattern>) -> Option<Rules> {
        let mut rules = Rules::default();
        for entry in &raw.rules {
            match entry.key.as_str() {
                "maintenance" => rules.maintenance = self.maintenance(entry),
                "redirect" => rules.redirect = self.redirect(entry, path),
                "redirects" => rules.redirects = self.redirects_file(entry),
                "split" => rules.split = self.split(entry),
                "failover" => rules.failover = self.failover(entry),
                "mirror" => rules.mirror = self.mirror(entry),
                "middleware" => rules.middleware = self.middleware(entry),
                "rewrite" => rules.rewrite = self.rewrite(entry, path).unwrap_or_default(),
                "request_headers" => rules.request_headers = self.field_rules(entry, path).unwrap_or_default(),
                "response_headers" => rules.response_headers = self.field_rules(entry, path).unwrap_or_default(),
                "timeout_ms" => rules.timeout_ms = self.number(entry, 1..=TIMEOUT_MS_MAX),
                "max_body_bytes" => rules.max_body_bytes = self.number(entry, 0..=BODY_BYTES_MAX),
                _ => {}
            }
        }
        (rules != Rules::default()).then_some(rules)
    }

    fn number(&mut self, entry: &Entry, range: std::ops::RangeInclusive<i64>) -> Option<u64> {
        let mut reader = Reader { problems: self.problems };
        match entry.node.value {
            Value::Integer(value) if range.contains(&value) => u64::try_from(value).ok(),
            Value::Integer(value) => {
                let (key, start, end) = (&entry.key, range.start(), range.end());
                let message = format!("{key} is {value}; it lies between {start} and {end}");
                reader.problems.add(code::BAD_VALUE, &entry.node.span, message);
                None
            }
            _ => reader.wrong_type(&entry.key, "an integer", &entry.node),
        }
    }

    fn table_with<'t>(&mut self, entry: &'t Entry, known: &[Field]) -> Option<&'t Table> {
        let mut reader = Reader { problems: self.problems };
        let table = reader.table_of(&entry.key, &entry.node)?;
        reader.check_fields(table, known, &format!("`{}`", entry.key));
        Some(table)
    }

    fn string(&mut self, table: &Table, key: &str) -> Option<Spanned<String>> {
        Reader { problems: self.problems }.string(table, key)
    }

    fn maintenance(&mut self, entry: &Entry) -> Option<Maintenance> {
        match entry.node.value {
            Value::Bool(true) => return Some(Maintenance { page: None, retry_after_s: None, allow: None }),
            Value::Bool(false) => return None,
            _ => {}
        }
        let table = self.table_with(entry, fields::MAINTENANCE)?;
        let mut reader = Reader { problems: self.problems };
        // So that it can be switched without being written anew.
        if reader.bool(table, "on") == Some(false) {
            return None;
        }
        let page = reader.string(table, "page");
        if let Some(page) = page.as_ref().filter(|page| page.value.len() as u64 > MAINTENANCE_BYTES.max) {
            let (found, max) = (page.value.len(), MAINTENANCE_BYTES.max);
            let message = format!("the page has {found} bytes; at most {max} (maintenance_bytes)");
            reader.problems.add(code::BAD_VALUE, &page.span, message);
        }
        let seconds = table.get("retry_after_s").and_then(|entry| self.number(entry, 0..=SECONDS_MAX));
        let allow = table.get("allow").and_then(|entry| self.when(entry));
        Some(Maintenance { page: page.map(|page| page.value), retry_after_s: seconds.map(|s| s as u32), allow })
    }

    /// A text that may name parts of the request.
    pub(super) fn template(&mut self, text: &Spanned<String>, path: Option<&PathPattern>) -> Option<Template> {
        if text.value.len() as u64 > TEMPLATE_BYTES.max {
            let (found, max) = (text.value.len(), TEMPLATE_BYTES.max);
            let message = format!("the text has {found} bytes; at most {max} (template_bytes)");
            self.problems.add(code::BAD_VALUE, &text.span, message);
            return None;
        }
        if text.value.bytes().any(|b| b.is_ascii_control()) {
            self.problems.add(code::BAD_VALUE, &text.span, "a control character can stand in no field and no path");
            return None;
        }
        let template = match Template::parse(&text.value) {
            Ok(template) => template,
            Err(error) => {
                self.problems.add(code::BAD_VALUE, &text.span, format!("`{}`: {error}", shorten(&text.value)));
                return None;
            }
        };
        let captured: Vec<&str> = path.into_iter().flat_map(PathPattern::captured).collect();
        let known = || captured.iter().copied().chain(PLACES);
        // Without its pattern, nothing can be said of the names.
        let unknown = template.places().find(|name| path.is_some() && !known().any(|known| known == *name));
        if let Some(name) = unknown {
            let names: Vec<&str> = known().collect();
            let help = suggest(name, names.iter().copied(), "there are");
            let message = format!("nothing of the pattern or the request is called `{}`", shorten(name));
            self.problems.add(code::BAD_VALUE, &text.span, message).help = help;
            return None;
        }
        Some(template)
    }

    fn redirect(&mut self, entry: &Entry, path: Option<&PathPattern>) -> Option<Redirect> {
        let (to, status, keep_query) = match &entry.node.value {
            Value::String(text) => (Some(Spanned::new(text.clone(), entry.node.span.clone())), None, None),
            _ => {
                let table = self.table_with(entry, fields::REDIRECT)?;
                let mut reader = Reader { problems: self.problems };
                (reader.string(table, "to"), reader.integer(table, "status"), reader.bool(table, "keep_query"))
            }
        };
        let Some(to) = to else {
            self.problems.add(code::MISSING_FIELD, &entry.node.span, "the redirect has no `to`");
            return None;
        };
        let status_code = status.as_ref().map_or(302, |status| status.value);
        if !matches!(status_code, 301 | 302 | 303 | 307 | 308) {
            let span = status.map_or(entry.node.span.clone(), |status| status.span);
            let message = format!("{status_code} is no status of a redirect; those are 301, 302, 303, 307 and 308");
            self.problems.add(code::BAD_VALUE, &span, message);
            return None;
        }
        let template = self.template(&to, path)?;
        if !has_literal_host(&template) {
            let message = "a redirect leads to a path, or to a URL whose host is written out";
            self.problems.add(code::BAD_REDIRECT, &to.span, message).help =
                Some("a client could else choose the host: write \"/new/{*}\" or \"https://example.com/{*}\"".into());
            return None;
        }
        Some(Redirect { to: template, status: status_code as u16, keep_query: keep_query.unwrap_or(true) })
    }

    /// A file beside the manifest, which is published as a directory of assets would be.
    fn redirects_file(&mut self, entry: &Entry) -> Option<AssetsIndex> {
        let named = Reader { problems: self.problems }.string_of(entry)?;
        let path = self.path(&named, "the file of redirects")?;
        if let Some(at) = self.assets.iter().position(|known| known.directory == path) {
            return Some(AssetsIndex(at as u16));
        }
        if self.assets.len() as u64 >= ASSETS.max {
            let message = format!("the app has too many directories and files; at most {} (assets)", ASSETS.max);
            self.problems.add(code::TOO_MANY, &named.span, message);
            return None;
        }
        Some(self.add_assets(&named, path, PathRole::Redirects, Default::default()))
    }

    fn rewrite(&mut self, entry: &Entry, path: Option<&PathPattern>) -> Option<Rewrite> {
        if let Value::String(text) = &entry.node.value {
            let text = Spanned::new(text.clone(), entry.node.span.clone());
            return Some(Rewrite { path: Some(self.rewritten(&text, path)?), ..Rewrite::default() });
        }
        let table = self.table_with(entry, fields::REWRITE)?;
        let to = self.string(table, "path");
        let to = match to {
            Some(text) => Some(self.rewritten(&text, path)?),
            None => None,
        };
        let mut rewrite = Rewrite { path: to, ..Rewrite::default() };
        if let Some(query) = table.get("query") {
            let query = self.table_with(query, fields::REWRITE_QUERY)?;
            if let Some(set) = query.get("set") {
                rewrite.query_set = self.templates(set, path, &|name| Some(name.to_owned()));
            }
            let removed = Reader { problems: self.problems }.strings(query, "remove").unwrap_or_default();
            rewrite.query_remove = removed.into_iter().map(|name| name.value).collect();
        }
        Some(rewrite)
    }

    fn rewritten(&mut self, text: &Spanned<String>, path: Option<&PathPattern>) -> Option<Template> {
        let template = self.template(text, path)?;
        let message = if !template.literal_start().starts_with('/') {
            "a rewritten path begins with a slash"
        } else if text.value.contains(['?', '#', ' ', '\\']) || !text.value.is_ascii() {
            "a rewritten path has no query, no fragment, and only what a path may hold; the query is `query`"
        } else if text.value.split('/').any(|segment| matches!(segment, "." | "..")) {
            "a rewritten path has no dot segments"
        } else {
            return Some(template);
        };
        self.problems.add(code::BAD_VALUE, &text.span, message);
        None
    }

    /// A table of texts by name.
    fn templates(
        &mut self,
        entry: &Entry,
        path: Option<&PathPattern>,
        name: &dyn Fn(&str) -> Option<String>,
    ) -> Vec<(String, Template)> {
        let Some(table) = Reader { problems: self.problems }.table_of(&entry.key, &entry.node) else {
            return Vec::new();
        };
        let mut good = Vec::new();
        for entry in &table.entries {
            let Some(text) = Reader { problems: self.problems }.string_of(entry) else { continue };
            let Some(name) = name(&entry.key) else {
                self.bad_field(&Spanned::new(entry.key.clone(), entry.key_span.clone()));
                continue;
            };
            if let Some(template) = self.template(&text, path) {
                good.push((name, template));
            }
        }
        good
    }

    fn bad_field(&mut self, name: &Spanned<String>) {
        let message = match token(&name.value) {
            true => format!("the field `{}` is the node's to write", shorten(&name.value)),
            false => format!("`{}` is no name of a field", shorten(&name.value)),
        };
        self.problems.add(code::BAD_VALUE, &name.span, message);
    }

    fn field_rules(&mut self, entry: &Entry, path: Option<&PathPattern>) -> Option<FieldRules> {
        let table = self.table_with(entry, fields::FIELD_RULES)?;
        let mut rules = FieldRules::default();
        if let Some(set) = table.get("set") {
            rules.set = self.templates(set, path, &changed_field);
        }
        if let Some(append) = table.get("append") {
            rules.append = self.templates(append, path, &changed_field);
        }
        let removed = Reader { problems: self.problems }.strings(table, "remove").unwrap_or_default();
        for name in removed {
            match changed_field(&name.value) {
                Some(name) => rules.remove.push(name),
                None => self.bad_field(&name),
            }
        }
        let count = rules.set.len() + rules.append.len() + rules.remove.len();
        if count as u64 > FIELD_RULES.max {
            let message = format!("`{}` changes {count} fields; at most {} (field_rules)", entry.key, FIELD_RULES.max);
            self.problems.add(code::TOO_MANY, &entry.node.span, message);
        }
        Some(rules)
    }

    fn split(&mut self, entry: &Entry) -> Option<Split> {
        let table = self.table_with(entry, fields::SPLIT)?;
        let by = match table.get("by") {
            Some(by) => self.split_by(by)?,
            None => SplitBy::Cookie,
        };
        let items = Reader { problems: self.problems }.array(table, "to").unwrap_or_default();
        if items.is_empty() || items.len() as u64 > SIDES.max {
            let message = format!("a split has 1 to {} sides in `to` (sides), this one has {}", SIDES.max, items.len());
            self.problems.add(code::BAD_ROUTE, &entry.key_span, message).help =
                Some("for example: split = { to = [{ worker = \"new\", percent = 5 }] }".to_owned());
            return None;
        }
        let mut sides = Vec::with_capacity(items.len());
        for node in items {
            let item = Entry { key: "to".to_owned(), key_span: node.span.clone(), node: node.clone() };
            let table = self.table_with(&item, fields::SIDE)?;
            let (target, share) = (self.side_target(&item, table), self.percent(&item, table, None));
            sides.push(Side { target: target?, share: share? });
        }
        if sides.iter().map(|side| side.share).sum::<u32>() > WHOLE {
            self.problems.add(code::BAD_VALUE, &entry.key_span, "the sides of a split have more than 100 percent");
            return None;
        }
        Some(Split { by, sides })
    }

    fn split_by(&mut self, entry: &Entry) -> Option<SplitBy> {
        if let Value::Table(_) = entry.node.value {
            let table = self.table_with(entry, fields::SPLIT_BY)?;
            let (header, cookie) = (self.string(table, "header"), self.string(table, "cookie"));
            return match (header, cookie) {
                (Some(name), None) if token(&name.value) => {
                    Some(SplitBy::Header(field_name(&name.value).unwrap_or_default()))
                }
                (None, Some(name)) if token(&name.value) => Some(SplitBy::AppCookie(name.value)),
                _ => {
                    let message = "`by` names one field or one cookie: { header = \"x-user\" }";
                    self.problems.add(code::BAD_VALUE, &entry.node.span, message);
                    None
                }
            };
        }
        let text = Reader { problems: self.problems }.string_of(entry)?;
        Some(match text.value.as_str() {
            "request" => SplitBy::Request,
            "cookie" => SplitBy::Cookie,
            "client" => SplitBy::Client,
            other => {
                let known = ["request", "cookie", "client"];
                let message = format!("`{}` keeps no client on its side", shorten(other));
                self.problems.add(code::BAD_VALUE, &text.span, message).help = suggest(other, known, "it is one of");
                return None;
            }
        })
    }

    /// `percent`, which may have two decimals; in hundredths of a percent.
    fn percent(&mut self, entry: &Entry, table: &Table, default: Option<u32>) -> Option<u32> {
        let Some(percent) = table.get("percent") else {
            if default.is_none() {
                self.problems.add(code::MISSING_FIELD, &entry.node.span, "a side of a split has no `percent`");
            }
            return default;
        };
        let value = match percent.node.value {
            Value::Integer(value) => value as f64,
            Value::Float(value) => value,
            _ => return Reader { problems: self.problems }.wrong_type("percent", "a number", &percent.node),
        };
        if !(0.0..=100.0).contains(&value) {
            let message = format!("percent is {value}; it lies between 0 and 100");
            self.problems.add(code::BAD_VALUE, &percent.node.span, message);
            return None;
        }
        Some((value * 100.0).round() as u32)
    }

    /// The one target that a table names.
    fn side_target(&mut self, entry: &Entry, table: &Table) -> Option<Target> {
        let user = format!("`{}`", entry.key);
        let named: Vec<&str> =
            ["worker", "assets", "blob", "upstream"].into_iter().filter(|key| table.get(key).is_some()).collect();
        let [kind] = named.as_slice() else {
            let message = format!("{user} leads to one worker, directory, bucket or upstream, not to {}", named.len());
            self.problems.add(code::BAD_ROUTE, &entry.node.span, message);
            return None;
        };
        let name = self.string(table, kind)?;
        Some(match *kind {
            "worker" => Target::Worker(self.worker_index(&name, &user)?),
            "assets" => Target::Assets(self.assets_index(&name, None)?),
            "blob" => {
                let bucket = self.resource(&name, "a blob bucket")?;
                let known = self.buckets.iter().position(|known| *known == bucket);
                let index = known.unwrap_or_else(|| {
                    self.buckets.push(bucket);
                    self.buckets.len() - 1
                });
                Target::Blob(BucketIndex(index as u16))
            }
            _ => Target::Upstream { upstream: self.upstream_index(&name)?, cache: RouteCache::Standard },
        })
    }

    fn failover(&mut self, entry: &Entry) -> Option<Failover> {
        let table = self.table_with(entry, fields::FAILOVER)?;
        let mut target = self.side_target(entry, table)?;
        let files = matches!(target, Target::Assets(_));
        if let Some(only) = ["page", "status", "not_found"].into_iter().find(|key| table.get(key).is_some() && !files) {
            let message = format!("`{only}` of `failover` is about the files of `assets`");
            self.problems.add(code::BAD_ROUTE, &entry.node.span, message);
            return None;
        }
        if let (Some(not_found), Some(directory)) = (self.string(table, "not_found"), table.get("assets")) {
            let not_found = self.not_found_by_name(&not_found)?;
            let named = Reader { problems: self.problems }.string(table, &directory.key)?;
            target = Target::Assets(self.assets_index(&named, Some((not_found, Default::default())))?);
        }
        let page = self.stand_in(table);
        let Some(listed) = Reader { problems: self.problems }.array(table, "on_status") else {
            return Some(Failover { target, statuses: vec![500, 502, 503, 504], page: page? });
        };
        let mut statuses = Vec::with_capacity(listed.len());
        for node in listed {
            match node.value {
                Value::Integer(status @ 400..=599) => statuses.push(status as u16),
                _ => {
                    let message = "a status that counts as failure lies between 400 and 599";
                    self.problems.add(code::BAD_VALUE, &node.span, message);
                }
            }
        }
        Some(Failover { target, statuses, page: page? })
    }

    /// The page that answers everything, and its status: by default one that nobody keeps for the real thing.
    fn stand_in(&mut self, table: &Table) -> Option<Option<StandIn>> {
        let (page, status) = (self.string(table, "page"), Reader { problems: self.problems }.integer(table, "status"));
        let Some(page) = page else {
            if let Some(status) = status {
                let message = "`status` of `failover` is that of its `page`";
                self.problems.add(code::BAD_ROUTE, &status.span, message).help =
                    Some("name the file: page = \"/index.html\"".to_owned());
                return None;
            }
            return Some(None);
        };
        let path = format!("/{}", page.value.trim_start_matches('/'));
        if path == "/" || path.split('/').any(|segment| segment.starts_with('.')) || path.contains(['?', '#', '\\']) {
            let message = format!("`{}` is no path of a file", shorten(&page.value));
            self.problems.add(code::BAD_VALUE, &page.span, message).help =
                Some("it is one in the directory, such as \"/index.html\"".to_owned());
            return None;
        }
        match status.as_ref().map_or(503, |status| status.value) {
            known @ (200 | 400..=599) => Some(Some(StandIn { path, status: known as u16 })),
            other => {
                let message = format!("the status {other} is none of a page that stands in for another");
                let span = status.map(|status| status.span).unwrap_or_default();
                self.problems.add(code::BAD_VALUE, &span, message).help =
                    Some("it is 200, or lies between 400 and 599; 503 if it is left out".to_owned());
                None
            }
        }
    }

    fn mirror(&mut self, entry: &Entry) -> Option<Mirror> {
        let table = self.table_with(entry, fields::MIRROR)?;
        let target = self.side_target(entry, table)?;
        let share = self.percent(entry, table, Some(WHOLE))?;
        let changes = Reader { problems: self.problems }.bool(table, "changes").unwrap_or(false);
        Some(Mirror { target, share, changes })
    }

    fn middleware(&mut self, entry: &Entry) -> Vec<Middleware> {
        let Value::Array(items) = &entry.node.value else {
            Reader { problems: self.problems }.wrong_type::<()>("middleware", "a list of tables", &entry.node);
            return Vec::new();
        };
        if items.len() as u64 > SIDES.max {
            let message = format!("the route has {} workers in front; at most {} (sides)", items.len(), SIDES.max);
            self.problems.add(code::TOO_MANY, &entry.node.span, message);
            return Vec::new();
        }
        items.iter().filter_map(|node| self.one_middleware(node)).collect()
    }

    fn one_middleware(&mut self, node: &crate::tree::Node) -> Option<Middleware> {
        let item = Entry { key: "middleware".to_owned(), key_span: node.span.clone(), node: node.clone() };
        let table = self.table_with(&item, fields::MIDDLEWARE)?;
        let Some(name) = self.string(table, "worker") else {
            self.problems.add(code::MISSING_FIELD, &node.span, "a middleware names its `worker`");
            return None;
        };
        let worker = self.worker_index(&name, "`middleware`")?;
        let position = match self.string(table, "position") {
            None => Position::Request,
            Some(text) => match text.value.as_str() {
                "request" => Position::Request,
                "origin" => Position::Origin,
                other => {
                    let message = format!("`{}` is no place for a middleware", shorten(other));
                    self.problems.add(code::BAD_VALUE, &text.span, message).help =
                        suggest(other, ["request", "origin"], "it is one of");
                    return None;
                }
            },
        };
        Some(Middleware { worker, position })
    }
}

fn changed_field(name: &str) -> Option<String> {
    field_name(name).filter(|name| !NOT_CHANGED.contains(&name.as_str()))
}

/// Whether no place of a template can become a part of the host.
fn has_literal_host(template: &Template) -> bool {
    let start = template.literal_start();
    if start.starts_with('/') {
        return !start.starts_with("//") && !start.starts_with("/\\");
    }
    let Some(rest) = start.strip_prefix("https://").or_else(|| start.strip_prefix("http://")) else { return false };
    let literal = template.pieces.len() == 1;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let ended = host.len() < rest.len() || literal;
    ended && !host.is_empty() && !host.contains(['@', '\\', ' '])
}
