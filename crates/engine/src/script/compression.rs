//! Compression for `CompressionStream` and `DecompressionStream`: codecs that work one step at a
//! time.
//!
//! A step is bounded on both sides, in what it compresses and in what it produces, so that a small
//! input which unfolds into gigabytes costs its guest one bounded call after another, each of which
//! the guest's clock sees. No format here is ours: RFC 1950, 1951, 1952 and 7932.

use std::io::Write as _;

use brotli::enc::BrotliEncoderParams;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, CompressorWriter, HeapAlloc, HuffmanCode};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The most that one step produces, but for brotli's encoder, whose output its input bounds.
pub const OUTPUT_MAX: usize = 64 << 10;

/// The most that one step compresses: a fraction of a millisecond.
const INPUT_MAX: usize = 16 << 10;

/// Quality and window of brotli's encoder: near gzip's speed at a better ratio, and bounded memory.
const BROTLI_QUALITY: i32 = 4;
const BROTLI_WINDOW_BITS: i32 = 18;
/// Beyond it the encoder takes far more time and memory for little.
const BROTLI_QUALITY_MAX: i32 = 9;

/// What is wrong with the data, in words for the exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("the compressed data is not valid")]
    Invalid,
    #[error("the compressed data ends too early")]
    Truncated,
    #[error("there is more data after the end of the compressed data")]
    Trailing,
}

type BrotliDecoder = BrotliState<HeapAlloc<u8>, HeapAlloc<u32>, HeapAlloc<HuffmanCode>>;

enum Work {
    Deflate(Compress),
    Inflate(Decompress),
    BrotliEncode(Option<Box<CompressorWriter<Vec<u8>>>>),
    BrotliDecode { state: Box<BrotliDecoder>, began: bool },
}

/// What remains after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another step goes on with what was fed already.
    More,
    /// The next step wants more input.
    Input,
    /// Nothing follows.
    Ended,
}

/// How `node:zlib` differs from the streams of the web.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// From 0 to 9, or the quality of brotli; the default of each if it is negative.
    pub level: i32,
}

/// One compressor or decompressor.
pub struct Codec {
    work: Work,
    /// What follows the end of a gzip member is another, if it looks like one; else it is passed over.
    follows: Option<Follows>,
    /// Input that no step has taken yet, from `at` on.
    fed: Vec<u8>,
    at: usize,
    ended: bool,
}

/// What may follow compressed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Members,
    Nothing,
}

const WINDOW_BITS: u8 = 15;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

impl Codec {
    /// `None` for a format that does not exist.
    pub fn open(format: &str, compress: bool, node: Option<Node>) -> Option<Self> {
        let asked = node.map(|node| node.level).filter(|level| *level >= 0);
        let level = asked.map_or_else(Compression::default, |level| Compression::new(level.min(9) as u32));
        let work = match (format, compress) {
            ("gzip", true) => Work::Deflate(Compress::new_gzip(level, WINDOW_BITS)),
            ("deflate", true) => Work::Deflate(Compress::new(level, true)),
            ("deflate-raw", true) => Work::Deflate(Compress::new(level, false)),
            ("brotli", true) => Work::BrotliEncode(Some(brotli_encoder(asked))),
            ("gzip", false) => Work::Inflate(Decompress::new_gzip(WINDOW_BITS)),
            ("deflate", false) => Work::Inflate(Decompress::new(true)),
            ("deflate-raw", false) => Work::Inflate(Decompress::new(false)),
            ("brotli", false) => Work::BrotliDecode { state: brotli_decoder(), began: false },
            _ => return None,
        };
        let follows = node.map(|_| if format == "gzip" { Follows::Members } else { Follows::Nothing });
        Some(Self { work, follows, fed: Vec::new(), at: 0, ended: false })
    }

    /// Whether it works for `node:zlib`.
    pub fn is_node(&self) -> bool {
        self.follows.is_some()
    }

    /// The memory that it may hold, in bytes: an upper bound, as far as it is known.
    pub fn weight(&self) -> usize {
        let state = match &self.work {
            Work::Deflate(_) => 320 << 10,
            Work::Inflate(_) => 48 << 10,
            Work::BrotliEncode(_) => 3 << 20,
            // The window is known once the first byte was read.
            Work::BrotliDecode { state, began: true } => (128 << 10) + (1usize << state.window_bits.min(24)),
            Work::BrotliDecode { .. } => 128 << 10,
        };
        state + self.fed.capacity()
    }

    /// Takes input for the steps to come.
    pub fn feed(&mut self, data: &[u8]) {
        if self.at == self.fed.len() {
            self.fed.clear();
            self.at = 0;
        }
        self.fed.extend_from_slice(data);
    }

    /// Goes on with what was fed; `finish` says that nothing follows it. Appends to `out`, which
    /// holds nothing yet.
    pub fn step(&mut self, finish: bool, out: &mut Vec<u8>) -> Result<Next, CodecError> {
        out.reserve(OUTPUT_MAX);
        match &mut self.work {
            Work::Deflate(_) => self.deflate(finish, out),
            Work::BrotliEncode(_) => self.brotli_encode(finish, out),
            Work::Inflate(_) | Work::BrotliDecode { .. } => self.decode(finish, out),
        }
    }

    /// Gives out all that was fed so far, so that a reader can decode it. The codec goes on.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Result<Next, CodecError> {
        out.reserve(OUTPUT_MAX);
        match &mut self.work {
            Work::Deflate(codec) => {
                codec.compress_vec(&[], out, FlushCompress::Sync).map_err(|_| CodecError::Invalid)?;
                Ok(if out.len() == out.capacity() { Next::More } else { Next::Input })
            }
            Work::BrotliEncode(Some(encoder)) => {
                encoder.flush().map_err(|_| CodecError::Invalid)?;
                out.append(encoder.get_mut());
                Ok(Next::Input)
            }
            Work::BrotliEncode(None) | Work::Inflate(_) | Work::BrotliDecode { .. } => Ok(Next::Input),
        }
    }

    fn deflate(&mut self, finish: bool, out: &mut Vec<u8>) -> Result<Next, CodecError> {
        let Work::Deflate(codec) = &mut self.work else { return Err(CodecError::Invalid) };
        let end = self.fed.len().min(self.at + INPUT_MAX);
        let last = end == self.fed.len();
        let flush = if finish && last { FlushCompress::Finish } else { FlushCompress::None };
        let before = codec.total_in();
        let status = codec.compress_vec(&self.fed[self.at..end], out, flush).map_err(|_| CodecError::Invalid)?;
        self.at += (codec.total_in() - before) as usize;
        if status == Status::StreamEnd {
            return Ok(Next::Ended);
        }
        let full = out.len() == out.capacity();
        Ok(if finish || full || self.at < self.fed.len() { Next::More } else { Next::Input })
    }

    fn brotli_encode(&mut self, finish: bool, out: &mut Vec<u8>) -> Result<Next, CodecError> {
        let Work::BrotliEncode(writer) = &mut self.work else { return Err(CodecError::Invalid) };
        let Some(encoder) = writer else { return Ok(Next::Ended) };
        let end = self.fed.len().min(self.at + INPUT_MAX);
        encoder.write_all(&self.fed[self.at..end]).map_err(|_| CodecError::Invalid)?;
        self.at = end;
        if end < self.fed.len() {
            out.append(encoder.get_mut());
            return Ok(Next::More);
        }
        if !finish {
            out.append(encoder.get_mut());
            return Ok(Next::Input);
        }
        if let Some(encoder) = writer.take() {
            out.append(&mut encoder.into_inner());
        }
        Ok(Next::Ended)
    }

    fn decode(&mut self, finish: bool, out: &mut Vec<u8>) -> Result<Next, CodecError> {
        let full = !self.ended && self.unfold(out)?;
        if self.ended && self.follows.is_some() && self.goes_on(finish) {
            return Ok(Next::More);
        }
        let rest = self.at < self.fed.len() && self.follows.is_none();
        match (self.ended, rest) {
            // What was decoded so far is handed over before the error.
            (true, true) if out.is_empty() => Err(CodecError::Trailing),
            (true, true) => Ok(Next::More),
            (true, false) => Ok(if finish { Next::Ended } else { Next::Input }),
            (false, _) if full || rest => Ok(Next::More),
            (false, _) if finish && !out.is_empty() => Ok(Next::More),
            (false, _) if finish => Err(CodecError::Truncated),
            (false, _) => Ok(Next::Input),
        }
    }

    /// Behind the end: begins with another member, or passes over what is left.
    fn goes_on(&mut self, finish: bool) -> bool {
        let rest = &self.fed[self.at..];
        let may_be = self.follows == Some(Follows::Members) && GZIP_MAGIC.starts_with(&rest[..rest.len().min(2)]);
        if may_be && rest.len() >= 2 {
            self.work = Work::Inflate(Decompress::new_gzip(WINDOW_BITS));
            self.ended = false;
            return true;
        }
        if !may_be {
            // Whatever comes later is no member either.
            self.follows = Some(Follows::Nothing);
        }
        if !may_be || finish {
            self.at = self.fed.len();
        }
        false
    }

    /// One piece of output, or all that the input gives. True if the room for output ran out.
    fn unfold(&mut self, out: &mut Vec<u8>) -> Result<bool, CodecError> {
        let input = &self.fed[self.at..];
        let (taken, ended, full) = match &mut self.work {
            Work::Inflate(codec) => {
                let before = codec.total_in();
                let status =
                    codec.decompress_vec(input, out, FlushDecompress::None).map_err(|_| CodecError::Invalid)?;
                let full = out.len() == out.capacity();
                ((codec.total_in() - before) as usize, status == Status::StreamEnd, full)
            }
            Work::BrotliDecode { state, began } => {
                // The first byte, which tells the window, is read alone: memory for the window is
                // asked for only once its weight is known.
                let limit = if *began { input.len() } else { input.len().min(1) };
                *began |= limit > 0;
                let (mut left, mut taken) = (limit, 0);
                let (mut room, mut written, mut total) = (OUTPUT_MAX, 0, 0);
                out.resize(OUTPUT_MAX, 0);
                let result = BrotliDecompressStream(
                    &mut left,
                    &mut taken,
                    &input[..limit],
                    &mut room,
                    &mut written,
                    out,
                    &mut total,
                    state,
                );
                out.truncate(written);
                if matches!(result, BrotliResult::ResultFailure) {
                    return Err(CodecError::Invalid);
                }
                let full = matches!(result, BrotliResult::NeedsMoreOutput);
                (taken, matches!(result, BrotliResult::ResultSuccess), full)
            }
            Work::Deflate(_) | Work::BrotliEncode(_) => return Err(CodecError::Invalid),
        };
        self.at += taken;
        self.ended = ended;
        let stuck = taken == 0 && out.is_empty() && !ended && !full && self.at < self.fed.len();
        if stuck { Err(CodecError::Invalid) } else { Ok(full) }
    }
}

fn brotli_encoder(quality: Option<i32>) -> Box<CompressorWriter<Vec<u8>>> {
    let params = BrotliEncoderParams {
        quality: quality.map_or(BROTLI_QUALITY, |quality| quality.min(BROTLI_QUALITY_MAX)),
        lgwin: BROTLI_WINDOW_BITS,
        // A block is what the encoder works on at once; the smallest keeps a step short.
        lgblock: 16,
        ..BrotliEncoderParams::default()
    };
    Box::new(CompressorWriter::with_params(Vec::new(), INPUT_MAX, &params))
}

fn brotli_decoder() -> Box<BrotliDecoder> {
    let code = HuffmanCode { bits: 2, value: 1 };
    // Strict: a window is 16 MiB at the most, as the RFC has it.
    Box::new(BrotliState::new_strict(HeapAlloc::new(0), HeapAlloc::new(0), HeapAlloc::new(code)))
}

#[cfg(test)]
mod tests;
