//! Conversion of socket addresses from the common form of both families to the form that outputs show.

use std::net::{Ipv4Addr, Ipv6Addr};

use tcptrace_common::Address;

use super::flow::{Endpoint, Flow};

/// The flow between two ends, with both addresses in one family. The family is IPv4 when the socket is IPv4, or when
/// either address is v4-mapped: an IPv6 socket that talks IPv4 may still have `::` as its other address.
pub fn flow(
    netns: Option<u32>,
    family: u8,
    (laddr, lport): (Address, u16),
    (raddr, rport): (Address, u16),
) -> Flow {
    let (laddr, raddr) = if u16::from(family) == tcptrace_common::AF_INET || laddr.is_v4() || raddr.is_v4() {
        (v4(laddr).into(), v4(raddr).into())
    } else {
        (Ipv6Addr::from(laddr.octets()).into(), Ipv6Addr::from(raddr.octets()).into())
    };
    Flow { netns, local: Endpoint::new(laddr, lport), remote: Endpoint::new(raddr, rport) }
}

fn v4(address: Address) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}
