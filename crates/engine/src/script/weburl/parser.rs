//! The basic URL parser (URL Standard, section 4.4).
//!
//! The standard writes it as a machine that reads one code point at a time. Each of its states
//! reads up to a delimiter and no further, so here each is a function that takes what is left of
//! the input. The setters, which enter the machine in the middle, use the same functions.

use std::borrow::Cow;

use super::host;
use super::percent::{self, encode};
use super::record::{Record, drive_letter_of, is_drive_letter, is_special, starts_with_drive_letter};

/// The input without what the standard ignores anywhere: tabs and newlines.
pub fn without_newlines(input: &str) -> Cow<'_, str> {
    let ignored = ['\t', '\n', '\r'];
    if input.contains(ignored) { Cow::Owned(input.replace(ignored, "")) } else { Cow::Borrowed(input) }
}

/// Parses `input`, against `base` if there is one.
pub fn parse(input: &str, base: Option<&Record>) -> Option<Record> {
    let input = without_newlines(input.trim_matches(|c: char| c <= ' '));
    match split_scheme(&input) {
        Some((scheme, rest)) => with_scheme(scheme, rest, base),
        None => without_scheme(&input, base?),
    }
}

/// The scheme in lower case, and what follows the colon.
pub fn split_scheme(input: &str) -> Option<(String, &str)> {
    let colon = input.find(':')?;
    let (scheme, rest) = (&input[..colon], &input[colon + 1..]);
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    valid.then(|| (scheme.to_ascii_lowercase(), rest))
}

fn with_scheme(scheme: String, rest: &str, base: Option<&Record>) -> Option<Record> {
    let special = is_special(&scheme);
    let mut url = Record { scheme, ..Record::default() };
    if url.scheme == "file" {
        return file(url, rest, base.filter(|base| base.scheme == "file"));
    }
    if special {
        let relative = base.filter(|base| base.scheme == url.scheme && !rest.starts_with("//"));
        return match relative {
            Some(base) => self::relative(url, rest, base),
            None => authority(url, rest.trim_start_matches(['/', '\\'])),
        };
    }
    if let Some(rest) = rest.strip_prefix("//") {
        return authority(url, rest);
    }
    if let Some(rest) = rest.strip_prefix('/') {
        return path(url, rest);
    }
    url.opaque = true;
    let (opaque, rest) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    encode(opaque, percent::CONTROL, &mut url.path);
    tail(url, rest)
}

fn without_scheme(input: &str, base: &Record) -> Option<Record> {
    if base.opaque {
        let fragment = input.strip_prefix('#')?;
        let mut url = base.clone();
        set_fragment(&mut url, fragment);
        return Some(url);
    }
    let url = Record { scheme: base.scheme.clone(), ..Record::default() };
    if base.scheme == "file" { file(url, input, Some(base)) } else { relative(url, input, base) }
}

fn relative(mut url: Record, rest: &str, base: &Record) -> Option<Record> {
    let slash = |c: char| c == '/' || (c == '\\' && url.is_special());
    if let Some(rest) = rest.strip_prefix(slash) {
        if url.is_special() && rest.starts_with(['/', '\\']) {
            return authority(url, rest.trim_start_matches(['/', '\\']));
        }
        if let Some(rest) = rest.strip_prefix('/') {
            return authority(url, rest);
        }
        take_authority(&mut url, base);
        return path(url, rest);
    }
    take_authority(&mut url, base);
    from_base_path(url, rest, base)
}

fn take_authority(url: &mut Record, base: &Record) {
    url.username.clone_from(&base.username);
    url.password.clone_from(&base.password);
    url.host.clone_from(&base.host);
    url.port = base.port;
}

/// A reference that begins with no slash: in the folder of the base, or the base itself.
fn from_base_path(mut url: Record, rest: &str, base: &Record) -> Option<Record> {
    url.path.clone_from(&base.path);
    url.query.clone_from(&base.query);
    if rest.is_empty() || rest.starts_with(['?', '#']) {
        return tail(url, rest);
    }
    url.query = None;
    if url.scheme == "file" && starts_with_drive_letter(rest) {
        url.path.clear();
    } else {
        url.shorten();
    }
    path(url, rest)
}

/// `user:password@host:port`, up to the path.
fn authority(mut url: Record, rest: &str) -> Option<Record> {
    let special = url.is_special();
    let end = rest.find(|c| matches!(c, '/' | '?' | '#') || (special && c == '\\')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let mut location = authority;
    if let Some((credentials, after)) = authority.rsplit_once('@') {
        if after.is_empty() {
            return None;
        }
        let (username, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        encode(username, percent::USERINFO, &mut url.username);
        encode(password, percent::USERINFO, &mut url.password);
        location = after;
    }
    let (name, port) = split_port(location);
    if name.is_empty() && (special || port.is_some()) {
        return None;
    }
    url.host = Some(host::parse(name, special)?);
    if let Some(port) = port.filter(|port| !port.is_empty()) {
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        url.set_port(parse_port(port)?);
    }
    path_start(url, rest)
}

/// Digits, with any number of zeros before them.
pub fn parse_port(digits: &str) -> Option<u16> {
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() { Some(0) } else { significant.parse().ok() }
}

/// The host, and what follows the colon that is outside of brackets.
pub fn split_port(location: &str) -> (&str, Option<&str>) {
    let mut inside = false;
    for (at, byte) in location.bytes().enumerate() {
        match byte {
            b'[' => inside = true,
            b']' => inside = false,
            b':' if !inside => return (&location[..at], Some(&location[at + 1..])),
            _ => {}
        }
    }
    (location, None)
}

/// What follows the authority.
fn path_start(url: Record, rest: &str) -> Option<Record> {
    if url.is_special() {
        return path(url, rest.strip_prefix(['/', '\\']).unwrap_or(rest));
    }
    match rest.strip_prefix('/') {
        Some(rest) => path(url, rest),
        None => tail(url, rest),
    }
}

fn file(mut url: Record, rest: &str, base: Option<&Record>) -> Option<Record> {
    url.host = Some(String::new());
    let Some(rest) = rest.strip_prefix(['/', '\\']) else {
        let Some(base) = base else { return path(url, rest) };
        url.host.clone_from(&base.host);
        return from_base_path(url, rest, base);
    };
    let Some(rest) = rest.strip_prefix(['/', '\\']) else {
        if let Some(base) = base {
            url.host.clone_from(&base.host);
            if !starts_with_drive_letter(rest)
                && let Some(drive) = drive_letter_of(&base.path)
            {
                url.path.push_str(drive);
            }
        }
        return path(url, rest);
    };
    let (name, after) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    if is_drive_letter(name) {
        return path(url, rest);
    }
    if !name.is_empty() {
        url.host = Some(file_host(name)?);
    }
    path_start(url, after)
}

/// The host of a `file:` URL: this machine is no host.
pub fn file_host(name: &str) -> Option<String> {
    let host = host::parse(name, true)?;
    Some(if host == "localhost" { String::new() } else { host })
}

/// The segments, the first of which has no slash before it, then the query and the fragment.
fn path(mut url: Record, rest: &str) -> Option<Record> {
    let (segments, rest) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    append_segments(&mut url, segments);
    tail(url, rest)
}

/// Appends a path, the first segment of which has no slash before it.
pub fn append_segments(url: &mut Record, path: &str) {
    let special = url.is_special();
    let slash = |c: char| c == '/' || (special && c == '\\');
    let mut segments = path.split(slash).peekable();
    let mut encoded = String::new();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        encoded.clear();
        encode(segment, percent::PATH, &mut encoded);
        match dots(&encoded) {
            Some(dots) => {
                if dots == 2 {
                    url.shorten();
                }
                if last {
                    url.path.push('/');
                }
            }
            None => {
                if url.scheme == "file" && url.path.is_empty() && is_drive_letter(&encoded) {
                    encoded.replace_range(1.., ":");
                }
                url.path.push('/');
                url.path.push_str(&encoded);
            }
        }
    }
}

/// How many dots the segment is, if it is one or two, written out or encoded.
fn dots(segment: &str) -> Option<usize> {
    let mut rest = segment;
    let mut count = 0;
    while !rest.is_empty() {
        rest = match rest.as_bytes() {
            [b'.', ..] => &rest[1..],
            [b'%', b'2', b'e' | b'E', ..] => &rest[3..],
            _ => return None,
        };
        count += 1;
    }
    matches!(count, 1 | 2).then_some(count)
}

/// `?query#fragment`, either of which may be missing.
fn tail(mut url: Record, rest: &str) -> Option<Record> {
    let (query, fragment) = match rest.split_once('#') {
        Some((query, fragment)) => (query, Some(fragment)),
        None => (rest, None),
    };
    if let Some(query) = query.strip_prefix('?') {
        set_query(&mut url, query);
    }
    if let Some(fragment) = fragment {
        set_fragment(&mut url, fragment);
    }
    Some(url)
}

pub fn set_query(url: &mut Record, query: &str) {
    let set = if url.is_special() { percent::SPECIAL_QUERY } else { percent::QUERY };
    let mut encoded = String::new();
    encode(query, set, &mut encoded);
    url.query = Some(encoded);
}

pub fn set_fragment(url: &mut Record, fragment: &str) {
    let mut encoded = String::new();
    encode(fragment, percent::FRAGMENT, &mut encoded);
    url.fragment = Some(encoded);
}
