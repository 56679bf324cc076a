//! PostgreSQL, as a guest asks for it: statements, transactions and listeners, and what comes back.
//!
//! An answer is `[true, …]`, or `[false, code, message, field, value, …]` with what the server said of
//! an error, for which the way of other operations has no room.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use services::postgres::{
    Column, Database, Isolation, Kind, Listener, Param, PostgresError, Query, ResultSet, Transaction,
    TransactionOptions, Value as Cell,
};
use worker::Handle;

use super::abi::postgres as abi;
use super::codec::{Decoder, Encoder, Malformed, Value};
use super::operations::{Completion, Operation};

/// What the requests of an instance have open.
#[derive(Default)]
pub struct Postgres {
    open: HashMap<u32, Open>,
    last: u32,
}

struct Open {
    request: u32,
    thing: Thing,
}

#[derive(Clone)]
enum Thing {
    Transaction(Arc<dyn Transaction>),
    Listener(Arc<dyn Listener>),
}

impl Postgres {
    fn insert(&mut self, request: u32, thing: Thing) -> u32 {
        self.last = self.last.wrapping_add(1).max(1);
        self.open.insert(self.last, Open { request, thing });
        self.last
    }

    fn transaction(&self, id: u32) -> Option<Arc<dyn Transaction>> {
        match &self.open.get(&id)?.thing {
            Thing::Transaction(transaction) => Some(transaction.clone()),
            Thing::Listener(_) => None,
        }
    }

    fn listener(&self, id: u32) -> Option<Arc<dyn Listener>> {
        match &self.open.get(&id)?.thing {
            Thing::Listener(listener) => Some(listener.clone()),
            Thing::Transaction(_) => None,
        }
    }

    /// The request is over: its transactions are rolled back, its listeners hear no more.
    pub fn end_request(&mut self, request: u32) {
        if !self.open.is_empty() {
            self.open.retain(|_, open| open.request != request);
        }
    }

    pub fn clear(&mut self) {
        self.open.clear();
    }
}

/// The operations of this file.
pub async fn perform(operation: &Operation, args: Decoder<'_>) -> Result<Completion, Completion> {
    match operation.code {
        abi::QUERY => query(operation, args).await,
        abi::BEGIN => begin(operation, args).await,
        abi::END => end(operation, args).await,
        abi::LISTEN => listen(operation, args).await,
        abi::NEXT => next(operation, args).await,
        abi::CLOSE => close(operation, args),
        _ => Err(Completion::type_error("there is no such operation")),
    }
}

fn database(operation: &Operation, binding: &Value<'_>) -> Result<Arc<dyn Database>, Completion> {
    match operation.env().bindings.get(binding.as_u32()? as usize) {
        Some((_, Handle::Postgres(database))) => Ok(database.clone()),
        _ => Err(Completion::type_error("this binding is no PostgreSQL database")),
    }
}

/// QUERY(binding, transaction or 0, text, params, timestamps as text, timeoutMs or null)
/// → [true, command, rowCount or null, names, types, kinds, rows]
async fn query(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let database = database(operation, &args.next()?)?;
    let transaction = args.next()?.as_u32()?;
    let text = args.next()?.as_str()?.to_owned();
    let params = params(&args.next()?)?;
    let plain_times = args.next()?.as_bool()?;
    let timeout = args.next()?;
    let timeout_ms = if timeout.is_nullish() { None } else { Some(u64::from(timeout.as_u32()?)) };
    operation.metered()?;
    let query = Query { text, params, timeout_ms };
    let result = match transaction {
        0 => database.query(query).await,
        id => {
            let transaction = operation.instance.postgres.borrow().transaction(id);
            match transaction {
                Some(transaction) => transaction.query(query).await,
                None => Err(over()),
            }
        }
    };
    Ok(match result {
        Ok(result) => Completion::value(|out| encode_result(&result, plain_times, out)),
        Err(error) => failed(&error),
    })
}

fn over() -> PostgresError {
    PostgresError::Refused("the transaction is over".to_owned())
}

/// null, text, bytes, or [JSON text]
fn params(value: &Value<'_>) -> Result<Vec<Param>, Malformed> {
    let Value::Array(items) = value else { return Err(Malformed) };
    items
        .iter()
        .map(|item| {
            Ok(match item {
                Value::Null | Value::Undefined => Param::Null,
                Value::String(text) => Param::Text(text.to_string()),
                Value::Bytes(bytes) => Param::Bytes(Bytes::copy_from_slice(bytes)),
                Value::Array(json) => Param::Json(json.first().ok_or(Malformed)?.as_str()?.to_owned()),
                _ => return Err(Malformed),
            })
        })
        .collect()
}

/// BEGIN(binding, isolation or null, readOnly, deferrable) → [true, transaction]
async fn begin(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let database = database(operation, &args.next()?)?;
    let isolation = args.next()?;
    let isolation = match isolation.as_optional_str()? {
        None => None,
        Some(text) => Some(Isolation::parse(text).ok_or_else(|| {
            Completion::type_error("isolation is \"read committed\", \"repeatable read\" or \"serializable\"")
        })?),
    };
    let options =
        TransactionOptions { isolation, read_only: args.next()?.as_bool()?, deferrable: args.next()?.as_bool()? };
    operation.metered()?;
    Ok(match database.begin(options).await {
        Ok(transaction) => opened(operation, Thing::Transaction(transaction)),
        Err(error) => failed(&error),
    })
}

fn opened(operation: &Operation, thing: Thing) -> Completion {
    let id = operation.instance.postgres.borrow_mut().insert(operation.request, thing);
    Completion::value(|out| out.array(2).bool(true).integer(u64::from(id)))
}

/// END(transaction, commit) → [true]
async fn end(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (id, commit) = (args.next()?.as_u32()?, args.next()?.as_bool()?);
    let transaction = operation.instance.postgres.borrow().transaction(id);
    let result = match transaction {
        Some(transaction) => transaction.end(commit).await,
        None => Err(over()),
    };
    operation.instance.postgres.borrow_mut().open.remove(&id);
    Ok(result.map_or_else(|error| failed(&error), |()| done()))
}

fn done() -> Completion {
    Completion::value(|out| out.array(1).bool(true))
}

/// LISTEN(binding, channel) → [true, listener]
async fn listen(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let database = database(operation, &args.next()?)?;
    let channel = args.next()?.as_str()?.to_owned();
    operation.metered()?;
    Ok(match database.listen(channel).await {
        Ok(listener) => opened(operation, Thing::Listener(listener)),
        Err(error) => failed(&error),
    })
}

/// NEXT(listener) → [true, channel, payload, process], or null when it was closed
async fn next(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let id = args.next()?.as_u32()?;
    // One that always hears something lets others have their turn.
    tokio::task::consume_budget().await;
    let listener = operation.instance.postgres.borrow().listener(id);
    let Some(listener) = listener else { return Ok(Completion::value(|out| out.null())) };
    Ok(match listener.next().await {
        Ok(heard) => Completion::value(|out| {
            let out = out.array(4).bool(true).string(&heard.channel).string(&heard.payload);
            out.number(f64::from(heard.process))
        }),
        Err(error) => failed(&error),
    })
}

/// CLOSE(listener) → [true]
fn close(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    operation.instance.postgres.borrow_mut().open.remove(&args.next()?.as_u32()?);
    Ok(done())
}

fn failed(error: &PostgresError) -> Completion {
    let code = error.code();
    let PostgresError::Statement(said) = error else {
        return Completion::value(|out| {
            out.array(3).bool(false).string(code.name).string(&format!("{}: {error}", code.title))
        });
    };
    let position = said.position.map(|position| position.to_string());
    let fields = [
        ("sqlstate", Some(&said.sqlstate)),
        ("severity", Some(&said.severity)),
        ("detail", said.detail.as_ref()),
        ("hint", said.hint.as_ref()),
        ("position", position.as_ref()),
        ("schema", said.schema.as_ref()),
        ("table", said.table.as_ref()),
        ("column", said.column.as_ref()),
        ("dataType", said.data_type.as_ref()),
        ("constraint", said.constraint.as_ref()),
        ("where", said.context.as_ref()),
    ];
    let there: Vec<_> = fields.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
    Completion::value(|out| {
        // What the server says is said as it is: programs look into it.
        let out = out.array(3 + 2 * there.len() as u32).bool(false).string(code.name).string(&said.message);
        there.iter().fold(out, |out, (name, value)| out.string(name).string(value))
    })
}

/// What the prelude does with the values of a column.
mod kind {
    pub const AS_IT_IS: u64 = 0;
    /// A number, or text that makes a BigInt.
    pub const BIG_INT: u64 = 1;
    pub const JSON: u64 = 2;
    /// Milliseconds that make a Date.
    pub const INSTANT: u64 = 3;
}

fn encode_result<'a>(result: &ResultSet, plain_times: bool, out: &'a mut Encoder) -> &'a mut Encoder {
    let mut columns: Vec<Column> = result.columns.to_vec();
    if plain_times {
        columns.iter_mut().filter(|column| column.kind == Kind::Instant).for_each(|column| column.kind = Kind::Text);
    }
    let count = columns.len() as u32;
    out.array(7).bool(true).string(&result.command);
    match result.row_count {
        Some(count) => out.integer(count),
        None => out.null(),
    };
    out.array(count);
    for column in &columns {
        out.string(&column.name);
    }
    out.array(count);
    for column in &columns {
        out.integer(u64::from(column.type_oid));
    }
    out.array(count);
    for column in &columns {
        out.integer(match column.kind {
            Kind::BigInt => kind::BIG_INT,
            Kind::Json => kind::JSON,
            Kind::Instant => kind::INSTANT,
            _ => kind::AS_IT_IS,
        });
    }
    out.array(result.rows.len() as u32);
    for row in &result.rows {
        out.array(count);
        let mut cells = row.cells();
        for column in &columns {
            encode_cell(&column.read(cells.next().flatten()), out);
        }
    }
    out
}

fn encode_cell(cell: &Cell<'_>, out: &mut Encoder) {
    match cell {
        Cell::Null => out.null(),
        Cell::Bool(value) => out.bool(*value),
        Cell::Number(value) if value.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(value) => {
            out.integer(*value as u64)
        }
        Cell::Number(value) => out.number(*value),
        Cell::Text(text) => out.string(text),
        Cell::Bytes(bytes) => out.bytes(bytes),
        Cell::Array(items) => {
            out.array(items.len() as u32);
            return items.iter().for_each(|item| encode_cell(item, out));
        }
    };
}
