//! Operations on data: KV, SQL, reads and puts of blobs, which need nothing of an instance but its environment.
//!
//! **Answered at once.** What can be answered without waiting (an entry that lies in memory, a
//! point query) is answered within the host call that asks: the operation is polled once, on the
//! spot, and its result goes back with the call. There is no task, no wake-up and no second entry
//! of the guest, which together cost several times what the read does. What is not ready (a write,
//! which waits for its flush; a read that needs a thread) goes on as every operation does, and so
//! does a failure.
//!
//! It changes nothing that one may rely on. Operations begin in the order in which they were asked
//! for: behind one that only begins after the entry, or behind an answer that waits to be let out,
//! none is answered at once. Its time is the request's, as part of the entry in which it ran; a
//! clock that was read before it goes on. In a durable object nothing leaves before what was
//! written is durable, so there everything takes the long way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use services::kv::{Condition, Kv, KvEntry, KvNamespace, ListOptions, PutOptions};
use worker::{Env, Handle, Meter};

use super::abi::{self, operation};
use super::codec::{Decoder, Encoder, Malformed, NoKey, Value};
use super::guest::{Effect, Guest, Handed};
use super::host::{self, Refusal};
use super::instance::ScriptInstance;
use super::operations::{self, Completion, encode_body, list_document, put_options};
use super::{blobs, kv, nested, sql};

/// How a call that asks for an operation is answered.
pub enum Answer {
    /// By what the encoder holds.
    Now,
    /// By a COMPLETE event of this number.
    Later(u32),
}

/// An operation that was begun within the call.
pub enum Begun {
    Waits(BoxFuture<'static, Completion>),
    Ended(Box<Completion>),
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Begun::Waits(_)) { "Waits" } else { "Ended" })
    }
}

/// An operation on data that a guest asked for.
pub struct Ask {
    pub env: Arc<Env>,
    /// Of the request on whose behalf, unless it has ended.
    pub meter: Option<Arc<Meter>>,
    pub now_ms: u64,
    pub code: i32,
    pub arguments: Bytes,
}

/// What a put writes if its arguments don't hold it.
pub enum Streamed {
    Not,
    Body(Body),
    UsedAlready,
}

/// What is to become of a value of KV.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Text,
    Json,
    Bytes,
}

impl Wanted {
    fn parse(number: u32) -> Result<Self, Malformed> {
        [Self::Text, Self::Json, Self::Bytes].get(number as usize).copied().ok_or(Malformed)
    }
}

/// Whether an operation is one on data.
pub fn is_asked(code: i32) -> bool {
    matches!(
        code,
        operation::KV_GET..=operation::KV_LIST
            | abi::ask::KV_READ..=abi::ask::LAST
            | abi::kv::COMMIT..=abi::kv::LIST
            | abi::sql::FIRST..=abi::sql::LAST
            | abi::sqlfeed::CHANGES
            | abi::blob::HEAD
            | abi::blob::GET
            | abi::blob::PUT
    )
}

/// Whether it may be begun within the call that asks for it.
fn may_begin(guest: &Guest, code: i32, arguments: &[u8]) -> bool {
    guest.object.is_none()
        && (is_asked(code) || code == operation::SERVICE)
        && !matches!(code, abi::kv::CHANGES | abi::sqlfeed::CHANGES)
        && stream_of(code, arguments).is_none()
        && guest.effects.iter().all(|effect| matches!(effect, Effect::Begun { .. }))
}

/// The stream whose content a put writes, if it is one.
pub fn stream_of(code: i32, arguments: &[u8]) -> Option<u32> {
    if !matches!(code, operation::KV_PUT | abi::blob::PUT) {
        return None;
    }
    let mut args = Decoder::new(arguments);
    let (_, _) = (args.raw().ok()?, args.raw().ok()?);
    match (args.next().ok()?, args.next().ok()?) {
        (Value::Bool(_), stream) => stream.as_u32().ok(),
        _ => None,
    }
}

/// Begins an operation, and answers it if nothing need be waited for.
pub fn ask(guest: &mut Guest, code: i32, arguments: &[u8], out: &mut Encoder) -> Result<Answer, Refusal> {
    let env = match &guest.env {
        Some(env) if !guest.is_evaluating() && may_begin(guest, code, arguments) => env.clone(),
        _ => return host::start(guest, code, arguments).map(|id| Answer::Later(id as u32)),
    };
    if code == operation::SERVICE {
        return Ok(nested::ask(guest, &env, arguments, out));
    }
    let context = guest.charged();
    let meter = guest.calls.get_mut(&context).map(|call| {
        // From here on it may have left a trace.
        call.event = None;
        call.meter.clone()
    });
    let begun = match at_once(&env, meter.as_deref(), code, arguments, out) {
        None => begin(guest, env, meter, code, arguments, out),
        Some(answered) => {
            guest.look_at_clock();
            answered.err().map(|completion| Begun::Ended(Box::new(completion)))
        }
    };
    let Some(begun) = begun else { return Ok(Answer::Now) };
    let operation = guest.fresh_id();
    guest.effects.push(Effect::Begun { operation, context, code, begun, handed: Handed::No });
    Ok(Answer::Later(operation))
}

/// What is answered without even a future. That is worth it for a point query, which takes little longer than one.
fn at_once(
    env: &Env,
    meter: Option<&Meter>,
    code: i32,
    arguments: &[u8],
    out: &mut Encoder,
) -> Option<Result<(), Completion>> {
    match (code, meter) {
        (abi::ask::SQL_QUERY, Some(meter)) => sql::query_now(env, meter, arguments, out),
        _ => None,
    }
}

/// Begins an operation; `None` if it is answered already.
fn begin(
    guest: &mut Guest,
    env: Arc<Env>,
    meter: Option<Arc<Meter>>,
    code: i32,
    arguments: &[u8],
    out: &mut Encoder,
) -> Option<Begun> {
    let now_ms = guest.host_ms();
    let native = |meter: &Arc<Meter>| meter.native_us.load(Ordering::Relaxed);
    let before = meter.as_ref().map(native);
    let ask = Ask { env, meter: meter.clone(), now_ms, code, arguments: Bytes::copy_from_slice(arguments) };
    let mut work: BoxFuture<'static, Completion> = Box::pin(ask.perform(Streamed::Not));
    let Some(completion) = (&mut work).now_or_never() else { return Some(Begun::Waits(work)) };
    // It ran on this thread, whose time the entry is charged already.
    if let (Some(meter), Some(before)) = (&meter, before) {
        meter.native_us.store(before, Ordering::Relaxed);
    }
    guest.look_at_clock();
    answer(completion, out).err().map(|completion| Begun::Ended(Box::new(completion)))
}

/// Writes a result for the guest. One that fails, or goes on, comes as an event.
fn answer(completion: Completion, out: &mut Encoder) -> Result<(), Completion> {
    match completion {
        Completion::Value(value) => {
            if out.0.is_empty() {
                out.0 = value;
            } else {
                out.0.extend_from_slice(&value);
            }
            Ok(())
        }
        Completion::Found { entry: None, .. } => {
            out.null();
            Ok(())
        }
        Completion::Found { entry: Some(mut entry), wanted } => match entry.value.take_whole() {
            Some(whole) => {
                encode_whole(&whole, wanted, true, out);
                Ok(())
            }
            None => Err(Completion::Found { entry: Some(entry), wanted }),
        },
        Completion::Blob(found) => blobs::encode_whole(found, out).map_err(Completion::Blob),
        other => Err(other),
    }
}

/// A value that is all there. What is no JSON can be told only where it is answered at once.
fn encode_whole(whole: &[u8], wanted: Wanted, at_once: bool, out: &mut Encoder) {
    match wanted {
        Wanted::Bytes => out.buffer(whole),
        Wanted::Json if at_once => out.json(&String::from_utf8_lossy(whole)),
        Wanted::Text | Wanted::Json => out.string(&String::from_utf8_lossy(whole)),
    };
}

/// Writes a value as the event has it: null, the value, or an array of the handle of its body.
pub fn encode_found(
    entry: Option<KvEntry>,
    wanted: Wanted,
    instance: &ScriptInstance,
    guest: &mut Guest,
    out: &mut Encoder,
) {
    out.bool(true);
    let Some(mut entry) = entry else {
        out.null();
        return;
    };
    match entry.value.take_whole() {
        Some(whole) => encode_whole(&whole, wanted, false, out),
        None => {
            out.array(2);
            encode_body(entry.value, instance, guest, out);
        }
    }
}

impl Ask {
    pub async fn perform(self, streamed: Streamed) -> Completion {
        let args = Decoder::new(&self.arguments);
        let result = match self.code {
            abi::ask::KV_READ => self.kv_read(args).await,
            operation::KV_GET => self.kv_get(args).await,
            operation::KV_GET_MANY => self.kv_get_many(args).await,
            operation::KV_PUT => self.kv_put(args, streamed).await,
            operation::KV_DELETE => self.kv_delete(args).await,
            operation::KV_LIST => self.kv_list(args).await,
            abi::kv::COMMIT => kv::commit(&self, args).await,
            abi::kv::ADD => kv::add(&self, args).await,
            abi::kv::CHANGES => kv::changes(&self, args).await,
            abi::kv::LIST => kv::list(&self, args).await,
            abi::sqlfeed::CHANGES => sql::changes(&self, args).await,
            abi::blob::HEAD => blobs::head(&self, args).await,
            abi::blob::GET => blobs::get(&self, args).await,
            abi::blob::PUT => blobs::put(&self, args, streamed).await,
            _ => sql::perform(&self, args).await,
        };
        result.unwrap_or_else(|failed| failed)
    }

    /// Counts a call to the outside.
    pub fn metered(&self) -> Result<&Arc<Meter>, Completion> {
        let meter = self.meter.as_ref().ok_or_else(operations::ended)?;
        operations::count(meter, &self.env)?;
        Ok(meter)
    }

    /// The namespace that comes first.
    pub fn kv(&self, args: &mut Decoder<'_>) -> Result<(&Arc<dyn Kv>, &KvNamespace), Completion> {
        let binding = args.next()?.as_u32()? as usize;
        match self.env.bindings.get(binding) {
            Some((_, Handle::Kv { provider, namespace })) => Ok((provider, namespace)),
            _ => Err(Completion::type_error("this binding is no KV namespace")),
        }
    }

    /// What a put writes, which is no copy of the arguments if it lies there whole.
    pub fn content(&self, value: &Value<'_>, streamed: Streamed) -> Result<Body, Completion> {
        match streamed {
            Streamed::Body(body) => Ok(body),
            Streamed::UsedAlready => Err(Completion::type_error("the stream was already used")),
            Streamed::Not if value.is_nullish() => Ok(Body::empty()),
            Streamed::Not => {
                let content = value.as_content()?;
                let is_part = self.arguments.as_ptr_range().contains(&content.as_ptr());
                // Text that was no Unicode was made anew.
                let content = if is_part { self.arguments.slice_ref(content) } else { Bytes::copy_from_slice(content) };
                Ok(Body::full(content))
            }
        }
    }

    /// KV_READ(binding, key, wanted) → null, or the value
    async fn kv_read(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let (provider, namespace) = self.kv(&mut args)?;
        let (key, wanted) = (args.next()?, Wanted::parse(args.next()?.as_u32()?)?);
        self.metered()?.kv_reads.fetch_add(1, Ordering::Relaxed);
        let entry = provider.get(namespace, key.as_key()?).await?;
        Ok(Completion::Found { entry, wanted })
    }

    async fn kv_get(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let (provider, namespace) = self.kv(&mut args)?;
        let key = args.next()?;
        self.metered()?.kv_reads.fetch_add(1, Ordering::Relaxed);
        let entry = provider.get(namespace, key.as_key()?).await?;
        Ok(Completion::Entries { entries: vec![entry], many: false })
    }

    async fn kv_get_many(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let (provider, namespace) = self.kv(&mut args)?;
        let Value::Array(keys) = args.next()? else { return Err(Malformed.into()) };
        let keys: Result<Vec<String>, NoKey> = keys.iter().map(|k| k.as_key().map(str::to_owned)).collect();
        let keys = keys?;
        self.metered()?.kv_reads.fetch_add(keys.len() as u64, Ordering::Relaxed);
        let entries = provider.get_many(namespace, &keys).await?;
        Ok(Completion::Entries { entries, many: true })
    }

    async fn kv_put(&self, mut args: Decoder<'_>, streamed: Streamed) -> Result<Completion, Completion> {
        let (provider, namespace) = self.kv(&mut args)?;
        let key = args.next()?;
        let (value, _) = (args.next()?, args.next()?);
        let value = self.content(&value, streamed)?;
        let options = match args.next()?.as_optional_str()? {
            Some(options) => put_options(options, self.now_ms)?,
            None => PutOptions::default(),
        };
        self.metered()?.kv_writes.fetch_add(1, Ordering::Relaxed);
        let receipt = provider.put(namespace, key.as_key()?, value, options).await?;
        Ok(Completion::value(|e| {
            e.object(2).name("revision").integer(receipt.revision);
            e.name("durability").string(receipt.durability.as_str())
        }))
    }

    async fn kv_delete(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let (provider, namespace) = self.kv(&mut args)?;
        let (key, revision) = (args.next()?, args.next()?);
        let condition =
            if revision.is_nullish() { Condition::Always } else { Condition::Revision(revision.as_f64()? as u64) };
        self.metered()?.kv_writes.fetch_add(1, Ordering::Relaxed);
        let receipt = provider.delete(namespace, key.as_key()?, condition).await?;
        Ok(Completion::value(|e| e.object(1).name("durability").string(receipt.durability.as_str())))
    }

    async fn kv_list(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let (provider, namespace) = self.kv(&mut args)?;
        let (prefix, cursor, limit) = (args.next()?, args.next()?, args.next()?);
        let options = ListOptions {
            prefix: prefix.as_optional_key()?.unwrap_or("").to_owned(),
            cursor: cursor.as_optional_str()?.map(str::to_owned),
            limit: if limit.is_nullish() { None } else { Some(limit.as_u32()? as usize) },
            ..ListOptions::default()
        };
        self.metered()?.kv_reads.fetch_add(1, Ordering::Relaxed);
        let page = provider.list(namespace, options).await?;
        Ok(Completion::value(|e| e.array(1).string(&list_document(&page))))
    }
}
