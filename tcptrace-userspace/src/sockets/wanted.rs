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

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(kind: Kind, state: u8, laddr: &str) -> Socket {
        Socket {
            netns: Some(7),
            cookie: 1,
            kind,
            state: State(state),
            laddr: laddr.parse().expect("an address"),
            lport: 80,
            raddr: laddr.parse().expect("an address"),
            rport: 40_000,
            uid: None,
            inode: None,
            recv_queue: 0,
            send_queue: 0,
            timer: None,
            cgroup_id: None,
            mptcp: false,
            drops: None,
            info: None,
            age_at_least_ns: None,
        }
    }

    fn wanted(filter: &Filter) -> Wanted {
        Wanted { filter: *filter, lports: None, rports: None }
    }

    #[test]
    fn a_request_is_in_both_of_its_states() {
        let in_states = |states: u32, kind, state| {
            wanted(&Filter { states, ..Filter::NONE }).state_passes(&socket(kind, state, "192.0.2.1"))
        };
        assert!(in_states(1 << 3, Kind::Request, 3) && in_states(1 << 12, Kind::Request, 3));
        assert!(in_states(1 << 3, Kind::Full, 3) && !in_states(1 << 12, Kind::Full, 3));
        assert!(in_states(0, Kind::Full, 200) && !in_states(u32::MAX, Kind::Full, 200));
    }

    #[test]
    fn listeners_are_asked_for_whatever_is_wanted() {
        assert_eq!(wanted(&Filter::NONE).asked_states(), 0, "everything");
        assert_eq!(wanted(&Filter { states: 1 << 8, ..Filter::NONE }).asked_states(), 1 << 8 | 1 << 10);
    }

    #[test]
    fn ends() {
        let v4 = socket(Kind::Full, 1, "192.0.2.1");
        let v6 = socket(Kind::Full, 1, "2001:db8::1");
        let family = |family| wanted(&Filter { family, ..Filter::NONE });
        assert!(family(4).ends_pass(&v4) && !family(4).ends_pass(&v6));
        assert!(family(6).ends_pass(&v6) && !family(6).ends_pass(&v4));
        assert!(!wanted(&Filter { netns: 8, ..Filter::NONE }).ends_pass(&v4));
        let mut ports = PortSet::new();
        ports.insert(80..=80);
        let local = Wanted { lports: Some(ports.clone()), ..wanted(&Filter::NONE) };
        let remote = Wanted { rports: Some(ports), ..wanted(&Filter::NONE) };
        assert!(local.ends_pass(&v4) && !remote.ends_pass(&v4));
    }
}
