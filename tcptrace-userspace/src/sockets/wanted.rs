//! The filters of a trace, evaluated for sockets.

use std::net::IpAddr;

use tcptrace_common::{Address, Filter, Subject};

use super::Owners;
use crate::{
    bpf::PortSet,
    snapshot::{Kind, Socket},
    state::State,
};

/// Which sockets are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Family, addresses, namespace, process, and `states`, of which a socket must be in one.
    pub filter: Filter,
    /// Local ports; `None` is any.
    pub lports: Option<PortSet>,
    /// Remote ports; `None` is any.
    pub rports: Option<PortSet>,
}

impl Wanted {
    /// Whether a socket is.
    pub fn passes(&self, socket: &Socket, owners: &Owners) -> bool {
        let tgid = self.filter.tgid;
        self.state_passes(socket) && self.ends_pass(socket) && (tgid == 0 || owners.is_owned_by(socket, tgid))
    }

    /// Whether its namespace, addresses and ports are.
    pub(crate) fn ends_pass(&self, socket: &Socket) -> bool {
        let filter = &self.filter;
        let subject = Subject {
            laddr: address(socket.laddr),
            raddr: address(socket.raddr),
            netns: socket.netns.unwrap_or(0),
            inet: socket.laddr.is_ipv4(),
        };
        let port = |set: &Option<PortSet>, port| set.as_ref().is_none_or(|set| set.contains(port));
        filter.netns_passes(&subject)
            && filter.addresses_pass(&subject)
            && port(&self.lports, socket.lport)
            && port(&self.rports, socket.rport)
    }

    fn state_passes(&self, socket: &Socket) -> bool {
        let states = self.filter.states;
        let bit = |state: State| 1_u32.checked_shl(state.0.into()).unwrap_or(0);
        let request = if socket.kind == Kind::Request { bit(State::NEW_SYN_RECV) } else { 0 };
        states == 0 || states & (bit(socket.state) | request) != 0
    }

    /// The states to ask the kernel for: those, and that of listeners, which tell where connections come from.
    pub(super) fn asked_states(&self) -> u32 {
        match self.filter.states {
            0 => 0,
            states => states | 1 << State::LISTEN.0,
        }
    }
}

fn address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(v4) => Address::from_v4(v4.octets()),
        IpAddr::V6(v6) => Address::from_v6(v6.octets()),
    }
}
