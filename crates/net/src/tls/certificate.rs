//! Reading certificates and keys, and judging them before a client does.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::x509::{self, Staple, Validity};
use super::{LocalCa, Summary};
use crate::names::NameMap;

/// Which setting a problem is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Cert,
    Key,
    Hosts,
    Ocsp,
    Directory,
    /// The authority of a rule about client certificates.
    ClientCa,
}

/// What is wrong with a certificate or a rule, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TlsProblem {
    /// The index of the source, or of the rule for [`Field::ClientCa`], and the setting.
    pub place: Option<(usize, Field)>,
    pub message: String,
    pub help: String,
}

impl TlsProblem {
    pub(super) fn new(source: usize, field: Field, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place: Some((source, field)), message: message.into(), help: help.into() }
    }

    pub(super) fn of_clients(rule: usize, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(rule, Field::ClientCa, message, help)
    }

    pub(super) fn internal(message: String) -> Self {
        Self { place: None, message, help: String::new() }
    }
}

/// Reads files, and remembers which.
pub(super) struct Files {
    bytes_max: u64,
    read: Vec<PathBuf>,
}

impl Files {
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, read: Vec::new() }
    }

    pub fn note(&mut self, path: &Path) {
        self.read.push(path.to_owned());
    }

    pub fn read(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        self.note(path);
        let wrong = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
            _ => format!("{} can't be read: {error}", path.display()),
        };
        let bytes = std::fs::metadata(path).map_err(wrong)?.len();
        if bytes > self.bytes_max {
            let max = self.bytes_max;
            return Err(format!("{} has {bytes} bytes; at most {max} (certificate_bytes)", path.display()));
        }
        std::fs::read(path).map_err(wrong)
    }
}

/// The certificates of a PEM file; at least one.
pub(super) fn chain_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("the file holds no certificate (BEGIN CERTIFICATE)".to_owned()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("the file is not PEM: {error}")),
    }
}

/// The files of one certificate.
#[derive(Debug, Clone)]
pub(super) struct Pair<'a> {
    pub source: usize,
    pub cert: &'a Path,
    pub key: &'a Path,
    pub ocsp: Option<&'a Path>,
}

/// One certificate with its key.
pub(super) struct Certificate {
    pub key: CertifiedKey,
    pub names: Vec<String>,
    pub validity: Validity,
    /// When the stapled answer of its authority holds no longer.
    pub staple_ends: Option<Duration>,
}

impl Pair<'_> {
    /// The certificate, if it can be served; what is odd about it goes to `warnings`.
    pub fn load(
        &self,
        files: &mut Files,
        provider: &CryptoProvider,
        now: Duration,
        warnings: &mut Vec<TlsProblem>,
    ) -> Result<Certificate, TlsProblem> {
        let (cert, key) = (self.cert.display(), self.key.display());
        let wrong = |field, message: String, help: &str| TlsProblem::new(self.source, field, message, help);
        let help = "cert names a PEM file: the certificate of the host first, then those that lead to its authority";
        let pem = files.read(self.cert).map_err(|error| wrong(Field::Cert, error, help))?;
        let chain = chain_of(&pem).map_err(|error| wrong(Field::Cert, format!("{cert}: {error}"), help))?;
        let help = "key names a PEM file with the private key of the certificate, not encrypted";
        let pem = files.read(self.key).map_err(|error| wrong(Field::Key, error, help))?;
        let secret = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|error| wrong(Field::Key, format!("{key} holds no private key: {error}"), help))?;
        if std::fs::metadata(self.key).is_ok_and(|file| file.permissions().mode() & 0o004 != 0) {
            let help = format!("chmod o-r {key}");
            warnings.push(wrong(Field::Key, format!("{key} can be read by every user of this machine"), &help));
        }
        let (names, validity) = describe(&chain[0]).ok_or_else(|| {
            let message = format!("{cert}: the first certificate of the file can't be read");
            wrong(Field::Cert, message, "it must be an X.509 certificate of version 3")
        })?;
        let mut key = CertifiedKey::from_der(chain, secret, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let help =
                    "the certificate of the host comes first in its file; check that both are of the same renewal";
                wrong(Field::Key, format!("{key} is not the key of the first certificate in {cert}"), help)
            }
            error => wrong(Field::Key, format!("{key} can't be used: {error}"), "use an ECDSA, Ed25519 or RSA key"),
        })?;
        let mut staple_ends = None;
        if let Some(path) = self.ocsp {
            match files.read(path).and_then(|response| judge_staple(path, &response, now).map(|ends| (response, ends)))
            {
                Ok((response, ends)) => (key.ocsp, staple_ends) = (Some(response), ends),
                Err(error) => {
                    let help = "the certificate is served without it; fetch another one: the file is watched";
                    warnings.push(wrong(Field::Ocsp, error, help));
                }
            }
        }
        Ok(Certificate { key, names, validity, staple_ends })
    }
}

/// When an authority's answer ends, if it has an end; an error if it is none to staple now.
fn judge_staple(path: &Path, response: &[u8], now: Duration) -> Result<Option<Duration>, String> {
    let shown = path.display();
    let Some(Staple { this_update, next_update, revoked }) = x509::staple(response) else {
        return Err(format!("{shown} is no answer of an authority (OCSP, in DER)"));
    };
    if revoked {
        return Err(format!("{shown} says that the certificate is revoked; clients will refuse it"));
    }
    if this_update > now {
        return Err(format!("{shown} is not valid yet"));
    }
    match next_update {
        Some(end) if end <= now => {
            let hours = (now - end).as_secs() / 3_600;
            Err(format!("{shown} ran out {hours} hours ago, and is stapled no longer"))
        }
        end => Ok(end),
    }
}

/// The DNS names that a certificate is for, and when.
pub(super) fn describe(certificate: &CertificateDer<'_>) -> Option<(Vec<String>, Validity)> {
    let validity = x509::validity(certificate)?;
    let parsed = webpki::EndEntityCert::try_from(certificate).ok()?;
    let names = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
    Some((names, validity))
}

/// Everything that the sources of a listener gave.
pub(super) struct Found {
    pub now: Duration,
    max: usize,
    names: NameMap<Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
    certificates: usize,
    expires: Option<Duration>,
    staple_ends: Option<Duration>,
    pub local: Option<Arc<LocalCa>>,
    pub warnings: Vec<TlsProblem>,
    pub problems: Vec<TlsProblem>,
}

/// A warning for each of thousands of certificates helps nobody.
const WARNINGS_MAX: usize = 20;

impl Found {
    pub fn new(now: Duration, max: usize) -> Self {
        Self {
            now,
            max,
            names: NameMap::default(),
            first: None,
            certificates: 0,
            expires: None,
            staple_ends: None,
            local: None,
            warnings: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Takes a certificate for these hosts, or for all that it names.
    pub fn add(&mut self, source: usize, path: &Path, certificate: Certificate, hosts: &[String], default: bool) {
        let Certificate { key, names, validity, staple_ends } = certificate;
        let shown = path.display();
        if self.certificates >= self.max {
            if self.certificates == self.max {
                let message = format!("the listener has more than {} certificates (certificates)", self.max);
                self.problems.push(TlsProblem::new(source, Field::Cert, message, "raise limits.certificates"));
            }
            self.certificates += 1;
            return;
        }
        self.certificates += 1;
        self.judge_time(source, path, validity);
        self.staple_ends = self.staple_ends.into_iter().chain(staple_ends).min();
        let key = Arc::new(key);
        for host in if hosts.is_empty() { &names } else { hosts } {
            if !hosts.is_empty() && !is_for(&names, host) {
                let message = format!("{shown} is not for {host}, so clients will refuse it there");
                let help = format!("it is for {}", in_words(&names));
                self.warnings.push(TlsProblem::new(source, Field::Hosts, message, help));
            }
            match self.names.insert(host, key.clone()) {
                Ok(None) => {}
                // The first one stays, whatever order a map has.
                Ok(Some(before)) => {
                    let _ = self.names.insert(host, before);
                    let message = format!("{host} has a certificate already; the one of {shown} is not used for it");
                    self.warnings.push(TlsProblem::new(
                        source,
                        Field::Hosts,
                        message,
                        "name its hosts with hosts = […]",
                    ));
                }
                Err(error) if hosts.is_empty() => tracing::debug!(%host, %error, "a name of {shown} is left out"),
                Err(error) => {
                    let message = format!("`{host}` is no host");
                    self.problems.push(TlsProblem::new(source, Field::Hosts, message, error.to_string()));
                }
            }
        }
        if default {
            self.names.set_default(key.clone());
        }
        self.first.get_or_insert(key);
    }

    fn judge_time(&mut self, source: usize, path: &Path, validity: Validity) {
        let (shown, now) = (path.display(), self.now);
        if validity.not_after < now {
            let days = (now - validity.not_after).as_secs() / 86_400;
            let message = format!("{shown} expired {days} days ago; clients will refuse it");
            self.warnings.push(TlsProblem::new(source, Field::Cert, message, "renew it; the files are watched"));
        } else if validity.not_before > now {
            let message = format!("{shown} is not valid yet; clients will refuse it");
            self.warnings.push(TlsProblem::new(source, Field::Cert, message, "check the clock of this machine"));
        }
        let expires = self.expires.map_or(validity.not_after, |soonest| soonest.min(validity.not_after));
        self.expires = Some(expires);
    }

    pub fn finish(mut self, files: Files) -> (NameMap<Arc<CertifiedKey>>, Summary, Option<Arc<LocalCa>>) {
        if let Some(first) = self.first.filter(|_| !self.names.has_default()) {
            self.names.set_default(first);
        }
        self.warnings.truncate(WARNINGS_MAX);
        let summary = Summary {
            certificates: self.certificates,
            names: self.names.len(),
            staple_ends_unix_s: self.staple_ends.map(|ends| ends.as_secs()),
            expires_unix_s: self.expires.map(|expires| expires.as_secs()),
            warnings: self.warnings,
            files: files.read,
        };
        (self.names, summary, self.local)
    }
}

/// Whether a certificate with these names is one for a host, which may be a wildcard itself.
fn is_for(names: &[String], host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let wildcard = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    names.iter().any(|name| *name == host || Some(name) == wildcard.as_ref())
}

fn in_words(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names.len() {
        0 => "no DNS name at all".to_owned(),
        n if n > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
        _ => names.join(", "),
    }
}

/// The pairs of certificate and key in a directory, by certificate: `NAME.pem` or `NAME.crt` beside
/// `NAME.key`, and `NAME/fullchain.pem` beside `NAME/privkey.pem`.
pub(super) fn pairs_in(directory: &Path) -> std::io::Result<BTreeMap<PathBuf, PathBuf>> {
    let mut pairs = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            let (cert, key) = (path.join("fullchain.pem"), path.join("privkey.pem"));
            if cert.is_file() && key.is_file() {
                pairs.insert(cert, key);
            }
        } else if path.extension().is_some_and(|end| end == "pem" || end == "crt") {
            let key = path.with_extension("key");
            if key.is_file() {
                pairs.insert(path, key);
            }
        }
    }
    Ok(pairs)
}
