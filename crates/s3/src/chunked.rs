//! `aws-chunked`: content in chunks, each with a signature that continues that of the one before,
//! and trailers behind, which bring a checksum.
//!
//! Bytes are passed on before their chunk's signature is known; a body that turns out wrong ends with
//! an error, and a put whose body ends so changes nothing.
//!
//! Source: "Signature Calculations: Transferring Payload in Multiple Chunks" of the S3 API reference.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::digest::{self, SHA256};
use base::{Body, BodyError, code};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use services::blob::{Algorithm, Checksum, Trailer};

use crate::sigv4::{EMPTY_SHA256, SigningKey, sha256_hex};

/// The line before a chunk, and everything behind the last one.
const LINE_BYTES_MAX: usize = 1 << 10;
const TRAILERS_BYTES_MAX: usize = 16 << 10;

/// How a body is framed.
#[derive(Clone)]
pub struct Framing {
    pub signing: Option<Chain>,
    pub trailers: bool,
}

/// The signature that the next one continues.
#[derive(Clone)]
pub struct Chain {
    pub key: SigningKey,
    pub amz_date: String,
    pub scope: String,
    pub previous: String,
}

impl Chain {
    /// Checks a signature over what `kind` says, and goes on from it.
    fn check(&mut self, kind: &str, digests: &str, signature: &str) -> Result<(), BodyError> {
        let text = format!("AWS4-HMAC-SHA256-{kind}\n{}\n{}\n{}\n{digests}", self.amz_date, self.scope, self.previous);
        if !self.key.verify(&text, signature) {
            return Err(BodyError::new(&code::S3_SIGNATURE, "the signature of a chunk is not right"));
        }
        self.previous = signature.to_owned();
        Ok(())
    }
}

/// The content of a framed body.
pub struct Content {
    body: Body,
    framing: Framing,
    buffer: BytesMut,
    state: State,
    trailer: Trailer,
}

enum State {
    /// The line before a chunk.
    Line,
    Data {
        left: u64,
        hash: digest::Context,
        signature: String,
    },
    /// The line's end behind a chunk's data.
    End,
    Trailers,
    Over,
}

/// What a step came to.
enum Step {
    Data(Bytes),
    More,
    /// It goes on with what is there.
    Again,
    Over,
}

impl Content {
    /// `trailer` is set when a checksum came behind the content.
    pub fn wrap(body: Body, framing: Framing, trailer: Trailer) -> Body {
        Body::stream(Self { body, framing, buffer: BytesMut::new(), state: State::Line, trailer })
    }

    fn step(&mut self) -> Result<Step, BodyError> {
        match &mut self.state {
            State::Line => self.line(),
            State::Data { left, hash, .. } => {
                if *left == 0 {
                    return self.end_of_chunk();
                }
                let now = self.buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                if now == 0 {
                    return Ok(Step::More);
                }
                let data = self.buffer.split_to(now).freeze();
                *left -= now as u64;
                if self.framing.signing.is_some() {
                    hash.update(&data);
                }
                Ok(Step::Data(data))
            }
            State::End => match self.buffer.get(..2) {
                None => Ok(Step::More),
                Some(b"\r\n") => {
                    self.buffer.advance(2);
                    self.state = State::Line;
                    Ok(Step::Again)
                }
                Some(_) => Err(malformed("a chunk is longer than its line says")),
            },
            State::Trailers => self.trailers(),
            State::Over => Ok(Step::Over),
        }
    }

    fn line(&mut self) -> Result<Step, BodyError> {
        let Some(at) = find(&self.buffer, b"\r\n") else {
            return if self.buffer.len() > LINE_BYTES_MAX {
                Err(malformed("a chunk's line is too long"))
            } else {
                Ok(Step::More)
            };
        };
        let line = self.buffer.split_to(at);
        self.buffer.advance(2);
        let line = std::str::from_utf8(&line).map_err(|_| malformed("a chunk's line is no text"))?;
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        let left = u64::from_str_radix(size.trim(), 16).map_err(|_| malformed("a chunk has no size"))?;
        let signature = extension.trim().strip_prefix("chunk-signature=").unwrap_or_default().to_owned();
        if self.framing.signing.is_some() && signature.is_empty() {
            return Err(BodyError::new(&code::S3_SIGNATURE, "a chunk has no signature"));
        }
        if left > 0 || self.framing.signing.is_some() {
            self.state = State::Data { left, hash: digest::Context::new(&SHA256), signature };
            if left == 0 {
                return self.last_chunk();
            }
        } else {
            self.state = State::Trailers;
        }
        Ok(Step::Again)
    }

    fn end_of_chunk(&mut self) -> Result<Step, BodyError> {
        self.check_chunk()?;
        self.state = State::End;
        Ok(Step::Again)
    }

    fn last_chunk(&mut self) -> Result<Step, BodyError> {
        self.check_chunk()?;
        self.state = State::Trailers;
        Ok(Step::Again)
    }

    fn check_chunk(&mut self) -> Result<(), BodyError> {
        let State::Data { hash, signature, .. } = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        let Some(chain) = &mut self.framing.signing else { return Ok(()) };
        let digests = format!("{EMPTY_SHA256}\n{}", hex::encode(hash.finish().as_ref()));
        chain.check("PAYLOAD", &digests, &signature)
    }

    /// Lines up to an empty one.
    fn trailers(&mut self) -> Result<Step, BodyError> {
        let ends = match self.buffer.get(..2) {
            Some(b"\r\n") => Some(2),
            _ => find(&self.buffer, b"\r\n\r\n").map(|at| at + 4),
        };
        let Some(end) = ends else {
            let too_long = self.buffer.len() > TRAILERS_BYTES_MAX;
            return if too_long { Err(malformed("the trailers are too long")) } else { Ok(Step::More) };
        };
        let text = self.buffer.split_to(end);
        if !self.buffer.is_empty() {
            return Err(malformed("something follows the last chunk"));
        }
        let text = std::str::from_utf8(&text).map_err(|_| malformed("the trailers are no text"))?;
        self.read_trailers(text)?;
        self.state = State::Over;
        Ok(Step::Over)
    }

    fn read_trailers(&mut self, text: &str) -> Result<(), BodyError> {
        if !self.framing.trailers {
            return Ok(());
        }
        let (mut canonical, mut signature) = (String::new(), None);
        for line in text.split("\r\n").filter(|line| !line.trim().is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("a trailer has no value"))?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if name == "x-amz-trailer-signature" {
                signature = Some(value.to_owned());
                continue;
            }
            canonical += &format!("{name}:{value}\n");
            if let Some(algorithm) = name.strip_prefix("x-amz-checksum-").and_then(Algorithm::parse) {
                let value = STANDARD.decode(value).ok().filter(|value| value.len() == algorithm.bytes());
                let value =
                    value.ok_or_else(|| BodyError::new(&code::BLOB_DIGEST, "the checksum in a trailer is none"))?;
                // There is one, and whoever sends two is told by the first.
                let _ = self.trailer.set(Checksum { algorithm, value, parts: None });
            }
        }
        let Some(chain) = &mut self.framing.signing else { return Ok(()) };
        let signature = signature.unwrap_or_default();
        chain.check("TRAILER", &sha256_hex(canonical.as_bytes()), &signature)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn malformed(detail: &str) -> BodyError {
    BodyError::new(&code::S3_BAD_REQUEST, detail)
}

impl HttpBody for Content {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            match this.step() {
                Ok(Step::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Step::Again) => continue,
                Ok(Step::More) => {}
                Ok(Step::Over) => {
                    // Whether more comes is seen when the connection is read on.
                    return Poll::Ready(None);
                }
                Err(error) => {
                    this.state = State::Over;
                    return Poll::Ready(Some(Err(error)));
                }
            }
            match std::task::ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    this.state = State::Over;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    this.state = State::Over;
                    let short = BodyError::new(&code::BLOB_LENGTH, "the body ends before its last chunk");
                    return Poll::Ready(Some(Err(short)));
                }
            }
        }
    }
}
