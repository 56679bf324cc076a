//! Hashes, a piece at a time.

use md5::Md5;
use ripemd::Ripemd160;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

use crate::script::codec::{Decoder, Encoder};
use crate::script::host::Refusal;
use crate::script::operations::crypto::advance;

/// HASH(name, state or null, data, last) → the next state, or the digest.
///
/// The state lies with the guest between calls: so an image may hold a hash in progress, `copy()`
/// is a copy, and nothing here has to be cleaned up after a hash that nobody finishes. The prelude
/// gives large data in pieces, so that the guest's clock sees each.
pub fn running(args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (name, state, data) = (args.next()?, args.next()?, args.next()?);
    let state = if state.is_nullish() { None } else { Some(state.as_content()?) };
    let (data, last) = (data.as_content()?, args.next()?.as_bool()?);
    match name.as_str()? {
        "md5" => advance::<Md5>(state, data, last, out),
        "ripemd160" => advance::<Ripemd160>(state, data, last, out),
        "sha1" => advance::<Sha1>(state, data, last, out),
        "sha224" => advance::<Sha224>(state, data, last, out),
        "sha256" => advance::<Sha256>(state, data, last, out),
        "sha384" => advance::<Sha384>(state, data, last, out),
        "sha512" => advance::<Sha512>(state, data, last, out),
        "sha512-224" => advance::<Sha512_224>(state, data, last, out),
        "sha512-256" => advance::<Sha512_256>(state, data, last, out),
        _ => Err(Refusal::type_error("Digest method not supported")),
    }
}
