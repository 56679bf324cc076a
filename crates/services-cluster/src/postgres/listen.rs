//! `LISTEN`: one connection for all listeners of a database on this node, beside the pool, since what
//! it listens to belongs to the session. It is there while somebody listens.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use services::BoxFuture;
use services::postgres::{Listener, Notification, PostgresError, quoted_name};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::Answer;
use super::connection::Connection;
use super::pool::Pool;
use crate::network::Check;

/// How often it is looked whether somebody still listens.
const PRUNE: Duration = Duration::from_secs(1);

const COMMANDS: usize = 64;

/// PostgreSQL cuts longer names (`NAMEDATALEN`).
const CHANNEL_BYTES_MAX: usize = 63;

/// Leads to the task that listens, if there is one.
#[derive(Default)]
pub struct Hub(Mutex<Option<mpsc::Sender<Subscribe>>>);

pub struct Subscribe {
    channel: String,
    check: Check,
    answer: Answer<Arc<dyn Listener>>,
}

/// What a worker holds.
struct Heard {
    notifications: tokio::sync::Mutex<mpsc::Receiver<Notification>>,
    overflowed: Arc<AtomicBool>,
    max: u64,
}

impl Listener for Heard {
    fn next(&self) -> BoxFuture<'_, Result<Notification, PostgresError>> {
        Box::pin(async move {
            match self.notifications.lock().await.recv().await {
                Some(notification) => Ok(notification),
                None if self.overflowed.load(Ordering::Relaxed) => Err(PostgresError::Overflow { max: self.max }),
                None => Err(PostgresError::Lost("the connection that listens was lost; listen again".to_owned())),
            }
        })
    }
}

/// Where notifications of a channel go.
struct Subscriber {
    queue: mpsc::Sender<Notification>,
    overflowed: Arc<AtomicBool>,
}

impl Hub {
    /// Asks the task that listens, or starts one.
    pub async fn subscribe(pool: Arc<Pool>, check: Check, channel: String) -> Result<Arc<dyn Listener>, PostgresError> {
        if channel.is_empty() || channel.len() > CHANNEL_BYTES_MAX || channel.contains('\0') {
            let message = format!("a channel has a name of 1 to {CHANNEL_BYTES_MAX} bytes");
            return Err(PostgresError::Refused(message));
        }
        let lost = || PostgresError::Lost("the connection that listens was lost; listen again".to_owned());
        let (answer, waiting) = oneshot::channel();
        let subscribe = Subscribe { channel, check, answer };
        let to = pool.hub.running();
        let refused = match to {
            Some(to) => to.send(subscribe).await.err().map(|error| error.0),
            None => Some(subscribe),
        };
        if let Some(subscribe) = refused {
            pool.hub.start(&pool).send(subscribe).await.map_err(|_| lost())?;
        }
        waiting.await.unwrap_or_else(|_| Err(lost()))
    }

    fn running(&self) -> Option<mpsc::Sender<Subscribe>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|to| !to.is_closed())
    }

    fn start(&self, pool: &Arc<Pool>) -> mpsc::Sender<Subscribe> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(to) = running.as_ref().filter(|to| !to.is_closed()) {
            return to.clone();
        }
        let (to, commands) = mpsc::channel(COMMANDS);
        *running = Some(to.clone());
        pool.runtime.spawn(run(pool.clone(), commands));
        to
    }
}

async fn run(pool: Arc<Pool>, mut commands: mpsc::Receiver<Subscribe>) {
    let Some(first) = commands.recv().await else { return };
    let mut connection = match pool.connect(&first.check).await {
        Ok(connection) => connection,
        Err(error) => {
            commands.close();
            return drop(first.answer.send(Err(error)));
        }
    };
    let mut ear = Ear { pool: &pool, channels: HashMap::new() };
    ear.admit(&mut connection, first).await;
    loop {
        let done = tokio::select! {
            heard = connection.wire.notified() => heard.is_ok().then_some(()),
            command = commands.recv() => match command {
                Some(subscribe) => {
                    ear.admit(&mut connection, subscribe).await;
                    Some(())
                }
                None => None,
            },
            () = tokio::time::sleep(PRUNE) => ear.prune(&mut connection).await.then_some(()),
        };
        ear.pass_on(&mut connection);
        if done.is_none() || connection.is_broken() {
            break;
        }
    }
    // From here on nobody waits for this task: those in its queue are refused, and start another.
    commands.close();
    connection.close().await;
}

/// Who listens to what.
struct Ear<'a> {
    pool: &'a Pool,
    channels: HashMap<String, Vec<Subscriber>>,
}

impl Ear<'_> {
    async fn admit(&mut self, connection: &mut Connection, subscribe: Subscribe) {
        let Subscribe { channel, check, answer } = subscribe;
        let limits = &self.pool.options.limits;
        let listeners: usize = self.channels.values().map(Vec::len).sum();
        if listeners as u64 >= limits.listeners {
            let max = limits.listeners;
            let message = format!("{max} listen already on this node (limits.listeners of the database)");
            return drop(answer.send(Err(PostgresError::Busy(message))));
        }
        if let Err(reason) = check(connection.wire.address) {
            return drop(answer.send(Err(PostgresError::Denied(reason))));
        }
        // What was heard before belongs to those who listened then.
        self.pass_on(connection);
        if !self.channels.contains_key(&channel)
            && let Err(error) = connection.command(&format!("LISTEN {}", quoted_name(&channel))).await
        {
            return drop(answer.send(Err(error)));
        }
        let (queue, notifications) = mpsc::channel(limits.notifications as usize);
        let overflowed = Arc::new(AtomicBool::new(false));
        let heard = Heard {
            notifications: tokio::sync::Mutex::new(notifications),
            overflowed: overflowed.clone(),
            max: limits.notifications,
        };
        self.channels.entry(channel).or_default().push(Subscriber { queue, overflowed });
        // One that left meanwhile is found when it is looked for.
        let _ = answer.send(Ok(Arc::new(heard)));
    }

    /// Hands over what was heard. Who has no room is told so, and hears no more.
    fn pass_on(&mut self, connection: &mut Connection) {
        for notification in connection.wire.notifications.drain(..) {
            let Some(subscribers) = self.channels.get_mut(&notification.channel) else { continue };
            subscribers.retain(|subscriber| match subscriber.queue.try_send(notification.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    subscriber.overflowed.store(true, Ordering::Relaxed);
                    false
                }
                Err(TrySendError::Closed(_)) => false,
            });
        }
    }

    /// Forgets those who have left; false when nobody is left.
    async fn prune(&mut self, connection: &mut Connection) -> bool {
        let mut empty = Vec::new();
        self.channels.retain(|channel, subscribers| {
            subscribers.retain(|subscriber| !subscriber.queue.is_closed());
            if subscribers.is_empty() {
                empty.push(channel.clone());
            }
            !subscribers.is_empty()
        });
        if self.channels.is_empty() {
            return false;
        }
        for channel in empty {
            // If it fails, the connection is broken, and that is seen.
            let _ = connection.command(&format!("UNLISTEN {}", quoted_name(&channel))).await;
        }
        true
    }
}
