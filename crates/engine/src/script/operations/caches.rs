//! `caches`: the operations of the Cache API. What is stored and for how long is decided by
//! `worker::ResponseCache`.

use http::{HeaderMap, Method, StatusCode};
use worker::{CacheRequest, CacheScope, Put, Response};

use super::{Completion, Operation};
use crate::script::codec::{Decoder, Value};
use crate::script::host::parse_headers;

/// CACHE_MATCH(cache or null, method, url, headers) → null or as FETCH
pub async fn lookup(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (scope, request) = addressed(operation, &mut args)?;
    operation.metered()?;
    match operation.env().responses.lookup(&scope, &request).await? {
        Some(response) => Ok(Completion::Response { response, url: request.url, redirected: false }),
        None => Ok(Completion::value(|e| e.null())),
    }
}

/// CACHE_PUT(cache or null, method, url, headers, status, response headers, body, stream) → null, or
/// why it was not stored
pub async fn put(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (scope, request) = addressed(operation, &mut args)?;
    let (status, headers) = (args.next()?.as_u32()?, args.next()?);
    let (body, stream) = (args.next()?, args.next()?);
    operation.metered()?;
    let mut response = Response::new(operation.body(&body, &stream)?);
    *response.status_mut() = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or_else(|| Completion::type_error("the status is not valid"))?;
    *response.headers_mut() = headers_of(&headers)?;
    match operation.env().responses.put(&scope, &request, response).await? {
        Put::Stored => Ok(Completion::value(|e| e.null())),
        Put::Skipped(why) => Ok(Completion::value(|e| e.string(&why))),
        Put::Refused(refusal) => Err(Completion::type_error(format!("cache.put: {refusal}"))),
    }
}

/// CACHE_DELETE(cache or null, method, url, headers) → whether there was one
pub async fn delete(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (scope, request) = addressed(operation, &mut args)?;
    operation.metered()?;
    let found = operation.env().responses.delete(&scope, &request).await?;
    Ok(Completion::value(|e| e.bool(found)))
}

/// Whose cache, and which entry.
fn addressed(operation: &Operation, args: &mut Decoder<'_>) -> Result<(CacheScope, CacheRequest), Completion> {
    let (cache, method, url, headers) = (args.next()?, args.next()?, args.next()?, args.next()?);
    let request = CacheRequest {
        cache: cache.as_optional_str()?.map(str::to_owned),
        method: Method::from_bytes(method.as_str()?.as_bytes())
            .map_err(|_| Completion::type_error("the method is not a token"))?,
        url: url.as_str()?.to_owned(),
        headers: headers_of(&headers)?,
    };
    let scope = CacheScope { app: operation.env().app.clone(), now_ms: operation.instance.clock_ms() };
    Ok((scope, request))
}

fn headers_of(block: &Value<'_>) -> Result<HeaderMap, Completion> {
    Ok(parse_headers(block.as_optional_str()?.unwrap_or(""))?)
}
