//! TLS of a listener: which certificate a client is shown, whose certificate it must show, and how
//! both are replaced while connections go on.
//!
//! A [`Tls`] holds one set of settings. A handshake takes the set that is there when it begins; a
//! reload builds a whole new set beside it and swaps, or fails and leaves the old one in place. So
//! a certificate that can't be read never takes a listener down.
//!
//! **Client certificates** are asked for by host. A host without a rule, and each rule, has a
//! configuration of its own, chosen by the server name of the client's first message: with its own
//! verifier, and with its own key for session tickets, so that a session of one host can't be
//! resumed as one of another. What the server name promised is held against every request
//! ([`Policies::covers`]): otherwise a client could connect as one host and ask for another.
//!
//! **Where certificates come from** is one enum, [`Source`]. Those that the node gets from an
//! authority by itself ([`Managed`]) are one of its kinds; what the authority asks meanwhile is
//! answered here too ([`Challenges`]).
//!
//! 0-RTT is off: a request that can be replayed should be a decision of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use base::NodeLimits;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

mod certificate;
#[cfg(test)]
pub(crate) mod fixture;
mod handshake;
pub mod local_ca;
pub mod managed;
mod refused;
mod source;
mod x509;

pub use certificate::{Field, TlsProblem};
pub(crate) use handshake::{AcceptError, Shaken};
pub use handshake::{ClientCertificate, Secured};
pub use local_ca::LocalCa;
pub use managed::{Challenges, Issued, Managed, Term};
pub use refused::Reason;
pub use source::Source;

use crate::names::{BadName, NameMap};
use certificate::{Files, Found};
use refused::{Failures, Lines, Noting};

/// Whose certificates are asked for, at which hosts.
#[derive(Debug, Clone)]
pub struct ClientRule {
    /// None for every host that no other rule names.
    pub hosts: Vec<String>,
    /// The authorities that clients' certificates come from, as PEM.
    pub ca: PathBuf,
    /// Whether a client without one is refused.
    pub required: bool,
}

/// What a listener's TLS is made of.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    pub sources: Vec<Source>,
    pub clients: Vec<ClientRule>,
    /// Refuse TLS 1.2.
    pub only_tls13: bool,
    /// Where the answers to an authority's questions by TLS-ALPN-01 are.
    pub challenges: Option<Arc<Challenges>>,
    pub certificates_max: usize,
    pub file_bytes_max: u64,
    /// What the log calls the listener.
    pub listener: String,
}

impl TlsOptions {
    pub fn new(sources: Vec<Source>, limits: &NodeLimits) -> Self {
        Self {
            sources,
            clients: Vec::new(),
            only_tls13: false,
            challenges: None,
            certificates_max: limits.certificates as usize,
            file_bytes_max: limits.certificate_bytes,
            listener: String::new(),
        }
    }
}

/// Makes aws-lc-rs the provider of cryptography for whatever asks the process for one. Our own
/// configurations name it anyway.
pub fn install_provider() {
    // An error means that there is one already: ours, for there is no other.
    let _ = provider().as_ref().clone().install_default();
}

/// aws-lc-rs, with the hybrid key exchange in front.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}

/// The TLS of one listener; shared by all cores.
#[derive(Debug)]
pub struct Tls {
    options: RwLock<TlsOptions>,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<Settings>>,
    counts: Counts,
    lines: Mutex<Lines>,
}

/// One set of settings, never changed.
struct Settings {
    /// By policy.
    configs: Vec<Arc<ServerConfig>>,
    /// Who judges clients' certificates, by policy.
    verifiers: Vec<Option<Arc<Noting>>>,
    /// For HTTP/3, which asks nobody for a certificate.
    quic: Arc<QuicServerConfig>,
    policies: Arc<Policies>,
    tickets: HashMap<PolicyKey, Arc<dyn ProducesTickets>>,
    challenges: Option<Arc<Challenges>>,
    summary: Summary,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("summary", &self.summary).finish_non_exhaustive()
    }
}

/// What a set of settings holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub certificates: usize,
    pub names: usize,
    /// When the first of them expires, in seconds of Unix time.
    pub expires_unix_s: Option<u64>,
    /// When the first stapled answer of an authority runs out, and certificates have to be read again.
    pub staple_ends_unix_s: Option<u64>,
    /// What is served all the same.
    pub warnings: Vec<TlsProblem>,
    /// Everything that was read, for whoever waits for changes.
    pub files: Vec<PathBuf>,
}

/// Two rules that say the same share their tickets, across reloads too. A changed authority gets a
/// new key, so that nobody whom it no longer knows resumes a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct PolicyKey {
    authorities: Vec<u8>,
    required: bool,
}

/// Which rule about client certificates goes for a host; 0 is none.
#[derive(Debug)]
pub(crate) struct Policies(NameMap<usize>);

impl Policies {
    fn of(&self, host: &str) -> usize {
        self.0.find(host).copied().unwrap_or(0)
    }

    /// Whether a connection that was made under one policy may ask for a host.
    pub fn covers(&self, policy: usize, host: &str) -> bool {
        self.0.is_empty() || self.of(host) == policy
    }
}

#[derive(Debug, Default)]
struct Counts {
    full: AtomicU64,
    resumed: AtomicU64,
    failed: Failures,
}

/// Handshakes since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshakes {
    pub full: u64,
    pub resumed: u64,
    pub failed: u64,
}

/// Shows a client the certificate of the host that it names.
#[derive(Debug)]
struct Resolver {
    names: NameMap<Arc<CertifiedKey>>,
    local: Option<Arc<LocalCa>>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        match self.names.find(name.unwrap_or_default()) {
            Some(key) => Some(key.clone()),
            None => self.local.as_ref()?.certificate_for(name),
        }
    }
}

impl Tls {
    /// Reads every certificate and checks it; all that is wrong is found at once. Blocks on files.
    pub fn open(options: TlsOptions, now_unix: Duration) -> Result<Arc<Self>, Vec<TlsProblem>> {
        let provider = provider();
        let settings = build(&options, &provider, &HashMap::new(), now_unix)?;
        let options = RwLock::new(options);
        let (current, counts, lines) = (RwLock::new(Arc::new(settings)), Counts::default(), Mutex::default());
        Ok(Arc::new(Self { options, provider, current, counts, lines }))
    }

    /// Reads everything again. Handshakes that begin afterwards get what was read; if anything is
    /// wrong, they go on getting what they got before. Blocks on files.
    pub fn reload(&self, now_unix: Duration) -> Result<Summary, Vec<TlsProblem>> {
        self.rebuild(self.options(), now_unix)
    }

    /// The same, with what another one is made of; sessions go on where the rules about clients are
    /// the same.
    pub fn replace(&self, by: &Self, now_unix: Duration) -> Result<Summary, Vec<TlsProblem>> {
        let options = by.options();
        let summary = self.rebuild(options.clone(), now_unix)?;
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = options;
        Ok(summary)
    }

    pub(crate) fn options(&self) -> TlsOptions {
        self.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn rebuild(&self, options: TlsOptions, now_unix: Duration) -> Result<Summary, Vec<TlsProblem>> {
        let before = self.settings();
        let settings = build(&options, &self.provider, &before.tickets, now_unix)?;
        let summary = settings.summary.clone();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        Ok(summary)
    }

    pub fn summary(&self) -> Summary {
        self.settings().summary.clone()
    }

    pub fn handshakes(&self) -> Handshakes {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Handshakes { full: of(&self.counts.full), resumed: of(&self.counts.resumed), failed: self.counts.failed.sum() }
    }

    /// What a connection of HTTP/3 that begins now is made with.
    pub(crate) fn quic(&self) -> Arc<QuicServerConfig> {
        self.settings().quic.clone()
    }

    /// Which hosts a connection without a client's certificate may ask for.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        self.settings().policies.clone()
    }

    /// For whoever makes handshakes by other ways.
    pub(crate) fn count(&self, done: bool) {
        match done {
            true => drop(self.counts.full.fetch_add(1, Ordering::Relaxed)),
            false => self.counts.failed.add(Reason::BrokeOff),
        }
    }

    fn settings(&self) -> Arc<Settings> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn build(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
    before: &HashMap<PolicyKey, Arc<dyn ProducesTickets>>,
    now_unix: Duration,
) -> Result<Settings, Vec<TlsProblem>> {
    let mut files = Files::new(options.file_bytes_max);
    let mut found = Found::new(now_unix, options.certificates_max);
    for (index, source) in options.sources.iter().enumerate() {
        source.read(index, &mut files, provider, &mut found);
    }
    let mut names = NameMap::default();
    let mut keys = vec![(PolicyKey::default(), None)];
    for (index, rule) in options.clients.iter().enumerate() {
        match verifier(rule, &mut files, provider) {
            Ok((key, verifier)) => {
                keys.push((key, Some(verifier)));
                if let Err(BadName) = name(&mut names, rule, keys.len() - 1) {
                    found.problems.push(TlsProblem::of_clients(index, BadName.to_string(), ""));
                }
            }
            Err((message, help)) => found.problems.push(TlsProblem::of_clients(index, message, help)),
        }
    }
    if !found.problems.is_empty() {
        return Err(found.problems);
    }
    let (names_of_certificates, summary, local) = found.finish(files);
    let resolver = Arc::new(Resolver { names: names_of_certificates, local });
    let mut tickets = HashMap::new();
    let (mut configs, mut verifiers) = (Vec::new(), Vec::new());
    for (key, verifier) in keys {
        let ticketer = before.get(&key).or_else(|| tickets.get(&key)).cloned();
        let made = || aws_lc_rs::Ticketer::new().map_err(internal);
        let ticketer = ticketer.map_or_else(made, Ok)?;
        let verifier = verifier.map(Noting::new);
        verifiers.push(verifier.clone());
        configs.push(Arc::new(config(options, provider, verifier, &resolver, ticketer.clone()).map_err(internal)?));
        tickets.insert(key, ticketer);
    }
    let quic = quic(&configs[0])?;
    Ok(Settings {
        configs,
        verifiers,
        quic,
        policies: Arc::new(Policies(names)),
        tickets,
        challenges: options.challenges.clone(),
        summary,
    })
}

/// The same certificates and tickets for HTTP/3. It is TLS 1.3 whatever the listener has; which
/// rule about clients goes for a host can't be chosen by its name there, so it has none.
fn quic(config: &Arc<ServerConfig>) -> Result<Arc<QuicServerConfig>, Vec<TlsProblem>> {
    let mut config = ServerConfig::clone(config);
    config.alpn_protocols = vec![crate::quic::ALPN.to_vec()];
    let config = QuicServerConfig::try_from(config);
    config.map(Arc::new).map_err(|error| vec![TlsProblem::internal(error.to_string())])
}

fn internal(error: rustls::Error) -> Vec<TlsProblem> {
    vec![TlsProblem::internal(error.to_string())]
}

fn name(names: &mut NameMap<usize>, rule: &ClientRule, policy: usize) -> Result<(), BadName> {
    if rule.hosts.is_empty() {
        names.set_default(policy);
    }
    rule.hosts.iter().try_for_each(|host| names.insert(host, policy).map(drop))
}

type Verifier = Arc<dyn ClientCertVerifier>;

fn verifier(
    rule: &ClientRule,
    files: &mut Files,
    provider: &Arc<CryptoProvider>,
) -> Result<(PolicyKey, Verifier), (String, &'static str)> {
    let path = rule.ca.display();
    let help = "client_ca names a PEM file with the certificates of the authorities whose clients may come in";
    let wrong = |message: String| (message, help);
    let pem = files.read(&rule.ca).map_err(wrong)?;
    let chain = certificate::chain_of(&pem).map_err(|error| wrong(format!("{path}: {error}")))?;
    let mut roots = RootCertStore::empty();
    let mut authorities = Vec::new();
    for certificate in chain {
        authorities.extend_from_slice(&certificate);
        roots.add(certificate).map_err(|error| wrong(format!("{path} holds no usable authority: {error}")))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    if !rule.required {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|error| wrong(format!("{path}: {error}")))?;
    Ok((PolicyKey { authorities, required: rule.required }, verifier))
}

fn config(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
    verifier: Option<Arc<Noting>>,
    resolver: &Arc<Resolver>,
    ticketer: Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, rustls::Error> {
    let both = [&rustls::version::TLS13, &rustls::version::TLS12];
    let versions = if options.only_tls13 { &both[..1] } else { &both[..] };
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(resolver.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // Sessions are in their tickets, whose keys turn over every six hours. Nothing is kept here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ticketer;
    Ok(config)
}

#[cfg(test)]
mod tests;
