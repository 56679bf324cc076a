//! Content files: the values too large for a row, one file each, beside the database that
//! refers to them.
//!
//! A file is written under a temporary name, flushed, renamed, and its directory flushed, before
//! the row that names it is committed; it is removed only after the commit that drops the row. So
//! a crash can leave a file without a row (an orphan, swept when the store opens), never a row
//! without a file. An open reader keeps its file alive: removal only takes the name away.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use base::{Body, BodyError, Rng};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use services::StoreError;

use crate::care::Removals;
use crate::data_dir::Reserve;
use crate::disk;
use crate::pool::{Lane, Pool};

/// What a reader of a stream holds in memory.
const CHUNK_BYTES: usize = 128 << 10;
const TEMPORARY: &str = "tmp";

/// The name of a content file. Random, so that it is never reused and tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentId(pub [u8; 16]);

impl ContentId {
    fn file_name(self) -> String {
        hex::encode(self.0)
    }

    fn parse(name: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(name, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

/// The directory of one store's content files.
pub struct Contents {
    path: PathBuf,
    rng: Arc<dyn Rng>,
    pool: Pool,
    lane: Lane,
    /// Files whose row is not committed yet: no orphans.
    in_flight: Mutex<HashSet<ContentId>>,
    removals: Arc<Removals>,
    reserve: Arc<Reserve>,
}

impl Contents {
    /// Opens or creates the directory, durably. Blocks.
    pub fn open(
        path: PathBuf,
        rng: Arc<dyn Rng>,
        pool: Pool,
        removals: Arc<Removals>,
        reserve: Arc<Reserve>,
    ) -> Result<Arc<Self>, StoreError> {
        disk::create_dir(&path).map_err(|error| disk::store_error(&path, &error))?;
        let (lane, in_flight) = (Lane::default(), Mutex::default());
        Ok(Arc::new(Self { path, rng, pool, lane, in_flight, removals, reserve }))
    }

    fn in_flight(&self) -> MutexGuard<'_, HashSet<ContentId>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, id: ContentId) -> PathBuf {
        self.path.join(id.file_name())
    }

    /// Begins a file.
    pub async fn create(self: &Arc<Self>) -> Result<ContentWriter, StoreError> {
        self.reserve.check()?;
        let mut id = ContentId([0; 16]);
        self.rng.fill(&mut id.0);
        self.in_flight().insert(id);
        let guard = ContentGuard { contents: self.clone(), id, armed: true };
        let temporary = self.file(id).with_extension(TEMPORARY);
        let create = move || disk::create_file(&temporary).map_err(|error| disk::store_error(&temporary, &error));
        let file = self.pool.run(self.lane, create).await??;
        Ok(ContentWriter { guard, file: Some(file), size: 0 })
    }

    /// Opens a file to read parts of it. Blocks. `None` if it has been removed.
    pub fn open_file(&self, id: ContentId, size: u64) -> Result<Option<File>, StoreError> {
        open_sized(&self.file(id), size)
    }

    /// Runs what reads or writes content on a thread for it.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
        self.pool.run(self.lane, job).await
    }

    /// Where a file lies, for a message.
    pub fn name_of(&self, id: ContentId) -> String {
        self.file(id).display().to_string()
    }

    /// Opens a file to stream it; `None` if it has been removed.
    pub async fn stream(self: &Arc<Self>, id: ContentId, size: u64) -> Result<Option<Body>, StoreError> {
        let path = self.file(id);
        let open = move || open_sized(&path, size);
        let file = self.pool.run(self.lane, open).await??;
        Ok(file.map(|file| {
            Body::stream(ContentBody { contents: self.clone(), file: Arc::new(file), offset: 0, size, reading: None })
        }))
    }

    /// Removes a file that no row names any more. If that fails, the next sweep does it.
    pub fn discard(self: &Arc<Self>, id: ContentId) {
        let this = self.clone();
        let _ = self.pool.spawn(self.lane, move || this.removals.remove(this.file(id)));
    }

    /// Checks that these files are there, with these sizes. Blocks.
    pub fn check(&self, expected: &[(ContentId, u64)]) -> Result<(), StoreError> {
        for &(id, size) in expected {
            let path = self.file(id);
            let found = fs::metadata(&path).map_err(|error| {
                StoreError::Corrupt(format!("the content file {} can't be read: {error}", path.display()))
            })?;
            if found.len() != size {
                let (path, found) = (path.display(), found.len());
                return Err(StoreError::Corrupt(format!("{path} has {found} bytes where {size} were stored")));
            }
        }
        Ok(())
    }

    /// Removes what no row names. `referenced` is asked after the directory was listed and after
    /// the files in flight were noted, so that a file on its way to its row is never taken.
    pub fn sweep(
        &self,
        referenced: impl FnOnce() -> Result<HashSet<ContentId>, StoreError>,
    ) -> Result<usize, StoreError> {
        if self.removals.is_held() {
            return Ok(0);
        }
        let fail = |error: io::Error| disk::store_error(&self.path, &error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(fail)? {
            found.push(entry.map_err(fail)?.path());
        }
        let in_flight = self.in_flight().clone();
        let referenced = referenced()?;
        let keep = |path: &Path| {
            let id = path.file_stem().and_then(|stem| ContentId::parse(stem.to_str()?));
            let temporary = path.extension().is_some();
            id.is_some_and(|id| in_flight.contains(&id) || (!temporary && referenced.contains(&id)))
        };
        let orphans: Vec<PathBuf> = found.into_iter().filter(|path| !keep(path)).collect();
        for orphan in &orphans {
            disk::remove(orphan).map_err(fail)?;
        }
        Ok(orphans.len())
    }
}

fn open_sized(path: &Path, size: u64) -> Result<Option<File>, StoreError> {
    match File::open(path).and_then(|file| Ok((file.metadata()?.len(), file))) {
        Ok((found, file)) if found == size => Ok(Some(file)),
        Ok((found, _)) => {
            let path = path.display();
            Err(StoreError::Corrupt(format!("{path} has {found} bytes where {size} were stored")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk::store_error(path, &error)),
    }
}

/// A file without a row. Dropped, it removes the file.
pub struct ContentGuard {
    contents: Arc<Contents>,
    id: ContentId,
    armed: bool,
}

impl ContentGuard {
    pub fn id(&self) -> ContentId {
        self.id
    }

    /// The row is committed.
    pub fn keep(mut self) {
        self.armed = false;
    }

    /// Nobody knows whether the row is committed: leave the file to the next sweep.
    pub fn leave(self) {
        self.keep();
    }
}

impl Drop for ContentGuard {
    fn drop(&mut self) {
        if self.armed {
            let (contents, id) = (self.contents.clone(), self.id);
            let _ = self.contents.pool.spawn(contents.lane, {
                let contents = contents.clone();
                move || {
                    let path = contents.file(id);
                    let _ = disk::remove(&path.with_extension(TEMPORARY));
                    let _ = disk::remove(&path);
                }
            });
        }
        self.contents.in_flight().remove(&self.id);
    }
}

/// A file that is being written.
pub struct ContentWriter {
    guard: ContentGuard,
    file: Option<File>,
    size: u64,
}

impl ContentWriter {
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.write_made(move || (bytes, ())).await
    }

    /// Writes what `make` makes on the thread that writes it; answers what it answers besides.
    pub async fn write_made<T: Send + 'static>(
        &mut self,
        make: impl FnOnce() -> (Bytes, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut file = self.file.take().expect("a failed writer is not used again");
        let (contents, path) = (&self.guard.contents, self.guard.contents.file(self.guard.id));
        let write = move || {
            let (bytes, answer) = make();
            let written = file.write_all(&bytes).map(|()| (file, bytes.len() as u64, answer));
            written.map_err(|error| disk::store_error(&path, &error))
        };
        let (file, bytes, answer) = contents.pool.run(contents.lane, write).await??;
        self.file = Some(file);
        self.size += bytes;
        Ok(answer)
    }

    pub fn id(&self) -> ContentId {
        self.guard.id
    }

    /// Makes the file durable; answers its guard and its size.
    pub async fn finish(mut self) -> Result<(ContentGuard, u64), StoreError> {
        let file = self.file.take().expect("a failed writer is not used again");
        let (contents, path) = (&self.guard.contents, self.guard.contents.file(self.guard.id));
        let publish = move || {
            let temporary = path.with_extension(TEMPORARY);
            disk::publish(&file, &temporary, &path).map_err(|error| disk::store_error(&path, &error))
        };
        contents.pool.run(contents.lane, publish).await??;
        Ok((self.guard, self.size))
    }
}

/// A file on its way to a reader, a chunk at a time, as fast as the reader takes it.
struct ContentBody {
    contents: Arc<Contents>,
    file: Arc<File>,
    offset: u64,
    size: u64,
    reading: Option<BoxFuture<'static, Result<Bytes, StoreError>>>,
}

impl ContentBody {
    fn read(&self) -> BoxFuture<'static, Result<Bytes, StoreError>> {
        let (contents, file, offset) = (self.contents.clone(), self.file.clone(), self.offset);
        let length = (self.size - offset).min(CHUNK_BYTES as u64) as usize;
        async move {
            let read = move || {
                let mut chunk = vec![0; length];
                file.read_exact_at(&mut chunk, offset).map(|()| Bytes::from(chunk))
            };
            let chunk = contents.pool.run(contents.lane, read).await?;
            chunk.map_err(|error| disk::store_error(&contents.path, &error))
        }
        .boxed()
    }
}

impl HttpBody for ContentBody {
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
            Poll::Ready(Ok(chunk)) => {
                self.offset += chunk.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Poll::Ready(Err(error)) => {
                // A failed stream has ended.
                self.offset = self.size;
                Poll::Ready(Some(Err(BodyError::new(error.code(), error.to_string()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.offset == self.size
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.size - self.offset)
    }
}
