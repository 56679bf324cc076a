//! Puts the source out with the edits filled in.

use std::borrow::Cow;
use std::collections::HashMap;

use encoding_rs::{Encoding, UTF_8};

use super::RewriterError;
use super::edit::{Content, Edit, flags};
use super::recorder::{Record, Token};
use super::tag;

/// Where the output stands in the document, and what it owes to elements that are open.
pub struct Output {
    encoding: &'static Encoding,
    /// Where in the document the held bytes begin.
    base: usize,
    open: HashMap<u32, Open>,
    /// The outermost element whose content is being left out.
    skipping: Option<u32>,
    /// Elements that are open and edited, at the most.
    open_bytes: usize,
}

/// What is put out when an element ends.
struct Open {
    /// The name it has in the source: an end tag of another name closes it by the way.
    name: String,
    renamed: Option<Vec<u8>>,
    removed: bool,
    appended: Vec<u8>,
    after: Vec<u8>,
}

impl Open {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.appended.len() + self.after.len()
    }
}

impl Output {
    pub fn new(encoding: &'static Encoding) -> Self {
        Self { encoding, base: 0, open: HashMap::new(), skipping: None, open_bytes: 0 }
    }

    pub fn base(&self) -> usize {
        self.base
    }

    /// The first `count` held bytes are put out and gone.
    pub fn advance(&mut self, count: usize) {
        self.base += count;
    }

    /// What is kept for elements that are open, in bytes.
    pub fn weight(&self) -> usize {
        self.open_bytes
    }

    /// Appends the first `until` of the `held` bytes, with the edits of the records among them.
    pub fn fill(
        &mut self,
        held: &[u8],
        batch: Vec<Record>,
        edits: &HashMap<u32, Edit<'_>>,
        until: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriterError> {
        let untouched = Edit::default();
        let mut at = 0;
        let mut records = batch.into_iter().peekable();
        let mut closing = Vec::new();
        while let Some(record) = records.next() {
            let place = |position: usize| position.saturating_sub(self.base).clamp(at, until);
            let (start, end) = (place(record.range.start), place(record.range.end));
            if self.skipping.is_none() {
                out.extend_from_slice(&held[at..start]);
            }
            at = end;
            let raw = &held[start..end];
            let edit = edits.get(&record.id).unwrap_or(&untouched);
            let range = record.range;
            match record.token {
                Token::EndTag { element, name } => {
                    closing.push((element, edit));
                    let same_tag = records
                        .peek()
                        .is_some_and(|next| next.range == range && matches!(next.token, Token::EndTag { .. }));
                    if same_tag {
                        // The tag is put out with the last element that it closes.
                        at = start;
                    } else {
                        self.end_tag(raw, &name, &closing, out);
                        closing.clear();
                    }
                }
                Token::Element { name, can_have_content, self_closing, .. } => {
                    if self.skipping.is_none() {
                        let tag = StartTag { id: record.id, raw, name, can_have_content, self_closing };
                        self.element(tag, edit, out);
                    }
                }
                Token::Text { text, .. } => self.leaf(edit, out, |this, out| {
                    // Decoded and encoded again, so that a character that was cut stays whole.
                    out.extend_from_slice(&this.encode(&text));
                }),
                Token::Comment { .. } => self.leaf(edit, out, |this, out| match edit.name {
                    None => out.extend_from_slice(raw),
                    Some(text) => {
                        out.extend_from_slice(b"<!--");
                        out.extend_from_slice(&this.encode(text));
                        out.extend_from_slice(b"-->");
                    }
                }),
                Token::Doctype { .. } => self.leaf(edit, out, |_, out| out.extend_from_slice(raw)),
                Token::DocumentEnd => self.write(&edit.before, out),
            }
        }
        if self.skipping.is_none() {
            out.extend_from_slice(&held[at..until]);
        }
        Ok(())
    }

    /// A token without content.
    fn leaf(&self, edit: &Edit<'_>, out: &mut Vec<u8>, token: impl FnOnce(&Self, &mut Vec<u8>)) {
        if self.skipping.is_some() {
            return;
        }
        self.write(&edit.before, out);
        if edit.has(flags::REMOVED) {
            self.write(&edit.replacement, out)
        } else {
            token(self, out)
        }
        self.write(&edit.after, out);
    }

    fn element(&mut self, tag: StartTag<'_>, edit: &Edit<'_>, out: &mut Vec<u8>) {
        self.write(&edit.before, out);
        if edit.has(flags::REMOVED) {
            self.write(&edit.replacement, out);
        } else if edit.changes_tag() {
            let self_closing = tag.self_closing && !edit.has(flags::HAS_CONTENT);
            tag::write(tag.raw, edit, self_closing, self.encoding, out);
        } else {
            out.extend_from_slice(tag.raw);
        }
        if !tag.can_have_content {
            self.write(&edit.after, out);
            return;
        }
        self.write(&edit.prepended, out);
        let mut open = Open {
            name: tag.name,
            renamed: edit.name.map(|name| self.encode(name).into_owned()),
            removed: edit.has(flags::END_TAG_REMOVED),
            appended: Vec::new(),
            after: Vec::new(),
        };
        self.write(&edit.appended, &mut open.appended);
        self.write(&edit.after, &mut open.after);
        let owes = open.removed || open.renamed.is_some() || !open.appended.is_empty() || !open.after.is_empty();
        if owes {
            self.open_bytes += open.bytes();
            self.open.insert(tag.id, open);
        }
        if edit.has(flags::CONTENT_REMOVED) {
            self.skipping = Some(tag.id);
        }
    }

    /// An end tag that closes `closing`, from the inside out. All but the last of them, and the last
    /// too if its name is another, are closed by the way: what comes after them is put before the
    /// tag, which is not theirs.
    fn end_tag(&mut self, raw: &[u8], name: &str, closing: &[(u32, &Edit<'_>)], out: &mut Vec<u8>) {
        let mut tag = Some(Cow::Borrowed(raw));
        let mut after = Vec::new();
        for (place, (element, edit)) in closing.iter().enumerate() {
            let open = self.open.remove(element);
            if let Some(open) = &open {
                self.open_bytes -= open.bytes();
            }
            match self.skipping {
                Some(skipped) if skipped == *element => self.skipping = None,
                Some(_) => continue,
                None => {}
            }
            let mut owed_after = Vec::new();
            if let Some(open) = open {
                out.extend_from_slice(&open.appended);
                let owner = place + 1 == closing.len() && open.name == name;
                if !owner {
                    self.write(&edit.before, out);
                    out.extend_from_slice(&open.after);
                    tag = self.edited_end_tag(tag, edit);
                    self.write(&edit.after, &mut after);
                    continue;
                }
                if open.removed {
                    tag = None;
                } else if let Some(renamed) = open.renamed {
                    tag = Some(Cow::Owned([b"</", renamed.as_slice(), b">"].concat()));
                }
                owed_after = open.after;
            }
            self.write(&edit.before, out);
            tag = self.edited_end_tag(tag, edit);
            self.write(&edit.after, &mut after);
            after.append(&mut owed_after);
        }
        if self.skipping.is_some() {
            return;
        }
        if let Some(tag) = tag {
            out.extend_from_slice(&tag);
        }
        out.append(&mut after);
    }

    /// What the handlers of `onEndTag` made of the tag.
    fn edited_end_tag<'t>(&self, tag: Option<Cow<'t, [u8]>>, edit: &Edit<'_>) -> Option<Cow<'t, [u8]>> {
        if edit.has(flags::REMOVED) {
            return None;
        }
        match edit.name {
            Some(name) => tag.map(|_| Cow::Owned([b"</", &*self.encode(name), b">"].concat())),
            None => tag,
        }
    }

    fn write(&self, contents: &[Content<'_>], out: &mut Vec<u8>) {
        for content in contents {
            if content.html {
                out.extend_from_slice(&self.encode(content.text));
            } else {
                out.extend_from_slice(&self.encode(&escape(content.text)));
            }
        }
    }

    fn encode<'t>(&self, text: &'t str) -> Cow<'t, [u8]> {
        encode(self.encoding, text)
    }
}

struct StartTag<'a> {
    id: u32,
    raw: &'a [u8],
    name: String,
    can_have_content: bool,
    self_closing: bool,
}

/// Text in the document's encoding; a character that it lacks becomes a numeric reference.
pub fn encode<'t>(encoding: &'static Encoding, text: &'t str) -> Cow<'t, [u8]> {
    if encoding == UTF_8 { Cow::Borrowed(text.as_bytes()) } else { encoding.encode(text).0 }
}

/// Text as the content of an element.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}
