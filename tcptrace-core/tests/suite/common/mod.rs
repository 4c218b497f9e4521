//! Events for tests, made as the kernel side would send them.

pub(crate) mod closing;
pub(crate) mod ordered;
pub(crate) mod resets;
pub(crate) mod scans;
pub(crate) mod schema;
pub(crate) mod shown;
pub(crate) mod standing;
pub(crate) mod story;

use std::net::{IpAddr, Ipv4Addr};

use tcptrace_core::model::{
    event::{Context, Event, Verdict},
    flow::{Endpoint, Flow},
    half_open::{Change, Connection, What},
    state::State,
};

/// What happens to a half-open connection of this address with 192.0.2.1:80, while so many are open.
pub(crate) fn half_open(raddr: impl Into<IpAddr>, what: What, open: u64) -> Change {
    let (laddr, raddr) = (Ipv4Addr::new(192, 0, 2, 1).into(), raddr.into());
    Change {
        ktime_ns: 1,
        what,
        connection: Connection {
            cookie: 0,
            flow: Flow { netns: Some(1), local: Endpoint::new(laddr, 80), remote: Endpoint::new(raddr, 9) },
        },
        age_ns: None,
        retransmits: u32::from(!matches!(what, What::Begin(_))),
        open,
        owner: None,
        recorded: true,
    }
}

/// A name as the kernel pads it.
pub(crate) fn comm(name: &[u8]) -> [u8; 16] {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name);
    comm
}

/// A transition in softirq context: nobody acts.
pub(crate) fn event(skaddr: u64, ktime_ns: u64, old: State, new: State) -> Event {
    Event {
        ktime_ns,
        since_ns: None,
        skaddr,
        cookie: skaddr + 1_000,
        flow: Flow {
            netns: Some(4_026_531_833),
            local: Endpoint::new(Ipv4Addr::new(192, 0, 2, 1).into(), 80),
            remote: Endpoint::new(Ipv4Addr::new(198, 51, 100, 7).into(), 40_000),
        },
        old_state: old,
        new_state: new,
        context: Context {
            pid: 0,
            tid: 0,
            uid: 0,
            comm: comm(b"swapper/1"),
            cgroup_id: 1,
            in_process: Some(false),
            exiting: false,
        },
        context_owns: false,
        process: None,
        error: Some(0),
        metrics: None,
        evidence: None,
        has_listened: false,
        device: None,
        steered: false,
        verdict: Verdict::Pass,
    }
}

/// The same with another part of its flow.
pub(crate) trait Moved: Sized {
    fn moved(self, change: impl FnOnce(&mut Flow)) -> Self;

    fn netns(self, netns: Option<u32>) -> Self {
        self.moved(|flow| flow.netns = netns)
    }

    fn laddr(self, laddr: IpAddr) -> Self {
        self.moved(|flow| flow.local.address = laddr)
    }

    fn lport(self, lport: u16) -> Self {
        self.moved(|flow| flow.local.port = lport)
    }

    fn raddr(self, raddr: IpAddr) -> Self {
        self.moved(|flow| flow.remote.address = raddr)
    }

    fn rport(self, rport: u16) -> Self {
        self.moved(|flow| flow.remote.port = rport)
    }
}

impl Moved for Event {
    fn moved(mut self, change: impl FnOnce(&mut Flow)) -> Self {
        change(&mut self.flow);
        self
    }
}

/// A transition that the process `pid` makes itself.
pub(crate) fn by_process(pid: u32, name: &[u8], event: Event) -> Event {
    Event {
        context: Context {
            pid,
            tid: pid,
            uid: 33,
            comm: comm(name),
            cgroup_id: 77,
            in_process: Some(true),
            exiting: false,
        },
        context_owns: true,
        ..event
    }
}

/// A listener at 0.0.0.0:80.
pub(crate) fn listens(skaddr: u64, ktime_ns: u64, pid: u32) -> Event {
    let mut event = by_process(pid, b"nginx", event(skaddr, ktime_ns, State::CLOSE, State::LISTEN));
    event.flow.local.address = Ipv4Addr::UNSPECIFIED.into();
    event.flow.remote.address = Ipv4Addr::UNSPECIFIED.into();
    event.flow.remote.port = 0;
    event
}

/// A child as kernels up to 6.12 show it: with the listener's addresses and cookie.
pub(crate) fn nameless_child(skaddr: u64) -> Event {
    let mut event = event(skaddr, 10, State::LISTEN, State::SYN_RECV);
    (event.flow.local.address, event.flow.remote.address) =
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into());
    (event.flow.remote.port, event.cookie) = (0, 4_711);
    event
}
