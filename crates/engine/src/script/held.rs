//! What the host holds for a guest between its calls: codecs and rewriters, by handle.
//!
//! Each belongs to the request that opened it and goes with it. All of one instance together may
//! hold no more memory than `limits.native_mib`, because it lies outside of the sandbox whose size
//! `memory_mib` bounds. The work is done inside the guest's call, on the clock of the request that
//! makes it, and each call does a bounded amount.

use std::collections::HashMap;

use base::code;

use super::abi::call;
use super::codec::{Decoder, Encoder, Malformed, Value};
use super::compression::{Codec, CodecError, Next, Node};
use super::guest::Guest;
use super::host::Refusal;
use super::rewriter::{self, Registration, Rewriter, RewriterError};

/// The things held for one instance.
#[derive(Default)]
pub struct Held {
    things: HashMap<u32, Thing>,
    bytes: usize,
    /// Where a step writes, kept for the next.
    scratch: Vec<u8>,
}

struct Thing {
    /// The request it goes with.
    owner: u32,
    /// What it was weighed at last.
    bytes: usize,
    kind: Kind,
}

enum Kind {
    Codec(Box<Codec>),
    Rewriter(Box<Rewriter>),
}

impl Kind {
    fn weight(&self) -> usize {
        match self {
            Kind::Codec(codec) => codec.weight(),
            Kind::Rewriter(rewriter) => rewriter.weight(),
        }
    }
}

impl Held {
    /// The request is over: what it opened goes.
    pub fn end(&mut self, request: u32) {
        if self.things.is_empty() {
            return;
        }
        let bytes = &mut self.bytes;
        self.things.retain(|_, thing| {
            if thing.owner == request {
                *bytes -= thing.bytes;
            }
            thing.owner != request
        });
    }

    fn insert(&mut self, handle: u32, owner: u32, kind: Kind, bytes_max: usize) -> Result<(), Refusal> {
        let bytes = kind.weight();
        if self.bytes + bytes > bytes_max {
            return Err(too_much(bytes_max));
        }
        self.bytes += bytes;
        self.things.insert(handle, Thing { owner, bytes, kind });
        Ok(())
    }

    fn remove(&mut self, handle: u32) {
        if let Some(thing) = self.things.remove(&handle) {
            self.bytes -= thing.bytes;
        }
    }

    /// Weighs what a call has worked on; it goes if it became too much.
    fn weigh(&mut self, handle: u32, bytes_max: usize) -> Result<(), Refusal> {
        let Some(thing) = self.things.get_mut(&handle) else { return Ok(()) };
        let bytes = thing.kind.weight();
        self.bytes = self.bytes - thing.bytes + bytes;
        thing.bytes = bytes;
        if self.bytes <= bytes_max {
            return Ok(());
        }
        self.remove(handle);
        Err(too_much(bytes_max))
    }
}

fn too_much(bytes_max: usize) -> Refusal {
    let message = format!(
        "compression streams and HTML rewriters hold more than {} MiB outside of the sandbox (limits.native_mib)",
        bytes_max >> 20
    );
    Refusal { name: "Error", message: message.into(), code: code::NATIVE_MEMORY_EXCEEDED.name }
}

fn gone() -> Refusal {
    Refusal::type_error("the request that this stream belongs to has ended")
}

impl From<RewriterError> for Refusal {
    fn from(error: RewriterError) -> Self {
        let message = error.to_string().into();
        match error {
            RewriterError::Memory(_) => Self { name: "Error", message, code: code::NATIVE_MEMORY_EXCEEDED.name },
            _ => Self::type_error(message),
        }
    }
}

/// The calls of this file.
pub fn answer(guest: &mut Guest, code: i32, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    if code == call::SELECTOR_CHECK {
        return check_selector(guest, args);
    }
    if guest.is_evaluating() {
        return Err(Refusal::at_start("to compress or to rewrite HTML"));
    }
    let handle = if matches!(code, call::CODEC_OPEN | call::REWRITER_OPEN) { 0 } else { args.next()?.as_u32()? };
    match code {
        call::CODEC_OPEN => codec_open(guest, args, out),
        call::CODEC_STEP => settle(guest, handle, |guest| codec_step(guest, handle, args, out)),
        call::REWRITER_OPEN => rewriter_open(guest, args, out),
        call::REWRITER_PARSE => settle(guest, handle, |guest| rewriter_parse(guest, handle, args, out)),
        call::REWRITER_FILL => settle(guest, handle, |guest| rewriter_fill(guest, handle, args, out)),
        call::HELD_DROP => {
            guest.held.remove(handle);
            Ok(())
        }
        _ => Err(Refusal::type_error("there is no such call")),
    }
}

/// Runs a call on a thing; weighs it afterwards, and drops it if the call failed.
fn settle(guest: &mut Guest, handle: u32, run: impl FnOnce(&mut Guest) -> Result<(), Refusal>) -> Result<(), Refusal> {
    let result = run(guest);
    match result {
        Ok(()) => guest.held.weigh(handle, bytes_max(guest)),
        Err(refusal) => {
            guest.held.remove(handle);
            Err(refusal)
        }
    }
}

fn bytes_max(guest: &Guest) -> usize {
    (guest.limits.native_mib as usize) << 20
}

fn open(guest: &mut Guest, kind: Kind, out: &mut Encoder) -> Result<(), Refusal> {
    let (handle, owner, bytes_max) = (guest.fresh_id(), guest.charged(), bytes_max(guest));
    // Of a request that has ended nobody would drop it.
    if !guest.calls.contains_key(&owner) {
        return Err(gone());
    }
    guest.held.insert(handle, owner, kind, bytes_max)?;
    out.integer(u64::from(handle));
    Ok(())
}

/// CODEC_OPEN(format, compress, level of node:zlib or nothing) → handle
fn codec_open(guest: &mut Guest, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (format, compress) = (args.next()?, args.next()?);
    let level = args.next().ok().filter(|level| !level.is_nullish());
    let node = level.map(|level| level.as_f64()).transpose()?.map(|level| Node { level: level as i32 });
    let codec = Codec::open(format.as_str()?, compress.as_bool()?, node)
        .ok_or_else(|| Refusal::type_error("there is no such compression format"))?;
    open(guest, Kind::Codec(Box::new(codec)), out)
}

/// CODEC_STEP(handle, bytes or null, finish, whether it gives out all it has) → [bytes, more]
fn codec_step(guest: &mut Guest, handle: u32, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (data, finish) = (args.next()?, args.next()?.as_bool()?);
    let flush = matches!(args.next(), Ok(Value::Bool(true)));
    let held = &mut guest.held;
    let Some(Thing { kind: Kind::Codec(codec), .. }) = held.things.get_mut(&handle) else { return Err(gone()) };
    if !data.is_nullish() {
        codec.feed(data.as_content()?);
    }
    held.scratch.clear();
    let is_node = codec.is_node();
    let next = match flush {
        true => codec.flush(&mut held.scratch),
        false => codec.step(finish, &mut held.scratch),
    };
    let next = next.map_err(|error| Refusal {
        name: "TypeError",
        message: error.to_string().into(),
        code: match error {
            _ if !is_node => "",
            CodecError::Truncated => "Z_BUF_ERROR",
            CodecError::Invalid | CodecError::Trailing => "Z_DATA_ERROR",
        },
    })?;
    out.array(2).bytes(&held.scratch).bool(next == Next::More);
    if next == Next::Ended {
        held.remove(handle);
    }
    Ok(())
}

/// SELECTOR_CHECK(selector)
fn check_selector(guest: &Guest, args: &mut Decoder<'_>) -> Result<(), Refusal> {
    let selector = args.next()?;
    let selector = selector.as_str()?;
    let max = guest.limits.selector_bytes;
    if selector.len() as u64 > max {
        return Err(Refusal::type_error(format!("the selector is longer than {max} bytes (limits.selector_bytes)")));
    }
    Ok(rewriter::check_selector(selector)?)
}

/// REWRITER_OPEN(charset, [selector or null, wants, …]) → handle
fn rewriter_open(guest: &mut Guest, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let charset = args.next()?;
    let Value::Array(flat) = args.next()? else { return Err(Malformed.into()) };
    let registrations: Vec<Registration> = flat
        .chunks_exact(2)
        .map(|pair| {
            let selector = pair[0].as_optional_str()?.map(str::to_owned);
            Ok(Registration { selector, wants: pair[1].as_u32()? })
        })
        .collect::<Result<_, Malformed>>()?;
    let max = guest.limits.rewriter_handlers;
    if registrations.len() as u64 > max {
        let message = format!("more than {max} handlers in one HTMLRewriter (limits.rewriter_handlers)");
        return Err(Refusal::type_error(message));
    }
    let bytes_max = guest.limits.rewriter_bytes as usize;
    let rewriter = Rewriter::open(&registrations, charset.as_str()?, bytes_max)?;
    open(guest, Kind::Rewriter(Box::new(rewriter)), out)
}

/// REWRITER_PARSE(handle, bytes or null, last) → [bytes, records or null, more]
fn rewriter_parse(guest: &mut Guest, handle: u32, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let (data, last) = (args.next()?, args.next()?.as_bool()?);
    let held = &mut guest.held;
    let Some(Thing { kind: Kind::Rewriter(rewriter), .. }) = held.things.get_mut(&handle) else { return Err(gone()) };
    if !data.is_nullish() {
        rewriter.feed(data.as_content()?)?;
    }
    held.scratch.clear();
    let waits = rewriter.parse(last, &mut held.scratch)?;
    out.array(3).bytes(&held.scratch);
    if waits {
        rewriter.encode_batch(out)
    } else {
        out.null();
    }
    out.bool(rewriter.has_more(last));
    if rewriter.is_at_end() {
        held.remove(handle);
    }
    Ok(())
}

/// REWRITER_FILL(handle, edits) → bytes
fn rewriter_fill(guest: &mut Guest, handle: u32, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    let Value::Array(edits) = args.next()? else { return Err(Malformed.into()) };
    let held = &mut guest.held;
    let Some(Thing { kind: Kind::Rewriter(rewriter), .. }) = held.things.get_mut(&handle) else { return Err(gone()) };
    held.scratch.clear();
    rewriter.fill(&edits, &mut held.scratch)?;
    out.bytes(&held.scratch);
    if rewriter.is_at_end() {
        held.remove(handle);
    }
    Ok(())
}
