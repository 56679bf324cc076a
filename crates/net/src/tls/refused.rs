//! Handshakes that came to nothing: why, how often, and a line in the log about clients whose certificate was
//! refused.
//!
//! Whoever scans the internet fails handshakes by the thousand, so most are only counted, by reason. A client
//! whose certificate is refused is one that somebody waits for: it has a line that says which listener and host
//! refused it, why, and whom the certificate names, as long as there are not too many of them in one second. What
//! is left out is counted, and the next line says how many those were.
//!
//! rustls tells why it refused a certificate, and not which; so the verifier keeps the name for the thread that
//! asked it ([`Noting`]). A handshake goes on to its failure in the same turn, on the same thread.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio::time::Instant;

use super::{Tls, x509};

/// Why a handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The client spoke HTTP in the clear.
    InTheClear,
    /// It had to show a certificate, and showed none.
    NoClientCertificate,
    /// It showed one that is not good enough.
    BadClientCertificate,
    /// No version, suite, protocol or certificate that both would have taken.
    NothingInCommon,
    /// It did not like what it was shown.
    RefusedByClient,
    /// It was gone before the end.
    BrokeOff,
    /// It took longer than `tls_handshake_ms`.
    Late,
    /// What it sent was no handshake, or one that does not hold.
    Malformed,
}

impl Reason {
    pub const ALL: [Self; 8] = [
        Self::InTheClear,
        Self::NoClientCertificate,
        Self::BadClientCertificate,
        Self::NothingInCommon,
        Self::RefusedByClient,
        Self::BrokeOff,
        Self::Late,
        Self::Malformed,
    ];

    /// As the metrics have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InTheClear => "in_the_clear",
            Self::NoClientCertificate => "no_client_certificate",
            Self::BadClientCertificate => "bad_client_certificate",
            Self::NothingInCommon => "nothing_in_common",
            Self::RefusedByClient => "refused_by_client",
            Self::BrokeOff => "broke_off",
            Self::Late => "late",
            Self::Malformed => "malformed",
        }
    }

    fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented) => Self::NoClientCertificate,
            Some(Error::InvalidCertificate(_)) => Self::BadClientCertificate,
            Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => Self::NothingInCommon,
            // No certificate for the name that it asked for.
            Some(Error::General(_)) => Self::NothingInCommon,
            Some(Error::AlertReceived(_)) => Self::RefusedByClient,
            Some(_) => Self::Malformed,
            None => Self::BrokeOff,
        }
    }
}

/// A handshake that failed.
pub(crate) struct Failed {
    pub reason: Reason,
    pub error: io::Error,
    /// The host that the client named.
    pub host: Option<String>,
    /// Whom the certificate names that was refused.
    pub subject: Option<String>,
}

impl Failed {
    pub fn of(error: io::Error) -> Self {
        Self { reason: Reason::of(&error), error, host: None, subject: None }
    }
}

/// How often, by reason.
#[derive(Debug, Default)]
pub(super) struct Failures([AtomicU64; Reason::ALL.len()]);

impl Failures {
    pub fn add(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }

    pub fn sum(&self) -> u64 {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// Lines about refused certificates in the second that began then.
#[derive(Debug, Default)]
pub(super) struct Lines {
    since: Option<Instant>,
    told: u64,
    left_out: u64,
}

impl Lines {
    /// Whether there may be one more, and how many were left out before it.
    fn next(&mut self, max: u64, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now - since >= Duration::from_secs(1)) {
            (self.since, self.told) = (Some(now), 0);
        }
        if self.told >= max {
            self.left_out += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Tls {
    /// How many handshakes failed for this reason.
    pub fn failures(&self, reason: Reason) -> u64 {
        self.counts.failed.of(reason)
    }

    /// Counts one that took too long.
    pub(crate) fn late(&self) {
        self.counts.failed.add(Reason::Late);
    }

    /// Tells of a handshake that failed, with so many lines a second about refused certificates at most.
    pub(crate) fn tell(&self, peer: SocketAddr, failed: &Failed, lines_max: u64) {
        let Failed { reason, error, host, subject } = failed;
        if !matches!(reason, Reason::NoClientCertificate | Reason::BadClientCertificate) {
            tracing::debug!(%peer, reason = reason.name(), %error, "a TLS handshake failed");
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(left_out) = lines.next(lines_max, Instant::now()) else { return };
        drop(lines);
        let (listener, host) = (self.options().listener, host.as_deref().unwrap_or("-"));
        let subject = subject.as_deref().unwrap_or("-");
        tracing::warn!(
            %peer, %listener, host, subject, reason = reason.name(), %error, left_out,
            "a client's certificate was refused"
        );
    }
}

/// A verifier that remembers whom it refused, by thread.
#[derive(Debug)]
pub(super) struct Noting {
    inner: Arc<dyn ClientCertVerifier>,
    refused: Mutex<Vec<(ThreadId, String)>>,
}

impl Noting {
    pub fn new(inner: Arc<dyn ClientCertVerifier>) -> Arc<Self> {
        Arc::new(Self { inner, refused: Mutex::default() })
    }

    /// Whom it refused on this thread last, once.
    pub fn take(&self) -> Option<String> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let at = refused.iter().position(|(thread, _)| *thread == std::thread::current().id())?;
        Some(refused.swap_remove(at).1)
    }

    fn note(&self, certificate: &CertificateDer<'_>) {
        self.take();
        let subject = x509::subject(certificate).unwrap_or_else(|| "a certificate that can't be read".to_owned());
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.push((std::thread::current().id(), subject));
    }
}

impl ClientCertVerifier for Noting {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now);
        if verified.is_err() {
            self.note(end_entity);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
