//! WebSocket on the wire (RFC 6455, RFC 8441): the handshake, and the pump between a connection
//! and an end of a [`base::SocketEnd`].
//!
//! The protocol itself (frames, masks, UTF-8) is tungstenite's. What is here decides when to read,
//! when to write, and when enough is enough: a peer that is silent, floods, or takes nothing.
//! Compression is not negotiated.

pub(crate) mod handshake;
mod metered;
mod pump;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::socket::Ended;
use base::{Body, SocketEnd};
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub use handshake::{asks, offers};
pub(crate) use pump::Stop;

use metered::Metered;

/// A connection reads this much at a time, and an idle socket holds as much: little, for a node may have
/// tens of thousands of those. What comes in large messages costs a few more reads.
const READ_BYTES: usize = 2 << 10;
const WRITE_BYTES: usize = 16 << 10;

/// What passed through a socket, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub ended: Ended,
}

type Told = Box<dyn FnOnce(Summary) + Send>;

/// In the extensions of a response that brings a socket: who wants to hear of its end.
#[derive(Clone)]
pub struct OnSocketEnd(Arc<Mutex<Option<Told>>>);

impl OnSocketEnd {
    pub fn attach(response: &mut Response<Body>, told: impl FnOnce(Summary) + Send + 'static) {
        response.extensions_mut().insert(Self(Arc::new(Mutex::new(Some(Box::new(told))))));
    }

    pub(crate) fn take(response: &mut Response<Body>) -> Option<Told> {
        let on_end = response.extensions_mut().remove::<Self>()?;
        on_end.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Speaks the protocol on a connection whose handshake is over, until it is done with. Returns the
/// connection, for as far as it can be used still, and what passed.
pub(crate) async fn run<S>(stream: S, before: Vec<u8>, role: Role, end: SocketEnd, stop: impl Stop) -> (S, Summary)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let options = *end.options();
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_message_size(Some(options.message_bytes))
        .max_frame_size(Some(options.message_bytes));
    let metered = Metered::new(stream, before.len(), options.message_bytes);
    let socket = WebSocketStream::from_partially_read(metered, before, role, Some(config)).await;
    let (socket, summary) = pump::pump(socket, &end, stop).await;
    drop(end);
    (socket.into_inner().into_inner(), summary)
}

/// After a failure the last words get this long, whatever the limits say.
const LAST_WORDS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
