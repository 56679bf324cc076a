//! Asks the servers of names, and remembers what they said for as long as they said it holds.
//!
//! Who asks for a name that somebody asks for already waits for the same answer. What has expired and can't
//! be asked for anew is used for a while longer (RFC 8767): a server of names that is away takes no upstream
//! along.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use super::message::{self, Kind, Record, Reply, Service};

/// How long one server has for an answer, and how often all of them are asked.
const ATTEMPT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// Servers that are asked; `resolv.conf` has no more.
const SERVERS_MAX: usize = 3;
/// The shortest and the longest time that an answer is used.
const TTL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));
/// Of what the system's resolver or a file says, which do not tell.
const TTL_UNTOLD: Duration = Duration::from_secs(30);
/// How long an answer is used when there is no new one, before it is asked for again.
const TTL_STALE: Duration = Duration::from_secs(5);
/// Names that are remembered; they are all forgotten when there are more.
const NAMES_MAX: usize = 1_000;

/// Who is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsOptions {
    /// Without any, the system's resolver is asked, and nobody for services.
    pub servers: Vec<SocketAddr>,
    /// Domains in which a name with fewer dots than `dots` is looked for first.
    pub search: Vec<String>,
    pub dots: usize,
    /// Names with addresses, one line each, that nobody is asked for.
    pub hosts: Option<PathBuf>,
}

impl DnsOptions {
    /// As the system is set up. Reads a file.
    pub fn system() -> Self {
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        Self { hosts: Some("/etc/hosts".into()), ..Self::parse(&text) }
    }

    /// The text of a `resolv.conf`.
    fn parse(text: &str) -> Self {
        let mut options = Self { dots: 1, ..Self::default() };
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    options.servers.extend(address.map(|address| SocketAddr::new(address, 53)));
                }
                Some("search" | "domain") => options.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).last();
                    options.dots = dots.unwrap_or(options.dots);
                }
                _ => {}
            }
        }
        options.servers.truncate(SERVERS_MAX);
        options
    }

    /// The names to ask for, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let searched = self.search.iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
        let mut names: Vec<String> = searched.collect();
        let is_absolute = name.bytes().filter(|byte| *byte == b'.').count() >= self.dots;
        names.insert(if is_absolute { 0 } else { names.len() }, name.to_owned());
        names
    }
}

/// Records, and until when they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found<T> {
    pub records: Vec<T>,
    pub until: Instant,
}

/// Knows names. One per node.
pub struct Resolver {
    options: DnsOptions,
    rng: Arc<dyn Rng>,
    addresses: Memory<IpAddr>,
    services: Memory<Service>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

impl Resolver {
    pub fn new(options: DnsOptions, rng: Arc<dyn Rng>) -> Arc<Self> {
        Arc::new(Self { options, rng, addresses: Memory::default(), services: Memory::default() })
    }

    /// The addresses of a host; an address is its own.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Found<IpAddr>, String> {
        if let Ok(address) = host.parse() {
            return Ok(Found { records: vec![address], until: Instant::now() + TTL.1 });
        }
        self.addresses.find(host, || self.look_up(host)).await
    }

    /// The servers of a service with their addresses, in the order in which they are to be tried: by priority,
    /// and within one by chance and weight.
    pub(crate) async fn servers(&self, service: &str) -> Result<Found<SocketAddr>, String> {
        let found = self.services.find(service, || self.look_up_service(service)).await?;
        let (mut records, mut until, mut problem) = (Vec::new(), found.until, None);
        for one in ordered(found.records, &*self.rng) {
            match self.addresses(&one.host).await {
                Ok(found) => {
                    records.extend(found.records.into_iter().map(|address| SocketAddr::new(address, one.port)));
                    until = until.min(found.until);
                }
                Err(reason) => problem = Some(reason),
            }
        }
        match problem {
            Some(problem) if records.is_empty() => Err(problem),
            _ => Ok(Found { records, until }),
        }
    }

    async fn look_up(&self, host: &str) -> Result<Found<IpAddr>, String> {
        if let Some(records) = self.of_hosts(host).await {
            return Ok(Found { records, until: Instant::now() + TTL_UNTOLD });
        }
        let asked = tokio::join!(self.ask(host, Kind::Aaaa), self.ask(host, Kind::A));
        let told: Vec<Found<Record>> = [asked.0, asked.1].into_iter().flatten().flatten().collect();
        let until = told.iter().map(|found| found.until).min();
        let records = told.into_iter().flat_map(|found| found.records);
        let addresses = records.filter_map(|record| match record {
            Record::Address(address) => Some(address),
            Record::Service(_) => None,
        });
        let records: Vec<IpAddr> = addresses.collect();
        if let Some(until) = until.filter(|_| !records.is_empty()) {
            return Ok(Found { records, until });
        }
        // It knows names that are in no zone.
        let found = tokio::net::lookup_host((host, 0)).await.map_err(|error| error.to_string())?;
        Ok(Found { records: found.map(|address| address.ip()).collect(), until: Instant::now() + TTL_UNTOLD })
    }

    async fn look_up_service(&self, service: &str) -> Result<Found<Service>, String> {
        let found = self.ask(service, Kind::Srv).await?;
        let found = found.ok_or_else(|| format!("{service} has no SRV records"))?;
        let services = found.records.into_iter().filter_map(|record| match record {
            // A host that is the root says that there is no such service.
            Record::Service(service) if !service.host.is_empty() => Some(service),
            _ => None,
        });
        Ok(Found { records: services.collect(), until: found.until })
    }

    async fn of_hosts(&self, host: &str) -> Option<Vec<IpAddr>> {
        let path = self.options.hosts.clone()?;
        let text = tokio::task::spawn_blocking(move || std::fs::read_to_string(path)).await.ok()?.ok()?;
        let host = host.strip_suffix('.').unwrap_or(host);
        let address = |line: &str| {
            let mut words = line.split('#').next()?.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
        };
        let addresses: Vec<IpAddr> = text.lines().filter_map(address).collect();
        (!addresses.is_empty()).then_some(addresses)
    }

    /// The records of the first name that has some; `None` if none has. An error if nobody could say.
    async fn ask(&self, name: &str, kind: Kind) -> Result<Option<Found<Record>>, String> {
        for name in self.options.candidates(name) {
            match self.ask_all(&name, kind).await? {
                Reply::Records { records, ttl_s } if !records.is_empty() => {
                    let ttl = Duration::from_secs(ttl_s.into()).clamp(TTL.0, TTL.1);
                    return Ok(Some(Found { records, until: Instant::now() + ttl }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    async fn ask_all(&self, name: &str, kind: Kind) -> Result<Reply, String> {
        let mut problem = format!("no server is there to be asked for {name}");
        for server in self.options.servers.iter().cycle().take(ATTEMPTS * self.options.servers.len()) {
            let mut id = [0; 2];
            self.rng.fill(&mut id);
            let Some(asked) = message::question(u16::from_be_bytes(id), name, kind) else {
                return Ok(Reply::NoSuchName);
            };
            match timeout(ATTEMPT, exchange(*server, &asked, kind)).await {
                Ok(Ok(Reply::Failed(code))) => problem = format!("{server} failed to resolve {name} (code {code})"),
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) => problem = format!("{server} can't be asked for {name}: {error}"),
                Err(_) => problem = format!("{server} does not answer"),
            }
        }
        Err(problem)
    }
}

/// One question to one server.
async fn exchange(server: SocketAddr, asked: &[u8], kind: Kind) -> std::io::Result<Reply> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port that is drawn anew each time is hard to guess for who wants to answer in the server's place.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(asked).await?;
    let mut buffer = vec![0; 4_096];
    loop {
        let count = socket.recv(&mut buffer).await?;
        match message::read(&buffer[..count], asked, kind) {
            Some(Reply::Truncated) => return by_tcp(server, asked, kind).await,
            Some(reply) => return Ok(reply),
            // Somebody else's, or an old one.
            None => {}
        }
    }
}

async fn by_tcp(server: SocketAddr, asked: &[u8], kind: Kind) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(asked.len()).unwrap_or(u16::MAX);
    stream.write_all(&[&length.to_be_bytes() as &[u8], asked].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    let unread = || std::io::Error::other("the answer can't be read");
    message::read(&answer, asked, kind).filter(|reply| *reply != Reply::Truncated).ok_or_else(unread)
}

/// By priority, and within one by chance, each as likely as its weight (RFC 2782).
fn ordered(mut services: Vec<Service>, rng: &dyn Rng) -> Vec<Service> {
    services.sort_by_key(|service| service.priority);
    let mut order: Vec<Service> = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let alike = services.iter().take_while(|service| service.priority == first.priority).count();
        // One without weight is rarely, but not never, the first.
        let weight = |service: &Service| u64::from(service.weight) * 100 + 1;
        let total: u64 = services[..alike].iter().map(weight).sum();
        let mut drawn = rng.next_u64() % total;
        let chosen = services[..alike].iter().position(|service| {
            let is_it = drawn < weight(service);
            drawn = drawn.saturating_sub(weight(service));
            is_it
        });
        order.push(services.remove(chosen.unwrap_or(0)));
    }
    order
}

/// What was asked for, and is being asked for.
struct Memory<T>(Mutex<HashMap<String, Known<T>>>);

/// Who has it asks, and all others wait.
type Known<T> = Arc<tokio::sync::Mutex<Option<Found<T>>>>;

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Memory<T> {
    fn known(&self, name: &str) -> Known<T> {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.entry(name.to_ascii_lowercase()).or_default().clone()
    }

    async fn find<F>(&self, name: &str, ask: impl FnOnce() -> F) -> Result<Found<T>, String>
    where
        F: Future<Output = Result<Found<T>, String>>,
    {
        let known = self.known(name);
        let mut known = known.lock().await;
        if let Some(found) = known.as_ref().filter(|found| Instant::now() < found.until) {
            return Ok(found.clone());
        }
        match (ask().await, known.as_mut()) {
            (Ok(found), _) => {
                *known = Some(found.clone());
                Ok(found)
            }
            (Err(problem), Some(old)) => {
                tracing::warn!(%name, %problem, "a name is not resolved anew; what it was is used on");
                old.until = Instant::now() + TTL_STALE;
                Ok(old.clone())
            }
            (Err(problem), None) => Err(problem),
        }
    }
}

#[cfg(test)]
mod tests;
