//! What modules of Node.js compute outside of the guest: running hashes, key derivation, ciphers in
//! one piece, and zlib. Each is a function of its arguments.
//!
//! Node's interfaces are synchronous for much of it, so these are calls, whose work is bounded by
//! `node_sync_bytes` and `kdf_sync_work`; what may take longer is an operation, and runs on the
//! blocking pool.

mod cipher;
mod hash;
mod kdf;
mod zip;

use base::WorkerLimits;

use super::abi::node as code;
use super::codec::{Decoder, Encoder};
use super::host::Refusal;
use super::operations::{Completion, Operation};

/// A computation that the guest waits for.
pub fn answer(code: i32, mut args: Decoder<'_>, limits: &WorkerLimits, out: &mut Encoder) -> Result<(), Refusal> {
    match code {
        code::HASH => hash::running(&mut args, out),
        code::CIPHER => cipher::whole(&mut args, limits, out),
        code::KDF => kdf::derive(&mut args, limits, kdf::Bound::Sync, out),
        _ => zip::whole(&mut args, limits, zip::Bound::Sync, out),
    }
}

/// The same off the core, within wider bounds.
pub async fn perform(operation: &Operation, arguments: &[u8]) -> Result<Completion, Completion> {
    let (arguments, limits) = (arguments.to_vec(), operation.env().limits.clone());
    let code = operation.code;
    let task = tokio::task::spawn_blocking(move || {
        let mut args = Decoder::new(&arguments);
        let mut out = Encoder::default();
        match code {
            code::KDF_OPERATION => kdf::derive(&mut args, &limits, kdf::Bound::Pool, &mut out)?,
            _ => zip::whole(&mut args, &limits, zip::Bound::Pool, &mut out)?,
        }
        Ok::<_, Refusal>(out.0)
    });
    let value = task.await.map_err(|_| Completion::type_error("the computation failed"))?;
    Ok(Completion::Value(value?))
}
