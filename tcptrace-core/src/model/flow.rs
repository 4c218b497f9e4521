//! The two ends of a connection.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, SocketAddr},
};

/// An address and a port. It has two thirds of the size of a [`SocketAddr`], since it lacks the parts of an IPv6 address
/// that TCP does not match by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address; IPv4 also for an IPv6 socket that talks IPv4.
    pub address: IpAddr,
    /// The port; 0 where there is none.
    pub port: u16,
}

impl Endpoint {
    /// This port of this address.
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(end: SocketAddr) -> Self {
        Self::new(end.ip(), end.port())
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(end: Endpoint) -> Self {
        Self::new(end.address, end.port)
    }
}

/// As `192.0.2.1:80` or `[2001:db8::1]:80`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::from(*self).fmt(f)
    }
}

/// The ends of a connection. They identify it at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Inode of the network namespace; `None` when not known.
    pub netns: Option<u32>,
    /// The end of this socket; port 0 while none is chosen.
    pub local: Endpoint,
    /// The end of its peer; unspecified address and port 0 where there is none.
    pub remote: Endpoint,
}

impl Flow {
    /// 4 or 6: the IP version of the connection.
    pub const fn family(&self) -> u8 {
        if self.local.address.is_ipv4() { 4 } else { 6 }
    }

    /// The same ends in this network namespace.
    #[must_use]
    pub const fn in_netns(self, netns: Option<u32>) -> Self {
        Self { netns, ..self }
    }

    /// The same ends without a namespace: the key of a table whose sources do not all know the namespace.
    #[must_use]
    pub const fn anywhere(self) -> Self {
        self.in_netns(None)
    }

    /// The ends as the peer has them, in the same namespace.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { netns: self.netns, local: self.remote, remote: self.local }
    }

    /// The network namespace and the local port: the key of whatever listeners on any address share.
    pub const fn local_port(&self) -> (Option<u32>, u16) {
        (self.netns, self.local.port)
    }

    /// The local end in its namespace.
    pub const fn local_end(&self) -> LocalEnd {
        LocalEnd { netns: self.netns, end: self.local }
    }
}

/// An end in its network namespace. It stands for the listener of a connection, whose own address may be any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalEnd {
    /// Inode of the network namespace; `None` when not known.
    pub netns: Option<u32>,
    /// Address and port there.
    pub end: Endpoint,
}

/// Hashes a few words instead of field by field, since many events look up their flow.
impl Hash for Flow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = (u64::from(self.local.port) << 16) | u64::from(self.remote.port);
        state.write_u64((u64::from(self.netns.unwrap_or(0)) << 32) | ports);
        let (laddr, raddr) = (self.local.address, self.remote.address);
        if let (IpAddr::V4(laddr), IpAddr::V4(raddr)) = (laddr, raddr) {
            state.write_u64((u64::from(laddr.to_bits()) << 32) | u64::from(raddr.to_bits()));
            return;
        }
        for address in [laddr, raddr] {
            state.write_u128(match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
                IpAddr::V6(v6) => v6.to_bits(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_shown_as_one_is_written_and_is_as_small_as_its_parts() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:443"] {
            let end = Endpoint::from(text.parse::<SocketAddr>().expect("an end"));
            assert_eq!(end.to_string(), text);
        }
        assert_eq!(size_of::<Endpoint>(), size_of::<(IpAddr, u16)>());
    }

    #[test]
    fn the_other_end_has_it_the_other_way_round() {
        let end = |text: &str| Endpoint::from(text.parse::<SocketAddr>().expect("an end"));
        let flow = Flow { netns: Some(1), local: end("192.0.2.1:80"), remote: end("192.0.2.2:1024") };
        assert_eq!(flow.reversed().local, flow.remote);
        assert_eq!(flow.reversed().reversed(), flow);
        assert_eq!(flow.anywhere(), Flow { netns: None, ..flow });
    }
}
