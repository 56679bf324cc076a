//! What the parse found: records in the order of the document.
//!
//! Each token that a handler wants is taken out of lol_html's own output, so that what the sink
//! sees is raw input only, and the position in the source is known at any time.

use std::ops::Range;

use lol_html::HandlerResult;
use lol_html::html_content::{Comment, Doctype, DocumentEnd, EndTag, TextChunk};
use lol_html::send::{CommentHandler, DoctypeHandler, Element, ElementHandler, EndHandler, TextHandler};

use super::{Shared, lock};
use crate::script::codec::Encoder;

/// One token that somebody's handlers want to see.
#[derive(Debug)]
pub struct Record {
    pub id: u32,
    /// Where it stands in the whole document, in bytes.
    pub range: Range<usize>,
    /// The registrations whose handlers match, in order.
    handlers: Vec<u32>,
    pub token: Token,
}

#[derive(Debug)]
pub enum Token {
    Element {
        name: String,
        namespace: &'static str,
        attributes: Vec<(String, String)>,
        can_have_content: bool,
        self_closing: bool,
    },
    /// The end tag that closes an element of an earlier record; of the element itself, or of one
    /// around it.
    EndTag {
        element: u32,
        name: String,
    },
    Text {
        text: String,
        last: bool,
    },
    Comment {
        text: String,
    },
    Doctype {
        name: Option<String>,
        public_id: Option<String>,
        system_id: Option<String>,
    },
    DocumentEnd,
}

impl Record {
    pub fn weight(&self) -> usize {
        let token = match &self.token {
            Token::Element { attributes, .. } => attributes.iter().map(|(n, v)| n.len() + v.len() + 48).sum(),
            Token::Text { text, .. } | Token::Comment { text } => text.len(),
            _ => 0,
        };
        size_of::<Self>() + token + 4 * self.handlers.len()
    }

    /// Writes `[kind, id, handlers or element, …]`, as the prelude reads it.
    pub fn encode(&self, out: &mut Encoder) {
        let head = |out: &mut Encoder, kind: u64, fields: u32| {
            out.array(3 + fields).integer(kind).integer(u64::from(self.id)).array(self.handlers.len() as u32);
            for &handler in &self.handlers {
                out.integer(u64::from(handler));
            }
        };
        match &self.token {
            Token::Element { name, namespace, attributes, can_have_content, self_closing } => {
                head(out, 0, 5);
                out.string(name).string(namespace).bool(*can_have_content).bool(*self_closing);
                out.array(2 * attributes.len() as u32);
                for (name, value) in attributes {
                    out.string(name).string(value);
                }
            }
            Token::EndTag { element, name } => {
                head(out, 1, 2);
                out.integer(u64::from(*element)).string(name);
            }
            Token::Text { text, last } => {
                head(out, 2, 2);
                out.string(text).bool(*last);
            }
            Token::Comment { text } => {
                head(out, 3, 1);
                out.string(text);
            }
            Token::Doctype { name, public_id, system_id } => {
                head(out, 4, 3);
                for part in [name, public_id, system_id] {
                    out.optional_string(part.as_deref());
                }
            }
            Token::DocumentEnd => head(out, 5, 0),
        }
    }
}

/// A handler by its registration.
#[derive(Debug, Clone, Copy)]
pub struct Handler {
    pub index: u32,
    /// When lol_html calls it, among the handlers of one token: those with a selector come first.
    pub rank: u32,
}

/// Collects records while lol_html parses.
#[derive(Debug, Default)]
pub struct Recorder {
    records: Vec<Record>,
    next_id: u32,
    /// Up to where the parse is through with the source.
    position: usize,
    /// What lol_html gave as the place of the token that was entered last, and the handler.
    last: Option<(Range<usize>, Handler)>,
}

impl Recorder {
    pub fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    pub fn position(&self) -> usize {
        self.position
    }

    /// Input that no handler wanted went by.
    pub fn passed(&mut self, count: usize) {
        self.position += count;
    }

    /// Enters a token, or one more handler of the token that was entered last: all handlers of one
    /// token are called in a row, by their rank. Answers the id of a token that is new.
    fn enter(
        &mut self,
        range: Range<usize>,
        handler: Handler,
        kind: Kind,
        token: impl FnOnce() -> Token,
    ) -> Option<u32> {
        let before = self.last.replace((range.clone(), handler));
        if let Some(last) = self.records.last_mut()
            && kind.is_of(&last.token)
            && before.is_some_and(|(place, before)| place == range && before.rank < handler.rank)
        {
            last.handlers.push(handler.index);
            return None;
        }
        // All that went by was seen, but for the beginning of a character whose end comes only now:
        // it belongs to this text.
        let start = self.position.min(range.start);
        Some(self.push(start..range.end, vec![handler.index], token()))
    }

    fn push(&mut self, range: Range<usize>, handlers: Vec<u32>, token: Token) -> u32 {
        self.position = self.position.max(range.end);
        self.next_id += 1;
        let id = self.next_id;
        self.records.push(Record { id, range, handlers, token });
        id
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Element,
    Text,
    Comment,
    Doctype,
}

impl Kind {
    fn is_of(self, token: &Token) -> bool {
        matches!(
            (self, token),
            (Kind::Element, Token::Element { .. })
                | (Kind::Text, Token::Text { .. })
                | (Kind::Comment, Token::Comment { .. })
                | (Kind::Doctype, Token::Doctype { .. })
        )
    }
}

pub fn element(recorder: &Shared, handler: Handler) -> ElementHandler<'static> {
    let shared = recorder.clone();
    Box::new(move |element: &mut Element<'_, '_>| {
        let range = element.source_location().bytes();
        let entered = lock(&shared).enter(range, handler, Kind::Element, || Token::Element {
            name: element.tag_name(),
            namespace: element.namespace_uri(),
            attributes: element.attributes().iter().map(|a| (a.name(), a.value())).collect(),
            can_have_content: element.can_have_content(),
            self_closing: element.is_self_closing(),
        });
        if let Some(id) = entered {
            element.start_tag().remove();
            let shared = shared.clone();
            if let Some(handlers) = element.end_tag_handlers() {
                handlers.push(Box::new(move |tag: &mut EndTag<'_>| end_tag(&shared, id, tag)));
            }
        }
        Ok(())
    })
}

fn end_tag(shared: &Shared, element: u32, tag: &mut EndTag<'_>) -> HandlerResult {
    let mut recorder = lock(shared);
    let range = tag.source_location().bytes();
    recorder.push(range, Vec::new(), Token::EndTag { element, name: tag.name() });
    tag.remove();
    Ok(())
}

pub fn text(recorder: &Shared, handler: Handler) -> TextHandler<'static> {
    let shared = recorder.clone();
    Box::new(move |chunk: &mut TextChunk<'_>| {
        let range = chunk.source_location().bytes();
        let token = || Token::Text { text: chunk.as_str().to_owned(), last: chunk.last_in_text_node() };
        lock(&shared).enter(range, handler, Kind::Text, token);
        chunk.remove();
        Ok(())
    })
}

pub fn comment(recorder: &Shared, handler: Handler) -> CommentHandler<'static> {
    let shared = recorder.clone();
    Box::new(move |comment: &mut Comment<'_>| {
        let range = comment.source_location().bytes();
        lock(&shared).enter(range, handler, Kind::Comment, || Token::Comment { text: comment.text() });
        comment.remove();
        Ok(())
    })
}

pub fn doctype(recorder: &Shared, handler: Handler) -> DoctypeHandler<'static> {
    let shared = recorder.clone();
    Box::new(move |doctype: &mut Doctype<'_>| {
        let range = doctype.source_location().bytes();
        lock(&shared).enter(range, handler, Kind::Doctype, || Token::Doctype {
            name: doctype.name(),
            public_id: doctype.public_id(),
            system_id: doctype.system_id(),
        });
        doctype.remove();
        Ok(())
    })
}

pub fn end(recorder: &Shared, handler: Handler) -> EndHandler<'static> {
    let shared = recorder.clone();
    Box::new(move |_: &mut DocumentEnd<'_>| {
        let mut recorder = lock(&shared);
        let end = usize::MAX;
        match recorder.records.last_mut() {
            Some(Record { token: Token::DocumentEnd, handlers, .. }) => handlers.push(handler.index),
            _ => {
                recorder.push(end..end, vec![handler.index], Token::DocumentEnd);
            }
        }
        Ok(())
    })
}
