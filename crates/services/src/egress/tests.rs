use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn every_address_has_its_class() {
    use AddressClass::*;
    let table: &[(AddressClass, &[&str])] = &[
        (
            Global,
            &["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"],
        ),
        (
            Global,
            &["128.0.0.1", "169.253.0.1", "172.15.255.255", "172.32.0.0", "192.167.1.1", "192.0.1.1", "198.17.0.1"],
        ),
        (
            Global,
            &["198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00::1", "3ffe::1"],
        ),
        (Global, &["::ffff:1.1.1.1", "64:ff9b::808:808"]),
        (Unspecified, &["0.0.0.0", "::", "::ffff:0.0.0.0"]),
        (Loopback, &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"]),
        (Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1", "::ffff:10.1.2.3"]),
        (Shared, &["100.64.0.0", "100.127.255.255"]),
        (LinkLocal, &["169.254.0.1", "169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "febf::1"]),
        (UniqueLocal, &["fc00::1", "fd00:ec2::254", "fdff::1", "fec0::1", "feff::1"]),
        (Documentation, &["192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff::1", "3fff:fff::1"]),
        (Benchmarking, &["198.18.0.0", "198.19.255.255", "2001:2::1"]),
        (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"]),
        (Broadcast, &["255.255.255.255"]),
        (
            Reserved,
            &["0.0.0.1", "0.255.255.255", "192.0.0.1", "192.0.0.170", "192.88.99.1", "240.0.0.1", "255.255.255.254"],
        ),
        (
            Reserved,
            &[
                "100::1",
                "100:0:0:1::1",
                "2001:20::1",
                "2001:1::1",
                "5f00::1",
                "4000::1",
                "8000::1",
                "200::1",
                "64:ff9a::1",
            ],
        ),
        // IPv4-compatible, 6to4, Teredo, NAT64 for local use, NAT64 that leads somewhere private.
        (
            Transition,
            &["::127.0.0.1", "::8.8.8.8", "2002:7f00:1::1", "2002:808:808::1", "2001::1", "2001:0:4136:e378::1"],
        ),
        (
            Transition,
            &["64:ff9b:1::808:808", "64:ff9b:1:abcd::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1"],
        ),
    ];
    for (class, addresses) in table {
        for address in *addresses {
            assert_eq!(classify(ip(address)), *class, "{address}");
        }
    }
}

fn check(rules: &[EgressRule], scheme: Scheme, host: &str, port: u16, address: &str, expected: Result<(), &str>) {
    let denied = vec!["127.0.0.1:8788".parse().expect("an address")];
    let policy = EgressPolicy::new(rules.to_vec(), denied);
    let found = policy.decide(&Target { scheme, host, port, address: ip(address) });
    let found = found.map_err(|denial| denial.to_string());
    assert_eq!(found, expected.map_err(String::from), "{host}:{port} at {address} by {rules:?}");
}

fn host(host: &str, scheme: Option<Scheme>, port: Option<u16>) -> EgressRule {
    EgressRule::Host { scheme, host: host.into(), port }
}

fn net(text: &str) -> EgressRule {
    EgressRule::Net(text.parse().expect("a network"))
}

#[test]
fn public_reaches_global_addresses_only() {
    use Scheme::*;
    let public = [EgressRule::Public];
    check(&public, Https, "example.com", 443, "93.184.216.34", Ok(()));
    check(&public, Http, "example.com", 8080, "2606:4700::1", Ok(()));
    check(
        &public,
        Http,
        "rebound.example",
        80,
        "10.0.0.1",
        Err("10.0.0.1 is a private address; name the host or the address in egress to allow it"),
    );
    check(
        &public,
        Http,
        "metadata.example",
        80,
        "::ffff:169.254.169.254",
        Err("169.254.169.254 is a link-local address; name the host or the address in egress to allow it"),
    );
    check(&public, Http, "0", 80, "0.0.0.0", Err("0.0.0.0 is the unspecified address, which can't be a target"));
    check(&[], Https, "example.com", 443, "1.1.1.1", Err("egress is empty: this worker may make no outbound requests"));
}

#[test]
fn a_named_host_may_be_private_and_nothing_else_becomes_so() {
    use Scheme::*;
    let rules = [host("db.internal", Some(Http), Some(9000)), host("api.internal", None, None)];
    check(&rules, Http, "db.internal", 9000, "10.0.0.7", Ok(()));
    check(&rules, Http, "DB.Internal.", 9000, "127.0.0.1", Ok(()));
    check(&rules, Http, "db.internal", 9000, "fd00::7", Ok(()));
    check(&rules, Https, "api.internal", 443, "192.168.1.1", Ok(()));
    check(&rules, Http, "api.internal", 80, "100.64.0.1", Ok(()));
    let private = "10.0.0.7 is a private address; name the host or the address in egress to allow it";
    check(&rules, Http, "db.internal", 9001, "10.0.0.7", Err(private));
    check(&rules, Https, "db.internal", 9000, "10.0.0.7", Err(private));
    check(&rules, Http, "xdb.internal", 9000, "10.0.0.7", Err(private));
    check(&rules, Http, "10.0.0.7", 9000, "10.0.0.7", Err(private));
    check(&rules, Http, "api.internal", 8080, "10.0.0.7", Err(private));
    check(
        &rules,
        Http,
        "db.internal",
        9000,
        "169.254.169.254",
        Err("169.254.169.254 is a link-local address; name the host or the address in egress to allow it"),
    );
    check(
        &rules,
        Http,
        "db.internal",
        9000,
        "64:ff9b::a00:7",
        Err(
            "64:ff9b::a00:7 is an address of an IPv6 transition mechanism; name the host or the address in egress to allow it",
        ),
    );
    check(&rules, Https, "example.com", 443, "1.1.1.1", Err("no egress rule names example.com port 443"));
}

#[test]
fn a_named_address_is_that_address_under_any_name() {
    use Scheme::*;
    let rules =
        [host("10.0.0.7", Some(Http), Some(9000)), host("::1", None, None), net("169.254.0.0/16"), net("fd00::/8")];
    check(&rules, Http, "10.0.0.7", 9000, "10.0.0.7", Ok(()));
    check(&rules, Http, "[::ffff:10.0.0.7]", 9000, "::ffff:10.0.0.7", Ok(()));
    check(&rules, Http, "name.example", 9000, "10.0.0.7", Ok(()));
    check(&rules, Http, "[::1]", 80, "::1", Ok(()));
    check(&rules, Http, "metadata", 80, "169.254.169.254", Ok(()));
    check(&rules, Https, "anything", 1234, "fd12::1", Ok(()));
    check(
        &rules,
        Http,
        "10.0.0.8",
        9000,
        "10.0.0.8",
        Err("10.0.0.8 is a private address; name the host or the address in egress to allow it"),
    );
    check(
        &[net("0.0.0.0/0")],
        Http,
        "x",
        80,
        "224.0.0.1",
        Err("224.0.0.1 is a multicast address, which can't be a target"),
    );
}

#[test]
fn the_node_itself_stays_out_of_reach() {
    use Scheme::*;
    let every = [EgressRule::Public, net("0.0.0.0/0"), net("::/0"), host("127.0.0.1", None, Some(8788))];
    let own = "127.0.0.1:8788 belongs to the node itself";
    check(&every, Http, "127.0.0.1", 8788, "127.0.0.1", Err(own));
    check(&every, Http, "localhost", 8788, "::ffff:127.0.0.1", Err(own));
    for (address, shown) in
        [("64:ff9b::7f00:1", "[64:ff9b::7f00:1]"), ("2002:7f00:1::", "[2002:7f00:1::]"), ("::127.0.0.1", "[::7f00:1]")]
    {
        let expected = format!("{shown}:8788 belongs to the node itself");
        check(&every, Http, "x", 8788, address, Err(&expected));
    }
    check(&every, Http, "127.0.0.1", 8789, "127.0.0.1", Ok(()));
    let anywhere = EgressPolicy::new(every.to_vec(), vec!["[::]:8788".parse().expect("an address")]);
    for address in ["127.0.0.1", "192.168.0.2", "1.1.1.1", "::1"] {
        let target = Target { scheme: Http, host: "x", port: 8788, address: ip(address) };
        assert!(matches!(anywhere.decide(&target), Err(Denial::NodeItself(_))), "{address}");
    }
}
