//! TLS towards a server.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::dial::{Dialled, chain};
use super::{ExchangeError, Target};

/// Trusts what the system trusts, and the certificates of an extra file. Blocks on files.
pub(super) fn config(extra_ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = extra_ca {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| wrong(&e))? {
            roots.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
        }
    }
    if roots.is_empty() {
        return Err("the system has no trusted certificates; install its ca-certificates package".to_owned());
    }
    let mut config = trusting(roots)?;
    config.alpn_protocols = http();
    Ok(Arc::new(config))
}

fn http() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

/// The same, showing a certificate: PEM text that holds it, with its chain and its key.
pub(super) fn showing(config: &ClientConfig, identity: &str) -> Result<ClientConfig, String> {
    let chain = CertificateDer::pem_slice_iter(identity.as_bytes()).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| format!("the client certificate: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(identity.as_bytes());
    let key = key.map_err(|error| format!("the key of the client certificate: {error}"))?;
    let certified = CertifiedKey::from_der(chain, key, config.crypto_provider());
    let certified = certified.map_err(|error| format!("the client certificate: {error}"))?;
    let mut config = config.clone();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    Ok(config)
}

/// Trusts the certificates of a PEM text, and no others.
pub(super) fn config_of(ca: &str) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("ca: {error}"))?;
        roots.add(certificate).map_err(|error| format!("ca: {error}"))?;
    }
    if roots.is_empty() {
        return Err("ca holds no certificate".to_owned());
    }
    let mut config = trusting(roots)?;
    config.alpn_protocols = http();
    Ok(config)
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, String> {
    // Named here, so that no other provider that a dependency brings along is ever picked.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// True with the stream if the server chose HTTP/2. Its certificate must be for `name`.
pub(super) async fn wrap(
    dialled: Dialled<TcpStream>,
    config: Arc<ClientConfig>,
    target: &Target,
    name: &str,
) -> Result<(Dialled<TlsStream<TcpStream>>, bool), ExchangeError> {
    let failed = |reason: String| ExchangeError::Tls { target: target.to_string(), reason };
    let name = ServerName::try_from(name.to_owned()).map_err(|error| failed(error.to_string()))?;
    let connecting = tokio_rustls::TlsConnector::from(config).connect(name, dialled.stream);
    let stream = connecting.await.map_err(|error| failed(chain(&error)))?;
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok((Dialled { stream, address: dialled.address }, h2))
}
