//! Addresses of sockets, from the one form of both families to that which is shown.

use std::net::{Ipv4Addr, Ipv6Addr};

use tcptrace_common::Address;

use super::flow::Endpoint;

/// The local and the remote end, their addresses in one family: IPv4 when the socket is, or when either is v4-mapped (an
/// IPv6 socket that talks IPv4; the other one may still be `::`).
pub fn ends(
    family: u8,
    (laddr, lport): (Address, u16),
    (raddr, rport): (Address, u16),
) -> (Endpoint, Endpoint) {
    let (laddr, raddr) = if u16::from(family) == tcptrace_common::AF_INET || laddr.is_v4() || raddr.is_v4() {
        (v4(laddr).into(), v4(raddr).into())
    } else {
        (Ipv6Addr::from(laddr.octets()).into(), Ipv6Addr::from(raddr.octets()).into())
    };
    (Endpoint::new(laddr, lport), Endpoint::new(raddr, rport))
}

fn v4(address: Address) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}
