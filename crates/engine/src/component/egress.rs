//! `wasi:http/outgoing-handler`: requests that a component makes.

use std::sync::Arc;
use std::time::Duration;

use base::Body;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};
use worker::{Outbound, Response};

use super::body::{Incoming, Sent, exchange_failed};
use super::invocation::Invocation;

/// Fields that the host writes itself, besides those that wasi:http forbids a guest to set.
static HOSTS_OWN: [HeaderName; 4] = [header::CONTENT_LENGTH, header::TE, header::TRAILER, header::EXPECT];

/// What one write to a body may carry: with one piece waiting for its reader, and one in the
/// guest's hand, a slow reader costs the node two of these.
const PIECE_BYTES: usize = 64 << 10;

pub struct Egress {
    pub invocation: Arc<Invocation>,
}

type Bystander = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Egress {
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Bystander,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Bystander), Error>> + Send> {
        let invocation = self.invocation.clone();
        Box::new(async move {
            let response = exchange(&invocation, request, options.unwrap_or_default()).await?;
            Ok((response, Box::new(async { Ok(()) }) as Bystander))
        })
    }
}

async fn exchange(
    invocation: &Arc<Invocation>,
    request: http::Request<WasiBody>,
    options: RequestOptions,
) -> Result<http::Response<WasiBody>, Error> {
    let env = &invocation.env;
    invocation.meter.subrequest(&env.limits).map_err(|failure| exchange_failed(&failure))?;
    let (head, body) = request.into_parts();
    let url = url::Url::parse(&head.uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
    let mut headers = head.headers;
    let length = content_length(&headers);
    for name in &HOSTS_OWN {
        headers.remove(name);
    }
    if let Ok(value) = HeaderValue::from_str(&invocation.call.record.edit().trace.traceparent()) {
        headers.insert(HeaderName::from_static("traceparent"), value);
    }
    let whole = http_body::Body::is_end_stream(&body);
    let body = if whole { Body::empty() } else { Body::stream(Sent::new(body, length)) };
    let outbound = Outbound { method: head.method, url, headers, body };
    let exchange = match invocation.call.next.as_ref().filter(|next| next.takes(&outbound.url)) {
        Some(next) => next.fetch(&invocation.call, outbound),
        None => env.fetcher.fetch(env.egress.clone(), outbound),
    };
    let answer = match wait_for_head(options) {
        Some(patience) => tokio::time::timeout(patience, exchange).await.map_err(|_| Error::ConnectionTimeout)?,
        None => exchange.await,
    };
    let response: Response = answer.map_err(|failure| exchange_failed(&failure))?;
    let idle = Duration::from_millis(env.limits.stream_idle_ms);
    let idle = options.between_bytes_timeout.map_or(idle, |asked| asked.min(idle));
    Ok(response.map(|body| http_body_util::BodyExt::boxed_unsync(Incoming::new(body, idle))))
}

/// The two time-outs that a guest may ask for run one after the other.
fn wait_for_head(options: RequestOptions) -> Option<Duration> {
    let first_byte = options.first_byte_timeout?;
    Some(options.connect_timeout.unwrap_or_default().saturating_add(first_byte))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
