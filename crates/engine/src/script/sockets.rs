//! The WebSockets of an instance: which there are, whose they are, and the calls about them.
//!
//! The guest sends and closes while it is on the stack, so the table lies beside its store, and the
//! instance shares it. A socket that the guest gives away, with a response, leaves the table; the
//! messages that pass then are none of this instance's business.
//!
//! A durable object that hibernates will hand its ends over to their keeper here, and get them
//! back, with what [`Sockets::take`] leaves of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::socket::{self, Ended, Message, NotSent, Received, SocketEnd, SocketOptions, close_code};
use base::{Code, code};

use super::abi::call;
use super::codec::{Decoder, Encoder};
use super::guest::{Effect, Guest};
use super::host::Refusal;
use super::objects;

/// Shared by the guest's store and its instance; both belong to one core.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Set with the first socket, so that instances without any pay nothing.
    used: AtomicBool,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    sockets: HashMap<u32, Socket>,
    /// The sockets of each request that has any.
    owned: HashMap<u32, Vec<u32>>,
    /// Ends that go out with the answer of a request.
    answers: HashMap<u32, SocketEnd>,
}

#[derive(Debug)]
struct Socket {
    near: Arc<SocketEnd>,
    /// The other end, if it was made here, until it is given away.
    far: Option<SocketEnd>,
    request: u32,
    /// The script listens, which keeps the request alive.
    listening: bool,
}

impl Table {
    fn insert(&mut self, id: u32, socket: Socket) {
        self.owned.entry(socket.request).or_default().push(id);
        self.sockets.insert(id, socket);
    }

    fn remove(&mut self, id: u32) -> Option<Socket> {
        let socket = self.sockets.remove(&id)?;
        if let Some(owned) = self.owned.get_mut(&socket.request) {
            owned.retain(|other| *other != id);
            if owned.is_empty() {
                self.owned.remove(&socket.request);
            }
        }
        Some(socket)
    }
}

impl Sockets {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn len(&self) -> u64 {
        self.table().sockets.len() as u64
    }

    /// Makes a pair, whose near end the guest keeps.
    fn open(&self, id: u32, request: u32, options: SocketOptions) {
        let (near, far) = socket::pair(options);
        self.used.store(true, Ordering::Relaxed);
        self.table().insert(id, Socket { near: Arc::new(near), far: Some(far), request, listening: false });
    }

    /// Enters an end that came with a response.
    pub fn insert(&self, id: u32, request: u32, near: SocketEnd) {
        self.used.store(true, Ordering::Relaxed);
        self.table().insert(id, Socket { near: Arc::new(near), far: None, request, listening: false });
    }

    /// The end that leaves this instance: the far one of a pair, or one that only passes through.
    fn take(&self, id: u32) -> Option<SocketEnd> {
        let mut table = self.table();
        if let Some(far) = table.sockets.get_mut(&id)?.far.take() {
            return Some(far);
        }
        let passes = !table.sockets.get(&id)?.listening;
        let socket = if passes { table.remove(id) } else { None }?;
        Arc::try_unwrap(socket.near).ok()
    }

    /// What goes out with the answer of a request.
    pub fn answer(&self, request: u32) -> Option<SocketEnd> {
        self.table().answers.remove(&request)
    }

    /// The guest listens from here on.
    fn listen(&self, id: u32) -> Option<Arc<SocketEnd>> {
        let mut table = self.table();
        let socket = table.sockets.get_mut(&id)?;
        socket.listening = true;
        Some(socket.near.clone())
    }

    fn near(&self, id: u32) -> Option<Arc<SocketEnd>> {
        self.table().sockets.get(&id).map(|socket| socket.near.clone())
    }

    pub fn send(&self, id: u32, message: Message) -> Result<(), NotSent> {
        let near = self.near(id).ok_or(NotSent::Closed)?;
        let sent = near.send(message);
        if let Err(NotSent::Overflow(_)) = sent {
            near.abort(Ended::new(close_code::ERROR, code::SOCKET_OVERFLOW.name).because(&code::SOCKET_OVERFLOW));
        }
        sent
    }

    pub fn close(&self, id: u32, ended: Ended) {
        if let Some(near) = self.near(id) {
            near.close(ended);
        }
    }

    /// The guest has heard the end of a socket.
    pub fn over(&self, id: u32) {
        self.table().remove(id);
    }

    /// True if the guest listens on behalf of this request.
    pub fn hold(&self, request: u32) -> bool {
        if !self.any() {
            return false;
        }
        let table = self.table();
        let owned = table.owned.get(&request);
        owned.is_some_and(|ids| ids.iter().any(|id| table.sockets.get(id).is_some_and(|socket| socket.listening)))
    }

    /// The request is over, and with it its sockets.
    pub fn end_request(&self, request: u32, cause: Option<Code>) {
        if !self.any() {
            return;
        }
        let mut table = self.table();
        table.answers.remove(&request);
        let Some(owned) = table.owned.remove(&request) else { return };
        let ended = Ended { cause, ..Ended::new(close_code::ERROR, cause.map_or("", |cause| cause.name)) };
        for socket in owned.iter().filter_map(|id| table.sockets.remove(id)) {
            socket.near.close(ended.clone());
        }
    }

    /// Closes what is open; the guest hears of it as of any end.
    pub fn close_all(&self, ended: &Ended) {
        self.table().sockets.values().for_each(|socket| socket.near.close(ended.clone()));
    }

    /// True if there ever was one.
    pub fn any(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }
}

/// SOCKET_READ(socket): the next message or the end.
pub async fn read(sockets: &Sockets, socket: u32) -> Received {
    match sockets.listen(socket) {
        Some(near) => near.receive().await,
        None => Received::Ended(Ended::gone()),
    }
}

/// A message as a string or bytes; an end as [code, reason, wasClean, cause].
pub fn encode(received: &Received, out: &mut Encoder) {
    match received {
        Received::Message(Message::Text(text)) => drop(out.string_with(|to| to.extend_from_slice(text))),
        Received::Message(Message::Binary(data)) => drop(out.bytes(data)),
        Received::Ended(ended) => {
            out.array(4).integer(u64::from(ended.code)).string(&ended.reason).bool(ended.clean);
            out.optional_string(ended.cause.map(|cause| cause.name));
        }
    }
}

/// The guest begins to read: known at once, since it keeps the request alive.
pub fn listens(guest: &Guest, arguments: &[u8]) {
    if let Ok(id) = Decoder::new(arguments).next().and_then(|id| id.as_u32()) {
        guest.sockets.listen(id);
    }
}

/// True if one more may be opened.
pub fn has_room(guest: &Guest) -> bool {
    guest.sockets.len() < guest.limits.sockets
}

pub fn too_many(guest: &Guest) -> String {
    format!("the instance has {} WebSockets (limits.sockets)", guest.limits.sockets)
}

/// The synchronous calls about sockets.
pub fn answer(guest: &mut Guest, code: i32, args: &mut Decoder<'_>, out: &mut Encoder) -> Result<(), Refusal> {
    // Whatever is said on a socket is heard outside.
    let request = guest.charged();
    if let Some(call) = guest.calls.get_mut(&request) {
        call.event = None;
    }
    if code == call::SOCKET_OPEN {
        return open(guest, out);
    }
    let first = args.next()?.as_u32()?;
    match code {
        call::SOCKET_ANSWER => {
            let socket = args.next()?.as_u32()?;
            let end = guest.sockets.take(socket);
            let end = end.ok_or_else(|| Refusal::type_error("the WebSocket was given away or accepted already"))?;
            guest.sockets.table().answers.insert(first, end);
        }
        call::SOCKET_SEND => {
            let message = objects::message(&args.next()?, SocketOptions::from(&guest.limits).message_bytes)?;
            if guest.object.is_some() {
                let asked = objects::Asked::Send { socket: objects::Which::Own(first), message };
                guest.effects.push(Effect::Object(asked));
                return Ok(());
            }
            match guest.sockets.send(first, message) {
                // A peer that is gone is heard of as an event.
                Ok(()) | Err(NotSent::Closed) => {}
                Err(refused) => {
                    let code = match refused {
                        NotSent::TooLarge(_) => &code::SOCKET_MESSAGE_TOO_LARGE,
                        _ => &code::SOCKET_OVERFLOW,
                    };
                    return Err(Refusal { name: "Error", message: refused.to_string().into(), code: code.name });
                }
            }
        }
        call::SOCKET_CLOSE => {
            let ended = objects::ended(&args.next()?, &args.next()?)?;
            match guest.object.is_some() {
                true => {
                    let asked = objects::Asked::Close { socket: objects::Which::Own(first), ended };
                    guest.effects.push(Effect::Object(asked));
                }
                false => guest.sockets.close(first, ended),
            }
        }
        call::SOCKET_BUFFERED => {
            let buffered = guest.sockets.near(first).map_or(0, |near| near.buffered());
            out.integer(buffered as u64);
        }
        _ => return Err(Refusal::type_error("there is no such call")),
    }
    Ok(())
}

fn open(guest: &mut Guest, out: &mut Encoder) -> Result<(), Refusal> {
    if guest.is_evaluating() {
        return Err(Refusal::at_start("a WebSocket"));
    }
    if !has_room(guest) {
        let message = too_many(guest).into();
        return Err(Refusal { name: "Error", message, code: code::TOO_MANY_SOCKETS.name });
    }
    let (id, request) = (guest.fresh_id(), guest.charged());
    guest.sockets.open(id, request, SocketOptions::from(&guest.limits));
    out.integer(u64::from(id));
    Ok(())
}
