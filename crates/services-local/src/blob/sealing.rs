//! Encryption at rest: a key per app, wrapped by the node key, and under it a key per piece.
//!
//! A piece is sealed in chunks of 64 KiB with AES-256-GCM, so that a range opens alone. Its key is
//! derived from the app's key and the piece's random name, and is used for this piece only; so the
//! number of the chunk can be the nonce. The nonce also says whether the chunk is the last: a piece
//! that was cut off, or whose chunks changed places, does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{self, HKDF_SHA256, Prk, Salt};
use base::{Rng, Secret};
use services::AppId;

use crate::content::ContentId;
use crate::node_key::NodeKey;

pub const CHUNK_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;
/// A chunk as the disk has it.
pub const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
const KEY_BYTES: usize = 32;

/// The key of an app's blobs.
pub struct AppKey {
    key: Secret<[u8; KEY_BYTES]>,
    /// What the keys of pieces are derived from.
    root: Prk,
}

/// The same as the disk has it.
#[derive(Clone)]
pub struct Wrapped {
    pub nonce: [u8; NONCE_LEN],
    pub sealed: Vec<u8>,
}

impl AppKey {
    pub fn create(rng: &dyn Rng) -> Self {
        let mut bytes = [0; KEY_BYTES];
        rng.fill(&mut bytes);
        Self::new(bytes)
    }

    fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let root = Salt::new(HKDF_SHA256, &[]).extract(&bytes);
        Self { key: Secret::new(bytes), root }
    }

    pub fn wrap(&self, node: &NodeKey, app: &AppId, rng: &dyn Rng) -> Wrapped {
        let mut nonce = [0; NONCE_LEN];
        rng.fill(&mut nonce);
        let mut sealed = self.key.expose().to_vec();
        wrapping(node, app)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(app.to_string()), &mut sealed)
            .expect("a key is far shorter than what AES-GCM can seal");
        Wrapped { nonce, sealed }
    }

    pub fn unwrap(wrapped: Wrapped, node: &NodeKey, app: &AppId) -> Option<Self> {
        let (nonce, mut sealed) = (Nonce::assume_unique_for_key(wrapped.nonce), wrapped.sealed);
        let opened = wrapping(node, app).open_in_place(nonce, Aad::from(app.to_string()), &mut sealed).ok()?;
        Some(Self::new((*opened).try_into().ok()?))
    }

    /// The key of one piece.
    pub fn piece(&self, name: ContentId) -> PieceKey {
        let info = [b"selvedge blob piece ".as_slice(), &name.0];
        let mut key = [0; KEY_BYTES];
        self.root
            .expand(&info, Length)
            .and_then(|okm| okm.fill(&mut key))
            .expect("32 bytes are within what HKDF-SHA256 can give");
        PieceKey(aes(&key))
    }
}

struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

fn wrapping(node: &NodeKey, app: &AppId) -> LessSafeKey {
    aes(node.derive(&format!("blobs of {app}")).expose())
}

fn aes(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has the length of AES-256"))
}

pub struct PieceKey(LessSafeKey);

impl PieceKey {
    /// Seals a chunk behind what is in `out`.
    pub fn seal(&self, index: u64, last: bool, chunk: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(chunk);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(index, last), Aad::empty(), &mut out[start..])
            .expect("a chunk is far shorter than what AES-GCM can seal");
        out.extend_from_slice(tag.as_ref());
    }

    /// Seals content that is all there.
    pub fn seal_whole(&self, content: &[u8], out: &mut Vec<u8>) {
        let last = chunks_of(content.len() as u64) - 1;
        for index in 0..=last {
            let start = index as usize * CHUNK_BYTES;
            let end = content.len().min(start + CHUNK_BYTES);
            self.seal(index, index == last, &content[start..end], out);
        }
    }

    /// Opens a chunk in place; `None` if it is not what was sealed.
    pub fn open<'a>(&self, index: u64, last: bool, sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.0.open_in_place(nonce(index, last), Aad::empty(), sealed).ok()
    }
}

fn nonce(index: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&index.to_be_bytes());
    bytes[NONCE_LEN - 1] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

/// Chunks of a piece with so many bytes; an empty one has a chunk, which is empty.
pub fn chunks_of(size: u64) -> u64 {
    size.div_ceil(CHUNK_BYTES as u64).max(1)
}

/// Bytes of a sealed piece.
pub fn sealed_size(size: u64) -> u64 {
    size + chunks_of(size) * TAG_BYTES as u64
}

/// Seals content as it comes.
pub struct Sealer {
    key: PieceKey,
    next: u64,
    /// What is not sealed yet: whether it is the last chunk shows when more comes.
    rest: Vec<u8>,
}

impl Sealer {
    pub fn new(key: PieceKey) -> Self {
        Self { key, next: 0, rest: Vec::with_capacity(CHUNK_BYTES) }
    }

    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.rest.len() == CHUNK_BYTES {
                self.key.seal(self.next, false, &self.rest, out);
                self.next += 1;
                self.rest.clear();
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.rest.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
        }
    }

    pub fn finish(self, out: &mut Vec<u8>) {
        self.key.seal(self.next, true, &self.rest, out);
    }
}

#[cfg(test)]
mod tests;
