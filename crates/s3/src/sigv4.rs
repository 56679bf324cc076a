//! AWS Signature Version 4, as pure functions: what is signed, and with which key.
//!
//! Source: "Signature Calculations for the Authorization Header" of the S3 API reference.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What every part of a URL leaves as it is (RFC 3986: unreserved).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// Who signs, and for when and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub access_key: String,
    /// `YYYYMMDD`
    pub date: String,
    pub region: String,
    pub service: String,
}

impl Credential {
    /// Reads `KEY/DATE/REGION/SERVICE/aws4_request`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplit('/');
        let (end, service, region, date) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let access_key = parts.rev().collect::<Vec<_>>().join("/");
        if end != "aws4_request" || access_key.is_empty() || date.len() != 8 {
            return None;
        }
        Some(Self { access_key, date: date.into(), region: region.into(), service: service.into() })
    }

    pub fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// What signs the requests of one day.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    pub fn derive(secret: &str, credential: &Credential) -> Self {
        let first = hmac::Key::new(HMAC_SHA256, format!("AWS4{secret}").as_bytes());
        let steps = [&credential.date, &credential.region, &credential.service, "aws4_request"];
        let key = steps
            .iter()
            .fold(first, |key, step: &&str| hmac::Key::new(HMAC_SHA256, hmac::sign(&key, step.as_bytes()).as_ref()));
        Self(key)
    }

    pub fn sign(&self, text: &str) -> String {
        hex::encode(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }

    /// Compares in constant time.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        hmac::verify(&self.0, text.as_bytes(), &signature).is_ok()
    }
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes).as_ref())
}

/// The text whose digest is signed.
pub struct Canonical<'a> {
    pub method: &'a str,
    /// Decoded.
    pub path: &'a str,
    /// Decoded.
    pub query: &'a [(String, String)],
    pub headers: &'a HeaderMap,
    /// In lower case.
    pub signed: &'a [String],
    /// Its digest in hexadecimal, or one of the words that stand for it.
    pub payload: &'a str,
}

impl Canonical<'_> {
    pub fn text(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
        let mut query: Vec<(String, String)> = self
            .query
            .iter()
            .filter(|(name, _)| name != "X-Amz-Signature")
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers: String =
            self.signed.iter().map(|name| format!("{name}:{}\n", field(self.headers, name))).collect();
        let path = utf8_percent_encode(self.path, PATH);
        let (query, signed) = (query.join("&"), self.signed.join(";"));
        format!("{}\n{path}\n{query}\n{headers}\n{signed}\n{}", self.method, self.payload)
    }
}

/// The values of a field, each without white space around it and with single spaces in it.
fn field(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| {
        let value = String::from_utf8_lossy(value.as_bytes());
        value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

pub fn string_to_sign(amz_date: &str, credential: &Credential, canonical: &str) -> String {
    format!("{ALGORITHM}\n{amz_date}\n{}\n{}", credential.scope(), sha256_hex(canonical.as_bytes()))
}

/// The query of a presigned URL, but for its signature, which `sign` makes of the rest.
pub fn encode_pair(name: &str, value: &str) -> String {
    format!("{}={}", utf8_percent_encode(name, UNRESERVED), utf8_percent_encode(value, UNRESERVED))
}

pub fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}
