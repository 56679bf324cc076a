//! zlib and brotli in one piece.

use std::io::{Read, Write};

use base::{WorkerLimits, code};
use brotli::enc::BrotliEncoderParams;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

pub use super::kdf::Bound;
use crate::script::codec::{Decoder, Encoder};
use crate::script::host::Refusal;

const WINDOW_BITS: u8 = 15;
/// How much output is made room for at a time.
const STEP_BYTES: usize = 64 << 10;

/// ZIP(format, compress, level, window bits, output bytes at most, partial, data) → bytes
///
/// `format` is `gzip`, `deflate`, `deflate-raw` or `brotli`; `partial` accepts data that ends before
/// its end, and answers what there is.
pub fn whole(args: &mut Decoder<'_>, limits: &WorkerLimits, bound: Bound, out: &mut Encoder) -> Result<(), Refusal> {
    let (format, compress) = (args.next()?, args.next()?.as_bool()?);
    let (level, window) = (args.next()?.as_f64()?, args.next()?.as_u32()?);
    let (wanted, partial, data) = (args.next()?.as_f64()?, args.next()?.as_bool()?, args.next()?);
    let data = data.as_content()?;
    let most = match bound {
        Bound::Sync => {
            check_sync(data.len(), limits)?;
            limits.node_sync_bytes
        }
        Bound::Pool => limits.zlib_bytes,
    };
    let room = Room { wanted: wanted.clamp(0.0, 9e15) as u64, most, bound };
    let made = match (format.as_str()?, compress) {
        ("brotli", true) => brotli_encode(data, level, window),
        ("brotli", false) => brotli_decode(data, partial, &room)?,
        (format, true) => deflate(data, format, level)?,
        (format, false) => inflate(data, format, partial, &room)?,
    };
    room.check(made.len())?;
    out.bytes(&made);
    Ok(())
}

/// Refuses data that would keep the core for too long.
pub fn check_sync(length: usize, limits: &WorkerLimits) -> Result<(), Refusal> {
    if length as u64 > limits.node_sync_bytes {
        let message = format!(
            "{length} bytes at once; {} are allowed (limits.node_sync_bytes); use the asynchronous function or a stream",
            limits.node_sync_bytes
        );
        return Err(Refusal { name: "RangeError", message: message.into(), code: code::NODE_SYNC_EXCEEDED.name });
    }
    Ok(())
}

/// How much may come out.
struct Room {
    /// What the script itself allows.
    wanted: u64,
    most: u64,
    bound: Bound,
}

impl Room {
    fn check(&self, length: usize) -> Result<(), Refusal> {
        if length as u64 > self.wanted {
            let message = format!("Cannot create a Buffer larger than {} bytes", self.wanted);
            return Err(Refusal { name: "RangeError", message: message.into(), code: "ERR_BUFFER_TOO_LARGE" });
        }
        if length as u64 > self.most {
            let limit = match self.bound {
                Bound::Sync => "node_sync_bytes",
                Bound::Pool => "zlib_bytes",
            };
            let message = format!("the output is larger than {} bytes (limits.{limit})", self.most);
            return Err(Refusal { name: "RangeError", message: message.into(), code: code::NODE_SYNC_EXCEEDED.name });
        }
        Ok(())
    }
}

fn deflate(data: &[u8], format: &str, level: f64) -> Result<Vec<u8>, Refusal> {
    let level = if level < 0.0 { Compression::default() } else { Compression::new(level.min(9.0) as u32) };
    let mut codec = match format {
        "gzip" => Compress::new_gzip(level, WINDOW_BITS),
        "deflate" => Compress::new(level, true),
        _ => Compress::new(level, false),
    };
    let mut made = Vec::with_capacity(data.len() / 2 + 64);
    loop {
        made.reserve(STEP_BYTES.min(data.len() + 64));
        let rest = &data[codec.total_in() as usize..];
        match codec.compress_vec(rest, &mut made, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => return Ok(made),
            Ok(_) => {}
            Err(_) => return Err(bad_data("Z_BUF_ERROR", "the data can't be compressed")),
        }
    }
}

/// gzip may hold several members; what follows them is passed over, as Node does.
fn inflate(data: &[u8], format: &str, partial: bool, room: &Room) -> Result<Vec<u8>, Refusal> {
    let mut made = Vec::new();
    let mut at = 0;
    loop {
        let mut codec = match format {
            "gzip" => Decompress::new_gzip(WINDOW_BITS),
            "deflate" => Decompress::new(true),
            _ => Decompress::new(false),
        };
        check_header(&data[at..], format, at > 0)?;
        loop {
            made.reserve(STEP_BYTES);
            let (read, before) = (codec.total_in(), made.len());
            let rest = &data[at + read as usize..];
            let status = codec.decompress_vec(rest, &mut made, FlushDecompress::Finish);
            room.check(made.len())?;
            match status {
                Ok(Status::StreamEnd) => break,
                Ok(_) if codec.total_in() > read || made.len() > before => {}
                Ok(_) if partial => return Ok(made),
                Ok(_) => return Err(bad_data("Z_BUF_ERROR", "unexpected end of file")),
                Err(_) => return Err(bad_data("Z_DATA_ERROR", "invalid stored block lengths, code or distance")),
            }
        }
        at += codec.total_in() as usize;
        if format != "gzip" || !data[at..].starts_with(&[0x1f, 0x8b]) {
            return Ok(made);
        }
    }
}

fn check_header(data: &[u8], format: &str, later: bool) -> Result<(), Refusal> {
    let wrong = match (format, data) {
        ("gzip", [0x1f, 0x8b, ..] | [] | [0x1f]) => false,
        ("gzip", _) => !later,
        ("deflate", [first, second, ..]) => {
            first & 0x0f != 8 || !(u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31)
        }
        _ => false,
    };
    if wrong { Err(bad_data("Z_DATA_ERROR", "incorrect header check")) } else { Ok(()) }
}

fn brotli_encode(data: &[u8], quality: f64, window: u32) -> Vec<u8> {
    let params = BrotliEncoderParams {
        quality: if quality < 0.0 { 11 } else { quality.min(11.0) as i32 },
        lgwin: window.clamp(10, 24) as i32,
        size_hint: data.len(),
        ..BrotliEncoderParams::default()
    };
    let mut made = Vec::new();
    let mut encoder = brotli::CompressorWriter::with_params(&mut made, 4096, &params);
    // Writing to memory does not fail.
    let _ = encoder.write_all(data);
    drop(encoder);
    made
}

fn brotli_decode(data: &[u8], partial: bool, room: &Room) -> Result<Vec<u8>, Refusal> {
    let mut decoder = brotli::Decompressor::new(data, 4096);
    let mut made = Vec::new();
    let mut piece = vec![0; STEP_BYTES];
    loop {
        match decoder.read(&mut piece) {
            Ok(0) => return Ok(made),
            Ok(count) => made.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && partial => return Ok(made),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(bad_data("Z_BUF_ERROR", "unexpected end of file"));
            }
            Err(_) => return Err(bad_data("ERR__ERROR_FORMAT_PADDING_1", "Decompression failed")),
        }
        room.check(made.len())?;
    }
}

fn bad_data(code: &'static str, message: &'static str) -> Refusal {
    Refusal { name: "Error", message: message.into(), code }
}

#[cfg(test)]
mod tests;
