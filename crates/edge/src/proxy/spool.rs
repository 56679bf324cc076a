//! Request bodies that are read whole before a target is asked (`spool_bytes`), so that they can go out
//! again, and a slow client holds no target.
//!
//! What is small stays in memory. More goes to a file that has no name any more when it is written to, so
//! that nothing is left behind whatever happens. A body that turns out to be larger passes on as it
//! comes, what was read of it first. Trailers of a request that was spooled are dropped.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base::{Body, BodyError, Rng, code};
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::task::JoinHandle;

/// So much is written, and read, at a time; a body that is no larger never sees the disk.
const PIECE_BYTES: usize = 256 << 10;

/// A body that can be had again and again.
#[derive(Clone)]
pub(super) enum Replay {
    Memory(Bytes),
    Disk { file: Arc<File>, bytes: u64, tail: Bytes },
}

impl Replay {
    pub fn body(&self) -> Body {
        match self {
            Self::Memory(bytes) => Body::full(bytes.clone()),
            Self::Disk { file, bytes, tail } => {
                Body::stream(FromDisk { file: file.clone(), at: 0, bytes: *bytes, tail: tail.clone(), reading: None })
            }
        }
    }
}

/// Reads a body up to `bytes_max`. `Err` within holds one that is larger, from its beginning.
pub(super) async fn spool(
    mut body: Body,
    bytes_max: u64,
    dir: &Path,
    rng: &dyn Rng,
) -> Result<Result<Replay, Body>, BodyError> {
    if body.size_hint().lower() > bytes_max {
        return Ok(Err(body));
    }
    let mut held = BytesMut::new();
    let mut disk: Option<(Arc<File>, u64)> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        held.extend_from_slice(&data);
        let written = disk.as_ref().map_or(0, |(_, bytes)| *bytes);
        if written + held.len() as u64 > bytes_max {
            let first = replay(disk, held.freeze()).body();
            return Ok(Err(Body::stream(Chained { first: Some(first), rest: body })));
        }
        if held.len() > PIECE_BYTES {
            let (file, bytes) = match disk.take() {
                Some(open) => open,
                None => (Arc::new(create(dir, rng).map_err(|error| failed(&error))?), 0),
            };
            let piece = held.split().freeze();
            let length = piece.len() as u64;
            let writer = file.clone();
            blocking(move || writer.write_all_at(&piece, bytes)).await?;
            disk = Some((file, bytes + length));
        }
    }
    Ok(Ok(replay(disk, held.freeze())))
}

fn replay(disk: Option<(Arc<File>, u64)>, tail: Bytes) -> Replay {
    match disk {
        Some((file, bytes)) => Replay::Disk { file, bytes, tail },
        None => Replay::Memory(tail),
    }
}

/// A file that is gone as soon as nobody has it open.
fn create(dir: &Path, rng: &dyn Rng) -> std::io::Result<File> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join(format!("{:016x}", rng.next_u64()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, BodyError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(|error| failed(&error))
}

fn failed(error: &std::io::Error) -> BodyError {
    BodyError::new(&code::INTERNAL, format!("a request body can't be kept on disk: {error}"))
}

struct FromDisk {
    file: Arc<File>,
    at: u64,
    bytes: u64,
    tail: Bytes,
    reading: Option<JoinHandle<std::io::Result<Bytes>>>,
}

impl HttpBody for FromDisk {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.at >= self.bytes {
            let tail = std::mem::take(&mut self.tail);
            return Poll::Ready((!tail.is_empty()).then(|| Ok(Frame::data(tail))));
        }
        let (file, at) = (self.file.clone(), self.at);
        let length = usize::try_from(self.bytes - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let reading = self.reading.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; length];
                file.read_exact_at(&mut piece, at)?;
                Ok(Bytes::from(piece))
            })
        });
        let read = std::task::ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let read = read.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        self.at += length as u64;
        Poll::Ready(Some(read.map(Frame::data).map_err(|error| failed(&error))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.saturating_sub(self.at) + self.tail.len() as u64)
    }
}

/// What was read, and then the rest.
struct Chained {
    first: Option<Body>,
    rest: Body,
}

impl HttpBody for Chained {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(first) = &mut self.first {
            match std::task::ready!(Pin::new(first).poll_frame(cx)) {
                Some(frame) => return Poll::Ready(Some(frame)),
                None => self.first = None,
            }
        }
        Pin::new(&mut self.rest).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        let (first, rest) = (self.first.as_ref().map(HttpBody::size_hint).unwrap_or_default(), self.rest.size_hint());
        match (first.exact(), rest.exact(), &self.first) {
            (_, Some(rest), None) => SizeHint::with_exact(rest),
            (Some(first), Some(rest), Some(_)) => SizeHint::with_exact(first + rest),
            _ => SizeHint::default(),
        }
    }
}
