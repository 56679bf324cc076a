use super::*;

fn counts(connections: u64, connections_per_address: u64) -> Arc<ConnectionCounts> {
    ConnectionCounts::new(&NodeLimits { connections, connections_per_address, ..Default::default() })
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_total_is_bounded_and_places_come_back() {
    let counts = counts(2, 10);
    let first = counts.enter(Some(ip("192.0.2.1"))).unwrap();
    let _second = counts.enter(Some(ip("192.0.2.2"))).unwrap();
    assert_eq!(counts.enter(Some(ip("192.0.2.3"))).unwrap_err(), Refused::Total(2));
    drop(first);
    assert_eq!(counts.open(), 1);
    counts.enter(Some(ip("192.0.2.3"))).unwrap();
    assert_eq!(counts.refused(), 1);
}

#[test]
fn one_address_cannot_take_every_place() {
    let counts = counts(10, 1);
    let _place = counts.enter(Some(ip("192.0.2.1"))).unwrap();
    assert_eq!(counts.enter(Some(ip("::ffff:192.0.2.1"))).unwrap_err(), Refused::PerAddress(1), "the same, mapped");
    counts.enter(Some(ip("192.0.2.2"))).unwrap();
}

#[test]
fn an_ipv6_subscriber_is_one_client() {
    let counts = counts(10, 1);
    let place = counts.enter(Some(ip("2001:db8:1:1::1"))).unwrap();
    assert!(counts.enter(Some(ip("2001:db8:1:1:ffff::2"))).is_err());
    assert!(counts.enter(Some(ip("2001:db8:1:2::1"))).is_ok());
    drop(place);
    assert!(counts.addresses().is_empty(), "an address that left is forgotten");
}

#[test]
fn a_place_may_be_claimed_later() {
    let counts = counts(10, 1);
    let mut first = counts.enter(None).unwrap();
    let mut second = counts.enter(None).unwrap();
    first.claim(ip("192.0.2.1")).unwrap();
    assert_eq!(second.claim(ip("192.0.2.1")), Err(Refused::PerAddress(1)));
    drop(second);
    drop(first);
    assert_eq!((counts.open(), counts.addresses().len()), (0, 0));
}
