//! Pieces: the content of blobs as it lies on the disk, sealed. A blob has one, or one for each part
//! that it was uploaded in; a copy names the pieces of its source.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use base::{Body, BodyError, Rng};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use services::StoreError;
use services::blob::{BlobError, Digests, Expected, Range, Running};

use super::sealing::{AppKey, CHUNK_BYTES, PieceKey, SEALED_CHUNK_BYTES, Sealer, chunks_of, sealed_size};
use crate::content::{ContentGuard, ContentId, ContentWriter, Contents};
use crate::kv::stores::Store;

/// What is gathered of a body before it is sealed and written.
const WRITE_BYTES: usize = 256 << 10;
/// Chunks that a reader holds in memory.
const READ_CHUNKS: u64 = 4;

/// A received piece, before its row.
pub struct NewPiece {
    pub name: ContentId,
    pub size: u64,
    pub place: NewPlace,
}

pub enum NewPlace {
    /// Sealed, to lie in the row.
    Inline(Vec<u8>),
    File(ContentGuard),
}

/// Reads a body to its end, into a row if it is small or a file if not.
pub struct Receiver<'a> {
    pub contents: &'a Arc<Contents>,
    pub key: Arc<AppKey>,
    pub rng: &'a dyn Rng,
    pub inline_max: usize,
    pub bytes_max: u64,
}

/// What travels with the bytes to the thread that hashes, seals and writes them.
struct Stage {
    running: Running,
    sealer: Sealer,
}

impl Receiver<'_> {
    pub async fn receive(&self, mut body: Body, expect: Expected) -> Result<(NewPiece, Digests), BlobError> {
        let too_large = || BlobError::TooLarge { limit: "blob_put_bytes", bytes_max: self.bytes_max };
        let announced = body.size_hint().exact().or(expect.size);
        if announced.is_some_and(|bytes| bytes > self.bytes_max) {
            return Err(too_large());
        }
        if announced.is_some_and(|bytes| bytes <= self.inline_max as u64)
            && let Some(whole) = body.take_whole()
        {
            return self.inline(Running::new(expect), &whole);
        }
        let mut buffer = BytesMut::new();
        let mut size = 0;
        let mut writing: Option<(ContentWriter, Stage)> = None;
        let mut running = Some(Running::new(expect));
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(BlobError::Body)?.into_data() else { continue };
            size += data.len() as u64;
            if size > self.bytes_max {
                return Err(too_large());
            }
            buffer.extend_from_slice(&data);
            let large = buffer.len() >= WRITE_BYTES || (writing.is_none() && buffer.len() > self.inline_max);
            if large {
                let (writer, stage) = match (writing.take(), running.take()) {
                    (Some(writing), _) => writing,
                    (None, Some(running)) => self.begin(running).await?,
                    (None, None) => return Err(StoreError::Failed("a piece lost its digests".into()).into()),
                };
                writing = Some(push(writer, stage, buffer.split().freeze()).await?);
            }
        }
        match (writing, running) {
            (Some((writer, stage)), _) => self.end(writer, stage, buffer.freeze()).await,
            (None, Some(running)) => self.inline(running, &buffer),
            (None, None) => Err(StoreError::Failed("a piece lost its digests".into()).into()),
        }
    }

    async fn begin(&self, running: Running) -> Result<(ContentWriter, Stage), BlobError> {
        let writer = self.contents.create().await?;
        let sealer = Sealer::new(self.key.piece(writer.id()));
        Ok((writer, Stage { running, sealer }))
    }

    async fn end(
        &self,
        mut writer: ContentWriter,
        stage: Stage,
        rest: Bytes,
    ) -> Result<(NewPiece, Digests), BlobError> {
        let finish = move || {
            let (mut stage, mut out) = (stage, Vec::with_capacity(rest.len() + SEALED_CHUNK_BYTES));
            stage.running.update(&rest);
            stage.sealer.push(&rest, &mut out);
            stage.sealer.finish(&mut out);
            (Bytes::from(out), stage.running.finish())
        };
        // What is not what it should be is not made durable: the guard removes the file.
        let digests = writer.write_made(finish).await??;
        let (guard, _) = writer.finish().await?;
        Ok((NewPiece { name: guard.id(), size: digests.size, place: NewPlace::File(guard) }, digests))
    }

    fn inline(&self, mut running: Running, content: &[u8]) -> Result<(NewPiece, Digests), BlobError> {
        running.update(content);
        let digests = running.finish()?;
        let mut name = ContentId([0; 16]);
        self.rng.fill(&mut name.0);
        let mut out = Vec::with_capacity(sealed_size(digests.size) as usize);
        self.key.piece(name).seal_whole(content, &mut out);
        Ok((NewPiece { name, size: digests.size, place: NewPlace::Inline(out) }, digests))
    }
}

async fn push(mut writer: ContentWriter, stage: Stage, bytes: Bytes) -> Result<(ContentWriter, Stage), BlobError> {
    let seal = move || {
        let (mut stage, mut out) = (stage, Vec::with_capacity(bytes.len() + 2 * SEALED_CHUNK_BYTES));
        stage.running.update(&bytes);
        stage.sealer.push(&bytes, &mut out);
        (Bytes::from(out), stage)
    };
    let stage = writer.write_made(seal).await?;
    Ok((writer, stage))
}

/// A piece of a stored blob.
#[derive(Clone, Debug)]
pub struct Piece {
    pub name: ContentId,
    pub size: u64,
    /// Sealed, if it lies in its row.
    pub inline: Option<Bytes>,
}

/// Pieces that somebody reads. Their files stay until the last reader is done.
#[derive(Default)]
pub struct Pins(Mutex<HashMap<ContentId, Held>>);

#[derive(Default)]
struct Held {
    readers: usize,
    /// No row names it any more.
    dropped: bool,
}

impl Pins {
    fn lock(&self) -> MutexGuard<'_, HashMap<ContentId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a file that no row names, now or when its last reader is done.
    pub fn discard(&self, contents: &Arc<Contents>, name: ContentId) {
        match self.lock().get_mut(&name) {
            Some(pin) => pin.dropped = true,
            None => contents.discard(name),
        }
    }

    pub fn names(&self) -> Vec<ContentId> {
        self.lock().keys().copied().collect()
    }
}

/// Holds pieces for a reader.
pub struct Pinned {
    pins: Arc<Pins>,
    /// Kept open, for to open it anew is to remove what no row names.
    store: Arc<Store>,
    names: Vec<ContentId>,
}

impl Pinned {
    pub fn new(pins: &Arc<Pins>, store: &Arc<Store>, pieces: &[Piece]) -> Self {
        let names: Vec<_> = pieces.iter().filter(|piece| piece.inline.is_none()).map(|piece| piece.name).collect();
        let mut held = pins.lock();
        names.iter().for_each(|name| held.entry(*name).or_default().readers += 1);
        drop(held);
        Self { pins: pins.clone(), store: store.clone(), names }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut held = self.pins.lock();
        for name in &self.names {
            let Some(pin) = held.get_mut(name) else { continue };
            pin.readers -= 1;
            if pin.readers == 0 {
                let dropped = pin.dropped;
                held.remove(name);
                if dropped {
                    self.store.contents.discard(*name);
                }
            }
        }
    }
}

/// The bytes of a range, on their way to a reader: a few chunks at a time, as fast as it takes them.
pub struct Reader {
    contents: Arc<Contents>,
    key: Arc<AppKey>,
    pieces: VecDeque<Piece>,
    /// Where in the first of them.
    offset: u64,
    left: u64,
    open: Option<Arc<Opened>>,
    reading: Option<BoxFuture<'static, Result<Batch, StoreError>>>,
    _pinned: Pinned,
}

/// A piece that is being read.
struct Opened {
    name: ContentId,
    size: u64,
    key: PieceKey,
    source: Source,
}

enum Source {
    Inline(Bytes),
    File(File),
}

struct Batch {
    bytes: Bytes,
    opened: Arc<Opened>,
}

impl Reader {
    /// `pieces` are all of the blob's.
    pub fn new(pinned: Pinned, key: Arc<AppKey>, pieces: Vec<Piece>, range: Range) -> Self {
        let (mut pieces, mut offset) = (VecDeque::from(pieces), range.offset);
        while pieces.front().is_some_and(|piece| piece.size <= offset) && range.length > 0 {
            offset -= pieces.pop_front().map_or(0, |piece| piece.size);
        }
        let contents = pinned.store.contents.clone();
        Self { contents, key, pieces, offset, left: range.length, open: None, reading: None, _pinned: pinned }
    }

    fn read(&self) -> BoxFuture<'static, Result<Batch, StoreError>> {
        let Some(piece) = self.pieces.front().cloned() else {
            let missing = StoreError::Corrupt("a blob has fewer bytes than its row says".into());
            return std::future::ready(Err(missing)).boxed();
        };
        let (contents, key, offset, left) = (self.contents.clone(), self.key.clone(), self.offset, self.left);
        let opened = self.open.clone().filter(|opened| opened.name == piece.name);
        async move {
            let on_thread = contents.clone();
            let job = move || {
                let opened = match opened {
                    Some(opened) => opened,
                    None => Arc::new(Opened::open(&on_thread, &key, &piece)?),
                };
                let wanted = left.min(opened.size - offset);
                let bytes = opened.read(&on_thread, offset, wanted)?;
                Ok(Batch { bytes, opened })
            };
            contents.run(job).await?
        }
        .boxed()
    }
}

impl Opened {
    fn open(contents: &Contents, key: &AppKey, piece: &Piece) -> Result<Self, StoreError> {
        let source = match &piece.inline {
            Some(sealed) => Source::Inline(sealed.clone()),
            None => {
                let file = contents.open_file(piece.name, sealed_size(piece.size))?;
                let missing = || StoreError::Corrupt(format!("{} is missing", contents.name_of(piece.name)));
                Source::File(file.ok_or_else(missing)?)
            }
        };
        Ok(Self { name: piece.name, size: piece.size, key: key.piece(piece.name), source })
    }

    /// At most so many bytes from an offset: those that lie in a few chunks.
    fn read(&self, contents: &Contents, offset: u64, wanted: u64) -> Result<Bytes, StoreError> {
        let (first, count) = (offset / CHUNK_BYTES as u64, chunks_of(self.size));
        let last = (offset + wanted.max(1) - 1) / CHUNK_BYTES as u64;
        let chunks = (last - first + 1).min(READ_CHUNKS).min(count - first);
        let start = first * SEALED_CHUNK_BYTES as u64;
        let end = (start + chunks * SEALED_CHUNK_BYTES as u64).min(sealed_size(self.size));
        let damaged = |what: String| StoreError::Corrupt(format!("{}: {what}", contents.name_of(self.name)));
        let mut sealed = vec![0; (end - start) as usize];
        match &self.source {
            Source::File(file) => {
                file.read_exact_at(&mut sealed, start).map_err(|error| damaged(error.to_string()))?;
            }
            Source::Inline(bytes) => match bytes.get(start as usize..end as usize) {
                Some(bytes) => sealed.copy_from_slice(bytes),
                None => return Err(damaged("the row is too short".into())),
            },
        }
        let mut plain = Vec::with_capacity(sealed.len());
        for (n, chunk) in sealed.chunks_mut(SEALED_CHUNK_BYTES).enumerate() {
            let index = first + n as u64;
            let opened = self.key.open(index, index + 1 == count, chunk);
            plain.extend_from_slice(opened.ok_or_else(|| damaged(format!("chunk {index} is damaged")))?);
        }
        let skip = (offset - first * CHUNK_BYTES as u64) as usize;
        let length = (plain.len() - skip).min(wanted as usize);
        Ok(Bytes::from(plain).slice(skip..skip + length))
    }
}

/// Reads a piece to its end and forgets it; answers what is wrong with it.
pub fn scrub(contents: &Contents, key: &AppKey, piece: &Piece) -> Result<(), StoreError> {
    let opened = Opened::open(contents, key, piece)?;
    let mut offset = 0;
    loop {
        offset += opened.read(contents, offset, piece.size - offset)?.len() as u64;
        if offset >= piece.size {
            return Ok(());
        }
    }
}

/// The whole of a piece that lies in its row and has one chunk: opened where it lies.
pub fn open_inline(contents: &Contents, key: &AppKey, piece: Piece) -> Result<Bytes, StoreError> {
    let damaged = |what: &str| StoreError::Corrupt(format!("{}: {what}", contents.name_of(piece.name)));
    let sealed = piece.inline.ok_or_else(|| damaged("it is not in its row"))?;
    let mut sealed = BytesMut::from(sealed);
    if sealed.len() as u64 != sealed_size(piece.size) {
        return Err(damaged("the row has another length"));
    }
    let opened = key.piece(piece.name).open(0, true, &mut sealed).map(|plain| plain.len());
    sealed.truncate(opened.ok_or_else(|| damaged("chunk 0 is damaged"))?);
    Ok(sealed.freeze())
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let mut reading = self.reading.take().unwrap_or_else(|| self.read());
        match reading.poll_unpin(cx) {
            Poll::Pending => {
                self.reading = Some(reading);
                Poll::Pending
            }
            Poll::Ready(Ok(Batch { bytes, opened })) => {
                self.left -= bytes.len() as u64;
                self.offset += bytes.len() as u64;
                if self.offset >= opened.size {
                    self.offset = 0;
                    self.open = None;
                    self.pieces.pop_front();
                } else {
                    self.open = Some(opened);
                }
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(Err(error)) => {
                // A failed stream has ended.
                self.left = 0;
                Poll::Ready(Some(Err(BodyError::new(error.code(), error.to_string()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
