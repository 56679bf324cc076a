//! The guest's imports: how it calls the host.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use telemetry::Level;
use wasmtime::{Caller, Linker};

use super::abi::{self, call, control, crypto};
use super::ask::{self, Answer};
use super::codec::{Decoder, Encoder, Malformed, NoKey, Value};
use super::guest::{Effect, Guest, GuestError, Handed, Responded, ResponseBody, on_tick};
use super::{held, intl, nested, node, objects, operations, prelude, rpc, sockets, textcodec, unread, wasm, weburl};
use crate::lines::Line;

/// Why a call is refused: what the prelude makes an exception of.
#[derive(Debug)]
pub struct Refusal {
    /// The class of the exception, `TypeError` for example.
    pub name: &'static str,
    pub message: Cow<'static, str>,
    /// A stable code, or empty.
    pub code: &'static str,
}

impl Refusal {
    pub fn type_error(message: impl Into<Cow<'static, str>>) -> Self {
        Self { name: "TypeError", message: message.into(), code: "" }
    }

    pub(super) fn at_start(what: &'static str) -> Self {
        let message = format!("{what} is not possible while modules are evaluated; do it inside a handler");
        Self { name: "Error", message: message.into(), code: base::code::IO_AT_START.name }
    }
}

impl From<NoKey> for Refusal {
    fn from(error: NoKey) -> Self {
        Self::type_error(error.to_string())
    }
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::type_error("an argument has the wrong type")
    }
}

/// Beside the number of an operation that goes on; without it, it is the length of an answer.
const LATER: i64 = 1 << 32;

/// Defines every import of the guest but its memory.
pub fn define(linker: &mut Linker<Guest>, wasm: Arc<wasm::Shared>) -> wasmtime::Result<()> {
    linker.func_wrap("sv", "call", |mut caller: Caller<'_, Guest>, code: i32, at: u32, len: u32| {
        reply(&mut caller, at, len, |guest, arguments, out| answer(guest, code, arguments, out).map(|()| 0))
    })?;
    linker.func_wrap("sv", "start", |mut caller: Caller<'_, Guest>, code: i32, at: u32, len: u32| {
        reply(&mut caller, at, len, |guest, arguments, _| start(guest, code, arguments))
    })?;
    linker.func_wrap("sv", "ask", |mut caller: Caller<'_, Guest>, code: i32, at: u32, len: u32| {
        let mut later = false;
        let value = reply(&mut caller, at, len, |guest, arguments, out| {
            Ok(match ask::ask(guest, code, arguments, out)? {
                Answer::Now => 0,
                Answer::Later(operation) => {
                    later = true;
                    operation as i32
                }
            })
        });
        value.map(|value| if later { i64::from(value) | LATER } else { i64::from(value) })
    })?;
    linker.func_wrap("sv", "take", |mut caller: Caller<'_, Guest>, to: u32| -> wasmtime::Result<()> {
        let answer = std::mem::take(&mut caller.data_mut().answer);
        let memory = memory(&caller)?;
        Ok(memory.write(&mut caller, to as usize, &answer)?)
    })?;
    linker.func_wrap("sv", "switch", |mut caller: Caller<'_, Guest>, request: u32| {
        caller.data_mut().switch(request);
    })?;
    linker.func_wrap_async("sv", "tick", |mut caller: Caller<'_, Guest>, (): ()| {
        Box::new(async move {
            if caller.data_mut().is_ticked() {
                on_tick(&mut caller).await?;
            }
            Ok(())
        })
    })?;
    linker.func_wrap("sv", "now", |caller: Caller<'_, Guest>| caller.data().now_us)?;
    wasm::calls::define(linker, &wasm)?;
    define_wasi(linker)
}

/// What the C library wants of WASI: a clock, and descriptors that lead nowhere.
fn define_wasi(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    const WASI: &str = "wasi_snapshot_preview1";
    /// `EBADF`
    const BAD_DESCRIPTOR: i32 = 8;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |mut caller: Caller<'_, Guest>, _: i32, _: i64, to: u32| -> wasmtime::Result<i32> {
            let nanoseconds = caller.data().now_us * 1000;
            let memory = memory(&caller)?;
            memory.write(&mut caller, to as usize, &nanoseconds.to_le_bytes())?;
            Ok(0)
        },
    )?;
    linker.func_wrap(WASI, "fd_close", |_: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_fdstat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_seek", |_: i32, _: i64, _: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(WASI, "fd_write", |_: i32, _: i32, _: i32, _: i32| BAD_DESCRIPTOR)?;
    Ok(())
}

pub(super) fn memory(caller: &Caller<'_, Guest>) -> wasmtime::Result<wasmtime::Memory> {
    caller.data().memory.ok_or_else(|| wasmtime::Error::msg("the guest called before its memory was known"))
}

/// Runs a call on arguments that lie in the guest's memory, and puts its answer, or its refusal,
/// where the guest looks for it. The result is as in `engine-guest/shim/shim.h`.
fn reply(
    caller: &mut Caller<'_, Guest>,
    at: u32,
    len: u32,
    run: impl FnOnce(&mut Guest, &[u8], &mut Encoder) -> Result<i32, Refusal>,
) -> wasmtime::Result<i32> {
    let memory = memory(caller)?;
    let (data, guest) = memory.data_and_store_mut(&mut *caller);
    let end = at as usize + len as usize;
    let arguments = data.get(at as usize..end).ok_or_else(|| wasmtime::Error::msg("arguments outside the memory"))?;
    let mut out = Encoder(std::mem::take(&mut guest.answer));
    out.0.clear();
    let result = run(guest, arguments, &mut out);
    put_answer(caller, result, out)
}

/// Puts an answer where the guest looks for it.
pub(super) fn put_answer(
    caller: &mut Caller<'_, Guest>,
    result: Result<i32, Refusal>,
    mut out: Encoder,
) -> wasmtime::Result<i32> {
    let memory = memory(caller)?;
    let (data, guest) = memory.data_and_store_mut(&mut *caller);
    let failed = result.is_err();
    if let Err(refusal) = &result {
        out.0.clear();
        out.array(3).string(refusal.name).string(&refusal.message).string(refusal.code);
    }
    let length = out.0.len() as i32;
    let inbox = guest.layout.inbox;
    match data.get_mut(inbox..inbox + out.0.len()) {
        Some(place) if out.0.len() <= guest.layout.inbox_bytes => place.copy_from_slice(&out.0),
        _ => {}
    }
    guest.answer = out.0;
    Ok(match result {
        _ if failed => -length,
        Ok(value) if value != 0 => value,
        _ => length,
    })
}

/// A call that is answered at once.
pub(super) fn answer(guest: &mut Guest, code: i32, arguments: &[u8], out: &mut Encoder) -> Result<(), Refusal> {
    let mut args = Decoder::new(arguments);
    match code {
        call::RESPOND => {
            let responded = responded(&mut args)?;
            guest.effects.push(Effect::Respond(responded));
        }
        call::MODULES => modules(guest, &mut args, out)?,
        call::HAND_OVER => {
            let (operation, owned) = (args.next()?.as_u32()?, args.next()?.as_bool()?);
            out.bool(nested::hand_over(guest, operation, owned));
        }
        call::UNREAD_TAKE..=call::UNREAD_DROP => unread::answer(guest, code, &mut args, out)?,
        call::FEATURES => prelude::encode_features(out),
        call::LOG => log(guest, &mut args)?,
        call::RANDOM => {
            if guest.is_evaluating() {
                return Err(Refusal::at_start("cryptographic randomness"));
            }
            let count = args.next()?.as_u32()?;
            if count > 65_536 {
                return Err(Refusal { name: "QuotaExceededError", message: "more than 65536 bytes".into(), code: "" });
            }
            out.bytes(&guest.random(count as usize));
        }
        call::URL_PARSE | call::URL_SET | call::TEXT_LABEL | call::TEXT_DECODE => text(code, &mut args, out)?,
        call::CODED => {
            let (handle, request) = (args.next()?.as_u32()?, args.next()?.as_u32()?);
            guest.effects.push(Effect::Coded { handle, request });
        }
        call::CANCEL => guest.effects.push(Effect::Cancel { operation: args.next()?.as_u32()? }),
        call::BODY_CANCEL => guest.effects.push(Effect::BodyCancel { handle: args.next()?.as_u32()? }),
        call::STREAM_OPEN..=call::STREAM_ABORT | call::STREAM_LINK => stream(guest, code, &mut args, out)?,
        call::DONE => guest.effects.push(Effect::Done { request: args.next()?.as_u32()? }),
        call::FAIL => {
            let request = args.next()?.as_u32()?;
            let error = guest_error(&mut args)?;
            let pending = matches!(args.next()?, Value::Bool(true));
            let code = args.next()?.as_optional_str()?.unwrap_or("").to_owned();
            guest.effects.push(Effect::Fail { request, error: GuestError { code, ..error }, pending });
        }
        call::CODEC_OPEN..=call::REWRITER_FILL => held::answer(guest, code, &mut args, out)?,
        crypto::FIRST..=crypto::LAST => {
            operations::crypto::answer(guest.is_evaluating(), code, arguments, out)?;
        }
        abi::object::FIRST_CALL..=abi::object::LAST_CALL => objects::answer(guest, code, args, out)?,
        abi::value::FIRST_CALL..=abi::value::LAST_CALL => objects::answer(guest, code, args, out)?,
        abi::past::FIRST_CALL..=abi::past::LAST_CALL | abi::durable::TOLD => objects::answer(guest, code, args, out)?,
        abi::rpc::FIRST_CALL..=abi::rpc::LAST_CALL => rpc::answer(guest, code, args, out)?,
        abi::node::HASH..=abi::node::LAST_CALL => node::answer(code, args, &guest.limits, out)?,
        abi::intl::FIRST..=abi::intl::LAST => intl::answer(code, args, &guest.limits, out)?,
        call::SOCKET_OPEN..=call::SOCKET_BUFFERED => sockets::answer(guest, code, &mut args, out)?,
        _ => return Err(Refusal::type_error("there is no such call")),
    }
    Ok(())
}

/// The body of an answer, or of a request, that the guest writes.
fn stream(guest: &mut Guest, code: i32, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    if code == call::STREAM_OPEN {
        let stream = guest.fresh_id();
        let length = args.next()?;
        let bytes = if length.is_nullish() { None } else { Some(length.as_f64()? as u64) };
        guest.effects.push(Effect::StreamOpen { stream, bytes });
        out.integer(u64::from(stream));
        return Ok(());
    }
    let stream = args.next()?.as_u32()?;
    guest.effects.push(match code {
        call::STREAM_LINK => Effect::StreamLink { stream, handle: args.next()?.as_u32()? },
        call::STREAM_CLOSE => Effect::StreamClose { stream },
        _ => Effect::StreamAbort { stream, error: guest_error(args)? },
    });
    Ok(())
}

/// LOG(level, text, site)
fn log(guest: &mut Guest, args: &mut Decoder<'_>) -> Result<(), Refusal> {
    let (level, text, site) = (args.next()?, args.next()?, args.next()?);
    let level = match level.as_str()? {
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Info,
    };
    let request = guest.charged();
    guest.log(request, Line { level, text: text.as_str()?, site: site.as_optional_str()? });
    Ok(())
}

/// MODULES(name): what the guest lacks to evaluate a module of the prelude.
fn modules(guest: &Guest, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let name = args.next()?;
    let (name, prelude) = (name.as_str()?, guest.prelude.as_ref());
    match prelude.is_some_and(|prelude| prelude.encode(name, out)) {
        true => Ok(()),
        false => Err(Refusal::type_error(format!("the platform has no module {name}"))),
    }
}

/// What is made of text: URLs and encodings.
fn text(code: i32, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Malformed> {
    match code {
        call::URL_PARSE => {
            let (href, base) = (args.next()?, args.next()?);
            weburl::parse(href.as_str()?, base.as_optional_str()?, out);
        }
        call::URL_SET => {
            let (href, field, value) = (args.next()?, args.next()?, args.next()?);
            weburl::set(href.as_str()?, field.as_str()?, value.as_str()?, out);
        }
        call::TEXT_LABEL => {
            out.optional_string(textcodec::label(args.next()?.as_str()?).as_deref());
        }
        _ => textcodec::decode(args, out)?,
    }
    Ok(())
}

/// Begins an operation: an id now, the work after this entry.
pub(super) fn start(guest: &mut Guest, code: i32, arguments: &[u8]) -> Result<i32, Refusal> {
    if guest.is_evaluating() {
        return Err(Refusal::at_start(match code {
            super::abi::operation::TIMER => "a timer",
            super::abi::operation::FETCH => "fetch()",
            _ => "I/O",
        }));
    }
    if code == super::abi::operation::SOCKET_READ {
        sockets::listens(guest, arguments);
    }
    if code == abi::rpc::CALL {
        rpc::check_size(guest, arguments)?;
    }
    if code == super::abi::operation::TIMER {
        let max = guest.limits.timers;
        if guest.timers >= max {
            let message = format!("more than {max} timers are pending in this instance (limits.timers)");
            return Err(Refusal { name: "Error", message: message.into(), code: "" });
        }
        guest.timers += 1;
    }
    let operation = guest.fresh_id();
    let context = guest.charged();
    guest.effects.push(Effect::Start { operation, context, code, arguments: arguments.to_vec(), handed: Handed::No });
    Ok(operation as i32)
}

/// name, message, stack
fn guest_error(args: &mut Decoder<'_>) -> Result<GuestError, Refusal> {
    let mut text = || -> Result<String, Refusal> { Ok(args.next()?.as_optional_str()?.unwrap_or("").to_owned()) };
    Ok(GuestError { name: text()?, message: text()?, stack: text()?, code: String::new() })
}

/// RESPOND(request, status, headers, body, stream, pending, statusText)
fn responded(args: &mut Decoder<'_>) -> Result<Responded, Refusal> {
    let request = args.next()?.as_u32()?;
    let status = args.next()?.as_u32()? as u16;
    let headers = args.next()?;
    let body = args.next()?;
    let stream = args.next()?;
    let pending = args.next()?.as_bool()?;
    let body = match body {
        Value::Null | Value::Undefined => ResponseBody::Whole(Bytes::new()),
        Value::Bool(_) => ResponseBody::Stream(stream.as_u32()?),
        whole => ResponseBody::Whole(Bytes::copy_from_slice(whole.as_content()?)),
    };
    let headers = parse_headers(headers.as_optional_str()?.unwrap_or(""))?;
    Ok(Responded { request, status, headers, body, pending })
}

/// Reads "name\nvalue\nname\nvalue"; values are byte strings, a character for each byte.
pub fn parse_headers(block: &str) -> Result<HeaderMap, Refusal> {
    parse_headers_if(block, |_, _| true)
}

/// The same without those that are not wanted.
pub fn parse_headers_if(
    block: &str,
    mut wanted: impl FnMut(&HeaderName, &HeaderValue) -> bool,
) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    if block.is_empty() {
        return Ok(headers);
    }
    let mut fields = block.split('\n');
    while let Some(name) = fields.next() {
        let value = fields.next().unwrap_or("");
        let bad = |what: &str| Refusal::type_error(format!("{what} of header {name:?} is not valid"));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("the name"))?;
        let value = header_value(value).ok_or_else(|| bad("the value"))?;
        if wanted(&name, &value) {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

fn header_value(value: &str) -> Option<HeaderValue> {
    if value.is_ascii() {
        return HeaderValue::from_str(value).ok();
    }
    let bytes: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    HeaderValue::from_bytes(&bytes?).ok()
}

/// Writes headers as the guest reads them.
pub fn write_headers(headers: &HeaderMap, out: &mut Vec<u8>) {
    let start = out.len();
    for (name, value) in headers {
        if out.len() > start {
            out.push(b'\n');
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.push(b'\n');
        let value = value.as_bytes();
        if value.is_ascii() {
            out.extend_from_slice(value);
        } else {
            let mut buffer = [0; 4];
            for &byte in value {
                out.extend_from_slice(char::from(byte).encode_utf8(&mut buffer).as_bytes());
            }
        }
    }
}

/// Whether a block is what [`write_headers`] writes of these; told of plain text only.
pub fn is_written(headers: &HeaderMap, block: &str) -> bool {
    let mut rest = block.as_bytes();
    let mut skip = |part: &[u8]| match rest.strip_prefix(part) {
        Some(after) => {
            rest = after;
            true
        }
        None => false,
    };
    let is_next = |(place, (name, value)): (usize, (&HeaderName, &HeaderValue))| {
        (place == 0 || skip(b"\n")) && skip(name.as_str().as_bytes()) && skip(b"\n") && skip(value.as_bytes())
    };
    block.is_ascii() && headers.iter().enumerate().all(is_next) && rest.is_empty()
}

/// Writes a new seed for `Math.random`; the guest takes it at its next entry.
pub fn seed(memory: wasmtime::Memory, mut store: impl wasmtime::AsContextMut<Data = Guest>) -> wasmtime::Result<()> {
    let at = store.as_context().data().layout.control + control::SEED;
    let seed = store.as_context().data().random(8);
    Ok(memory.write(&mut store, at, &seed)?)
}
