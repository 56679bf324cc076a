//! Public buckets: a route that leads to a bucket serves its blobs to everybody, to read.

use std::sync::Arc;

use base::{Body, code};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use services::blob::{Blob, BlobError, Blobs, Bucket, Conditions, Content, CorsRule, Etags, GetOptions, RangeSpec};
use worker::Failure;

use crate::assets::is_read;
use crate::respond::refuse;

mod cors;

/// A bucket that a route leads to.
#[derive(Clone)]
pub struct PublicBucket {
    pub provider: Arc<dyn Blobs>,
    pub bucket: Bucket,
}

impl PublicBucket {
    /// Answers a request for the blob under `rest`, what the route's `*` stands for, as the path has
    /// it. Conditions and ranges are those of HTTP; without a blob it is a 404.
    pub async fn answer(&self, method: &Method, headers: &HeaderMap, rest: &str) -> Result<Response<Body>, Failure> {
        let rules = match headers.contains_key(header::ORIGIN) {
            true => self.rules().await,
            false => Vec::new(),
        };
        if let Some(response) = cors::preflight(&rules, method, headers) {
            return Ok(response);
        }
        if !is_read(method) {
            return Err(refuse(&code::METHOD_NOT_ALLOWED, format!("{method} is not allowed on a public bucket")));
        }
        let key = percent_decode_str(rest).decode_utf8();
        let key = key.map_err(|_| refuse(&code::BAD_PATH, "the key of a blob is UTF-8"))?;
        if key.is_empty() {
            return Err(refuse(&code::NOT_FOUND, "a bucket has no page of its own"));
        }
        let field = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let conditions = conditions(&field);
        let range = field(header::RANGE).and_then(RangeSpec::parse);
        let options = GetOptions { version: None, range, conditions };
        let mut found = self.provider.get(&self.bucket, &key, options.clone()).await;
        // If-Range: what changed meanwhile is sent as a whole.
        if range.is_some()
            && let (Some(wanted), Ok(Some(blob))) = (field(header::IF_RANGE), &found)
            && !Etags::parse(wanted).has(&blob.info.etag)
        {
            found = self.provider.get(&self.bucket, &key, GetOptions { range: None, ..options }).await;
        }
        match found {
            Ok(Some(blob)) => {
                let mut response = response(blob, range.is_some());
                cors::allow(&rules, method, headers, &mut response);
                Ok(response)
            }
            Ok(None) => Err(refuse(&code::NOT_FOUND, format!("there is no blob {key:?} in {}", self.bucket.name))),
            Err(BlobError::BadRange { size }) => Ok(unsatisfiable(size)),
            Err(error) => Err(Failure::new(error.code(), error.to_string())),
        }
    }

    /// Which pages of other origins the bucket lets in; without an answer, none.
    async fn rules(&self) -> Vec<CorsRule> {
        let info = self.provider.bucket(&self.bucket).await.ok().flatten();
        info.map(|info| info.settings.cors).unwrap_or_default()
    }
}

fn conditions<'h>(field: &impl Fn(header::HeaderName) -> Option<&'h str>) -> Conditions {
    let date = |name| field(name).and_then(|text| httpdate::parse_http_date(text).ok());
    let ms = |time: std::time::SystemTime| {
        time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    };
    Conditions {
        if_match: field(header::IF_MATCH).map(Etags::parse),
        if_none_match: field(header::IF_NONE_MATCH).map(Etags::parse),
        if_modified_since_ms: date(header::IF_MODIFIED_SINCE).map(ms),
        if_unmodified_since_ms: date(header::IF_UNMODIFIED_SINCE).map(ms),
        whole_seconds: true,
    }
}

fn response(blob: Blob, ranged: bool) -> Response<Body> {
    let Blob { info, content } = blob;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    for (name, value) in info.http.fields() {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    }
    // What strangers uploaded must not be taken for a page of the app.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(headers, header::ETAG, format!("\"{}\"", info.etag));
    let uploaded = std::time::UNIX_EPOCH + std::time::Duration::from_millis(info.uploaded_ms);
    insert(headers, header::LAST_MODIFIED, httpdate::fmt_http_date(uploaded));
    match content {
        Content::NotModified => *response.status_mut() = StatusCode::NOT_MODIFIED,
        Content::Refused => *response.status_mut() = StatusCode::PRECONDITION_FAILED,
        Content::Bytes { body, range } => {
            insert(headers, header::CONTENT_LENGTH, range.length.to_string());
            if ranged {
                let last = range.end().saturating_sub(1);
                insert(headers, header::CONTENT_RANGE, format!("bytes {}-{last}/{}", range.offset, info.size));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
            *response.body_mut() = body;
        }
    }
    response
}

fn unsatisfiable(size: u64) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    insert(response.headers_mut(), header::CONTENT_RANGE, format!("bytes */{size}"));
    response
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(name, value);
    }
}
