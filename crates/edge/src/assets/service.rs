//! Assets as a binding: `env.ASSETS.fetch(request)` answers as a route to the same files would.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base::code;
use futures_util::future::LocalBoxFuture;
use http::HeaderValue;
use http::uri::PathAndQuery;
use manifest::NotFound;
use net::{Protocol, Request};
use worker::{Call, Event, Failure, FetchEvent, Invoker, Response};

use super::{AssetIndex, instead, serve};
use crate::respond::refuse;

/// The files of one directory.
pub struct AssetService {
    pub index: Arc<AssetIndex>,
    pub not_found: NotFound,
}

impl Invoker for AssetService {
    fn invoke(&self, _: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let (index, not_found) = (self.index.clone(), self.not_found);
        Box::pin(async move {
            let request = match event {
                Event::Fetch(event) => as_request(*event)?,
                _ => return Err(refuse(&code::NO_HANDLER, "files answer fetch events only")),
            };
            if let Some(answer) = serve(&index, &request).await {
                return answer;
            }
            match instead(&index, &request, not_found).await {
                Some(answer) => answer,
                None => Ok(base::Problem::new(&code::NOT_FOUND).into_response("")),
            }
        })
    }
}

/// What the worker asked for, as the edge would have received it.
fn as_request(event: FetchEvent) -> Result<Request, Failure> {
    let bad = || refuse(&code::BAD_PATH, "the URL has no path that a file could be at");
    let rest = event.url.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, path) = rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Request {
        method: event.method,
        path_and_query: PathAndQuery::try_from(path).map_err(|_| bad())?,
        authority: HeaderValue::from_str(authority).map_err(|_| bad())?,
        headers: event.headers,
        body: event.body,
        peer: SocketAddr::new(event.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), 0),
        protocol: Protocol::Http11,
        listener: 0,
        secured: None,
        upgrade: false,
        interim: None,
        believed: None,
    })
}
