//! A server for workers that fetch: it answers every request with the same large body.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};

pub const BODY_BYTES: usize = 10 << 20;
/// What the body repeats.
pub const PIECE: &str = "sixteen letters.";

/// Stops when dropped. Its threads are of this process, whose only other work during a case is to wait.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Origin {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("starting an origin")?;
        let origin = Self { address: listener.local_addr()?, ended: Arc::default() };
        let ended = origin.ended.clone();
        std::thread::spawn(move || {
            let body: Arc<[u8]> = PIECE.as_bytes().repeat(BODY_BYTES / PIECE.len()).into();
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let body = body.clone();
                // A client that goes away ends its thread, which is no failure of the case.
                std::thread::spawn(move || answer(stream, &body));
            }
        });
        Ok(origin)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // The listener looks at the flag once it has somebody.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(stream: TcpStream, body: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", body.len());
    while let Some(line) = lines.next().transpose()? {
        // The workers send no body, so a request ends with its head.
        if line.is_empty() {
            writer.write_all(head.as_bytes())?;
            writer.write_all(body)?;
        }
    }
    Ok(())
}
