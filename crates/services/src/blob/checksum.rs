//! Digests of content: the MD5 that makes ETags, and the checksums that clients of S3 send.

use std::sync::{Arc, OnceLock};

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc, Table};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::Sha256;

use super::BlobError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// As S3 spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The polynomial with its bits turned round, if it is a CRC: those of parts make that of the
    /// whole.
    fn polynomial(self) -> Option<u64> {
        match self {
            Self::Crc32 => Some(u64::from(CRC_32_ISO_HDLC.poly.reverse_bits())),
            Self::Crc32c => Some(u64::from(CRC_32_ISCSI.poly.reverse_bits())),
            Self::Crc64Nvme => Some(CRC_64_NVME.poly.reverse_bits()),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    pub fn of(self, bytes: &[u8]) -> Checksum {
        let mut running = Hasher::new(self);
        running.update(bytes);
        running.finish()
    }

    /// The checksum of a whole from those of its parts, in order, each with its length.
    pub fn combine(self, parts: impl IntoIterator<Item = (Checksum, u64)>) -> Option<Checksum> {
        let polynomial = self.polynomial()?;
        let bits = 8 * self.bytes() as u32;
        let whole = parts.into_iter().fold(None, |whole, (part, length)| {
            let part = number(&part.value);
            Some(match whole {
                None => part,
                Some(before) => behind(polynomial, bits, before, length) ^ part,
            })
        });
        Some(Checksum { algorithm: self, value: self.value(whole.unwrap_or_default()), parts: None })
    }

    /// The checksum of the parts' checksums, which S3 calls composite.
    pub fn composite(self, parts: &[Checksum]) -> Checksum {
        let together: Vec<u8> = parts.iter().flat_map(|part| part.value.iter().copied()).collect();
        Checksum { parts: Some(parts.len() as u32), ..self.of(&together) }
    }

    fn value(self, crc: u64) -> Vec<u8> {
        crc.to_be_bytes()[8 - self.bytes()..].to_vec()
    }
}

/// What a CRC comes to when so many zero bytes follow. In the field of the CRC that is to multiply
/// it with x^(8·length), whose powers of two are found by squaring; all three CRCs turn their bits
/// round and have initial and final values of ones, which cancel each other out.
fn behind(polynomial: u64, bits: u32, crc: u64, length: u64) -> u64 {
    let multiply = |mut a: u64, mut b: u64| {
        let mut product = 0;
        let top = 1 << (bits - 1);
        while a != 0 {
            if a & top != 0 {
                product ^= b;
            }
            a = (a << 1) & (top | (top - 1));
            b = if b & 1 == 1 { (b >> 1) ^ polynomial } else { b >> 1 };
        }
        product
    };
    // x^8; the highest bit is x^0.
    let mut power = 1 << (bits - 1 - 8);
    let (mut left, mut crc) = (length, crc);
    while left > 0 {
        if left & 1 == 1 {
            crc = multiply(power, crc);
        }
        power = multiply(power, power);
        left >>= 1;
    }
    crc
}

static CRC32: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
static CRC32C: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);
static CRC64_NVME: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_NVME);

fn number(value: &[u8]) -> u64 {
    value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    pub algorithm: Algorithm,
    pub value: Vec<u8>,
    /// It is that of so many parts' checksums, not of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
}

/// A checksum that comes behind the content: set by whoever sends the body, before its end.
pub type Trailer = Arc<OnceLock<Checksum>>;

/// What content must come to.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub size: Option<u64>,
    pub md5: Option<[u8; 16]>,
    /// Apart from the checksum: a signature may be over it.
    pub sha256: Option<[u8; 32]>,
    pub checksum: Option<Checksum>,
    /// Which checksum to keep, if none is expected. CRC64NVME if none is named.
    pub algorithm: Option<Algorithm>,
    pub trailer: Option<Trailer>,
}

impl Expected {
    fn algorithm(&self) -> Algorithm {
        let sent = self.checksum.as_ref().map(|checksum| checksum.algorithm);
        sent.or(self.algorithm).unwrap_or(Algorithm::Crc64Nvme)
    }
}

/// What content came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    pub size: u64,
    pub md5: [u8; 16],
    pub checksum: Checksum,
}

impl Digests {
    pub fn etag(&self) -> String {
        hex(&self.md5)
    }
}

/// The ETag of a blob in parts.
pub(super) fn etag_of_parts<'a>(md5s: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = md5s.len();
    let mut whole = Md5::new();
    for etag in md5s {
        whole.update(unhex(etag));
    }
    format!("{}-{count}", hex(&whole.finalize()))
}

/// Digests of content while it passes.
pub struct Running {
    size: u64,
    md5: Md5,
    checksum: Hasher,
    sha256: Option<Sha256>,
    expected: Expected,
}

impl Running {
    pub fn new(expected: Expected) -> Self {
        Self {
            size: 0,
            md5: Md5::new(),
            checksum: Hasher::new(expected.algorithm()),
            sha256: expected.sha256.map(|_| Sha256::new()),
            expected,
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.md5.update(bytes);
        self.checksum.update(bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    /// The digests, if they are those expected.
    pub fn finish(self) -> Result<Digests, BlobError> {
        let Self { size, md5, checksum, sha256, expected } = self;
        if let Some(wanted) = expected.size.filter(|&wanted| wanted != size) {
            return Err(BlobError::BadLength { expected: wanted, found: size });
        }
        let digests = Digests { size, md5: md5.finalize().into(), checksum: checksum.finish() };
        let sha256: Option<[u8; 32]> = sha256.map(|running| running.finalize().into());
        let later = expected.trailer.as_ref().map(|trailer| trailer.get());
        let differs = |wanted: &Checksum| {
            wanted.algorithm != digests.checksum.algorithm || wanted.value != digests.checksum.value
        };
        if expected.md5.is_some_and(|wanted| wanted != digests.md5) {
            Err(BlobError::BadDigest { what: "MD5" })
        } else if expected.sha256 != sha256 {
            Err(BlobError::BadDigest { what: "SHA-256" })
        } else if expected.checksum.as_ref().is_some_and(differs) || later.is_some_and(|l| l.is_none_or(differs)) {
            Err(BlobError::BadDigest { what: digests.checksum.algorithm.as_str() })
        } else {
            Ok(digests)
        }
    }
}

// A digest is made once for a body, and the sizes differ by what the crates keep in them.
#[allow(clippy::large_enum_variant)]
enum Hasher {
    Crc32(Algorithm, crc::Digest<'static, u32, Table<16>>),
    Crc64(crc::Digest<'static, u64, Table<16>>),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(algorithm, CRC32.digest()),
            Algorithm::Crc32c => Self::Crc32(algorithm, CRC32C.digest()),
            Algorithm::Crc64Nvme => Self::Crc64(CRC64_NVME.digest()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(_, digest) => digest.update(bytes),
            Self::Crc64(digest) => digest.update(bytes),
            Self::Sha1(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
        }
    }

    fn finish(self) -> Checksum {
        let (algorithm, value) = match self {
            Self::Crc32(algorithm, digest) => (algorithm, algorithm.value(u64::from(digest.finalize()))),
            Self::Crc64(digest) => (Algorithm::Crc64Nvme, Algorithm::Crc64Nvme.value(digest.finalize())),
            Self::Sha1(digest) => (Algorithm::Sha1, digest.finalize().to_vec()),
            Self::Sha256(digest) => (Algorithm::Sha256, digest.finalize().to_vec()),
        };
        Checksum { algorithm, value, parts: None }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
