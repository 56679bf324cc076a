//! A transaction: a task that owns its connection, and ends it however it has to.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use services::BoxFuture;
use services::postgres::{PostgresError, Query, ResultSet, Transaction, TransactionOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::connection::Stop;
use super::pool::{Lease, Pool};
use super::{Answer, stop};
use crate::network::Check;

/// Statements that wait for the one before; whoever sends more waits itself.
const COMMANDS: usize = 16;

enum Command {
    Query { query: Query, answer: Answer<ResultSet> },
    End { commit: bool, answer: Answer<()> },
}

/// What a worker holds of it. When it is dropped, the task rolls back.
struct Open {
    pool: Arc<Pool>,
    commands: mpsc::Sender<Command>,
    /// Why it is over.
    ended: Arc<OnceLock<PostgresError>>,
}

impl Open {
    fn send<T: Send + 'static>(
        &self,
        command: impl FnOnce(Answer<T>) -> Command + Send + 'static,
    ) -> BoxFuture<'static, Result<T, PostgresError>> {
        let (commands, ended) = (self.commands.clone(), self.ended.clone());
        Box::pin(async move {
            let (answer, waiting) = oneshot::channel();
            let over = || ended.get().cloned().unwrap_or_else(|| PostgresError::Refused(OVER.to_owned()));
            commands.send(command(answer)).await.map_err(|_| over())?;
            waiting.await.unwrap_or_else(|_| Err(over()))
        })
    }
}

const OVER: &str = "the transaction is over";

impl Transaction for Open {
    fn query(&self, query: Query) -> BoxFuture<'static, Result<ResultSet, PostgresError>> {
        if let Err(error) = query.check(&self.pool.options.limits) {
            return Box::pin(std::future::ready(Err(error)));
        }
        self.send(move |answer| Command::Query { query, answer })
    }

    fn end(&self, commit: bool) -> BoxFuture<'static, Result<(), PostgresError>> {
        self.send(move |answer| Command::End { commit, answer })
    }
}

/// Begins one and serves it to its end.
pub async fn run(pool: Arc<Pool>, check: Check, options: TransactionOptions, mut answer: Answer<Arc<dyn Transaction>>) {
    let lease = tokio::select! {
        lease = pool.checkout(&check) => lease,
        () = answer.closed() => return,
    };
    let mut lease = match lease {
        Ok(lease) => lease,
        Err(error) => return drop(answer.send(Err(error))),
    };
    if let Err(error) = lease.connection().command(&options.statement()).await {
        // Who left meanwhile needs no answer.
        let _ = answer.send(Err(error));
        return lease.give_back().await;
    }
    let (commands, received) = mpsc::channel(COMMANDS);
    let ended = Arc::new(OnceLock::new());
    let open = Open { pool: pool.clone(), commands, ended: ended.clone() };
    if answer.send(Ok(Arc::new(open))).is_err() {
        return lease.give_back().await;
    }
    serve(&pool, lease, received, &ended).await;
}

async fn serve(pool: &Pool, mut lease: Lease, mut commands: mpsc::Receiver<Command>, ended: &OnceLock<PostgresError>) {
    let limits = &pool.options.limits;
    let deadline = Instant::now() + Duration::from_millis(limits.transaction_ms);
    let reason = loop {
        let idle = tokio::time::sleep(Duration::from_millis(limits.transaction_idle_ms));
        let command = tokio::select! {
            command = commands.recv() => command,
            () = idle => break late("stood idle for", limits.transaction_idle_ms, "transaction_idle_ms"),
            () = tokio::time::sleep_until(deadline) => break late("was open for", limits.transaction_ms, "transaction_ms"),
        };
        match command {
            None => break PostgresError::Refused(OVER.to_owned()),
            Some(Command::Query { query, mut answer }) => {
                let begun = Instant::now();
                let in_time = async {
                    tokio::select! {
                        stop = stop(limits, &query, &mut answer) => stop,
                        () = tokio::time::sleep_until(deadline) => {
                            Stop::Late { ms: limits.transaction_ms, limit: "limits.transaction_ms of the database" }
                        }
                    }
                };
                let result = lease.connection().query(&query, in_time).await;
                pool.note(&query, begun, &result);
                let over = lease.connection().is_broken() || !lease.connection().is_in_transaction();
                if over {
                    let _ = ended.set(match &result {
                        Err(error) => error.clone(),
                        Ok(_) => PostgresError::Refused("a statement of its own has ended the transaction".to_owned()),
                    });
                }
                // Who left meanwhile needs no answer.
                let _ = answer.send(result);
                if over {
                    break PostgresError::Refused(OVER.to_owned());
                }
            }
            Some(Command::End { commit, answer }) => {
                let result = end(&mut lease, commit).await;
                let _ = ended.set(PostgresError::Refused(OVER.to_owned()));
                lease.give_back().await;
                return drop(answer.send(result));
            }
        }
    };
    let _ = ended.set(reason);
    // Those who still wait for their turn hear the reason before the connection is cleaned.
    drop(commands);
    lease.give_back().await;
}

fn late(what: &str, ms: u64, limit: &str) -> PostgresError {
    let message = format!("the transaction {what} {ms} ms, and was rolled back (limits.{limit} of the database)");
    PostgresError::Timeout(message)
}

async fn end(lease: &mut Lease, commit: bool) -> Result<(), PostgresError> {
    let tag = lease.connection().command(if commit { "COMMIT" } else { "ROLLBACK" }).await?;
    if commit && tag != "COMMIT" {
        let message = "the transaction was rolled back, for one of its statements had failed";
        return Err(PostgresError::Refused(message.to_owned()));
    }
    Ok(())
}
