//! RSA signatures that the main library leaves out: SHA-1, which signed cookies and URLs of some
//! services still ask for, and keys of fewer than 2048 bits. The `rsa` crate makes them, always
//! with blinding.

use base::Rng as _;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::{Pkcs1v15Sign, PrivateKey, Pss, PublicKey};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::hash::Hash;
use super::operation_error;
use super::rsa::Padding;
use crate::script::host::Refusal;

/// The operating system's randomness, as the crate asks for it.
struct SystemRandom;

impl TryRng for SystemRandom {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(base::SystemRng.next_u64() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(base::SystemRng.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        base::SystemRng.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}

/// Hands the scheme to `run`, whose type differs with it.
macro_rules! with_scheme {
    ($padding:expr, $hash:expr, $run:expr) => {
        match ($padding, $hash) {
            (Padding::Pkcs1, Hash::Sha1) => $run(Pkcs1v15Sign::new::<Sha1>()),
            (Padding::Pkcs1, Hash::Sha256) => $run(Pkcs1v15Sign::new::<Sha256>()),
            (Padding::Pkcs1, Hash::Sha384) => $run(Pkcs1v15Sign::new::<Sha384>()),
            (Padding::Pkcs1, Hash::Sha512) => $run(Pkcs1v15Sign::new::<Sha512>()),
            (Padding::Pss { salt }, Hash::Sha1) => $run(Pss::<Sha1>::new_blinded_with_salt(salt)),
            (Padding::Pss { salt }, Hash::Sha256) => $run(Pss::<Sha256>::new_blinded_with_salt(salt)),
            (Padding::Pss { salt }, Hash::Sha384) => $run(Pss::<Sha384>::new_blinded_with_salt(salt)),
            (Padding::Pss { salt }, Hash::Sha512) => $run(Pss::<Sha512>::new_blinded_with_salt(salt)),
        }
    };
}

pub fn sign(padding: Padding, hash: Hash, key: &[u8], data: &[u8]) -> Result<Vec<u8>, Refusal> {
    let failed = |_| operation_error("this key can't sign with these parameters");
    let key = PrivateKey::from_pkcs8_der(key).map_err(|_| operation_error("this key can't sign"))?;
    let digest = aws_lc_rs::digest::digest(hash.digest(), data);
    with_scheme!(padding, hash, |scheme| key.sign_with_rng(&mut SystemRandom, scheme, digest.as_ref())).map_err(failed)
}

pub fn verify(padding: Padding, hash: Hash, key: &[u8], data: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
    let key = PublicKey::from_public_key_der(key).map_err(|_| operation_error("this key can't verify"))?;
    let digest = aws_lc_rs::digest::digest(hash.digest(), data);
    Ok(with_scheme!(padding, hash, |scheme| key.verify(scheme, digest.as_ref(), signature)).is_ok())
}
