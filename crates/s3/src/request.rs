//! What a request is about: bucket, key, parameters.

use std::sync::OnceLock;

use http::request::Parts as Head;
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use services::AppId;

use crate::error::Error;

/// A request, taken apart.
#[derive(Debug)]
pub struct Asked {
    pub method: Method,
    /// Decoded, as it was signed: with the bucket, if that stands in the path.
    pub path: String,
    /// Decoded, in the order sent.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub bucket: Option<String>,
    pub key: Option<String>,
    /// Whose key has signed it, once that is known.
    pub app: OnceLock<AppId>,
}

impl Asked {
    pub fn read(head: Head, hosts: &[String]) -> Result<Self, Error> {
        let path = decode(head.uri.path()).ok_or_else(|| Error::uri("the path is not UTF-8"))?;
        let query = match head.uri.query() {
            Some(query) => parse_query(query).ok_or_else(|| Error::uri("the query is not UTF-8"))?,
            None => Vec::new(),
        };
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let rest = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = match bucket_of_host(host, hosts) {
            Some(bucket) => (Some(bucket.to_owned()), rest),
            None => match rest.split_once('/') {
                Some((bucket, key)) => (Some(bucket.to_owned()), key),
                None => (Some(rest.to_owned()), ""),
            },
        };
        let bucket = bucket.filter(|bucket| !bucket.is_empty());
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        let app = OnceLock::new();
        Ok(Self { method: head.method, path, query, headers: head.headers, bucket, key, app })
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }

    /// A header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        // Metadata may be UTF-8, which `to_str` does not take.
        std::str::from_utf8(self.headers.get(name)?.as_bytes()).ok()
    }

    /// A parameter that is a number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Error> {
        match self.parameter(name) {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Error::argument(format!("{name} is no whole number"))),
        }
    }
}

/// The bucket of a host such as `images.s3.example.com`.
fn bucket_of_host<'h>(host: &'h str, hosts: &[String]) -> Option<&'h str> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    hosts.iter().find_map(|base| name.strip_suffix(base.as_str())?.strip_suffix('.'))
}

pub fn parse_query(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
    };
    pairs.map(pair).collect()
}

pub fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}
