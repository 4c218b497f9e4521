//! The user's filters on sockets, evaluated in user space, where no program of the kernel side filters.

use std::net::IpAddr;

use tcptrace_common::{Address, Filter, Subject};

use crate::model::{
    event::{Event, Verdict},
    flow::Flow,
    ports::PortSet,
    state::State,
    transition::{Origin, Transition},
};

/// The user's filters on sockets.
#[derive(Clone, Debug)]
pub struct SocketFilter {
    /// All filters but those on ports.
    pub filter: Filter,
    /// Local ports; `None` is any.
    pub lports: Option<PortSet>,
    /// Remote ports; `None` is any.
    pub rports: Option<PortSet>,
}

/// Filters that everything passes.
impl Default for SocketFilter {
    fn default() -> Self {
        Self { filter: Filter::NONE, lports: None, rports: None }
    }
}

impl SocketFilter {
    /// The verdict that the kernel side would have had on an event, without the filter on the process. `filter.rs` there
    /// explains why some events cannot be decided. The kernel side's own verdict stays where it was stricter.
    pub fn verdict(&self, event: &Event) -> Verdict {
        let Event { flow, old_state, new_state, .. } = *event;
        let is_child = old_state == State::LISTEN && new_state == State::SYN_RECV;
        let by_peer = self.filter.by_peer() || self.rports.is_some();
        let has_no_peer = is_child && flow.remote.port == 0 && by_peer;
        let has_no_port = flow.local.port == 0 && new_state == State::SYN_SENT && self.lports.is_some();
        let passes = self.filter.states_pass(old_state.0, new_state.0)
            && (has_no_peer || self.peer_passes(&flow))
            && (has_no_port || port_passes(self.lports.as_ref(), flow.local.port));
        if event.verdict == Verdict::Hidden || !passes {
            Verdict::Hidden
        } else if has_no_peer || has_no_port {
            Verdict::Undecided
        } else {
            event.verdict
        }
    }

    /// Whether a transition passes. [`Self::verdict`] has already seen the event of an observed transition; an inferred one
    /// has no event.
    pub fn passes_transition(&self, transition: &Transition) -> bool {
        let of_process = match self.filter.tgid {
            0 => true,
            tgid => transition.owner.as_deref().is_some_and(|owner| owner.pid == tgid),
        };
        let is_observed = transition.origin == Origin::Observed;
        of_process && (is_observed || self.flow_passes(&transition.event.flow))
    }

    /// Whether a connection between these ends passes.
    pub fn flow_passes(&self, flow: &Flow) -> bool {
        self.peer_passes(flow) && port_passes(self.lports.as_ref(), flow.local.port)
    }

    /// Whether everything but the local port passes.
    fn peer_passes(&self, flow: &Flow) -> bool {
        let subject = Subject {
            laddr: address(flow.local.address),
            raddr: address(flow.remote.address),
            netns: flow.netns.unwrap_or(0),
            inet: flow.local.address.is_ipv4(),
        };
        self.filter.netns_passes(&subject)
            && self.filter.addresses_pass(&subject)
            && port_passes(self.rports.as_ref(), flow.remote.port)
    }
}

fn port_passes(set: Option<&PortSet>, port: u16) -> bool {
    set.is_none_or(|set| set.contains(port))
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
    use crate::model::flow::Endpoint;

    #[test]
    fn ends() {
        let wanted = |filter: Filter| SocketFilter { filter, lports: None, rports: None };
        let passes = |wanted: &SocketFilter, address: &str| {
            let address = address.parse().expect("an address");
            let end = |port| Endpoint::new(address, port);
            wanted.flow_passes(&Flow { netns: Some(7), local: end(80), remote: end(40_000) })
        };
        let (v4, v6) = ("192.0.2.1", "2001:db8::1");
        let family = |family| wanted(Filter { family, ..Filter::NONE });
        assert!(passes(&family(4), v4) && !passes(&family(4), v6));
        assert!(passes(&family(6), v6) && !passes(&family(6), v4));
        assert!(!passes(&wanted(Filter { netns: 8, ..Filter::NONE }), v4));
        let mut ports = PortSet::new();
        ports.insert(80..=80);
        let local = SocketFilter { lports: Some(ports.clone()), ..wanted(Filter::NONE) };
        let remote = SocketFilter { rports: Some(ports), ..wanted(Filter::NONE) };
        assert!(passes(&local, v4) && !passes(&remote, v4));
    }
}
