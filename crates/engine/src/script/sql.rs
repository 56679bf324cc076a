//! SQL, as the guest asks for it (`engine-guest/prelude/features/sql.ts`).
//!
//! A value crosses as what JavaScript has for it, and a result in the form in which a handler gets
//! it: objects and BigInts are made where the encoding is read, in C, not by the prelude. A BigInt
//! that is bound crosses as an array of one string.

use std::sync::atomic::Ordering;

use services::Durability;
use services::sql::{SqlChangesOptions, SqlCost, SqlError, SqlParams, SqlResult, SqlStatement, SqlValue};
use worker::{Env, Handle, Meter, SqlBinding, SqlTarget};

use super::abi::{ask as ask_abi, sql as abi};
use super::ask::Ask;
use super::codec::{Decoder, Encoder, Malformed, Value};
use super::operations::{self, Completion};

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

pub async fn perform(ask: &Ask, args: Decoder<'_>) -> Result<Completion, Completion> {
    match ask.code {
        ask_abi::SQL_QUERY => query(ask, args).await,
        abi::BATCH => batch(ask, args).await,
        abi::SCRIPT => script(ask, args).await,
        abi::BEGIN => begin(ask, args).await,
        abi::RUN => run(ask, args).await,
        abi::END => end(ask, args).await,
        abi::STREAM => stream(ask, args).await,
        abi::NEXT => next(ask, args).await,
        abi::CLOSE => close(ask, args),
        _ => Err(Completion::type_error("there is no such operation")),
    }
}

impl From<SqlError> for Completion {
    fn from(error: SqlError) -> Self {
        Completion::failed(error.code(), error.to_string())
    }
}

/// The binding that comes first, and the key of a family's database after it.
fn binding<'a>(env: &'a Env, args: &mut Decoder<'_>) -> Result<(&'a SqlBinding, Option<String>), Completion> {
    let index = args.next()?.as_u32()? as usize;
    let key = args.next()?.as_optional_str()?.map(str::to_owned);
    match env.bindings.get(index) {
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

/// QUERY(binding, key, sql, values, exact, shape, column) → the result in this shape
async fn query(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(&ask.env, &mut args)?;
    let (statement, exact) = statement(&mut args)?.ok_or(Malformed)?;
    let (shape, column) = (Shape::parse(&args.next()?)?, args.next()?);
    let meter = ask.metered()?;
    let database = binding.database(key.as_deref()).await?;
    let answer = binding.provider.batch(&database, vec![statement]).await?;
    let result = answer.results.first().ok_or(Malformed)?;
    charge(meter, result.cost);
    let context = Context { exact, size_bytes: answer.size_bytes, durability: Some(answer.durability) };
    shaped(result, shape, column.as_optional_str()?, context)
}

/// The same on the spot, into `out`; `None` if it has to be waited for, or is to fail for a reason that `query` gives.
/// Its time is not told apart from the entry's, in which it is.
pub fn query_now(env: &Env, meter: &Meter, arguments: &[u8], out: &mut Encoder) -> Option<Result<(), Completion>> {
    let mut args = Decoder::new(arguments);
    let (binding, key) = binding(env, &mut args).ok()?;
    let (statement, exact) = statement(&mut args).ok()??;
    let (shape, column) = (Shape::parse(&args.next().ok()?).ok()?, args.next().ok()?);
    let database = binding.ready(key.as_deref())?;
    let answer = binding.provider.read_now(&database, &statement)?;
    Some(operations::count(meter, env).and_then(|()| {
        let answer = answer?;
        let result = answer.results.first().ok_or(Malformed)?;
        charge_rows(meter, result.cost);
        let context = Context { exact, size_bytes: answer.size_bytes, durability: Some(answer.durability) };
        shape_into(result, shape, column.as_optional_str()?, context, out)
    }))
}

/// BATCH(binding, key, sql, values, exact, …) → [result, …]
async fn batch(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(&ask.env, &mut args)?;
    let (mut statements, mut exact) = (Vec::new(), Vec::new());
    while let Some((statement, is_exact)) = statement(&mut args)? {
        statements.push(statement);
        exact.push(is_exact);
    }
    let meter = ask.metered()?;
    let database = binding.database(key.as_deref()).await?;
    let answer = binding.provider.batch(&database, statements).await?;
    let mut out = Encoder::default();
    out.array(answer.results.len() as u32);
    for (result, exact) in answer.results.iter().zip(exact) {
        charge(meter, result.cost);
        let context = Context { exact, size_bytes: answer.size_bytes, durability: Some(answer.durability) };
        encode_result(result, context, &mut out);
    }
    Ok(Completion::Value(out.0))
}

/// SCRIPT(binding, key, text) → [statements, ms, durability]
async fn script(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(&ask.env, &mut args)?;
    let text = args.next()?.as_str()?.to_owned();
    let meter = ask.metered()?;
    let database = binding.database(key.as_deref()).await?;
    let answer = binding.provider.script(&database, text).await?;
    charge(meter, answer.cost);
    Ok(Completion::value(|out| {
        out.array(3).integer(answer.statements).number(ms(answer.cost)).string(answer.durability.as_str())
    }))
}

/// BEGIN(binding, key) → transaction
async fn begin(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(&ask.env, &mut args)?;
    let meter = ask.metered()?;
    let database = binding.database(key.as_deref()).await?;
    let transaction = binding.provider.begin(&database).await?;
    let number = meter.sql.keep_transaction(transaction);
    Ok(Completion::value(|out| out.integer(u64::from(number))))
}

/// CHANGES(binding, key, position or null, limit or null, first) → [through, [sequence, ms, table, kind, rowid, key, …]]
pub async fn changes(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(&ask.env, &mut args)?;
    let (after, limit, first) = (args.next()?, args.next()?, args.next()?.as_bool()?);
    let options = SqlChangesOptions {
        after: if after.is_nullish() { None } else { Some(after.as_f64()?.max(0.0) as u64) },
        limit: if limit.is_nullish() { None } else { Some(limit.as_f64()?.max(1.0) as usize) },
        wait: true,
    };
    // One watch is one call to the outside, however often it reads.
    let meter = match (first, &ask.meter) {
        (false, Some(meter)) => meter,
        _ => ask.metered()?,
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

/// RUN(transaction, sql, values, exact, shape, column) → as QUERY
async fn run(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let number = args.next()?.as_u32()?;
    let (statement, exact) = statement(&mut args)?.ok_or(Malformed)?;
    let (shape, column) = (Shape::parse(&args.next()?)?, args.next()?);
    let meter = ask.metered()?;
    let mut transaction = meter.sql.take_transaction(number).ok_or_else(over)?;
    let answer = transaction.run(statement).await;
    meter.sql.put_transaction(number, transaction);
    let result = answer?;
    charge(meter, result.cost);
    // It is part of a transaction that is not committed yet.
    let context = Context { exact, size_bytes: 0, durability: None };
    shaped(&result, shape, column.as_optional_str()?, context)
}

/// END(transaction, commit)
async fn end(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let number = args.next()?.as_u32()?;
    let commit = args.next()?.as_bool()?;
    let Some(meter) = &ask.meter else { return Err(over().into()) };
    let transaction = meter.sql.take_transaction(number);
    match (transaction, commit) {
        (Some(transaction), true) => drop(transaction.commit().await?),
        (Some(transaction), false) => transaction.rollback().await,
        (None, true) => return Err(over().into()),
        (None, false) => {}
    }
    Ok(Completion::value(|out| out.null()))
}

/// STREAM(binding, key, sql, values, exact) → stream
async fn stream(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (binding, key) = binding(&ask.env, &mut args)?;
    let (statement, _) = statement(&mut args)?.ok_or(Malformed)?;
    let meter = ask.metered()?;
    let database = binding.database(key.as_deref()).await?;
    let stream = binding.provider.stream(&database, statement).await?;
    let number = meter.sql.keep_stream(stream);
    Ok(Completion::value(|out| out.integer(u64::from(number))))
}

/// NEXT(stream, exact) → the next rows as objects, or null at the end
async fn next(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let (number, exact) = (args.next()?.as_u32()?, args.next()?.as_bool()?);
    let Some(meter) = &ask.meter else { return Ok(Completion::value(|out| out.null())) };
    let Some(mut stream) = meter.sql.take_stream(number) else { return Ok(Completion::value(|out| out.null())) };
    let rows = stream.next().await?;
    let Some(rows) = rows else {
        meter.sql_rows_read.fetch_add(stream.rows_read(), Ordering::Relaxed);
        return Ok(Completion::value(|out| out.null()));
    };
    let mut out = Encoder::default();
    encode_rows(stream.columns(), &rows.values, exact, &mut out);
    meter.sql.put_stream(number, stream);
    Ok(Completion::Value(out.0))
}

/// CLOSE(stream)
fn close(ask: &Ask, mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let number = args.next()?.as_u32()?;
    if let Some(meter) = &ask.meter
        && let Some(stream) = meter.sql.take_stream(number)
    {
        meter.sql_rows_read.fetch_add(stream.rows_read(), Ordering::Relaxed);
    }
    Ok(Completion::value(|out| out.null()))
}

/// What statements used is the invocation's, their time included.
fn charge(meter: &Meter, cost: SqlCost) {
    charge_rows(meter, cost);
    meter.native_us.fetch_add(cost.duration.as_micros() as u64, Ordering::Relaxed);
}

fn charge_rows(meter: &Meter, cost: SqlCost) {
    meter.sql_rows_read.fetch_add(cost.rows_read, Ordering::Relaxed);
    meter.sql_rows_written.fetch_add(cost.rows_written, Ordering::Relaxed);
}

fn ms(cost: SqlCost) -> f64 {
    cost.duration.as_secs_f64() * 1000.0
}

/// In what form a result is wanted.
#[derive(Clone, Copy)]
enum Shape {
    /// What `all` and `run` answer: rows as objects, and what they cost.
    Result,
    /// The first row, or one column of it.
    First,
    /// Rows as arrays.
    Arrays,
    /// The same, behind the names of the columns.
    NamedArrays,
    /// Rows as objects.
    Rows,
}

impl Shape {
    fn parse(value: &Value<'_>) -> Result<Self, Malformed> {
        let all = [Self::Result, Self::First, Self::Arrays, Self::NamedArrays, Self::Rows];
        all.get(value.as_u32()? as usize).copied().ok_or(Malformed)
    }
}

/// What is to be known beside a result to write it down.
#[derive(Clone, Copy)]
struct Context {
    exact: bool,
    size_bytes: u64,
    durability: Option<Durability>,
}

fn shaped(result: &SqlResult, shape: Shape, column: Option<&str>, context: Context) -> Result<Completion, Completion> {
    let mut out = Encoder::default();
    shape_into(result, shape, column, context, &mut out)?;
    Ok(Completion::Value(out.0))
}

/// What fails writes nothing.
fn shape_into(
    result: &SqlResult,
    shape: Shape,
    column: Option<&str>,
    context: Context,
    out: &mut Encoder,
) -> Result<(), Completion> {
    let (columns, values, exact) = (&result.columns, &result.rows.values, context.exact);
    match shape {
        Shape::Result => encode_result(result, context, out),
        Shape::Rows => encode_rows(columns, values, exact, out),
        Shape::First => encode_first(result, column, exact, out)?,
        Shape::Arrays | Shape::NamedArrays => {
            let named = matches!(shape, Shape::NamedArrays);
            out.array(result.rows.len() as u32 + u32::from(named));
            if named {
                out.array(columns.len() as u32);
                columns.iter().for_each(|name| {
                    out.string(name);
                });
            }
            for row in values.chunks(result.rows.width.max(1)) {
                out.array(row.len() as u32);
                row.iter().for_each(|value| encode_value(value, exact, out));
            }
        }
    }
    Ok(())
}

/// `{ success, meta, results }`, as code for D1 knows it.
fn encode_result(result: &SqlResult, context: Context, out: &mut Encoder) {
    out.object(3).name("success").bool(true).name("meta").object(9);
    out.name("served_by").string("selvedge").name("duration").number(ms(result.cost));
    out.name("changes").integer(result.changes);
    out.name("last_row_id");
    encode_integer(result.last_row_id, false, out);
    out.name("changed_db").bool(result.wrote).name("size_after").integer(context.size_bytes);
    out.name("rows_read").integer(result.cost.rows_read).name("rows_written").integer(result.cost.rows_written);
    out.name("durability");
    match context.durability {
        Some(durability) => out.string(durability.as_str()),
        None => out.undefined(),
    };
    out.name("results");
    encode_rows(&result.columns, &result.rows.values, context.exact, out);
}

/// Of columns that have the same name, an object has the last.
fn encode_first(result: &SqlResult, column: Option<&str>, exact: bool, out: &mut Encoder) -> Result<(), Completion> {
    let columns = &result.columns;
    let row = &result.rows.values[..result.rows.width.min(result.rows.values.len())];
    match column {
        _ if row.is_empty() => drop(out.null()),
        None => {
            out.object(row.len() as u32);
            for (name, value) in columns.iter().zip(row) {
                out.name(name);
                encode_value(value, exact, out);
            }
        }
        Some(wanted) => match columns.iter().rposition(|name| name == wanted) {
            Some(place) => encode_value(&row[place], exact, out),
            None => {
                return Err(Completion::Failed {
                    name: "Error",
                    message: format!("D1_ERROR: Column not found ({wanted})"),
                    code: "",
                });
            }
        },
    }
    Ok(())
}

fn encode_rows(columns: &[String], values: &[SqlValue], exact: bool, out: &mut Encoder) {
    let count = values.len() / columns.len().max(1);
    out.rows(columns.iter().map(String::as_str), count as u32);
    values.iter().for_each(|value| encode_value(value, exact, out));
}

fn encode_value(value: &SqlValue, exact: bool, out: &mut Encoder) {
    match value {
        SqlValue::Null => drop(out.null()),
        SqlValue::Integer(integer) => encode_integer(*integer, exact, out),
        SqlValue::Real(number) => drop(out.number(*number)),
        SqlValue::Text(text) => drop(out.string(text)),
        SqlValue::Blob(bytes) => drop(out.buffer(bytes)),
    }
}

/// A number, or a BigInt where a number could not hold it, or where all are wanted so.
fn encode_integer(integer: i64, exact: bool, out: &mut Encoder) {
    match u64::try_from(integer) {
        Ok(positive) if integer <= SAFE_MAX && !exact => drop(out.integer(positive)),
        Err(_) if integer >= -SAFE_MAX && !exact => drop(out.number(integer as f64)),
        _ => drop(out.bigint(integer)),
    }
}
