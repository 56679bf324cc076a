//! AES in one piece, for `createCipheriv`: the prelude keeps what `update` is given until `final`.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use base::WorkerLimits;

use super::zip;
use crate::script::codec::{Decoder, Encoder};
use crate::script::host::Refusal;

const TAG_BYTES: usize = 16;

/// CIPHER(mode, encrypt, key, iv, aad, tag or null, data) → bytes; for GCM with the tag behind them.
///
/// `mode` is `gcm`, `cbc` (with PKCS#7 padding) or `ctr`; the length of the key says which AES.
pub fn whole(args: &mut Decoder<'_>, limits: &WorkerLimits, out: &mut Encoder) -> Result<(), Refusal> {
    let (mode, encrypt) = (args.next()?, args.next()?.as_bool()?);
    let (key, iv, aad, tag, data) = (args.next()?, args.next()?, args.next()?, args.next()?, args.next()?);
    let (key, iv, mut data) = (key.as_content()?, iv.as_content()?, data.as_content()?.to_vec());
    zip::check_sync(data.len(), limits)?;
    match mode.as_str()? {
        "gcm" => {
            let key = LessSafeKey::new(unbound(key)?);
            let nonce = Nonce::try_assume_unique_for_key(iv).map_err(|_| bad_iv())?;
            let aad = Aad::from(aad.as_content()?);
            if encrypt {
                let tag = key.seal_in_place_separate_tag(nonce, aad, &mut data).map_err(|_| failed())?;
                data.extend_from_slice(tag.as_ref());
            } else {
                data.extend_from_slice(tag.as_content()?);
                key.open_in_place(nonce, aad, &mut data).map_err(|_| unauthentic())?;
                data.truncate(data.len() - TAG_BYTES);
            }
        }
        "cbc" => cbc(key, iv, encrypt, &mut data)?,
        _ => ctr(key, iv, encrypt, &mut data)?,
    }
    out.bytes(&data);
    Ok(())
}

fn cbc(key: &[u8], iv: &[u8], encrypt: bool, data: &mut Vec<u8>) -> Result<(), Refusal> {
    let iv = FixedLength::from(<[u8; 16]>::try_from(iv).map_err(|_| bad_iv())?);
    if encrypt {
        let key = PaddedBlockEncryptingKey::cbc_pkcs7(cipher_key(key)?).map_err(|_| failed())?;
        key.less_safe_encrypt(data, EncryptionContext::Iv128(iv)).map_err(|_| failed())?;
    } else {
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(cipher_key(key)?).map_err(|_| failed())?;
        let length = key.decrypt(data, DecryptionContext::Iv128(iv)).map_err(|_| bad_decrypt())?.len();
        data.truncate(length);
    }
    Ok(())
}

fn ctr(key: &[u8], iv: &[u8], encrypt: bool, data: &mut [u8]) -> Result<(), Refusal> {
    let iv = FixedLength::from(<[u8; 16]>::try_from(iv).map_err(|_| bad_iv())?);
    if encrypt {
        let key = EncryptingKey::ctr(cipher_key(key)?).map_err(|_| failed())?;
        key.less_safe_encrypt(data, EncryptionContext::Iv128(iv)).map_err(|_| failed())?;
    } else {
        let key = DecryptingKey::ctr(cipher_key(key)?).map_err(|_| failed())?;
        key.decrypt(data, DecryptionContext::Iv128(iv)).map_err(|_| failed())?;
    }
    Ok(())
}

fn cipher_key(key: &[u8]) -> Result<UnboundCipherKey, Refusal> {
    let algorithm: &'static Algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        32 => &AES_256,
        _ => return Err(bad_key()),
    };
    UnboundCipherKey::new(algorithm, key).map_err(|_| bad_key())
}

fn unbound(key: &[u8]) -> Result<UnboundKey, Refusal> {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        32 => &AES_256_GCM,
        _ => return Err(bad_key()),
    };
    UnboundKey::new(algorithm, key).map_err(|_| bad_key())
}

fn refusal(message: &'static str, code: &'static str) -> Refusal {
    Refusal { name: "Error", message: message.into(), code }
}

fn bad_key() -> Refusal {
    refusal("Invalid key length", "ERR_CRYPTO_INVALID_KEYLEN")
}

fn bad_iv() -> Refusal {
    refusal("Invalid initialization vector", "ERR_CRYPTO_INVALID_IV")
}

fn bad_decrypt() -> Refusal {
    refusal("bad decrypt", "ERR_OSSL_BAD_DECRYPT")
}

fn unauthentic() -> Refusal {
    refusal("Unsupported state or unable to authenticate data", "")
}

fn failed() -> Refusal {
    refusal("the cipher failed", "")
}
