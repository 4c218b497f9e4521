//! What a kernel, and the filters in it, tell of what happens.

use std::net::Ipv4Addr;

use tcptrace_common::Filter;
use tcptrace_core::{
    model::{
        event::{Event, Verdict},
        header::Hidden,
        ports::PortSet,
        socket_filter::SocketFilter,
        state::State,
    },
    pipeline::tracker::Options,
};

use super::Happening;

/// What it can, and is told to do.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a kernel, or a filter, of its own")]
pub(crate) struct Kernel {
    /// It has no cookies.
    pub(crate) anonymous: bool,
    /// It shows a child before it knows its peer, as up to Linux 6.12.
    pub(crate) nameless: bool,
    /// It filters by local ports, which a socket that connects does not have at first.
    pub(crate) by_port: bool,
    /// It filters by states, and keeps the times itself.
    pub(crate) by_state: bool,
    /// It hides some.
    pub(crate) hides: bool,
}

impl Kernel {
    /// Whether its filter on ports wants one.
    pub(crate) fn wants(self, lport: u16) -> bool {
        !self.by_port || matches!(lport, 80 | 5_000..=5_001)
    }

    pub(crate) fn options(self, limit: usize, infer: bool) -> Options {
        let mut ports = PortSet::new();
        ports.insert(80..=80);
        ports.insert(5_000..=5_001);
        let states = u32::from(self.by_state) << State::ESTABLISHED.0;
        let filter = Filter { states, ..Filter::NONE };
        Options {
            limit,
            infer,
            wanted: SocketFilter { filter, lports: self.by_port.then_some(ports), rports: None },
            hidden: Hidden { any: self.by_port || self.by_state || self.hides, by_state: self.by_state },
            cookies: !self.anonymous,
            ..Options::default()
        }
    }

    /// What comes of these, each as the kernel shows it.
    pub(crate) fn sent(self, history: Vec<Happening>) -> Vec<Happening> {
        history.into_iter().filter_map(|happening| self.shows(happening)).collect()
    }

    fn shows(self, mut happening: Happening) -> Option<Happening> {
        let event = &mut happening.event;
        let connects = (event.old_state, event.new_state) == (State::CLOSE, State::SYN_SENT);
        if self.hides && happening.hidden {
            event.verdict = Verdict::Hidden;
        } else if self.by_port && connects {
            (event.flow.local.port, event.verdict) = (0, Verdict::Undecided);
        } else if !self.wants(event.flow.local.port) {
            return None;
        }
        if let (true, Some(listener)) = (self.nameless, &happening.listener) {
            (event.flow.local.address, event.cookie) = (listener.laddr, listener.cookie);
            (event.flow.remote.address, event.flow.remote.port) = (Ipv4Addr::UNSPECIFIED.into(), 0);
        }
        if self.anonymous {
            event.cookie = 0;
        }
        self.by_states(happening)
    }

    /// A filter on states wants what begins or ends in ESTABLISHED, and what begins or ends a life is sent anyway.
    fn by_states(self, mut happening: Happening) -> Option<Happening> {
        if !self.by_state {
            return Some(happening);
        }
        let Event { old_state, new_state, ktime_ns, .. } = happening.event;
        happening.event.since_ns = happening.in_old_state_ns.map(|ns| ktime_ns - ns);
        if ![old_state, new_state].contains(&State::ESTABLISHED) {
            let of_life = old_state == State::LISTEN || [old_state, new_state].contains(&State::CLOSE);
            happening.event.verdict = Verdict::Hidden;
            return of_life.then_some(happening);
        }
        Some(happening)
    }
}
