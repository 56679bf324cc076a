//! Workers on the way of a request to its target and back: step 7 before step 6, as often as the route
//! says ([decision 0010](../../../../docs/decisions/0010-middleware.md)).
//!
//! A worker in front of the cache gets the request as any worker does. What it fetches of the request's
//! own origin is the request as it goes on: the next worker, or the target with its cache. What that
//! answers is what `fetch` gives, failures included, as the client would have got them, so that a worker
//! that only passes on changes nothing. A worker behind the cache gets what the cache asks the upstream for.
//!
//! Steps run where the request runs. A worker's fetch may come from its `waitUntil`, when the answer has
//! long been given, so they are served by a task of their own for as long as anybody can ask.

use std::rc::Rc;

use base::{Body, code};
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Response, header};
use manifest::route::rules::{Middleware, Position};
use manifest::{RouteIndex, Rules, UpstreamIndex};
use net::Request;
use tokio::sync::{mpsc, oneshot};
use url::Url;
use worker::{Call, Failure, Next, Outbound};

use super::rules::{Course, on_the_way};
use super::{Answered, Outcome, Way, run};
use crate::proxy::{Behind, Forwarded, Upstream};
use crate::respond::{self, Audience, refuse};
use crate::told::Giver;

/// The path and query under which the cache is to keep the answer. Believed of a middleware alone.
const CACHE_KEY: HeaderName = HeaderName::from_static("selvedge-cache-key");

/// What a worker asks of the next step.
struct Asked {
    call: Call,
    outbound: Outbound,
    answer: oneshot::Sender<Outcome>,
}

/// The workers of a route at one place.
fn at(rules: &Rules, position: Position) -> impl Iterator<Item = &Middleware> {
    rules.middleware.iter().filter(move |one| one.position == position)
}

/// Hands a request to the worker of this number in front of the cache, or on its way if there is none.
pub(super) fn go_on(
    way: Way,
    route: RouteIndex,
    number: usize,
    course: Course,
    request: Request,
) -> LocalBoxFuture<'static, Answered> {
    async move {
        let plan = way.site.plan().clone();
        let rules = plan.routes.route(route).rules.as_deref();
        let Some(one) = rules.and_then(|rules| at(rules, Position::Request).nth(number)) else {
            return on_the_way(&way, route, course, request).await;
        };
        let mut request = request;
        // A worker that passes a request on as it came would else pass on a stranger's choice of the key.
        request.headers.remove(CACHE_KEY);
        let head = Head::of(&request);
        let next = {
            let (way, head) = (way.clone(), head.clone());
            serve_next(&head.url(), move |call, outbound| {
                let way = way.called(call);
                let (way, mut course, head) = (way, course.clone(), head.clone());
                async move {
                    let request = match head.request(outbound, &mut course) {
                        Ok(request) => request,
                        Err(failure) => return Err(failure),
                    };
                    let answered = go_on(way.clone(), route, number + 1, course, request).await;
                    Ok(answered.outcome.unwrap_or_else(|failure| way.told(&failure)))
                }
                .boxed_local()
            })
        };
        let next = match next {
            Ok(next) => next,
            Err(failure) => return Answered::plain(Err(failure)),
        };
        let outcome = run(&way, one.worker, request, Some(next)).await;
        Answered { worker: Some(one.worker), ..Answered::of(Giver::Middleware, outcome) }
    }
    .boxed_local()
}

/// What stands behind the cache of a route instead of the upstream alone.
pub(super) fn behind(way: &Way, route: Option<RouteIndex>, index: UpstreamIndex, request: &Request) -> Option<Behind> {
    let plan = way.site.plan().clone();
    let workers: Vec<_> = {
        let rules = plan.routes.route(route?).rules.as_deref()?;
        at(rules, Position::Origin).map(|one| one.worker).collect()
    };
    if workers.is_empty() {
        return None;
    }
    let (way, head) = (way.clone(), Rc::new(Head::of(request)));
    Some(Rc::new(move |forwarded| {
        let upstream = way.site.upstream(index).clone();
        through(way.clone(), workers.clone(), upstream, head.clone(), forwarded)
    }))
}

/// The first worker of the list, with the others and the upstream behind it.
fn through(
    way: Way,
    mut workers: Vec<manifest::WorkerIndex>,
    upstream: std::sync::Arc<Upstream>,
    head: Rc<Head>,
    forwarded: Forwarded,
) -> LocalBoxFuture<'static, Outcome> {
    async move {
        if workers.is_empty() {
            return upstream.ask(forwarded).await;
        }
        let worker = workers.remove(0);
        let Forwarded { method, path_and_query, headers, body, client, heard, .. } = forwarded;
        let request = Request { method, path_and_query, headers, body, ..head.bare() };
        let next = {
            let way = way.clone();
            serve_next(&head.url(), move |call, outbound| {
                let way = way.called(call);
                let (workers, upstream, head) = (workers.clone(), upstream.clone(), head.clone());
                let heard = heard.clone();
                async move {
                    let Outbound { method, url, mut headers, body } = outbound;
                    let path_and_query = path_of(&url)?;
                    headers.insert(header::HOST, head.authority.clone());
                    let forwarded = Forwarded { method, path_and_query, headers, body, client, interim: None, heard };
                    let outcome = through(way.clone(), workers, upstream, head, forwarded).await;
                    Ok(outcome.unwrap_or_else(|failure| way.told(&failure)))
                }
                .boxed_local()
            })?
        };
        run(&way, worker, request, Some(next)).await
    }
    .boxed_local()
}

/// Serves what a worker asks of the next step on this core, until nobody can ask any more.
fn serve_next(
    url: &str,
    step: impl Fn(Call, Outbound) -> LocalBoxFuture<'static, Outcome> + 'static,
) -> Result<Next, Failure> {
    let url = Url::parse(url).map_err(|error| refuse(&code::BAD_REQUEST, format!("{url}: {error}")))?;
    let (asks, mut asked) = mpsc::unbounded_channel::<Asked>();
    tokio::task::spawn_local(async move {
        while let Some(Asked { call, outbound, mut answer }) = asked.recv().await {
            let outcome = step(call, outbound);
            tokio::task::spawn_local(async move {
                tokio::select! {
                    outcome = outcome => drop(answer.send(outcome)),
                    // Nobody waits for it any more.
                    () = answer.closed() => {}
                }
            });
        }
    });
    Ok(Next::new(&url, move |call, outbound| {
        let (answer, answered) = oneshot::channel();
        let gone = || refuse(&code::CLIENT_GONE, "the request has ended");
        let sent = asks.send(Asked { call, outbound, answer });
        async move {
            sent.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        }
        .boxed()
    }))
}

/// What stays of a request, whatever a worker does to the rest of it.
#[derive(Clone)]
struct Head {
    authority: HeaderValue,
    scheme: &'static str,
    peer: std::net::SocketAddr,
    protocol: net::Protocol,
    listener: usize,
    secured: Option<std::sync::Arc<net::Secured>>,
    believed: Option<Box<net::Believed>>,
}

impl Head {
    fn of(request: &Request) -> Self {
        Self {
            authority: request.authority.clone(),
            scheme: request.scheme(),
            peer: request.peer,
            protocol: request.protocol,
            listener: request.listener,
            secured: request.secured.clone(),
            believed: request.believed.clone(),
        }
    }

    fn url(&self) -> String {
        format!("{}://{}/", self.scheme, self.authority.to_str().unwrap_or_default())
    }

    fn bare(&self) -> Request {
        Request {
            method: Method::GET,
            path_and_query: PathAndQuery::from_static("/"),
            authority: self.authority.clone(),
            headers: http::HeaderMap::new(),
            body: Body::empty(),
            peer: self.peer,
            protocol: self.protocol,
            listener: self.listener,
            secured: self.secured.clone(),
            upgrade: false,
            interim: None,
            believed: self.believed.clone(),
        }
    }

    /// The request as it goes on. The cache keeps the answer under the path that the worker asks for, or
    /// under the key that it names.
    fn request(&self, outbound: Outbound, course: &mut Course) -> Result<Request, Failure> {
        let Outbound { method, url, mut headers, body } = outbound;
        let path_and_query = path_of(&url)?;
        course.asked = match headers.remove(CACHE_KEY) {
            None => path_and_query.clone(),
            Some(key) => {
                let is_path = |key: &PathAndQuery| key.as_str().starts_with('/');
                let key = PathAndQuery::try_from(key.as_bytes()).ok().filter(is_path);
                key.ok_or_else(|| {
                    refuse(&code::INVALID_RESPONSE, "Selvedge-Cache-Key is no path and query; it begins with a slash")
                })?
            }
        };
        if course.follows_path {
            course.key = path_and_query.path().trim_start_matches('/').to_owned();
        }
        headers.insert(header::HOST, self.authority.clone());
        let upgrade = headers.get(header::UPGRADE).is_some_and(|value| value == "websocket");
        Ok(Request { method, path_and_query, headers, body, upgrade, ..self.bare() })
    }
}

fn path_of(url: &Url) -> Result<PathAndQuery, Failure> {
    let text = &url[url::Position::BeforePath..url::Position::AfterQuery];
    PathAndQuery::try_from(text).map_err(|error| refuse(&code::BAD_PATH, format!("{text}: {error}")))
}

impl Way {
    /// For what a worker asks: its meter's request, and its place in admission.
    fn called(&self, call: Call) -> Self {
        Self { call, ..self.clone() }
    }

    /// A failure as its client would see it.
    fn told(&self, failure: &Failure) -> Response<Body> {
        let detail = || format!("{}: {}", failure.code.name, failure.detail);
        self.call.record.edit().detail.get_or_insert_with(detail);
        respond::failure(failure, &Audience { request_id: "", html: false, dev: None })
    }
}
