//! Digests and HMAC.

use aws_lc_rs::{constant_time, digest, hkdf, hmac, pbkdf2};
use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Sha256, Sha384, Sha512};

use super::Args;
use crate::script::codec::Encoder;
use crate::script::host::Refusal;

/// The hashes that keys and derivations may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    pub fn parse(name: &str) -> Result<Self, Refusal> {
        Ok(match name {
            "SHA-1" => Self::Sha1,
            "SHA-256" => Self::Sha256,
            "SHA-384" => Self::Sha384,
            "SHA-512" => Self::Sha512,
            other => return Err(unsupported(other)),
        })
    }

    pub fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    pub fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Sha1 => hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hkdf::HKDF_SHA256,
            Self::Sha384 => hkdf::HKDF_SHA384,
            Self::Sha512 => hkdf::HKDF_SHA512,
        }
    }

    pub fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha384 => pbkdf2::PBKDF2_HMAC_SHA384,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

fn unsupported(name: &str) -> Refusal {
    let message = format!("{name} is not a supported hash (SHA-1, SHA-256, SHA-384, SHA-512)");
    Refusal { name: "NotSupportedError", message: message.into(), code: "" }
}

/// DIGEST(hash or "MD5", data) → bytes
pub fn digest(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (name, data) = (args.text()?, args.bytes()?);
    if name == "MD5" {
        out.bytes(&Md5::digest(data));
    } else {
        out.bytes(digest::digest(Hash::parse(&name)?.digest(), data).as_ref());
    }
    Ok(())
}

/// RUNNING_DIGEST(hash or "MD5", state or null, data, last) → the next state, or the digest.
///
/// The state of a digest in progress lies with the guest between calls: so an image may hold one,
/// and nothing here has to be cleaned up after a stream that nobody finishes.
pub fn running(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (name, state, data) = (args.text()?, args.optional_bytes()?, args.bytes()?);
    let last = args.bool()?;
    match name.as_str() {
        "MD5" => advance::<Md5>(state, data, last, out),
        "SHA-1" => advance::<Sha1>(state, data, last, out),
        "SHA-256" => advance::<Sha256>(state, data, last, out),
        "SHA-384" => advance::<Sha384>(state, data, last, out),
        "SHA-512" => advance::<Sha512>(state, data, last, out),
        other => Err(unsupported(other)),
    }
}

/// Feeds a digest whose state is at hand as bytes; `state` is none at the beginning.
pub fn advance<D: Digest + SerializableState>(
    state: Option<&[u8]>,
    data: &[u8],
    last: bool,
    out: &mut Encoder,
) -> Result<(), Refusal> {
    let bad = || Refusal::type_error("this is no state of a digest");
    let mut digest = match state {
        None => D::new(),
        Some(state) => D::deserialize(state.try_into().map_err(|_| bad())?).map_err(|_| bad())?,
    };
    digest.update(data);
    if last {
        out.bytes(&digest.finalize());
    } else {
        out.bytes(&digest.serialize());
    }
    Ok(())
}

/// HMAC(hash, key, data) → tag
pub fn hmac(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let key = hmac::Key::new(args.hash()?.hmac(), args.bytes()?);
    out.bytes(hmac::sign(&key, args.bytes()?).as_ref());
    Ok(())
}

/// HMAC_VERIFY(hash, key, data, tag) → whether it is the tag, in a time that does not tell where
/// they differ
pub fn hmac_verify(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let key = hmac::Key::new(args.hash()?.hmac(), args.bytes()?);
    let (data, tag) = (args.bytes()?, args.bytes()?);
    out.bool(hmac::verify(&key, data, tag).is_ok());
    Ok(())
}

/// EQUAL(a, b): compares in a time that depends on the length alone.
pub fn equal(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (a, b) = (args.bytes()?, args.bytes()?);
    out.bool(constant_time::verify_slices_are_equal(a, b).is_ok());
    Ok(())
}
