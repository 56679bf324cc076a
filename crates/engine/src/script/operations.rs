//! Operations: what a guest started, done outside of it, and what goes back in when it ends.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use base::socket::{Received, Upgrade};
use base::{Body, Code, code};
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use services::StoreError;
use services::kv::{Condition, KvEntry, KvError, ListPage, PutOptions};
use worker::rpc::{Message, RpcAnswer};
use worker::{Call, Env, Event, Failure, Handle, Meter, Response};

use super::abi::{self, operation};
use super::ask::{self, Ask, Streamed, Wanted};
use super::codec::{Decoder, Encoder, Malformed, NoKey, Value};
use super::coding::{self, Coding};
use super::guest::Guest;
use super::host::{Refusal, write_headers};
use super::instance::ScriptInstance;
use super::nested::{self, Answering, Asked};
use super::{blobs, node, postgres, rpc, sockets, sql};

mod caches;
pub mod crypto;
pub mod fetch;

/// What most results take: a receipt, a number, a short text.
const VALUE_BYTES: usize = 64;

pub const NO_SOCKET: &str = "an answer of status 101 without a socket";

/// A body that is wanted whole goes into the guest when so much of it is there: what the guest holds counts against its
/// memory, what waits here does not.
const GATHERED_BYTES: usize = 256 << 10;

/// An operation that a guest started.
pub struct Operation {
    pub instance: Rc<ScriptInstance>,
    /// The request on whose behalf, unless it has ended.
    pub context: Option<(Call, Arc<Meter>)>,
    pub request: u32,
    pub code: i32,
    pub arguments: Vec<u8>,
}

/// How an operation ended.
pub enum Completion {
    /// One encoded value.
    Value(Vec<u8>),
    /// A response that is all there; with its URL, if that is not the one that was asked for.
    Whole {
        response: Response,
        url: Option<String>,
    },
    Response {
        response: Response,
        url: String,
        redirected: bool,
    },
    /// What the host gathered of a body.
    Gathered {
        data: Bytes,
        is_text: bool,
        is_end: bool,
    },
    Entries {
        entries: Vec<Option<KvEntry>>,
        many: bool,
    },
    /// A value of KV, as it was asked for.
    Found {
        entry: Option<KvEntry>,
        wanted: Wanted,
    },
    /// A blob with its content, if there is one.
    Blob(Option<Box<services::blob::Blob>>),
    /// What a WebSocket received.
    Socket {
        socket: u32,
        received: Received,
    },
    /// The answer to a call of another worker's method.
    Answered(RpcAnswer),
    /// What a session brought; nothing at its end.
    Session {
        session: u32,
        messages: Vec<Message>,
    },
    Failed {
        name: &'static str,
        message: String,
        code: &'static str,
    },
}

impl From<Malformed> for Completion {
    fn from(error: Malformed) -> Self {
        Self::type_error(error.to_string())
    }
}

impl From<NoKey> for Completion {
    fn from(error: NoKey) -> Self {
        Self::type_error(error.to_string())
    }
}

impl From<Refusal> for Completion {
    fn from(refusal: Refusal) -> Self {
        Self::Failed { name: refusal.name, message: refusal.message.into_owned(), code: refusal.code }
    }
}

impl From<KvError> for Completion {
    fn from(error: KvError) -> Self {
        let store = if let KvError::Store(store) = &error { Some(store) } else { None };
        Self::Failed { name: "Error", message: told(&error, store), code: error.code().name }
    }
}

impl From<Failure> for Completion {
    /// A failed exchange is a TypeError, as the Fetch Standard has it; the code tells more.
    fn from(failure: Failure) -> Self {
        let message = format!("{}: {}", failure.code.title, failure.detail);
        Self::Failed { name: "TypeError", message, code: failure.code.name }
    }
}

/// What a guest reads of an error: what the store says of itself names files of the node, and is for the log.
pub(super) fn told(error: &dyn std::error::Error, store: Option<&StoreError>) -> String {
    match store {
        None => chain(error),
        Some(store) => {
            tracing::warn!(code = store.code().name, "{}", chain(error));
            format!("{error}: {}", store.code().title)
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl Completion {
    pub fn type_error(message: impl Into<String>) -> Self {
        Self::Failed { name: "TypeError", message: message.into(), code: "" }
    }

    pub fn failed(code: Code, message: impl Into<String>) -> Self {
        Self::Failed { name: "Error", message: message.into(), code: code.name }
    }

    pub(super) fn undefined() -> Self {
        Self::Value(vec![0])
    }

    pub fn value(write: impl for<'a> FnOnce(&'a mut Encoder) -> &'a mut Encoder) -> Self {
        let mut encoder = Encoder(Vec::with_capacity(VALUE_BYTES));
        write(&mut encoder);
        Self::Value(encoder.0)
    }

    /// True for the end of what kept a request going.
    pub fn is_end(&self) -> bool {
        match self {
            Completion::Socket { received: Received::Ended(_), .. } => true,
            Completion::Session { messages, .. } => messages.is_empty(),
            _ => false,
        }
    }

    /// Writes the arguments of the COMPLETE event. Bodies that are not whole become handles here.
    pub fn encode(self, request: u32, instance: &ScriptInstance, guest: &mut Guest, out: &mut Encoder) {
        match self {
            Completion::Socket { socket, received } => {
                if let Some(call) = guest.calls.get_mut(&request) {
                    call.renew();
                }
                out.bool(true);
                sockets::encode(&received, out);
                if let Received::Ended(_) = received {
                    guest.sockets.over(socket);
                }
            }
            Completion::Answered(answer) => rpc::encode_answer(answer, request, instance, guest, out),
            Completion::Session { session, messages } => {
                rpc::encode_messages(session, messages, request, instance, guest, out);
            }
            Completion::Value(value) => out.bool(true).0.extend_from_slice(&value),
            Completion::Whole { response, url } => nested::encode(response, url.as_deref(), out.bool(true)),
            Completion::Gathered { data, is_text, is_end } => {
                encode_gathered(&data, is_text, out.bool(true).array(2));
                out.bool(is_end);
            }
            Completion::Response { mut response, url, redirected } => {
                let socket = Upgrade::take(&mut response);
                if socket.is_none() && response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
                    let failed = Completion::failed(&code::UPSTREAM_PROTOCOL, NO_SOCKET);
                    return failed.encode(request, instance, guest, out);
                }
                if socket.is_some() && !sockets::has_room(guest) {
                    let message = sockets::too_many(guest);
                    return Completion::failed(&code::TOO_MANY_SOCKETS, message).encode(request, instance, guest, out);
                }
                encode_head(&response, &url, redirected, out.bool(true));
                let (head, body) = response.into_parts();
                if let Some(end) = socket {
                    // Its number stands where that of a body would.
                    let id = guest.fresh_id();
                    guest.sockets.insert(id, request, end);
                    out.null().integer(u64::from(id)).null();
                    return;
                }
                match Coding::of(&head.headers).filter(|_| !body.is_empty()) {
                    Some((coding, name)) => {
                        let handle = guest.fresh_id();
                        instance.bodies.borrow_mut().insert(handle, body);
                        instance.codings.borrow_mut().insert(handle, coding);
                        out.null().integer(u64::from(handle)).string(name);
                    }
                    None => {
                        encode_body(body, instance, guest, out);
                        out.null();
                    }
                }
            }
            Completion::Blob(found) => blobs::encode(found, instance, guest, out),
            Completion::Found { entry, wanted } => ask::encode_found(entry, wanted, instance, guest, out),
            Completion::Entries { entries, many } => {
                out.bool(true);
                if many {
                    out.array(entries.len() as u32);
                }
                for entry in entries {
                    encode_entry(entry, instance, guest, out);
                }
            }
            Completion::Failed { name, message, code } => {
                out.bool(false).array(3).string(name).string(&message).string(code);
            }
        }
    }
}

/// The beginning of a response, which its body follows, or a socket.
fn encode_head(response: &Response, url: &str, redirected: bool, out: &mut Encoder) {
    let status = response.status();
    out.array(8).integer(u64::from(status.as_u16())).string(status.canonical_reason().unwrap_or(""));
    out.string(url).bool(redirected).string_with(|to| write_headers(response.headers(), to));
}

/// `bytes, 0` for a whole body, `null, handle` for another.
pub(super) fn encode_body(mut body: Body, instance: &ScriptInstance, guest: &mut Guest, out: &mut Encoder) {
    match body.take_whole() {
        Some(whole) => {
            out.bytes(&whole).integer(0);
        }
        None => {
            let handle = guest.fresh_id();
            instance.bodies.borrow_mut().insert(handle, body);
            out.null().integer(u64::from(handle));
        }
    }
}

/// To look at text that is UTF-8 is many times as fast as to look for where it is not.
fn encode_gathered(data: &[u8], is_text: bool, out: &mut Encoder) {
    match is_text.then(|| std::str::from_utf8(data)) {
        None => out.bytes(data),
        Some(Ok(text)) => out.string(text),
        Some(Err(_)) => out.string(&String::from_utf8_lossy(data)),
    };
}

fn encode_entry(entry: Option<KvEntry>, instance: &ScriptInstance, guest: &mut Guest, out: &mut Encoder) {
    let Some(entry) = entry else {
        out.null();
        return;
    };
    out.array(4);
    encode_body(entry.value, instance, guest, out);
    out.optional_string(entry.metadata.as_deref()).integer(entry.revision);
}

impl Operation {
    pub async fn perform(mut self) -> Completion {
        let arguments = std::mem::take(&mut self.arguments);
        if ask::is_asked(self.code) {
            return self.ask(arguments).await;
        }
        let args = Decoder::new(&arguments);
        let result = match self.code {
            operation::TIMER => timer(args).await,
            operation::FETCH => fetch::perform(&self, args).await,
            operation::SERVICE => self.service(args).await,
            operation::BODY_READ => self.body_read(args).await,
            operation::BODY_REST => self.body_rest(args).await,
            operation::STREAM_WRITE => self.stream_write(args).await,
            operation::SOCKET_READ => self.socket_read(args).await,
            operation::CACHE_MATCH => caches::lookup(&self, args).await,
            operation::CACHE_PUT => caches::put(&self, args).await,
            operation::CACHE_DELETE => caches::delete(&self, args).await,
            // It was begun when everything before it was durable.
            abi::object::SYNC => Ok(Completion::undefined()),
            abi::rpc::CALL => rpc::call(&self, args).await,
            abi::rpc::READ => rpc::read(&self, args).await,
            abi::postgres::FIRST..=abi::postgres::LAST => postgres::perform(&self, args).await,
            abi::blob::FIRST..=abi::blob::LAST => blobs::perform(&self, args).await,
            abi::crypto::FIRST..=abi::crypto::LAST => crypto::perform(&self, &arguments).await,
            abi::node::KDF_OPERATION | abi::node::ZIP_OPERATION => node::perform(&self, &arguments).await,
            _ => Err(Completion::type_error("there is no such operation")),
        };
        result.unwrap_or_else(|failed| failed)
    }

    pub fn env(&self) -> &Arc<Env> {
        self.instance.env()
    }

    /// An operation that has to do with data only.
    async fn ask(self, arguments: Vec<u8>) -> Completion {
        let streamed = match ask::stream_of(self.code, &arguments) {
            None => Streamed::Not,
            Some(stream) => self.instance.take_stream(stream, None).map_or(Streamed::UsedAlready, Streamed::Body),
        };
        let (env, now_ms) = (self.env().clone(), self.instance.clock_ms());
        let meter = self.context.map(|(_, meter)| meter);
        Ask { env, meter, now_ms, code: self.code, arguments: arguments.into() }.perform(streamed).await
    }

    /// Counts a call to the outside, and finds the request that makes it.
    pub fn metered(&self) -> Result<(&Call, &Arc<Meter>), Completion> {
        let Some((call, meter)) = &self.context else { return Err(ended()) };
        count(meter, self.env())?;
        Ok((call, meter))
    }

    async fn socket_read(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let socket = args.next()?.as_u32()?;
        // A peer that has always something to say lets others have their turn.
        tokio::task::consume_budget().await;
        let received = sockets::read(self.instance.sockets(), socket).await;
        Ok(Completion::Socket { socket, received })
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.env().limits.stream_idle_ms)
    }

    async fn body_read(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let handle = args.next()?.as_u32()?;
        let Some(mut body) = self.take_body(handle) else {
            return Ok(Completion::value(|e| e.null()));
        };
        Ok(match self.next_data(&mut body).await? {
            None => Completion::value(|e| e.null()),
            Some(data) => {
                self.instance.bodies.borrow_mut().insert(handle, body);
                Completion::value(|e| e.bytes(&data))
            }
        })
    }

    /// What is left of a body, for a guest that wants all of it: it is entered once, and not for each piece that came.
    async fn body_rest(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let handle = args.next()?.as_u32()?;
        let wants_text = args.next()?.as_bool()?;
        let mut gathered = Bytes::new();
        let mut is_end = true;
        if let Some(mut body) = self.take_body(handle) {
            (gathered, is_end) = self.gather(&mut body).await?;
            if !is_end {
                self.instance.bodies.borrow_mut().insert(handle, body);
            }
        }
        Ok(Completion::Gathered { data: gathered, is_text: wants_text && is_end, is_end })
    }

    /// As much of a body as the host keeps for a guest at a time, and whether that is all.
    async fn gather(&self, body: &mut Body) -> Result<(Bytes, bool), Completion> {
        let Some(first) = self.next_data(body).await? else { return Ok((Bytes::new(), true)) };
        if body.is_end_stream() {
            return Ok((first, true));
        }
        let told = body.size_hint().lower().min(GATHERED_BYTES as u64);
        let mut gathered = Vec::with_capacity(first.len() + told as usize);
        gathered.extend_from_slice(&first);
        while gathered.len() < GATHERED_BYTES {
            let Some(data) = self.next_data(body).await? else { return Ok((gathered.into(), true)) };
            gathered.extend_from_slice(&data);
        }
        Ok((gathered.into(), false))
    }

    /// The body of a handle, decoded if its content coding says so.
    fn take_body(&self, handle: u32) -> Option<Body> {
        let body = self.instance.bodies.borrow_mut().remove(&handle)?;
        let coding = self.instance.codings.borrow_mut().remove(&handle);
        Some(match coding {
            Some(coding) => coding::decoded(body, coding, &self.env().limits),
            None => body,
        })
    }

    /// The next data of a body that are some; `None` at its end.
    async fn next_data(&self, body: &mut Body) -> Result<Option<Bytes>, Completion> {
        loop {
            let frame = tokio::time::timeout(self.idle(), body.frame()).await.map_err(|_| {
                let ms = self.env().limits.stream_idle_ms;
                Completion::failed(&code::STREAM_IDLE, format!("no data for {ms} ms (limits.stream_idle_ms)"))
            })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| Completion::Failed {
                name: "TypeError",
                message: error.detail,
                code: error.code.name,
            })?;
            // Trailers are not visible to scripts.
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
    }

    async fn stream_write(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let stream = args.next()?.as_u32()?;
        let data = Bytes::copy_from_slice(args.next()?.as_content()?);
        let gone = || Completion::Failed {
            name: "AbortError",
            message: "the reader of the stream is gone".into(),
            code: code::CLIENT_GONE.name,
        };
        let sender = self.instance.stream_sender(stream).ok_or_else(gone)?;
        match tokio::time::timeout(self.idle(), sender.write(data)).await {
            Ok(Ok(())) => Ok(Completion::undefined()),
            Ok(Err(_)) => Err(gone()),
            Err(_) => {
                let ms = self.env().limits.stream_idle_ms;
                Err(Completion::failed(&code::STREAM_IDLE, format!("nobody read for {ms} ms (limits.stream_idle_ms)")))
            }
        }
    }

    /// A request to another worker or to an object.
    async fn service(&self, mut args: Decoder<'_>) -> Result<Completion, Completion> {
        let asked = Asked::read(&mut args)?;
        // Taken first: whatever is refused below, nothing of the body stays behind.
        let body = self.body(&asked.body, &asked.stream)?;
        let (call, meter) = self.context.as_ref().ok_or_else(ended)?;
        let (url, answer) = asked.send(self.env(), &self.instance.called, (call, meter), None, body)?;
        Ok(Completion::Response { response: answer.await?, url, redirected: false })
    }

    /// Calls another worker or an object.
    pub fn invoke(&self, callee: &Value<'_>, call: Call, event: Event) -> Result<Answering, Completion> {
        nested::invoke(self.env(), &self.instance.called, callee, call, event)
    }

    /// A body as the prelude passes it: null, whole, or the id of a stream.
    pub fn body(&self, value: &Value<'_>, stream: &Value<'_>) -> Result<Body, Completion> {
        match value {
            Value::Null | Value::Undefined => Ok(Body::empty()),
            Value::Bool(_) => {
                let taken = self.instance.take_stream(stream.as_u32()?, None);
                taken.ok_or_else(|| Completion::type_error("the stream was already used"))
            }
            whole => Ok(Body::full(Bytes::copy_from_slice(whole.as_content()?))),
        }
    }
}

/// Nothing can be asked for any more on behalf of the request.
pub(super) fn ended() -> Completion {
    let message = "the request that this belongs to has ended; start I/O before the response, or in waitUntil";
    Completion::failed(&code::CLIENT_GONE, message)
}

/// Counts a call to the outside.
pub(super) fn count(meter: &Meter, env: &Env) -> Result<(), Completion> {
    meter.subrequest(&env.limits).map_err(|failure| Completion::Failed {
        name: "Error",
        message: failure.detail,
        code: failure.code.name,
    })
}

async fn timer(mut args: Decoder<'_>) -> Result<Completion, Completion> {
    let ms = args.next()?.as_f64()?;
    let ms = if ms.is_finite() { ms.clamp(0.0, 2_147_483_647.0) } else { 0.0 };
    tokio::time::sleep(Duration::from_micros((ms * 1000.0) as u64)).await;
    Ok(Completion::undefined())
}

/// `{expirationMs?, ttlS?, metadata?, ifRevision?, ifAbsent?}`
pub fn put_options(json: &str, now_ms: u64) -> Result<PutOptions, Completion> {
    let fields: serde_json::Value = serde_json::from_str(json).map_err(|_| Malformed)?;
    let number = |name: &str| fields.get(name).and_then(serde_json::Value::as_f64);
    let expires_at_ms = match (number("expirationMs"), number("ttlS")) {
        (Some(at), _) => Some(at as u64),
        (None, Some(ttl)) if ttl >= 1.0 => Some(now_ms.saturating_add((ttl * 1000.0) as u64)),
        (None, Some(ttl)) => {
            let message = format!("expirationTtl is {ttl}; the least is 1 second");
            return Err(Completion::failed(&code::BAD_EXPIRY, message));
        }
        (None, None) => None,
    };
    let condition = match (number("ifRevision"), fields.get("ifAbsent")) {
        (Some(revision), _) => Condition::Revision(revision as u64),
        (None, Some(serde_json::Value::Bool(true))) => Condition::Absent,
        _ => Condition::Always,
    };
    let metadata = fields.get("metadata").map(serde_json::Value::to_string);
    Ok(PutOptions { expires_at_ms, metadata, condition })
}

/// The answer of `list`, as Workers code knows it, with revisions.
pub fn list_document(page: &ListPage) -> String {
    let keys: Vec<serde_json::Value> = page
        .keys
        .iter()
        .map(|key| {
            let mut entry = serde_json::json!({ "name": key.name, "revision": key.revision });
            if let Some(at) = key.expires_at_ms {
                entry["expiration"] = (at / 1000).into();
            }
            if let Some(metadata) = key.metadata.as_deref().and_then(|m| serde_json::from_str(m).ok()) {
                entry["metadata"] = metadata;
            }
            entry
        })
        .collect();
    let mut document = serde_json::json!({ "keys": keys, "list_complete": page.complete, "cacheStatus": null, "revision": page.revision });
    if let Some(cursor) = &page.cursor {
        document["cursor"] = cursor.as_str().into();
    }
    document.to_string()
}

/// What INIT tells the guest of its environment; `None` if there is nothing in it.
pub fn describe_env(env: &Env) -> Option<String> {
    if env.bindings.is_empty() {
        return None;
    }
    let bindings: Vec<serde_json::Value> = env
        .bindings
        .iter()
        .enumerate()
        .map(|(index, (name, handle))| {
            let name = name.as_str();
            match handle {
                Handle::Text(text) => serde_json::json!({ "name": name, "kind": "text", "value": text }),
                Handle::Json(json) => {
                    let value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
                    serde_json::json!({ "name": name, "kind": "json", "value": value })
                }
                Handle::Secret(secret) => {
                    serde_json::json!({ "name": name, "kind": "secret", "value": secret.expose() })
                }
                Handle::Kv { .. } => serde_json::json!({ "name": name, "kind": "kv", "binding": index }),
                Handle::Blob { .. } => serde_json::json!({ "name": name, "kind": "blob", "binding": index }),
                Handle::Sql(binding) => sql::describe(name, index, binding),
                Handle::Objects { .. } => serde_json::json!({ "name": name, "kind": "objects", "binding": index }),
                Handle::Postgres(_) => serde_json::json!({ "name": name, "kind": "postgres", "binding": index }),
                Handle::Service(_) => serde_json::json!({ "name": name, "kind": "service", "binding": index }),
            }
        })
        .collect();
    Some(serde_json::Value::from(bindings).to_string())
}
