//! Bodies: in a row if they are small, else a file each; checked piece by piece whenever they are read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use base::Rng;
use bytes::Bytes;
use cache::{Content, Held, StoreError};
use futures_util::future::BoxFuture;

use super::index::Row;
use crate::disk;
use crate::pool::{Lane, Pool};

/// What has a checksum of its own.
const PIECE_BYTES: u64 = 128 << 10;
/// Directories, so that none has too many names.
const FOLDERS: u64 = 256;

/// A body that was written, before its row is.
pub struct Written {
    pub bytes: u64,
    /// What goes into the row.
    pub inline: Option<Bytes>,
    pub file: Option<String>,
    pub sums: Vec<u8>,
}

/// The files of bodies.
pub struct Bodies {
    path: PathBuf,
    /// Names the files of this process.
    run: String,
    next: AtomicU64,
    /// Where what is read in pieces is read.
    pool: Pool,
    lane: Lane,
}

impl Bodies {
    pub fn new(path: &Path, rng: &dyn Rng, pool: Pool) -> Self {
        let mut run = [0; 8];
        rng.fill(&mut run);
        Self { path: path.to_owned(), run: hex::encode(run), next: AtomicU64::new(0), pool, lane: Lane::default() }
    }

    fn file(&self, name: &str) -> PathBuf {
        let number = name.rsplit_once('-').and_then(|(_, number)| number.parse::<u64>().ok()).unwrap_or(0);
        self.path.join(format!("{:02x}", number % FOLDERS)).join(name)
    }

    /// Writes a body that is larger than `inline_max` to a file. It is nobody's until its row is there.
    pub fn write(&self, body: &Bytes, inline_max: u64) -> Result<Written, StoreError> {
        let (bytes, sums) = (body.len() as u64, sums(body));
        if bytes <= inline_max {
            return Ok(Written { bytes, inline: Some(body.clone()), file: None, sums });
        }
        let name = format!("{}-{}", self.run, self.next.fetch_add(1, Ordering::Relaxed));
        let path = self.file(&name);
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = create().or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                make_folder(&path)?;
                create()
            }
            _ => Err(error),
        });
        let written = file.and_then(|mut file| file.write_all(body));
        if let Err(error) = written {
            let _ = disk::remove(&path);
            return Err(StoreError::Failed(format!("{}: {error}", path.display())));
        }
        Ok(Written { bytes, inline: None, file: Some(name), sums })
    }

    /// The body of a row: whole and checked up to a size, else one that is checked as it is read.
    pub fn content(&self, row: &Row, whole_max: u64) -> Result<Content, StoreError> {
        let damaged = |what: &str| StoreError::Failed(format!("{what} in row {}", row.id));
        if row.sums.len() as u64 != row.bytes.div_ceil(PIECE_BYTES) * SHA256_OUTPUT_LEN as u64 {
            return Err(damaged("checksums are missing"));
        }
        let Some(name) = &row.file else {
            let inline = row.inline.clone().unwrap_or_default();
            let sound = inline.len() as u64 == row.bytes && sums(&inline) == row.sums;
            return if sound { Ok(inline.into()) } else { Err(damaged("a body is another one")) };
        };
        let path = self.file(name);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (found, file) = opened.map_err(|error| StoreError::Failed(format!("{}: {error}", path.display())))?;
        if found != row.bytes {
            return Err(damaged("a file has another size"));
        }
        let (pool, lane) = (self.pool.clone(), self.lane);
        let held = OnDisk { file: Arc::new(file), bytes: row.bytes, sums: row.sums.clone().into(), pool, lane };
        match row.bytes <= whole_max {
            true => Ok(read_part(&held.file, held.bytes, &held.sums, 0..held.bytes)?.into()),
            false => Ok(Content::held(Arc::new(held))),
        }
    }

    /// Takes names away; who reads goes on. One that can't be removed is swept at the next start.
    pub fn remove(&self, names: impl IntoIterator<Item = String>) {
        for name in names {
            if let Err(error) = disk::remove(&self.file(&name)) {
                tracing::warn!(%error, name, "a body of the cache was not removed");
            }
        }
    }

    /// Removes the files of earlier processes that no row names.
    pub fn sweep(&self, is_named: impl Fn(&str) -> Result<bool, StoreError>) -> Result<u64, StoreError> {
        let fail = |error: io::Error| StoreError::Failed(format!("{}: {error}", self.path.display()));
        let mut removed = 0;
        for folder in 0..FOLDERS {
            let entries = match fs::read_dir(self.path.join(format!("{folder:02x}"))) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(fail)?,
            };
            for entry in entries {
                let entry = entry.map_err(fail)?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if !name.starts_with(&self.run) && !is_named(&name)? {
                    disk::remove(&entry.path()).map_err(fail)?;
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

fn make_folder(file: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(file.parent().unwrap_or(file)) {
        // Another thread was quicker.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn sums(body: &[u8]) -> Vec<u8> {
    body.chunks(PIECE_BYTES as usize).flat_map(|piece| digest(&SHA256, piece).as_ref().to_vec()).collect()
}

/// A body in a file, which stays open.
struct OnDisk {
    file: Arc<File>,
    bytes: u64,
    sums: Arc<[u8]>,
    pool: Pool,
    lane: Lane,
}

impl Held for OnDisk {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&self, part: Range<u64>) -> BoxFuture<'static, Result<Bytes, StoreError>> {
        let (file, bytes, sums) = (self.file.clone(), self.bytes, self.sums.clone());
        let (pool, lane) = (self.pool.clone(), self.lane);
        Box::pin(async move {
            let read = pool.run(lane, move || read_part(&file, bytes, &sums, part)).await;
            read.map_err(|error| StoreError::Busy(error.to_string()))?
        })
    }
}

/// A part of a body: the pieces that it lies in are read and checked as wholes.
fn read_part(file: &File, bytes: u64, sums: &[u8], part: Range<u64>) -> Result<Bytes, StoreError> {
    let from = part.start / PIECE_BYTES * PIECE_BYTES;
    let to = (part.end.div_ceil(PIECE_BYTES) * PIECE_BYTES).min(bytes);
    let mut read = vec![0; (to - from) as usize];
    file.read_exact_at(&mut read, from).map_err(|error| StoreError::Failed(format!("a body was not read: {error}")))?;
    let first = (from / PIECE_BYTES) as usize * SHA256_OUTPUT_LEN;
    let expected = sums[first..].chunks(SHA256_OUTPUT_LEN);
    let sound =
        read.chunks(PIECE_BYTES as usize).zip(expected).all(|(piece, sum)| digest(&SHA256, piece).as_ref() == sum);
    if !sound {
        return Err(StoreError::Failed("a body is not what was written".to_owned()));
    }
    let read = Bytes::from(read);
    Ok(read.slice((part.start - from) as usize..(part.end - from) as usize))
}
