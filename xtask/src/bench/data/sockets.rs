//! WebSockets that a durable object keeps while it is not awake: what one costs, and that all of them
//! are still there when a message wakes the object.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::node::{App, deployed, sleep_until_idle};
use crate::bench::peer::Tools;
use crate::bench::process::Server;
use crate::bench::report::Report;
use crate::bench::stage::free_address;
use crate::repo::Repo;

pub const NAME: &str = "hibernated-sockets";
const WANTED: usize = 50_000;
const QUICK: usize = 2_000;
/// Files that either process has open besides.
const OTHER_FILES: usize = 400;
/// One address has fewer free ports than there are to be sockets: the node listens on some.
const ADDRESSES: u8 = 4;
const THREADS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// An object sleeps after a second without an event.
const LIMITS: &str = "[limits]\nconnections = 200000\nconnections_per_address = 200000\nobject_idle_ms = 1000\n";

pub fn run(repo: &Repo, tools: &Tools, quick: bool) -> Result<Report> {
    let app = App {
        worker: "sockets.js",
        binding: "ROOM = { object = \"Room\" }",
        manifest: "[limits]\nobject_sockets = 100000\n",
        ..App::default()
    };
    let stage = deployed(repo, tools, &app)?;
    let port = free_address()?.port();
    let addresses: Vec<SocketAddr> =
        (2..2 + ADDRESSES).map(|last| SocketAddr::from(([127, 0, 0, last], port))).collect();
    let listeners = addresses.iter().map(|address| format!("[[listeners]]\nlisten = \"{address}\"\n"));
    let config = stage.folder().join("node.toml");
    fs::write(&config, listeners.chain([LIMITS.to_owned()]).collect::<String>())?;
    let server = stage.start_configured(tools, &config)?;
    let host = stage.host();

    let wanted = if quick { QUICK } else { WANTED };
    let count = wanted.min(files_max()?.saturating_sub(OTHER_FILES));
    if count < wanted {
        eprintln!("{NAME}: {count} sockets, for a process may open no more files (ulimit -n)");
    }
    // The first makes the object, and the node's own share of memory.
    let mut first = open_when_ready(addresses[0], &host)?;
    sleep_until_idle();
    let before_kib = server.rss_kib()?;
    let begun = Instant::now();
    let mut sockets = open_all(&addresses, &host, count - 1)?;
    let took = begun.elapsed();
    let awake_kib = server.rss_kib()?;
    sleep_until_idle();
    let asleep_kib = server.rss_kib()?;
    let (wake, there) = ask(&mut first)?;
    if there != count {
        bail!("the object has {there} sockets of {count}");
    }
    let last = sockets.last_mut().context("there are sockets")?;
    let (again, _) = ask(last)?;
    report(&server, count, [before_kib, awake_kib, asleep_kib], took, [wake, again])
}

fn report(server: &Server, count: usize, kib: [u64; 3], took: Duration, asked: [Duration; 2]) -> Result<Report> {
    let [before, awake, asleep] = kib.map(|kib| kib as f64);
    let each_kib = (asleep - before) / (count - 1) as f64;
    let mib = |kib: f64| kib / 1024.0;
    let about = "WebSockets that one durable object keeps while it sleeps; 50,000 are to take 1,024 MiB at most";
    Ok(Report::new(NAME, about)
        .figure("sockets", "sockets", 0, count as f64)
        .figure("opened, /s", "opened_per_s", 0, (count - 1) as f64 / took.as_secs_f64())
        .figure("RSS with one, MiB", "before_rss_mib", 0, mib(before))
        .figure("RSS with all, awake, MiB", "awake_rss_mib", 0, mib(awake))
        .figure("RSS with all, asleep, MiB", "asleep_rss_mib", 0, mib(asleep))
        .figure("highest RSS, MiB", "highest_rss_mib", 0, mib(server.rss_max_kib()? as f64))
        .figure("a socket asleep, KiB", "socket_kib", 2, each_kib)
        .figure("50,000 asleep, MiB", "fifty_thousand_mib", 0, mib(before + each_kib * WANTED as f64))
        .figure("a message that wakes, ms", "wake_ms", 2, asked[0].as_secs_f64() * 1e3)
        .figure("a message after it, ms", "awake_ms", 2, asked[1].as_secs_f64() * 1e3))
}

/// Files that a process of ours may have open.
fn files_max() -> Result<usize> {
    let limits = fs::read_to_string("/proc/self/limits").context("reading /proc/self/limits")?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).context("no limit of open files")?;
    let soft = line.split_whitespace().nth(3).context("a limit without a number")?;
    Ok(soft.parse().unwrap_or(usize::MAX))
}

fn open_when_ready(address: SocketAddr, host: &str) -> Result<TcpStream> {
    let begun = Instant::now();
    loop {
        match open(address, host) {
            Ok(socket) => return Ok(socket),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error),
            // The port opens when it opens: nothing tells us.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn open_all(addresses: &[SocketAddr], host: &str, count: usize) -> Result<Vec<TcpStream>> {
    std::thread::scope(|scope| {
        let share = |thread: usize| count / THREADS + usize::from(thread < count % THREADS);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let address = addresses[thread % addresses.len()];
                scope.spawn(move || (0..share(thread)).map(|_| open(address, host)).collect::<Result<Vec<_>>>())
            })
            .collect();
        let mut sockets = Vec::with_capacity(count);
        for thread in threads {
            match thread.join() {
                Ok(opened) => sockets.extend(opened?),
                Err(_) => bail!("a thread that opened sockets panicked"),
            }
        }
        Ok(sockets)
    })
}

/// A handshake. The key is that of the specification's example: nothing depends on it here.
fn open(address: SocketAddr, host: &str) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(address).context("connecting")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "GET /socket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    socket.write_all(request.as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).context("the handshake was not answered")?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        let head = String::from_utf8_lossy(&head);
        bail!("the handshake was answered with {}", head.lines().next().unwrap_or_default());
    }
    Ok(socket)
}

/// The first byte of a text that is one frame.
const TEXT_FRAME: u8 = 0x81;

/// Sends a message, and answers how long the object took and how many sockets it has.
fn ask(socket: &mut TcpStream) -> Result<(Duration, usize)> {
    let begun = Instant::now();
    // A text of five bytes, masked with zeros.
    socket.write_all(&[TEXT_FRAME, 0x85, 0, 0, 0, 0, b'c', b'o', b'u', b'n', b't'])?;
    let text = loop {
        let mut head = [0; 2];
        socket.read_exact(&mut head).context("the object did not answer")?;
        let mut content = vec![0; usize::from(head[1])];
        socket.read_exact(&mut content)?;
        // The node asks now and then whether a socket that says nothing is still there.
        if head[0] == TEXT_FRAME {
            break content;
        }
    };
    let took = begun.elapsed();
    let text = String::from_utf8_lossy(&text);
    Ok((took, text.parse().with_context(|| format!("the object answered {text:?}"))?))
}
