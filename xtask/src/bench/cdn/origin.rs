//! What stands behind the edge: it answers every path with its object, and counts. It shares the core
//! of the load, as every thread of this process does.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::cases::{Case, Kind};

/// How long the herd's object takes, so that all of the herd is there before it comes.
const HERD_TAKES: Duration = Duration::from_secs(2);
const HEAD_MAX: usize = 16 << 10;

/// Stops when dropped.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ended: AtomicBool,
    requests: AtomicU64,
    takes: Duration,
    control: &'static str,
    /// The answer to every path, where there is only one.
    fixed: Option<Vec<u8>>,
    filling: Vec<u8>,
}

impl Origin {
    pub fn start(case: &Case) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("starting an origin")?;
        let control = if case.cached { "max-age=3600" } else { "no-store" };
        let filling = vec![b'x'; case.bytes.max(super::zipf::LARGEST)];
        let fixed = (case.kind != Kind::Zipf).then(|| answer(control, &filling[..case.bytes]));
        let takes = if case.kind == Kind::Herd { HERD_TAKES } else { Duration::ZERO };
        let (ended, requests) = (AtomicBool::new(false), AtomicU64::new(0));
        let shared = Arc::new(Shared { ended, requests, takes, control, fixed, filling });
        let origin = Self { address: listener.local_addr()?, shared: shared.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                // An edge that goes away ends its thread, which is no failure of the case.
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Ok(origin)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// So far.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // The listener looks at the flag once it has somebody.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(control: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncache-control: {control}\r\n\
         content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = (vec![0; HEAD_MAX], 0);
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        // No edge sends a body, nor a second request before the answer to the first.
        if !buffer[..filled].ends_with(b"\r\n\r\n") {
            continue;
        }
        shared.requests.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(shared.takes);
        match &shared.fixed {
            Some(fixed) => stream.write_all(fixed)?,
            None => {
                let bytes = super::zipf::object(&buffer[..filled]).map_or(0, super::zipf::bytes);
                stream.write_all(&answer(shared.control, &shared.filling[..bytes]))?;
            }
        }
        filled = 0;
    }
}
