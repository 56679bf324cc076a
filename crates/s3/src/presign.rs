//! Presigned URLs, made here rather than by a client.

use http::{HeaderMap, HeaderValue, header};

use crate::date;
use crate::sigv4::{ALGORITHM, Canonical, Credential, SigningKey, UNSIGNED, encode_pair, encode_path, string_to_sign};

/// What a URL lets its bearer do.
pub struct Presign<'a> {
    pub method: &'a str,
    /// Of the endpoint, with the port.
    pub host: &'a str,
    pub bucket: &'a str,
    pub key: &'a str,
    pub access_key: &'a str,
    pub secret: &'a str,
    pub unix_s: u64,
    pub expires_s: u64,
}

impl Presign<'_> {
    /// The URL, in path style, with the scheme that the endpoint has.
    pub fn url(&self, scheme: &str) -> String {
        let amz_date = date::basic(self.unix_s);
        let credential = Credential {
            access_key: self.access_key.into(),
            date: amz_date[..8].into(),
            region: "us-east-1".into(),
            service: "s3".into(),
        };
        let query: Vec<(String, String)> = [
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            ("X-Amz-Credential", format!("{}/{}", self.access_key, credential.scope())),
            ("X-Amz-Date", amz_date.clone()),
            ("X-Amz-Expires", self.expires_s.to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let mut headers = HeaderMap::new();
        if let Ok(host) = HeaderValue::from_str(self.host) {
            headers.insert(header::HOST, host);
        }
        let path = format!("/{}/{}", self.bucket, self.key);
        let canonical = Canonical {
            method: self.method,
            path: &path,
            query: &query,
            headers: &headers,
            signed: &["host".to_owned()],
            payload: UNSIGNED,
        };
        let text = string_to_sign(&amz_date, &credential, &canonical.text());
        let signature = SigningKey::derive(self.secret, &credential).sign(&text);
        let pairs: Vec<String> = query.iter().map(|(name, value)| encode_pair(name, value)).collect();
        let (path, query) = (encode_path(&path), pairs.join("&"));
        format!("{scheme}://{}{path}?{query}&X-Amz-Signature={signature}", self.host)
    }
}
