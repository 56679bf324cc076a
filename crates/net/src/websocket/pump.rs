//! Moves messages between a connection and an end, in one task.
//!
//! Reading stops while the end has no room, so a script that is slow slows its client down. What
//! is written waits for the client at most `idle`; what the script goes on sending meanwhile fills
//! the end's buffer, whose limit is the script's affair.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base::socket::{Ended, Message, Received, close_code};
use base::{Code, SocketEnd, SocketOptions, code};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Error, Utf8Bytes};

use super::metered::{Metered, TooManyFragments};
use super::{LAST_WORDS, Summary};

/// How the world tells a socket that its time is over.
pub(crate) trait Stop {
    /// Say goodbye.
    fn drain(&self) -> impl Future<Output = ()>;
    /// End at once.
    fn cut(&self) -> impl Future<Output = ()>;
}

struct Pump<'a, S> {
    socket: WebSocketStream<Metered<S>>,
    end: &'a SocketEnd,
    options: SocketOptions,
    watch: Watch,
    received_bytes: u64,
    sent_bytes: u64,
}

/// Whether the peer still lives, and keeps within bounds.
struct Watch {
    /// When to look at it again.
    at: Instant,
    /// What was read at the last look.
    read: u64,
    pinged: bool,
    second: Instant,
    control: u64,
}

/// What is written before the connection is looked at again.
const BATCH_BYTES: u64 = 256 << 10;

/// How writing went.
enum Written {
    All,
    Gone,
    /// The peer takes nothing.
    Stalled,
    /// The end was aborted meanwhile.
    Overtaken,
}

impl From<Result<(), Error>> for Written {
    fn from(written: Result<(), Error>) -> Self {
        if written.is_ok() { Written::All } else { Written::Gone }
    }
}

/// What a turn of the loop came to.
enum Step {
    GoOn,
    Over(Ended),
}

pub(super) async fn pump<S>(
    socket: WebSocketStream<Metered<S>>,
    end: &SocketEnd,
    stop: impl Stop,
) -> (WebSocketStream<Metered<S>>, Summary)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let options = *end.options();
    let now = Instant::now();
    let watch = Watch { at: now + options.idle / 2, read: 0, pinged: false, second: now, control: 0 };
    let mut pump = Pump { socket, end, options, watch, received_bytes: 0, sent_bytes: 0 };
    let ended = tokio::select! {
        biased;
        () = stop.cut() => Ended::gone().because(&code::DRAINING),
        ended = pump.run(&stop) => ended,
    };
    pump.end.close(ended.clone());
    let Pump { socket, received_bytes, sent_bytes, .. } = pump;
    (socket, Summary { received_bytes, sent_bytes, ended })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<'_, S> {
    async fn run(&mut self, stop: &impl Stop) -> Ended {
        let mut timer = pin!(sleep_until(self.watch.at));
        loop {
            if timer.deadline() != self.watch.at {
                timer.as_mut().reset(self.watch.at);
            }
            let end = self.end;
            let incoming = async {
                end.room().await;
                self.socket.next().await
            };
            let step = tokio::select! {
                () = stop.drain() => {
                    let ended = Ended::new(close_code::AWAY, "the node is shutting down").because(&code::DRAINING);
                    Step::Over(self.say_close(ended).await)
                }
                outgoing = end.receive() => self.write(outgoing).await,
                incoming = incoming => self.take(incoming).await,
                () = &mut timer => self.look().await,
            };
            if let Step::Over(ended) = step {
                return ended;
            }
        }
    }

    /// What the end wants written, and some of whatever else it has.
    async fn write(&mut self, first: Received) -> Step {
        let (end, socket, idle) = (self.end, &mut self.socket, self.options.idle);
        let progress = socket.get_ref().progress();
        let (mut next, mut ended, mut sent) = (Some(first), None, 0);
        let written = {
            let mut writing = pin!(async {
                while sent < BATCH_BYTES
                    && let Some(received) = next.take().or_else(|| end.try_receive())
                {
                    match received {
                        Received::Message(message) => {
                            sent += message.data().len() as u64 + 1;
                            socket.feed(frame(message)).await?;
                        }
                        Received::Ended(how) => {
                            ended = Some(how);
                            break;
                        }
                    }
                }
                socket.flush().await
            });
            let mut before = progress.load(Ordering::Relaxed);
            loop {
                tokio::select! {
                    // What is written at once needs no timer.
                    biased;
                    written = &mut writing => break Written::from(written),
                    () = end.aborted() => break Written::Overtaken,
                    () = sleep(idle) => {
                        let now = progress.load(Ordering::Relaxed);
                        if now == before {
                            break Written::Stalled;
                        }
                        before = now;
                    }
                }
            }
        };
        self.sent_bytes += sent;
        match written {
            Written::Gone => return Step::Over(Ended::gone().because(&code::CLIENT_GONE)),
            Written::Stalled => return Step::Over(Ended::gone().because(&code::SOCKET_OVERFLOW)),
            // What is being written will never be read.
            Written::Overtaken => {
                if let Some(Received::Ended(how)) = end.try_receive() {
                    ended = Some(how);
                }
            }
            Written::All => {}
        }
        match ended {
            Some(ended) => Step::Over(self.say_close(ended).await),
            None => Step::GoOn,
        }
    }

    /// What the connection gave.
    async fn take(&mut self, incoming: Option<Result<tungstenite::Message, Error>>) -> Step {
        let message = match incoming {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Step::Over(self.fail(&error).await),
            None => return Step::Over(Ended::gone().because(&code::CLIENT_GONE)),
        };
        let message = match message {
            tungstenite::Message::Text(text) => Message::Text(Bytes::from(text)),
            tungstenite::Message::Binary(data) => Message::Binary(data),
            tungstenite::Message::Close(frame) => return Step::Over(self.answer_close(frame).await),
            tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) => return self.control().await,
            tungstenite::Message::Frame(_) => return Step::GoOn,
        };
        self.socket.get_mut().message();
        self.received_bytes += message.data().len() as u64;
        // Who does not read any more has closed; that is seen on the way out.
        let _ = self.end.deliver(message);
        Step::GoOn
    }

    /// A ping or a pong arrived; the answer to a ping lies ready to be written.
    async fn control(&mut self) -> Step {
        let now = Instant::now();
        if now - self.watch.second >= Duration::from_secs(1) {
            self.watch.second = now;
            self.watch.control = 0;
        }
        self.watch.control += 1;
        let max = self.options.pings;
        if self.watch.control > max {
            let ended = Ended::new(close_code::POLICY, "too many pings").because(&code::SOCKET_FLOOD);
            return Step::Over(self.refuse(ended).await);
        }
        match timeout(self.options.idle, self.socket.flush()).await {
            Ok(Ok(())) => Step::GoOn,
            Ok(Err(_)) => Step::Over(Ended::gone().because(&code::CLIENT_GONE)),
            Err(_) => Step::Over(Ended::gone().because(&code::SOCKET_IDLE)),
        }
    }

    /// Half of the idle time is over.
    async fn look(&mut self) -> Step {
        let read = self.socket.get_ref().read_bytes();
        let silent = read == self.watch.read;
        self.watch.read = read;
        self.watch.at = Instant::now() + self.options.idle / 2;
        if !silent {
            self.watch.pinged = false;
            return Step::GoOn;
        }
        if self.watch.pinged {
            return Step::Over(Ended::gone().because(&code::SOCKET_IDLE));
        }
        self.watch.pinged = true;
        let ping = self.socket.send(tungstenite::Message::Ping(Bytes::new()));
        match timeout(self.options.idle, ping).await {
            Ok(Ok(())) => Step::GoOn,
            Ok(Err(_)) => Step::Over(Ended::gone().because(&code::CLIENT_GONE)),
            Err(_) => Step::Over(Ended::gone().because(&code::SOCKET_IDLE)),
        }
    }

    /// Our side closes first: says so, and waits for the peer's word.
    async fn say_close(&mut self, ended: Ended) -> Ended {
        let frame = match ended.code {
            close_code::NONE => None,
            code if close_code::is_sendable(code) => Some(close_frame(code, &ended.reason)),
            _ => Some(close_frame(close_code::ERROR, "the worker is gone")),
        };
        let socket = &mut self.socket;
        let handshake = async {
            socket.close(frame).await.ok()?;
            loop {
                match socket.next().await {
                    Some(Ok(tungstenite::Message::Close(frame))) => return Some(frame),
                    // What was under way when we closed is of no interest any more.
                    Some(Ok(_)) => socket.get_mut().message(),
                    _ => return None,
                }
            }
        };
        let answer = timeout(self.options.close, handshake).await.ok().flatten();
        match answer {
            Some(theirs) => {
                let (code, reason) = read_close(theirs);
                Ended { code, reason, clean: true, cause: ended.cause }
            }
            None => Ended { code: close_code::ABNORMAL, clean: false, ..ended },
        }
    }

    /// The peer closes: the answer lies ready, and is written by reading on to the end.
    async fn answer_close(&mut self, frame: Option<CloseFrame>) -> Ended {
        let (code, reason) = read_close(frame);
        let ended = Ended::new(code, reason).cleanly();
        self.end.close(ended.clone());
        let socket = &mut self.socket;
        let _ = timeout(self.options.close, async { while let Some(Ok(_)) = socket.next().await {} }).await;
        ended
    }

    /// The connection failed, or the peer did.
    async fn fail(&mut self, error: &Error) -> Ended {
        let (code, cause): (u16, Code) = match error {
            Error::Capacity(_) => (close_code::TOO_BIG, &code::SOCKET_MESSAGE_TOO_LARGE),
            Error::Utf8(_) => (close_code::INVALID, &code::SOCKET_PROTOCOL),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                return Ended::gone().because(&code::CLIENT_GONE);
            }
            Error::Protocol(_) => (close_code::PROTOCOL, &code::SOCKET_PROTOCOL),
            Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<TooManyFragments>()) => {
                (close_code::POLICY, &code::SOCKET_FLOOD)
            }
            _ => return Ended::gone().because(&code::CLIENT_GONE),
        };
        self.refuse(Ended::new(code, "").because(cause)).await
    }

    /// Ends the conversation for a reason, without waiting for an answer.
    async fn refuse(&mut self, ended: Ended) -> Ended {
        let reason = ended.cause.map_or("", |cause| cause.name);
        self.end.close(ended.clone());
        let _ = timeout(LAST_WORDS, self.socket.close(Some(close_frame(ended.code, reason)))).await;
        ended
    }
}

fn frame(message: Message) -> tungstenite::Message {
    match message {
        Message::Text(text) => match Utf8Bytes::try_from(text) {
            Ok(text) => tungstenite::Message::Text(text),
            // Whoever made it has checked it; this is for a reader of the types.
            Err(_) => tungstenite::Message::Text(Utf8Bytes::default()),
        },
        Message::Binary(data) => tungstenite::Message::Binary(data),
    }
}

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from(reason) }
}

fn read_close(frame: Option<CloseFrame>) -> (u16, String) {
    match frame {
        Some(frame) => (frame.code.into(), frame.reason.as_str().to_owned()),
        None => (close_code::NONE, String::new()),
    }
}
