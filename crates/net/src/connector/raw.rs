//! Connections for protocols other than HTTP: opened as those for HTTP are, under the same check, and
//! handed over. TLS is a step of its own, for some protocols ask for it in clear first.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::dial::{self, chain};
use super::upgrade::Stream;
use super::{Check, Connector, ExchangeError, Target, tls};

/// A connection, and the address that it leads to.
pub struct RawStream {
    pub stream: Box<dyn Stream>,
    pub address: IpAddr,
}

impl Connector {
    /// Connects to one of the host's addresses that passed the check. It is for the caller to bound the
    /// time.
    pub async fn connect_raw(&self, host: &str, port: u16, check: Check) -> Result<RawStream, ExchangeError> {
        let target = Target { https: false, host: host.to_owned(), port, unix: None };
        let dialled = dial::dial(&target, &*check).await?;
        Ok(RawStream { stream: Box::new(dialled.stream), address: dialled.address })
    }

    /// Goes on with TLS. The certificate must be for `host`, by an authority of `ca` (PEM text) and no
    /// other, or by one that the system trusts. `protocol` is offered by ALPN.
    pub async fn secure_raw(
        &self,
        raw: RawStream,
        host: &str,
        ca: Option<&str>,
        protocol: &'static str,
    ) -> Result<RawStream, ExchangeError> {
        let target = Target { https: true, host: host.to_owned(), port: 0, unix: None };
        let failed = |reason: String| ExchangeError::Tls { target: host.to_owned(), reason };
        let mut config = match ca {
            Some(pem) => tls::config_of(pem).map_err(failed)?,
            None => (*self.tls_config(&target).await?).clone(),
        };
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from(host.to_owned()).map_err(|error| failed(error.to_string()))?;
        let connecting = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, raw.stream);
        let stream = connecting.await.map_err(|error| failed(chain(&error)))?;
        Ok(RawStream { stream: Box::new(stream), address: raw.address })
    }
}
