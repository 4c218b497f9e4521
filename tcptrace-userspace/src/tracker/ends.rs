//! The ends of a connection.

use std::net::IpAddr;

use crate::event::Event;

/// What tells connections apart at any moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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

impl Ends {
    pub(super) fn of(event: &Event) -> Self {
        let Event { netns, laddr, lport, raddr, rport, .. } = *event;
        Self { netns, laddr, lport, raddr, rport }
    }
}
