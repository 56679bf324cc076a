//! The chunked transfer coding (RFC 9112, section 7.1), followed strictly enough to know where
//! the next request begins. It decodes nothing.

/// Bytes of one line: a chunk size with its extensions, or a trailer field.
const LINE_BYTES_MAX: usize = 4096;
/// Bytes of all extensions and trailers of a body.
const EXTENSION_BYTES_MAX: usize = 16 << 10;

/// Where in a chunked body the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunked {
    state: State,
    /// Size of the chunk being read, then what is left of it.
    size: u64,
    digits: u8,
    line: usize,
    extensions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    Trailer,
    TrailerLine,
    TrailerLf,
    EndLf,
    End,
}

/// The body breaks the coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunked body is malformed: {0}")]
pub struct Malformed(pub &'static str);

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::Size, size: 0, digits: 0, line: 0, extensions: 0 }
    }
}

impl Chunked {
    /// True once the empty line after the last chunk has been read.
    pub fn is_end(&self) -> bool {
        self.state == State::End
    }

    /// Reads on, up to the end of the body at most. Returns how many bytes belong to it.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::End {
            if self.state == State::Data {
                let n = (bytes.len() - at).min(usize::try_from(self.size).unwrap_or(usize::MAX));
                self.size -= n as u64;
                at += n;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        self.state = match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (State::Size, b'\r') if self.digits > 0 => State::SizeLf,
            // White space before an extension is as old as it is ambiguous; refuse it.
            (State::Size, b';') if self.digits > 0 => State::Extension,
            (State::Size, _) => return Err(Malformed("a chunk size is not a hexadecimal number")),
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\n') => return Err(Malformed("a line ends in LF without CR")),
            (State::Extension, _) => {
                self.extensions += 1;
                self.count_line()?;
                State::Extension
            }
            (State::SizeLf, b'\n') => self.begin_chunk(),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::DataCr | State::DataLf, _) => return Err(Malformed("a chunk is longer than its size")),
            (State::Trailer, b'\r') => State::EndLf,
            (State::Trailer | State::TrailerLine, b'\n') => return Err(Malformed("a line ends in LF without CR")),
            (State::Trailer, b' ' | b'\t') => return Err(Malformed("a trailer continues on a second line")),
            (State::TrailerLine, b'\r') => State::TrailerLf,
            (State::Trailer | State::TrailerLine, _) => {
                self.extensions += 1;
                self.count_line()?;
                State::TrailerLine
            }
            (State::TrailerLf, b'\n') => {
                self.line = 0;
                State::Trailer
            }
            (State::EndLf, b'\n') => State::End,
            (State::SizeLf | State::TrailerLf | State::EndLf, _) => {
                return Err(Malformed("a CR stands without LF"));
            }
            (State::Data | State::End, _) => self.state,
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<State, Malformed> {
        self.digits += 1;
        // Fifteen digits keep every sum far from overflow, and are more than any disk holds.
        if self.digits > 15 {
            return Err(Malformed("a chunk size has more than 15 digits"));
        }
        let digit = (byte as char).to_digit(16).unwrap_or(0);
        self.size = self.size << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn begin_chunk(&mut self) -> State {
        self.digits = 0;
        self.line = 0;
        if self.size == 0 { State::Trailer } else { State::Data }
    }

    fn count_line(&mut self) -> Result<(), Malformed> {
        self.line += 1;
        if self.line > LINE_BYTES_MAX {
            return Err(Malformed("a line is longer than 4096 bytes"));
        }
        if self.extensions > EXTENSION_BYTES_MAX {
            return Err(Malformed("its extensions and trailers have more than 16384 bytes"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
