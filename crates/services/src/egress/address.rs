//! What kind of address an address is, by the IANA special-purpose registries (RFC 6890 and its
//! successors).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kinds of address that a policy tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Globally reachable unicast.
    Global,
    Unspecified,
    Loopback,
    /// RFC 1918.
    Private,
    /// RFC 6598, 100.64.0.0/10: behind a carrier's NAT.
    Shared,
    LinkLocal,
    /// RFC 4193, fc00::/7, and the older fec0::/10 of RFC 3879.
    UniqueLocal,
    Documentation,
    /// RFC 2544 and RFC 5180.
    Benchmarking,
    Multicast,
    Broadcast,
    /// Set aside for protocols or for nothing yet.
    Reserved,
    /// An IPv6 address that leads to an IPv4 one by way of a tunnel or translator: IPv4-compatible,
    /// 6to4, NAT64 for local use, Teredo.
    Transition,
}

impl AddressClass {
    /// The kind in a sentence: "10.0.0.1 is …".
    pub fn describe(self) -> &'static str {
        match self {
            AddressClass::Global => "a public address",
            AddressClass::Unspecified => "the unspecified address",
            AddressClass::Loopback => "a loopback address",
            AddressClass::Private => "a private address",
            AddressClass::Shared => "a carrier-shared address",
            AddressClass::LinkLocal => "a link-local address",
            AddressClass::UniqueLocal => "a unique local address",
            AddressClass::Documentation => "an address for documentation",
            AddressClass::Benchmarking => "an address for benchmarks",
            AddressClass::Multicast => "a multicast address",
            AddressClass::Broadcast => "a broadcast address",
            AddressClass::Reserved => "a reserved address",
            AddressClass::Transition => "an address of an IPv6 transition mechanism",
        }
    }

    /// Whether a host that a rule names may resolve to it: where people run services.
    pub(super) fn may_be_named(self) -> bool {
        use AddressClass::*;
        matches!(self, Global | Loopback | Private | Shared | UniqueLocal)
    }
}

/// The address that a socket really reaches: an IPv4-mapped IPv6 address is its IPv4 address.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The class of an address.
pub fn classify(address: IpAddr) -> AddressClass {
    match canonical(address) {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

fn classify_v4(v4: Ipv4Addr) -> AddressClass {
    use AddressClass::*;
    match v4.octets() {
        [0, 0, 0, 0] => Unspecified,
        [0, ..] => Reserved,
        [10, ..] => Private,
        [100, b, ..] if b & 0xc0 == 64 => Shared,
        [127, ..] => Loopback,
        [169, 254, ..] => LinkLocal,
        [172, b, ..] if b & 0xf0 == 16 => Private,
        [192, 0, 0, _] => Reserved,
        [192, 0, 2, _] => Documentation,
        // The relay anycast of 6to4 (RFC 7526).
        [192, 88, 99, _] => Reserved,
        [192, 168, ..] => Private,
        [198, 18 | 19, ..] => Benchmarking,
        [198, 51, 100, _] | [203, 0, 113, _] => Documentation,
        [255, 255, 255, 255] => Broadcast,
        [a, ..] if a & 0xf0 == 224 => Multicast,
        [a, ..] if a & 0xf0 == 240 => Reserved,
        _ => Global,
    }
}

fn classify_v6(v6: Ipv6Addr) -> AddressClass {
    use AddressClass::*;
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Loopback,
        // ::/96: IPv4-compatible (RFC 4291, deprecated).
        [0, 0, 0, 0, 0, 0, ..] => Transition,
        // 64:ff9b::/96, the well-known NAT64 prefix (RFC 6052): as good as the address inside.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => match embedded(IpAddr::V6(v6)).map(classify_v4) {
            Some(Global) => Global,
            _ => Transition,
        },
        // 64:ff9b:1::/48 (RFC 8215): a translator of one's own network.
        [0x64, 0xff9b, 1, ..] => Transition,
        // 100::/64 discards (RFC 6666), 100:0:0:1::/64 is a dummy prefix (RFC 9780).
        [0x100, 0, 0, 0 | 1, ..] => Reserved,
        [0x2001, b, ..] if b < 0x200 => classify_2001(v6),
        [0x2001, 0xdb8, ..] => Documentation,
        [0x2002, ..] => Transition,
        [0x3fff, b, ..] if b < 0x1000 => Documentation,
        [0x5f00, ..] => Reserved,
        [a, ..] if a & 0xfe00 == 0xfc00 => UniqueLocal,
        [a, ..] if a & 0xffc0 == 0xfe80 => LinkLocal,
        [a, ..] if a & 0xffc0 == 0xfec0 => UniqueLocal,
        [a, ..] if a & 0xff00 == 0xff00 => Multicast,
        // 2000::/3 is all that is given out as global unicast.
        [a, ..] if a & 0xe000 == 0x2000 => Global,
        _ => Reserved,
    }
}

/// 2001::/23, protocol assignments (RFC 2928): Teredo, benchmarking, ORCHID and a few services.
fn classify_2001(v6: Ipv6Addr) -> AddressClass {
    match v6.segments()[1] {
        0 => AddressClass::Transition,
        2 => AddressClass::Benchmarking,
        _ => AddressClass::Reserved,
    }
}

/// The IPv4 address inside an IPv6 address that a translator or tunnel would reach.
pub(super) fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let s = v6.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, ..] => Some(join(s[6], s[7])),
        [0x2002, ..] => Some(join(s[1], s[2])),
        // Teredo keeps the client's address inverted (RFC 4380).
        [0x2001, 0, ..] => Some(join(!s[6], !s[7])),
        _ => None,
    }
}
