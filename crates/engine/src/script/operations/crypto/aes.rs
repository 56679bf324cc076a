//! AES in the modes CBC, CTR, GCM and KW.

use ::aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts as size;
use aes_gcm::aes::cipher::{BlockCipherEncrypt, BlockSizeUser};
use aes_gcm::{AesGcm, KeyInit, Nonce};
use aes_kw::{KwAes128, KwAes192, KwAes256};
use aws_lc_rs::aead::{self, Aad, LessSafeKey, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptionContext, EncryptingKey, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::constant_time;

use super::{Args, operation_error};
use crate::script::codec::Encoder;
use crate::script::host::Refusal;

const BLOCK: usize = 16;
const TAG: usize = 16;

/// The length of a nonce for which GCM was made.
const NONCE: usize = 12;

/// ENCRYPT(mode, key, data, iv, extra, bits) → bytes
pub fn encrypt(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (mode, key, data) = (args.text()?, args.bytes()?, args.bytes()?);
    let (iv, extra, bits) = (args.optional_bytes()?.unwrap_or_default(), args.optional_bytes()?, args.number()?);
    match mode.as_str() {
        "CBC" => {
            let mut data = data.to_vec();
            let context = EncryptionContext::Iv128(block(iv)?.into());
            let key = PaddedBlockEncryptingKey::cbc_pkcs7(cipher_key(key)?).map_err(|_| failed())?;
            key.less_safe_encrypt(&mut data, context).map_err(|_| failed())?;
            out.bytes(&data);
        }
        "CTR" => {
            out.bytes(&count(key, data, block(iv)?, bits)?);
        }
        "GCM" => {
            let mut data = data.to_vec();
            let tag = seal(key, iv, extra.unwrap_or_default(), &mut data)?;
            data.extend_from_slice(&tag[..tag_bytes(bits)?]);
            out.bytes(&data);
        }
        "KW" => {
            out.bytes(&wrap(key, data)?);
        }
        _ => return Err(Refusal::type_error("there is no such mode")),
    }
    Ok(())
}

/// DECRYPT(mode, key, data, iv, extra, bits) → bytes
pub fn decrypt(mut args: Args<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (mode, key, data) = (args.text()?, args.bytes()?, args.bytes()?);
    let (iv, extra, bits) = (args.optional_bytes()?.unwrap_or_default(), args.optional_bytes()?, args.number()?);
    match mode.as_str() {
        "CBC" => {
            let mut data = data.to_vec();
            let context = DecryptionContext::Iv128(block(iv)?.into());
            let key = PaddedBlockDecryptingKey::cbc_pkcs7(cipher_key(key)?).map_err(|_| failed())?;
            out.bytes(key.decrypt(&mut data, context).map_err(|_| failed())?);
        }
        "CTR" => {
            out.bytes(&count(key, data, block(iv)?, bits)?);
        }
        "GCM" => {
            out.bytes(&open(key, iv, extra.unwrap_or_default(), data, tag_bytes(bits)?)?);
        }
        "KW" => {
            out.bytes(&unwrap(key, data)?);
        }
        _ => return Err(Refusal::type_error("there is no such mode")),
    }
    Ok(())
}

fn failed() -> Refusal {
    operation_error("the data can't be encrypted or decrypted with this key and these parameters")
}

fn block(iv: &[u8]) -> Result<[u8; BLOCK], Refusal> {
    iv.try_into().map_err(|_| operation_error("the initialisation vector or counter must be 16 bytes"))
}

fn cipher_key(key: &[u8]) -> Result<UnboundCipherKey, Refusal> {
    let algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        32 => &AES_256,
        _ => return Err(failed()),
    };
    UnboundCipherKey::new(algorithm, key).map_err(|_| failed())
}

/// Counter mode with a counter in the lowest `bits` of the block, which wraps around among
/// themselves. The cipher counts in the whole block, so data beyond the wrap is a second piece.
fn count(key: &[u8], data: &[u8], block: [u8; BLOCK], bits: u32) -> Result<Vec<u8>, Refusal> {
    if !(1..=128).contains(&bits) {
        return Err(operation_error("the length of the counter must be between 1 and 128 bits"));
    }
    let mask = u128::MAX >> (128 - bits);
    let start = u128::from_be_bytes(block);
    let blocks = data.len().div_ceil(BLOCK) as u128;
    if blocks > 0 && blocks - 1 > mask {
        return Err(operation_error("the counter is too short for this much data"));
    }
    let until_wrap = (mask - (start & mask)).saturating_add(1);
    let split = if blocks > until_wrap { until_wrap as usize * BLOCK } else { data.len() };
    let mut data = data.to_vec();
    let (before, after) = data.split_at_mut(split);
    for (piece, counter) in [(before, start), (after, start & !mask)] {
        if !piece.is_empty() {
            let context = EncryptionContext::Iv128(counter.to_be_bytes().into());
            let key = EncryptingKey::ctr(cipher_key(key)?).map_err(|_| failed())?;
            key.less_safe_encrypt(piece, context).map_err(|_| failed())?;
        }
    }
    Ok(data)
}

fn tag_bytes(bits: u32) -> Result<usize, Refusal> {
    match bits {
        32 | 64 | 96 | 104 | 112 | 120 | 128 => Ok(bits as usize / 8),
        _ => Err(operation_error("the tag must have 32, 64, 96, 104, 112, 120 or 128 bits")),
    }
}

fn gcm_key(key: &[u8]) -> Result<LessSafeKey, Refusal> {
    let algorithm = match key.len() {
        16 => &aead::AES_128_GCM,
        24 => &aead::AES_192_GCM,
        32 => &aead::AES_256_GCM,
        _ => return Err(failed()),
    };
    Ok(LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(|_| failed())?))
}

fn nonce(iv: &[u8]) -> Result<aead::Nonce, Refusal> {
    aead::Nonce::try_assume_unique_for_key(iv).map_err(|_| failed())
}

/// Encrypts in place, and gives the whole tag.
fn seal(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG], Refusal> {
    if iv.len() == NONCE {
        let tag = gcm_key(key)?.seal_in_place_separate_tag(nonce(iv)?, Aad::from(aad), data);
        return tag.ok().and_then(|tag| tag.as_ref().try_into().ok()).ok_or_else(failed);
    }
    match key.len() {
        16 => seal_with::<Aes128>(key, iv, aad, data),
        24 => seal_with::<Aes192>(key, iv, aad, data),
        32 => seal_with::<Aes256>(key, iv, aad, data),
        _ => Err(failed()),
    }
}

fn open(key: &[u8], iv: &[u8], aad: &[u8], data: &[u8], tag_bytes: usize) -> Result<Vec<u8>, Refusal> {
    let Some(length) = data.len().checked_sub(tag_bytes) else {
        return Err(operation_error("the data is shorter than its tag"));
    };
    let wrong = || operation_error("the tag is not that of this data");
    if iv.len() == NONCE && tag_bytes == TAG {
        let mut data = data.to_vec();
        gcm_key(key)?.open_in_place(nonce(iv)?, Aad::from(aad), &mut data).map_err(|_| wrong())?;
        data.truncate(length);
        return Ok(data);
    }
    // The libraries check whole tags only. To encrypt a second time is to decrypt, and to encrypt
    // what came of it gives the tag that this data has to have.
    let (sealed, tag) = data.split_at(length);
    let mut plain = sealed.to_vec();
    seal(key, iv, aad, &mut plain)?;
    let mut again = plain.clone();
    let expected = seal(key, iv, aad, &mut again)?;
    constant_time::verify_slices_are_equal(&expected[..tag_bytes], tag).map_err(|_| wrong())?;
    Ok(plain)
}

/// GCM with a nonce of another length than 12 bytes. The length is part of the type, so those that
/// are in use are listed.
fn seal_with<A>(key: &[u8], iv: &[u8], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG], Refusal>
where
    A: BlockCipherEncrypt + BlockSizeUser<BlockSize = size::U16> + KeyInit,
{
    macro_rules! by_length {
        ($($length:literal: $size:ident),* $(,)?) => {
            match iv.len() {
                $($length => {
                    let cipher = AesGcm::<A, size::$size>::new_from_slice(key).map_err(|_| failed())?;
                    let nonce = Nonce::<size::$size>::try_from(iv).map_err(|_| failed())?;
                    let tag = cipher.encrypt_inout_detached(&nonce, aad, data.into()).map_err(|_| failed())?;
                    Ok(tag.into())
                })*
                _ => Err(operation_error("the initialisation vector must have 1 to 16, 20, 24, 28, 32 or 64 bytes")),
            }
        };
    }
    by_length!(
        1: U1, 2: U2, 3: U3, 4: U4, 5: U5, 6: U6, 7: U7, 8: U8, 9: U9, 10: U10, 11: U11, 13: U13, 14: U14, 15: U15,
        16: U16, 20: U20, 24: U24, 28: U28, 32: U32, 64: U64,
    )
}

fn wrap(key: &[u8], data: &[u8]) -> Result<Vec<u8>, Refusal> {
    if data.len() < 16 || !data.len().is_multiple_of(8) {
        return Err(operation_error("AES-KW wraps 16 bytes or more, in multiples of 8"));
    }
    let mut wrapped = vec![0; data.len() + 8];
    let done = match key.len() {
        16 => KwAes128::new_from_slice(key).is_ok_and(|kw| kw.wrap_key(data, &mut wrapped).is_ok()),
        24 => KwAes192::new_from_slice(key).is_ok_and(|kw| kw.wrap_key(data, &mut wrapped).is_ok()),
        32 => KwAes256::new_from_slice(key).is_ok_and(|kw| kw.wrap_key(data, &mut wrapped).is_ok()),
        _ => false,
    };
    if done { Ok(wrapped) } else { Err(failed()) }
}

fn unwrap(key: &[u8], data: &[u8]) -> Result<Vec<u8>, Refusal> {
    if data.len() < 24 || !data.len().is_multiple_of(8) {
        return Err(operation_error("what AES-KW wrapped has 24 bytes or more, in multiples of 8"));
    }
    let mut key_data = vec![0; data.len() - 8];
    let done = match key.len() {
        16 => KwAes128::new_from_slice(key).is_ok_and(|kw| kw.unwrap_key(data, &mut key_data).is_ok()),
        24 => KwAes192::new_from_slice(key).is_ok_and(|kw| kw.unwrap_key(data, &mut key_data).is_ok()),
        32 => KwAes256::new_from_slice(key).is_ok_and(|kw| kw.unwrap_key(data, &mut key_data).is_ok()),
        _ => false,
    };
    if done { Ok(key_data) } else { Err(operation_error("this was not wrapped with this key")) }
}
