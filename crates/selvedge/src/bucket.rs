//! A bucket of any server of the S3 protocol as a place for copies of the archive: the protocol is `s3`'s, the
//! connections are `net`'s.
//!
//! Whoever asks blocks, on threads that have nothing else to do; what they ask goes over connections of one
//! runtime with a thread of its own. What may pass (a server that is overloaded or silent, a connection that broke) is
//! asked again, a few times; beyond that it is the caller's to come back later.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result};
use base::{Body, Clock, Secret};
use bytes::Bytes;
use http::header::ETAG;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use net::{Connector, ConnectorOptions, Outgoing};
use s3::client::{self, Ask, Bucket};
use services::StoreError;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::timeout;
use url::{Position, Url};

use crate::config::BucketConfig;
use crate::wire::{Depot, Kept};

/// The variables that every tool of the protocol knows.
const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
/// What is larger goes in parts of at least this; a server takes 10,000 of them.
const PART_BYTES: u64 = 8 << 20;
const PARTS_MAX: u64 = 10_000;
/// Bytes that even a slow line moves in a second: what is sent has so much longer.
const SLOWEST_BYTES: u64 = 50_000;
/// A page of a listing has a thousand keys, of a thousand bytes at most, which may be written in long.
const DOCUMENT_BYTES_MAX: usize = 8 << 20;

/// How long, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of an answer, and between two pieces of its body.
    silence: Duration,
    /// After the first failure; doubles.
    pause: Duration,
    tries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence: Duration::from_secs(60), pause: Duration::from_millis(250), tries: 4 }
    }
}

pub struct BucketDepot {
    asking: Arc<Asking>,
    runtime: Arc<Runtime>,
}

/// A thread with a runtime, which ends with this.
struct Runtime {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

struct Asking {
    config: BucketConfig,
    scheme: String,
    host: String,
    patience: Patience,
    clock: Arc<dyn Clock>,
    connector: Arc<Connector>,
}

/// Why there is no answer.
#[derive(Debug)]
enum Unanswered {
    /// There is no such key.
    Missing,
    /// It may be otherwise in a moment.
    Passing(String),
    Final(String),
}

impl BucketDepot {
    pub fn open(config: BucketConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::patient(config, clock, Patience::default())
    }

    fn patient(config: BucketConfig, clock: Arc<dyn Clock>, patience: Patience) -> Result<Self> {
        let url = Url::parse(&config.endpoint).with_context(|| format!("{} is no URL", config.endpoint))?;
        let host = url[Position::BeforeHost..Position::AfterPort].to_owned();
        let limits = base::NodeLimits::default();
        let options = ConnectorOptions { extra_ca: config.ca.clone(), ..ConnectorOptions::from(&limits) };
        let connector = Connector::new(options);
        let runtime = Arc::new(Runtime::start()?);
        let asking = Asking { config, scheme: url.scheme().to_owned(), host, patience, clock, connector };
        Ok(Self { asking: Arc::new(asking), runtime })
    }

    /// The whole answer, and its ETag.
    fn ask(&self, ask: Ask) -> Result<(Bytes, Option<String>), Unanswered> {
        let asking = self.asking.clone();
        let answered = self.runtime.run(async move { asking.whole(&ask).await });
        answered.unwrap_or_else(|error| Err(Unanswered::Final(error.to_string())))
    }

    fn key(&self, name: &str) -> String {
        match self.asking.config.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        }
    }

    fn put_whole(&self, key: &str, content: &mut File) -> Result<(), Unanswered> {
        let bytes = read_part(content, PART_BYTES)?;
        self.ask(Ask::new(Method::PUT, key).body(bytes)).map(drop)
    }

    fn put_parts(&self, key: &str, content: &mut File, length: u64) -> Result<(), Unanswered> {
        let (begun, _) = self.ask(Ask::new(Method::POST, key).query("uploads", ""))?;
        let upload = client::read_upload(&begun).map_err(|error| Unanswered::Final(error.to_string()))?;
        let done = self.put_each(key, &upload, content, length);
        if done.is_err() {
            // What is left of it is the business of the bucket's lifecycle, if this fails as well.
            let _ = self.ask(Ask::new(Method::DELETE, key).query("uploadId", &upload));
        }
        done
    }

    fn put_each(&self, key: &str, upload: &str, content: &mut File, length: u64) -> Result<(), Unanswered> {
        let part_bytes = PART_BYTES.max(length.div_ceil(PARTS_MAX));
        let mut etags = Vec::new();
        for number in 1..=length.div_ceil(part_bytes) {
            let part = Ask::new(Method::PUT, key).query("partNumber", &number.to_string()).query("uploadId", upload);
            let (_, etag) = self.ask(part.body(read_part(content, part_bytes)?))?;
            etags.push(etag.ok_or_else(|| Unanswered::Final("a part was taken without an ETag".into()))?);
        }
        let (done, _) = self.ask(client::complete(key, upload, &etags))?;
        match client::refusal(&done) {
            Some(refused) => Err(Unanswered::Final(format!("{}: {}", refused.code, refused.message))),
            None => Ok(()),
        }
    }
}

impl Runtime {
    fn start() -> Result<Self> {
        let (started, starting) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _ = started.send(Ok(runtime.handle().clone()));
                let _ = runtime.block_on(stopped);
            }
            Err(error) => drop(started.send(Err(error))),
        };
        std::thread::Builder::new().name("bucket".into()).spawn(run).context("no thread for the bucket")?;
        let handle = starting.recv().context("the thread for the bucket ended")??;
        Ok(Self { handle, _stop: stop })
    }

    /// Waits for what runs there.
    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, StoreError> {
        let (sender, receiver) = mpsc::channel();
        self.handle.spawn(async move { sender.send(work.await) });
        receiver.recv().map_err(|_| StoreError::Failed("asking the bucket panicked".into()))
    }
}

/// The next bytes of a file, up to so many.
fn read_part(content: &mut File, bytes_max: u64) -> Result<Vec<u8>, Unanswered> {
    let mut bytes = Vec::new();
    let read = content.take(bytes_max).read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| Unanswered::Final(error.to_string()))
}

fn failed(error: Unanswered) -> StoreError {
    match error {
        Unanswered::Missing => StoreError::Failed("it is not there".into()),
        Unanswered::Passing(told) | Unanswered::Final(told) => StoreError::Failed(told),
    }
}

impl Depot for BucketDepot {
    fn name(&self) -> String {
        let BucketConfig { endpoint, bucket, prefix, .. } = &self.asking.config;
        let mark = if prefix.is_empty() { "" } else { "/" };
        format!("{endpoint}/{bucket}{mark}{prefix}")
    }

    fn check_new(&self, _: &Path) -> Result<(), StoreError> {
        Ok(())
    }

    fn list(&self, below: &str) -> Result<Vec<Kept>, StoreError> {
        let prefix = match (below, self.asking.config.prefix.as_str()) {
            ("", "") => String::new(),
            _ => self.key(below),
        };
        let start = self.key("").len();
        let (mut kept, mut after) = (Vec::new(), None::<String>);
        loop {
            let (page, _) = self.ask(client::list(&prefix, after.as_deref())).map_err(failed)?;
            let page = client::read_page(&page).map_err(|error| StoreError::Failed(error.to_string()))?;
            let named = |(key, bytes): (String, u64)| Some(Kept { name: key.get(start..)?.to_owned(), bytes });
            kept.extend(page.keys.into_iter().filter_map(named));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(kept),
            }
        }
    }

    fn put(&self, name: &str, content: &mut File) -> Result<(), StoreError> {
        let length = content.metadata().map_err(|error| StoreError::Failed(error.to_string()))?.len();
        let put = match length {
            0..=PART_BYTES => self.put_whole(&self.key(name), content),
            _ => self.put_parts(&self.key(name), content, length),
        };
        put.map_err(failed)
    }

    fn open(&self, name: &str, first: Option<u64>) -> Result<Option<Box<dyn Read + Send>>, StoreError> {
        let ask = Ask { range: first.map(|bytes| (0, Some(bytes))), ..Ask::new(Method::GET, &self.key(name)) };
        let (asking, asked) = (self.asking.clone(), ask.clone());
        let body = match self.runtime.run(async move { asking.head(&asked).await })? {
            Ok(response) => response.into_body(),
            Err(Unanswered::Missing) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let (asking, runtime) = (self.asking.clone(), self.runtime.clone());
        let tries = asking.patience.tries;
        let content = Content { asking, runtime, ask, got: 0, body: Some(body), rest: Bytes::new(), tries };
        Ok(Some(Box::new(content.take(first.unwrap_or(u64::MAX)))))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.ask(Ask::new(Method::DELETE, &self.key(name))) {
            Ok(_) | Err(Unanswered::Missing) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

/// The content of a key, as it arrives; where it breaks off, the rest is asked for.
struct Content {
    asking: Arc<Asking>,
    runtime: Arc<Runtime>,
    ask: Ask,
    got: u64,
    body: Option<Body>,
    rest: Bytes,
    tries: u32,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let Some(mut body) = self.body.take() else { return Ok(0) };
            let silence = self.asking.patience.silence;
            let next = async move {
                let frame = timeout(silence, body.frame()).await;
                (body, frame)
            };
            let (body, frame) = self.runtime.run(next).map_err(io::Error::other)?;
            match frame {
                Ok(Some(Ok(frame))) => {
                    self.body = Some(body);
                    self.rest = frame.into_data().unwrap_or_default();
                    self.got += self.rest.len() as u64;
                }
                Ok(None) => return Ok(0),
                Ok(Some(Err(error))) => self.go_on(&format!("it broke off: {error}"))?,
                Err(_) => self.go_on("it fell silent")?,
            }
        }
        let bytes = self.rest.split_to(buffer.len().min(self.rest.len()));
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl Content {
    /// Asks for what is missing.
    fn go_on(&mut self, why: &str) -> io::Result<()> {
        let told = |what: &str| io::Error::other(format!("after {} bytes {what}", self.got));
        self.tries = self.tries.checked_sub(1).filter(|tries| *tries > 0).ok_or_else(|| told(why))?;
        let bytes = match self.ask.range {
            Some((_, Some(bytes))) if bytes > self.got => Some(bytes - self.got),
            Some((_, Some(_))) => return Ok(()),
            _ => None,
        };
        let ask = Ask { range: Some((self.got, bytes)), ..self.ask.clone() };
        let asking = self.asking.clone();
        let answered = self.runtime.run(async move { asking.head(&ask).await }).map_err(io::Error::other)?;
        let response = answered.map_err(|error| io::Error::other(failed(error)))?;
        if self.got > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(told(&format!("{why}, and the server gives no part of it")));
        }
        self.body = Some(response.into_body());
        Ok(())
    }
}

impl Asking {
    /// The answer to a request with the whole of its body, and its ETag.
    async fn whole(&self, ask: &Ask) -> Result<(Bytes, Option<String>), Unanswered> {
        let mut pauses = self.pauses();
        loop {
            match (self.whole_once(ask).await, pauses.next()) {
                (Err(Unanswered::Passing(_)), Some(pause)) => tokio::time::sleep(pause).await,
                (done, _) => return done,
            }
        }
    }

    async fn whole_once(&self, ask: &Ask) -> Result<(Bytes, Option<String>), Unanswered> {
        let (head, body) = self.once(ask).await?.into_parts();
        let etag = head.headers.get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let broken = |what: String| Unanswered::Passing(self.told(ask, &what));
        match timeout(self.patience.silence, body.collect(DOCUMENT_BYTES_MAX)).await {
            Ok(Ok(bytes)) => Ok((bytes, etag)),
            Ok(Err(error)) => Err(broken(format!("the answer broke off: {error}"))),
            Err(_) => Err(broken("the answer fell silent".into())),
        }
    }

    /// The answer to a request, with its body yet to come.
    async fn head(&self, ask: &Ask) -> Result<http::Response<Body>, Unanswered> {
        let mut pauses = self.pauses();
        loop {
            match (self.once(ask).await, pauses.next()) {
                (Err(Unanswered::Passing(_)), Some(pause)) => tokio::time::sleep(pause).await,
                (done, _) => return done,
            }
        }
    }

    /// Before each try but the first.
    fn pauses(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let Patience { pause, tries, .. } = self.patience;
        (1..tries).map(move |again| pause * 2_u32.pow(again - 1))
    }

    async fn once(&self, ask: &Ask) -> Result<http::Response<Body>, Unanswered> {
        let signed = self.bucket().map_err(Unanswered::Final)?.sign(ask, self.clock.unix_ms() / 1_000);
        let url = Url::parse(&signed.url).map_err(|error| Unanswered::Final(self.told(ask, &error.to_string())))?;
        let body = Body::full(ask.body.clone());
        let outgoing = Outgoing { method: ask.method.clone(), url, headers: signed.headers, body };
        // The operator has named the server.
        let exchange = self.connector.exchange(outgoing, Arc::new(|_| Ok(())));
        let patience = self.patience.silence + Duration::from_secs(ask.body.len() as u64 / SLOWEST_BYTES);
        let response = match timeout(patience, exchange).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Unanswered::Passing(self.told(ask, &error.to_string()))),
            Err(_) => {
                let told = format!("no answer in {} ms", patience.as_millis());
                return Err(Unanswered::Passing(self.told(ask, &told)));
            }
        };
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refused(ask, response).await),
        }
    }

    async fn refused(&self, ask: &Ask, response: http::Response<Body>) -> Unanswered {
        let status = response.status();
        let document = timeout(self.patience.silence, response.into_body().collect(DOCUMENT_BYTES_MAX)).await;
        let refusal = document.ok().and_then(Result::ok).and_then(|bytes| client::refusal(&bytes));
        let reason = refusal.as_ref().map(|refused| format!(" {}: {}", refused.code, refused.message));
        let told = self.told(ask, &format!("{}{}", status.as_u16(), reason.unwrap_or_default()));
        let is_no_bucket = refusal.as_ref().is_some_and(|refused| refused.code == "NoSuchBucket");
        match status {
            StatusCode::NOT_FOUND if !is_no_bucket && !ask.key.is_empty() => Unanswered::Missing,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Unanswered::Passing(told),
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => Unanswered::Passing(told),
            _ => Unanswered::Final(told),
        }
    }

    fn told(&self, ask: &Ask, what: &str) -> String {
        let Self { config, .. } = self;
        format!("{} {}/{}/{}: {what}", ask.method, config.endpoint, config.bucket, ask.key)
    }

    /// The bucket with its credentials as they are now: a file with a secret may change.
    fn bucket(&self) -> Result<Bucket, String> {
        let BucketConfig { bucket, region, access_key, secret_file, .. } = &self.config;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let access_key = access_key.clone().or_else(|| variable(ACCESS_KEY));
        let secret = match secret_file {
            Some(file) => {
                let read = std::fs::read_to_string(file).map(|text| text.trim().to_owned());
                Some(read.map_err(|error| format!("{} can't be read: {error}", file.display()))?)
            }
            None => variable(SECRET),
        };
        let missing = |field: &str, name: &str| {
            format!("the bucket of the archive needs {field} in [archive], or {name} in the environment")
        };
        Ok(Bucket {
            scheme: self.scheme.clone(),
            host: self.host.clone(),
            name: bucket.clone(),
            region: region.clone(),
            access_key: access_key.ok_or_else(|| missing("access_key", ACCESS_KEY))?,
            secret: Secret::new(secret.ok_or_else(|| missing("secret_file", SECRET))?),
        })
    }
}

/// Refuses a configuration without credentials: whoever starts a node with it is told at once.
pub fn check_credentials(config: &BucketConfig) -> Result<()> {
    let depot = BucketDepot::open(config.clone(), crate::wire::clock())?;
    depot.asking.bucket().map(drop).map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests;
