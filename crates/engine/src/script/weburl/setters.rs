//! The setters of `URL` (URL Standard, section 6.1): each enters the parser at one state. What a
//! setter refuses it ignores; the standard has no error here.

use super::host;
use super::parser::{
    append_segments, file_host, parse_port, set_fragment, set_query, split_port, split_scheme, without_newlines,
};
use super::percent::{self, encode};
use super::record::{Record, default_port, is_special};

pub fn set(url: &mut Record, field: &str, value: &str) {
    match field {
        "protocol" => set_protocol(url, value),
        "username" | "password" if url.cannot_have_credentials_or_port() => {}
        "username" => {
            url.username.clear();
            encode(value, percent::USERINFO, &mut url.username);
        }
        "password" => {
            url.password.clear();
            encode(value, percent::USERINFO, &mut url.password);
        }
        "host" => set_host(url, value, true),
        "hostname" => set_host(url, value, false),
        "port" => set_port(url, value),
        "pathname" => set_pathname(url, value),
        "search" => match value.strip_prefix('?').unwrap_or(value) {
            "" if value.is_empty() => {
                url.query = None;
                url.strip_opaque_path();
            }
            query => set_query(url, &without_newlines(query)),
        },
        "hash" => match value.strip_prefix('#').unwrap_or(value) {
            "" if value.is_empty() => {
                url.fragment = None;
                url.strip_opaque_path();
            }
            fragment => set_fragment(url, &without_newlines(fragment)),
        },
        _ => {}
    }
}

fn set_protocol(url: &mut Record, value: &str) {
    let input = format!("{value}:");
    let Some((scheme, _)) = split_scheme(&without_newlines(&input)) else { return };
    let to_file = scheme == "file" && (url.has_credentials() || url.port.is_some());
    let from_file = url.scheme == "file" && url.host.as_deref().is_none_or(str::is_empty);
    if is_special(&scheme) != url.is_special() || to_file || from_file {
        return;
    }
    url.scheme = scheme;
    if url.port == default_port(&url.scheme) {
        url.port = None;
    }
}

fn set_host(url: &mut Record, value: &str, with_port: bool) {
    if url.opaque {
        return;
    }
    let special = url.is_special();
    let value = without_newlines(value);
    let end = value.find(|c| matches!(c, '/' | '?' | '#') || (special && c == '\\')).unwrap_or(value.len());
    let location = &value[..end];
    if url.scheme == "file" {
        if location.is_empty() {
            url.host = Some(String::new());
        } else if let Some(host) = file_host(location) {
            url.host = Some(host);
        }
        return;
    }
    let (name, port) = split_port(location);
    if port.is_some() && (name.is_empty() || !with_port) {
        return;
    }
    if name.is_empty() && (special || url.has_credentials() || url.port.is_some()) {
        return;
    }
    let Some(host) = host::parse(name, special) else { return };
    url.host = Some(host);
    if let Some(port) = port {
        set_leading_port(url, port);
    }
}

fn set_port(url: &mut Record, value: &str) {
    if url.cannot_have_credentials_or_port() {
        return;
    }
    if value.is_empty() {
        url.port = None;
    } else {
        set_leading_port(url, &without_newlines(value));
    }
}

/// Takes the digits at the beginning; whatever follows them is ignored.
fn set_leading_port(url: &mut Record, text: &str) {
    let digits = &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())];
    if !digits.is_empty()
        && let Some(port) = parse_port(digits)
    {
        url.set_port(port);
    }
}

fn set_pathname(url: &mut Record, value: &str) {
    if url.opaque {
        return;
    }
    let value = without_newlines(value);
    url.path.clear();
    if url.is_special() {
        append_segments(url, value.strip_prefix(['/', '\\']).unwrap_or(&value));
    } else if !value.is_empty() {
        append_segments(url, value.strip_prefix('/').unwrap_or(&value));
    } else if url.host.is_none() {
        url.path.push('/');
    }
}
