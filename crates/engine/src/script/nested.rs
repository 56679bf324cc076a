//! Requests to other workers and to durable objects, and how one is begun within the call that asks for it.
//!
//! **Begun at once.** Whom a guest calls is mostly on the same core and answers without waiting. So the
//! event enters the callee while the caller's guest is on the stack, on a stack of its own, and an answer
//! that is all there goes back with the call: the caller's guest is not entered again, and what it makes
//! of the answer is part of its own event still. One that waits goes on as every operation does.
//!
//! It is the same to both: a callee that calls back finds its caller's guest running, and waits, as it does
//! for any other that runs. The time of each is charged to itself. Where that may not be done is as with
//! [data](super::ask): behind what begins later, and in a durable object.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use base::Body;
use base::socket::Upgrade;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use send_wrapper::SendWrapper;
use url::Url;
use worker::object::Target;
use worker::{Call, Env, Event, Failure, FetchEvent, Handle, Meter, Response};

use super::abi::operation;
use super::ask::{Answer, Begun};
use super::codec::{Decoder, Encoder, Value};
use super::coding::Coding;
use super::guest::{Effect, Guest, GuestCall, Handed};
use super::host::{self, write_headers};
use super::objects;
use super::operations::{self, Completion, fetch};

/// What was called last, for it is mostly called again.
#[derive(Default)]
pub struct LastCalled {
    /// The stub of an object, and what it names.
    pub stub: RefCell<Option<(Box<str>, Target)>>,
    url: RefCell<String>,
}

impl LastCalled {
    /// The URL of a request, as it is written. One is mostly asked for as often as another.
    fn url(&self, text: &str) -> Result<String, Completion> {
        let mut last = self.url.borrow_mut();
        if *last != text {
            *last = Url::parse(text).map_err(|_| Completion::type_error("the URL is not valid"))?.into();
        }
        Ok(last.clone())
    }
}

/// SERVICE(callee, method, url, headers, body, stream, redirect)
pub struct Asked<'a> {
    callee: Value<'a>,
    method: Value<'a>,
    url: Value<'a>,
    headers: Value<'a>,
    pub body: Value<'a>,
    pub stream: Value<'a>,
}

/// An answer to come.
pub type Answering = LocalBoxFuture<'static, Result<Response, Failure>>;

impl<'a> Asked<'a> {
    pub fn read(args: &mut Decoder<'a>) -> Result<Self, Completion> {
        let (callee, method, url) = (args.next()?, args.next()?, args.next()?);
        let (headers, body, stream) = (args.next()?, args.next()?, args.next()?);
        Ok(Self { callee, method, url, headers, body, stream })
    }

    /// Sends it on behalf of a request; answers with its URL, too. What came with that request, if it is at hand, is
    /// passed on where the guest changed nothing of it.
    pub fn send(
        &self,
        env: &Env,
        last: &LastCalled,
        (call, meter): (&Call, &Meter),
        given: Option<Box<FetchEvent>>,
        body: Body,
    ) -> Result<(String, Answering), Completion> {
        let mut event = match self.unchanged(given)? {
            Some(event) => event,
            None => self.made()?,
        };
        operations::count(meter, env)?;
        let traceparent = {
            let record = call.record.edit();
            event.client = record.client;
            HeaderValue::from_bytes(&record.trace.traceparent_bytes())
        };
        if let Ok(value) = traceparent {
            event.headers.insert(HeaderName::from_static("traceparent"), value);
        }
        let url = last.url(self.url.as_str()?)?;
        if event.url != url {
            event.url.clone_from(&url);
        }
        event.body = body;
        let answer = invoke(env, last, &self.callee, call.deeper(), Event::Fetch(event))?;
        Ok((url, answer))
    }

    /// A request with the method and the fields that are asked for, made of one that has both.
    fn unchanged(&self, given: Option<Box<FetchEvent>>) -> Result<Option<Box<FetchEvent>>, Completion> {
        let (method, block) = (self.method.as_str()?, self.headers.as_optional_str()?.unwrap_or(""));
        let same = |given: &Box<FetchEvent>| {
            given.method == method
                && !given.headers.contains_key(header::UPGRADE)
                && host::is_written(&given.headers, block)
        };
        let Some(mut event) = given.filter(same) else { return Ok(None) };
        let left_out: Vec<HeaderName> =
            event.headers.keys().filter(|name| !fetch::is_forwarded(name)).cloned().collect();
        for name in left_out {
            event.headers.remove(name);
        }
        (event.cf, event.entry) = (None, None);
        Ok(Some(event))
    }

    fn made(&self) -> Result<Box<FetchEvent>, Completion> {
        let method = Method::from_bytes(self.method.as_str()?.as_bytes())
            .map_err(|_| Completion::type_error("the method is not a token"))?;
        let mut upgrade = false;
        let mut headers = host::parse_headers_if(self.headers.as_optional_str()?.unwrap_or(""), |name, value| {
            upgrade |= fetch::asks_for_socket(name, value);
            fetch::is_forwarded(name)
        })?;
        if upgrade {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        let (url, body) = (String::new(), Body::empty());
        Ok(Box::new(FetchEvent { method, url, headers, body, client: None, cf: None, entry: None }))
    }
}

/// What a call goes to: a service binding by its number, or an object by its stub.
pub fn invoke(
    env: &Env,
    last: &LastCalled,
    callee: &Value<'_>,
    call: Call,
    event: Event,
) -> Result<Answering, Completion> {
    if let Value::String(stub) = callee {
        let (objects, target) = objects::target(env, last, stub)?;
        return Ok(objects.invoke(target, call, event));
    }
    match env.bindings.get(callee.as_u32()? as usize) {
        Some((_, Handle::Service(invoker))) => Ok(invoker.invoke(call, event)),
        _ => Err(Completion::type_error("this binding is no service")),
    }
}

/// Begins a request, and answers it if nothing need be waited for.
pub fn ask(guest: &mut Guest, env: &Arc<Env>, arguments: &[u8], out: &mut Encoder) -> Answer {
    let context = guest.charged();
    let begun = match begin(guest, env, arguments) {
        Ok(begun) => match run(guest, begun, out) {
            Some(begun) => begun,
            None => return Answer::Now,
        },
        Err(failed) => Begun::Ended(Box::new(failed)),
    };
    let operation = guest.fresh_id();
    guest.effects.push(Effect::Begun { operation, context, code: operation::SERVICE, begun, handed: Handed::No });
    Answer::Later(operation)
}

/// Whether the end of an operation, which this entry began, may be the answer to its request as it is: it is a request
/// itself, and nothing else is or was done for the one.
pub fn hand_over(guest: &mut Guest, id: u32, owned: bool) -> bool {
    let request = guest.charged();
    let idle = |call: &GuestCall| call.operations == 0 && call.passive.is_empty() && call.body.is_none();
    if guest.object.is_some() || !guest.calls.get(&request).is_some_and(idle) {
        return false;
    }
    let mut own = None;
    for effect in &mut guest.effects {
        let (operation, context, code, handed) = match effect {
            Effect::Start { operation, context, code, handed, .. } => (*operation, *context, *code, handed),
            Effect::Begun { operation, context, code, handed, .. } => (*operation, *context, *code, handed),
            _ => return false,
        };
        if operation == id && matches!(code, operation::FETCH | operation::SERVICE) {
            own = Some(handed);
        } else if context == request {
            return false;
        }
    }
    let Some(handed) = own else { return false };
    *handed = Handed::Over { owned };
    true
}

/// A request that is on its way.
struct Sent {
    url: String,
    /// The URL is what the guest wrote.
    as_written: bool,
    is_head: bool,
    answer: Answering,
}

fn begin(guest: &mut Guest, env: &Env, arguments: &[u8]) -> Result<Sent, Completion> {
    let asked = Asked::read(&mut Decoder::new(arguments))?;
    let body = match &asked.body {
        Value::Null | Value::Undefined => Body::empty(),
        whole => Body::full(Bytes::copy_from_slice(whole.as_content()?)),
    };
    let context = guest.charged();
    let Guest { calls, called, .. } = guest;
    let caller = calls.get_mut(&context).ok_or_else(operations::ended)?;
    // From here on it may have left a trace.
    let given = match caller.event.take() {
        Some(Event::Fetch(event)) => Some(event),
        _ => None,
    };
    let (url, answer) = asked.send(env, called, (&caller.call, &caller.meter), given, body)?;
    let as_written = asked.url.as_str()? == url;
    let is_head = asked.method.as_str()? == "HEAD";
    Ok(Sent { url, as_written, is_head, answer })
}

/// Lets the callee run as far as it goes; `None` if it answered, and the encoder holds that.
fn run(guest: &mut Guest, sent: Sent, out: &mut Encoder) -> Option<Begun> {
    let Sent { url, as_written, is_head, mut answer } = sent;
    // The callee's time is its own.
    guest.charge();
    let at_once = (&mut answer).now_or_never();
    guest.charge_elsewhere(Duration::ZERO);
    guest.look_at_clock();
    let completed = move |result: Result<Response, Failure>, url: String| match result {
        Ok(response) if is_whole(&response) => Completion::Whole { response, url: (!as_written).then_some(url) },
        Ok(response) => Completion::Response { response, url, redirected: false },
        Err(failure) => failure.into(),
    };
    match at_once {
        Some(Ok(response)) if is_whole(&response) => {
            match if is_head { Err((response, url)) } else { guest.unread.keep(without_null_body(response), url) } {
                Ok(place) => drop(out.integer(u64::from(place))),
                Err((response, url)) => encode(response, Some(&url), out),
            }
            None
        }
        Some(result) => Some(Begun::Ended(Box::new(completed(result, url)))),
        // The guest never leaves its thread, of which its type knows nothing.
        None => Some(Begun::Waits(Box::pin(SendWrapper::new(async move { completed(answer.await, url) })))),
    }
}

/// Whether a response is nothing but a head and a body that is all there, as it is to be read.
fn is_whole(response: &Response) -> bool {
    response.body().whole().is_some_and(|body| body.is_empty() || Coding::of(response.headers()).is_none())
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
        && !Upgrade::is_in(response)
}

/// A null body status of the Fetch Standard, of those that an answer may have.
pub fn has_null_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}

fn without_null_body(mut response: Response) -> Response {
    if has_null_body(response.status()) {
        *response.body_mut() = Body::empty();
    }
    response
}

/// Bodies of so many bytes may become texts: a text is made sooner than an array of bytes, and what is
/// read of it is the same while it is ASCII.
const TEXT_BYTES: usize = 4 << 10;

/// The state of a `Response`, as the prelude has it. No URL is that of the request.
pub fn encode(mut response: Response, url: Option<&str>, out: &mut Encoder) {
    let body = response.body_mut().take_whole().unwrap_or_default();
    out.array(8);
    let is_text = body.len() <= TEXT_BYTES && body.is_ascii();
    match std::str::from_utf8(&body).ok().filter(|_| is_text) {
        Some(text) => out.string(text),
        None => out.bytes(&body),
    };
    let status = response.status();
    out.string_with(|to| write_headers(response.headers(), to)).bool(false).integer(u64::from(status.as_u16()));
    out.string(status.canonical_reason().unwrap_or("")).optional_string(url).bool(false).string("basic");
}
