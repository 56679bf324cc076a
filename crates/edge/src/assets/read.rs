//! The content of a file: from memory if it is small, else piece by piece from the disk.

use std::fs::File;
use std::future::Future as _;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use base::{Body, BodyError, code};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::JoinHandle;

use super::index::{Asset, IN_MEMORY_BYTES_MAX};
use super::validate::Span;

/// Read at once.
const PIECE_BYTES: u64 = 256 << 10;

pub(super) async fn body(asset: &Asset, span: Span) -> io::Result<Body> {
    if let Some(bytes) = asset.in_memory() {
        return Ok(Body::full(bytes.slice(span.start as usize..span.end as usize)));
    }
    let (path, size) = (asset.file.clone(), asset.size);
    if size <= IN_MEMORY_BYTES_MAX {
        let read = tokio::task::spawn_blocking(move || {
            let file = File::open(path)?;
            let mut bytes = Vec::with_capacity(size as usize);
            file.take(size + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 == size { Ok(Bytes::from(bytes)) } else { Err(changed()) }
        });
        let bytes = read.await.map_err(io::Error::other)??;
        asset.keep(&bytes);
        return Ok(Body::full(bytes.slice(span.start as usize..span.end as usize)));
    }
    let opened = tokio::task::spawn_blocking(move || -> io::Result<File> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() != size {
            return Err(changed());
        }
        file.seek(SeekFrom::Start(span.start))?;
        Ok(file)
    });
    let file = opened.await.map_err(io::Error::other)??;
    Ok(Body::stream(FileBody { left: span.end - span.start, state: State::Idle(file) }))
}

fn changed() -> io::Error {
    io::Error::other("the file changed since it was indexed")
}

/// A file that is read as fast as the client takes it.
struct FileBody {
    left: u64,
    state: State,
}

enum State {
    Idle(File),
    Reading(JoinHandle<io::Result<(File, Bytes)>>),
    Ended,
}

fn read_piece(mut file: File, bytes: u64) -> io::Result<(File, Bytes)> {
    let mut piece = vec![0; bytes as usize];
    file.read_exact(&mut piece).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => changed(),
        _ => error,
    })?;
    Ok((file, piece.into()))
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Idle(_) if self.left == 0 => return Poll::Ready(None),
                State::Idle(file) => {
                    let bytes = self.left.min(PIECE_BYTES);
                    self.state = State::Reading(tokio::task::spawn_blocking(move || read_piece(file, bytes)));
                }
                State::Reading(mut read) => {
                    let Poll::Ready(read) = Pin::new(&mut read).poll(cx) else {
                        self.state = State::Reading(read);
                        return Poll::Pending;
                    };
                    return Poll::Ready(match read.map_err(io::Error::other).flatten() {
                        Ok((file, piece)) => {
                            self.left -= piece.len() as u64;
                            self.state = State::Idle(file);
                            Some(Ok(Frame::data(piece)))
                        }
                        Err(error) => Some(Err(BodyError::new(&code::STORE_FAILED, error.to_string()))),
                    });
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 || matches!(self.state, State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
