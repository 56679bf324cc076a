//! A client of HTTP/2 that sends whatever frames a test wants.

use super::*;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals, of which HPACK remembers nothing (RFC 7541, section 6.2.2).
pub fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let text = |text: &[u8]| [&[u8::try_from(text.len()).unwrap()], text].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

pub const GET_FIELDS: [(&[u8], &[u8]); 4] =
    [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"h"), (b":path", b"/a")];

pub fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&GET_FIELDS))
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Answered(Vec<u8>),
    Reset(u32),
    /// The connection, with this code.
    GoAway(u32),
    Closed,
}

pub struct RawH2(pub TcpStream);

impl RawH2 {
    /// Connects, with these settings.
    pub async fn connect(node: &Node, settings: &[u8]) -> Self {
        let mut stream = node.connect().await;
        let start = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, settings)].concat();
        stream.write_all(&start).await.unwrap();
        Self(stream)
    }

    /// False if the server has closed.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Kind, stream and payload of the next frame.
    pub async fn frame(&mut self) -> Option<(u8, u32, Vec<u8>)> {
        let (kind, _, stream, payload) = self.flagged_frame().await?;
        Some((kind, stream, payload))
    }

    /// The same, with its flags behind its kind.
    pub async fn flagged_frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], u32::from_be_bytes(head[5..].try_into().unwrap()), payload))
    }

    /// How a request, or the connection under it, ends.
    pub async fn outcome(&mut self, stream: u32) -> Ended {
        let code = |payload: &[u8]| u32::from_be_bytes(payload.try_into().unwrap());
        loop {
            match self.frame().await {
                Some((HEADERS, id, block)) if id == stream => return Ended::Answered(block),
                Some((RST_STREAM, id, payload)) if id == stream => return Ended::Reset(code(&payload)),
                Some((GOAWAY, _, payload)) => return Ended::GoAway(code(&payload[4..8])),
                Some(_) => {}
                None => return Ended::Closed,
            }
        }
    }
}
