//! The servers behind a route. Crate `upstream` decides which of them gets a request, whether it goes out
//! again, and when nothing is sent at all; here its decisions are carried out.
//!
//! **Again.** A request goes out again, to another target, if nothing of it was sent; and if its body is
//! at hand, it is idempotent, and its answer is of a status that the manifest names or there is none.
//! A budget bounds how often.
//!
//! **Beside.** An idempotent request that takes longer than most goes out a second time, and the first
//! good answer counts. The other is given up.
//!
//! **Cancellation.** Who drops the future, or the body of the response, gives up the exchange and the
//! place that it took; nothing is held against the target for that.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base::{Body, Clock, Rng, UpstreamLimits, code};
use futures_util::future::{Either, select};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response, StatusCode};
use manifest::{HashKey, UpstreamPlan};
use net::{ExchangeError, Interim, Peer, Phases, PlainRequest, Reply, Telling, Undone};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use upstream::{Ask, Begin, Outcome, Pick, Pool, PoolView, Refusal, Retry, TargetView};
use worker::Failure;

use super::binding::Binding;
use super::forwarded::{Came, Forwarded};
use super::heard::{Heard, Listener};
use super::passing::Passing;
use super::spool::{self, Replay};
use super::tier::{self, NodeName};
use super::{binding, probe, settings};
use crate::respond::refuse;

/// What an upstream is made of.
pub struct UpstreamParts<'a> {
    pub plan: &'a UpstreamPlan,
    /// One for each target, in their order.
    pub peers: Vec<Arc<Peer>>,
    /// Why it can't be asked.
    pub refusal: Option<Failure>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    /// Where request bodies are kept that are spooled.
    pub spool: PathBuf,
    /// Whose cache is asked before.
    pub parent: Option<Arc<Upstream>>,
    pub node: NodeName,
}

/// The servers behind a route.
pub struct Upstream {
    pub(super) name: String,
    pub(super) limits: UpstreamLimits,
    pub(super) peers: Vec<Arc<Peer>>,
    /// What each of them is called.
    servers: Vec<Arc<str>>,
    retry_on: Vec<u16>,
    hash: Option<HashKey>,
    sticky: Option<Binding>,
    refusal: Option<Failure>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    spool: PathBuf,
    parent: Option<Arc<Upstream>>,
    node: NodeName,
    early_hints: bool,
    desk: Mutex<Desk>,
}

/// The pool, and who waits for it.
struct Desk {
    pool: Pool,
    line: VecDeque<oneshot::Sender<()>>,
}

/// What is to be seen of an upstream.
#[derive(Debug, Clone)]
pub struct UpstreamView {
    pub pool: PoolView,
    pub targets: Vec<TargetView>,
}

impl Upstream {
    /// Must be called where tasks can be spawned, if the plan has health checks; they end with it.
    pub fn new(parts: UpstreamParts<'_>) -> Arc<Self> {
        let UpstreamParts { plan, peers, refusal, clock, rng, spool, parent, node } = parts;
        assert_eq!(plan.targets.len(), peers.len(), "a peer for each target");
        let pool = settings::pool(plan, rng.next_u64());
        let made = Arc::new(Self {
            name: plan.name.to_string(),
            limits: plan.limits.clone(),
            peers,
            servers: settings::names(plan).into_iter().map(Arc::from).collect(),
            retry_on: plan.retry_on.clone(),
            hash: settings::hash_key(&plan.balance),
            sticky: plan.sticky.as_ref().map(|cookie| Binding::new(cookie, &settings::names(plan))),
            refusal,
            clock,
            rng,
            spool,
            parent,
            node,
            early_hints: plan.early_hints,
            desk: Mutex::new(Desk { pool, line: VecDeque::new() }),
        });
        if let (Some(health), None) = (&plan.health, &made.refusal) {
            probe::watch(&made, health);
        }
        made
    }

    pub fn view(&self) -> UpstreamView {
        let now_ms = self.now_ms();
        let mut desk = self.desk();
        UpstreamView { pool: desk.pool.view(), targets: desk.pool.targets(now_ms) }
    }

    /// Whether what a server says before its answer is passed on.
    pub(crate) fn tells_early(&self) -> bool {
        self.early_hints
    }

    /// Whether its times are those of this clock.
    pub(crate) fn goes_by(&self, clock: &Arc<dyn Clock>) -> bool {
        Arc::ptr_eq(&self.clock, clock)
    }

    /// A plain request as its servers get it, if they are asked as it is: nothing is chosen by what it says, and
    /// nobody is asked before.
    pub(crate) fn plain<'a>(
        &self,
        came: Came<'a>,
        fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Option<PlainRequest> {
        let is_direct = self.parent.is_none() && self.sticky.is_none() && self.hash.is_none();
        if is_direct { came.plain(fields, &self.node) } else { None }
    }

    /// Sends such a request.
    pub(crate) async fn ask_plain(
        self: &Arc<Self>,
        request: &PlainRequest,
        heard: &mut Heard,
    ) -> Result<Reply, Failure> {
        let mut asking = Asking::plain(self, request, heard);
        self.in_time(async |deadline| self.tries(&mut asking, deadline).await).await
    }

    /// Sends a request and answers with the head of the response.
    pub(crate) async fn ask(self: &Arc<Self>, request: Forwarded) -> Result<Response<Body>, Failure> {
        self.node.check(&request.headers)?;
        if let Some(parent) = &self.parent
            && let Some(response) = tier::ask(parent, &request).await
        {
            return Ok(response);
        }
        self.ask_targets(request).await
    }

    /// Refuses a request that this node has sent already.
    pub(super) fn check_loop(&self, headers: &HeaderMap) -> Result<(), Failure> {
        self.node.check(headers)
    }

    /// The same, of its own servers.
    pub(super) async fn ask_targets(self: &Arc<Self>, request: Forwarded) -> Result<Response<Body>, Failure> {
        let asked = self.in_time(async |deadline| {
            let mut asking = Asking::new(self, request).await?;
            self.tries(&mut asking, deadline).await
        });
        asked.await.map(Reply::into_response)
    }

    /// What comes within the time that there is for all of it.
    async fn in_time(
        &self,
        ask: impl AsyncFnOnce(Option<Instant>) -> Result<Reply, Failure>,
    ) -> Result<Reply, Failure> {
        if let Some(failure) = &self.refusal {
            return Err(failure.clone());
        }
        if self.limits.total_ms == 0 {
            return ask(None).await;
        }
        let deadline = Instant::now() + Duration::from_millis(self.limits.total_ms);
        let late = |_| Err(refuse(&code::UPSTREAM_TIMEOUT, self.says("no answer within total_ms")));
        // Boxed, as every timer here: most requests have none, and need no room for it.
        Box::pin(tokio::time::timeout_at(deadline, ask(Some(deadline)))).await.unwrap_or_else(late)
    }

    /// Opens a WebSocket and passes its end on.
    pub(super) async fn upgrade(self: &Arc<Self>, request: Forwarded) -> Result<Response<Body>, Failure> {
        if let Some(failure) = &self.refusal {
            return Err(failure.clone());
        }
        let mut asking = Asking::new(self, request).await?;
        loop {
            let mut slot = self.enter(&asking.ask, None).await?;
            asking.note(slot.pick.at);
            asking.ask.tried.insert(slot.pick.at);
            let (path_and_query, headers) = asking.head();
            let sockets = settings::sockets(&self.limits);
            let result = self.peers[slot.pick.at].upgrade(path_and_query, headers, sockets).await;
            let outcome = outcome(result.as_ref().map(Response::status));
            slot.judge(outcome);
            // What was answered is no matter of trying again: a socket is opened once.
            let unreached = outcome == Outcome::Unreached && asking.wants(outcome);
            if !(unreached && self.may_retry()) {
                return result.map_err(failure);
            }
            asking.again();
        }
    }

    async fn tries(self: &Arc<Self>, asking: &mut Asking<'_>, deadline: Option<Instant>) -> Result<Reply, Failure> {
        let mut last: Option<Box<Tried>> = None;
        loop {
            let began = asking.heard.began().filter(|_| asking.retries == 0);
            let slot = match (self.enter(&asking.ask, began).await, last) {
                (Ok(slot), _) => slot,
                // Nobody is left to ask: what there is counts.
                (Err(_), Some(tried)) => return self.finish(*tried, asking, deadline),
                (Err(failure), None) => return Err(failure),
            };
            asking.note(slot.pick.at);
            asking.heard.step("upstream", || self.chosen(slot.pick.at));
            asking.ask.tried.insert(slot.pick.at);
            let mut tried = if asking.may_go_beside() {
                // Boxed: two attempts, of which most requests make one.
                Box::pin(self.hedged(asking, slot)).await
            } else {
                pin!(self.attempt(slot, asking.outgoing())).await
            };
            asking.give_back(tried.unsent.take());
            asking.tell(&tried);
            if !(asking.wants(tried.outcome) && self.may_retry()) {
                return self.finish(tried, asking, deadline);
            }
            asking.heard.step("upstream", || "it may go out again (retries, retry_percent)".to_owned());
            asking.again();
            last = Some(Box::new(tried));
        }
    }

    /// One exchange with one target. It is no `async fn`: one has room twice for what it is given.
    fn attempt(&self, mut slot: Slot, outgoing: Outgoing<'_>) -> impl Future<Output = Tried> {
        let peer = &self.peers[slot.pick.at];
        async move {
            // Pinned where it is made: it is large, and would be moved to be waited for.
            let mut exchange = pin!(async {
                match outgoing {
                    Outgoing::Plain(request) => pin!(peer.exchange_plain(request)).await,
                    // Boxed: a plain one needs no room for it.
                    Outgoing::Whole(copied) => {
                        let Copied { method, path_and_query, headers, body, interim, phases } = *copied;
                        let telling = Telling { interim, phases };
                        let exchange = peer.exchange_telling(method, path_and_query, headers, body, telling);
                        Box::pin(exchange).await.map(Reply::of)
                    }
                }
            });
            let result = match self.limits.try_ms {
                0 => exchange.as_mut().await,
                ms => Box::pin(timeout(Duration::from_millis(ms), exchange)).await.unwrap_or_else(|_| {
                    let (target, phase) = (self.name.clone(), "one try");
                    let error = ExchangeError::Timeout { target, phase, ms: ms.into(), limit: "try_ms" };
                    Err(Undone { error, body: None })
                }),
            };
            let (result, unsent) = match result {
                Ok(reply) => (Ok(reply), None),
                Err(Undone { error, body }) => (Err(error), body),
            };
            let outcome = outcome(result.as_ref().map(Reply::status));
            let (at, result) = (slot.pick.at, result.map_err(failure));
            // What is whole holds no place any more.
            let (slot, ended) = if let Ok(Reply::Response(_)) = result {
                slot.judge(outcome);
                (Some(slot), None)
            } else {
                (None, Some(slot.complete(outcome)))
            };
            Tried { at, slot, outcome, result, unsent, ended }
        }
    }

    /// An exchange that gets another beside it if it is late.
    async fn hedged(self: &Arc<Self>, asking: &mut Asking<'_>, slot: Slot) -> Tried {
        let late_us = self.desk().pool.percentile_us(self.limits.hedge_percentile);
        let mut first = pin!(self.attempt(slot, asking.outgoing()));
        let Some(late_us) = late_us else { return first.await };
        tokio::select! {
            biased;
            tried = &mut first => return tried,
            () = tokio::time::sleep(Duration::from_micros(late_us)) => {}
        }
        if !self.may_retry() {
            return first.await;
        }
        let Ok(slot) = self.enter(&Ask { again: true, ..asking.ask }, None).await else { return first.await };
        asking
            .heard
            .step("upstream", || format!("late: {} is asked beside (hedge_percentile)", self.servers[slot.pick.at]));
        asking.ask.tried.insert(slot.pick.at);
        let second = pin!(self.attempt(slot, asking.outgoing()));
        match select(first, second).await {
            Either::Left((tried, other)) => better(tried, other).await,
            Either::Right((tried, other)) => better(tried, other).await,
        }
    }

    /// A place at a target, for which it may have to wait. `now` if that is known.
    async fn enter(self: &Arc<Self>, ask: &Ask, mut now: Option<Duration>) -> Result<Slot, Failure> {
        let mut ask = *ask;
        let limit = Duration::from_millis(self.limits.waiting_ms);
        loop {
            let waits = {
                let now = now.take().unwrap_or_else(|| self.clock.monotonic());
                let mut desk = self.desk();
                match desk.pool.begin(&ask, ms_of(now)) {
                    Begin::Go(pick) => return Ok(Slot::new(self, pick, now)),
                    Begin::Refuse(refusal) => return Err(self.refused(refusal)),
                    Begin::Wait => {
                        let (turn, called) = oneshot::channel();
                        desk.line.push_back(turn);
                        InLine { upstream: self.clone(), called, served: false }
                    }
                }
            };
            let late = |_| Err(refuse(&code::UPSTREAM_BUSY, self.says("a request waited longer than waiting_ms")));
            Box::pin(timeout(limit, waits.turn())).await.unwrap_or_else(late)?;
            ask.waited = true;
        }
    }

    fn refused(&self, refusal: Refusal) -> Failure {
        match refusal {
            Refusal::Open { retry_after_ms } => {
                let seconds = u32::try_from(retry_after_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
                refuse(&code::UPSTREAM_OPEN, self.says("its breaker is open (breaker_percent)"))
                    .with_retry_after_s(seconds)
            }
            Refusal::Full => refuse(&code::UPSTREAM_BUSY, self.says("requests and waiting are used up")),
        }
    }

    fn finish(
        self: &Arc<Self>,
        tried: Tried,
        asking: &mut Asking<'_>,
        deadline: Option<Instant>,
    ) -> Result<Reply, Failure> {
        let Tried { at, slot, result, ended, .. } = tried;
        asking.note(at);
        asking.heard.end(ended);
        let (mut response, slot) = match (result?, slot) {
            (Reply::Response(response), Some(slot)) => (response, slot),
            (whole, _) => return Ok(whole),
        };
        if let Some(sticky) = &self.sticky
            && asking.bound != Some(at)
        {
            sticky.bind(at, response.headers_mut());
        }
        let between = Duration::from_millis(self.limits.between_bytes_ms);
        let body = std::mem::take(response.body_mut());
        *response.body_mut() = Passing::wrap(body, slot, between, deadline);
        Ok(Reply::Response(response))
    }

    /// The body of a request, if it can be had again; else as it comes.
    async fn at_hand(&self, mut body: Body) -> Result<(Option<Replay>, Body), Failure> {
        if let Some(bytes) = body.take_whole() {
            return Ok((Some(Replay::Memory(bytes)), Body::empty()));
        }
        if self.limits.spool_bytes == 0 {
            return Ok((None, body));
        }
        let spooled = Box::pin(spool::spool(body, self.limits.spool_bytes, &self.spool, &*self.rng)).await;
        match spooled.map_err(|error| Failure::new(error.code, error.detail))? {
            Ok(replay) => Ok((Some(replay), Body::empty())),
            Err(body) => Ok((None, body)),
        }
    }

    fn may_retry(&self) -> bool {
        let now_ms = self.now_ms();
        self.desk().pool.may_retry(now_ms)
    }

    /// What a health check found.
    pub(super) fn checked(&self, at: usize, ok: bool) {
        self.change(at, self.now_ms(), |desk, now_ms| desk.pool.checked(at, ok, now_ms));
    }

    /// Tells the pool something about a target, and the log if that changed its state.
    fn change(&self, at: usize, now_ms: u64, tell: impl FnOnce(&mut Desk, u64)) {
        let mut desk = self.desk();
        let before = desk.pool.state(at, now_ms);
        tell(&mut desk, now_ms);
        let after = desk.pool.state(at, now_ms);
        drop(desk);
        if std::mem::discriminant(&before) != std::mem::discriminant(&after) {
            let (before, after) = (before.name(), after.name());
            tracing::warn!(upstream = %self.name, target_number = at, "a target was {before} and is {after}");
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        ms_of(self.clock.monotonic())
    }

    /// Which server gets a request, of how many.
    fn chosen(&self, at: usize) -> String {
        let (name, server) = (&self.name, &self.servers[at]);
        let targets = self.view().targets;
        let away = targets.iter().filter(|target| !matches!(target.state, "healthy" | "warming"));
        let away: String = away.map(|target| format!("; {} is {}", target.name, target.state)).collect();
        format!("{name} asks {server}, one of {} targets{away}", targets.len())
    }

    fn says(&self, what: &str) -> String {
        format!("the upstream {}: {what}", self.name)
    }
}

impl Desk {
    /// A place is free.
    fn end(&mut self, pick: Pick) {
        if self.pool.end(pick) {
            self.wake();
        }
    }

    /// The next who waits, and is still there, goes on.
    fn wake(&mut self) {
        while let Some(next) = self.line.pop_front() {
            if next.send(()).is_ok() {
                return;
            }
        }
    }
}

/// A request, as often as it goes out.
struct Asking<'a> {
    upstream: &'a Upstream,
    what: What<'a>,
    ask: Ask,
    bound: Option<usize>,
    retries: u64,
    heard: Listener<'a>,
}

/// What goes out.
enum What<'a> {
    Plain(&'a PlainRequest),
    /// Boxed: a plain one is not moved about with room for it.
    Whole(Box<Whole>),
}

/// A request that is more than text.
struct Whole {
    method: Method,
    path_and_query: PathAndQuery,
    headers: HeaderMap,
    /// The body, if it can be had again.
    replay: Option<Replay>,
    /// Else as it comes, until it was sent.
    stream: Option<Body>,
    interim: Option<Interim>,
}

/// One copy of it.
enum Outgoing<'a> {
    Plain(&'a PlainRequest),
    Whole(Box<Copied>),
}

struct Copied {
    method: Method,
    path_and_query: PathAndQuery,
    headers: HeaderMap,
    body: Body,
    interim: Option<Interim>,
    phases: Option<Phases>,
}

/// What came of one exchange.
struct Tried {
    at: usize,
    /// Until the end of a response that is read.
    slot: Option<Slot>,
    outcome: Outcome,
    result: Result<Reply, Failure>,
    /// The body, if it was not sent.
    unsent: Option<Body>,
    /// When that was, of what is over.
    ended: Option<Duration>,
}

impl<'a> Asking<'a> {
    async fn new(upstream: &'a Upstream, mut request: Forwarded) -> Result<Self, Failure> {
        let bound = upstream.sticky.as_ref().and_then(|sticky| sticky.of(&request.headers));
        let key = upstream.hash.as_ref().and_then(|key| binding::key(key, &request));
        let (whole, stream) = upstream.at_hand(std::mem::take(&mut request.body)).await?;
        let trial = whole.is_some();
        let ask = Ask { key, sticky: bound, trial, ..Ask::default() };
        let Forwarded { method, path_and_query, mut headers, interim, heard, .. } = request;
        upstream.node.mark(&mut headers);
        let heard = Listener::Shared(heard);
        let (stream, interim) = (Some(stream), interim.filter(|_| upstream.early_hints));
        let what = Whole { method, path_and_query, headers, replay: whole, stream, interim };
        Ok(Self { upstream, what: What::Whole(Box::new(what)), ask, bound, retries: 0, heard })
    }

    fn plain(upstream: &'a Upstream, request: &'a PlainRequest, heard: &'a mut Heard) -> Self {
        let heard = Listener::Own(heard);
        let ask = Ask { trial: true, ..Ask::default() };
        Self { upstream, what: What::Plain(request), ask, bound: None, retries: 0, heard }
    }

    fn head(&self) -> (PathAndQuery, HeaderMap) {
        match &self.what {
            What::Plain(plain) => (plain.target().clone(), plain.headers()),
            What::Whole(whole) => (whole.path_and_query.clone(), whole.headers.clone()),
        }
    }

    fn outgoing(&mut self) -> Outgoing<'a> {
        let whole = match &mut self.what {
            What::Plain(plain) => return Outgoing::Plain(plain),
            What::Whole(whole) => whole,
        };
        let body = match &whole.replay {
            Some(replay) => replay.body(),
            None => whole.stream.take().unwrap_or_default(),
        };
        Outgoing::Whole(Box::new(Copied {
            method: whole.method.clone(),
            path_and_query: whole.path_and_query.clone(),
            headers: whole.headers.clone(),
            body,
            interim: whole.interim.clone(),
            phases: self.heard.phases(),
        }))
    }

    fn is_idempotent(&self) -> bool {
        match &self.what {
            What::Plain(_) => true,
            What::Whole(whole) => whole.method.is_idempotent(),
        }
    }

    /// The body can be had as often as one likes.
    fn is_at_hand(&self) -> bool {
        match &self.what {
            What::Plain(_) => true,
            What::Whole(whole) => whole.replay.is_some(),
        }
    }

    /// It was not sent.
    fn give_back(&mut self, unsent: Option<Body>) {
        if let What::Whole(whole) = &mut self.what {
            whole.stream = unsent;
        }
    }

    fn wants(&self, outcome: Outcome) -> bool {
        let has_stream = matches!(&self.what, What::Whole(whole) if whole.stream.is_some());
        let retry = Retry {
            idempotent: self.is_idempotent(),
            replayable: self.is_at_hand() || has_stream,
            retries: self.retries,
            retries_max: self.upstream.limits.retries,
            statuses: &self.upstream.retry_on,
        };
        retry.wants(outcome)
    }

    fn may_go_beside(&self) -> bool {
        self.upstream.limits.hedge_percentile > 0
            && self.upstream.peers.len() > 1
            && self.is_idempotent()
            && self.is_at_hand()
    }

    /// For the record: a target is asked, or has answered.
    fn note(&mut self, at: usize) {
        self.heard.note(&self.upstream.servers[at], self.retries + 1);
    }

    /// For who wants to know each step: what one exchange came to.
    fn tell(&self, tried: &Tried) {
        self.heard.step("upstream", || {
            let server = &self.upstream.servers[tried.at];
            match &tried.result {
                Ok(reply) => format!("{server} answers {}", reply.status()),
                Err(failure) => format!("{server} fails: {} ({})", failure.code.name, failure.detail),
            }
        });
    }

    fn again(&mut self) {
        self.retries += 1;
        self.ask.again = true;
    }
}

/// The one that is no failure; of two failures the first.
async fn better(first: Tried, other: impl Future<Output = Tried>) -> Tried {
    if first.outcome.is_failure() == Some(false) {
        return first;
    }
    let other = other.await;
    if other.outcome.is_failure() == Some(false) { other } else { first }
}

fn outcome(result: Result<StatusCode, &ExchangeError>) -> Outcome {
    match result {
        Ok(status) => Outcome::Answered { status: status.as_u16() },
        // The client broke off, not the target.
        Err(ExchangeError::Request(_)) => Outcome::Abandoned,
        Err(error) if error.is_unsent() => Outcome::Unreached,
        Err(_) => Outcome::Broke,
    }
}

fn ms_of(now: Duration) -> u64 {
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn failure(error: ExchangeError) -> Failure {
    Failure::new(error.code(), error.to_string())
}

/// A place at a target, until the end of the response.
pub(super) struct Slot {
    upstream: Arc<Upstream>,
    pick: Pick,
    started: Duration,
    judged: bool,
    over: bool,
}

impl Slot {
    fn new(upstream: &Arc<Upstream>, pick: Pick, started: Duration) -> Self {
        Self { upstream: upstream.clone(), pick, started, judged: false, over: false }
    }

    /// What came of it; once more if the response broke off.
    pub fn judge(&mut self, outcome: Outcome) {
        self.settle(outcome, false);
    }

    /// What came of it, and that it is over: now.
    fn complete(mut self, outcome: Outcome) -> Duration {
        self.settle(outcome, true)
    }

    fn settle(&mut self, outcome: Outcome, is_over: bool) -> Duration {
        (self.judged, self.over) = (true, is_over);
        let now = self.upstream.clock.monotonic();
        let latency_us = u64::try_from((now.saturating_sub(self.started)).as_micros()).unwrap_or(u64::MAX);
        let pick = &mut self.pick;
        self.upstream.change(pick.at, ms_of(now), |desk, now_ms| {
            desk.pool.judge(pick, outcome, latency_us, now_ms);
            if is_over {
                desk.end(*pick);
            }
        });
        now
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.judged {
            self.settle(Outcome::Abandoned, true);
        }
        if !self.over {
            self.upstream.desk().end(self.pick);
        }
    }
}

/// A place in line.
struct InLine {
    upstream: Arc<Upstream>,
    called: oneshot::Receiver<()>,
    served: bool,
}

impl InLine {
    async fn turn(mut self) -> Result<(), Failure> {
        // The line lives as long as the upstream does.
        let called = (&mut self.called).await;
        self.served = called.is_ok();
        called.map_err(|_| refuse(&code::UPSTREAM_BUSY, self.upstream.says("it is gone")))
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if self.served {
            return;
        }
        let mut desk = self.upstream.desk();
        desk.pool.left();
        // It was called and did not hear it: the next one goes.
        if self.called.try_recv().is_ok() {
            desk.wake();
        }
    }
}
