//! The ends of a connection.

use std::{
    hash::{Hash, Hasher},
    net::IpAddr,
};

use super::event::Event;

/// What tells connections apart at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Inode of the network namespace; `None` when not known.
    pub netns: Option<u32>,
    /// Local address, IPv4 also for an IPv6 socket that talks IPv4.
    pub laddr: IpAddr,
    /// Local port.
    pub lport: u16,
    /// Remote address.
    pub raddr: IpAddr,
    /// Remote port.
    pub rport: u16,
}

/// In a few words instead of field by field, since many events look for their ends.
impl Hash for Ends {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = (u64::from(self.lport) << 16) | u64::from(self.rport);
        state.write_u64((u64::from(self.netns.unwrap_or(0)) << 32) | ports);
        if let (IpAddr::V4(laddr), IpAddr::V4(raddr)) = (self.laddr, self.raddr) {
            state.write_u64((u64::from(laddr.to_bits()) << 32) | u64::from(raddr.to_bits()));
            return;
        }
        for address in [self.laddr, self.raddr] {
            state.write_u128(match address {
                IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
                IpAddr::V6(v6) => v6.to_bits(),
            });
        }
    }
}

impl Ends {
    /// Those of an event's socket.
    pub fn of(event: &Event) -> Self {
        let Event { netns, laddr, lport, raddr, rport, .. } = *event;
        Self { netns, laddr, lport, raddr, rport }
    }
}
