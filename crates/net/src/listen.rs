//! Listening sockets: one for each core, all on the same port.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// How to listen.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// How many sockets to open on the port; the kernel spreads connections over them.
    pub cores: usize,
    /// Connections that the kernel holds until they are accepted, for each socket.
    pub backlog: i32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { cores: 1, backlog: 4096 }
    }
}

/// Why an address can't be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("{0} is in use by another process; choose another with --listen")]
    InUse(SocketAddr),
    #[error("{0} needs privileges that this process does not have; choose a port from 1024 up with --listen")]
    NotPermitted(SocketAddr),
    #[error("{0} is no address of this machine; choose another with --listen")]
    NotOurs(SocketAddr),
    #[error("can't listen on {0}: {1}")]
    Other(SocketAddr, #[source] io::Error),
}

impl ListenError {
    fn of(address: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(address),
            io::ErrorKind::PermissionDenied => Self::NotPermitted(address),
            io::ErrorKind::AddrNotAvailable => Self::NotOurs(address),
            _ => Self::Other(address, error),
        }
    }
}

/// One core's socket. It may be sent to the core's thread before it is used there.
#[derive(Debug)]
pub struct Listener {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Opens `options.cores` sockets on one address. With port 0 the kernel chooses a port, the
    /// same for all.
    ///
    /// A port that another process listens on is an error even if that process shares its port:
    /// two nodes that silently take turns would be worse than none.
    pub fn bind(address: SocketAddr, options: &ListenOptions) -> Result<Vec<Self>, ListenError> {
        let wrong = |error| ListenError::of(address, error);
        // A socket that does not share its port fails if anyone listens there. It is closed before
        // the others are opened, since all sockets of a port must share it or none.
        let probe = open(address, false).map_err(wrong)?;
        probe.listen(1).map_err(wrong)?;
        let chosen = probe.local_addr().ok().and_then(|a| a.as_socket()).unwrap_or(address);
        drop(probe);
        let listen = || -> io::Result<Self> {
            let socket = open(chosen, true)?;
            socket.listen(options.backlog)?;
            socket.set_nonblocking(true)?;
            Ok(Self { socket: socket.into(), address: chosen })
        };
        (0..options.cores.max(1)).map(|_| listen().map_err(wrong)).collect()
    }

    /// The address with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Joins the runtime of the calling thread.
    pub(crate) fn into_tokio(self) -> io::Result<tokio::net::TcpListener> {
        tokio::net::TcpListener::from_std(self.socket)
    }
}

fn open(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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

#[cfg(test)]
mod tests;
