//! Certificates that the node itself gets and renews, and its answers to an authority that asks
//! whether a host is here.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, crypto::aws_lc_rs};

use super::certificate::{Certificate, chain_of, describe};

/// The protocol of a question by TLS-ALPN-01 (RFC 8737, section 4).
pub(crate) const ACME_ALPN: &[u8] = b"acme-tls/1";

/// A certificate with its key, as text.
#[derive(Clone)]
pub struct Issued {
    pub chain_pem: String,
    /// Whoever has it can speak for the hosts.
    pub key_pem: base::Secret<String>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

/// For which hosts, and when, a certificate is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub names: Vec<String>,
    /// In Unix time.
    pub not_before: Duration,
    pub not_after: Duration,
}

impl Issued {
    pub(super) fn read(&self, provider: &CryptoProvider) -> Result<Certificate, String> {
        let chain = chain_of(self.chain_pem.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.expose().as_bytes()).map_err(|error| error.to_string())?;
        let (names, validity) = describe(&chain[0]).ok_or("the certificate can't be read")?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| error.to_string())?;
        Ok(Certificate { key, names, validity, staple_ends: None })
    }

    /// Checks that the key is the certificate's.
    pub fn term(&self) -> Result<Term, String> {
        let Certificate { names, validity, .. } = self.read(&aws_lc_rs::default_provider())?;
        Ok(Term { names, not_before: validity.not_before, not_after: validity.not_after })
    }
}

/// The certificates that a listener has from an authority, by a name of the caller's.
#[derive(Debug, Default)]
pub struct Managed(RwLock<BTreeMap<String, Issued>>);

impl Managed {
    /// Takes effect with the next [`super::Tls::reload`].
    pub fn put(&self, name: &str, issued: Issued) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), issued);
    }

    pub(super) fn all(&self) -> Vec<(String, Issued)> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|(name, issued)| (name.clone(), issued.clone())).collect()
    }
}

/// The answers that an authority waits for. Shared by all listeners of a node.
#[derive(Default)]
pub struct Challenges {
    /// By token (RFC 8555, section 8.3).
    http: RwLock<HashMap<String, String>>,
    /// By host.
    alpn: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenges").finish_non_exhaustive()
    }
}

/// An answer that is given until this is dropped.
pub struct Answer {
    challenges: Arc<Challenges>,
    of: Of,
}

enum Of {
    Token(String),
    Host(String),
}

impl Drop for Answer {
    fn drop(&mut self) {
        match &self.of {
            Of::Token(token) => {
                self.challenges.http.write().unwrap_or_else(PoisonError::into_inner).remove(token);
            }
            Of::Host(host) => {
                self.challenges.alpn.write().unwrap_or_else(PoisonError::into_inner).remove(host);
            }
        }
    }
}

const WELL_KNOWN: &str = "/.well-known/acme-challenge/";

impl Challenges {
    /// What a request for this path gets before all else, if an authority waits for it.
    pub fn http(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(WELL_KNOWN)?;
        self.http.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    pub(crate) fn answer_http(self: &Arc<Self>, token: &str, key_authorization: &str) -> Answer {
        let mut http = self.http.write().unwrap_or_else(PoisonError::into_inner);
        http.insert(token.to_owned(), key_authorization.to_owned());
        Answer { challenges: self.clone(), of: Of::Token(token.to_owned()) }
    }

    /// A certificate that proves nothing but that whoever made it controls the host.
    pub(crate) fn answer_alpn(self: &Arc<Self>, host: &str, digest: &[u8]) -> Result<Answer, String> {
        let wrong = |error: &dyn fmt::Display| error.to_string();
        let pair = rcgen::KeyPair::generate().map_err(|e| wrong(&e))?;
        let mut params = rcgen::CertificateParams::new([host.to_owned()]).map_err(|e| wrong(&e))?;
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&pair).map_err(|e| wrong(&e))?;
        let key = PrivateKeyDer::from_pem_slice(pair.serialize_pem().as_bytes()).map_err(|e| wrong(&e))?;
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        // Not by its DER: that would look for what is odd in the certificate, as this one is.
        let provider = aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(key).map_err(|e| wrong(&e))?;
        let key = CertifiedKey::new(chain, key);
        let mut alpn = self.alpn.write().unwrap_or_else(PoisonError::into_inner);
        alpn.insert(host.to_ascii_lowercase(), Arc::new(key));
        Ok(Answer { challenges: self.clone(), of: Of::Host(host.to_ascii_lowercase()) })
    }

    /// Whether a handshake is such a question.
    pub(super) fn is_asked(hello: &ClientHello<'_>) -> bool {
        hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME_ALPN))
    }

    /// The settings of a handshake that is such a question.
    pub(super) fn config(self: &Arc<Self>, provider: &Arc<CryptoProvider>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(Questions(self.clone())));
        config.alpn_protocols = vec![ACME_ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }
}

#[derive(Debug)]
struct Questions(Arc<Challenges>);

impl ResolvesServerCert for Questions {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?.to_ascii_lowercase();
        self.0.alpn.read().unwrap_or_else(PoisonError::into_inner).get(&host).cloned()
    }
}
