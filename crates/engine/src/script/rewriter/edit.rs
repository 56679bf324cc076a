//! What the guest's handlers did to a token.

use std::collections::HashMap;

use crate::script::codec::{Malformed, Value};

/// The bits of [`Edit::flags`].
pub mod flags {
    /// The token itself is not put out; of an element, its start tag.
    pub const REMOVED: u32 = 1;
    /// What stands between the tags is not put out.
    pub const CONTENT_REMOVED: u32 = 2;
    pub const END_TAG_REMOVED: u32 = 4;
    /// Something was put into an element, which therefore can't be written as `<a/>`.
    pub const HAS_CONTENT: u32 = 8;
}

/// Text to be put out, escaped unless it is HTML.
pub struct Content<'a> {
    pub text: &'a str,
    pub html: bool,
}

/// The edits of one token. Lists are in the order in which they are put out.
#[derive(Default)]
pub struct Edit<'a> {
    pub flags: u32,
    pub before: Vec<Content<'a>>,
    pub after: Vec<Content<'a>>,
    /// Instead of the token, if it is removed.
    pub replacement: Vec<Content<'a>>,
    /// After the start tag.
    pub prepended: Vec<Content<'a>>,
    /// Before the end tag.
    pub appended: Vec<Content<'a>>,
    /// New values by name, or `None` for an attribute that goes; in the order of the calls.
    pub attributes: Vec<(&'a str, Option<&'a str>)>,
    /// The new name of a tag, or the new text of a comment.
    pub name: Option<&'a str>,
}

impl Edit<'_> {
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether the start tag is not as it was.
    pub fn changes_tag(&self) -> bool {
        self.name.is_some() || !self.attributes.is_empty()
    }
}

/// Reads edits by the id of their token. Each is a list of
/// `[id, flags, before, after, replacement, prepended, appended, attributes, name]`.
pub fn read<'a>(values: &'a [Value<'a>]) -> Result<HashMap<u32, Edit<'a>>, Malformed> {
    let mut edits = HashMap::with_capacity(values.len());
    for value in values {
        let Value::Array(fields) = value else { return Err(Malformed) };
        let [id, flags, before, after, replacement, prepended, appended, attributes, name] = fields.as_slice() else {
            return Err(Malformed);
        };
        let edit = Edit {
            flags: flags.as_u32()?,
            before: contents(before)?,
            after: contents(after)?,
            replacement: contents(replacement)?,
            prepended: contents(prepended)?,
            appended: contents(appended)?,
            attributes: pairs(attributes)?
                .map(|pair| Ok((pair[0].as_str()?, pair[1].as_optional_str()?)))
                .collect::<Result<_, Malformed>>()?,
            name: name.as_optional_str()?,
        };
        edits.insert(id.as_u32()?, edit);
    }
    Ok(edits)
}

/// A flat list of text and whether it is HTML.
fn contents<'a>(value: &'a Value<'a>) -> Result<Vec<Content<'a>>, Malformed> {
    pairs(value)?.map(|pair| Ok(Content { text: pair[0].as_str()?, html: pair[1].as_bool()? })).collect()
}

fn pairs<'a>(value: &'a Value<'a>) -> Result<std::slice::ChunksExact<'a, Value<'a>>, Malformed> {
    match value {
        Value::Null => Ok([].chunks_exact(2)),
        Value::Array(flat) if flat.len() % 2 == 0 => Ok(flat.chunks_exact(2)),
        _ => Err(Malformed),
    }
}
