//! The listeners that a connection can come from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::flow::{Endpoint, LocalEnd};

/// The addresses that the listener of a connection to `laddr` can be bound to, in the order in which the kernel looks them
/// up: `laddr`, then any (`__inet_lookup_listener()`, `inet6_lookup_listener()`). An IPv6 listener takes IPv4 connections as
/// well, not the other way round.
pub fn addresses(laddr: IpAddr) -> impl Iterator<Item = IpAddr> {
    let any_v4 = laddr.is_ipv4().then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    [Some(laddr), any_v4, Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED))].into_iter().flatten()
}

/// The ends of the listeners that a connection with this local end can come from.
pub fn ends(local: LocalEnd) -> impl Iterator<Item = LocalEnd> {
    addresses(local.end.address)
        .map(move |address| LocalEnd { end: Endpoint { address, ..local.end }, ..local })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_ipv6_takes_both() {
        let told = |laddr: &str| {
            let laddr = laddr.parse().expect("an address");
            addresses(laddr).map(|address| address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(told("192.0.2.1"), ["192.0.2.1", "0.0.0.0", "::"]);
        assert_eq!(told("2001:db8::1"), ["2001:db8::1", "::"]);
    }
}
