//! What binds a request to a target: the key of a consistent hash, or a cookie.
//!
//! The cookie holds a hash of the target's name, so that it says nothing about the network behind, and
//! stays good when targets are added. It is set only on a response that no cache keeps for others.

use http::{HeaderMap, HeaderValue, header};
use manifest::HashKey;
use upstream::hash;

use super::forwarded::Forwarded;

/// What a consistent hash goes by; `None` if the request does not have it.
pub(super) fn key(key: &HashKey, request: &Forwarded) -> Option<u64> {
    Some(match key {
        HashKey::Path => hash(request.path_and_query.path().as_bytes()),
        HashKey::Client => hash(request.client.to_string().as_bytes()),
        HashKey::Header(name) => hash(request.headers.get(name)?.as_bytes()),
        HashKey::Cookie(name) => hash(cookie(&request.headers, name)?.as_bytes()),
    })
}

/// Binds clients to targets by a cookie.
pub(super) struct Binding {
    cookie: String,
    /// What the cookie holds for each target.
    marks: Vec<String>,
}

impl Binding {
    pub fn new(cookie: &str, targets: &[String]) -> Self {
        let marks = targets.iter().map(|name| format!("{:016x}", hash(name.as_bytes()))).collect();
        Self { cookie: cookie.to_owned(), marks }
    }

    /// The target that a client is bound to.
    pub fn of(&self, headers: &HeaderMap) -> Option<usize> {
        let mark = cookie(headers, &self.cookie)?;
        self.marks.iter().position(|known| known == mark)
    }

    pub fn bind(&self, at: usize, headers: &mut HeaderMap) {
        if !is_for_one(headers) {
            return;
        }
        let value = format!("{}={}; Path=/; HttpOnly; SameSite=Lax", self.cookie, self.marks[at]);
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// Whether nobody but the client that asked may keep a response.
fn is_for_one(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(','));
    let keeps = |directive: &str| {
        let name = directive.trim().split('=').next().unwrap_or_default().to_ascii_lowercase();
        ["public", "s-maxage", "max-age"].contains(&name.as_str())
    };
    let says_none = !headers.contains_key(header::CACHE_CONTROL) && !headers.contains_key(header::EXPIRES);
    says_none || !directives.any(keeps)
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}
