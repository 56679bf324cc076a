//! Documents of the protocol: written by hand, read as a tree.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use roxmltree::{Document, Node};

use crate::error::Error;

pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// What `encoding-type=url` leaves as it is.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'*');

/// Writes a document.
pub struct Writer {
    text: String,
    url: bool,
}

impl Writer {
    pub fn new() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".into(), url: false }
    }

    /// A document whose root is in the protocol's namespace.
    pub fn root(name: &str) -> Self {
        let mut writer = Self::new();
        writer.text += &format!("<{name} xmlns=\"{NAMESPACE}\">");
        writer
    }

    /// Keys from here on are percent-encoded, for a client that can't read every character in XML.
    pub fn url(mut self, url: bool) -> Self {
        self.url = url;
        self
    }

    pub fn open(&mut self, name: &str) -> &mut Self {
        self.text += &format!("<{name}>");
        self
    }

    pub fn close(&mut self, name: &str) -> &mut Self {
        self.text += &format!("</{name}>");
        self
    }

    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.open(name);
        escape(value, &mut self.text);
        self.close(name)
    }

    pub fn optional(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub fn show(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        self.text(name, &value.to_string())
    }

    /// A key, or a part of one.
    pub fn key(&mut self, name: &str, key: &str) -> &mut Self {
        match self.url {
            true => self.show(name, utf8_percent_encode(key, URL)),
            false => self.text(name, key),
        }
    }

    pub fn finish(self) -> String {
        self.text
    }
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => *out += "&amp;",
            '<' => *out += "&lt;",
            '>' => *out += "&gt;",
            '"' => *out += "&quot;",
            // Not all of these are characters of XML 1.0; a client that has such keys asks for
            // `encoding-type=url`.
            c if c.is_control() && c != '\t' => *out += &format!("&#x{:x};", u32::from(c)),
            c => out.push(c),
        }
    }
}

/// Reads a document whose root has this name.
pub fn read<T>(bytes: &[u8], root: &str, read: impl FnOnce(Node<'_, '_>) -> Result<T, Error>) -> Result<T, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::malformed_xml("the document is not UTF-8"))?;
    let document = Document::parse(text).map_err(|error| Error::malformed_xml(error.to_string()))?;
    let found = document.root_element();
    if found.tag_name().name() != root {
        return Err(Error::malformed_xml(format!("the document is no {root}")));
    }
    read(found)
}

/// The elements of a name below a node.
pub fn all<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The first of them.
pub fn one<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    all(node, name).next()
}

/// The text of the first element of a name, as it stands.
pub fn text<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'static str) -> Option<String> {
    Some(one(node, name)?.text().unwrap_or_default().to_owned())
}

pub fn number(node: Node<'_, '_>, name: &'static str) -> Result<Option<u64>, Error> {
    let Some(text) = text(node, name) else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| Error::malformed_xml(format!("{name} is no whole number")))
}
