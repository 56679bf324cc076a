//! What a client needs of the network.

use std::net::IpAddr;
use std::sync::Arc;

use services::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// Judges an address that a name resolved to; the text of an error is why not.
pub type Check = Arc<dyn Fn(IpAddr) -> Result<(), String> + Send + Sync>;

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection, and the address that it leads to.
pub struct Link {
    pub stream: Box<dyn Stream>,
    pub address: IpAddr,
}

/// Why there is none.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LinkError {
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    Tls(String),
}

/// Opens connections. They belong to the runtime on which the future is polled.
pub trait Network: Send + Sync {
    /// Resolves the host, has every address judged, and connects to one that passed.
    fn connect(&self, host: &str, port: u16, check: Check) -> BoxFuture<'static, Result<Link, LinkError>>;

    /// Goes on with TLS as its client: the certificate must be for this host, by an authority of the PEM
    /// text or, without one, of the system.
    fn secure(&self, link: Link, host: &str, ca: Option<&str>) -> BoxFuture<'static, Result<Link, LinkError>>;
}
