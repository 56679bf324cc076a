//! A URL record (URL Standard, section 4.1) and how it is written.

/// A parsed URL. Every string in it is ASCII, encoded as it will be written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    pub scheme: String,
    pub username: String,
    pub password: String,
    /// As it is written: a domain, an IPv4 address, an IPv6 address in brackets, an opaque host, or
    /// empty.
    pub host: Option<String>,
    pub port: Option<u16>,
    /// Each segment with its slash before it; an opaque path as it is.
    pub path: String,
    pub opaque: bool,
    pub query: Option<String>,
    pub fragment: Option<String>,
}

/// The port that a special scheme has when none is written; `None` for `file` and for schemes that
/// are not special.
pub fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        "ftp" => Some(21),
        _ => None,
    }
}

pub fn is_special(scheme: &str) -> bool {
    scheme == "file" || default_port(scheme).is_some()
}

/// `C:` or `C|`
pub fn is_drive_letter(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':' | b'|'] if letter.is_ascii_alphabetic())
}

/// Whether the text begins with a drive letter and nothing else of a segment.
pub fn starts_with_drive_letter(text: &str) -> bool {
    let bytes = text.as_bytes();
    match bytes.get(..2) {
        Some([letter, b':' | b'|']) if letter.is_ascii_alphabetic() => {
            matches!(bytes.get(2), None | Some(b'/' | b'\\' | b'?' | b'#'))
        }
        _ => false,
    }
}

impl Record {
    pub fn is_special(&self) -> bool {
        is_special(&self.scheme)
    }

    pub fn has_credentials(&self) -> bool {
        !self.username.is_empty() || !self.password.is_empty()
    }

    pub fn cannot_have_credentials_or_port(&self) -> bool {
        self.scheme == "file" || self.host.as_deref().is_none_or(str::is_empty)
    }

    pub fn set_port(&mut self, port: u16) {
        self.port = Some(port).filter(|&port| default_port(&self.scheme) != Some(port));
    }

    /// Removes the last segment, except for a drive letter.
    pub fn shorten(&mut self) {
        if self.scheme == "file" && has_only_drive_letter(&self.path) {
            return;
        }
        let end = self.path.rfind('/').unwrap_or(0);
        self.path.truncate(end);
    }

    /// Spaces at the end of an opaque path would be taken off once nothing follows them.
    pub fn strip_opaque_path(&mut self) {
        if self.opaque && self.fragment.is_none() && self.query.is_none() {
            let end = self.path.trim_end_matches(' ').len();
            self.path.truncate(end);
        }
    }

    /// The href, and where in it end or begin: the scheme with its colon (end), the user name (end),
    /// the host name (start and end), the authority (end), the path, the query and the fragment
    /// (starts).
    pub fn serialise(&self) -> (String, [usize; 8]) {
        let mut href = String::with_capacity(self.scheme.len() + self.path.len() + 64);
        href.push_str(&self.scheme);
        href.push(':');
        let scheme_end = href.len();
        let [mut username_end, mut host_start, mut host_end] = [scheme_end; 3];
        if let Some(host) = &self.host {
            href.push_str("//");
            href.push_str(&self.username);
            username_end = href.len();
            if !self.password.is_empty() {
                href.push(':');
                href.push_str(&self.password);
            }
            if self.has_credentials() {
                href.push('@');
            }
            host_start = href.len();
            href.push_str(host);
            host_end = href.len();
            if let Some(port) = self.port {
                href.push(':');
                href.push_str(&port.to_string());
            }
        }
        let authority_end = href.len();
        if self.host.is_none() && !self.opaque && self.path.starts_with("//") {
            href.push_str("/.");
        }
        let path_start = href.len();
        href.push_str(&self.path);
        let query_start = href.len();
        if let Some(query) = &self.query {
            href.push('?');
            href.push_str(query);
        }
        let fragment_start = href.len();
        if let Some(fragment) = &self.fragment {
            href.push('#');
            href.push_str(fragment);
        }
        let places =
            [scheme_end, username_end, host_start, host_end, authority_end, path_start, query_start, fragment_start];
        (href, places)
    }
}

/// `/C:`, the only segment
fn has_only_drive_letter(path: &str) -> bool {
    matches!(path.as_bytes(), [b'/', letter, b':'] if letter.is_ascii_alphabetic())
}

/// The first segment, if it is a drive letter as a path has it.
pub fn drive_letter_of(path: &str) -> Option<&str> {
    let segment = path.get(..3)?;
    (has_only_drive_letter(segment) && matches!(path.as_bytes().get(3), None | Some(b'/'))).then_some(segment)
}
