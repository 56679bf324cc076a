//! Compiled code and images on disk, between runs.
//!
//! To load compiled code is to trust it with the process, so the cache is private (mode 0700) and
//! every file is authenticated with a keyed hash before wasmtime sees it. The key lies with the
//! node's keys, outside the cache; a file that was damaged, truncated or put there by somebody
//! else is ignored and made anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base::{Digest, Rng as _, SystemRng};
use wasmtime::{Engine, Module, component::Component};

/// Bytes that are read at a time to verify a file.
const VERIFY_BYTES: usize = 128 << 10;

/// Bytes of the key and of a file's authenticator.
const KEY_BYTES: usize = 32;

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
    key: [u8; KEY_BYTES],
}

impl Cache {
    /// Opens, or makes, a cache in `directory` with the key in `key_file`.
    pub fn open(directory: &Path, key_file: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if let Some(parent) = key_file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        Ok(Self { directory: directory.to_owned(), key: read_or_make_key(key_file)? })
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
            let seal = *self.hasher(kind, key).update(serialised).finalize().as_bytes();
            write_whole(&seal_path(&path), &seal)?;
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
        let mut file = File::open(&path).ok()?;
        let seal = fs::read(seal_path(&path)).ok()?;
        // In pieces that stay in the processor's cache: to read a file of megabytes into memory of
        // its own would take longer than to hash it.
        let mut hasher = self.hasher(kind, key);
        let mut piece = vec![0; VERIFY_BYTES];
        loop {
            match file.read(&mut piece).ok()? {
                0 => break,
                read => hasher.update(&piece[..read]),
            };
        }
        // Comparing blake3 hashes takes the same time wherever they differ.
        if hasher.finalize() != blake3::Hash::from_bytes(seal.try_into().ok()?) {
            tracing::warn!(path = %path.display(), "a cached file is damaged or not ours; it is made anew");
            return None;
        }
        Some(file)
    }

    /// Binds a file's content to its name, so that one can't be passed off as another.
    fn hasher(&self, kind: Kind, key: &Digest) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(kind.suffix().as_bytes()).update(b"\0").update(key.as_bytes());
        hasher
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
