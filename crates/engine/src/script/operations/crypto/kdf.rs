//! Keys from keys and passwords: HKDF and PBKDF2.

use std::num::NonZeroU32;

use aws_lc_rs::hkdf::{KeyType, Salt};
use aws_lc_rs::pbkdf2 as kdf;
use base::{WorkerLimits, code};

use super::{Args, operation_error};
use crate::script::codec::Encoder;
use crate::script::host::Refusal;

/// What one derivation may give. HKDF ends at 255 digests by itself.
const DERIVED_BYTES_MAX: usize = 64 << 10;

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF(hash, secret, salt, info, bytes) → bytes
pub fn hkdf(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let hash = args.hash()?;
    let (secret, salt, info) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let mut derived = vec![0; length(args.number()?)?];
    let key = Salt::new(hash.hkdf(), salt).extract(secret);
    let too_much = |_| operation_error("HKDF gives at most 255 times the length of its hash");
    let info = [info];
    let expanded = key.expand(&info, Bytes(derived.len())).map_err(too_much)?;
    expanded.fill(&mut derived).map_err(too_much)?;
    out.bytes(&derived);
    Ok(())
}

fn length(bytes: u32) -> Result<usize, Refusal> {
    let bytes = bytes as usize;
    if bytes <= DERIVED_BYTES_MAX { Ok(bytes) } else { Err(operation_error("at most 64 KiB are derived at once")) }
}

/// PBKDF2(hash, password, salt, iterations, bytes) → bytes
pub fn pbkdf2(mut args: Args<'_>, limits: &WorkerLimits, out: &mut Encoder) -> Result<(), Refusal> {
    let hash = args.hash()?;
    let (password, salt, iterations) = (args.bytes()?, args.bytes()?, args.number()?);
    let mut derived = vec![0; length(args.number()?)?];
    let Some(iterations) = NonZeroU32::new(iterations) else {
        return Err(operation_error("PBKDF2 needs one iteration at least"));
    };
    // Each block of output takes all iterations again.
    let blocks = derived.len().div_ceil(hash.digest().output_len()).max(1) as u64;
    let max = limits.pbkdf2_iterations;
    if u64::from(iterations.get()).saturating_mul(blocks) > max {
        let message = format!(
            "{iterations} iterations for {blocks} blocks of output: more than {max} in all (limits.pbkdf2_iterations)"
        );
        return Err(Refusal { name: "OperationError", message: message.into(), code: code::TOO_MANY_ITERATIONS.name });
    }
    kdf::derive(hash.pbkdf2(), iterations, salt, password, &mut derived);
    out.bytes(&derived);
    Ok(())
}
