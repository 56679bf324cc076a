//! Pages of other origins, as the rules of a bucket let them in (the Fetch standard, "CORS protocol").

use base::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use services::blob::CorsRule;

/// The answer to a preflight that a rule allows. Whatever else asks for OPTIONS gets none here.
pub fn preflight(rules: &[CorsRule], method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
    if method != Method::OPTIONS {
        return None;
    }
    let (origin, wanted) = (text(headers, header::ORIGIN)?, text(headers, header::ACCESS_CONTROL_REQUEST_METHOD)?);
    let fields = text(headers, header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    let names = || fields.split(',').map(str::trim).filter(|name| !name.is_empty());
    let rule = rules.iter().find(|rule| rule.allows(origin, wanted, names()))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let to = response.headers_mut();
    name_origin(rule, origin, to);
    set(to, header::ACCESS_CONTROL_ALLOW_METHODS, &rule.methods.join(", "));
    if !fields.is_empty() {
        set(to, header::ACCESS_CONTROL_ALLOW_HEADERS, fields);
    }
    if let Some(seconds) = rule.max_age_s {
        set(to, header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
    }
    Some(response)
}

/// Lets the page read the answer, if a rule allows it.
pub fn allow(rules: &[CorsRule], method: &Method, headers: &HeaderMap, response: &mut Response<Body>) {
    let Some(origin) = text(headers, header::ORIGIN) else { return };
    let Some(rule) = rules.iter().find(|rule| rule.allows(origin, method.as_str(), std::iter::empty())) else { return };
    let to = response.headers_mut();
    name_origin(rule, origin, to);
    if !rule.expose.is_empty() {
        set(to, header::ACCESS_CONTROL_EXPOSE_HEADERS, &rule.expose.join(", "));
    }
}

fn name_origin(rule: &CorsRule, origin: &str, to: &mut HeaderMap) {
    let any = rule.origins.iter().any(|pattern| pattern == "*");
    set(to, header::ACCESS_CONTROL_ALLOW_ORIGIN, if any { "*" } else { origin });
    to.append(header::VARY, HeaderValue::from_static("Origin"));
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
