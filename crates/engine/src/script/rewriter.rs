//! `HTMLRewriter`'s host side: lol_html finds what the selectors match, the guest's handlers decide,
//! and the edits are applied to the source.
//!
//! lol_html calls its handlers while it parses, but a guest's handlers run in the guest, may be
//! asynchronous, and must never stand on the host's stack. So the parse does not wait for them. It
//! records what was matched in a piece of the document, with the place in the source
//! ([`recorder`]); the guest runs its handlers over the records and answers with edits; and the
//! piece is put out with the edits filled in ([`output`]). This changes nothing that a handler could
//! notice, because in lol_html too an edit affects the output only, never what is parsed or matched
//! later. It costs one crossing for a piece instead of several for each handler.

mod edit;
mod output;
mod recorder;
mod tag;

use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use encoding_rs::Encoding;
use lol_html::errors::RewritingError;
use lol_html::send::{DocumentContentHandlers, ElementContentHandlers, HtmlRewriter, Settings};
use lol_html::{AsciiCompatibleEncoding, MemorySettings, Selector};

use self::output::Output;
use self::recorder::{Handler, Record, Recorder};
use super::codec::{Encoder, Malformed, Value};

/// How much of the document is parsed in one call, if there are few handlers: a fraction of a
/// millisecond.
const INPUT_MAX: usize = 16 << 10;

/// So many handlers halve it: each may match each element.
const HANDLERS_FEW: usize = 64;

/// What a rewriter holds beside the document.
const BASE_BYTES: usize = 64 << 10;

/// Why a document can't be rewritten, in words for the exception.
#[derive(Debug, thiserror::Error)]
pub enum RewriterError {
    #[error("the selector {selector:?} is not supported: {reason}")]
    Selector { selector: String, reason: String },
    #[error("the encoding {0:?} is not known, or not compatible with ASCII")]
    Encoding(String),
    #[error("more than {0} bytes of the document had to be held at once (limits.rewriter_bytes)")]
    Memory(usize),
    #[error("the document can't be parsed: {0}")]
    Parse(String),
    #[error("the handlers' edits of the last piece are missing")]
    OutOfTurn,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// What a pair of `on` or `onDocument` wants to hear of.
#[derive(Debug, Clone)]
pub struct Registration {
    /// `None` for the whole document.
    pub selector: Option<String>,
    pub wants: u32,
}

/// The bits of [`Registration::wants`].
mod wants {
    pub const ELEMENT: u32 = 1;
    pub const COMMENTS: u32 = 2;
    pub const TEXT: u32 = 4;
    pub const DOCTYPE: u32 = 8;
    pub const END: u32 = 16;
}

type Shared = Arc<Mutex<Recorder>>;
type Sink = Box<dyn FnMut(&[u8]) + Send>;

/// One document on its way.
pub struct Rewriter {
    /// Gone once the document is at its end.
    parser: Option<HtmlRewriter<'static, Sink>>,
    recorder: Shared,
    bytes_max: usize,
    /// How much is parsed in one call.
    piece_bytes: usize,
    /// The document from where it was put out so far.
    held: Vec<u8>,
    /// How many of the held bytes the parser has been given.
    parsed: usize,
    /// The piece whose edits are awaited.
    batch: Vec<Record>,
    output: Output,
}

/// Parses a selector, as a rewriter will.
pub fn check_selector(selector: &str) -> Result<(), RewriterError> {
    parse_selector(selector).map(drop)
}

fn parse_selector(selector: &str) -> Result<Selector, RewriterError> {
    Selector::from_str(selector)
        .map_err(|error| RewriterError::Selector { selector: selector.to_owned(), reason: error.to_string() })
}

fn encoding(label: &str) -> Result<&'static Encoding, RewriterError> {
    Encoding::for_label_no_replacement(label.as_bytes())
        .filter(|encoding| encoding.is_ascii_compatible())
        .ok_or_else(|| RewriterError::Encoding(label.to_owned()))
}

impl Rewriter {
    /// `charset` is what the response's content type says.
    pub fn open(registrations: &[Registration], charset: &str, bytes_max: usize) -> Result<Self, RewriterError> {
        let encoding = encoding(charset)?;
        let recorder = Shared::default();
        let memory =
            MemorySettings::new().with_preallocated_parsing_buffer_size(0).with_max_allowed_memory_usage(bytes_max);
        let ascii = AsciiCompatibleEncoding::new(encoding).unwrap_or_else(AsciiCompatibleEncoding::utf_8);
        let mut settings = Settings::new_send().with_encoding(ascii).with_memory_settings(memory).with_strict(false);
        for (index, registration) in registrations.iter().enumerate() {
            let index = index as u32;
            let first = if registration.selector.is_some() { 0 } else { registrations.len() as u32 };
            settings = register(settings, Handler { index, rank: first + index }, registration, &recorder)?;
        }
        let position = recorder.clone();
        let sink: Sink = Box::new(move |raw: &[u8]| lock(&position).passed(raw.len()));
        Ok(Self {
            parser: Some(HtmlRewriter::new(settings, sink)),
            recorder,
            bytes_max,
            piece_bytes: INPUT_MAX * HANDLERS_FEW / (HANDLERS_FEW + registrations.len()),
            held: Vec::new(),
            parsed: 0,
            batch: Vec::new(),
            output: Output::new(encoding),
        })
    }

    /// The memory that it may hold, in bytes.
    pub fn weight(&self) -> usize {
        // The parser keeps a copy of what it has not finished with.
        let batch: usize = self.batch.iter().map(Record::weight).sum();
        BASE_BYTES + 2 * self.held.capacity() + batch + self.output.weight()
    }

    /// Takes a part of the document.
    pub fn feed(&mut self, data: &[u8]) -> Result<(), RewriterError> {
        if self.held.len() + data.len() > self.bytes_max {
            return Err(RewriterError::Memory(self.bytes_max));
        }
        self.held.extend_from_slice(data);
        Ok(())
    }

    /// Parses on in what was fed; `last` says that nothing follows it. What nobody's handlers need
    /// to see is put out at once. True if records wait for the guest ([`Self::encode_batch`]).
    pub fn parse(&mut self, last: bool, out: &mut Vec<u8>) -> Result<bool, RewriterError> {
        if !self.batch.is_empty() {
            return Err(RewriterError::OutOfTurn);
        }
        let end = self.held.len().min(self.parsed + self.piece_bytes);
        if let Some(parser) = &mut self.parser {
            let parsed = parser.write(&self.held[self.parsed..end]);
            self.parsed = end;
            parsed.map_err(|error| failure(error, self.bytes_max))?;
        }
        if last
            && end == self.held.len()
            && let Some(parser) = self.parser.take()
        {
            parser.end().map_err(|error| failure(error, self.bytes_max))?;
        }
        self.batch = lock(&self.recorder).take();
        if self.batch.is_empty() {
            self.put_out(Vec::new(), &[], out)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// True if there is more to parse of what was fed, or an end to be noticed.
    pub fn has_more(&self, last: bool) -> bool {
        self.parser.is_some() && (last || self.parsed < self.held.len())
    }

    pub fn is_at_end(&self) -> bool {
        self.parser.is_none() && self.batch.is_empty()
    }

    /// Writes the records of the piece for the guest.
    pub fn encode_batch(&self, out: &mut Encoder) {
        out.array(self.batch.len() as u32);
        for record in &self.batch {
            record.encode(out);
        }
    }

    /// Puts the piece out, with the guest's edits.
    pub fn fill(&mut self, edits: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), RewriterError> {
        let batch = std::mem::take(&mut self.batch);
        self.put_out(batch, edits, out)
    }

    fn put_out(&mut self, batch: Vec<Record>, edits: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), RewriterError> {
        let edits = edit::read(edits)?;
        let until = self.until();
        self.output.fill(&self.held, batch, &edits, until, out)?;
        self.forget(until);
        Ok(())
    }

    /// How many of the held bytes can be put out: those that the parser is through with.
    fn until(&self) -> usize {
        if self.parser.is_none() {
            return self.held.len();
        }
        lock(&self.recorder).position().saturating_sub(self.output.base()).min(self.held.len())
    }

    fn forget(&mut self, count: usize) {
        self.held.drain(..count);
        if self.held.capacity() > 16 * INPUT_MAX && self.held.len() < self.held.capacity() / 4 {
            self.held.shrink_to(2 * self.held.len());
        }
        self.parsed -= count;
        self.output.advance(count);
    }
}

fn failure(error: RewritingError, bytes_max: usize) -> RewriterError {
    match error {
        RewritingError::MemoryLimitExceeded(_) => RewriterError::Memory(bytes_max),
        other => RewriterError::Parse(other.to_string()),
    }
}

fn lock(recorder: &Shared) -> std::sync::MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds handlers that record for a registration.
fn register<'h>(
    settings: Settings<'h, 'h>,
    handler: Handler,
    registration: &Registration,
    recorder: &Shared,
) -> Result<Settings<'h, 'h>, RewriterError> {
    let wanted = |bit: u32| registration.wants & bit != 0;
    let Some(selector) = &registration.selector else {
        let mut handlers = DocumentContentHandlers::default();
        if wanted(wants::DOCTYPE) {
            handlers = handlers.doctype(recorder::doctype(recorder, handler));
        }
        if wanted(wants::COMMENTS) {
            handlers = handlers.comments(recorder::comment(recorder, handler));
        }
        if wanted(wants::TEXT) {
            handlers = handlers.text(recorder::text(recorder, handler));
        }
        if wanted(wants::END) {
            handlers = handlers.end(recorder::end(recorder, handler));
        }
        return Ok(settings.append_document_content_handler(handlers));
    };
    let mut handlers = ElementContentHandlers::default();
    if wanted(wants::ELEMENT) {
        handlers = handlers.element(recorder::element(recorder, handler));
    }
    if wanted(wants::COMMENTS) {
        handlers = handlers.comments(recorder::comment(recorder, handler));
    }
    if wanted(wants::TEXT) {
        handlers = handlers.text(recorder::text(recorder, handler));
    }
    let selector = std::borrow::Cow::Owned(parse_selector(selector)?);
    Ok(settings.append_element_content_handler((selector, handlers)))
}

#[cfg(test)]
mod tests;
