//! The node's configuration file: text in, settings or a report out. Every problem is found in one
//! go, each with its place, its reason and what to do, as in a manifest. Paths in it are relative
//! to the file.
//!
//! This file says what may stand there; [`listener`] says what a listener is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base::{AppName, NodeLimits};
use manifest::{Diagnostic, Report, Source, SourceFile};
use net::{Address, DnsOptions};

use crate::wire::{Apps, QUOTAS, Storage};

mod acme;
mod archive;
pub mod last;
pub mod listener;
mod reader;

pub use acme::AcmeConfig;
pub use archive::{ArchiveConfig, BucketConfig};
pub use listener::{ListenerConfig, TlsConfig};
use reader::{Reader, Table};

/// What an operator decides.
#[derive(Debug, Default)]
pub struct NodeConfig {
    pub limits: NodeLimits,
    /// Apps that have quotas of their own, with all limits as they are for each.
    pub apps: Apps,
    pub listeners: Vec<ListenerConfig>,
    pub s3: S3Config,
    /// The database of the countries of addresses.
    pub countries: Option<CountriesFile>,
    /// Whom certificates are asked of.
    pub acme: Option<AcmeConfig>,
    /// The directory of the cache's disk tier.
    pub cache_disk: Option<PathBuf>,
    /// Where the archive is copied to.
    pub archive: Option<ArchiveConfig>,
    /// Who knows the names of upstreams.
    pub dns: DnsOptions,
    /// The text, for problems that are found later.
    pub file: Option<SourceFile>,
}

/// A file in MaxMind's format, and where it is named.
#[derive(Debug)]
pub struct CountriesFile {
    pub path: PathBuf,
    pub span: Range<usize>,
}

/// How the S3 protocol is served.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct S3Config {
    pub listen: Option<SocketAddr>,
    /// Names of the endpoint: `BUCKET.NAME` is a bucket.
    pub hosts: Vec<String>,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.render(false))]
pub struct Misconfigured(pub Report);

impl Misconfigured {
    /// A problem that was found after the file was read.
    pub fn at(file: Option<&SourceFile>, span: &Range<usize>, message: String, help: &str) -> Diagnostic {
        let problem = Diagnostic::new(code::UNUSABLE, message);
        let problem = if help.is_empty() { problem } else { problem.help(help) };
        match file {
            Some(file) => problem.at(file.place(span.clone())),
            None => problem,
        }
    }
}

/// The stable codes of the problems of a configuration.
pub mod code {
    pub const SYNTAX: &str = "config::syntax";
    pub const UNKNOWN_FIELD: &str = "config::unknown_field";
    pub const MISSING_FIELD: &str = "config::missing_field";
    pub const WRONG_TYPE: &str = "config::wrong_type";
    pub const BAD_VALUE: &str = "config::bad_value";
    pub const LIMIT_RANGE: &str = "config::limit_range";
    /// What it names is not there, or can't be used.
    pub const UNUSABLE: &str = "config::unusable";
}

/// Where a node serves if nobody says anything.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);

const FIELDS: &[&str] = &["limits", "apps", "listeners", "s3", "geo", "cache", "acme", "dns", "archive"];
const DNS_FIELDS: &[&str] = &["servers"];
const GEO_FIELDS: &[&str] = &["countries"];
const CACHE_FIELDS: &[&str] = &["disk", "disk_bytes"];
const S3_FIELDS: &[&str] = &["listen", "hosts"];

/// Reads a configuration; without a file, the one that is there without one.
pub fn read(path: Option<&Path>) -> Result<NodeConfig> {
    let Some(path) = path else {
        return Ok(NodeConfig { dns: DnsOptions::system(), ..NodeConfig::default() });
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    // Absolute, so that the directories of what it names can be watched.
    let whole = std::path::absolute(path).with_context(|| format!("{}", path.display()))?;
    let base = whole.parent().unwrap_or(&whole);
    Ok(parse(&path.display().to_string(), &text, base)?)
}

fn parse(name: &str, text: &str, base: &Path) -> Result<NodeConfig, Misconfigured> {
    let file = SourceFile::new(Source { path: name, text });
    let mut reader = Reader::new(&file);
    let Some(root) = reader.parse() else { return Err(Misconfigured(reader.finish())) };
    reader.check_fields(&root, FIELDS, "the configuration");
    let mut limits = reader.table(&root, "limits").map(|table| read_limits(&mut reader, &table)).unwrap_or_default();
    let cache = reader.table(&root, "cache");
    let cache_disk = cache.and_then(|table| read_cache(&mut reader, &table, base, &mut limits));
    let apps = reader.table(&root, "apps").map(|table| read_apps(&mut reader, &table, &limits)).unwrap_or_default();
    let mut listeners = Vec::new();
    for table in reader.tables(&root, "listeners") {
        listeners.extend(listener::read(&mut reader, &table, base));
    }
    check_listeners(&mut reader, &listeners, limits.listeners);
    let s3 = reader.table(&root, "s3").map(|table| read_s3(&mut reader, &table)).unwrap_or_default();
    let countries = reader.table(&root, "geo").and_then(|table| {
        reader.check_fields(&table, GEO_FIELDS, "[geo]");
        let text = reader.string(&table, "countries")?;
        Some(CountriesFile { path: base.join(text.value), span: text.span })
    });
    let archive = reader.table(&root, "archive").and_then(|table| archive::read(&mut reader, &table, base, &limits));
    let mut dns = DnsOptions::system();
    if let Some(table) = reader.table(&root, "dns") {
        dns.servers = read_dns(&mut reader, &table);
    }
    let acme = reader.table(&root, "acme").and_then(|table| acme::read(&mut reader, &table, base));
    if acme.is_none()
        && let Some(listener) = listeners.iter().find(|one| one.tls.as_ref().is_some_and(|tls| !tls.acme.is_empty()))
    {
        let help = "[acme] says whom certificates are asked of, and that its terms are agreed to";
        let message = "`acme` names hosts, and no authority is named".to_owned();
        reader.problem(code::MISSING_FIELD, &listener.address_span, message, help);
    }
    let report = reader.finish();
    if !report.problems.is_empty() {
        return Err(Misconfigured(report));
    }
    let (apps, file) = (Arc::new(apps), Some(file));
    Ok(NodeConfig { limits, apps, listeners, s3, countries, cache_disk, acme, archive, dns, file })
}

impl NodeConfig {
    /// What decides how data is kept.
    pub fn storage(&self) -> Storage {
        Storage { limits: self.limits.clone(), apps: self.apps.clone(), archive: self.archive.clone() }
    }
}

fn read_limits(reader: &mut Reader<'_>, table: &Table) -> NodeLimits {
    let mut limits = NodeLimits::default();
    let names: Vec<&str> = base::limits::NODE.iter().map(|row| row.name).collect();
    reader.check_fields(table, &names, "[limits]");
    set_limits(reader, table, &mut limits, "limits");
    limits
}

fn set_limits(reader: &mut Reader<'_>, table: &Table, limits: &mut NodeLimits, place: &str) {
    for row in base::limits::NODE {
        let Some((value, span)) = reader.integer(table, row.name) else { continue };
        if (row.min..=row.max).contains(&value) {
            limits.set(row.name, value);
        } else {
            let message = format!("{place}.{} is {value}; it must lie between {} and {}", row.name, row.min, row.max);
            reader.problem(code::LIMIT_RANGE, &span, message, row.about);
        }
    }
}

/// `[apps.NAME]`: what an app may store, where that differs from other apps.
fn read_apps(reader: &mut Reader<'_>, table: &Table, node: &NodeLimits) -> BTreeMap<AppName, NodeLimits> {
    let mut apps = BTreeMap::new();
    for key in table.keys() {
        let Some(own) = reader.table(table, key) else { continue };
        let Ok(app) = AppName::parse(key) else {
            let message = format!("{key:?} is no name of an app");
            reader.problem(code::BAD_VALUE, &table.key_span(key), message, "for example: [apps.shop]");
            continue;
        };
        let place = format!("apps.{key}");
        reader.check_fields(&own, QUOTAS, &format!("[{place}]"));
        let mut limits = node.clone();
        set_limits(reader, &own, &mut limits, &place);
        apps.insert(app, limits);
    }
    apps
}

/// `[cache]`: the directory of the disk tier. Its size may stand here too, where people look for it.
fn read_cache(reader: &mut Reader<'_>, table: &Table, dir: &Path, limits: &mut NodeLimits) -> Option<PathBuf> {
    reader.check_fields(table, CACHE_FIELDS, "[cache]");
    let disk = reader.required(table, "disk", "the directory of the cache's disk tier: disk = \"cache\"");
    if let Some((value, span)) = reader.integer(table, "disk_bytes") {
        let row = base::limits::NODE.iter().find(|row| row.name == "cache_disk_bytes")?;
        if (row.min..=row.max).contains(&value) {
            limits.set(row.name, value);
            limits.cache_disk_app_bytes = limits.cache_disk_app_bytes.min(value);
        } else {
            let message = format!("cache.disk_bytes is {value}; it must lie between {} and {}", row.min, row.max);
            reader.problem(code::LIMIT_RANGE, &span, message, row.about);
        }
    }
    disk.map(|disk| dir.join(disk.value))
}

fn read_s3(reader: &mut Reader<'_>, table: &Table) -> S3Config {
    reader.check_fields(table, S3_FIELDS, "[s3]");
    let listen = reader.string(table, "listen").and_then(|text| match text.value.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let message = format!("{:?} is no address to listen on", text.value);
            reader.problem(code::BAD_VALUE, &text.span, message, "for example: listen = \"127.0.0.1:8789\"");
            None
        }
    });
    S3Config { listen, hosts: reader.strings(table, "hosts").into_iter().map(|host| host.value).collect() }
}

/// The servers that are asked for names, in place of the system's.
fn read_dns(reader: &mut Reader<'_>, table: &Table) -> Vec<SocketAddr> {
    reader.check_fields(table, DNS_FIELDS, "[dns]");
    let mut servers = Vec::new();
    for text in reader.strings(table, "servers") {
        let address = text.value.parse().ok();
        match address.or_else(|| text.value.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53))) {
            Some(server) => servers.push(server),
            None => {
                let message = format!("{:?} is no address of a server", text.value);
                reader.problem(code::BAD_VALUE, &text.span, message, "for example: servers = [\"10.0.0.2\"]");
            }
        }
    }
    servers
}

fn check_listeners(reader: &mut Reader<'_>, listeners: &[ListenerConfig], max: u64) {
    for (index, listener) in listeners.iter().enumerate() {
        let span = &listener.address_span;
        if index as u64 == max {
            let message = format!("there are {} listeners; at most {max} (listeners)", listeners.len());
            reader.problem(code::BAD_VALUE, span, message, "raise limits.listeners");
        }
        let chosen_by_kernel = matches!(&listener.address, Address::Tcp(address) if address.port() == 0);
        if !chosen_by_kernel && listeners[..index].iter().any(|other| other.address == listener.address) {
            let message = format!("another listener has {} already", listener.address);
            reader.problem(code::BAD_VALUE, span, message, "give each listener an address of its own");
        }
    }
}

#[cfg(test)]
mod tests;
