//! SQL, as the guest asks for it (`engine-guest/prelude/features/sql.ts`).
//!
//! A value crosses as what JavaScript has for it. An integer that a number can't hold exactly crosses
//! as an array of one string, in both directions; where the guest wants every integer told from a
//! number, all do.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use services::sql::{SqlChangesOptions, SqlCost, SqlError, SqlParams, SqlResult, SqlStatement, SqlValue};
use worker::{Handle, Meter, SqlBinding, SqlTarget};

use super::abi::sql as abi;
use super::codec::{Decoder, Encoder, Malformed, Value};
use super::operations::{Completion, Operation};

/// The largest integer that a number holds exactly with all before it.
const SAFE_MAX: i64 = (1 << 53) - 1;

/// What INIT tells the guest of a binding.
pub fn describe(name: &str, index: usize, binding: &SqlBinding) -> serde_json::Value {
    let kind = match binding.target {
        SqlTarget::One(_) => "sql",
        SqlTarget::Family(_) => "sqlfamily",
    };
    serde_json::json!({ "name": name, "kind": kind, "binding": index })
}

pub async fn perform(operation: &Operation, args: Decoder<'_>) -> Result<Completion, Completion> {
    match operation.code {
        abi::BATCH => batch(operation, args).await,
        abi::SCRIPT => script(operation, args).await,
        abi::BEGIN => begin(operation, args).await,
        abi::RUN => run(operation, args).await,
        abi::END => end(operation, args).await,
        abi::STREAM => stream(operation, args).await,
        abi::NEXT => next(operation, args).await,
        abi::CLOSE => close(operation, args),
        _ => Err(Completion::type_error("there is no such operation")),
    }
}

impl From<SqlError> for Completion {
    fn from(error: SqlError) -> Self {
        Completion::failed(error.code(), error.to_string())
    }
}

/// The binding that comes first, and the key of a family's database after it.
fn binding<'a>(
    operation: &'a Operation,
    args: &mut Decoder<'_>,
) -> Result<(&'a SqlBinding, Option<String>), Completion> {
    let index = args.next()?.as_u32()? as usize;
    let key = args.next()?.as_optional_str()?.map(str::to_owned);
    match operation.env().bindings.get(index) {
        Some((_, Handle::Sql(binding))) => Ok((binding, key)),
        _ => Err(Completion::type_error("this binding is no SQL database")),
    }
}

/// `sql, values, exact`, of which there may be none left.
fn statement(args: &mut Decoder<'_>) -> Result<Option<(SqlStatement, bool)>, Completion> {
    let sql = args.next()?;
    if matches!(sql, Value::Undefined) {
        return Ok(None);
    }
    let (values, exact) = (args.next()?, args.next()?.as_bool()?);
    let Value::Array(values) = values else { return Err(Malformed.into()) };
    let values: Result<Vec<SqlValue>, Completion> = values.iter().map(value).collect();
    Ok(Some((SqlStatement { sql: sql.as_str()?.into(), params: SqlParams::Positional(values?) }, exact)))
}

fn value(value: &Value<'_>) -> Result<SqlValue, Completion> {
    Ok(match value {
        Value::Null => SqlValue::Null,
        Value::Bool(value) => SqlValue::Integer(i64::from(*value)),
        Value::Number(number) => number_value(*number),
        Value::String(text) => SqlValue::Text(text.clone().into_owned()),
        Value::Bytes(bytes) => SqlValue::Blob(bytes.to_vec()),
        Value::Array(digits) => {
            let [digits] = &digits[..] else { return Err(Malformed.into()) };
            let digits = digits.as_str()?;
            let integer = digits.parse().map_err(|_| {
                Completion::from(SqlError::BadParameters(format!("{digits} is larger than SQLite's integers are")))
            })?;
            SqlValue::Integer(integer)
        }
        Value::Undefined => return Err(Malformed.into()),
    })
}

/// A whole number is an integer, as it is to JavaScript.
fn number_value(number: f64) -> SqlValue {
    let is_integer = number.trunc() == number && number.abs() <= SAFE_MAX as f64;
    match is_integer && !(number == 0.0 && number.is_sign_negative()) {
        true => SqlValue::Integer(number as i64),
        false => SqlValue::Real(number),
    }
}

/// BATCH(binding, key, sql, values, exact, …) → [size, durability, result, …]
async fn batch(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(operation, &mut args)?;
    let (mut statements, mut exact) = (Vec::new(), Vec::new());
    while let Some((statement, is_exact)) = statement(&mut args)? {
        statements.push(statement);
        exact.push(is_exact);
    }
    let (_, meter) = operation.metered()?;
    let database = binding.database(key.as_deref()).await?;
    let answer = binding.provider.batch(&database, statements).await?;
    let mut out = Encoder::default();
    out.array(answer.results.len() as u32 + 2).integer(answer.size_bytes).string(answer.durability.as_str());
    for (result, exact) in answer.results.iter().zip(exact) {
        charge(meter, result.cost);
        encode_result(result, exact, &mut out);
    }
    Ok(Completion::Value(out.0))
}

/// SCRIPT(binding, key, text) → [statements, ms]
async fn script(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(operation, &mut args)?;
    let text = args.next()?.as_str()?.to_owned();
    let (_, meter) = operation.metered()?;
    let database = binding.database(key.as_deref()).await?;
    let answer = binding.provider.script(&database, text).await?;
    charge(meter, answer.cost);
    Ok(Completion::value(|out| out.array(2).integer(answer.statements).number(ms(answer.cost))))
}

/// BEGIN(binding, key) → transaction
async fn begin(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(operation, &mut args)?;
    let (_, meter) = operation.metered()?;
    let database = binding.database(key.as_deref()).await?;
    let transaction = binding.provider.begin(&database).await?;
    let number = meter.sql.keep_transaction(transaction);
    Ok(Completion::value(|out| out.integer(u64::from(number))))
}

/// CHANGES(binding, key, position or null, limit or null, first) → [through, [sequence, ms, table, kind, rowid, key, …]]
pub async fn changes(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(operation, &mut args)?;
    let (after, limit, first) = (args.next()?, args.next()?, args.next()?.as_bool()?);
    let options = SqlChangesOptions {
        after: if after.is_nullish() { None } else { Some(after.as_f64()?.max(0.0) as u64) },
        limit: if limit.is_nullish() { None } else { Some(limit.as_f64()?.max(1.0) as usize) },
        wait: true,
    };
    // One watch is one call to the outside, however often it reads.
    let meter = match (first, &operation.context) {
        (false, Some((_, meter))) => meter,
        _ => operation.metered()?.1,
    };
    if !first {
        // A feed that has always something to tell lets others have their turn.
        tokio::task::consume_budget().await;
    }
    let database = binding.database(key.as_deref()).await?;
    let page = binding.provider.changes(&database, options).await?;
    meter.sql_rows_read.fetch_add(page.changes.len() as u64, Ordering::Relaxed);
    let mut out = Encoder::default();
    out.array(2).integer(page.through).array(6 * page.changes.len() as u32);
    for change in &page.changes {
        out.integer(change.sequence).integer(change.time_ms).string(&change.table).string(change.kind.as_str());
        match change.rowid {
            Some(rowid) => encode_integer(rowid, false, &mut out),
            None => drop(out.null()),
        }
        out.optional_string(change.key.as_deref());
    }
    Ok(Completion::Value(out.0))
}

fn over() -> SqlError {
    SqlError::TransactionOver("it was committed or rolled back, or belongs to another request".into())
}

/// RUN(transaction, sql, values, exact) → result
async fn run(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let number = args.next()?.as_u32()?;
    let (statement, exact) = statement(&mut args)?.ok_or(Malformed)?;
    let (_, meter) = operation.metered()?;
    let mut transaction = meter.sql.take_transaction(number).ok_or_else(over)?;
    let answer = transaction.run(statement).await;
    meter.sql.put_transaction(number, transaction);
    let result = answer?;
    charge(meter, result.cost);
    let mut out = Encoder::default();
    encode_result(&result, exact, &mut out);
    Ok(Completion::Value(out.0))
}

/// END(transaction, commit)
async fn end(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let number = args.next()?.as_u32()?;
    let commit = args.next()?.as_bool()?;
    let Some((_, meter)) = &operation.context else { return Err(over().into()) };
    let transaction = meter.sql.take_transaction(number);
    match (transaction, commit) {
        (Some(transaction), true) => drop(transaction.commit().await?),
        (Some(transaction), false) => transaction.rollback().await,
        (None, true) => return Err(over().into()),
        (None, false) => {}
    }
    Ok(Completion::value(|out| out.null()))
}

/// STREAM(binding, key, sql, values, exact) → [stream, columns]
async fn stream(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(operation, &mut args)?;
    let (statement, _) = statement(&mut args)?.ok_or(Malformed)?;
    let (_, meter) = operation.metered()?;
    let database = binding.database(key.as_deref()).await?;
    let stream = binding.provider.stream(&database, statement).await?;
    let mut out = Encoder::default();
    out.array(2);
    let columns = stream.columns().to_vec();
    out.integer(u64::from(meter.sql.keep_stream(stream)));
    encode_strings(&columns, &mut out);
    Ok(Completion::Value(out.0))
}

/// NEXT(stream, exact) → values of the next rows, or null at the end
async fn next(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (number, exact) = (args.next()?.as_u32()?, args.next()?.as_bool()?);
    let Some((_, meter)) = &operation.context else { return Ok(Completion::value(|out| out.null())) };
    let Some(mut stream) = meter.sql.take_stream(number) else { return Ok(Completion::value(|out| out.null())) };
    let rows = stream.next().await?;
    let Some(rows) = rows else {
        meter.sql_rows_read.fetch_add(stream.rows_read(), Ordering::Relaxed);
        return Ok(Completion::value(|out| out.null()));
    };
    meter.sql.put_stream(number, stream);
    let mut out = Encoder::default();
    encode_values(&rows.values, exact, &mut out);
    Ok(Completion::Value(out.0))
}

/// CLOSE(stream)
fn close(operation: &Operation, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let number = args.next()?.as_u32()?;
    if let Some((_, meter)) = &operation.context
        && let Some(stream) = meter.sql.take_stream(number)
    {
        meter.sql_rows_read.fetch_add(stream.rows_read(), Ordering::Relaxed);
    }
    Ok(Completion::value(|out| out.null()))
}

/// What statements used is the invocation's, their time included.
fn charge(meter: &Arc<Meter>, cost: SqlCost) {
    meter.sql_rows_read.fetch_add(cost.rows_read, Ordering::Relaxed);
    meter.sql_rows_written.fetch_add(cost.rows_written, Ordering::Relaxed);
    meter.native_us.fetch_add(cost.duration.as_micros() as u64, Ordering::Relaxed);
}

fn ms(cost: SqlCost) -> f64 {
    cost.duration.as_secs_f64() * 1000.0
}

/// [columns, values of all rows, rows read, rows written, changes, last row id, ms, whether it writes]
fn encode_result(result: &SqlResult, exact: bool, out: &mut Encoder) {
    out.array(8);
    encode_strings(&result.columns, out);
    encode_values(&result.rows.values, exact, out);
    out.integer(result.cost.rows_read).integer(result.cost.rows_written).integer(result.changes);
    encode_integer(result.last_row_id, false, out);
    out.number(ms(result.cost)).bool(result.wrote);
}

fn encode_strings(strings: &[String], out: &mut Encoder) {
    out.array(strings.len() as u32);
    for text in strings {
        out.string(text);
    }
}

fn encode_values(values: &[SqlValue], exact: bool, out: &mut Encoder) {
    out.array(values.len() as u32);
    for value in values {
        match value {
            SqlValue::Null => {
                out.null();
            }
            SqlValue::Integer(integer) => encode_integer(*integer, exact, out),
            SqlValue::Real(number) => {
                out.number(*number);
            }
            SqlValue::Text(text) => {
                out.string(text);
            }
            SqlValue::Blob(bytes) => {
                out.bytes(bytes);
            }
        }
    }
}

fn encode_integer(integer: i64, exact: bool, out: &mut Encoder) {
    match u64::try_from(integer) {
        Ok(positive) if integer <= SAFE_MAX && !exact => {
            out.integer(positive);
        }
        Err(_) if integer >= -SAFE_MAX && !exact => {
            out.number(integer as f64);
        }
        _ => {
            out.array(1).string(&integer.to_string());
        }
    }
}
