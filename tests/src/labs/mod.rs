//! Situations for the two labs: harmless look-alikes, for which a diagnosis must report nothing, and faults, for which
//! it must report one finding each and name the culprit first.
//!
//! A situation has a few roles. Each role is a separate process, `actor play SITUATION ROLE`, in a network namespace of
//! the situation: the first one, or its peer behind a pair of devices. The role prepares, calls `tools::ready`, and
//! goes on until it is killed. The stage starts the roles in order, each when the one before is ready. A new situation
//! needs its roles and a row of the table at the end of its file.

mod faults_closing;
mod faults_connecting;
mod faults_listening;
mod faults_silent;
mod faults_waiting;
mod honest_bulk;
mod honest_closing;
mod honest_connecting;
mod honest_idle;
mod honest_listening;
mod honest_load;
mod honest_ports;
mod honest_resets;
mod honest_restarts;
mod options;
pub mod stage;
mod tools;

use std::net::Ipv4Addr;

use nix::sys::{prctl, signal::Signal};

/// A situation that is made with real processes.
#[derive(Debug)]
pub struct Situation {
    /// Its name, as the labs print it.
    pub name: &'static str,
    /// The finding that a diagnosis must report at warning or above.
    pub expected: Expected,
    /// The threshold for the age of the fault at the report.
    pub wait: Option<Threshold>,
    /// Its processes, in the order in which they start.
    roles: &'static [Role],
    /// The reason why this machine cannot make it, if it cannot.
    lacks: fn() -> Option<&'static str>,
}

/// A number of seconds among the thresholds of `tcptrace diagnose`, such as `age_s` in `[stuck]`.
#[derive(Clone, Copy, Debug)]
pub struct Threshold {
    /// The section.
    pub section: &'static str,
    /// The key in it.
    pub key: &'static str,
}

/// The finding that a diagnosis must report.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// No finding.
    Nothing,
    /// One finding.
    Finding {
        /// The kind of the finding.
        id: &'static str,
        /// The role whose process is the first owner.
        owner: &'static str,
        /// Words of its first line; `None` stands for the process id of the owner.
        words: Option<&'static str>,
    },
}

/// A process of a situation.
#[derive(Debug)]
struct Role {
    name: &'static str,
    place: Place,
    play: fn(),
}

/// The place where a role runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The namespace of the situation.
    Here,
    /// The peer's namespace.
    There,
    /// Wherever another role starts it, by [`tools::child`].
    Child,
}

const fn honest(name: &'static str, roles: &'static [Role]) -> Situation {
    Situation { name, expected: Expected::Nothing, wait: None, roles, lacks: || None }
}

/// A situation whose culprit is a program of this role. The finding of this kind names it.
const fn fault(
    name: &'static str,
    id: &'static str,
    owner: &'static str,
    roles: &'static [Role],
) -> Situation {
    let expected = Expected::Finding { id, owner, words: None };
    Situation { name, expected, wait: None, roles, lacks: || None }
}

/// A situation whose fault is elsewhere, as these words say. A program of this role suffers from it.
const fn fault_at(
    words: &'static str,
    name: &'static str,
    id: &'static str,
    owner: &'static str,
    roles: &'static [Role],
) -> Situation {
    let expected = Expected::Finding { id, owner, words: Some(words) };
    Situation { name, expected, wait: None, roles, lacks: || None }
}

const fn here(name: &'static str, play: fn()) -> Role {
    Role { name, place: Place::Here, play }
}

const fn there(name: &'static str, play: fn()) -> Role {
    Role { name, place: Place::There, play }
}

const fn child(name: &'static str, play: fn()) -> Role {
    Role { name, place: Place::Child, play }
}

/// The first port of the first situation.
const FIRST_PORT: u16 = 8_000;

/// The situations of both labs.
pub fn all() -> impl Iterator<Item = &'static Situation> {
    [
        honest_idle::ALL,
        honest_closing::ALL,
        honest_resets::ALL,
        honest_listening::ALL,
        honest_restarts::ALL,
        honest_connecting::ALL,
        honest_ports::ALL,
        honest_bulk::ALL,
        honest_load::ALL,
        faults_closing::ALL,
        faults_connecting::ALL,
        faults_listening::ALL,
        faults_silent::ALL,
        faults_waiting::ALL,
    ]
    .into_iter()
    .flatten()
}

/// Plays a role of a situation until this process is killed. Its parent's end kills it at the latest.
pub fn play(situation: &str, role: &str) -> ! {
    prctl::set_pdeathsig(Signal::SIGKILL).expect("PR_SET_PDEATHSIG");
    let name = std::ffi::CString::new(role).expect("no zero in it");
    prctl::set_name(&name).expect("PR_SET_NAME");
    let situation = all().find(|one| one.name == situation).expect("a situation");
    tools::begin(situation);
    // A panic in any thread ends the situation.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::exit(101);
    }));
    (situation.role(role).play)();
    tools::forever()
}

impl Situation {
    /// The report must come once the fault has lasted for this threshold, and not earlier.
    const fn after(mut self, section: &'static str, key: &'static str) -> Self {
        self.wait = Some(Threshold { section, key });
        self
    }

    /// The two ports on which its servers listen. No other situation uses them: a diagnosis takes an address with its
    /// port for the same service on the whole host.
    pub fn ports(&self) -> [u16; 2] {
        let first = FIRST_PORT + 2 * u16::from(self.place());
        [first, first + 1]
    }

    /// The addresses of the devices between its namespace and its peer's. No other situation uses them.
    fn addresses(&self) -> [Ipv4Addr; 2] {
        let first = 2 * self.place();
        [first, first + 1].map(|last| Ipv4Addr::new(198, 51, 100, last))
    }

    /// The index of the situation among all of them.
    fn place(&self) -> u8 {
        let place = all().position(|one| one.name == self.name).expect("one of them");
        u8::try_from(place).ok().filter(|place| *place < 128).expect("fewer than there are addresses for")
    }

    fn role(&self, name: &str) -> &Role {
        self.roles.iter().find(|role| role.name == name).expect("a role of the situation")
    }
}
