//! The connections of one database: at most `pool` of them, for one statement or one transaction at a
//! time. Who comes first is served first; who finds a connection gets the one that was used last, so
//! that what is not needed grows old and goes.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use services::postgres::{DatabaseOptions, PostgresError, Query, ResultSet};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::PostgresUsage;
use super::cancel::Canceller;
use super::connection::Connection;
use super::listen::Hub;
use super::startup;
use crate::network::{Check, Network};

/// Of a slow statement, in the log.
const TEXT_CHARS_MAX: usize = 500;

pub struct Pool {
    pub options: Arc<DatabaseOptions>,
    pub runtime: Handle,
    pub hub: Hub,
    network: Arc<dyn Network>,
    usage: Arc<PostgresUsage>,
    places: Arc<Semaphore>,
    waiting: AtomicU64,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    members: Vec<Member>,
    reaped: bool,
}

/// A connection of the pool.
struct Member {
    connection: Connection,
    unused_since: Instant,
    _open: Open,
}

/// Counts a connection as long as there is one.
struct Open(Arc<PostgresUsage>);

impl Open {
    fn new(usage: &Arc<PostgresUsage>) -> Self {
        usage.connections.fetch_add(1, Ordering::Relaxed);
        Self(usage.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection for one statement or transaction. One that is dropped instead of being given back is
/// closed.
pub struct Lease {
    member: Member,
    pool: Arc<Pool>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    pub fn new(
        options: DatabaseOptions,
        network: Arc<dyn Network>,
        runtime: Handle,
        usage: Arc<PostgresUsage>,
    ) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(options.limits.pool as usize)),
            options: Arc::new(options),
            runtime,
            hub: Hub::default(),
            network,
            usage,
            waiting: AtomicU64::new(0),
            idle: Mutex::default(),
        })
    }

    /// A clean connection that leads where `check` allows.
    pub async fn checkout(self: &Arc<Self>, check: &Check) -> Result<Lease, PostgresError> {
        let place = self.place().await?;
        while let Some(mut member) = self.take_idle(check) {
            if member.connection.wire.is_alive().await {
                return Ok(Lease { member, pool: self.clone(), _place: place });
            }
        }
        let connection = self.connect(check).await?;
        let member = Member { connection, unused_since: Instant::now(), _open: Open::new(&self.usage) };
        self.start_reaping();
        Ok(Lease { member, pool: self.clone(), _place: place })
    }

    /// A new connection, outside of the pool's bound.
    pub async fn connect(&self, check: &Check) -> Result<Connection, PostgresError> {
        let ready = startup::connect(&*self.network, &self.options, check.clone()).await?;
        let canceller = Canceller::new(self.network.clone(), self.options.clone(), check.clone());
        Ok(Connection::new(ready, self.options.clone(), canceller))
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, PostgresError> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let limits = &self.options.limits;
        let _waiting = Waiting::new(&self.waiting);
        if self.waiting.load(Ordering::Relaxed) > limits.pool_queue {
            let max = limits.pool_queue;
            return Err(self.busy(format!("{max} others wait for one (limits.pool_queue)")));
        }
        let waited =
            tokio::time::timeout(Duration::from_millis(limits.pool_wait_ms), self.places.clone().acquire_owned());
        match waited.await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(self.busy(format!("none was free within {} ms (limits.pool_wait_ms)", limits.pool_wait_ms))),
        }
    }

    fn busy(&self, why: String) -> PostgresError {
        self.usage.busy.fetch_add(1, Ordering::Relaxed);
        let (name, pool) = (&self.options.name, self.options.limits.pool);
        PostgresError::Busy(format!("all {pool} connections to {name} are in use (limits.pool), and {why}"))
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self, check: &Check) -> Option<Member> {
        let members = &mut self.idle().members;
        let allowed = |address: IpAddr| check(address).is_ok();
        let at = members.iter().rposition(|member| allowed(member.connection.wire.address))?;
        Some(members.remove(at))
    }

    /// Closes what has been unused for too long, until the pool is gone.
    fn start_reaping(self: &Arc<Self>) {
        if std::mem::replace(&mut self.idle().reaped, true) {
            return;
        }
        let limit = Duration::from_millis(self.options.limits.pool_idle_ms);
        let pool = Arc::downgrade(self);
        self.runtime.spawn(async move {
            loop {
                tokio::time::sleep(limit / 2).await;
                let Some(old) = Weak::upgrade(&pool).map(|pool| pool.take_older(limit)) else { return };
                for member in old {
                    member.connection.close().await;
                }
            }
        });
    }

    fn take_older(&self, limit: Duration) -> Vec<Member> {
        self.idle().members.extract_if(.., |member| member.unused_since.elapsed() >= limit).collect()
    }

    /// Counts a statement, and names one that was slow. Its parameters are nobody's business.
    pub fn note(&self, query: &Query, begun: Instant, result: &Result<ResultSet, PostgresError>) {
        self.usage.statements.fetch_add(1, Ordering::Relaxed);
        if result.is_err() {
            self.usage.failures.fetch_add(1, Ordering::Relaxed);
        }
        let (ms, slow_ms) = (begun.elapsed().as_millis() as u64, self.options.limits.slow_ms);
        if slow_ms > 0 && ms >= slow_ms {
            self.usage.slow.fetch_add(1, Ordering::Relaxed);
            let (app, database) = (&self.options.app.app, &self.options.name);
            let text: String = query.text.chars().take(TEXT_CHARS_MAX).collect();
            let rows = result.as_ref().map_or(0, |result| result.rows.len());
            tracing::warn!("{app}: a statement on the database {database} took {ms} ms for {rows} rows: {text}");
        }
    }
}

impl Lease {
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.member.connection
    }

    pub fn is_clean(&self) -> bool {
        self.member.connection.is_clean()
    }

    /// Puts it back: at once if it is clean, otherwise when it is.
    pub async fn give_back(mut self) {
        if !self.is_clean() {
            self.connection().clean().await;
        }
        if self.is_clean() {
            self.member.unused_since = Instant::now();
            self.pool.idle().members.push(self.member);
        } else {
            self.member.connection.close().await;
        }
    }
}

/// Counts one that waits as long as it does.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
