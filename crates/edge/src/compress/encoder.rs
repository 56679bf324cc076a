//! The encoders, by one face: bytes go in, what they come to is taken out.
//!
//! Levels are those that a server can afford for every answer. The windows are small: what an encoder holds
//! is held for each client that reads slowly.

use std::io::{self, Write as _};

use brotli::CompressorWriter;
use bytes::Bytes;
use cache::Coding;
use flate2::write::GzEncoder;
use zstd::stream::raw::CParameter;

const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW: u32 = 18;
const BROTLI_BUFFER_BYTES: usize = 4 << 10;
const ZSTD_LEVEL: i32 = 3;
const ZSTD_WINDOW: u32 = 18;
const GZIP_LEVEL: u32 = 5;

pub(super) enum Encoder {
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    pub fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Brotli => {
                let writer = CompressorWriter::new(Vec::new(), BROTLI_BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW);
                Self::Brotli(Box::new(writer))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW))?;
                Self::Zstd(encoder)
            }
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Brotli(writer) => writer.write_all(bytes),
            Self::Zstd(writer) => writer.write_all(bytes),
            Self::Gzip(writer) => writer.write_all(bytes),
        }
    }

    /// All that was written can be read by who gets what is taken next.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Brotli(writer) => writer.flush(),
            Self::Zstd(writer) => writer.flush(),
            Self::Gzip(writer) => writer.flush(),
        }
    }

    /// What there is so far.
    pub fn take(&mut self) -> Bytes {
        let made = match self {
            Self::Brotli(writer) => writer.get_mut(),
            Self::Zstd(writer) => writer.get_mut(),
            Self::Gzip(writer) => writer.get_mut(),
        };
        std::mem::take(made).into()
    }

    pub fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Brotli(writer) => writer.into_inner(),
            Self::Zstd(writer) => writer.finish()?,
            Self::Gzip(writer) => writer.finish()?,
        }
        .into())
    }
}

pub(super) fn whole(body: &[u8], coding: Coding) -> io::Result<Bytes> {
    let mut encoder = Encoder::new(coding)?;
    encoder.write(body)?;
    encoder.finish()
}
