//! SQL: clients that read, update, compare and set, and move amounts between accounts in
//! transactions that span several calls.

use std::sync::Arc;

use base::{AppName, TenantName};
use serde::{Deserialize, Serialize};
use services::sql::{SqlName, SqlResult};
use services::{AppId, Sql as _, SqlDatabase, SqlStatement, SqlValue};
use services_local::{DataDir, LocalSql};
use testkit::linear::Model;

use super::{Subject, below};
use crate::child::Job;

const ACCOUNTS: usize = 3;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Op {
    /// All balances as one view.
    Read,
    Set {
        account: usize,
        to: i64,
    },
    /// One batch that writes between two reads.
    Add {
        account: usize,
        by: i64,
    },
    CompareAndSet {
        account: usize,
        from: i64,
        to: i64,
    },
    /// A transaction over several calls, which writes what it computed from what it read.
    Move {
        from: usize,
        to: usize,
        by: i64,
    },
    /// The same, given up at its end.
    Undo {
        from: usize,
        to: usize,
        by: i64,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Seen {
    Balances(Vec<i64>),
    /// Before and after.
    Added(i64, i64),
    Changed(bool),
}

pub struct Accounts;

impl Model for Accounts {
    type State = [i64; ACCOUNTS];
    type Op = Op;
    type Seen = Seen;

    fn start(&self) -> Self::State {
        [0; ACCOUNTS]
    }

    fn step(&self, before: &Self::State, op: &Op, seen: Option<&Seen>) -> Option<Self::State> {
        let mut after = *before;
        let shown = match *op {
            Op::Read | Op::Undo { .. } => Seen::Balances(before.to_vec()),
            Op::Set { account, to } => {
                after[account] = to;
                Seen::Changed(true)
            }
            Op::Add { account, by } => {
                after[account] += by;
                Seen::Added(before[account], after[account])
            }
            Op::CompareAndSet { account, from, to } => {
                let holds = before[account] == from;
                if holds {
                    after[account] = to;
                }
                Seen::Changed(holds)
            }
            Op::Move { from, to, by } => {
                after[from] -= by;
                after[to] += by;
                Seen::Balances(before.to_vec())
            }
        };
        seen.is_none_or(|seen| *seen == shown).then_some(after)
    }
}

fn database(history: u64) -> SqlDatabase {
    let app = AppId::new(TenantName::parse("acme").expect("a name"), AppName::parse("bank").expect("a name"));
    SqlDatabase::new(&app, SqlName::parse(&format!("h-{history}")).expect("a name"))
}

fn bind(text: &str, values: &[i64]) -> SqlStatement {
    SqlStatement::bind(text, values.iter().map(|&value| SqlValue::Integer(value)).collect())
}

fn numbers(values: &[SqlValue]) -> Vec<i64> {
    let number = |value: &SqlValue| match value {
        SqlValue::Integer(number) => *number,
        other => panic!("{other:?} is no number"),
    };
    values.iter().map(number).collect()
}

const READ: &str = "SELECT v FROM t ORDER BY k";
const WRITE: &str = "UPDATE t SET v = ?2 WHERE k = ?1";

impl Subject for Accounts {
    type Store = LocalSql;
    /// The balances that were read last.
    type Known = Vec<i64>;

    const JOB: Job = Job::SqlHistories;
    const LOOK: Op = Op::Read;

    fn model() -> Self {
        Self
    }

    fn open(data: &DataDir) -> Arc<LocalSql> {
        data.sql()
    }

    async fn prepare(sql: &LocalSql, history: u64) {
        let text = "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v);
            INSERT OR IGNORE INTO t VALUES (0, 0), (1, 0), (2, 0)";
        sql.script(&database(history), text.into()).await.expect("the accounts are there");
    }

    fn choose(known: &Vec<i64>, _: &str) -> Op {
        let account = below(ACCOUNTS as u64) as usize;
        let (to, by) = ((account + 1) % ACCOUNTS, below(90) as i64 + 1);
        match below(10) {
            0 | 1 => Op::Read,
            2 => Op::Set { account, to: by },
            3 => Op::Add { account, by },
            4..7 => {
                let from = known.get(account).copied().unwrap_or_default();
                Op::CompareAndSet { account, from, to: by }
            }
            7 => Op::Undo { from: account, to, by },
            _ => Op::Move { from: account, to, by },
        }
    }

    async fn perform(sql: &LocalSql, history: u64, op: &Op) -> Seen {
        let database = database(history);
        match *op {
            Op::Read => {
                let results = batch(sql, &database, vec![bind(READ, &[])]).await;
                Seen::Balances(numbers(&results[0].rows.values))
            }
            Op::Set { account, to } => {
                let results = batch(sql, &database, vec![bind(WRITE, &[account as i64, to])]).await;
                Seen::Changed(results[0].changes > 0)
            }
            Op::Add { account, by } => {
                let (account, read) = (account as i64, "SELECT v FROM t WHERE k = ?1");
                let add = bind("UPDATE t SET v = v + ?2 WHERE k = ?1", &[account, by]);
                let results = batch(sql, &database, vec![bind(read, &[account]), add, bind(read, &[account])]).await;
                Seen::Added(numbers(&results[0].rows.values)[0], numbers(&results[2].rows.values)[0])
            }
            Op::CompareAndSet { account, from, to } => {
                let text = "UPDATE t SET v = ?3 WHERE k = ?1 AND v = ?2";
                let results = batch(sql, &database, vec![bind(text, &[account as i64, from, to])]).await;
                Seen::Changed(results[0].changes > 0)
            }
            Op::Move { from, to, by } => Seen::Balances(transact(sql, &database, from, to, by, true).await),
            Op::Undo { from, to, by } => Seen::Balances(transact(sql, &database, from, to, by, false).await),
        }
    }

    fn note(known: &mut Vec<i64>, _: &Op, seen: &Seen) {
        if let Seen::Balances(balances) = seen {
            known.clone_from(balances);
        }
    }
}

async fn batch(sql: &LocalSql, database: &SqlDatabase, statements: Vec<SqlStatement>) -> Vec<SqlResult> {
    sql.batch(database, statements).await.expect("the batch is answered").results
}

/// Moves an amount by what it read itself; answers that.
async fn transact(sql: &LocalSql, database: &SqlDatabase, from: usize, to: usize, by: i64, keep: bool) -> Vec<i64> {
    let mut transaction = sql.begin(database).await.expect("it begins");
    let read = numbers(&transaction.run(bind(READ, &[])).await.expect("a read").rows.values);
    for (account, balance) in [(from, read[from] - by), (to, read[to] + by)] {
        transaction.run(bind(WRITE, &[account as i64, balance])).await.expect("a write");
    }
    match keep {
        true => drop(transaction.commit().await.expect("it commits")),
        false => transaction.rollback().await,
    }
    read
}
