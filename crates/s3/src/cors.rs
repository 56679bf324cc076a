//! Cross-origin requests, as a bucket's rules allow them.

use base::{Body, code};
use http::request::Parts as Head;
use http::{HeaderValue, Response, StatusCode, header};
use services::access_key::AccessKey;
use services::blob::{Bucket, CorsRule};

use crate::error::Error;
use crate::request::Asked;
use crate::sigv4::Credential;
use crate::{Parts, empty};

/// The origin of the page that asks.
pub struct Origin(String);

impl Origin {
    pub fn of(head: &Head) -> Option<Self> {
        let origin = head.headers.get(header::ORIGIN)?.to_str().ok()?;
        Some(Self(origin.to_owned()))
    }
}

/// Answers a preflight. It is not signed; the bucket is one of the app whose key the URL (or, for a
/// request whose header will be signed, nothing) names. Without a name there is no way to tell whose
/// bucket is meant, so rules apply to presigned URLs and to forms that name the key in their URL.
pub async fn preflight(parts: &Parts, asked: &Asked, origin: Option<&Origin>) -> Result<Response<Body>, Error> {
    let refused =
        || Error::new(403, "AccessForbidden", &code::S3_DENIED, "CORSResponse: this CORS request is not allowed.");
    let (origin, method) = (origin.ok_or_else(refused)?, asked.field("access-control-request-method"));
    let method = method.ok_or_else(refused)?;
    let headers = asked.field("access-control-request-headers").unwrap_or_default();
    let names = || headers.split(',').map(str::trim).filter(|name| !name.is_empty());
    let rules = rules(parts, asked).await;
    let rule = rules.iter().find(|rule| rule.allows(&origin.0, method, names())).ok_or_else(refused)?;
    let mut response = empty(StatusCode::OK);
    write(rule, origin, &mut response);
    if !headers.is_empty() {
        set(&mut response, header::ACCESS_CONTROL_ALLOW_HEADERS, headers);
    }
    if let Some(seconds) = rule.max_age_s {
        set(&mut response, header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
    }
    Ok(response)
}

/// Lets the page read the answer, if a rule allows it.
pub async fn allow(parts: &Parts, asked: &Asked, origin: &Origin, response: &mut Response<Body>) {
    let rules = rules(parts, asked).await;
    let method = asked.method.as_str();
    if let Some(rule) = rules.iter().find(|rule| rule.allows(&origin.0, method, std::iter::empty())) {
        write(rule, origin, response);
        if !rule.expose.is_empty() {
            set(response, header::ACCESS_CONTROL_EXPOSE_HEADERS, &rule.expose.join(", "));
        }
    }
}

fn write(rule: &CorsRule, origin: &Origin, response: &mut Response<Body>) {
    let any = rule.origins.iter().any(|pattern| pattern == "*");
    set(response, header::ACCESS_CONTROL_ALLOW_ORIGIN, if any { "*" } else { &origin.0 });
    set(response, header::ACCESS_CONTROL_ALLOW_METHODS, &rule.methods.join(", "));
    set(response, header::VARY, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

async fn rules(parts: &Parts, asked: &Asked) -> Vec<CorsRule> {
    let Some(key) = named_key(parts, asked).await else { return Vec::new() };
    let Some(name) = asked.bucket.as_deref().and_then(|name| base::ResourceName::parse(name).ok()) else {
        return Vec::new();
    };
    let bucket = Bucket::new(key.app.tenant, key.app.app, name);
    match parts.blobs.bucket(&bucket).await {
        Ok(Some(info)) => info.settings.cors,
        _ => Vec::new(),
    }
}

/// The access key that a request names, whether or not its signature is right.
async fn named_key(parts: &Parts, asked: &Asked) -> Option<AccessKey> {
    let in_header = asked.field("authorization").and_then(|text| {
        let rest = text.split_once("Credential=")?.1;
        Credential::parse(rest.split(',').next()?.trim())
    });
    let credential = in_header.or_else(|| Credential::parse(asked.parameter("X-Amz-Credential")?))?;
    Some(parts.keys.find(&credential.access_key).await.ok()??.0)
}
