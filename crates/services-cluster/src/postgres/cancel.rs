//! Asking a server to cancel what a connection does: over another connection, with the key that the
//! server gave the first (the protocol's "Canceling Requests in Progress").

use std::sync::Arc;
use std::time::Duration;

use postgres_protocol::message::frontend;
use services::postgres::DatabaseOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::startup;
use crate::network::{Check, Network};

#[derive(Clone)]
pub struct Canceller {
    network: Arc<dyn Network>,
    options: Arc<DatabaseOptions>,
    check: Check,
    key: Option<(i32, i32)>,
}

impl Canceller {
    pub fn new(network: Arc<dyn Network>, options: Arc<DatabaseOptions>, check: Check) -> Self {
        Self { network, options, check, key: None }
    }

    pub fn with_key(self, key: Option<(i32, i32)>) -> Self {
        Self { key, ..self }
    }

    /// Asks. The server gives no answer; whether it heard shows on the connection itself. The task ends
    /// when the server has passed the request on, within `cancel_ms`.
    pub fn cancel(&self) -> Option<JoinHandle<()>> {
        let (process, secret) = self.key?;
        let canceller = self.clone();
        Some(tokio::spawn(async move {
            let limit = Duration::from_millis(canceller.options.limits.cancel_ms);
            let asking = canceller.ask(process, secret);
            if !matches!(tokio::time::timeout(limit, asking).await, Ok(Ok(()))) {
                tracing::debug!(database = %canceller.options.address, "a request to cancel did not get through");
            }
        }))
    }

    async fn ask(&self, process: i32, secret: i32) -> Result<(), ()> {
        let link = startup::open(&*self.network, &self.options, self.check.clone()).await.map_err(|_| ())?;
        let mut stream = link.stream;
        let mut request = bytes::BytesMut::new();
        frontend::cancel_request(process, secret, &mut request);
        stream.write_all(&request).await.map_err(|_| ())?;
        stream.flush().await.map_err(|_| ())?;
        // The server closes when it has passed the request on.
        let _ = stream.read(&mut [0]).await;
        Ok(())
    }
}
