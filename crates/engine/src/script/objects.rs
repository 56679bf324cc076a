//! Durable objects, from inside: an instance's own storage and sockets, and the ids of others.
//!
//! Storage is answered in the call that asks: what it needs lies in memory as a rule. Whatever one
//! entry into the guest writes is part of one turn, which ends with the entry or soon after it
//! ([`GuestObject::end_turn`]): entries that follow at once share it, since to commit is dearer than
//! to write. What the guest wants to let out, an effect of that entry, waits for the turn's ticket;
//! see `instance/objects.rs`. And since all jobs that follow from a read run before the entry is over,
//! no other event comes between an object's `await storage.get()` and what stands behind it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::socket::{self, Ended, Message, SocketOptions, close_code};
use base::{Code, code};
use bytes::Bytes;
use services::SqlValue;
use services::object::alarm::{self, Begun};
use services::object::{Alarm, ListOptions, ObjectClass, ObjectError, Ticket};
use services::sql::SqlStatement;
use worker::object::{AutoResponse, Objects, Seat, Target};
use worker::{Env, Failure, Handle};

use super::abi::{durable, object as abi, past, value};
use super::codec::{Decoder, Encoder, Malformed, NoKey, Value};
use super::guest::{Effect, Guest, GuestError};
use super::host::Refusal;
use super::nested::LastCalled;
use super::operations::{Completion, told};
use super::sockets;
use super::tokens;

/// What makes a guest an object.
pub struct GuestObject {
    pub seat: Seat,
    /// Explicit transactions that are open, innermost last: which of them outlive the entry.
    parts: u32,
    /// The alarm's handler runs; whether it has set another alarm.
    alarm: Option<bool>,
    /// The request that its handler runs in.
    alarm_request: u32,
    /// The instance is to end, and why.
    reset: Option<Failure>,
    /// This turn may have written something.
    wrote: bool,
    /// What earlier entries wrote is part of this turn.
    pub shared: bool,
}

/// What an entry leaves behind.
pub enum Left {
    Nothing,
    /// What it wrote, which waits for the end of the turn.
    Written,
}

/// What a guest said on a socket: it leaves when the gate is open.
#[derive(Debug)]
pub enum Asked {
    Send { socket: Which, message: Message },
    Close { socket: Which, ended: Ended },
}

#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// One of the instance's own.
    Own(u32),
    /// One that the object keeps.
    Kept(u32),
}

/// What becomes of an alarm that was delivered.
pub enum AlarmBegun {
    Run {
        scheduled_ms: u64,
        retries: u32,
    },
    /// It is not due any more, or runs already.
    Nothing,
    GivenUp,
}

impl GuestObject {
    pub fn new(seat: Seat) -> Self {
        let (alarm, alarm_request, reset) = (None, 0, None);
        Self { seat, parts: 0, alarm, alarm_request, reset, wrote: false, shared: false }
    }

    /// Asks for the end of the instance; the first reason counts.
    pub fn reset(&mut self, failure: Failure) {
        self.reset.get_or_insert(failure);
    }

    /// An entry is over. What it wrote within a transaction that goes on waits for that one's end.
    pub fn end_entry(&mut self) -> Result<Left, Failure> {
        if let Some(failure) = self.reset.take() {
            self.seat.storage.roll_back();
            return Err(failure);
        }
        Ok(if self.wrote && self.parts == 0 { Left::Written } else { Left::Nothing })
    }

    /// Commits. `None` if nothing was written.
    pub fn end_turn(&mut self) -> Result<Option<Ticket>, Failure> {
        (self.wrote, self.shared) = (false, false);
        self.seat.storage.commit().map_err(|error| reset_by(&error))
    }

    /// The alarm's event has come: schedules its next try.
    pub fn begin_alarm(&mut self, request: u32, now_ms: u64) -> Result<AlarmBegun, Failure> {
        if self.alarm.is_some() {
            return Ok(AlarmBegun::Nothing);
        }
        let storage = &mut self.seat.storage;
        let Some(stored) = storage.alarm().map_err(|error| reset_by(&error))? else { return Ok(AlarmBegun::Nothing) };
        let (next, begun) = match alarm::begin(stored, now_ms, self.seat.bounds.alarm_retries) {
            Begun::NotYet => return Ok(AlarmBegun::Nothing),
            Begun::GiveUp => (None, AlarmBegun::GivenUp),
            Begun::Run { next } => {
                let run = AlarmBegun::Run { scheduled_ms: stored.scheduled_ms, retries: stored.tries };
                (Some(next), run)
            }
        };
        storage.set_alarm(next).map_err(|error| reset_by(&error))?;
        self.wrote = true;
        (self.alarm, self.alarm_request) = (next.map(|_| false), request);
        Ok(begun)
    }

    /// A request is over. If it was the alarm's, what is stored says when that runs again.
    pub fn request_over(&mut self, request: u32) {
        if self.alarm_request == request {
            (self.alarm, self.alarm_request) = (None, 0);
        }
    }

    /// The alarm's handler is over, or its event is: what is stored says when it runs again.
    pub fn alarm_over(&mut self, well: bool) -> Result<(), ObjectError> {
        match self.alarm.take() {
            Some(false) if well => self.seat.storage.set_alarm(None),
            _ => Ok(()),
        }
    }
}

/// The instance can't go on, since its storage can't.
pub fn reset_by(error: &ObjectError) -> Failure {
    let store = match error {
        ObjectError::Store(store) | ObjectError::Spent(store) => Some(store),
        _ => None,
    };
    Failure::new(error.code(), format!("the object was reset: {}", told(error, store)))
}

fn refusal(error: &ObjectError) -> Refusal {
    Refusal { name: "Error", message: error.to_string().into(), code: error.code().name }
}

fn failed(code: Code, message: impl Into<String>) -> Refusal {
    Refusal { name: "Error", message: message.into().into(), code: code.name }
}

/// The calls that are answered at once.
pub fn answer(guest: &mut Guest, code: i32, mut args: Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    if guest.is_evaluating() {
        return Err(Refusal::at_start("a durable object"));
    }
    if code == abi::ID {
        return id(guest, &mut args, out);
    }
    let request = guest.charged();
    let socket_options = SocketOptions::from(&guest.limits);
    if let Some(call) = guest.calls.get_mut(&request) {
        let counter = if is_read(code) { &call.meter.kv_reads } else { &call.meter.kv_writes };
        counter.fetch_add(1, Ordering::Relaxed);
        if !is_read(code) {
            // It leaves a trace.
            call.event = None;
        }
    }
    if code == abi::SOCKET_ACCEPT {
        return accept(guest, request, socket_options, &args.next()?, out);
    }
    let message_bytes = socket_options.message_bytes;
    let now_ms = if code == past::BOOKMARK { guest.host_ms() } else { 0 };
    let Some(object) = guest.object.as_deref_mut() else {
        return Err(Refusal::type_error("this instance is no durable object"));
    };
    let result = match code {
        abi::SQL => sql(object, &mut args, out),
        past::FIRST_CALL..=past::LAST_CALL | durable::TOLD => {
            object.wrote |= !is_read(code);
            of_the_past(object, code, now_ms, &mut args, out)
        }
        abi::GET..=abi::BYTES => {
            object.wrote |= !is_read(code);
            store(object, code, &mut args, out)
        }
        value::READ => read_value(object, &mut args, out),
        value::WRITE => {
            object.wrote = true;
            write_value(object, &mut args)
        }
        abi::SOCKET_SEND..=abi::AUTO_TIME => {
            let (asked, result) = talk(object, code, message_bytes, &mut args, out);
            guest.effects.extend(asked.map(Effect::Object));
            return result;
        }
        abi::ABORT => {
            let (reason, stack) = (args.next()?, args.next()?);
            let detail = format!("the object was reset: {}", reason.as_str()?);
            let failure = Failure::new(&code::OBJECT_RESET, detail);
            let stack = GuestError { stack: stack.as_str()?.to_owned(), ..GuestError::default() }
                .cut(guest.limits.log_bytes)
                .stack;
            object.reset(match &guest.env {
                Some(env) => env.located(failure, stack),
                None => failure,
            });
            Ok(())
        }
        _ => return Err(Refusal::type_error("there is no such call")),
    };
    result.map_err(|error| match error {
        Wrong::Refused(refused) => refused,
        Wrong::Storage(error) => {
            if error.is_fatal() {
                object.reset(reset_by(&error));
            }
            refusal(&error)
        }
    })
}

fn is_read(code: i32) -> bool {
    matches!(
        code,
        abi::GET | value::READ | abi::LIST | abi::ALARM_GET | abi::BYTES | abi::SOCKETS
            ..=abi::AUTO_TIME | past::BOOKMARK | durable::TOLD
    )
}

enum Wrong {
    Refused(Refusal),
    Storage(ObjectError),
}

impl From<ObjectError> for Wrong {
    fn from(error: ObjectError) -> Self {
        Self::Storage(error)
    }
}

impl From<NoKey> for Wrong {
    fn from(error: NoKey) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Malformed> for Wrong {
    fn from(error: Malformed) -> Self {
        Self::Refused(error.into())
    }
}

fn of_keys<'a>(value: &'a Value<'a>) -> Result<Vec<&'a str>, NoKey> {
    match value {
        Value::Array(items) => items.iter().map(Value::as_key).collect(),
        _ => Err(NoKey::Malformed),
    }
}

fn texts<'a>(value: &'a Value<'a>) -> Result<Vec<&'a str>, Malformed> {
    match value {
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => Err(Malformed),
    }
}

fn store(object: &mut GuestObject, code: i32, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Wrong> {
    let keys_max = object.seat.bounds.keys as usize;
    let too_many =
        || Wrong::Refused(failed(&code::TOO_MANY_KEYS, format!("more than {keys_max} keys at once (object_keys)")));
    let storage = &mut object.seat.storage;
    match code {
        abi::GET => {
            let keys = args.next()?;
            let keys = of_keys(&keys)?;
            if keys.len() > keys_max {
                return Err(too_many());
            }
            let values = storage.get(&keys)?;
            out.array(values.len() as u32);
            values.iter().for_each(|value| encode_value(value.as_deref(), out));
        }
        abi::PUT => {
            let (key, place) = (args.next()?, args.next()?.as_u32()?);
            if place as usize >= keys_max {
                return Err(too_many());
            }
            storage.put(key.as_key()?, args.raw()?)?;
        }
        abi::DELETE => {
            let keys = args.next()?;
            let keys = of_keys(&keys)?;
            if keys.len() > keys_max {
                return Err(too_many());
            }
            let mut deleted = 0;
            for key in keys {
                deleted += u64::from(storage.delete(key)?);
            }
            out.integer(deleted);
        }
        abi::LIST => list(object, args, out)?,
        abi::DELETE_ALL => storage.delete_all()?,
        abi::ALARM_GET => {
            // One that runs is not set any more, unless its handler has set another.
            let stored = if object.alarm == Some(false) { None } else { storage.alarm()? };
            match stored {
                Some(alarm) => drop(out.integer(alarm.due_ms)),
                None => drop(out.null()),
            }
        }
        abi::ALARM_SET => {
            let at = args.next()?;
            let alarm = if at.is_nullish() { None } else { Some(Alarm::at(at.as_f64()?.max(0.0) as u64)) };
            storage.set_alarm(alarm)?;
            object.alarm = object.alarm.map(|_| true);
        }
        abi::ALARM_OVER => object.alarm_over(args.next()?.as_bool()?)?,
        // One that goes on beyond this entry is no part of what others wrote: BEGIN(true) says so by
        // false, and is asked again when that is committed.
        abi::BEGIN if args.next()?.as_bool()? && object.shared => drop(out.bool(false)),
        abi::BEGIN => {
            storage.begin()?;
            object.parts += 1;
            out.bool(true);
        }
        abi::END => {
            storage.end(args.next()?.as_bool()?)?;
            object.parts = object.parts.saturating_sub(1);
        }
        _ => drop(out.integer(storage.bytes()?)),
    }
    Ok(())
}

/// READ(key) → the value, undefined if there is none; what is more than a text, a number or a truth
/// value is the list of its tokens, which the prelude reads.
fn read_value(object: &mut GuestObject, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Wrong> {
    let key = args.next()?;
    let found = object.seat.storage.get(&[key.as_key()?])?;
    match found.first().and_then(Option::as_deref).filter(|value| is_encoded(value)) {
        Some(tokens) => out.0.extend_from_slice(tokens::plain(tokens).unwrap_or(tokens)),
        None => drop(out.undefined()),
    }
    Ok(())
}

/// WRITE(key, value), for a value that is a text, a number or a truth value.
fn write_value(object: &mut GuestObject, args: &mut Decoder<'_>) -> Result<(), Wrong> {
    let (key, value) = (args.next()?, args.raw()?);
    let tokens = tokens::of_plain(value).ok_or(Malformed)?;
    object.seat.storage.put(key.as_key()?, &tokens)?;
    Ok(())
}

/// SQL(text, values) → [columns, values, rows read, rows written]
fn sql(object: &mut GuestObject, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Wrong> {
    let (text, values) = (args.next()?, args.next()?);
    let Value::Array(values) = values else { return Err(Malformed.into()) };
    let params = values.iter().map(sql_value).collect::<Result<Vec<_>, Malformed>>()?;
    let result = object.seat.storage.sql(&SqlStatement::bind(text.as_str()?, params));
    // One that failed may have begun a turn.
    object.wrote |= result.as_ref().map_or(true, |result| result.wrote);
    let result = result?;
    out.array(4).array(result.columns.len() as u32);
    result.columns.iter().for_each(|column| {
        out.string(column);
    });
    out.array(result.rows.values.len() as u32);
    for value in &result.rows.values {
        match value {
            SqlValue::Null => out.null(),
            // Beyond 2^53 a number is the nearest that there is.
            SqlValue::Integer(number) => out.number(*number as f64),
            SqlValue::Real(number) => out.number(*number),
            SqlValue::Text(text) => out.string(text),
            SqlValue::Blob(bytes) => out.bytes(bytes),
        };
    }
    out.integer(result.cost.rows_read).integer(result.cost.rows_written);
    Ok(())
}

/// TOLD() → durability; BOOKMARK(time or null) → bookmark; RESTORE_NEXT(bookmark) → the bookmark that undoes it.
///
/// A bookmark is a moment; or, for the moment before the object is put back, which is yet to come, when that
/// was asked for and its number. They are in the order of time as texts, too.
fn of_the_past(
    object: &mut GuestObject,
    code: i32,
    now_ms: u64,
    args: &mut Decoder<'_>,
    out: &mut Encoder,
) -> Result<(), Wrong> {
    let storage = &mut object.seat.storage;
    if code == durable::TOLD {
        out.string(storage.durability().as_str());
        return Ok(());
    }
    let argument = args.next()?;
    if code == past::BOOKMARK {
        let at_ms = if argument.is_nullish() { storage.bookmark()? } else { argument.as_f64()?.max(0.0) as u64 };
        if !argument.is_nullish() && at_ms > now_ms {
            return Err(ObjectError::Past("the moment is yet to come".into()).into());
        }
        out.string(&bookmark(at_ms, 0));
        return Ok(());
    }
    let text = argument.as_str()?;
    let (mut at_ms, number) = parse_bookmark(text).ok_or_else(|| {
        let message = format!("{:?} is no bookmark of a durable object", shortened(text));
        Wrong::Refused(Refusal { name: "TypeError", message: message.into(), code: code::OBJECT_PAST.name })
    })?;
    if number > 0 {
        let unknown = || ObjectError::Past("the object was not put back yet, or too often since".into());
        at_ms = storage.before_restore(number)?.ok_or_else(unknown)?;
    }
    let number = storage.restore_next(at_ms)?;
    let now_ms = storage.bookmark()?;
    out.string(&bookmark(now_ms, number));
    Ok(())
}

fn bookmark(at_ms: u64, number: u32) -> String {
    format!("{at_ms:016x}-{number:08x}")
}

fn parse_bookmark(text: &str) -> Option<(u64, u32)> {
    let (at_ms, number) = text.split_once('-')?;
    let parsed = (u64::from_str_radix(at_ms, 16).ok()?, u32::from_str_radix(number, 16).ok()?);
    (bookmark(parsed.0, parsed.1) == text).then_some(parsed)
}

fn sql_value(value: &Value<'_>) -> Result<SqlValue, Malformed> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    Ok(match value {
        Value::Undefined | Value::Null => SqlValue::Null,
        Value::Bool(truth) => SqlValue::Integer(i64::from(*truth)),
        Value::Number(number) if number.fract() == 0.0 && number.abs() <= EXACT => SqlValue::Integer(*number as i64),
        Value::Number(number) => SqlValue::Real(*number),
        Value::String(text) => SqlValue::Text(text.clone().into_owned()),
        Value::Bytes(bytes) => SqlValue::Blob(bytes.to_vec()),
        Value::Array(_) => return Err(Malformed),
    })
}

/// LIST(start, startAfter, end, prefix, reverse, limit) → [key, value, …]
fn list(object: &mut GuestObject, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Wrong> {
    let (start, after, end, prefix) = (args.next()?, args.next()?, args.next()?, args.next()?);
    let (reverse, limit) = (args.next()?.as_bool()?, args.next()?);
    let options = ListOptions {
        start: start.as_optional_key()?,
        start_after: after.as_optional_key()?,
        end: end.as_optional_key()?,
        prefix: prefix.as_optional_key()?,
        reverse,
        limit: if limit.is_nullish() { None } else { Some(limit.as_u32()? as usize) },
    };
    let entries = object.seat.storage.list(&options)?;
    out.array(2 * entries.len() as u32);
    for (key, value) in entries {
        out.string(&key);
        encode_value(Some(&value), out);
    }
    Ok(())
}

/// A value as a guest encoded it. It was checked on its way in; what a damaged file or a foreign
/// import holds instead is nothing.
fn encode_value(value: Option<&[u8]>, out: &mut Encoder) {
    match value {
        Some(value) if is_encoded(value) => out.0.extend_from_slice(value),
        _ => drop(out.null()),
    }
}

fn is_encoded(value: &[u8]) -> bool {
    Decoder::new(value).raw().is_ok_and(|raw| raw.len() == value.len())
}

/// ID(binding, kind, text) → 64 digits
fn id(guest: &Guest, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (binding, kind, text) = (args.next()?.as_u32()? as usize, args.next()?.as_u32()?, args.next()?);
    let env = guest.env.as_ref();
    let Some((_, Handle::Objects { class, .. })) = env.and_then(|env| env.bindings.get(binding)) else {
        return Err(Refusal::type_error("this binding is no class of durable objects"));
    };
    let id = match kind {
        0 => class.id_of_name(text.as_key()?),
        1 => {
            let random = guest.random(32);
            class.unique_id(&random.try_into().unwrap_or([0; 32]))
        }
        _ => parse_id(class, text.as_str()?)?,
    };
    out.string(&id.to_string());
    Ok(())
}

fn parse_id(class: &ObjectClass, text: &str) -> Result<services::ObjectId, Refusal> {
    class.parse_id(text).ok_or_else(|| {
        let message = format!("{:?} is no id of an object of the class {}", shortened(text), class.name);
        Refusal { name: "TypeError", message: message.into(), code: code::BAD_OBJECT_ID.name }
    })
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(80)]
}

/// What a stub names where a service binding has its number: `BINDING:ID:NAME`.
pub fn target(env: &Env, last: &LastCalled, stub: &str) -> Result<(Arc<dyn Objects>, Target), Completion> {
    let no_stub = || Completion::type_error("this is no stub of a durable object");
    let mut parts = stub.splitn(3, ':');
    let (binding, id, name) = (parts.next(), parts.next().ok_or_else(no_stub)?, parts.next());
    let binding = binding.and_then(|binding| binding.parse::<usize>().ok()).ok_or_else(no_stub)?;
    let Some((_, Handle::Objects { class, objects })) = env.bindings.get(binding) else {
        return Err(no_stub());
    };
    let mut last = last.stub.borrow_mut();
    if let Some((known, target)) = &*last
        && **known == *stub
    {
        return Ok((objects.clone(), target.clone()));
    }
    let id = parse_id(class, id)?;
    // A name that is not the id's is nobody's.
    let name = name.filter(|name| class.id_of_name(name) == id).map(Arc::from);
    let target = Target { class: class.clone(), id, name };
    *last = Some((stub.into(), target.clone()));
    Ok((objects.clone(), target))
}

/// SOCKET_ACCEPT(tags) → [the kept end's number, the other end's]
fn accept(
    guest: &mut Guest,
    request: u32,
    options: SocketOptions,
    tags: &Value<'_>,
    out: &mut Encoder,
) -> Result<(), Refusal> {
    let tags: Box<[Box<str>]> = texts(tags)?.into_iter().map(Box::from).collect();
    if !sockets::has_room(guest) {
        return Err(failed(&code::TOO_MANY_SOCKETS, sockets::too_many(guest)));
    }
    let far_id = guest.fresh_id();
    let Some(object) = guest.object.as_deref_mut() else {
        return Err(Refusal::type_error("only a durable object can accept a WebSocket for good"));
    };
    let max = object.seat.bounds.sockets;
    if object.seat.sockets.len() as u64 >= max {
        let message = format!("the object keeps {max} WebSockets (limits.object_sockets)");
        return Err(failed(&code::TOO_MANY_SOCKETS, message));
    }
    let (near, far) = socket::pair(options);
    let kept = object.seat.sockets.accept(near, tags);
    guest.sockets.insert(far_id, request, far);
    out.array(2).integer(u64::from(kept)).integer(u64::from(far_id));
    Ok(())
}

/// What is said on kept sockets, and asked about them.
fn talk(
    object: &mut GuestObject,
    code: i32,
    message_bytes: usize,
    args: &mut Decoder<'_>,
    out: &mut Encoder,
) -> (Option<Asked>, Result<(), Refusal>) {
    match said(object, code, message_bytes, args, out) {
        Ok(asked) => (asked, Ok(())),
        Err(refused) => (None, Err(refused)),
    }
}

fn said(
    object: &mut GuestObject,
    code: i32,
    message_bytes: usize,
    args: &mut Decoder<'_>,
    out: &mut Encoder,
) -> Result<Option<Asked>, Refusal> {
    let kept = &object.seat.sockets;
    let first = args.next()?;
    match code {
        abi::SOCKET_SEND => {
            let message = message(&args.next()?, message_bytes)?;
            return Ok(Some(Asked::Send { socket: Which::Kept(first.as_u32()?), message }));
        }
        abi::SOCKET_CLOSE => {
            let ended = ended(&args.next()?, &args.next()?)?;
            return Ok(Some(Asked::Close { socket: Which::Kept(first.as_u32()?), ended }));
        }
        abi::SOCKETS => {
            let described = kept.open(first.as_optional_str()?);
            out.array(described.len() as u32);
            for id in described {
                out.integer(u64::from(id));
            }
        }
        abi::TAGS => {
            let tags = kept.tags(first.as_u32()?).unwrap_or_default();
            out.array(tags.len() as u32);
            for tag in &tags {
                out.string(tag);
            }
        }
        abi::ATTACH => {
            let (attachment, max) = (args.raw()?, object.seat.bounds.attachment_bytes);
            if attachment.len() as u64 > max {
                let bytes = attachment.len();
                let message = format!("an attachment of {bytes} bytes, {max} are allowed (object_attachment_bytes)");
                return Err(failed(&code::VALUE_TOO_LARGE, message));
            }
            kept.attach(first.as_u32()?, Bytes::copy_from_slice(attachment));
        }
        abi::ATTACHMENT => encode_value(kept.attachment(first.as_u32()?).as_deref(), out),
        abi::AUTO_SET => {
            let auto = match first.as_optional_str()? {
                None => None,
                Some(request) => Some(AutoResponse {
                    request: Bytes::copy_from_slice(request.as_bytes()),
                    response: Bytes::copy_from_slice(args.next()?.as_content()?),
                }),
            };
            kept.set_auto_response(auto);
        }
        abi::AUTO_GET => match kept.auto_response() {
            Some(AutoResponse { request, response }) => {
                let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
                out.array(2).string(&text(&request)).string(&text(&response));
            }
            None => drop(out.null()),
        },
        _ => match kept.auto_response_ms(first.as_u32()?) {
            Some(ms) => drop(out.integer(ms)),
            None => drop(out.null()),
        },
    }
    Ok(None)
}

/// A message on a socket, unless it is too large for one.
pub fn message(value: &Value<'_>, message_bytes: usize) -> Result<Message, Refusal> {
    let message = match value {
        Value::String(text) => Message::text(text.as_ref()),
        data => Message::Binary(Bytes::copy_from_slice(data.as_content()?)),
    };
    if message.data().len() > message_bytes {
        let refused = socket::NotSent::TooLarge(message_bytes);
        return Err(failed(&code::SOCKET_MESSAGE_TOO_LARGE, refused.to_string()));
    }
    Ok(message)
}

/// How a guest ends a socket.
pub fn ended(code: &Value<'_>, reason: &Value<'_>) -> Result<Ended, Malformed> {
    let code = if code.is_nullish() { close_code::NONE } else { code.as_u32()? as u16 };
    Ok(Ended::new(code, reason.as_optional_str()?.unwrap_or("")).cleanly())
}
