//! `SELF`: the app as a client meets it, by its routes, without a connection.

use std::sync::Arc;

use base::{Body, code};
use edge::{AssetIndex, AssetService, PublicBucket};
use futures_util::future::LocalBoxFuture;
use http::{Method, StatusCode, Uri};
use manifest::{AssetsIndex, Facts, NotFound, Plan, Target};
use worker::{Call, Event, Failure, FetchEvent, Invoker, Response};

/// What the routes of a plan lead to.
pub struct Routed {
    pub plan: Arc<Plan>,
    /// In the order of the plan's workers.
    pub workers: Vec<Arc<dyn Invoker>>,
    pub assets: Vec<Arc<AssetIndex>>,
    /// In the order of the plan's public buckets.
    pub buckets: Vec<PublicBucket>,
}

impl Invoker for Routed {
    fn invoke(&self, call: Call, event: Event) -> LocalBoxFuture<'static, Result<Response, Failure>> {
        let Event::Fetch(event) = event else {
            return failed(Failure::new(&code::NO_HANDLER, "routes take fetch events only"));
        };
        let uri = event.url.parse::<Uri>().unwrap_or_default();
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let routes = &self.plan.routes;
        let header = |name: &str| event.headers.get(name)?.to_str().ok();
        let facts = Facts {
            method: event.method.as_str(),
            query: uri.query(),
            client: event.client,
            header: &header,
            country: &|| None,
        };
        let found =
            routes.find_for(&host, uri.path(), &facts).or_else(|| routes.find_at_any_host_for(uri.path(), &facts));
        let bucket = found.as_ref().and_then(|found| match found.route.target {
            Target::Blob(bucket) => {
                Some((self.buckets[usize::from(bucket.0)].clone(), found.route.path.rest(uri.path())))
            }
            _ => None,
        });
        if let Some((bucket, rest)) = bucket {
            let rest = rest.to_owned();
            return Box::pin(async move { bucket.answer(&event.method, &event.headers, &rest).await });
        }
        match found.map(|found| found.route.target) {
            Some(Target::Worker(worker)) => self.workers[usize::from(worker.0)].invoke(call, Event::Fetch(event)),
            Some(Target::Assets(assets)) => {
                self.files(assets, self.plan.asset_dir(assets).not_found).invoke(call, Event::Fetch(event))
            }
            Some(Target::AssetsThenWorker { assets, worker }) => {
                let files = self.files(assets, before_worker(&event, self.plan.asset_dir(assets).not_found));
                let worker = self.workers[usize::from(worker.0)].clone();
                Box::pin(file_or_worker(files, worker, call, event))
            }
            Some(Target::Upstream { upstream, .. }) => {
                let name = &self.plan.upstream(upstream).name;
                let detail = format!("{} leads to the upstream {name}, which tests do not reach", event.url);
                failed(Failure::new(&code::UPSTREAM_UNREACHABLE, detail))
            }
            Some(Target::Redirect) => {
                let detail = format!("{} is redirected, which tests do not see: they go by targets", event.url);
                failed(Failure::new(&code::NO_ROUTE, detail))
            }
            Some(Target::Blob(_)) | None => {
                failed(Failure::new(&code::NO_ROUTE, format!("no route of the app matches {}", event.url)))
            }
        }
    }
}

impl Routed {
    fn files(&self, assets: AssetsIndex, not_found: NotFound) -> AssetService {
        AssetService { index: self.assets[usize::from(assets.0)].clone(), not_found }
    }
}

/// Files in front of a worker answer for one that is not there only to a navigation within a
/// single-page application.
fn before_worker(event: &FetchEvent, not_found: NotFound) -> NotFound {
    let navigates = event.headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    if navigates && not_found == NotFound::SinglePage { NotFound::SinglePage } else { NotFound::None }
}

async fn file_or_worker(
    files: AssetService,
    worker: Arc<dyn Invoker>,
    call: Call,
    event: Box<FetchEvent>,
) -> Result<Response, Failure> {
    if matches!(event.method, Method::GET | Method::HEAD) {
        let asked = FetchEvent {
            method: event.method.clone(),
            url: event.url.clone(),
            headers: event.headers.clone(),
            body: Body::empty(),
            client: event.client,
            cf: event.cf.clone(),
            entry: None,
        };
        match files.invoke(call.clone(), Event::Fetch(Box::new(asked))).await {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => {}
            // A path that no file can have is the worker's.
            Err(failure) if failure.code.name == code::BAD_PATH.name => {}
            answer => return answer,
        }
    }
    worker.invoke(call, Event::Fetch(event)).await
}

fn failed(failure: Failure) -> LocalBoxFuture<'static, Result<Response, Failure>> {
    Box::pin(std::future::ready(Err(failure)))
}
