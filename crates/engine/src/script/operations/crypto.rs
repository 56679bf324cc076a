//! Cryptography for scripts: what `crypto.subtle` computes.
//!
//! The prelude keeps the material of keys and does what the Web Cryptography API says about
//! algorithms, usages and formats; here are the computations, which know neither keys as objects
//! nor who may use them. Each is a function of its arguments (and of randomness, where it draws
//! any), so a code serves both as a synchronous call and as an operation: what is quick is
//! answered within the guest's entry, what may take long runs on the blocking pool, one piece of
//! work per app and core at a time, and is charged to its request all the same.

mod aes;
mod curves;
mod encoding;
mod hash;
mod kdf;
mod legacy;
mod rsa;

pub use hash::advance;

use std::sync::atomic::Ordering;

use base::{WorkerLimits, code};

use super::{Completion, Operation};
use crate::cpu;
use crate::script::abi::crypto as op;
use crate::script::codec::{Decoder, Encoder, Malformed, Value};
use crate::script::host::Refusal;

/// Arguments of more than this are worked on off the core.
const INLINE_BYTES: usize = 64 << 10;

/// The longest RSA key that is looked at at once: a private one of 2048 bits, a public one of any
/// length. The parts of a private key are checked against each other, which takes 0.2 ms for this
/// length and 0.6 ms for twice as many bits.
const RSA_KEY_BYTES: usize = 1_500;

/// A call that the guest may make synchronously.
pub fn answer(evaluating: bool, code: i32, arguments: &[u8], out: &mut Encoder) -> Result<(), Refusal> {
    // What the prelude adds to the data: keys, names, labels.
    const SLACK: usize = 8 << 10;
    if arguments.len() > INLINE_BYTES + SLACK || is_long(code, arguments)? {
        return Err(Refusal::type_error("this computation may take long: it is an operation, not a call"));
    }
    if evaluating && draws_randomness(code, arguments)? {
        return Err(Refusal::at_start("cryptographic randomness"));
    }
    compute(code, Args(Decoder::new(arguments)), &WorkerLimits::default(), out)
}

/// An operation: inline if it is quick, else on the blocking pool.
pub async fn perform(operation: &Operation, arguments: &[u8]) -> Result<Completion, Completion> {
    let (code, env) = (operation.code, operation.env().clone());
    let mut out = Encoder::default();
    if arguments.len() <= INLINE_BYTES && !is_long(code, arguments)? {
        compute(code, Args(Decoder::new(arguments)), &env.limits, &mut out)?;
        return Ok(Completion::Value(out.0));
    }
    let Some((_, meter)) = &operation.context else {
        let message = "the request that this belongs to has ended; compute before the response, or in waitUntil";
        return Err(Completion::failed(&code::CLIENT_GONE, message));
    };
    let meter = meter.clone();
    let turn = operation.instance.core().long_turn(&env.app).await;
    if meter.native_us.load(Ordering::Relaxed) >= env.limits.cpu_ms.saturating_mul(1000) {
        let message = format!("more than {} ms of CPU time (limits.cpu_ms)", env.limits.cpu_ms);
        return Err(Completion::failed(&code::CPU_EXCEEDED, message));
    }
    let arguments = arguments.to_vec();
    let task = tokio::task::spawn_blocking(move || {
        let from = cpu::thread_time();
        let result = compute(code, Args(Decoder::new(&arguments)), &env.limits, &mut out);
        let used = cpu::thread_time().saturating_sub(from);
        meter.native_us.fetch_add(used.as_micros() as u64, Ordering::Relaxed);
        // The place is held until the work is done, also when nobody waits for it any more.
        drop(turn);
        result.map(|()| out.0)
    });
    let value = task.await.map_err(|_| Completion::failed(&code::INTERNAL, "the computation failed"))?;
    Ok(Completion::Value(value?))
}

/// Whether a computation may take more than about 100 µs whatever the length of its data.
fn is_long(code: i32, arguments: &[u8]) -> Result<bool, Malformed> {
    let mut args = Decoder::new(arguments);
    Ok(match code {
        op::PBKDF2 | op::GENERATE | op::RSA_DECRYPT => true,
        op::RSA_IMPORT => arguments.len() > RSA_KEY_BYTES,
        op::SIGN | op::AGREE => !is_quick_curve(args.next()?.as_str()?),
        // A public exponent is short.
        op::VERIFY => {
            let scheme = args.next()?;
            let scheme = scheme.as_str()?;
            !scheme.starts_with("RS") && !is_quick_curve(scheme)
        }
        _ => false,
    })
}

fn is_quick_curve(name: &str) -> bool {
    matches!(name, "P-256" | "Ed25519" | "X25519")
}

fn draws_randomness(code: i32, arguments: &[u8]) -> Result<bool, Malformed> {
    Ok(match code {
        op::RSA_ENCRYPT => true,
        op::SIGN => Decoder::new(arguments).next()?.as_str()? != "Ed25519",
        _ => false,
    })
}

fn compute(code: i32, args: Args<'_>, limits: &WorkerLimits, out: &mut Encoder) -> Result<(), Refusal> {
    match code {
        op::DIGEST => hash::digest(args, out),
        op::RUNNING_DIGEST => hash::running(args, out),
        op::HMAC => hash::hmac(args, out),
        op::HMAC_VERIFY => hash::hmac_verify(args, out),
        op::EQUAL => hash::equal(args, out),
        op::ENCRYPT => aes::encrypt(args, out),
        op::DECRYPT => aes::decrypt(args, out),
        op::HKDF => kdf::hkdf(args, out),
        op::PBKDF2 => kdf::pbkdf2(args, limits, out),
        op::SIGN => sign(args, out),
        op::VERIFY => verify(args, out),
        op::RSA_ENCRYPT => rsa::encrypt(args, out),
        op::RSA_DECRYPT => rsa::decrypt(args, out),
        op::RSA_IMPORT => rsa::import(args, out),
        op::RSA_PARTS => rsa::parts(args, out),
        op::AGREE => curves::agree(args, out),
        op::CURVE_IMPORT => curves::import(args, out),
        op::CURVE_EXPORT => curves::export(args, out),
        op::GENERATE => generate(args, out),
        _ => Err(Refusal::type_error("there is no such computation")),
    }
}

/// SIGN(scheme, hash, private key, data, salt length)
fn sign(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let scheme = args.text()?;
    if scheme.starts_with("RS") { rsa::sign(&scheme, args, out) } else { curves::sign(&scheme, args, out) }
}

/// VERIFY(scheme, hash, public key, data, signature, salt length)
fn verify(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let scheme = args.text()?;
    let valid = if scheme.starts_with("RS") { rsa::verify(&scheme, args)? } else { curves::verify(&scheme, args)? };
    out.bool(valid);
    Ok(())
}

/// GENERATE("RSA", bits) or GENERATE(curve) → [private key, public key]
fn generate(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let kind = args.text()?;
    let (private, public) = if kind == "RSA" { rsa::generate(args.number()?)? } else { curves::generate(&kind)? };
    out.array(2).bytes(&private).bytes(&public);
    Ok(())
}

/// The arguments of a computation, in order.
struct Args<'a>(Decoder<'a>);

impl<'a> Args<'a> {
    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        if let Value::Bytes(bytes) = self.0.next()? { Ok(bytes) } else { Err(Malformed) }
    }

    fn optional_bytes(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.0.next()? {
            Value::Bytes(bytes) => Ok(Some(bytes)),
            Value::Null | Value::Undefined => Ok(None),
            _ => Err(Malformed),
        }
    }

    fn text(&mut self) -> Result<String, Malformed> {
        self.0.next()?.as_str().map(str::to_owned)
    }

    fn number(&mut self) -> Result<u32, Malformed> {
        self.0.next()?.as_u32()
    }

    fn bool(&mut self) -> Result<bool, Malformed> {
        self.0.next()?.as_bool()
    }

    fn hash(&mut self) -> Result<hash::Hash, Refusal> {
        hash::Hash::parse(&self.text()?)
    }
}

fn operation_error(message: &'static str) -> Refusal {
    Refusal { name: "OperationError", message: message.into(), code: "" }
}

fn data_error(message: &'static str) -> Refusal {
    Refusal { name: "DataError", message: message.into(), code: "" }
}
