//! quinn's streams as h3 sees them, with what h3 leaves unbounded bounded.
//!
//! h3 reads whatever is there, and keeps it until it can make a frame of it: a head of a gigabyte,
//! or a million frames of one byte, would be kept whole. Here a stream gives out no more than its
//! [`Room`] has: while the head is read, what a head may be; later, a window beyond what the
//! reader of the body took. What is not given out stays unread, and QUIC's own flow control holds
//! the client back.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId, WriteBuf};
use quinn::{ConnectionError, ReadError, VarInt, WriteError};

use super::pseudo::HeadWatch;

/// Beyond what the fields of a head have, for what frames and QPACK add.
const HEAD_EXTRA: u64 = 8 << 10;
/// What may be read of a body before it is asked for.
const AHEAD: u64 = 64 << 10;
/// What a frame costs its reader beside its bytes; so that frames of one byte are paid for.
const FRAME: u64 = 16;
/// What each request lets a client say on its control stream: a change of its priority, say.
const CONTROL_PER_REQUEST: u64 = 1 << 10;

/// How much a request's stream may give out.
#[derive(Debug)]
pub(crate) struct Room {
    head_max: u64,
    in_head: AtomicBool,
    given: AtomicU64,
    taken: AtomicU64,
}

impl Room {
    fn new(head_max: u64) -> Arc<Self> {
        Arc::new(Self { head_max, in_head: AtomicBool::new(true), given: AtomicU64::new(0), taken: AtomicU64::new(0) })
    }

    /// The head is there: what follows is the body.
    pub fn head_ends(&self) {
        self.in_head.store(false, Ordering::Relaxed);
        self.taken.store(self.given.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// The reader of the body got a piece.
    pub fn take(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64 + FRAME, Ordering::Relaxed);
    }

    /// How much may be given out now. `Err` if it is too much for a head; 0 if the reader is to
    /// take something first, which it does in the same poll or never.
    fn left(&self) -> Result<usize, ()> {
        let given = self.given.load(Ordering::Relaxed);
        if self.in_head.load(Ordering::Relaxed) {
            let left = (self.head_max + HEAD_EXTRA).saturating_sub(given);
            return if left == 0 { Err(()) } else { Ok(left as usize) };
        }
        Ok((self.taken.load(Ordering::Relaxed) + AHEAD).saturating_sub(given) as usize)
    }
}

/// What is known of a request's stream beside h3.
pub(crate) struct Opened {
    pub room: Arc<Room>,
    /// Ends when the client wants no answer any more, or has all of it.
    pub stopped: Pin<Box<dyn Future<Output = Stopped>>>,
}

/// How the sending half of a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The client acknowledged all of it.
    Delivered,
    GaveUp,
}

type Accepting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectionError>>>>;
type Pair = (quinn::SendStream, quinn::RecvStream);

/// A connection.
pub(crate) struct Connection {
    quic: quinn::Connection,
    requests: Accepting<Pair>,
    others: Accepting<quinn::RecvStream>,
    opening: Option<Accepting<quinn::SendStream>>,
    control: Rc<Control>,
}

/// What the driver of a connection and its streams tell each other.
pub(crate) struct Control {
    head_max: u64,
    /// Every new request is refused, so that the client asks somebody else.
    pub refusing: Cell<bool>,
    requests: Arc<AtomicU64>,
    opened: RefCell<Option<Opened>>,
}

impl Control {
    /// The stream that h3 gave out last.
    pub fn opened(&self) -> Option<Opened> {
        self.opened.take()
    }
}

impl Connection {
    pub fn new(quic: &quinn::Connection, head_max: u64) -> (Self, Rc<Control>) {
        let control = Rc::new(Control {
            head_max,
            refusing: Cell::new(false),
            requests: Arc::default(),
            opened: RefCell::default(),
        });
        let connection = Self {
            requests: requests(quic),
            others: others(quic),
            opening: None,
            quic: quic.clone(),
            control: control.clone(),
        };
        (connection, control)
    }
}

fn requests(quic: &quinn::Connection) -> Accepting<Pair> {
    let quic = quic.clone();
    Box::pin(async move { quic.accept_bi().await })
}

fn others(quic: &quinn::Connection) -> Accepting<quinn::RecvStream> {
    let quic = quic.clone();
    Box::pin(async move { quic.accept_uni().await })
}

fn watch(send: &quinn::SendStream) -> Pin<Box<dyn Future<Output = Stopped>>> {
    let stopped = send.stopped();
    Box::pin(async move {
        match stopped.await {
            Ok(None) => Stopped::Delivered,
            Ok(Some(_)) | Err(_) => Stopped::GaveUp,
        }
    })
}

impl quic::Connection<Bytes> for Connection {
    type RecvStream = Receiving;
    type OpenStreams = Opener;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receiving, ConnectionErrorIncoming>> {
        let accepted = ready!(self.others.as_mut().poll(cx));
        self.others = others(&self.quic);
        let stream = accepted.map_err(connection_error)?;
        let budget = Budget::Control { max: self.control.head_max, requests: self.control.requests.clone(), given: 0 };
        Poll::Ready(Ok(Receiving { stream, budget }))
    }

    fn poll_accept_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Both, ConnectionErrorIncoming>> {
        loop {
            let accepted = ready!(self.requests.as_mut().poll(cx));
            self.requests = requests(&self.quic);
            let (mut send, mut recv) = accepted.map_err(connection_error)?;
            if self.control.refusing.get() {
                let code = code(Code::H3_REQUEST_REJECTED.value());
                let _ = (send.reset(code), recv.stop(code));
                continue;
            }
            self.control.requests.fetch_add(1, Ordering::Relaxed);
            let room = Room::new(self.control.head_max);
            *self.control.opened.borrow_mut() = Some(Opened { room: room.clone(), stopped: watch(&send) });
            let send = Sending { stream: send, writing: None, state: Sent::Nothing };
            return Poll::Ready(Ok(Both {
                send,
                recv: Receiving { stream: recv, budget: Budget::Request(room, HeadWatch::default()) },
            }));
        }
    }

    fn opener(&self) -> Opener {
        Opener(self.quic.clone())
    }
}

impl quic::OpenStreams<Bytes> for Connection {
    type BidiStream = Both;
    type SendStream = Sending;

    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Both, StreamErrorIncoming>> {
        Poll::Ready(Err(no_such_stream()))
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sending, StreamErrorIncoming>> {
        let quic = &self.quic;
        let opening = self.opening.get_or_insert_with(|| {
            let quic = quic.clone();
            Box::pin(async move { quic.open_uni().await })
        });
        let opened = ready!(opening.as_mut().poll(cx));
        self.opening = None;
        let stream = opened.map_err(lost)?;
        Poll::Ready(Ok(Sending { stream, writing: None, state: Sent::Something }))
    }

    fn close(&mut self, reason: Code, detail: &[u8]) {
        self.quic.close(code(reason.value()), detail);
    }
}

/// A server opens no stream but those of its connection's start.
pub(crate) struct Opener(quinn::Connection);

impl quic::OpenStreams<Bytes> for Opener {
    type BidiStream = Both;
    type SendStream = Sending;

    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Both, StreamErrorIncoming>> {
        Poll::Ready(Err(no_such_stream()))
    }

    fn poll_open_send(&mut self, _: &mut Context<'_>) -> Poll<Result<Sending, StreamErrorIncoming>> {
        Poll::Ready(Err(no_such_stream()))
    }

    fn close(&mut self, reason: Code, detail: &[u8]) {
        self.0.close(code(reason.value()), detail);
    }
}

/// Both halves of a request's stream.
pub(crate) struct Both {
    send: Sending,
    recv: Receiving,
}

impl quic::BidiStream<Bytes> for Both {
    type SendStream = Sending;
    type RecvStream = Receiving;

    fn split(self) -> (Sending, Receiving) {
        (self.send, self.recv)
    }
}

impl quic::RecvStream for Both {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        self.recv.poll_data(cx)
    }

    fn stop_sending(&mut self, reason: u64) {
        self.recv.stop_sending(reason);
    }

    fn recv_id(&self) -> StreamId {
        self.recv.recv_id()
    }
}

impl quic::SendStream<Bytes> for Both {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.send.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.send.poll_finish(cx)
    }

    fn reset(&mut self, reason: u64) {
        self.send.reset(reason);
    }

    fn send_id(&self) -> StreamId {
        self.send.send_id()
    }
}

/// What bounds the reading of a stream.
enum Budget {
    Request(Arc<Room>, HeadWatch),
    /// What is said there is kept by nobody, but it costs time.
    Control {
        max: u64,
        requests: Arc<AtomicU64>,
        given: u64,
    },
}

/// What a client sends.
pub(crate) struct Receiving {
    stream: quinn::RecvStream,
    budget: Budget,
}

impl quic::RecvStream for Receiving {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let left = match &self.budget {
            Budget::Request(room, _) => room.left().ok(),
            Budget::Control { max, requests, given } => {
                let max = max + requests.load(Ordering::Relaxed) * CONTROL_PER_REQUEST;
                Some(max.saturating_sub(*given) as usize).filter(|left| *left > 0)
            }
        };
        let left = match left {
            Some(0) => return Poll::Pending,
            Some(left) => left,
            None => {
                let reason = Code::H3_EXCESSIVE_LOAD.value();
                self.stop_sending(reason);
                return Poll::Ready(Err(StreamErrorIncoming::Unknown("more than the node reads".into())));
            }
        };
        let chunk = ready!(pin!(self.stream.read_chunk(left, true)).poll(cx)).map_err(read_error)?;
        let Some(chunk) = chunk else { return Poll::Ready(Ok(None)) };
        let bytes = chunk.bytes.len() as u64;
        match &mut self.budget {
            Budget::Request(room, head) => {
                room.given.fetch_add(bytes, Ordering::Relaxed);
                if head.read(&chunk.bytes).is_err() {
                    self.stop_sending(Code::H3_MESSAGE_ERROR.value());
                    return Poll::Ready(Err(StreamErrorIncoming::Unknown(
                        "its pseudo-header fields are malformed".into(),
                    )));
                }
            }
            Budget::Control { given, .. } => *given += bytes,
        }
        Poll::Ready(Ok(Some(chunk.bytes)))
    }

    fn stop_sending(&mut self, reason: u64) {
        // An error means that it has ended already.
        let _ = self.stream.stop(code(reason));
    }

    fn recv_id(&self) -> StreamId {
        stream_id(self.stream.id())
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        // What is left of a body that nobody wants (RFC 9114, section 4.1.1).
        if matches!(self.budget, Budget::Request(..)) {
            let _ = self.stream.stop(code(Code::H3_NO_ERROR.value()));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Something,
    /// Finished, or given up.
    All,
}

/// What a client is sent.
pub(crate) struct Sending {
    stream: quinn::SendStream,
    writing: Option<WriteBuf<Bytes>>,
    state: Sent,
}

impl quic::SendStream<Bytes> for Sending {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        if let Some(data) = &mut self.writing {
            while data.has_remaining() {
                let written = ready!(Pin::new(&mut self.stream).poll_write(cx, data.chunk())).map_err(write_error)?;
                data.advance(written);
                self.state = Sent::Something;
            }
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), StreamErrorIncoming> {
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StreamErrorIncoming>> {
        self.state = Sent::All;
        Poll::Ready(self.stream.finish().map_err(|error| StreamErrorIncoming::Unknown(Box::new(error))))
    }

    fn reset(&mut self, reason: u64) {
        self.state = Sent::All;
        let _ = self.stream.reset(code(reason));
    }

    fn send_id(&self) -> StreamId {
        stream_id(self.stream.id())
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        // quinn would end the stream as if it were whole.
        if self.state == Sent::Nothing || (self.state == Sent::Something && std::thread::panicking()) {
            self.reset_quietly();
        }
    }
}

impl Sending {
    fn reset_quietly(&mut self) {
        let _ = self.stream.reset(code(Code::H3_REQUEST_CANCELLED.value()));
    }
}

fn code(value: u64) -> VarInt {
    VarInt::from_u64(value).unwrap_or(VarInt::MAX)
}

fn stream_id(id: quinn::StreamId) -> StreamId {
    let id: u64 = VarInt::from(id).into_inner();
    let Ok(id) = StreamId::try_from(id) else { unreachable!("both are numbers of at most 62 bits") };
    id
}

fn no_such_stream() -> StreamErrorIncoming {
    StreamErrorIncoming::Unknown("a server opens no such stream".into())
}

fn connection_error(error: ConnectionError) -> ConnectionErrorIncoming {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            ConnectionErrorIncoming::ApplicationClose { error_code: close.error_code.into_inner() }
        }
        ConnectionError::TimedOut => ConnectionErrorIncoming::Timeout,
        other => ConnectionErrorIncoming::Undefined(Arc::new(other)),
    }
}

fn lost(error: ConnectionError) -> StreamErrorIncoming {
    StreamErrorIncoming::ConnectionErrorIncoming { connection_error: connection_error(error) }
}

fn read_error(error: ReadError) -> StreamErrorIncoming {
    match error {
        ReadError::Reset(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into_inner() },
        ReadError::ConnectionLost(error) => lost(error),
        other => StreamErrorIncoming::Unknown(Box::new(other)),
    }
}

fn write_error(error: WriteError) -> StreamErrorIncoming {
    match error {
        WriteError::Stopped(code) => StreamErrorIncoming::StreamTerminated { error_code: code.into_inner() },
        WriteError::ConnectionLost(error) => lost(error),
        other => StreamErrorIncoming::Unknown(Box::new(other)),
    }
}
