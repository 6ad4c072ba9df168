//! What kind of place an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who may stand at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Region {
    /// Anybody on the internet.
    Public,
    /// This machine or its private network.
    Private,
    /// Nobody who serves a source: link-local (metadata of clouds), unspecified, multicast, reserved.
    Guarded,
}

/// The region of `address`. An IPv4 address that is wrapped in an IPv6 one counts as itself.
pub(super) fn region(address: IpAddr) -> Region {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    }
}

/// By the IANA registry of special-purpose addresses (RFC 6890), and what clouds are known to answer at.
fn of_v4(address: Ipv4Addr) -> Region {
    match address.octets() {
        // Azure's and Alibaba's services for their own machines.
        [168, 63, 129, 16] | [100, 100, 100, 200] => Region::Guarded,
        [10 | 127, ..] | [192, 168, ..] | [198, 18..=19, ..] => Region::Private,
        [172, 16..=31, ..] | [100, 64..=127, ..] => Region::Private,
        [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [192, 0, 2, _] | [192, 88, 99, _] => Region::Guarded,
        [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => Region::Guarded,
        _ => Region::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Region {
    let [a, b, c, .., g, h] = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    if let Some(mapped) = address.to_ipv4_mapped() {
        return of_v4(mapped);
    }
    match (a, b, c) {
        _ if address == Ipv6Addr::LOCALHOST => Region::Private,
        // The metadata service of AWS stands among private addresses.
        (0xfd00, 0x0ec2, _) => Region::Guarded,
        (0xfc00..=0xfdff, ..) => Region::Private,
        // NAT64 (RFC 6052), 6to4 (RFC 3056): another address is inside.
        (0x0064, 0xff9b, 0) => v4(g, h),
        (0x2002, high, low) => v4(high, low),
        // Teredo, benchmarking, ORCHID, documentation.
        (0x2001, 0..=0x01ff | 0x0db8, _) | (0x3fff, ..) => Region::Guarded,
        (0x2000..=0x3fff, ..) => Region::Public,
        _ => Region::Guarded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_known() {
        let of = |text: &str| region(text.parse().unwrap());
        for public in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "192.167.1.1",
            "2606:4700::1",
            "2002:0808:0808::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(of(public), Region::Public, "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fc00::1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
        ] {
            assert_eq!(of(private), Region::Private, "{private}");
        }
        for guarded in [
            "0.0.0.0",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "2001::1",
            "2001:db8::1",
            "::ffff:169.254.169.254",
            "64:ff9b:1::a00:1",
            "::7f00:1",
        ] {
            assert_eq!(of(guarded), Region::Guarded, "{guarded}");
        }
    }
}
