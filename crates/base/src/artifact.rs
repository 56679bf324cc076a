//! The artifact format: what a build makes of one worker's source, and what an engine loads.
//!
//! An artifact is immutable and content-addressed: its [`Digest`] is the SHA-256 of its encoding,
//! and equal sources give equal bytes. It holds no environment: variables, secrets and grants
//! belong to the plan.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// First bytes of an encoded artifact; the last is the version of the format.
const MAGIC: &[u8; 8] = b"SLVDGA\x00\x02";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Artifact {
    Script(Script),
    /// A WebAssembly component, as its author's toolchain made it.
    Component(#[serde(with = "bytes_field")] Vec<u8>),
}

/// A module graph, stripped of types, ready for the script engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Index of the entry in `modules`.
    pub entry: u32,
    pub modules: Vec<Module>,
    /// The path of a request that the worker answers before its image is taken.
    pub warm: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// The name in stack traces: a path relative to the app, with forward slashes.
    pub name: String,
    pub kind: ModuleKind,
    /// For `Js`, `Json` and `Classic`, UTF-8 text.
    #[serde(with = "bytes_field")]
    pub source: Vec<u8>,
    /// Specifier as written → index of the module it resolves to.
    pub imports: Vec<(String, u32)>,
    /// A source map (version 3, JSON) back to the file as its author wrote it.
    pub source_map: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModuleKind {
    Js,
    Json,
    /// The default export is the text as a string.
    Text,
    /// The default export is the content as an ArrayBuffer.
    Bytes,
    /// A module of the platform, by its specifier ([`crate::builtin`]); the engine has its source.
    Builtin,
    /// A script of the kind that is no module, in sloppy mode; the default export is its value.
    Classic,
    /// A core WebAssembly module; the default export is a `WebAssembly.Module`.
    Wasm,
    /// The default export is the content as a Uint8Array.
    Array,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    #[error("these bytes are not a Selvedge artifact")]
    NotAnArtifact,
    #[error("the artifact is damaged")]
    Damaged,
}

impl Artifact {
    pub fn encode(&self) -> Vec<u8> {
        let buffer = MAGIC.to_vec();
        postcard::to_extend(self, buffer).expect("an artifact has no shape that can't be encoded")
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ArtifactError::NotAnArtifact)?;
        let artifact: Self = postcard::from_bytes(rest).map_err(|_| ArtifactError::Damaged)?;
        artifact.check()?;
        Ok(artifact)
    }

    /// Indices must point at modules: an artifact may come from a stranger's disk.
    fn check(&self) -> Result<(), ArtifactError> {
        let Artifact::Script(script) = self else { return Ok(()) };
        let count = script.modules.len() as u32;
        let imports_hold = script.modules.iter().flat_map(|m| &m.imports).all(|&(_, i)| i < count);
        if script.entry < count && imports_hold { Ok(()) } else { Err(ArtifactError::Damaged) }
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }
}

/// Bytes as a byte string rather than a sequence of numbers.
mod bytes_field {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let bytes: bytes::Bytes = Bytes::deserialize(d)?.0;
        Ok(bytes.to_vec())
    }

    struct Bytes(bytes::Bytes);

    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl serde::de::Visitor<'_> for Visitor {
                type Value = Bytes;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_bytes<E>(self, v: &[u8]) -> Result<Bytes, E> {
                    Ok(Bytes(bytes::Bytes::copy_from_slice(v)))
                }
            }
            d.deserialize_bytes(Visitor)
        }
    }
}

#[cfg(test)]
mod tests;
