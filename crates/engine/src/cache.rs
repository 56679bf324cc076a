//! Compiled code and images on disk, between runs.
//!
//! To load compiled code is to trust it with the process, so the cache is private (mode 0700) and
//! every file is authenticated before wasmtime sees it. The key lies with the node's keys, outside
//! the cache; a file that was damaged, truncated or put there by somebody else is ignored and made
//! anew.
//!
//! A file's seal holds an authenticator for each piece of it: AES-256-GCM over the piece and
//! [`Place`] as additional data, with nothing to encrypt (GMAC, NIST SP 800-38D). Reading a file is
//! most of what a cold start costs, and this reads it three times as fast as a keyed BLAKE3.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base::{Digest, Rng as _, SystemRng};
use wasmtime::{Engine, Module, component::Component};

/// Bytes that are authenticated at a time: what stays in the processor's cache. To read a file of
/// megabytes into memory of its own would take longer than to authenticate it.
const PIECE_BYTES: usize = 128 << 10;

/// Bytes of the key.
const KEY_BYTES: usize = 32;

/// Bytes of a piece's authenticator: the nonce and the tag.
const SEAL_BYTES: usize = NONCE_LEN + 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The engine guest, compiled.
    Code,
    /// The memory of an evaluated script.
    Image,
    /// A component, compiled.
    Component,
    /// A module that scripts import, compiled.
    Wasm,
    /// The list of a script's modules, and the state of their instances in its image.
    Bundle,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Kind::Code => "code",
            Kind::Image => "image",
            Kind::Component => "component",
            Kind::Wasm => "wasm",
            Kind::Bundle => "bundle",
        }
    }
}

pub struct Cache {
    directory: PathBuf,
    key: RandomizedNonceKey,
}

/// What a piece is authenticated with, so that none can be passed off as another: the file it is
/// part of, how long that is, and which piece it is.
struct Place<'a> {
    kind: Kind,
    name: &'a Digest,
    file_bytes: u64,
}

impl Place<'_> {
    /// Appends the place to the piece with this number.
    fn append(&self, number: u64, piece: &mut Vec<u8>) {
        piece.extend_from_slice(self.kind.suffix().as_bytes());
        piece.push(0);
        piece.extend_from_slice(self.name.as_bytes());
        piece.extend_from_slice(&self.file_bytes.to_le_bytes());
        piece.extend_from_slice(&number.to_le_bytes());
    }
}

impl Cache {
    /// Opens, or makes, a cache in `directory` with the key in `key_file`.
    pub fn open(directory: &Path, key_file: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if let Some(parent) = key_file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let key = RandomizedNonceKey::new(&AES_256_GCM, &read_or_make_key(key_file)?)
            .map_err(|_| io::Error::other("the cipher refuses the key"))?;
        Ok(Self { directory: directory.to_owned(), key })
    }

    fn path(&self, kind: Kind, key: &Digest) -> PathBuf {
        self.directory.join(format!("{key}.{}", kind.suffix()))
    }

    /// Whether what is kept under this key can be loaded.
    pub fn is_sound(&self, kind: Kind, key: &Digest) -> bool {
        self.verified(kind, key).is_some()
    }

    /// Keeps what wasmtime serialised. A cache that can't be written only costs time later.
    pub fn store(&self, kind: Kind, key: &Digest, serialised: &[u8]) {
        let path = self.path(kind, key);
        let write = || -> io::Result<()> {
            write_whole(&seal_path(&path), &self.seal(kind, key, serialised)?)?;
            write_whole(&path, serialised)
        };
        if let Err(error) = write() {
            tracing::warn!(path = %path.display(), %error, "the cache of compiled code can't be written");
        }
    }

    /// The content of a file that is no code.
    pub fn bytes(&self, kind: Kind, key: &Digest) -> Option<Vec<u8>> {
        let mut file = self.verified(kind, key)?;
        let mut content = Vec::new();
        file.rewind().ok()?;
        file.read_to_end(&mut content).ok()?;
        Some(content)
    }

    pub fn module(&self, engine: &Engine, kind: Kind, key: &Digest) -> Option<Module> {
        trusted::module(engine, self.verified(kind, key)?)
    }

    pub fn component(&self, engine: &Engine, key: &Digest) -> Option<Component> {
        trusted::component(engine, self.verified(Kind::Component, key)?)
    }

    /// The open file, once its content is known to be what this node wrote.
    fn verified(&self, kind: Kind, key: &Digest) -> Option<File> {
        let path = self.path(kind, key);
        let file = File::open(&path).ok()?;
        let seal = fs::read(seal_path(&path)).ok()?;
        if !self.holds(kind, key, &file, &seal).ok()? {
            tracing::warn!(path = %path.display(), "a cached file is damaged or not ours; it is made anew");
            return None;
        }
        Some(file)
    }

    /// The authenticators of a content's pieces, one behind the other.
    fn seal(&self, kind: Kind, name: &Digest, content: &[u8]) -> io::Result<Vec<u8>> {
        let place = Place { kind, name, file_bytes: content.len() as u64 };
        let mut seal = Vec::new();
        for (number, piece) in (0..).zip(content.chunks(PIECE_BYTES)) {
            let mut piece = piece.to_vec();
            place.append(number, &mut piece);
            let (nonce, tag) = self
                .key
                .seal_in_place_separate_tag(Aad::from(piece), &mut [])
                .map_err(|_| io::Error::other("the cipher fails"))?;
            seal.extend_from_slice(nonce.as_ref());
            seal.extend_from_slice(tag.as_ref());
        }
        Ok(seal)
    }

    /// Whether the file is what the seal was made for.
    fn holds(&self, kind: Kind, name: &Digest, mut file: &File, seal: &[u8]) -> io::Result<bool> {
        let file_bytes = file.metadata()?.len();
        let place = Place { kind, name, file_bytes };
        let mut rest = file_bytes;
        let mut piece = Vec::with_capacity(PIECE_BYTES + 256);
        let mut seals = seal.chunks_exact(SEAL_BYTES);
        for (number, authenticator) in (0..).zip(&mut seals) {
            let wanted = rest.min(PIECE_BYTES as u64);
            rest -= wanted;
            if wanted == 0 {
                return Ok(false);
            }
            piece.resize(wanted as usize, 0);
            file.read_exact(&mut piece)?;
            place.append(number, &mut piece);
            let (nonce, tag) = authenticator.split_at(NONCE_LEN);
            let Ok(nonce) = Nonce::try_assume_unique_for_key(nonce) else { return Ok(false) };
            if self.key.open_in_place(nonce, Aad::from(&piece), &mut tag.to_vec()).is_err() {
                return Ok(false);
            }
        }
        Ok(rest == 0 && file_bytes > 0 && seals.remainder().is_empty())
    }
}

fn seal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".seal");
    name.into()
}

/// A file appears whole or not at all.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{:016x}", SystemRng.next_u64()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    let result = written.and_then(|mut file| file.write_all(content)).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        // What is left of a failed write would only take space.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn read_or_make_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    loop {
        match fs::read(path) {
            Ok(bytes) => {
                let damaged =
                    || io::Error::new(io::ErrorKind::InvalidData, format!("{} is no key of 32 bytes", path.display()));
                return bytes.try_into().map_err(|_| damaged());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; KEY_BYTES];
                SystemRng.fill(&mut key);
                write_whole(path, &key)?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The one unsafe act of an engine.
mod trusted {
    #![allow(unsafe_code)]

    use std::fs::File;

    use wasmtime::{Engine, Module, component::Component};

    /// `None` if another version of wasmtime, or another processor, made the file.
    pub fn module(engine: &Engine, file: File) -> Option<Module> {
        // SAFETY: the caller verified, with a key that only this node has, that the content of
        // this very file is what `Module::serialize` gave. The directory is private to the user
        // the node runs as, and files in it are only ever replaced by rename, so the mapping does
        // not change under wasmtime.
        unsafe { Module::deserialize_open_file(engine, file) }.ok()
    }

    pub fn component(engine: &Engine, file: File) -> Option<Component> {
        use std::io::{Read as _, Seek as _};
        let mut file = file;
        let mut content = Vec::new();
        file.rewind().ok()?;
        file.read_to_end(&mut content).ok()?;
        // SAFETY: as above; the bytes are read from the file that was verified.
        unsafe { Component::deserialize(engine, &content) }.ok()
    }
}

#[cfg(test)]
mod tests;
