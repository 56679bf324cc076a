//! Handing listening sockets to another process, so that a new version of the program takes over
//! and nobody is refused.
//!
//! A socket that listens is one thing in the kernel, however many processes hold it, and so is its
//! queue of connections that nobody has accepted yet. A process that only closed its sockets, for
//! another to open them anew, would reset what waits there. So the sockets themselves are passed,
//! over a socket of the file system that only the owner of the data can reach (SCM_RIGHTS).
//!
//! The order of things: the successor asks ([`take`]), is given every socket, and says that it has
//! them; from then on the old process accepts nothing, finishes what it has and gives up what it locks. What
//! connects meanwhile waits in the queues. The old process says when nothing is locked any more
//! ([`Successor::say_free`]), and may go on with what needs none of that; or it ends, and with it its locks
//! and their connection. Either tells the successor that it is its turn ([`Taken::freed`]).
//!
//! What may go on is the bodies of answers that need nothing but the process they are in: what comes from a
//! server, an open file, memory. So a download is as long as `drain_ms` lets it be, and nobody waits for it.
//! To hand over the connections themselves would take more than their sockets: the state of TLS and of
//! HTTP/2, and what has been read of either.
//!
//! A successor that dies before it has everything changes nothing: the old process goes on.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use socket2::{Domain, SockAddr, Socket, Type};

/// What a successor says first, and what it says when it has everything.
const HELLO: &[u8] = b"selvedge takeover 1";
const HAVE: &[u8] = b"have";
/// The last message to a successor.
const ALL: &[u8] = b"all";
/// The last message of all, some time later.
const FREE: &[u8] = b"free";
/// The kernel takes 253 at a time.
const SOCKETS_MAX: usize = 250;
const NAME_BYTES_MAX: usize = 4096;
/// A successor that takes longer for one message is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sockets of a process: those that it was given and has not used yet, and those that it would
/// give.
#[derive(Debug, Default)]
pub struct Sockets {
    given: Mutex<Vec<(String, Vec<OwnedFd>)>>,
    kept: Mutex<Vec<(String, Vec<OwnedFd>)>>,
    /// They belong to another process now.
    gone: Arc<AtomicBool>,
}

impl Sockets {
    /// Those that were given under a name, once.
    pub(crate) fn given(&self, name: &str) -> Option<Vec<OwnedFd>> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let at = given.iter().position(|(known, _)| known == name)?;
        Some(given.remove(at).1)
    }

    /// Keeps copies of sockets, to be given under a name.
    pub(crate) fn keep<'a>(&self, name: &str, sockets: impl IntoIterator<Item = BorrowedFd<'a>>) -> io::Result<()> {
        let copies = sockets.into_iter().map(|socket| socket.try_clone_to_owned()).collect::<Result<_, _>>()?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), copies));
        Ok(())
    }

    /// Forgets what is kept under a name: the listener is gone.
    pub fn forget(&self, name: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| known != name);
    }

    /// Whether they belong to another process now: what waits in their queues is its business.
    pub(crate) fn gone(&self) -> Arc<AtomicBool> {
        self.gone.clone()
    }

    /// They are another's. The copies go: a listener that the other closes one day would go on to take
    /// connections in the kernel, for a process that accepts none.
    fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Where a successor asks. It goes with this process, unless another has taken its place.
pub struct Offer {
    socket: Socket,
    path: PathBuf,
}

impl Offer {
    /// Opens the socket; one that is left over is replaced.
    pub fn open(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // Nobody can connect before it listens.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        socket.listen(8)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Waits until a successor has taken everything. Blocks.
    pub fn wait(self, sockets: &Sockets) -> io::Result<Successor> {
        loop {
            let (peer, _) = self.socket.accept()?;
            match self.give(&peer, sockets) {
                Ok(()) => {
                    sockets.set_gone();
                    let _ = std::fs::remove_file(&self.path);
                    return Ok(Successor(peer));
                }
                Err(error) => tracing::warn!(%error, "another process wanted the listeners, and did not take them"),
            }
        }
    }

    fn give(&self, peer: &Socket, sockets: &Sockets) -> io::Result<()> {
        peer.set_read_timeout(Some(PATIENCE))?;
        peer.set_write_timeout(Some(PATIENCE))?;
        expect(peer, HELLO)?;
        let kept = sockets.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, sockets) in kept.iter() {
            for some in sockets.chunks(SOCKETS_MAX) {
                let some: Vec<BorrowedFd<'_>> = some.iter().map(|socket| socket.as_fd()).collect();
                send(peer, name.as_bytes(), &some)?;
            }
        }
        send(peer, ALL, &[])?;
        expect(peer, HAVE)
    }
}

/// The process that has taken everything. It waits until it is told that nothing is locked any more, or this
/// goes: who holds it keeps it for as long as there are locks.
pub struct Successor(Socket);

impl Successor {
    /// Nothing is locked any more.
    pub fn say_free(&self) -> io::Result<()> {
        send(&self.0, FREE, &[])
    }
}

/// What a process that took over has of the old one.
pub struct Taken {
    peer: Socket,
    pub sockets: Arc<Sockets>,
    /// How many were given.
    pub count: usize,
}

/// Takes the sockets of the process that offers them here; `None` if there is none. Blocks.
pub fn take(path: &Path) -> io::Result<Option<Taken>> {
    let peer = Socket::new(Domain::UNIX, Type::SEQPACKET, None)?;
    match peer.connect(&SockAddr::unix(path)?) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    peer.set_read_timeout(Some(PATIENCE))?;
    send(&peer, HELLO, &[])?;
    let mut given: Vec<(String, Vec<OwnedFd>)> = Vec::new();
    loop {
        let (message, sockets) = receive(&peer)?;
        if message == ALL && sockets.is_empty() {
            break;
        }
        let name = String::from_utf8(message).map_err(|_| odd())?;
        match given.last_mut() {
            // One listener may have more sockets than a message.
            Some((known, all)) if *known == name && all.len() % SOCKETS_MAX == 0 => all.extend(sockets),
            _ => given.push((name, sockets)),
        }
    }
    send(&peer, HAVE, &[])?;
    let count = given.iter().map(|(_, sockets)| sockets.len()).sum();
    let sockets = Sockets { given: Mutex::new(given), ..Sockets::default() };
    Ok(Some(Taken { peer, sockets: Arc::new(sockets), count }))
}

impl Taken {
    /// Waits until the old process has given up what it locks, or has ended. Blocks; `false` if it took longer
    /// than this.
    pub fn freed(&self, within: Duration) -> io::Result<bool> {
        self.peer.set_read_timeout(Some(within))?;
        match receive(&self.peer) {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(false),
            // It says that, or nothing more; that it ended is an error to whoever waits for a message.
            _ => Ok(true),
        }
    }
}

fn odd() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the other process speaks another language")
}

fn expect(peer: &Socket, message: &[u8]) -> io::Result<()> {
    if receive(peer)?.0 == message { Ok(()) } else { Err(odd()) }
}

fn send(peer: &Socket, message: &[u8], sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !control.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(peer, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(peer: &Socket) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut message = vec![0; NAME_BYTES_MAX];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = rustix::net::recvmsg(peer, &mut [IoSliceMut::new(&mut message)], &mut control, flags)?;
    let mut sockets = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = part {
            sockets.extend(some);
        }
    }
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    message.truncate(received.bytes);
    Ok((message, sockets))
}

#[cfg(test)]
mod tests;
