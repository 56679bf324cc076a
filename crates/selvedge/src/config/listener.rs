//! `[[listeners]]`: where a node serves, and what happens there before and after HTTP.

use std::ops::Range;
use std::path::{Path, PathBuf};

use edge::{Door, Hsts, Redirect};
use net::names::check_name;
use net::tls::{ClientRule, Field, Source};
use net::{Address, NameMap};

use super::code;
use super::reader::{Reader, Table, Text};

/// One listener, as far as its text goes; certificates are read when it is opened.
#[derive(Debug)]
pub struct ListenerConfig {
    pub address: Address,
    pub address_span: Range<usize>,
    /// Who may connect to a socket of the file system.
    pub mode: u32,
    pub proxies: Vec<ipnet::IpNet>,
    pub proxied_unix: bool,
    pub tls: Option<TlsConfig>,
    pub door: Door,
    /// HTTP/3 on the same port.
    pub http3: bool,
}

/// The TLS of a listener.
#[derive(Debug, Default)]
pub struct TlsConfig {
    pub sources: Vec<Source>,
    /// Of each source.
    places: Vec<Places>,
    pub clients: Vec<ClientRule>,
    client_places: Vec<Range<usize>>,
    pub only_tls13: bool,
    /// The hosts of each certificate that is asked of the authority of `[acme]`.
    pub acme: Vec<Vec<String>>,
}

/// Where the settings of a source stand.
#[derive(Debug, Default, Clone)]
struct Places {
    whole: Range<usize>,
    key: Option<Range<usize>>,
    hosts: Option<Range<usize>>,
    ocsp: Option<Range<usize>>,
}

impl TlsConfig {
    /// Where the setting stands that a problem is about.
    pub fn place(&self, index: usize, field: Field) -> Range<usize> {
        let places = self.places.get(index).cloned().unwrap_or_default();
        let setting = match field {
            Field::ClientCa => self.client_places.get(index).cloned(),
            Field::Key => places.key,
            Field::Hosts => places.hosts,
            Field::Ocsp => places.ocsp,
            Field::Cert | Field::Directory => None,
        };
        setting.unwrap_or(places.whole)
    }
}

const FIELDS: &[&str] =
    &["listen", "mode", "proxy_protocol_from", "forwarded_from", "tls", "redirect_to_https", "hsts", "http3"];
const TLS_FIELDS: &[&str] =
    &["certificates", "directories", "acme", "client_ca", "client_auth", "clients", "min_version"];
const ACME_FIELDS: &[&str] = &["hosts"];
const CERTIFICATE_FIELDS: &[&str] = &["cert", "key", "hosts", "ocsp", "default"];
const CLIENT_FIELDS: &[&str] = &["hosts", "ca", "required"];
const REDIRECT_FIELDS: &[&str] = &["port", "hosts"];
const HSTS_FIELDS: &[&str] = &["max_age_s", "include_subdomains", "preload", "hosts"];

const HTTP3: &str = "http3";
/// What says that connections to a socket of the file system are proxied.
const UNIX: &str = "unix";
const MODE: u32 = 0o660;
/// As most lists of what to preload want it.
const HSTS_MAX_AGE_S: u64 = 31_536_000;

pub fn read(reader: &mut Reader<'_>, table: &Table, base: &Path) -> Option<ListenerConfig> {
    reader.check_fields(table, FIELDS, "a listener");
    let help = "where to serve: \"0.0.0.0:443\", \"[::]:443\" (IPv4 as well), or \"unix:/path/of/socket\"";
    let listen = reader.required(table, "listen", help);
    let tls = reader.table(table, "tls").map(|inner| read_tls(reader, &inner, base));
    let redirect = read_redirect(reader, table);
    let hsts = reader.table(table, "hsts").map(|inner| read_hsts(reader, &inner));
    if redirect.is_some() && tls.is_some() {
        let span = table.key_span("redirect_to_https");
        let message = "a listener with `tls` has nothing to redirect".to_owned();
        reader.problem(code::BAD_VALUE, &span, message, "put redirect_to_https on the listener in the clear");
    }
    if hsts.is_some() && tls.is_none() {
        let message = "clients take no notice of HSTS in the clear".to_owned();
        reader.problem(code::BAD_VALUE, &table.key_span("hsts"), message, "put hsts on the listener with `tls`");
    }
    let http3 = reader.bool(table, HTTP3).unwrap_or(false);
    if http3 {
        check_http3(reader, table, tls.as_ref(), listen.as_ref());
    }
    let (proxies, proxied_unix) = read_proxies(reader, table);
    let believed = read_networks(reader, table, "forwarded_from");
    let mode = read_mode(reader, table);
    let listen = listen?;
    match listen.value.parse::<Address>() {
        Ok(address) => {
            let address = match address {
                Address::Unix(path) => Address::Unix(base.join(path)),
                tcp => tcp,
            };
            let door = Door { believed, redirect, hsts, ..Door::default() };
            Some(ListenerConfig { address, address_span: listen.span, mode, proxies, proxied_unix, tls, door, http3 })
        }
        Err(error) => {
            reader.problem(
                code::BAD_VALUE,
                &listen.span,
                format!("`{}` is no address to listen on", listen.value),
                error,
            );
            None
        }
    }
}

/// What HTTP/3 can't be served with.
fn check_http3(reader: &mut Reader<'_>, table: &Table, tls: Option<&TlsConfig>, listen: Option<&Text>) {
    let span = table.key_span(HTTP3);
    let mut wrong = |message: &str, help| reader.problem(code::BAD_VALUE, &span, message.to_owned(), help);
    match tls {
        None => wrong("HTTP/3 is always under TLS", "give the listener `tls`, or take http3 out"),
        // Rules for single hosts are held against each request.
        Some(tls) if tls.clients.iter().any(|rule| rule.hosts.is_empty()) => {
            wrong("HTTP/3 asks no client for a certificate", "name the hosts in `clients`, or take http3 out");
        }
        Some(_) => {}
    }
    if table.has("proxy_protocol_from") {
        wrong("HTTP/3 has no PROXY header", "put http3 on a listener that clients reach by themselves");
    }
    if listen.is_some_and(|listen| listen.value.starts_with("unix:")) {
        wrong("HTTP/3 has no sockets of the file system", "put http3 on a listener with a port");
    }
}

fn read_mode(reader: &mut Reader<'_>, table: &Table) -> u32 {
    let Some(text) = reader.string(table, "mode") else { return MODE };
    let octal = u32::from_str_radix(&text.value, 8).ok().filter(|mode| *mode <= 0o777);
    octal.unwrap_or_else(|| {
        let message = format!("`{}` is no mode of a file", text.value);
        reader.problem(code::BAD_VALUE, &text.span, message, "a mode is three octal digits, such as \"660\"");
        MODE
    })
}

/// Addresses and networks.
fn read_networks(reader: &mut Reader<'_>, table: &Table, field: &str) -> Vec<ipnet::IpNet> {
    let mut networks = Vec::new();
    for text in reader.strings(table, field) {
        let address = || text.value.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from);
        match text.value.parse().ok().or_else(address) {
            Some(network) => networks.push(network),
            None => {
                let message = format!("`{}` is no network", text.value);
                let help = "write an address, or a network such as \"10.0.0.0/8\"";
                reader.problem(code::BAD_VALUE, &text.span, message, help);
            }
        }
    }
    networks
}

fn read_proxies(reader: &mut Reader<'_>, table: &Table) -> (Vec<ipnet::IpNet>, bool) {
    let (mut networks, mut unix) = (Vec::new(), false);
    for text in reader.strings(table, "proxy_protocol_from") {
        let address = || text.value.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from);
        if text.value == UNIX {
            unix = true;
        } else if let Some(network) = text.value.parse().ok().or_else(address) {
            networks.push(network);
        } else {
            let message = format!("`{}` is no network", text.value);
            let help = "write an address, a network such as \"10.0.0.0/8\", or \"unix\"";
            reader.problem(code::BAD_VALUE, &text.span, message, help);
        }
    }
    (networks, unix)
}

fn read_tls(reader: &mut Reader<'_>, table: &Table, base: &Path) -> TlsConfig {
    reader.check_fields(table, TLS_FIELDS, "`tls`");
    let mut tls = TlsConfig::default();
    for inner in reader.tables(table, "certificates") {
        if let Some((source, places)) = read_certificate(reader, &inner, base) {
            tls.sources.push(source);
            tls.places.push(places);
        }
    }
    for text in reader.strings(table, "directories") {
        tls.sources.push(Source::Directory(base.join(&text.value)));
        tls.places.push(Places { whole: text.span, ..Places::default() });
    }
    for inner in reader.tables(table, "acme") {
        reader.check_fields(&inner, ACME_FIELDS, "a certificate of `acme`");
        let hosts = read_hosts(reader, &inner);
        if hosts.is_empty() {
            let help = "for example: acme = [{ hosts = [\"example.com\", \"www.example.com\"] }]";
            reader.problem(code::MISSING_FIELD, &inner.span, "`hosts` names no host".to_owned(), help);
        }
        tls.acme.push(hosts);
    }
    if !table.has("certificates") && !table.has("directories") && !table.has("acme") {
        let help = "certificates = [{ cert = \"example.pem\", key = \"example.key\" }], or directories = [\"certs\"]";
        reader.problem(code::MISSING_FIELD, &table.span, "`tls` names no certificate".to_owned(), help);
    }
    read_clients(reader, table, base, &mut tls);
    if let Some(version) = reader.string(table, "min_version") {
        match version.value.as_str() {
            "1.2" => {}
            "1.3" => tls.only_tls13 = true,
            other => {
                let message = format!("TLS {other} is not to be had");
                reader.problem(code::BAD_VALUE, &version.span, message, "min_version is \"1.2\" or \"1.3\"");
            }
        }
    }
    tls
}

fn read_certificate(reader: &mut Reader<'_>, table: &Table, base: &Path) -> Option<(Source, Places)> {
    reader.check_fields(table, CERTIFICATE_FIELDS, "a certificate");
    let cert = reader.required(
        table,
        "cert",
        "cert names a PEM file with the certificate and those that lead to its authority",
    );
    let key = reader.required(table, "key", "key names a PEM file with the private key");
    let ocsp = reader.string(table, "ocsp");
    let hosts = read_hosts(reader, table);
    let default = reader.bool(table, "default").unwrap_or(false);
    let (cert, key) = (cert?, key?);
    let places = Places {
        whole: cert.span,
        key: Some(key.span),
        hosts: Some(table.key_span("hosts")).filter(|_| table.has("hosts")),
        ocsp: ocsp.as_ref().map(|ocsp| ocsp.span.clone()),
    };
    let file = |text: &str| -> PathBuf { base.join(text) };
    let source = Source::Files {
        cert: file(&cert.value),
        key: file(&key.value),
        ocsp: ocsp.map(|ocsp| file(&ocsp.value)),
        hosts,
        default,
    };
    Some((source, places))
}

fn read_hosts(reader: &mut Reader<'_>, table: &Table) -> Vec<String> {
    let texts = reader.strings(table, "hosts");
    let good = texts.into_iter().filter(|text| check_host(reader, text));
    good.map(|text| text.value).collect()
}

fn check_host(reader: &mut Reader<'_>, text: &Text) -> bool {
    match check_name(&text.value) {
        Ok(()) => true,
        Err(error) => {
            reader.problem(code::BAD_VALUE, &text.span, format!("`{}` is no host", text.value), &error.to_string());
            false
        }
    }
}

fn read_clients(reader: &mut Reader<'_>, table: &Table, base: &Path, tls: &mut TlsConfig) {
    let mut add = |rule, place| {
        tls.clients.push(rule);
        tls.client_places.push(place);
    };
    let auth = reader.string(table, "client_auth");
    if let Some(ca) = reader.string(table, "client_ca") {
        let required = match auth.as_ref().map(|auth| auth.value.as_str()) {
            None | Some("required") => true,
            Some("optional") => false,
            Some(other) => {
                let message = format!("`{other}` is no way to ask for client certificates");
                let span = table.key_span("client_auth");
                reader.problem(code::BAD_VALUE, &span, message, "client_auth is \"required\" or \"optional\"");
                true
            }
        };
        add(ClientRule { hosts: Vec::new(), ca: base.join(&ca.value), required }, ca.span);
    } else if let Some(auth) = auth {
        let message = "`client_auth` without `client_ca` asks for nothing".to_owned();
        reader.problem(code::MISSING_FIELD, &auth.span, message, "client_ca names the authorities of the clients");
    }
    for inner in reader.tables(table, "clients") {
        reader.check_fields(&inner, CLIENT_FIELDS, "a rule about clients");
        let ca = reader.required(&inner, "ca", "ca names a PEM file with the authorities of the clients");
        if !inner.has("hosts") {
            let help = "hosts names where the certificates are asked for; client_ca does it for all";
            reader.problem(code::MISSING_FIELD, &inner.span, "`hosts` is missing here".to_owned(), help);
        }
        let hosts = read_hosts(reader, &inner);
        let required = reader.bool(&inner, "required").unwrap_or(true);
        if let Some(ca) = ca {
            add(ClientRule { hosts, ca: base.join(&ca.value), required }, ca.span);
        }
    }
}

/// `true`, or a table that says more.
fn read_redirect(reader: &mut Reader<'_>, table: &Table) -> Option<Redirect> {
    const KEY: &str = "redirect_to_https";
    const HTTPS: u16 = 443;
    if !table.is_table(KEY) {
        return reader.bool(table, KEY)?.then(|| Redirect { port: HTTPS, hosts: every_host() });
    }
    let inner = reader.table(table, KEY)?;
    reader.check_fields(&inner, REDIRECT_FIELDS, "`redirect_to_https`");
    let port = match reader.integer(&inner, "port") {
        None => HTTPS,
        Some((port, span)) => u16::try_from(port).ok().filter(|port| *port > 0).unwrap_or_else(|| {
            reader.problem(code::BAD_VALUE, &span, format!("{port} is no port"), "a port lies between 1 and 65535");
            HTTPS
        }),
    };
    Some(Redirect { port, hosts: host_set(reader, &inner) })
}

fn read_hsts(reader: &mut Reader<'_>, table: &Table) -> Hsts {
    reader.check_fields(table, HSTS_FIELDS, "`hsts`");
    let max_age_s = reader.integer(table, "max_age_s").map_or(HSTS_MAX_AGE_S, |(seconds, _)| seconds);
    let include_subdomains = reader.bool(table, "include_subdomains").unwrap_or(false);
    let preload = reader.bool(table, "preload").unwrap_or(false);
    Hsts::new(max_age_s, include_subdomains, preload, host_set(reader, table))
}

fn every_host() -> NameMap<()> {
    let mut hosts = NameMap::default();
    hosts.set_default(());
    hosts
}

/// The hosts that a table names; all, if it names none.
fn host_set(reader: &mut Reader<'_>, table: &Table) -> NameMap<()> {
    if !table.has("hosts") {
        return every_host();
    }
    let mut hosts = NameMap::default();
    for host in read_hosts(reader, table) {
        // Checked a moment ago.
        let _ = hosts.insert(&host, ());
    }
    hosts
}
