//! A chunked body (RFC 9112, section 7.1) as it comes from a server: data out, framing gone. A pure
//! function of the bytes so far.

use bytes::{Buf as _, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

/// The line with a chunk's size, and its extensions.
const LINE_BYTES_MAX: usize = 4 << 10;
/// All trailers.
const TRAILER_BYTES_MAX: usize = 16 << 10;
const TRAILERS_MAX: usize = 64;

/// Where in the body the next byte stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the line with a size.
    #[default]
    Size,
    Data(u64),
    /// Behind the data of a chunk.
    After,
    Trailers,
    End,
}

type Next = Result<Option<Frame<bytes::Bytes>>, &'static str>;

impl Chunks {
    pub fn is_end(&self) -> bool {
        *self == Self::End
    }

    /// The next frame of what is there; `None` if more is needed, or nothing more comes.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Next {
        loop {
            match self {
                Self::Size => {
                    let Some(size) = size_line(buffer)? else { return Ok(None) };
                    *self = if size == 0 { Self::Trailers } else { Self::Data(size) };
                }
                Self::Data(left) => {
                    let n = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    if n == 0 {
                        return Ok(None);
                    }
                    *left -= n as u64;
                    if *left == 0 {
                        *self = Self::After;
                    }
                    return Ok(Some(Frame::data(buffer.split_to(n).freeze())));
                }
                Self::After => {
                    if buffer.len() < 2 {
                        return Ok(None);
                    }
                    if !buffer.starts_with(b"\r\n") {
                        return Err("a chunk is longer than its size");
                    }
                    buffer.advance(2);
                    *self = Self::Size;
                }
                Self::Trailers => {
                    let Some(trailers) = trailers(buffer)? else { return Ok(None) };
                    *self = Self::End;
                    return Ok((!trailers.is_empty()).then(|| Frame::trailers(trailers)));
                }
                Self::End => return Ok(None),
            }
        }
    }
}

fn size_line(buffer: &mut BytesMut) -> Result<Option<u64>, &'static str> {
    let Some(end) = memchr::memchr(b'\n', buffer) else {
        return if buffer.len() > LINE_BYTES_MAX { Err("the size of a chunk does not end") } else { Ok(None) };
    };
    let line = buffer.split_to(end + 1);
    let line = line.strip_suffix(b"\r\n").ok_or("the size of a chunk ends in LF without CR")?;
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    let is_hex = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| is_hex);
    text.and_then(|text| u64::from_str_radix(text, 16).ok()).map(Some).ok_or("the size of a chunk is no number")
}

fn trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; TRAILERS_MAX];
    let mut trailers = HeaderMap::new();
    let (read, parsed) = match httparse::parse_headers(buffer, &mut fields) {
        Ok(httparse::Status::Complete(found)) => found,
        Ok(httparse::Status::Partial) if buffer.len() > TRAILER_BYTES_MAX => return Err("the trailers do not end"),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err("the trailers can't be read"),
    };
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "a trailer can't be read")?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| "a trailer can't be read")?;
        trailers.append(name, value);
    }
    buffer.advance(read);
    Ok(Some(trailers))
}
