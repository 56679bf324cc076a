//! HTTP/3's sockets: one endpoint for a listener, which hands its connections to the cores.
//!
//! TCP listens once on each core, and the kernel spreads connections over them. For datagrams it
//! would spread by address and port, and a client whose address changes (a phone that leaves its
//! wireless network) would find another core, which does not know its connection. So one thread
//! takes all datagrams of a port in batches, finds the connection by the id within, and passes
//! them on; a connection itself, its cryptography and its sending belong to the core that it was
//! handed to, in turn.
//!
//! What a stranger can make this thread do is bounded: so many handshakes are under way at once
//! (`quic_handshakes`), and beyond a quarter of that a client must first show that its address is
//! its own (RFC 9000, section 8.1.2), so that a flood of forged addresses costs one datagram each.
//! 0-RTT is off, as everywhere.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use base::Clock;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, TokioRuntime, TransportConfig, VarInt};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{mpsc, watch};

use crate::ServerLimits;
use crate::handover::Sockets;
use crate::listen::{ListenError, Reception};
use crate::tls::Tls;

mod pseudo;
pub(crate) mod streams;

/// What HTTP/3 calls itself in a handshake (RFC 9114, section 3.1).
pub(crate) const ALPN: &[u8] = b"h3";

/// Handshakes that a core has not looked at yet. A core that is so far behind gets no more.
const WAITING_MAX: usize = 256;
/// Control, and both of QPACK; clients have others that are ignored.
const UNI_STREAMS: u32 = 8;
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Sent and not yet acknowledged.
const SEND_WINDOW: u64 = 1 << 20;
/// Datagrams of handshakes that no core has looked at yet.
const EARLY_BYTES: u64 = 64 << 10;
const EARLY_BYTES_ALL: u64 = 4 << 20;
/// How long an endpoint waits for its last words to be sent.
const FAREWELL: Duration = Duration::from_millis(500);

/// A listener for HTTP/3 that runs. Closing it ends what is left of its connections.
pub struct Quic {
    address: SocketAddr,
    closing: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What a core is handed: connections before their handshakes.
pub struct Intake {
    arrivals: mpsc::Receiver<Arrival>,
    pub(crate) shared: Arc<Shared>,
}

/// What the endpoint and the cores know of a listener.
pub(crate) struct Shared {
    pub listener: usize,
    pub tls: Arc<Tls>,
    pub clock: Arc<dyn Clock>,
    config: quinn::ServerConfig,
    handshakes: Arc<AtomicUsize>,
}

/// A client that wants to connect.
pub(crate) struct Arrival {
    pub incoming: quinn::Incoming,
    pub handshake: Handshake,
}

/// A handshake under way, until it is dropped.
pub(crate) struct Handshake(Arc<AtomicUsize>);

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Intake {
    pub(crate) async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }
}

impl Shared {
    /// The settings of a connection that begins now, so that a new certificate is shown at once.
    pub fn config(&self) -> Arc<quinn::ServerConfig> {
        let mut config = self.config.clone();
        config.crypto = self.tls.quic();
        Arc::new(config)
    }
}

/// What becomes of a client that wants to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    Accept,
    /// It is to come back with a proof of its address.
    Retry,
    Refuse,
}

/// `validated` if the client has shown that its address is its own.
fn admit(handshakes: usize, max: usize, validated: bool) -> Admission {
    match handshakes {
        under_way if under_way >= max => Admission::Refuse,
        under_way if under_way >= max / 4 && !validated => Admission::Retry,
        _ => Admission::Accept,
    }
}

/// The port of HTTP/3, taken, or given by another process. It may be sent to where it is to be used.
pub fn bind(address: SocketAddr, sockets: &Sockets) -> Result<UdpSocket, ListenError> {
    let name = format!("quic {address}");
    let wrong = |error| ListenError::of(&address.into(), error);
    let given = sockets.given(&name).and_then(|mut given| given.pop());
    let socket = match given {
        Some(socket) => UdpSocket::from(socket),
        None => open(address).map_err(wrong)?,
    };
    sockets.keep(&name, [socket.as_fd()]).map_err(wrong)?;
    Ok(socket)
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl Quic {
    /// Starts the endpoint's thread. Clients that connect from now on are handed to the cores in
    /// turn.
    pub fn start(
        socket: UdpSocket,
        reception: &Reception,
        limits: &ServerLimits,
        clock: Arc<dyn Clock>,
        cores: usize,
    ) -> io::Result<(Self, Vec<Intake>)> {
        let Some(tls) = reception.tls.clone() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "HTTP/3 needs TLS"));
        };
        let shared = Arc::new(Shared {
            listener: reception.listener,
            config: config(&tls, limits),
            tls,
            clock,
            handshakes: Arc::default(),
        });
        let address = socket.local_addr()?;
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..cores.max(1)).map(|_| mpsc::channel(WAITING_MAX)).unzip();
        let intakes = receivers.into_iter().map(|arrivals| Intake { arrivals, shared: shared.clone() }).collect();
        let (closing, closed) = watch::channel(false);
        let handshakes_max = limits.quic_handshakes;
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return tracing::error!(%error, "HTTP/3 has no runtime"),
            };
            runtime.block_on(async {
                if let Err(error) = serve(socket, &shared, &senders, handshakes_max, closed).await {
                    tracing::error!(%error, %address, "HTTP/3 stopped");
                }
            });
        };
        let thread = std::thread::Builder::new().name("quic".to_owned()).spawn(run)?;
        Ok((Self { address, closing, thread: Some(thread) }, intakes))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connection; those that there are go on until [`Quic`] is dropped.
    pub fn refuse(&self) {
        self.closing.send_replace(true);
    }
}

impl Drop for Quic {
    fn drop(&mut self) {
        // The thread sees its channel end.
        let (ended, _) = watch::channel(true);
        drop(std::mem::replace(&mut self.closing, ended));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn config(tls: &Tls, limits: &ServerLimits) -> quinn::ServerConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.h2_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(IdleTimeout::try_from(limits.idle).ok());
    let mut config = quinn::ServerConfig::with_crypto(tls.quic());
    config
        .transport_config(Arc::new(transport))
        .max_incoming(limits.quic_handshakes)
        .incoming_buffer_size(EARLY_BYTES)
        .incoming_buffer_size_total(EARLY_BYTES_ALL);
    config
}

async fn serve(
    socket: UdpSocket,
    shared: &Arc<Shared>,
    cores: &[mpsc::Sender<Arrival>],
    handshakes_max: usize,
    mut closing: watch::Receiver<bool>,
) -> io::Result<()> {
    let config = Some(shared.config.clone());
    let endpoint = Endpoint::new(EndpointConfig::default(), config, socket, Arc::new(TokioRuntime))?;
    let mut turn = 0;
    loop {
        tokio::select! {
            changed = closing.changed() => match changed {
                Ok(()) => endpoint.set_server_config(None),
                Err(_) => break,
            },
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => hand_over(incoming, shared, cores, &mut turn, handshakes_max),
                None => break,
            },
        }
    }
    endpoint.close(VarInt::from_u32(0x100), b"");
    let _ = tokio::time::timeout(FAREWELL, endpoint.wait_idle()).await;
    Ok(())
}

fn hand_over(
    incoming: quinn::Incoming,
    shared: &Shared,
    cores: &[mpsc::Sender<Arrival>],
    turn: &mut usize,
    handshakes_max: usize,
) {
    let under_way = shared.handshakes.load(Ordering::Relaxed);
    match admit(under_way, handshakes_max, incoming.remote_address_validated()) {
        Admission::Refuse => incoming.refuse(),
        Admission::Retry => {
            if let Err(error) = incoming.retry() {
                error.into_incoming().refuse();
            }
        }
        Admission::Accept => {
            shared.handshakes.fetch_add(1, Ordering::Relaxed);
            let handshake = Handshake(shared.handshakes.clone());
            *turn = (*turn + 1) % cores.len();
            // One that the core has no room for is refused as it is dropped.
            drop(cores[*turn].try_send(Arrival { incoming, handshake }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_handshakes_are_under_way_the_more_a_client_must_show() {
        assert_eq!(admit(0, 100, false), Admission::Accept);
        assert_eq!(admit(24, 100, false), Admission::Accept);
        assert_eq!(admit(25, 100, false), Admission::Retry);
        assert_eq!(admit(25, 100, true), Admission::Accept);
        assert_eq!(admit(99, 100, true), Admission::Accept);
        assert_eq!(admit(100, 100, true), Admission::Refuse);
        assert_eq!(admit(100, 100, false), Admission::Refuse);
        // However small the limit, there is a way in.
        assert_eq!(admit(0, 1, true), Admission::Accept);
    }
}
