//! URLs for the guest, by the WHATWG URL Standard, and their shape on the border.
//!
//! An answer is null, or nine values: the href, and eight indices into it from which the prelude
//! cuts every part when it is asked for. An href is ASCII, so an index counts bytes and UTF-16
//! units alike.
//!
//! The parser is ours: the `url` crate, which the host uses for what it requests itself, leaves out
//! what the standard says of `file:` hosts and drive letters and of paths that begin with two
//! slashes (45 of the standard's own tests), and `ada-url` would bring the C++ library into a
//! binary that has none. On everything else the two agree, which a test holds.

mod host;
mod parser;
mod percent;
mod record;
mod setters;

use super::codec::Encoder;
use parser::parse as parse_record;
use record::Record;

pub fn parse(href: &str, base: Option<&str>, out: &mut Encoder) {
    match resolve(href, base) {
        Some(url) => write(&url, out),
        None => {
            out.null();
        }
    }
}

fn resolve(href: &str, base: Option<&str>) -> Option<Record> {
    match base {
        None => parse_record(href, None),
        Some(base) => parse_record(href, Some(&parse_record(base, None)?)),
    }
}

/// Sets one field, as the setters of `URL` do. A value that the standard ignores changes nothing;
/// null only for a `href` that is no URL.
pub fn set(href: &str, field: &str, value: &str, out: &mut Encoder) {
    let Some(mut url) = parse_record(href, None) else {
        out.null();
        return;
    };
    setters::set(&mut url, field, value);
    write(&url, out);
}

fn write(url: &Record, out: &mut Encoder) {
    let (href, places) = url.serialise();
    out.array(9).string(&href);
    for place in places {
        out.integer(place as u64);
    }
}

#[cfg(test)]
mod tests;
