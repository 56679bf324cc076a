//! Elliptic curves: ECDSA and ECDH on P-256, P-384 and P-521, Ed25519, X25519.
//!
//! A private key is its scalar (or seed) as bytes of the curve's length, a public key its
//! uncompressed point (or its 32 bytes).

use aws_lc_rs::agreement::{self, ParsedPublicKey, PrivateKey, UnparsedPublicKey as Peer};
use aws_lc_rs::digest::{self, Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, Ed25519KeyPair, KeyPair, UnparsedPublicKey,
};

use super::encoding::{self, CurveKey};
use super::{Args, data_error, operation_error};
use crate::script::codec::Encoder;
use crate::script::host::Refusal;
use crate::script::operations::crypto::hash::Hash;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
    Ed25519,
    X25519,
}

impl Curve {
    fn parse(name: &str) -> Result<Self, Refusal> {
        Ok(match name {
            "P-256" => Self::P256,
            "P-384" => Self::P384,
            "P-521" => Self::P521,
            "Ed25519" => Self::Ed25519,
            "X25519" => Self::X25519,
            _ => return Err(Refusal::type_error("there is no such curve")),
        })
    }

    /// Bytes of a private key, and of a coordinate.
    pub fn key_bytes(self) -> usize {
        match self {
            Self::P256 | Self::Ed25519 | Self::X25519 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// Whether its points have two coordinates.
    pub fn is_weierstrass(self) -> bool {
        matches!(self, Self::P256 | Self::P384 | Self::P521)
    }

    /// As which a key is for agreement. Ed25519 keys are none, and are never asked.
    fn agreement(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::P521 => &agreement::ECDH_P521,
            Self::X25519 | Self::Ed25519 => &agreement::X25519,
        }
    }

    fn ecdsa(self) -> Option<Ecdsa> {
        Some(match self {
            Self::P256 => Ecdsa {
                digest: &SHA256,
                sign: &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                verify: &signature::ECDSA_P256_SHA256_FIXED,
            },
            Self::P384 => Ecdsa {
                digest: &SHA384,
                sign: &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                verify: &signature::ECDSA_P384_SHA384_FIXED,
            },
            Self::P521 => Ecdsa {
                digest: &SHA512,
                sign: &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
                verify: &signature::ECDSA_P521_SHA512_FIXED,
            },
            Self::Ed25519 | Self::X25519 => return None,
        })
    }
}

/// A curve with the hash that the library pairs it with.
struct Ecdsa {
    digest: &'static digest::Algorithm,
    sign: &'static EcdsaSigningAlgorithm,
    verify: &'static EcdsaVerificationAlgorithm,
}

impl Ecdsa {
    /// The digest of the data by any hash, in the place of a digest by the curve's own. ECDSA takes
    /// a digest for a number, and of a longer one its leftmost bits (FIPS 186-5, section 6.4.1): so
    /// a longer one may be cut to the length of the curve's own, which is no shorter than its
    /// order or is the longest there is, and a shorter one be led by zeros.
    fn digest(&self, hash: Hash, data: &[u8]) -> Result<Digest, Refusal> {
        let digest = digest::digest(hash.digest(), data);
        let (from, length) = (digest.as_ref(), self.digest.output_len());
        let mut number = vec![0; length];
        if from.len() >= length {
            number.copy_from_slice(&from[..length]);
        } else {
            number[length - from.len()..].copy_from_slice(from);
        }
        Digest::import_less_safe(&number, self.digest).map_err(|_| operation_error("the digest failed"))
    }
}

/// SIGN(curve, hash, private key, data, public key) → signature
pub fn sign(curve: &str, mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let failed = || operation_error("this key can't sign");
    let curve = Curve::parse(curve)?;
    let hash = args.text()?;
    let (private, data, public) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let Some(ecdsa) = curve.ecdsa() else {
        let pair = Ed25519KeyPair::from_seed_and_public_key(private, public).map_err(|_| failed())?;
        out.bytes(pair.sign(data).as_ref());
        return Ok(());
    };
    let pair = EcdsaKeyPair::from_private_key_and_public_key(ecdsa.sign, private, public).map_err(|_| failed())?;
    let digest = ecdsa.digest(Hash::parse(&hash)?, data)?;
    out.bytes(pair.sign_digest(&digest).map_err(|_| failed())?.as_ref());
    Ok(())
}

/// VERIFY(curve, hash, public key, data, signature)
pub fn verify(curve: &str, mut args: Args<'_>) -> Result<bool, Refusal> {
    let curve = Curve::parse(curve)?;
    let hash = args.text()?;
    let (public, data, signature) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let Some(ecdsa) = curve.ecdsa() else {
        return Ok(UnparsedPublicKey::new(&signature::ED25519, public).verify(data, signature).is_ok());
    };
    let digest = ecdsa.digest(Hash::parse(&hash)?, data)?;
    Ok(UnparsedPublicKey::new(ecdsa.verify, public).verify_digest(&digest, signature).is_ok())
}

/// AGREE(curve, private key, public key of the peer) → secret
pub fn agree(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let curve = Curve::parse(&args.text()?)?;
    let (private, public) = (args.bytes()?, args.bytes()?);
    let failed = || operation_error("there is no secret that these keys share");
    let private = PrivateKey::from_private_key(curve.agreement(), private).map_err(|_| failed())?;
    agreement::agree(&private, Peer::new(curve.agreement(), public), failed(), |secret| {
        out.bytes(secret);
        Ok(())
    })
}

/// A new private and public key.
pub fn generate(curve: &str) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let curve = Curve::parse(curve)?;
    let failed = |_| operation_error("no key could be generated");
    if curve == Curve::Ed25519 {
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        let seed = pair.seed().map_err(failed)?.as_be_bytes().map_err(failed)?;
        return Ok((seed.as_ref().to_vec(), pair.public_key().as_ref().to_vec()));
    }
    let key = PrivateKey::generate(curve.agreement()).map_err(failed)?;
    let public = key.compute_public_key().map_err(failed)?.as_ref().to_vec();
    let private = if curve == Curve::X25519 {
        let seed: Curve25519SeedBin<'_> = key.as_be_bytes().map_err(failed)?;
        seed.as_ref().to_vec()
    } else {
        let scalar: EcPrivateKeyBin<'_> = key.as_be_bytes().map_err(failed)?;
        scalar.as_ref().to_vec()
    };
    Ok((private, public))
}

/// CURVE_IMPORT(curve, format, bytes, public key or null) → [private key or null, public key]
///
/// The format is "raw" or "spki" for a public key, "pkcs8" or "private" (bytes of its length) for a
/// private one, whose public key, where one is given too, must be its own.
pub fn import(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let curve = Curve::parse(&args.text()?)?;
    let format = args.text()?;
    let (data, claimed) = (args.bytes()?, args.optional_bytes()?);
    let key = match format.as_str() {
        "raw" => CurveKey { private: None, public: Some(data.to_vec()) },
        "spki" => encoding::read_curve_spki(curve, data)?,
        "pkcs8" => encoding::read_curve_pkcs8(curve, data)?,
        "private" => CurveKey { private: Some(data.to_vec()), public: claimed.map(<[u8]>::to_vec) },
        _ => return Err(Refusal::type_error("there is no such format")),
    };
    let Some(private) = key.private else {
        let public = key.public.unwrap_or_default();
        check_public(curve, &public)?;
        out.array(2).null().bytes(&public);
        return Ok(());
    };
    let public = public_of(curve, &private)?;
    if key.public.is_some_and(|claimed| claimed != public) {
        return Err(data_error("the public key is not that of the private key"));
    }
    out.array(2).bytes(&private).bytes(&public);
    Ok(())
}

fn check_public(curve: Curve, public: &[u8]) -> Result<(), Refusal> {
    if !curve.is_weierstrass() {
        return if public.len() == curve.key_bytes() {
            Ok(())
        } else {
            Err(data_error("the public key must have 32 bytes"))
        };
    }
    if public.first() != Some(&4) {
        return Err(data_error("the public key must be a point in its uncompressed form"));
    }
    let parsed = ParsedPublicKey::try_from(Peer::new(curve.agreement(), public));
    match parsed {
        Ok(_) if public.len() == 1 + 2 * curve.key_bytes() => Ok(()),
        _ => Err(data_error("the public key is no point on this curve")),
    }
}

fn public_of(curve: Curve, private: &[u8]) -> Result<Vec<u8>, Refusal> {
    let bad = || data_error("this is no private key of this curve");
    if private.len() != curve.key_bytes() {
        return Err(bad());
    }
    if curve == Curve::Ed25519 {
        let pair = Ed25519KeyPair::from_seed_unchecked(private).map_err(|_| bad())?;
        return Ok(pair.public_key().as_ref().to_vec());
    }
    let key = PrivateKey::from_private_key(curve.agreement(), private).map_err(|_| bad())?;
    Ok(key.compute_public_key().map_err(|_| bad())?.as_ref().to_vec())
}

/// CURVE_EXPORT(curve, "spki" or "pkcs8", private key or null, public key) → bytes
pub fn export(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let curve = Curve::parse(&args.text()?)?;
    let format = args.text()?;
    let (private, public) = (args.optional_bytes()?, args.bytes()?);
    let encoded = match (format.as_str(), private) {
        ("spki", _) => encoding::write_curve_spki(curve, public)?,
        ("pkcs8", Some(private)) => encoding::write_curve_pkcs8(curve, private, public)?,
        _ => return Err(Refusal::type_error("there is no such format")),
    };
    out.bytes(&encoded);
    Ok(())
}

/// What signatures draw their randomness from; the library has its own and ignores it.
pub fn randomness() -> SystemRandom {
    SystemRandom::new()
}
