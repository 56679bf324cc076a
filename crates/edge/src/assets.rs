//! Static files: which there are ([`AssetIndex`]), and how one is answered with.
//!
//! - A path is percent-decoded once. `%2f`, `%5c` and NUL never match a file.
//! - `/` and `/docs/` are `index.html` of the directory, `/about` is `about.html` if there is no
//!   file `about`; every other address of the two is redirected there. [`manifest::HtmlHandling`] has
//!   other tastes.
//! - The rules of `_redirects` come before files, but for those with status 200, and those of
//!   `_headers` are applied to what is answered with a file.
//! - Of a file with others beside it in another coding (`.br`, `.zst`, `.gz`) the client gets the one
//!   that it wants. A file whose name has a fingerprint is kept for ever.
//! - Names that begin with a dot are not served, except below `/.well-known/`.
//! - `ETag` is strong and made of the content; `If-None-Match`, `If-Range` and a single `Range`
//!   are honoured (RFC 9110, sections 13 and 14). `Last-Modified` is not sent: a deployment has no
//!   such thing, and two nodes would disagree.

use std::sync::Arc;

use base::{Body, code};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use manifest::NotFound;
use manifest::route::rules::StandIn;
use manifest::site_files::Elsewhere;
use net::Request;
use worker::Failure;

use crate::pipeline::rules;
use crate::respond::refuse;

mod choose;
mod index;
mod read;
mod service;
mod validate;

pub(crate) use index::{Asset, Lookup};
pub use index::{AssetEntry, AssetIndex, AssetMemory, AssetsError, IN_MEMORY_BYTES_MAX};
pub use service::AssetService;
use validate::{Span, Wanted};

/// Browsers ask each time, and are told that nothing changed.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

/// RFC 8246: nobody asks again.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

type Answer = Result<Response<Body>, Failure>;

/// Files are read, not written.
pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The answer for a path that stands for a file; `None` if there is none.
pub(crate) async fn serve(files: &Arc<AssetIndex>, request: &Request) -> Option<Answer> {
    let elsewhere = files.redirects.find(request.path(), request.path_and_query.query());
    if let Some(Elsewhere::Redirect { status, location }) = elsewhere {
        return Some(rules::redirected(status, location));
    }
    match files.look_up(request.path()) {
        Lookup::Missing => match elsewhere {
            Some(Elsewhere::File(path)) if is_read(&request.method) => {
                let path = path.split(['?', '#']).next().unwrap_or_default();
                Some(send(files, files.page_at(path)?, request, StatusCode::OK).await)
            }
            _ => None,
        },
        Lookup::Refused => Some(Err(refuse(
            &code::BAD_PATH,
            "a path of a file can't hold an encoded slash, an encoded backslash, NUL, or a broken escape",
        ))),
        _ if !is_read(&request.method) => Some(Ok(not_allowed(request))),
        Lookup::Redirect(path) => Some(Ok(redirect(path, request))),
        Lookup::File(asset) => Some(send(files, asset, request, StatusCode::OK).await),
    }
}

/// What a directory answers with instead of a file that is not there.
pub(crate) async fn instead(files: &Arc<AssetIndex>, request: &Request, not_found: NotFound) -> Option<Answer> {
    if !is_read(&request.method) {
        return None;
    }
    match not_found {
        NotFound::None => None,
        NotFound::SinglePage => Some(send(files, files.file("/index.html")?, request, StatusCode::OK).await),
        NotFound::Page404 => {
            Some(send(files, files.nearest_404(request.path())?, request, StatusCode::NOT_FOUND).await)
        }
    }
}

/// One file, whatever was asked for and how; `None` if it is not there. Unless its status is 200 it is for this
/// moment, and nobody keeps it.
pub(crate) async fn stand_in(files: &Arc<AssetIndex>, request: &Request, page: &StandIn) -> Option<Answer> {
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut answer = send(files, files.page_at(&page.path)?, request, status).await;
    if let Ok(response) = &mut answer
        && status != StatusCode::OK
    {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().remove(header::ETAG);
    }
    Some(answer)
}

fn not_allowed(request: &Request) -> Response<Body> {
    let problem = base::Problem::new(&code::METHOD_NOT_ALLOWED);
    let mut response = problem.detail(format!("a file can't be asked for with {}", request.method)).into_response("");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn redirect(path: String, request: &Request) -> Response<Body> {
    let location = match request.path_and_query.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE_CONTROL);
    response
}

async fn send(files: &AssetIndex, page: &Asset, request: &Request, status: StatusCode) -> Answer {
    let sizes: Vec<_> = page.variants.iter().map(|(coding, size, _)| (*coding, *size)).collect();
    let chosen = choose::coding(&request.headers, &sizes).map(|at| &page.variants[at]);
    let variant = chosen.and_then(|(coding, _, path)| Some((*coding, files.file(path)?)));
    let mut response = represent(variant.map_or(page, |(_, asset)| asset), page, request, status).await?;
    if matches!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE) {
        return Ok(response);
    }
    let headers = response.headers_mut();
    if let Some((coding, _)) = variant {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if !page.variants.is_empty() {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if !files.headers.is_empty() {
        let changes = files.headers.changes(request.host(), request.path());
        for name in changes.remove {
            headers.remove(name);
        }
        for (name, value) in changes.set {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
    }
    Ok(response)
}

/// The bytes of `asset`, which stand for `page`.
async fn represent(asset: &Asset, page: &Asset, request: &Request, status: StatusCode) -> Answer {
    // An error page is not what the client asked for, so its conditions don't apply.
    let wanted = if status == StatusCode::OK {
        validate::wanted(&request.method, &request.headers, &asset.etag, asset.size)
    } else {
        Wanted::Whole
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let for_ever = page.fingerprinted && status == StatusCode::OK;
    headers.insert(header::CACHE_CONTROL, if for_ever { IMMUTABLE } else { CACHE_CONTROL });
    headers.insert(header::ETAG, asset.etag.clone());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let span = match wanted {
        Wanted::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        Wanted::Unsatisfiable => {
            let detail = format!("the file has {} bytes", asset.size);
            let mut response = base::Problem::new(&code::RANGE_NOT_SATISFIABLE).detail(detail).into_response("");
            if let Ok(range) = HeaderValue::try_from(format!("bytes */{}", asset.size)) {
                response.headers_mut().insert(header::CONTENT_RANGE, range);
            }
            return Ok(response);
        }
        Wanted::Whole => Span { start: 0, end: asset.size },
        Wanted::Part(span) => {
            let range = format!("bytes {}-{}/{}", span.start, span.end - 1, asset.size);
            if let Ok(range) = HeaderValue::try_from(range) {
                headers.insert(header::CONTENT_RANGE, range);
            }
            span
        }
    };
    headers.insert(header::CONTENT_TYPE, page.content_type.clone());
    *response.status_mut() = if matches!(wanted, Wanted::Part(_)) { StatusCode::PARTIAL_CONTENT } else { status };
    if request.method == Method::HEAD {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(span.end - span.start));
        return Ok(response);
    }
    *response.body_mut() = read::body(asset, span).await.map_err(|error| {
        let detail = format!("{}: {error}", asset.file.display());
        refuse(&code::STORE_FAILED, detail)
    })?;
    Ok(response)
}

#[cfg(test)]
mod tests;
