//! Header fields: metadata, tags, checksums and conditions of a request, and those of an answer.

use base::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use services::Durability;
use services::blob::{Algorithm, BlobInfo, Checksum, Conditions, Etags, Expected, HttpMetadata, Map, Versioning};

use super::Call;
use crate::auth::Payload;
use crate::chunked::Content;
use crate::date;
use crate::error::Error;
use crate::request::{Asked, parse_query};

const META: &str = "x-amz-meta-";

/// What of a request describes the blob.
pub fn metadata(asked: &Asked) -> Result<(HttpMetadata, Map), Error> {
    check_choices(asked)?;
    let mut http = HttpMetadata::default();
    for name in
        ["content-type", "content-language", "content-disposition", "content-encoding", "cache-control", "expires"]
    {
        if let (Some(value), Some(field)) = (asked.field(name), http.field(name)) {
            *field = Some(value.to_owned()).filter(|value| !value.is_empty());
        }
    }
    // `aws-chunked` is how the content came, not what it is.
    if let Some(coding) = &http.content_encoding {
        let rest: Vec<&str> = coding.split(',').map(str::trim).filter(|name| *name != "aws-chunked").collect();
        http.content_encoding = Some(rest.join(",")).filter(|rest| !rest.is_empty());
    }
    let mut custom = Map::new();
    for name in asked.headers.keys().filter(|name| name.as_str().starts_with(META)) {
        let values: Result<Vec<&str>, _> =
            asked.headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes())).collect();
        let value = values.map_err(|_| Error::argument(format!("{name} is not UTF-8")))?.join(",");
        custom.insert(name.as_str()[META.len()..].to_owned(), value);
    }
    Ok((http, custom))
}

/// Refuses what would be stored in another way than asked for.
fn check_choices(asked: &Asked) -> Result<(), Error> {
    let other = |name: &str, ours: &[&str]| asked.field(name).is_some_and(|value| !ours.contains(&value));
    if other("x-amz-storage-class", &["STANDARD"]) {
        return Err(Error::new(
            400,
            "InvalidStorageClass",
            &base::code::S3_UNSUPPORTED,
            "the storage class is STANDARD",
        ));
    }
    if other("x-amz-server-side-encryption", &["AES256"]) {
        return Err(Error::unsupported("keys of others; blobs are encrypted with the app's own key (AES256)"));
    }
    if asked.headers.keys().any(|name| name.as_str().starts_with("x-amz-server-side-encryption-customer-")) {
        return Err(Error::unsupported("encryption with the client's key"));
    }
    if other("x-amz-acl", &["private", "bucket-owner-full-control"]) {
        let message = "The bucket does not allow ACLs; make it public with a route.";
        return Err(Error::new(400, "AccessControlListNotSupported", &base::code::S3_UNSUPPORTED, message));
    }
    if asked.headers.keys().any(|name| name.as_str().starts_with("x-amz-object-lock-")) {
        return Err(Error::unsupported("object lock"));
    }
    if asked.field("x-amz-website-redirect-location").is_some() {
        return Err(Error::unsupported("redirects of a website; make a route that redirects"));
    }
    Ok(())
}

/// `x-amz-tagging`, in the form of a query.
pub fn tags(asked: &Asked) -> Result<Option<Map>, Error> {
    let Some(text) = asked.field("x-amz-tagging") else { return Ok(None) };
    let bad = || Error::new(400, "InvalidArgument", &base::code::BLOB_BAD_TAGS, "x-amz-tagging is no query");
    let pairs = parse_query(text).ok_or_else(bad)?;
    let count = pairs.len();
    let tags: Map = pairs.into_iter().collect();
    if tags.len() < count {
        return Err(Error::new(400, "InvalidTag", &base::code::BLOB_BAD_TAGS, "a tag stands twice"));
    }
    Ok(Some(tags))
}

pub fn checksum(asked: &Asked) -> Result<Option<Checksum>, Error> {
    let mut found = None;
    for algorithm in Algorithm::ALL {
        let Some(text) = asked.field(checksum_field(algorithm)) else { continue };
        if found.is_some() {
            return Err(Error::request("Expecting a single x-amz-checksum- header"));
        }
        let value = STANDARD.decode(text).ok().filter(|value| value.len() == algorithm.bytes());
        let value = value
            .ok_or_else(|| Error::request(format!("Value for {} header is invalid.", checksum_field(algorithm))))?;
        found = Some(Checksum { algorithm, value, parts: None });
    }
    Ok(found)
}

pub fn checksum_field(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Crc32 => "x-amz-checksum-crc32",
        Algorithm::Crc32c => "x-amz-checksum-crc32c",
        Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        Algorithm::Sha1 => "x-amz-checksum-sha1",
        Algorithm::Sha256 => "x-amz-checksum-sha256",
    }
}

pub fn algorithm(asked: &Asked) -> Result<Option<Algorithm>, Error> {
    let named = asked.field("x-amz-checksum-algorithm").or(asked.field("x-amz-sdk-checksum-algorithm"));
    let Some(name) = named else { return Ok(None) };
    Algorithm::parse(name).map(Some).ok_or_else(|| Error::request(format!("{name} is no checksum algorithm")))
}

/// The value as the protocol writes it.
pub fn checksum_text(checksum: &Checksum) -> String {
    let value = STANDARD.encode(&checksum.value);
    match checksum.parts {
        Some(parts) => format!("{value}-{parts}"),
        None => value,
    }
}

pub fn checksum_kind(checksum: &Checksum) -> &'static str {
    if checksum.parts.is_some() { "COMPOSITE" } else { "FULL_OBJECT" }
}

/// Conditions on what is there; `prefix` is that of the fields, for a copy's source.
pub fn conditions(asked: &Asked, prefix: &str) -> Conditions {
    let field = |name: &str| asked.field(&format!("{prefix}{name}"));
    Conditions {
        if_match: field("if-match").map(Etags::parse),
        if_none_match: field("if-none-match").map(Etags::parse),
        if_modified_since_ms: field("if-modified-since").and_then(date::parse_http),
        if_unmodified_since_ms: field("if-unmodified-since").and_then(date::parse_http),
        whole_seconds: true,
    }
}

/// Those of a write: tags alone.
pub fn write_conditions(asked: &Asked) -> Conditions {
    Conditions { if_modified_since_ms: None, if_unmodified_since_ms: None, ..conditions(asked, "") }
}

/// The content of a request, out of its framing, and what it must come to.
pub fn content(call: &Call<'_>, body: Body) -> Result<(Body, Expected), Error> {
    let asked = call.asked;
    let mut expect = Expected { checksum: checksum(asked)?, algorithm: algorithm(asked)?, ..Expected::default() };
    if let Some(text) = asked.field("content-md5") {
        let md5 = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        expect.md5 = Some(md5.ok_or_else(|| Error::digest("The Content-MD5 you specified is not valid."))?);
    }
    let length = |name: &str| {
        let text = asked.field(name)?;
        Some(text.parse::<u64>().map_err(|_| Error::argument(format!("{name} is no length"))))
    };
    match &call.caller.payload {
        Payload::Unsigned => expect.size = length("content-length").transpose()?,
        Payload::Sha256(digest) => {
            expect.sha256 = Some(*digest);
            expect.size = length("content-length").transpose()?;
        }
        Payload::Chunks(framing) => {
            let missing = || {
                Error::new(
                    411,
                    "MissingContentLength",
                    &base::code::S3_BAD_REQUEST,
                    "x-amz-decoded-content-length is missing",
                )
            };
            expect.size = Some(length("x-amz-decoded-content-length").ok_or_else(missing)??);
            let trailer = services::blob::Trailer::default();
            if let Some(named) = asked.field("x-amz-trailer") {
                let algorithm = named.trim().to_ascii_lowercase();
                let algorithm = algorithm.strip_prefix("x-amz-checksum-").and_then(Algorithm::parse);
                expect.algorithm = algorithm.or(expect.algorithm);
                expect.trailer = algorithm.map(|_| trailer.clone());
            }
            return Ok((Content::wrap(body, framing.clone(), trailer), expect));
        }
    }
    Ok((body, expect))
}

/// The fields that describe a version.
pub fn describe(info: &BlobInfo, versioning: Versioning, response: &mut Response<Body>) {
    let headers = response.headers_mut();
    for (name, value) in info.http.fields() {
        set(headers, name, value);
    }
    if info.http.content_type.is_none() {
        set(headers, "content-type", "binary/octet-stream");
    }
    for (name, value) in &info.custom {
        set(headers, &format!("{META}{name}"), value);
    }
    if !info.tags.is_empty() {
        set(headers, "x-amz-tagging-count", &info.tags.len().to_string());
    }
    set(headers, "accept-ranges", "bytes");
    set(headers, "last-modified", &date::http(info.uploaded_ms));
    identify(info, versioning, headers);
}

/// The fields that name a version.
pub fn identify(info: &BlobInfo, versioning: Versioning, headers: &mut HeaderMap) {
    if !info.marker {
        set(headers, "etag", &format!("\"{}\"", info.etag));
        set(headers, "x-amz-server-side-encryption", "AES256");
    }
    if versioning != Versioning::Off {
        set(headers, "x-amz-version-id", &info.version.id().to_string());
    }
}

/// What a write outlives that was answered, by Selvedge's own name.
pub fn tell_durability(durability: Durability, headers: &mut HeaderMap) {
    set(headers, "x-selvedge-durability", durability.as_str());
}

pub fn show_checksum(checksum: Option<&Checksum>, headers: &mut HeaderMap) {
    if let Some(checksum) = checksum {
        set(headers, checksum_field(checksum.algorithm), &checksum_text(checksum));
        set(headers, "x-amz-checksum-type", checksum_kind(checksum));
    }
}

pub fn set(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
        headers.insert(name, value);
    }
}

pub fn document(text: String) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
