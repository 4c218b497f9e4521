//! What a tracker should say, from lists that are searched from end to end.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tcptrace_core::model::{
    event::{Event, Verdict},
    owner::Provenance,
    state::State,
    transition::Transition,
};

use super::{Happening, kernel::Kernel};

/// A transition, as far as it is predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) event: Event,
    pub(crate) in_old_state_ns: Option<u64>,
    pub(crate) owner: Option<(u32, Provenance)>,
}

impl Expected {
    pub(crate) fn of(transition: &Transition) -> Self {
        let owner = transition.owner.as_ref().map(|owner| (owner.pid, owner.provenance));
        Self { event: transition.event.clone(), in_old_state_ns: transition.in_old_state_ns, owner }
    }
}

struct Known {
    socket: usize,
    skaddr: u64,
    state: State,
    since_ns: u64,
    owner: Option<(u32, Provenance)>,
    waiting: Option<Expected>,
}

struct Listener {
    socket: usize,
    /// 0: it has none.
    cookie: u64,
    at: (Option<u32>, IpAddr, u16),
    pid: u32,
}

pub(crate) struct Model {
    kernel: Kernel,
    limit: usize,
    /// The one that was idle for longest first.
    known: VecDeque<Known>,
    /// In the order in which they began.
    listeners: Vec<Listener>,
    pub(crate) filtered: u64,
    pub(crate) evicted: u64,
}

impl Model {
    pub(crate) fn new(kernel: Kernel, limit: usize) -> Self {
        Self { kernel, limit, known: VecDeque::new(), listeners: Vec::new(), filtered: 0, evicted: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.known.iter().filter(|known| known.waiting.is_some()).count()
    }

    /// Takes what happens next, and says what is to be told then.
    pub(crate) fn take(&mut self, happening: &Happening) -> Vec<Expected> {
        let Happening { event, socket, .. } = happening;
        let mut told = Vec::new();
        let is_child = (event.old_state, event.new_state) == (State::LISTEN, State::SYN_RECV);
        let begins = is_child || event.old_state == State::CLOSE;
        // Two sockets are never at one address: the one before is gone.
        let place = self.known.iter().position(|known| known.skaddr == event.skaddr);
        let mut before = place.and_then(|place| self.known.remove(place));
        if let Some(other) = before.take_if(|before| before.socket != *socket || begins) {
            self.give_up(other.waiting, &mut told);
        }
        let in_old_state_ns = match (&before, self.kernel.by_state) {
            (_, true) => event.since_ns.map(|since_ns| event.ktime_ns - since_ns),
            (Some(known), _) if known.state == event.old_state => Some(event.ktime_ns - known.since_ns),
            _ => None,
        };
        let owner = if event.context_owns {
            Some((event.context.pid, Provenance::Exact))
        } else if is_child {
            self.listener(event).map(|pid| (pid, Provenance::Inherited))
        } else {
            before.as_ref().and_then(|known| known.owner)
        };
        self.listen(*socket, event, owner);
        if let Some(mut waiting) = before.and_then(|known| known.waiting) {
            if waiting.event.flow.remote.port == 0 {
                waiting.event.cookie = event.cookie;
                waiting.event.flow.local.address = event.flow.local.address;
                waiting.event.flow.remote = event.flow.remote;
            }
            if self.kernel.wants(event.flow.local.port) {
                told.push(waiting);
            } else {
                self.filtered += 1;
            }
        }
        let own = Expected { event: event.clone(), in_old_state_ns, owner };
        let mut waiting = None;
        match event.verdict {
            Verdict::Hidden => self.filtered += 1,
            Verdict::Pass if !(is_child && event.flow.remote.port == 0) => told.push(own),
            _ => waiting = Some(own),
        }
        if event.new_state != State::CLOSE {
            if self.known.len() >= self.limit
                && let Some(idle) = self.known.pop_front()
            {
                self.evicted += 1;
                self.give_up(idle.waiting, &mut told);
            }
            let (skaddr, state, since_ns) = (event.skaddr, event.new_state, event.ktime_ns);
            self.known.push_back(Known { socket: *socket, skaddr, state, since_ns, owner, waiting });
        }
        told
    }

    /// What is told at the end.
    pub(crate) fn finish(&mut self) -> Vec<Expected> {
        let mut told = Vec::new();
        for known in std::mem::take(&mut self.known) {
            self.give_up(known.waiting, &mut told);
        }
        told
    }

    fn give_up(&mut self, waiting: Option<Expected>, told: &mut Vec<Expected>) {
        let (shown, hidden) = match waiting {
            Some(waiting) if waiting.event.verdict == Verdict::Pass => (Some(waiting), 0),
            waiting => (None, u64::from(waiting.is_some())),
        };
        told.extend(shown);
        self.filtered += hidden;
    }

    fn listen(&mut self, socket: usize, event: &Event, owner: Option<(u32, Provenance)>) {
        let ends = event.old_state == State::LISTEN && event.new_state == State::CLOSE;
        if ends {
            self.listeners.retain(|listener| listener.socket != socket);
        }
        if let (State::LISTEN, Some((pid, _))) = (event.new_state, owner) {
            let at = (event.flow.netns, event.flow.local.address, event.flow.local.port);
            self.listeners.push(Listener { socket, cookie: event.cookie, at, pid });
        }
    }

    /// The process whose listener a child shows the cookie of; else who listens where it comes from, when it is the only one.
    fn listener(&self, event: &Event) -> Option<u32> {
        if event.flow.remote.port == 0 && event.cookie != 0 {
            let its = self.listeners.iter().find(|listener| listener.cookie == event.cookie);
            return its.map(|listener| listener.pid);
        }
        let v4 = if event.flow.local.address.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            event.flow.local.address
        };
        let any = [event.flow.local.address, v4, Ipv6Addr::UNSPECIFIED.into()];
        let pids = any.into_iter().map(|laddr| {
            let at = (event.flow.netns, laddr, event.flow.local.port);
            let there = self.listeners.iter().filter(|listener| listener.at == at);
            there.map(|listener| listener.pid).collect::<Vec<_>>()
        });
        let pids = pids.into_iter().find(|pids| !pids.is_empty())?;
        pids.iter().all(|pid| *pid == pids[0]).then_some(pids[0])
    }
}
