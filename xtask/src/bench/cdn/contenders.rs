//! Who is measured, with the configuration that makes them do the same: one core, no access log, a
//! cache of the same size, and the same certificate.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::cases::{Case, Kind};
use super::zipf;
use crate::bench::peer::{Contender as Isolation, Tools};
use crate::bench::process::Server;
use crate::bench::stage::{self, SERVER_CORE, Stage, free_address};
use crate::repo;

/// The host of every request.
pub const HOST: &str = "edge.localhost";
const CACHE_MIB: usize = zipf::CACHE_BYTES >> 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    Selvedge,
    Nginx,
    Varnish,
    Haproxy,
    Trafficserver,
    Caddy,
}

impl Contender {
    pub const ALL: [Self; 6] =
        [Self::Selvedge, Self::Nginx, Self::Varnish, Self::Haproxy, Self::Trafficserver, Self::Caddy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Selvedge => "selvedge",
            Self::Nginx => "nginx",
            Self::Varnish => "varnish",
            Self::Haproxy => "haproxy",
            Self::Trafficserver => "trafficserver",
            Self::Caddy => "caddy",
        }
    }

    /// The program, where it is not called as its package is.
    fn program(self) -> &'static str {
        match self {
            Self::Varnish => "varnishd",
            Self::Trafficserver => "traffic_server",
            other => other.name(),
        }
    }
}

/// The programs that this machine has.
#[derive(Debug)]
pub struct Peers {
    found: Vec<(Contender, PathBuf)>,
}

impl Peers {
    pub fn find(tools: &Tools) -> Result<Self> {
        if tools.pinned {
            // The origin's threads are ours, and belong to the core of the load.
            let own = std::process::id().to_string();
            repo::output(Command::new("taskset").args(["-a", "-c", "-p", stage::LOAD_CORE, &own]))?;
        }
        let peers = Contender::ALL.into_iter().filter(|contender| *contender != Contender::Selvedge);
        Ok(Self { found: peers.filter_map(|peer| Some((peer, repo::on_path(peer.program())?))).collect() })
    }

    fn program(&self, contender: Contender) -> Result<&Path> {
        let found = self.found.iter().find(|(peer, _)| *peer == contender);
        let name = contender.name();
        Ok(&found.with_context(|| format!("{name} is missing; to get it: apt-get install {name}"))?.1)
    }
}

/// Where one contender runs, with the certificate. Gone when dropped.
#[derive(Debug)]
pub struct Folder {
    stage: Stage,
}

impl Folder {
    pub fn new() -> Result<Self> {
        let folder = Self { stage: Stage::empty(Isolation::SelvedgeShared)? };
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        openssl.args(["-subj", &format!("/CN={HOST}"), "-addext", &format!("subjectAltName=DNS:{HOST}")]);
        openssl.args(["-keyout", "key.pem", "-out", "cert.pem"]).current_dir(folder.path());
        repo::output(&mut openssl)?;
        let both = [folder.read("cert.pem")?, folder.read("key.pem")?].concat();
        folder.write("both.pem", &both)?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        self.stage.folder()
    }

    fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.path().join(name)).with_context(|| format!("reading {name}"))
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, content).with_context(|| format!("writing {name}"))
    }
}

pub fn start(
    tools: &Tools,
    peers: &Peers,
    case: &Case,
    contender: Contender,
    folder: &Folder,
    origin: SocketAddr,
) -> Result<Server> {
    let address = free_address()?;
    let setup = Setup { case, address, origin, folder };
    let mut command = match contender {
        Contender::Selvedge => setup.selvedge(tools)?,
        peer => {
            let mut command = on_core(tools, SERVER_CORE, peers.program(peer)?);
            match peer {
                Contender::Nginx => setup.nginx(&mut command)?,
                Contender::Varnish => setup.varnish(&mut command)?,
                Contender::Haproxy => setup.haproxy(&mut command)?,
                Contender::Trafficserver => setup.trafficserver(&mut command)?,
                Contender::Caddy | Contender::Selvedge => setup.caddy(&mut command)?,
            }
            command
        }
    };
    let log = folder.path().join("server.log");
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log)?);
    Server::start(command, address, log)
}

struct Setup<'a> {
    case: &'a Case,
    address: SocketAddr,
    origin: SocketAddr,
    folder: &'a Folder,
}

impl Setup<'_> {
    /// With room for the largest object, and for a whole set where one is larger than the cache.
    fn selvedge(&self, tools: &Tools) -> Result<Command> {
        let Self { origin, address, folder, .. } = self;
        let manifest = format!(
            "name = \"edge\"\n[upstreams.origin]\ntargets = [\"http://{origin}\"]\n\
             [[routes]]\nmatch = \"/*\"\nupstream = \"origin\"\n{}",
            if self.case.cached { "" } else { "cache = false\n" }
        );
        folder.write("selvedge.toml", &manifest)?;
        stage::deploy(tools, Isolation::SelvedgeShared, folder.path(), &folder.stage.data())?;
        let bytes = zipf::CACHE_BYTES;
        let tls = "[listeners.tls]\ncertificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]\n";
        let config = format!(
            "[[listeners]]\nlisten = \"{address}\"\n{}[limits]\nconnections = 60000\n\
             connections_per_address = 60000\nidle_ms = 600000\ntls_handshake_ms = 600000\nheader_ms = 600000\ncache_bytes = {bytes}\ncache_app_bytes = {bytes}\n",
            if self.case.tls() { tls } else { "" }
        );
        folder.write("node.toml", &config)?;
        let mut command = on_core(tools, SERVER_CORE, tools.program(Isolation::SelvedgeShared)?);
        command.args(["serve", "--config", "node.toml", "--cores", "1", "--quiet", "--data"]).arg(folder.stage.data());
        command.args(["--admin", &free_address()?.to_string()]);
        Ok(command)
    }

    fn nginx(&self, command: &mut Command) -> Result<()> {
        let Self { origin, address, .. } = self;
        let here = self.folder.path().display();
        let tls = "ssl http2; ssl_certificate cert.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.2 TLSv1.3";
        let tls = if self.case.tls() { tls } else { "" };
        let cache = "proxy_cache c; proxy_cache_lock on; proxy_cache_valid 1h;";
        let cache = if self.case.cached { cache } else { "" };
        let config = format!(
            "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/nginx.log;\n\
             events {{ worker_connections 19000; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; keepalive_timeout 600s;\n\
             proxy_cache_path {here}/cache keys_zone=c:16m max_size={CACHE_MIB}m use_temp_path=off;\n\
             proxy_temp_path {here}/t1; client_body_temp_path {here}/t2; fastcgi_temp_path {here}/t3;\n\
             uwsgi_temp_path {here}/t4; scgi_temp_path {here}/t5;\n\
             upstream o {{ server {origin}; keepalive 64; keepalive_requests 1000000000; }}\n\
             server {{ listen {address} {tls}; client_header_timeout 600s;\n\
             location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection \"\"; {cache} }} }} }}\n"
        );
        self.folder.write("nginx.conf", &config)?;
        command.args(["-c", "nginx.conf", "-p"]).arg(self.folder.path());
        Ok(())
    }

    fn varnish(&self, command: &mut Command) -> Result<()> {
        let name = self.folder.path().join("varnish");
        command.args(["-F", "-j", "none", "-a", &self.address.to_string(), "-b", &self.origin.to_string()]);
        command.args(["-s", &format!("malloc,{CACHE_MIB}m"), "-n"]).arg(name);
        Ok(())
    }

    fn haproxy(&self, command: &mut Command) -> Result<()> {
        let Self { origin, address, .. } = self;
        let tls = if self.case.tls() { "ssl crt both.pem alpn h2,http/1.1" } else { "" };
        let cache = if self.case.cached { "http-request cache-use c\nhttp-response cache-store c\n" } else { "" };
        let config = format!(
            "global\nnbthread 1\nmaxconn 9500\n\
             defaults\nmode http\ntimeout connect 5s\ntimeout client 600s\ntimeout server 60s\nhttp-reuse always\n\
             timeout http-request 600s\n\
             cache c\ntotal-max-size {CACHE_MIB}\nmax-object-size 20000000\nmax-age 3600\n\
             frontend f\nbind {address} {tls}\ndefault_backend b\n\
             backend b\n{cache}server o {origin}\n"
        );
        self.folder.write("haproxy.cfg", &config)?;
        command.args(["-db", "-f", "haproxy.cfg"]);
        Ok(())
    }

    fn trafficserver(&self, command: &mut Command) -> Result<()> {
        let here = self.folder.path().display();
        let (port, origin) = (self.address.port(), self.origin);
        let tls = if self.case.tls() { ":ssl" } else { "" };
        let cached = u8::from(self.case.cached);
        let records = [
            format!("http.server_ports STRING {port}{tls}"),
            format!("http.cache.http INT {cached}"),
            format!("cache.ram_cache.size INT {}", zipf::CACHE_BYTES),
            "exec_thread.autoconfig INT 0".to_owned(),
            "exec_thread.limit INT 1".to_owned(),
            "exec_thread.affinity INT 0".to_owned(),
            "log.logging_enabled INT 0".to_owned(),
            "url_remap.remap_required INT 1".to_owned(),
            "admin.user_id STRING #-1".to_owned(),
            "http.keep_alive_no_activity_timeout_in INT 600".to_owned(),
            "http.transaction_no_activity_timeout_in INT 600".to_owned(),
            format!("ssl.server.cert.path STRING {here}"),
            format!("ssl.server.private_key.path STRING {here}"),
        ];
        let records: Vec<String> = records.iter().map(|record| format!("CONFIG proxy.config.{record}\n")).collect();
        self.folder.write("ts/etc/records.config", &records.concat())?;
        self.folder.write("ts/etc/remap.config", &format!("map / http://{origin}/\n"))?;
        self.folder.write("ts/etc/storage.config", &format!("{here}/ts/cache {CACHE_MIB}M\n"))?;
        let certificate = "dest_ip=* ssl_cert_name=cert.pem ssl_key_name=key.pem\n";
        self.folder.write("ts/etc/ssl_multicert.config", certificate)?;
        let everybody = "ip_allow:\n  - apply: in\n    ip_addrs: 0/0\n    action: allow\n    methods: ALL\n";
        self.folder.write("ts/etc/ip_allow.yaml", everybody)?;
        for empty in ["cache", "run", "log"] {
            fs::create_dir_all(self.folder.path().join("ts").join(empty))?;
        }
        let root = format!(
            "prefix: {here}/ts\nexec_prefix: /usr\nbindir: /usr/bin\nsbindir: /usr/sbin\nsysconfdir: {here}/ts/etc\n\
             datadir: {here}/ts/cache\nincludedir: /usr/include\nlibdir: /usr/lib\nlibexecdir: /usr/lib/trafficserver/modules\n\
             localstatedir: {here}/ts/run\nruntimedir: {here}/ts/run\nlogdir: {here}/ts/log\ncachedir: {here}/ts/cache\n"
        );
        self.folder.write("ts/runroot.yaml", &root)?;
        command.env("TS_RUNROOT", self.folder.path().join("ts/runroot.yaml"));
        Ok(())
    }

    fn caddy(&self, command: &mut Command) -> Result<()> {
        let Self { origin, address, .. } = self;
        let (scheme, tls) = if self.case.tls() { ("https", "tls cert.pem key.pem\n") } else { ("http", "") };
        let config = format!(
            "{{\nadmin off\nauto_https off\ndefault_sni {HOST}\n}}\n\
             {scheme}://{HOST}:{}, {scheme}://{address} {{\n{tls}reverse_proxy {origin}\n}}\n",
            address.port()
        );
        self.folder.write("Caddyfile", &config)?;
        command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]);
        command.env("GOMAXPROCS", "1").env("HOME", self.folder.path());
        Ok(())
    }
}

pub fn on_core(tools: &Tools, core: &str, program: &Path) -> Command {
    if !tools.pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

impl Kind {
    /// Whether the first request fills what the others read.
    pub fn seeded(self) -> bool {
        matches!(self, Self::Requests | Self::Handshakes | Self::Idle)
    }
}
