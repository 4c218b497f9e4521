//! A test's fixture: a namespace, tracefs as the witness, tcptrace tracing; and the comparison of both at the end.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    chain::chains,
    expect::{Expected, assert_chains},
    host,
    machine::{Hook, is_root},
    net::Family,
    netns::Namespace,
    process::at_once,
    replay::{Obstacle, play_until_comparable},
    slot::Slot,
    tracefs::Tracefs,
    tracer::{Report, Tracer},
    transition::{Transition, Tuple, listing},
};

/// tracefs' buffer for a scenario: a few thousand transitions on each CPU.
const BUFFER_KIB: u32 = 512;

/// The ports of a scenario, which runs on a thread inside the namespace.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    first: u16,
}

impl Ports {
    /// Forty ports from this one on.
    pub(crate) const fn from(first: u16) -> Self {
        Self { first }
    }

    /// A port to bind, `index` below 40.
    pub fn port(self, index: u16) -> u16 {
        assert!(index < 40, "a slot has 40 ports to bind");
        self.first + index
    }

    /// The address on which a server of this family listens.
    pub fn listen(self, family: Family) -> std::net::SocketAddr {
        family.listen(self.port(0))
    }

    /// The address to which its client connects.
    pub fn connect(self, family: Family) -> std::net::SocketAddr {
        family.connect(self.port(0))
    }
}

/// A namespace with a slot, and tracefs watching its ports.
#[derive(Debug)]
pub struct Fixture {
    /// The namespace.
    pub namespace: Namespace,
    /// The witness.
    pub tracefs: Tracefs,
    /// Its ports. They are dropped after the witness, whose instance is named after their slot: then another test may
    /// take them.
    pub slot: Slot,
    // The guard must be dropped last.
    _host: host::Guard,
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture {
    /// A fixture for ordinary tests, which run in parallel.
    pub fn new() -> Self {
        Self::with(host::share(), BUFFER_KIB)
    }

    /// A fixture for a test that loads the host. `buffer_kib`: tracefs' buffer on each CPU.
    pub fn alone(buffer_kib: u32) -> Self {
        Self::with(host::alone(), buffer_kib)
    }

    fn with(host: host::Guard, buffer_kib: u32) -> Self {
        let slot = Slot::take();
        let namespace = Namespace::new(&slot.ephemeral());
        let tracefs = Tracefs::start(slot.number(), &slot.ports(), buffer_kib);
        Self { namespace, tracefs, slot, _host: host }
    }

    /// Ports for scenarios.
    pub fn ports(&self) -> Ports {
        self.slot.ports_to_bind()
    }

    /// Checks that the kernel has run these tracers' programs for every event.
    ///
    /// # Errors
    /// The kernel has not: in the time of process 1 (see [`crate::init`]), or according to its own count of missed
    /// runs.
    pub fn check_all_seen(&self, reports: &[&Report]) -> Result<(), Obstacle> {
        let hidden =
            self.tracefs.during_init() > 0 || reports.iter().any(|report| report.summary().missed_runs > 0);
        if hidden { Err(Obstacle::Hidden) } else { Ok(()) }
    }

    /// Waits until tracefs has at least `least` transitions, and no more come.
    pub fn settle(&self, least: u64) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.tracefs.entries() < least && Instant::now() < deadline {
            sleep(Duration::from_millis(5));
        }
        let mut entries = self.tracefs.entries();
        loop {
            sleep(Duration::from_millis(40));
            let now = self.tracefs.entries();
            if now == entries || Instant::now() >= deadline {
                return;
            }
            entries = now;
        }
    }
}

/// Runs a scenario once in a new namespace, traced by both hooks at once, and compares tcptrace's output by each hook
/// with tracefs and with the paths that the scenario returns. `name` is the test's.
pub fn scenario(name: &str, body: impl FnOnce(Ports) -> Vec<Expected> + Clone + Send + 'static) {
    if is_root(name) {
        play_until_comparable(name, || play(body.clone()));
    }
}

fn play(body: impl FnOnce(Ports) -> Vec<Expected> + Send + 'static) -> Result<(), Obstacle> {
    let world = Fixture::new();
    let netns = world.namespace.inode().to_string();
    let tracers = at_once(Hook::ALL, |hook| Tracer::start(hook, &["-o", "json", "--netns", &netns]));
    let ports = world.ports();
    let expected = world.namespace.run(move || body(ports));
    world.settle(expected.iter().map(Expected::transitions).sum());
    let reports = at_once(tracers, Tracer::stop);
    world.check_all_seen(&reports.each_ref())?;
    let witnessed = world.tracefs.transitions();
    for (hook, report) in Hook::ALL.into_iter().zip(&reports) {
        println!("by {}:", hook.name());
        report.assert_lossless();
        let told = report.transitions();
        for transition in &told {
            assert_eq!(transition.json["netns"], world.namespace.inode(), "the namespace of {transition}");
        }
        compare(&told, &witnessed);
        assert_chains(hook, chains(&told), &expected);
    }
    Ok(())
}

/// Asserts that both logs have the same transitions of the same sockets in the same order.
///
/// One difference is allowed: an unbound socket that connects again has no local port yet, but the event of some
/// kernels still shows the port of its last connection.
pub fn compare(told: &[Transition], witnessed: &[Transition]) {
    let sorted = |transitions: &[Transition]| {
        let mut all: Vec<_> =
            transitions.iter().map(|event| (event.tuple, event.old.clone(), event.new.clone())).collect();
        // The sort is stable: the transitions of one connection stay in order.
        all.sort_by_key(|(tuple, ..)| *tuple);
        all
    };
    let current = |transitions: &[Transition]| sorted(&without_stale_ports(transitions));
    assert!(
        sorted(told) == sorted(witnessed) || current(told) == current(witnessed),
        "tcptrace:\n{}tracefs:\n{}",
        listing(told),
        listing(witnessed)
    );
}

/// Sets the local port to 0 if a socket that begins to connect shows another port than its next transition.
fn without_stale_ports(all: &[Transition]) -> Vec<Transition> {
    let mut current = all.to_vec();
    for (index, transition) in current.iter_mut().enumerate() {
        let Tuple { laddr, lport, raddr, rport } = transition.tuple;
        if transition.new == "SYN_SENT" && lport != 0 {
            let next = all[index + 1..].iter().find(|next| {
                let there = next.tuple;
                next.old == "SYN_SENT" && (there.laddr, there.raddr, there.rport) == (laddr, raddr, rport)
            });
            if next.is_some_and(|next| next.tuple.lport != lport) {
                transition.tuple.lport = 0;
            }
        }
    }
    current
}

/// The transitions with a port of the slot, from a trace that was not limited to a namespace.
pub fn within(report: &Report, slot: &Slot) -> Vec<Transition> {
    report.transitions().into_iter().filter(|transition| transition.has_port_in(&slot.ports())).collect()
}
