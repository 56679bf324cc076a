//! The other side of the protocol: requests to a bucket that others serve, signed, and what their answers say.
//!
//! Pure functions too: whoever has a connection sends what [`Bucket::sign`] makes. Keys are in path style, which
//! every server of the protocol knows.

use base::Secret;
use bytes::Bytes;
use http::header::RANGE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use roxmltree::Document;

use crate::date;
use crate::sigv4::{
    ALGORITHM, Canonical, Credential, SigningKey, encode_pair, encode_path, sha256_hex, string_to_sign,
};
use crate::xml::{self, Writer};

/// A bucket, and who asks.
pub struct Bucket {
    /// `http` or `https`.
    pub scheme: String,
    /// Of the endpoint, with the port if it is not the scheme's own.
    pub host: String,
    pub name: String,
    pub region: String,
    pub access_key: String,
    pub secret: Secret<String>,
}

/// What is asked of a bucket.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    /// Empty for the bucket itself.
    pub key: String,
    pub query: Vec<(&'static str, String)>,
    /// Only these bytes of what is there: from one on, and so many of them if it is said how many.
    pub range: Option<(u64, Option<u64>)>,
    pub body: Bytes,
}

impl Ask {
    pub fn new(method: Method, key: &str) -> Self {
        Self { method, key: key.to_owned(), query: Vec::new(), range: None, body: Bytes::new() }
    }

    pub fn query(mut self, name: &'static str, value: &str) -> Self {
        self.query.push((name, value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// A request that may be sent.
#[derive(Debug)]
pub struct Signed {
    pub url: String,
    pub headers: HeaderMap,
}

impl Bucket {
    /// Signs a request, the content included: what arrives as another is refused.
    pub fn sign(&self, ask: &Ask, unix_s: u64) -> Signed {
        let amz_date = date::basic(unix_s);
        let credential = Credential {
            access_key: self.access_key.clone(),
            date: amz_date[..8].into(),
            region: self.region.clone(),
            service: "s3".into(),
        };
        let payload = sha256_hex(&ask.body);
        let mut headers = HeaderMap::new();
        let fields = [("host", self.host.as_str()), ("x-amz-content-sha256", &payload), ("x-amz-date", &amz_date)];
        for (name, value) in fields {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        let path = match ask.key.as_str() {
            "" => format!("/{}", self.name),
            key => format!("/{}/{key}", self.name),
        };
        let query: Vec<(String, String)> =
            ask.query.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let signed = fields.map(|(name, _)| name.to_owned());
        let canonical = Canonical {
            method: ask.method.as_str(),
            path: &path,
            query: &query,
            headers: &headers,
            signed: &signed,
            payload: &payload,
        };
        let text = string_to_sign(&amz_date, &credential, &canonical.text());
        let signature = SigningKey::derive(self.secret.expose(), &credential).sign(&text);
        let authorization = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
            self.access_key,
            credential.scope(),
            signed.join(";"),
        );
        if let Ok(mut value) = HeaderValue::from_str(&authorization) {
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
        if let Some((from, bytes)) = ask.range {
            let last = bytes.map(|bytes| (from + bytes.max(1) - 1).to_string()).unwrap_or_default();
            headers.extend(HeaderValue::try_from(format!("bytes={from}-{last}")).map(|range| (RANGE, range)));
        }
        let pairs: Vec<String> = query.iter().map(|(name, value)| encode_pair(name, value)).collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        Signed {
            url: format!("{}://{}{}{mark}{}", self.scheme, self.host, encode_path(&path), pairs.join("&")),
            headers,
        }
    }
}

/// A document that is none of the protocol's.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the answer is no document of the S3 protocol: {0}")]
pub struct Foreign(String);

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Each with its size.
    pub keys: Vec<(String, u64)>,
    /// Where the next one begins.
    pub next: Option<String>,
}

/// What a bucket or a key refuses with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
}

/// The request for a page of the keys that begin so.
pub fn list(prefix: &str, after: Option<&str>) -> Ask {
    let ask = Ask::new(Method::GET, "").query("list-type", "2").query("prefix", prefix);
    match after {
        Some(token) => ask.query("continuation-token", token),
        None => ask,
    }
}

pub fn read_page(bytes: &[u8]) -> Result<Page, Foreign> {
    read(bytes, "ListBucketResult", |root| {
        let mut keys = Vec::new();
        for found in xml::all(root, "Contents") {
            let key = xml::text(found, "Key").ok_or_else(|| Foreign("a key has no name".into()))?;
            let bytes = xml::text(found, "Size").and_then(|size| size.trim().parse().ok());
            keys.push((key, bytes.ok_or_else(|| Foreign("a key has no size".into()))?));
        }
        let is_cut = xml::text(root, "IsTruncated").is_some_and(|text| text.trim() == "true");
        let next = xml::text(root, "NextContinuationToken").filter(|_| is_cut);
        match is_cut && next.is_none() {
            true => Err(Foreign("the page is not the last, and says not what follows".into())),
            false => Ok(Page { keys, next }),
        }
    })
}

/// The id of an upload in parts that was begun.
pub fn read_upload(bytes: &[u8]) -> Result<String, Foreign> {
    let missing = || Foreign("the upload has no id".into());
    read(bytes, "InitiateMultipartUploadResult", |root| xml::text(root, "UploadId").ok_or_else(missing))
}

/// Puts the parts of an upload together, by their ETags.
pub fn complete(key: &str, upload: &str, etags: &[String]) -> Ask {
    let mut document = Writer::root("CompleteMultipartUpload");
    for (part, etag) in (1..).zip(etags) {
        document.open("Part").show("PartNumber", part).text("ETag", etag).close("Part");
    }
    document.close("CompleteMultipartUpload");
    Ask::new(Method::POST, key).query("uploadId", upload).body(document.finish())
}

/// What an answer refuses with, if it does: one that begins well may do so too.
pub fn refusal(bytes: &[u8]) -> Option<Refusal> {
    let refused = read(bytes, "Error", |root| {
        let text = |name| xml::text(root, name).unwrap_or_default();
        Ok(Refusal { code: text("Code"), message: text("Message") })
    });
    refused.ok()
}

fn read<T>(
    bytes: &[u8],
    root: &str,
    read: impl FnOnce(roxmltree::Node<'_, '_>) -> Result<T, Foreign>,
) -> Result<T, Foreign> {
    let text = std::str::from_utf8(bytes).map_err(|error| Foreign(error.to_string()))?;
    let document = Document::parse(text).map_err(|error| Foreign(error.to_string()))?;
    let found = document.root_element();
    match found.tag_name().name() == root {
        true => read(found),
        false => Err(Foreign(format!("it is a {}, where {root} was to come", found.tag_name().name()))),
    }
}

#[cfg(test)]
mod tests;
