//! RSA: signatures by PKCS #1 v1.5 and PSS, encryption by OAEP.
//!
//! A public key is a SubjectPublicKeyInfo, a private key a PKCS#8 document, both as this module
//! encodes them.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
    OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    self, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair, RsaParameters, RsaPssSaltLength, RsaSignatureEncoding, UnparsedPublicKey,
};

use super::curves::randomness;
use super::hash::Hash;
use super::{Args, data_error, encoding, legacy, operation_error};
use crate::script::codec::Encoder;
use crate::script::host::Refusal;

/// The bounds of a modulus that is imported, in bits. Below the first nothing is a key any more,
/// above the second an operation would take seconds.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 512..=8192;

/// The least modulus that the library works with; smaller keys are left to [`legacy`].
const LIBRARY_BITS_MIN: usize = 2048;

/// Salts of PSS reach up to the longest that a key of 4096 bits has room for with SHA-256.
const SALTS: usize = 479;

/// One entry per length of salt: the library wants parameters that live for ever.
macro_rules! by_salt {
    ($table:ident: $kind:ty = $base:expr) => {
        static $table: [$kind; SALTS] = {
            let mut table = [const { $base }; SALTS];
            let mut bytes = 0;
            while bytes < SALTS {
                table[bytes] = $base.with_pss_salt_length(RsaPssSaltLength::Custom(bytes as u16));
                bytes += 1;
            }
            table
        };
    };
}

by_salt!(SIGN_SHA256: RsaSignatureEncoding = RSA_PSS_SHA256);
by_salt!(SIGN_SHA384: RsaSignatureEncoding = RSA_PSS_SHA384);
by_salt!(SIGN_SHA512: RsaSignatureEncoding = RSA_PSS_SHA512);
by_salt!(VERIFY_SHA256: RsaParameters = RSA_PSS_2048_8192_SHA256);
by_salt!(VERIFY_SHA384: RsaParameters = RSA_PSS_2048_8192_SHA384);
by_salt!(VERIFY_SHA512: RsaParameters = RSA_PSS_2048_8192_SHA512);

/// How a signature is padded.
#[derive(Debug, Clone, Copy)]
pub enum Padding {
    Pkcs1,
    Pss { salt: usize },
}

impl Padding {
    fn parse(scheme: &str, salt: u32) -> Result<Self, Refusal> {
        match scheme {
            "RSASSA-PKCS1-v1_5" => Ok(Self::Pkcs1),
            "RSA-PSS" => Ok(Self::Pss { salt: salt as usize }),
            _ => Err(Refusal::type_error("there is no such scheme")),
        }
    }
}

/// SIGN(scheme, hash, private key, data, salt length) → signature
pub fn sign(scheme: &str, mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let failed = || operation_error("this key can't sign with these parameters");
    let hash = args.hash()?;
    let (key, data) = (args.bytes()?, args.bytes()?);
    let padding = Padding::parse(scheme, args.number()?)?;
    let encoding = match (padding, hash) {
        (_, Hash::Sha1) => None,
        (Padding::Pkcs1, Hash::Sha256) => Some(&signature::RSA_PKCS1_SHA256),
        (Padding::Pkcs1, Hash::Sha384) => Some(&signature::RSA_PKCS1_SHA384),
        (Padding::Pkcs1, Hash::Sha512) => Some(&signature::RSA_PKCS1_SHA512),
        (Padding::Pss { salt }, Hash::Sha256) => Some(SIGN_SHA256.get(salt).ok_or_else(failed)?),
        (Padding::Pss { salt }, Hash::Sha384) => Some(SIGN_SHA384.get(salt).ok_or_else(failed)?),
        (Padding::Pss { salt }, Hash::Sha512) => Some(SIGN_SHA512.get(salt).ok_or_else(failed)?),
    };
    let signature = match (encoding, RsaKeyPair::from_pkcs8(key)) {
        (Some(encoding), Ok(pair)) => {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &randomness(), data, &mut signature).map_err(|_| failed())?;
            signature
        }
        _ => legacy::sign(padding, hash, key, data)?,
    };
    out.bytes(&signature);
    Ok(())
}

/// VERIFY(scheme, hash, public key, data, signature, salt length)
pub fn verify(scheme: &str, mut args: Args<'_>) -> Result<bool, Refusal> {
    let hash = args.hash()?;
    let (key, data, signature) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let padding = Padding::parse(scheme, args.number()?)?;
    // The longest signature of a key that is imported.
    let bits = signature.len() * 8;
    let parameters: Option<&'static RsaParameters> = match (padding, hash) {
        (Padding::Pkcs1, Hash::Sha1) => Some(&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
        (Padding::Pkcs1, Hash::Sha256) => Some(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        (Padding::Pkcs1, Hash::Sha384) if bits >= LIBRARY_BITS_MIN => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        (Padding::Pkcs1, Hash::Sha512) => Some(&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
        (Padding::Pss { .. }, _) if bits < LIBRARY_BITS_MIN => None,
        (Padding::Pss { salt }, Hash::Sha256) => VERIFY_SHA256.get(salt),
        (Padding::Pss { salt }, Hash::Sha384) => VERIFY_SHA384.get(salt),
        (Padding::Pss { salt }, Hash::Sha512) => VERIFY_SHA512.get(salt),
        _ => None,
    };
    match parameters {
        Some(parameters) => Ok(UnparsedPublicKey::new(parameters, key).verify(data, signature).is_ok()),
        None => legacy::verify(padding, hash, key, data, signature),
    }
}

fn oaep(hash: Hash) -> &'static OaepAlgorithm {
    match hash {
        Hash::Sha1 => &OAEP_SHA1_MGF1SHA1,
        Hash::Sha256 => &OAEP_SHA256_MGF1SHA256,
        Hash::Sha384 => &OAEP_SHA384_MGF1SHA384,
        Hash::Sha512 => &OAEP_SHA512_MGF1SHA512,
    }
}

/// RSA_ENCRYPT(hash, public key, data, label) → bytes
pub fn encrypt(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let failed = || operation_error("this key can't encrypt, or the data is too long for it");
    let algorithm = oaep(args.hash()?);
    let (key, data, label) = (args.bytes()?, args.bytes()?, args.optional_bytes()?);
    let key = PublicEncryptingKey::from_der(key).ok().and_then(|key| OaepPublicEncryptingKey::new(key).ok());
    let key = key.ok_or_else(failed)?;
    let mut sealed = vec![0; key.ciphertext_size()];
    let sealed = key.encrypt(algorithm, data, &mut sealed, label.filter(|l| !l.is_empty())).map_err(|_| failed())?;
    out.bytes(sealed);
    Ok(())
}

/// RSA_DECRYPT(hash, private key, data, label) → bytes
pub fn decrypt(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let failed = || operation_error("this key can't decrypt the data");
    let algorithm = oaep(args.hash()?);
    let (key, data, label) = (args.bytes()?, args.bytes()?, args.optional_bytes()?);
    let key = PrivateDecryptingKey::from_pkcs8(key).ok().and_then(|key| OaepPrivateDecryptingKey::new(key).ok());
    let key = key.ok_or_else(failed)?;
    let mut plain = vec![0; key.min_output_size()];
    let plain = key.decrypt(algorithm, data, &mut plain, label.filter(|l| !l.is_empty())).map_err(|_| failed())?;
    out.bytes(plain);
    Ok(())
}

/// A new private and public key, with 65537 as its exponent.
pub fn generate(bits: u32) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        _ => return Err(operation_error("RSA keys are generated with 2048, 3072 or 4096 bits")),
    };
    let failed = |_| operation_error("no key could be generated");
    let key = PrivateDecryptingKey::generate(size).map_err(failed)?;
    let private: Pkcs8V1Der<'_> = key.as_der().map_err(failed)?;
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(failed)?;
    Ok((private.as_ref().to_vec(), public.as_ref().to_vec()))
}

/// RSA_IMPORT(format, …) → [key, bits of the modulus, public exponent]
///
/// The format is "spki" or "pkcs8" with a document, "public" with n and e, or "private" with n, e,
/// d, p, q, dp, dq, qi.
pub fn import(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let format = args.text()?;
    let (key, n, e) = match format.as_str() {
        "spki" | "public" => {
            let integers =
                if format == "spki" { encoding::read_rsa_spki(args.bytes()?)? } else { integers(&mut args)? };
            let key = encoding::write_rsa_spki(&integers)?;
            let [n, e] = integers;
            (key, n, e)
        }
        "pkcs8" | "private" => {
            let integers =
                if format == "pkcs8" { encoding::read_rsa_pkcs8(args.bytes()?)? } else { integers(&mut args)? };
            let key = encoding::write_rsa_pkcs8(&integers)?;
            let [n, e, ..] = integers;
            if bits(&n) >= LIBRARY_BITS_MIN && RsaKeyPair::from_pkcs8(&key).is_err() {
                return Err(data_error("the parts of the key don't belong together"));
            }
            (key, n, e)
        }
        _ => return Err(Refusal::type_error("there is no such format")),
    };
    let odd = |integer: &[u8]| integer.last().is_some_and(|last| last % 2 == 1);
    if !MODULUS_BITS.contains(&bits(&n)) || !odd(&n) || !odd(&e) {
        return Err(data_error("the modulus must have 512 to 8192 bits, and it and the exponent be odd"));
    }
    out.array(3).bytes(&key).integer(bits(&n) as u64).bytes(&e);
    Ok(())
}

fn integers<const N: usize>(args: &mut Args<'_>) -> Result<[Vec<u8>; N], Refusal> {
    let mut integers = [const { Vec::new() }; N];
    for integer in &mut integers {
        let bytes = args.bytes()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        *integer = bytes[zeros..].to_vec();
    }
    Ok(integers)
}

fn bits(integer: &[u8]) -> usize {
    let zeros = integer.first().map_or(0, |first| first.leading_zeros() as usize);
    integer.len() * 8 - zeros
}

/// RSA_PARTS("spki" or "pkcs8", key) → [n, e] or [n, e, d, p, q, dp, dq, qi]
pub fn parts(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (format, key) = (args.text()?, args.bytes()?);
    let integers =
        if format == "spki" { encoding::read_rsa_spki(key)?.to_vec() } else { encoding::read_rsa_pkcs8(key)?.to_vec() };
    out.array(integers.len() as u32);
    for integer in &integers {
        out.bytes(integer);
    }
    Ok(())
}
