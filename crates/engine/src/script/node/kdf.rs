//! Keys from passwords.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512};
use base::{WorkerLimits, code};

use crate::script::codec::{Decoder, Encoder};
use crate::script::host::Refusal;

/// Whether the core waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Sync,
    Pool,
}

/// A key is at most this long, whatever it costs to derive.
const KEY_BYTES_MAX: usize = 1 << 20;

/// KDF("pbkdf2", hash, password, salt, length, iterations) or
/// KDF("scrypt", password, salt, length, N, r, p) → key
pub fn derive(args: &mut Decoder<'_>, limits: &WorkerLimits, bound: Bound, out: &mut Encoder) -> Result<(), Refusal> {
    let kind = args.next()?;
    match kind.as_str()? {
        "pbkdf2" => pbkdf2(args, limits, bound, out),
        _ => scrypt(args, limits, bound, out),
    }
}

fn pbkdf2(args: &mut Decoder<'_>, limits: &WorkerLimits, bound: Bound, out: &mut Encoder) -> Result<(), Refusal> {
    let (hash, password, salt) = (args.next()?, args.next()?, args.next()?);
    let (algorithm, block) = match hash.as_str()? {
        "sha1" => (PBKDF2_HMAC_SHA1, 20),
        "sha256" => (PBKDF2_HMAC_SHA256, 32),
        "sha384" => (PBKDF2_HMAC_SHA384, 48),
        "sha512" => (PBKDF2_HMAC_SHA512, 64),
        _ => return Err(Refusal::type_error("pbkdf2 takes sha1, sha256, sha384 and sha512")),
    };
    let (length, iterations) = (length(args)?, args.next()?.as_u32()?);
    let blocks = length.div_ceil(block).max(1) as u64;
    check_work(u64::from(iterations) * blocks, limits, bound)?;
    let iterations = NonZeroU32::new(iterations).ok_or_else(|| Refusal::type_error("no iterations"))?;
    let mut key = vec![0; length];
    if length > 0 {
        pbkdf2::derive(algorithm, iterations, salt.as_content()?, password.as_content()?, &mut key);
    }
    out.bytes(&key);
    Ok(())
}

fn scrypt(args: &mut Decoder<'_>, limits: &WorkerLimits, bound: Bound, out: &mut Encoder) -> Result<(), Refusal> {
    let (password, salt, length) = (args.next()?, args.next()?, length(args)?);
    let (n, r, p) = (args.next()?.as_u32()?, args.next()?.as_u32()?, args.next()?.as_u32()?);
    let work = u64::from(n).saturating_mul(u64::from(r)).saturating_mul(u64::from(p));
    check_work(work, limits, bound)?;
    let memory = u64::from(n).saturating_mul(u64::from(r)).saturating_mul(128);
    if memory > limits.scrypt_memory_mib << 20 {
        let message = format!(
            "scrypt with N = {n} and r = {r} needs {} MiB; {} are allowed (limits.scrypt_memory_mib)",
            memory >> 20,
            limits.scrypt_memory_mib
        );
        return Err(too_costly(message));
    }
    let bad = |_| Refusal::type_error("Invalid scrypt params");
    let log_n = n.checked_ilog2().filter(|log| n == 1 << log && *log > 0).ok_or(()).map_err(bad)?;
    let params = scrypt::Params::new(log_n as u8, r, p).map_err(|_| bad(()))?;
    let mut key = vec![0; length];
    if length > 0 {
        scrypt::scrypt(password.as_content()?, salt.as_content()?, &params, &mut key).map_err(|_| bad(()))?;
    }
    out.bytes(&key);
    Ok(())
}

fn length(args: &mut Decoder<'_>) -> Result<usize, Refusal> {
    let length = args.next()?.as_u32()? as usize;
    if length > KEY_BYTES_MAX {
        return Err(Refusal::type_error(format!("a derived key has at most {KEY_BYTES_MAX} bytes")));
    }
    Ok(length)
}

fn check_work(work: u64, limits: &WorkerLimits, bound: Bound) -> Result<(), Refusal> {
    let (most, message) = match bound {
        Bound::Sync => {
            (limits.kdf_sync_work, "limits.kdf_sync_work); use the asynchronous function, which may do more")
        }
        Bound::Pool => (limits.kdf_work, "limits.kdf_work)"),
    };
    if work > most {
        return Err(too_costly(format!(
            "the derivation would take {work} units of work; {most} are allowed ({message}"
        )));
    }
    Ok(())
}

fn too_costly(message: String) -> Refusal {
    Refusal { name: "RangeError", message: message.into(), code: code::KDF_TOO_COSTLY.name }
}
