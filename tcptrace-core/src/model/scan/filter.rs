//! The filters of a trace, evaluated for sockets.

use super::Owners;
use crate::model::{
    socket::{Kind, Socket},
    socket_filter::SocketFilter,
    state::State,
};

impl SocketFilter {
    /// Whether a socket passes the filters.
    pub fn passes(&self, socket: &Socket, owners: &Owners) -> bool {
        let tgid = self.filter.tgid;
        self.state_passes(socket)
            && self.socket_passes(socket)
            && (tgid == 0 || owners.is_owned_by(socket, tgid))
    }

    /// Whether the namespace, the addresses and the ports of a socket pass the filters.
    pub fn socket_passes(&self, socket: &Socket) -> bool {
        self.flow_passes(&socket.flow)
    }

    fn state_passes(&self, socket: &Socket) -> bool {
        is_in(socket, self.filter.states)
    }

    /// Whether the kernel would be asked for this socket.
    pub fn asks_for(&self, socket: &Socket) -> bool {
        let netns = self.filter.netns;
        (netns == 0 || socket.flow.netns == Some(netns)) && is_in(socket, self.asked_states())
    }

    /// The states to ask the kernel for: those of the filter, and LISTEN, since listeners show where connections come from.
    pub fn asked_states(&self) -> u32 {
        match self.filter.states {
            0 => 0,
            states => states | 1 << State::LISTEN.0,
        }
    }
}

/// Whether a socket is in one of these states, a bit for each; 0 is all. A request socket is in two of them.
fn is_in(socket: &Socket, states: u32) -> bool {
    let bit = |state: State| 1_u32.checked_shl(state.0.into()).unwrap_or(0);
    let request = if socket.kind == Kind::Request { bit(State::NEW_SYN_RECV) } else { 0 };
    states == 0 || states & (bit(socket.state) | request) != 0
}

#[cfg(test)]
mod tests {
    use tcptrace_common::Filter;

    use super::*;

    fn socket(kind: Kind, state: u8) -> Socket {
        let [local, remote] = [([192, 0, 2, 1], 80).into(), ([192, 0, 2, 2], 40_000).into()];
        Socket { kind, ..Socket::between(State(state), local, remote) }.in_netns(Some(7))
    }

    fn wanted(filter: &Filter) -> SocketFilter {
        SocketFilter { filter: *filter, lports: None, rports: None }
    }

    #[test]
    fn a_request_is_in_both_of_its_states() {
        let in_states = |states: u32, kind, state| {
            wanted(&Filter { states, ..Filter::NONE }).state_passes(&socket(kind, state))
        };
        assert!(in_states(1 << 3, Kind::Request, 3) && in_states(1 << 12, Kind::Request, 3));
        assert!(in_states(1 << 3, Kind::Full, 3) && !in_states(1 << 12, Kind::Full, 3));
        assert!(in_states(0, Kind::Full, 200) && !in_states(u32::MAX, Kind::Full, 200));
    }

    /// A scan for a wider filter has the same sockets, once narrowed, as a scan for this filter.
    #[test]
    fn what_the_kernel_would_be_asked_for() {
        let asks = |states: u32, kind, state| {
            wanted(&Filter { states, ..Filter::NONE }).asks_for(&socket(kind, state))
        };
        assert!(asks(1 << 12, Kind::Request, 3) && asks(1 << 3, Kind::Request, 3));
        assert!(!asks(1 << 12, Kind::Full, 3) && asks(1 << 12, Kind::Full, State::LISTEN.0));
        assert!(asks(0, Kind::TimeWait, 6) && !asks(1 << 1, Kind::TimeWait, 6));
    }

    #[test]
    fn listeners_are_asked_for_whatever_is_wanted() {
        assert_eq!(wanted(&Filter::NONE).asked_states(), 0, "everything");
        assert_eq!(wanted(&Filter { states: 1 << 8, ..Filter::NONE }).asked_states(), 1 << 8 | 1 << 10);
    }
}
