use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::SystemRng;
use tokio::net::TcpListener;

use super::*;

/// A zone by name and kind, with seconds; each record is its data. What is not there does not exist.
type Zone = BTreeMap<(&'static str, u16), (u32, Vec<Vec<u8>>)>;

/// A server of names on UDP and TCP.
struct Server {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    asked: Arc<AtomicUsize>,
    /// It answers nobody.
    away: Arc<std::sync::atomic::AtomicBool>,
}

impl Server {
    async fn start() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let (zone, asked) = (Arc::<Mutex<Zone>>::default(), Arc::<AtomicUsize>::default());
        let away = Arc::<std::sync::atomic::AtomicBool>::default();
        let (zones, count, gone) = (zone.clone(), asked.clone(), away.clone());
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((bytes, from)) = udp.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::Relaxed);
                let mut reply = reply(&buffer[..bytes], &zones.lock().unwrap());
                if reply.len() > 512 {
                    reply.truncate(bytes);
                    reply[2] |= 2;
                    reply[6..8].fill(0);
                }
                if gone.load(Ordering::Relaxed) {
                    // The server itself is in trouble.
                    reply[3] = 0x82;
                    reply.truncate(bytes);
                    reply[6..8].fill(0);
                }
                udp.send_to(&reply, from).await.unwrap();
            }
        });
        let zones = zone.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let mut asked = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut asked).await.unwrap();
                let reply = reply(&asked, &zones.lock().unwrap());
                let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
                stream.write_all(&[&length as &[u8], &reply].concat()).await.unwrap();
            }
        });
        Self { address, zone, asked, away }
    }

    fn set(&self, name: &'static str, kind: u16, ttl_s: u32, records: Vec<Vec<u8>>) {
        self.zone.lock().unwrap().insert((name, kind), (ttl_s, records));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn resolver(&self) -> Arc<Resolver> {
        let options = DnsOptions { servers: vec![self.address], dots: 1, ..DnsOptions::default() };
        Resolver::new(options, Arc::new(SystemRng))
    }
}

fn reply(asked: &[u8], zone: &Zone) -> Vec<u8> {
    let (mut name, mut at) = (Vec::new(), 12);
    while asked[at] != 0 {
        let length = usize::from(asked[at]);
        name.push(String::from_utf8_lossy(&asked[at + 1..at + 1 + length]).into_owned());
        at += 1 + length;
    }
    let kind = u16::from_be_bytes([asked[at + 1], asked[at + 2]]);
    let found = zone.get(&(&*name.join(".").leak(), kind));
    let mut bytes = asked[..at + 5].to_vec();
    bytes[2..4].copy_from_slice(&(if found.is_some() { 0x8180_u16 } else { 0x8183 }).to_be_bytes());
    let (ttl_s, records) = found.cloned().unwrap_or_default();
    bytes[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    for data in records {
        bytes.extend_from_slice(&[0xc0, 12]);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes.extend_from_slice(&ttl_s.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&data);
    }
    bytes
}

fn service(priority: u16, weight: u16, port: u16, host: &str) -> Vec<u8> {
    let mut data = [priority, weight, port].map(u16::to_be_bytes).concat();
    for label in host.split('.') {
        data.push(u8::try_from(label.len()).unwrap());
        data.extend_from_slice(label.as_bytes());
    }
    data.push(0);
    data
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

#[tokio::test]
async fn an_answer_is_used_for_as_long_as_it_holds() {
    let server = Server::start().await;
    let resolver = server.resolver();
    server.set("api.test", 1, 1, vec![vec![10, 0, 0, 1]]);
    server.set("api.test", 28, 300, vec![Ipv6Addr::LOCALHOST.octets().to_vec()]);
    let found = resolver.addresses("api.test").await.unwrap();
    assert_eq!(found.records, [Ipv6Addr::LOCALHOST.into(), v4(1)]);
    assert_eq!(server.asked(), 2, "for both kinds");
    server.set("api.test", 1, 300, vec![vec![10, 0, 0, 2]]);
    server.set("api.test", 28, 300, vec![]);
    assert_eq!(resolver.addresses("API.test").await.unwrap().records, found.records);
    assert_eq!(server.asked(), 2);
    tokio::time::sleep_until(found.until).await;
    assert_eq!(resolver.addresses("api.test").await.unwrap().records, [v4(2)]);
    assert_eq!(resolver.addresses("10.0.0.9").await.unwrap().records, [v4(9)], "nobody is asked for an address");
    assert_eq!(server.asked(), 4);
}

#[tokio::test]
async fn many_who_ask_at_once_ask_once() {
    let server = Server::start().await;
    server.set("api.test", 1, 60, vec![vec![10, 0, 0, 1]]);
    let resolver = server.resolver();
    let asking = (0..50).map(|_| resolver.addresses("api.test"));
    for found in futures_util::future::join_all(asking).await {
        assert_eq!(found.unwrap().records, [v4(1)]);
    }
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn what_can_not_be_asked_anew_is_used_on() {
    let server = Server::start().await;
    server.set("_api._tcp.test", 33, 1, vec![service(0, 0, 80, "a.test")]);
    server.set("a.test", 1, 1, vec![vec![10, 0, 0, 1]]);
    let resolver = server.resolver();
    let found = resolver.servers("_api._tcp.test").await.unwrap();
    server.away.store(true, Ordering::Relaxed);
    tokio::time::sleep_until(found.until).await;
    assert_eq!(resolver.servers("_api._tcp.test").await.unwrap().records, found.records);
    let problem = resolver.servers("_other._tcp.test").await.unwrap_err();
    assert!(problem.contains("failed to resolve _other._tcp.test"), "{problem}");
}

#[tokio::test]
async fn a_service_leads_to_its_servers_in_order() {
    let server = Server::start().await;
    let records = vec![service(2, 0, 8082, "b.test"), service(1, 0, 8081, "a.test"), service(3, 0, 80, "gone.test")];
    server.set("_api._tcp.test", 33, 60, records);
    server.set("a.test", 1, 60, vec![vec![10, 0, 0, 1]]);
    server.set("b.test", 1, 60, vec![vec![10, 0, 0, 2], vec![10, 0, 0, 3]]);
    let found = server.resolver().servers("_api._tcp.test").await.unwrap();
    let expected = [(1, 8081), (2, 8082), (3, 8082)].map(|(last, port)| SocketAddr::new(v4(last), port));
    assert_eq!(found.records, expected);
    let problem = server.resolver().servers("_none._tcp.test").await.unwrap_err();
    assert!(problem.contains("has no SRV records"), "{problem}");
}

#[tokio::test]
async fn what_is_too_large_for_udp_comes_by_tcp() {
    let server = Server::start().await;
    server.set("many.test", 1, 60, (0..60).map(|last| vec![10, 0, 0, last]).collect());
    let found = server.resolver().addresses("many.test").await.unwrap();
    assert_eq!(found.records.len(), 60);
}

#[tokio::test]
async fn a_short_name_is_looked_for_in_the_domains_of_the_place() {
    let server = Server::start().await;
    server.set("db.place.test", 1, 60, vec![vec![10, 0, 0, 7]]);
    let options = DnsOptions::parse("domain other\nsearch place.test # ours\noptions timeout:1 ndots:2\n");
    assert_eq!((options.search.clone(), options.dots), (vec!["place.test".to_owned()], 2));
    let resolver = Resolver::new(DnsOptions { servers: vec![server.address], ..options }, Arc::new(SystemRng));
    assert_eq!(resolver.addresses("db").await.unwrap().records, [v4(7)]);
}

#[test]
fn the_system_says_who_is_asked() {
    let options = DnsOptions::parse("nameserver 10.0.0.2\nnameserver fe80::1%eth0\n; no\nnameserver fd00::2\n");
    assert_eq!(options.servers, ["10.0.0.2:53", "[fd00::2]:53"].map(|text| text.parse().unwrap()));
    let names = |options: &DnsOptions, name| options.candidates(name).join(" ");
    let searching = DnsOptions { search: vec!["a.test".to_owned()], dots: 1, ..DnsOptions::default() };
    assert_eq!(names(&searching, "db"), "db.a.test db");
    assert_eq!(names(&searching, "db.x"), "db.x db.x.a.test");
    assert_eq!(names(&searching, "db."), "db.");
}

#[test]
fn servers_are_drawn_by_priority_and_weight() {
    let one = |priority, weight, port| Service { priority, weight, port, host: "a".to_owned() };
    let services = vec![one(1, 0, 1), one(1, 300, 2), one(1, 100, 3), one(0, 0, 4)];
    let mut first = [0_usize; 5];
    for _ in 0..4_000 {
        let order: Vec<u16> = ordered(services.clone(), &SystemRng).into_iter().map(|service| service.port).collect();
        assert_eq!((order[0], order.len()), (4, 4));
        first[usize::from(order[1])] += 1;
    }
    assert!((2_700..3_300).contains(&first[2]) && (700..1_300).contains(&first[3]), "{first:?}");
}
