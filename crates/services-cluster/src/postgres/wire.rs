//! One connection as bytes: messages go out in one piece and come in one by one. What may come at any
//! time (notices, settings, notifications) is dealt with here.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;

use bytes::BytesMut;
use postgres_protocol::message::backend::{Header, Message};
use postgres_protocol::message::frontend;
use services::postgres::Notification;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::network::{Link, Stream};

/// What is read at once.
const READ_BYTES: usize = 16 << 10;

/// Kept of the buffers between statements.
const BUFFER_BYTES: usize = 64 << 10;

pub struct Wire {
    stream: Box<dyn Stream>,
    pub address: IpAddr,
    incoming: BytesMut,
    pub outgoing: BytesMut,
    /// The largest message that is taken.
    message_bytes_max: usize,
    /// The server has reported a setting that changed.
    pub settings_changed: bool,
    pub notifications: VecDeque<Notification>,
}

impl Wire {
    pub fn new(link: Link, message_bytes_max: usize) -> Self {
        Self {
            stream: link.stream,
            address: link.address,
            incoming: BytesMut::with_capacity(READ_BYTES),
            outgoing: BytesMut::new(),
            message_bytes_max,
            settings_changed: false,
            notifications: VecDeque::new(),
        }
    }

    /// Sends what was put into `outgoing`.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.outgoing).await?;
        self.stream.flush().await?;
        self.outgoing.clear();
        if self.outgoing.capacity() > BUFFER_BYTES {
            self.outgoing = BytesMut::new();
        }
        Ok(())
    }

    /// The next message that belongs to what is being done. Dropping the future loses nothing.
    pub async fn next(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.parse()? {
                if let Some(message) = self.note(message)? {
                    return Ok(message);
                }
                continue;
            }
            self.incoming.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.incoming).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
        }
    }

    /// Waits for notifications, between statements; at least one.
    pub async fn notified(&mut self) -> io::Result<()> {
        while self.notifications.is_empty() {
            if let Some(message) = self.parse()? {
                if let Some(message) = self.note(message)? {
                    return Err(unexpected(&message));
                }
                continue;
            }
            self.incoming.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.incoming).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
        }
        Ok(())
    }

    /// Whether an unused connection is still good: nothing has come but what may come at any time.
    pub async fn is_alive(&mut self) -> bool {
        let waiting = tokio::time::timeout(std::time::Duration::ZERO, self.next());
        // Any message that comes by itself says that the server is about to close.
        waiting.await.is_err()
    }

    fn parse(&mut self) -> io::Result<Option<Message>> {
        if let Some(header) = Header::parse(&self.incoming)?
            && usize::try_from(header.len()).unwrap_or(usize::MAX) > self.message_bytes_max
        {
            return Err(too_long());
        }
        Message::parse(&mut self.incoming)
    }

    fn note(&mut self, message: Message) -> io::Result<Option<Message>> {
        match message {
            Message::NoticeResponse(_) => Ok(None),
            Message::ParameterStatus(_) => {
                self.settings_changed = true;
                Ok(None)
            }
            Message::NotificationResponse(body) => {
                self.notifications.push_back(Notification {
                    channel: body.channel()?.to_owned(),
                    payload: body.message()?.to_owned(),
                    process: body.process_id(),
                });
                Ok(None)
            }
            other => Ok(Some(other)),
        }
    }

    /// Says goodbye; the server needs no answer.
    pub async fn terminate(mut self) {
        self.outgoing.clear();
        frontend::terminate(&mut self.outgoing);
        // Whoever is gone needs no goodbye.
        let _ = self.flush().await;
    }
}

/// A message that is larger than any that is taken.
pub fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "one row is larger than any result may be")
}

pub fn unexpected(message: &Message) -> io::Error {
    let what = match message {
        Message::ErrorResponse(body) => {
            return error_of(body).map_or_else(|error| error, |e| io::Error::other(e.message));
        }
        Message::DataRow(_) => "a row",
        Message::ReadyForQuery(_) => "readiness",
        Message::CommandComplete(_) => "the end of a command",
        _ => "a message",
    };
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what} where none belongs"))
}

/// The fields of an error.
pub fn error_of(
    body: &postgres_protocol::message::backend::ErrorResponseBody,
) -> io::Result<services::postgres::ServerError> {
    use fallible_iterator::FallibleIterator as _;
    let mut error = services::postgres::ServerError::default();
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            // The severity that is never translated comes second, and counts.
            b'S' | b'V' => error.severity = text,
            b'C' => error.sqlstate = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            b'P' => error.position = text.parse().ok(),
            b'W' => error.context = Some(text),
            b's' => error.schema = Some(text),
            b't' => error.table = Some(text),
            b'c' => error.column = Some(text),
            b'd' => error.data_type = Some(text),
            b'n' => error.constraint = Some(text),
            _ => {}
        }
    }
    Ok(error)
}
