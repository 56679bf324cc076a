//! Outbound WebSockets: an exchange that becomes a socket. Never pooled, always HTTP/1.1.

use std::net::IpAddr;
use std::sync::Arc;

use base::socket::{self, SocketOptions, Upgrade};
use base::{Body, BodyError, SystemRng, code};
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::dial::{self, chain};
use super::{Check, Connector, ExchangeError, HEAD_MAX, Outgoing, Target, prepare, target, tls};
use crate::websocket::{self, Stop, handshake};

/// A stream of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The node stops.
struct Draining(watch::Receiver<bool>);

impl Stop for Draining {
    fn drain(&self) -> impl Future<Output = ()> {
        let mut told = self.0.clone();
        async move {
            if told.wait_for(|draining| *draining).await.is_err() {
                // The connector is gone, and with it everybody who could say.
                std::future::pending::<()>().await;
            }
        }
    }

    fn cut(&self) -> impl Future<Output = ()> {
        std::future::pending()
    }
}

impl Connector {
    /// Asks a server for a WebSocket. If it agrees, the response has status 101 and brings an end
    /// of the socket; whatever else it answers is a response like any other.
    pub async fn upgrade(
        &self,
        request: Outgoing,
        options: SocketOptions,
        check: Check,
    ) -> Result<http::Response<Body>, ExchangeError> {
        let target = target(&request.url)?;
        let request = prepare(request, &target)?;
        let stream = self.open(&target, &*check).await?;
        self.upgrade_on(stream, request, options, &target).await
    }

    /// The same on a connection of its own.
    pub(super) async fn upgrade_on(
        &self,
        stream: Box<dyn Stream>,
        mut request: http::Request<Body>,
        options: SocketOptions,
        target: &Target,
    ) -> Result<http::Response<Body>, ExchangeError> {
        let key = handshake::fresh_key(&SystemRng);
        handshake::ask(request.headers_mut(), &key);
        let offered: Vec<String> = websocket::offers(request.headers()).map(str::to_owned).collect();
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Default::default, Into::into);
        let protocol = |reason: String| ExchangeError::Protocol { target: target.to_string(), reason };

        let shaken = HEAD_MAX.http1().handshake::<_, Body>(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| protocol(chain(&error)))?;
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        let response = sender.send_request(request).await.map_err(|error| protocol(chain(&error)))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response.map(|body| {
                Body::stream(body.map_err(|error| {
                    BodyError::new(&code::UPSTREAM_PROTOCOL, format!("the response broke off: {}", chain(&error)))
                }))
            }));
        }
        handshake::check_answer(response.headers(), &key, &offered).map_err(protocol)?;
        let (parts, _) = response.into_parts();
        let mut response = http::Response::from_parts(parts, Body::empty());
        let Some(upgraded) = response.extensions_mut().remove::<hyper::upgrade::OnUpgrade>() else {
            return Err(protocol("the connection can't be taken over".to_owned()));
        };
        let upgraded = upgraded.await.map_err(|error| protocol(chain(&error)))?;
        let (near, far) = socket::pair(options);
        let stop = Draining(self.draining.subscribe());
        tokio::spawn(async move {
            drop(websocket::run(TokioIo::new(upgraded), Vec::new(), Role::Client, far, stop).await);
        });
        handshake::tidy(response.headers_mut());
        Upgrade::attach(&mut response, near);
        Ok(response)
    }

    /// A connection of its own.
    async fn open(
        &self,
        target: &Target,
        check: &(dyn Fn(IpAddr) -> Result<(), String> + Send + Sync),
    ) -> Result<Box<dyn Stream>, ExchangeError> {
        let opening = async {
            let dialled = dial::dial(target, check).await?;
            if !target.https {
                return Ok(Box::new(dialled.stream) as Box<dyn Stream>);
            }
            let mut config = (*self.tls_config(target).await?).clone();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let (dialled, _) = tls::wrap(dialled, Arc::new(config), target, &target.host).await?;
            Ok(Box::new(dialled.stream) as Box<dyn Stream>)
        };
        let ms = self.options.connect.as_millis();
        tokio::time::timeout(self.options.connect, opening)
            .await
            .unwrap_or_else(|_| Err(ExchangeError::ConnectTimeout { target: target.to_string(), ms }))
    }
}

#[cfg(test)]
mod tests;
