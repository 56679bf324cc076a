//! What `selvedge trace` is told of a request, between the admin API and the edge.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use base::code;
use control::trace_entry;
use control_api::{Answer, ApiError, TraceAsk, TraceField, TraceRoute, TraceRun, TraceSent, TraceStep, TraceWay};
use edge::explain::{Question, Way, way as explained};
use edge::{Countries, Followed, Follower, Hosts, TracedRequest, Unfollowed};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use telemetry::{InvocationRecord, Start};

type Ask = Arc<dyn Fn(TraceAsk) -> Answer<'static, TraceWay> + Send + Sync>;

/// Tells which way a request goes, and sends it if that is wanted.
pub fn way(hosts: Arc<Hosts>, countries: Option<Countries>, follower: Follower) -> Ask {
    Arc::new(move |ask| {
        let (hosts, countries, follower) = (hosts.clone(), countries.clone(), follower.clone());
        Box::pin(async move {
            let question = question(&ask)?;
            let no_page = || bad(format!("{:?} is no URL of a page; it begins with http:// or https://", ask.url));
            let way = explained(&hosts, countries.as_ref(), &question).ok_or_else(no_page)?;
            let mut told = told_way(way);
            if ask.send {
                let Question { url, method, headers, client } = question;
                let client = client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                let body = ask.body.unwrap_or_default().into();
                let sent = follower.send(TracedRequest { method, url, headers, body, client }).await;
                told.sent = Some(Box::new(told_sent(sent.map_err(failed)?)));
            }
            Ok(told)
        })
    })
}

fn bad(message: String) -> ApiError {
    ApiError::new(&code::BAD_REQUEST, message)
}

fn failed(error: Unfollowed) -> ApiError {
    let code = match &error {
        Unfollowed::Malformed(_) => &code::BAD_REQUEST,
        Unfollowed::Late => &code::ROUTE_TIMEOUT,
        Unfollowed::Busy => &code::NODE_OVERLOADED,
    };
    ApiError::new(code, error.to_string())
}

fn question(ask: &TraceAsk) -> Result<Question, ApiError> {
    let no_page = |_| bad(format!("{:?} is no URL of a page; it begins with http:// or https://", ask.url));
    let url = ask.url.parse().map_err(no_page)?;
    let method = ask.method.as_deref().unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| bad(format!("{method:?} is no method")))?;
    let mut headers = HeaderMap::new();
    for TraceField { name, value } in &ask.headers {
        let wrong = || bad(format!("{name:?} with the value {value:?} is no header field"));
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        headers.append(name, HeaderValue::try_from(value).map_err(|_| wrong())?);
    }
    let client =
        ask.client.as_deref().map(|client| client.parse().map_err(|_| bad(format!("{client:?} is no address"))));
    Ok(Question { url, method, headers, client: client.transpose()?.or(Some(IpAddr::V4(Ipv4Addr::LOCALHOST))) })
}

fn told_way(way: Way) -> TraceWay {
    let routes = way.routes.into_iter().map(|one| TraceRoute {
        pattern: one.pattern,
        target: one.target,
        matches: one.matches,
        why: one.why,
    });
    let (host, path, app, deployment) = (way.host, way.path, way.app, way.deployment);
    TraceWay { host, path, app, deployment, routes: routes.collect(), cache_keys: way.cache_keys, sent: None }
}

fn told_sent(sent: Followed) -> TraceSent {
    let Followed { status, headers, body, body_bytes, cut, record, steps } = sent;
    let fields = headers.iter().map(|(name, value)| TraceField {
        name: name.to_string(),
        value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
    });
    let steps =
        steps.into_iter().map(|step| TraceStep { at_us: us(step.at), phase: step.phase.to_owned(), text: step.text });
    TraceSent {
        status: status.as_u16(),
        headers: fields.collect(),
        body: text(body),
        body_bytes,
        cut,
        steps: steps.collect(),
        runs: record.invocations.iter().map(told_run).collect(),
        request: trace_entry(0, &record),
    }
}

fn told_run(run: &InvocationRecord) -> TraceRun {
    TraceRun {
        worker: run.worker.to_string(),
        cold_start_us: match run.start {
            Start::Warm => None,
            Start::Cold(phases) => Some(us(phases.total())),
        },
        cpu_us: us(run.usage.cpu),
        memory_bytes: run.usage.memory_bytes,
        subrequests: run.usage.subrequests,
        code: run.failure.map(|code| code.name.to_owned()),
    }
}

/// Text, of which the last character may be cut off; `None` for anything else.
fn text(bytes: Vec<u8>) -> Option<String> {
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.utf8_error().error_len().is_none() => {
            let valid = error.utf8_error().valid_up_to();
            String::from_utf8(error.into_bytes()[..valid].to_vec()).ok()
        }
        Err(_) => None,
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
