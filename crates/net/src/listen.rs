//! Listening sockets: one for each core, all on the same port; and sockets of the file system,
//! which all cores accept from.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use ipnet::IpNet;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::handover::Sockets;
use crate::stream::Raw;
use crate::tls::Tls;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The unspecified IPv6 address takes IPv4 as well.
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// `None` for a socket of the file system.
    pub fn tcp(&self) -> Option<SocketAddr> {
        if let Self::Tcp(address) = self { Some(*address) } else { None }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl std::str::FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some("") => Err("unix: is followed by the path of a socket"),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| "an address is ADDRESS:PORT, [ADDRESS]:PORT for IPv6, or unix:PATH"),
        }
    }
}

/// How to listen.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// How many sockets to open on the port; the kernel spreads connections over them.
    pub cores: usize,
    /// Connections that the kernel holds until they are accepted, for each socket.
    pub backlog: i32,
    /// Who may connect to a socket of the file system.
    pub mode: u32,
    /// What the listener is for; with its address, the name that its sockets are given under.
    pub role: &'static str,
    /// Where sockets come from that another process gave, and where others are kept for the next.
    pub sockets: Arc<Sockets>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { cores: 1, backlog: 4096, mode: 0o660, role: "http", sockets: Arc::default() }
    }
}

/// What happens to a connection before HTTP is spoken on it.
#[derive(Debug, Clone, Default)]
pub struct Reception {
    /// Which of the node's listeners it is; requests carry the number.
    pub listener: usize,
    pub tls: Option<Arc<Tls>>,
    /// Networks whose connections begin with a header of the PROXY protocol, and no others.
    pub proxies: Vec<IpNet>,
    /// The same of connections to a socket of the file system.
    pub proxied_unix: bool,
}

impl Reception {
    pub(crate) fn is_proxied(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(peer) => self.proxies.iter().any(|net| net.contains(&peer)),
            None => self.proxied_unix,
        }
    }
}

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{0} is in use by another process; choose another with --listen")]
    InUse(Address),
    #[error("{0} needs privileges that this process does not have; choose a port from 1024 up with --listen")]
    NotPermitted(Address),
    #[error("{0} is no address of this machine; choose another with --listen")]
    NotOurs(Address),
    #[error("{} is there, and is no socket; move it away or choose another path", .0.display())]
    NoSocket(PathBuf),
    #[error("can't listen on {0}: {1}")]
    Other(Address, #[source] io::Error),
}

impl ListenError {
    pub(crate) fn of(address: &Address, error: io::Error) -> Self {
        let tcp = address.tcp().is_some();
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address.clone()),
            io::ErrorKind::PermissionDenied if tcp => Self::NotPermitted(address.clone()),
            io::ErrorKind::AddrNotAvailable => Self::NotOurs(address.clone()),
            _ => Self::Other(address.clone(), error),
        }
    }
}

/// One core's socket. It may be sent to the core's thread before it is used there.
#[derive(Debug)]
pub struct Listener {
    socket: Listening,
    address: Address,
    reception: Arc<Reception>,
    /// It belongs to another process now.
    gone: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Listening {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener, Arc<SocketFile>),
}

/// The file of a socket, which goes with the last core that accepts from it, unless another process
/// does from now on.
#[derive(Debug)]
struct SocketFile(PathBuf, Arc<AtomicBool>);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.1.load(Ordering::Acquire) {
            // It may have been removed by hand.
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

impl Listener {
    /// Opens `options.cores` sockets on one address. With port 0 the kernel chooses a port, the
    /// same for all.
    ///
    /// A port that another process listens on is an error even if that process shares its port:
    /// two nodes that silently take turns would be worse than none. So is a socket of the file
    /// system that somebody accepts from; one that nobody does is left over, and replaced.
    ///
    /// Sockets that another process gave for this are used as they are, all of them: there may be
    /// more than cores.
    pub fn bind(address: impl Into<Address>, options: &ListenOptions) -> Result<Vec<Self>, ListenError> {
        let address = address.into();
        let name = format!("{} {address}", options.role);
        let wrong = |error| ListenError::of(&address, error);
        let bound = match options.sockets.given(&name) {
            Some(given) => adopt(&address, given, options).map_err(wrong)?,
            None => match &address {
                Address::Tcp(address) => bind_tcp(*address, options)?,
                Address::Unix(path) => bind_unix(path, options)?,
            },
        };
        options.sockets.keep(&name, bound.iter().map(Self::fd)).map_err(wrong)?;
        Ok(bound)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Listening::Tcp(socket) => socket.as_fd(),
            Listening::Unix(socket, _) => socket.as_fd(),
        }
    }

    /// What is to happen to connections, unless it is HTTP at once.
    pub fn with(mut self, reception: &Arc<Reception>) -> Self {
        self.reception = reception.clone();
        self
    }

    /// The address with the port that was chosen.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A connection that waits already; for tests.
    #[cfg(test)]
    pub(crate) fn accept_now(&self) -> io::Result<std::net::TcpStream> {
        match &self.socket {
            Listening::Tcp(socket) => socket.accept().map(|(stream, _)| stream),
            Listening::Unix(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Joins the runtime of the calling thread.
    pub(crate) fn into_tokio(self) -> io::Result<Accepting> {
        let (socket, file) = match self.socket {
            Listening::Tcp(socket) => (Accepted::Tcp(tokio::net::TcpListener::from_std(socket)?), None),
            Listening::Unix(socket, file) => (Accepted::Unix(tokio::net::UnixListener::from_std(socket)?), Some(file)),
        };
        Ok(Accepting { socket, reception: self.reception, gone: self.gone, _file: file })
    }
}

fn listener(socket: Listening, address: Address, options: &ListenOptions) -> Listener {
    Listener { socket, address, reception: Arc::default(), gone: options.sockets.gone() }
}

/// Listens on what another process gave; a core without a socket of its own shares one.
fn adopt(address: &Address, given: Vec<OwnedFd>, options: &ListenOptions) -> io::Result<Vec<Listener>> {
    let lacking = options.cores.max(1).saturating_sub(given.len());
    let shared = given.iter().cycle().take(lacking).map(OwnedFd::try_clone).collect::<Result<Vec<_>, _>>()?;
    let file = match address {
        Address::Unix(path) => Some(Arc::new(SocketFile(path.clone(), options.sockets.gone()))),
        Address::Tcp(_) => None,
    };
    let one = |socket: OwnedFd| -> io::Result<Listener> {
        Ok(match &file {
            Some(file) => listener(Listening::Unix(socket.into(), file.clone()), address.clone(), options),
            None => {
                let socket = std::net::TcpListener::from(socket);
                let address = socket.local_addr()?.into();
                listener(Listening::Tcp(socket), address, options)
            }
        })
    };
    given.into_iter().chain(shared).map(one).collect()
}

fn bind_tcp(address: SocketAddr, options: &ListenOptions) -> Result<Vec<Listener>, ListenError> {
    let wrong = |error| ListenError::of(&address.into(), error);
    // A socket that does not share its port fails if anyone listens there. It is closed before
    // the others are opened, since all sockets of a port must share it or none.
    let probe = open(address, false).map_err(wrong)?;
    probe.listen(1).map_err(wrong)?;
    let chosen = probe.local_addr().ok().and_then(|a| a.as_socket()).unwrap_or(address);
    drop(probe);
    let listen = || -> io::Result<Listener> {
        let socket = open(chosen, true)?;
        socket.listen(options.backlog)?;
        socket.set_nonblocking(true)?;
        Ok(listener(Listening::Tcp(socket.into()), chosen.into(), options))
    };
    (0..options.cores.max(1)).map(|_| listen().map_err(wrong)).collect()
}

fn open(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Whatever the system's default is, [::] means every address of the machine.
        socket.set_only_v6(false)?;
    }
    // A node that restarts at once must not wait for connections of its predecessor to expire.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    // Inherited by what is accepted; answers are written whole, so there is nothing to gather.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn bind_unix(path: &Path, options: &ListenOptions) -> Result<Vec<Listener>, ListenError> {
    let address = Address::Unix(path.to_owned());
    let wrong = |error| ListenError::of(&address, error);
    if let Ok(there) = path.symlink_metadata() {
        if !there.file_type().is_socket() {
            return Err(ListenError::NoSocket(path.to_owned()));
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(wrong)?;
            }
            _ => return Err(ListenError::InUse(address)),
        }
    }
    let listen = || -> io::Result<std::os::unix::net::UnixListener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // Nobody can connect before the socket listens, so nobody does with another mode.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(options.mode))?;
        socket.listen(options.backlog)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    let first = listen().map_err(wrong)?;
    let file = Arc::new(SocketFile(path.to_owned(), options.sockets.gone()));
    let copy = |_| {
        let socket = Listening::Unix(first.try_clone().map_err(wrong)?, file.clone());
        Ok(listener(socket, address.clone(), options))
    };
    (0..options.cores.max(1)).map(copy).collect()
}

/// A listener on its core.
pub(crate) struct Accepting {
    socket: Accepted,
    pub reception: Arc<Reception>,
    gone: Arc<AtomicBool>,
    _file: Option<Arc<SocketFile>>,
}

enum Accepted {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// Who connects by a socket of the file system: this machine.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A connection as it was accepted.
pub(crate) struct Incoming {
    pub stream: Raw,
    pub peer: SocketAddr,
    /// Whom connections are counted for; nobody, for a socket of the file system.
    pub counted: Option<IpAddr>,
}

impl Accepting {
    /// Another process accepts from now on, what waits already included.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        Poll::Ready(Ok(match &self.socket {
            Accepted::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                Incoming { stream: Raw::tcp(stream), peer, counted: Some(peer.ip()) }
            }
            Accepted::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Incoming { stream: Raw::unix(stream), peer: LOCAL, counted: None }
            }
        }))
    }
}

#[cfg(test)]
mod tests;
