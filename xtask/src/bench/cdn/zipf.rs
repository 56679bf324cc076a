//! How well a cache chooses: objects of many sizes, together four times as large as the cache may be,
//! asked for by Zipf's law.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::Figures;
use super::load::Load;
use super::origin::Origin;
use crate::bench::process::Server;

/// What a cache may hold in this case.
pub const CACHE_BYTES: usize = 256 << 20;
pub const LARGEST: usize = 1 << 20;
const SMALLEST: usize = 1 << 10;
/// Together about four times [`CACHE_BYTES`]: the mean of sizes whose logarithms are even is 148 KiB.
const OBJECTS: u32 = 7_000;
const EXPONENT: f64 = 0.9;
const CLIENTS: u64 = 4;
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The same scrambled number for the same input, everywhere (splitmix64).
fn scrambled(seed: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn unit(seed: u64) -> f64 {
    scrambled(seed) as f64 / u64::MAX as f64
}

/// The size of an object: from [`SMALLEST`] to [`LARGEST`], each order of magnitude as often.
pub fn bytes(object: u32) -> usize {
    let doublings = (LARGEST as f64 / SMALLEST as f64).log2();
    (SMALLEST as f64 * (unit(u64::from(object)) * doublings).exp2()) as usize
}

fn path(object: u32) -> String {
    format!("/object/{object}")
}

/// Which one a request asks for.
pub fn object(head: &[u8]) -> Option<u32> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    line.split(' ').nth(1)?.rsplit('/').next()?.parse().ok()
}

/// What the requests ask for, one after the other.
pub fn sequence(length: usize) -> Vec<u32> {
    let weights = (1..=OBJECTS).map(|rank| f64::from(rank).powf(-EXPONENT));
    let cumulated: Vec<f64> = weights
        .scan(0.0, |sum, weight| {
            Some({
                *sum += weight;
                *sum
            })
        })
        .collect();
    let total = cumulated.last().copied().unwrap_or_default();
    let of_rank = |rank: usize| (scrambled(rank as u64 + (1 << 40)) % u64::from(OBJECTS)) as u32;
    let draw = |n: usize| cumulated.partition_point(|&sum| sum < unit(n as u64 + (1 << 50)) * total);
    (0..length).map(|n| of_rank(draw(n))).collect()
}

/// Hits of a cache that knows which objects will be asked for most often for their size, and holds
/// those from the start: near to what is possible at all where requests do not depend on each other.
pub fn optimum(requests: &[u32]) -> usize {
    let mut counts = std::collections::BTreeMap::<u32, usize>::new();
    requests.iter().for_each(|object| *counts.entry(*object).or_default() += 1);
    let mut by_worth: Vec<(u32, usize)> = counts.into_iter().collect();
    by_worth.sort_by(|a, b| (b.1 * bytes(a.0)).cmp(&(a.1 * bytes(b.0))));
    let mut room = CACHE_BYTES;
    let kept = by_worth.iter().take_while(|(object, _)| {
        let fits = bytes(*object) <= room;
        room = room.saturating_sub(bytes(*object));
        fits
    });
    kept.map(|(_, count)| count).sum()
}

/// The first half of the requests fills the cache, the second counts.
pub fn run(load: &Load, server: &Server, origin: &Origin) -> Result<Figures> {
    let requests = sequence(load.seconds as usize * 8_000);
    let (filling, counted) = requests.split_at(requests.len() / 2);
    ask_all(load.address, filling)?;
    let (before, cpu_before) = (origin.requests(), server.cpu_us()?);
    ask_all(load.address, counted)?;
    let missed = origin.requests() - before;
    let hits = counted.len().saturating_sub(missed as usize);
    Ok(Figures {
        cpu_us: Some((server.cpu_us()? - cpu_before) / counted.len() as f64),
        rss_kib: Some(server.rss_kib()? as f64),
        origin: Some(missed as f64),
        hits: Some(hits as f64 / optimum(counted) as f64),
        ..Figures::default()
    })
}

/// By a few clients at once, each with every so-manieth request.
fn ask_all(address: SocketAddr, requests: &[u32]) -> Result<()> {
    std::thread::scope(|scope| {
        let clients = (0..CLIENTS as usize).map(|client| {
            let own = requests.iter().skip(client).step_by(CLIENTS as usize);
            scope.spawn(move || -> Result<()> {
                let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
                stream.set_read_timeout(Some(ANSWER_MAX))?;
                stream.set_nodelay(true)?;
                let mut buffer = vec![0; LARGEST + (64 << 10)];
                own.copied().try_for_each(|object| ask(&mut stream, &mut buffer, object))
            })
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().try_for_each(|client| match client.join() {
            Ok(result) => result,
            Err(_) => bail!("a client panicked"),
        })
    })
}

fn ask(stream: &mut TcpStream, buffer: &mut [u8], object: u32) -> Result<()> {
    // In one piece: a head in several packets would wait for acknowledgements.
    let head = format!("GET {} HTTP/1.1\r\nhost: {}\r\n\r\n", path(object), super::contenders::HOST);
    stream.write_all(head.as_bytes())?;
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).context("reading an object")?;
        ensure!(read > 0, "the edge closed a connection in the middle of an object");
        filled += read;
        let Some(end) = buffer[..filled].windows(4).take(HEAD_SEEN).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        if filled < end + 4 + bytes(object) {
            continue;
        }
        ensure!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..end]));
        ensure!(filled == end + 4 + bytes(object), "an object of another length");
        return Ok(());
    }
}

/// No head of an answer is longer.
const HEAD_SEEN: usize = 4 << 10;
