//! PostgreSQL over its own protocol (version 3.0; the chapter "Frontend/Backend Protocol" of its
//! documentation), on the messages of the crate `postgres-protocol`.
//!
//! **Why not `tokio-postgres`.** It asks for every result in the binary format, for which each type
//! needs a reader of its own; scripts want text for whatever is no number or date, extensions' types
//! included. And it hides what the promises of the contract hang on: the state of the transaction after
//! each statement, the moment at which a result grows too large, the connection that a notification came
//! on.
//!
//! **One thread drives all connections of the node.** A pool for each core would need the bound of
//! connections divided by the cores, and a core without a free one would wait beside idle ones. So
//! pools are shared, and their tasks run on a thread of their own; a statement costs two hops between
//! threads, some microseconds beside a round trip to a database. What is dear, reading values out of
//! rows, is done on the core that asked.
//!
//! **A task owns its connection.** Whoever asks waits for an answer and holds nothing; when it goes
//! away, the task sees that and cancels. No future that is dropped half-way leaves a connection in a
//! state that nobody knows.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use base::PostgresLimits;
use services::BoxFuture;
use services::egress::{EgressPolicy, Scheme, Target};
use services::postgres::{
    Database, DatabaseOptions, Listener, Postgres, PostgresError, Query, ResultSet, Transaction, TransactionOptions,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::network::{Check, Network};

mod cancel;
mod connection;
mod listen;
mod pool;
mod startup;
mod statements;
mod transaction;
mod wire;

use connection::{STATEMENT_MS, Stop};
use listen::Hub;
use pool::Pool;

type Answer<T> = oneshot::Sender<Result<T, PostgresError>>;

/// All databases of a node.
pub struct PostgresPools {
    network: Arc<dyn Network>,
    usage: Arc<PostgresUsage>,
    pools: Mutex<Vec<Weak<Pool>>>,
    driver: OnceLock<Driver>,
}

/// What all pools of the node have come to.
#[derive(Debug, Default)]
pub struct PostgresUsage {
    /// Open, now.
    pub connections: AtomicU64,
    pub statements: AtomicU64,
    pub failures: AtomicU64,
    pub slow: AtomicU64,
    /// Refused, for no connection was free.
    pub busy: AtomicU64,
}

/// The thread on which connections are driven. It begins with the first database.
struct Driver {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("postgres".to_owned());
        let thread = thread.spawn(move || {
            // It ends when it is told to, or when nobody is left to tell.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { runtime: handle, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It panics no more than what it drives, and that was told.
            let _ = thread.join();
        }
    }
}

impl PostgresPools {
    pub fn new(network: Arc<dyn Network>) -> Self {
        Self { network, usage: Arc::default(), pools: Mutex::default(), driver: OnceLock::new() }
    }

    pub fn usage(&self) -> Arc<PostgresUsage> {
        self.usage.clone()
    }

    /// The pool of these options; a new one if nobody holds it.
    fn pool(&self, options: DatabaseOptions) -> Arc<Pool> {
        let driver = self.driver.get_or_init(|| Driver::start().expect("a thread and its runtime"));
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        if let Some(pool) = pools.iter().filter_map(Weak::upgrade).find(|pool| *pool.options == options) {
            return pool;
        }
        let pool = Pool::new(options, self.network.clone(), driver.runtime.clone(), self.usage.clone());
        pools.push(Arc::downgrade(&pool));
        pool
    }
}

impl Postgres for PostgresPools {
    fn database(&self, options: DatabaseOptions, egress: Arc<EgressPolicy>) -> Arc<dyn Database> {
        let (host, port) = (options.address.host.clone(), options.address.port);
        let check: Check = Arc::new(move |address| {
            let target = Target { scheme: Scheme::Postgres, host: &host, port, address };
            egress.decide(&target).map_err(|denial| denial.to_string())
        });
        Arc::new(Granted { pool: self.pool(options), check })
    }
}

/// A database as one worker may reach it.
struct Granted {
    pool: Arc<Pool>,
    check: Check,
}

impl Granted {
    /// Starts a task that answers.
    fn ask<T: Send + 'static, F: Future<Output = ()> + Send + 'static>(
        &self,
        task: impl FnOnce(Arc<Pool>, Check, Answer<T>) -> F,
    ) -> BoxFuture<'static, Result<T, PostgresError>> {
        let (answer, waiting) = oneshot::channel();
        self.pool.runtime.spawn(task(self.pool.clone(), self.check.clone(), answer));
        Box::pin(async move { waiting.await.unwrap_or_else(|_| Err(PostgresError::Lost(STOPPING.to_owned()))) })
    }
}

const STOPPING: &str = "the node is stopping";

impl Database for Granted {
    fn query(&self, query: Query) -> BoxFuture<'static, Result<ResultSet, PostgresError>> {
        if let Err(error) = query.check(&self.pool.options.limits) {
            return Box::pin(std::future::ready(Err(error)));
        }
        self.ask(|pool, check, answer| run(pool, check, query, answer))
    }

    fn begin(&self, options: TransactionOptions) -> BoxFuture<'static, Result<Arc<dyn Transaction>, PostgresError>> {
        self.ask(|pool, check, answer| transaction::run(pool, check, options, answer))
    }

    fn listen(&self, channel: String) -> BoxFuture<'static, Result<Arc<dyn Listener>, PostgresError>> {
        self.ask(|pool, check, answer| async move {
            // Who left meanwhile needs no answer.
            let _ = answer.send(Hub::subscribe(pool, check, channel).await);
        })
    }
}

/// One statement, on a connection of its own for as long as it runs.
async fn run(pool: Arc<Pool>, check: Check, query: Query, mut answer: Answer<ResultSet>) {
    let lease = tokio::select! {
        lease = pool.checkout(&check) => lease,
        () = answer.closed() => return,
    };
    let mut lease = match lease {
        Ok(lease) => lease,
        Err(error) => return drop(answer.send(Err(error))),
    };
    let begun = Instant::now();
    let mut result = lease.connection().query(&query, stop(&pool.options.limits, &query, &mut answer)).await;
    pool.note(&query, begun, &result);
    if result.is_ok() && lease.connection().is_in_transaction() {
        let message = "a transaction is begun with transaction(); this one was rolled back";
        result = Err(PostgresError::Refused(message.to_owned()));
    }
    if lease.is_clean() {
        // Given back first, so that the next statement of this caller finds it.
        lease.give_back().await;
        return drop(answer.send(result));
    }
    // Nobody waits for the cleaning but the connection itself.
    let _ = answer.send(result);
    lease.give_back().await;
}

/// Comes when the statement is to end before its time.
async fn stop<T>(limits: &PostgresLimits, query: &Query, answer: &mut Answer<T>) -> Stop {
    let (ms, limit) = match query.timeout_ms.filter(|ms| *ms < limits.statement_ms) {
        Some(ms) => (ms, "its own timeoutMs"),
        None => (limits.statement_ms, STATEMENT_MS),
    };
    tokio::select! {
        () = answer.closed() => Stop::Gone,
        () = tokio::time::sleep(Duration::from_millis(ms)) => Stop::Late { ms, limit },
    }
}
