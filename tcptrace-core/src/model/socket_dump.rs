//! Lists of the host's sockets for a trace: what is older than it, and what has become of sockets of which the kernel reports
//! nothing more.

use std::time::Duration;

use super::{
    close::Role,
    dump::{Gaps, Namespace},
    event::Device,
    flow::Flow,
    owner::Owner,
    state::State,
};

/// Timewait sockets that are taken in at once.
const PIECE: usize = 8_192;

/// Which sockets a list is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All, with their owners.
    All,
    /// Those of which only a timewait socket is left.
    Timewait,
}

/// A list.
#[derive(Clone, Debug)]
pub struct SocketDump {
    /// Which sockets.
    pub scope: Scope,
    /// Full sockets.
    pub preexisting: Vec<Preexisting>,
    /// Timewait ones.
    pub timewait: Vec<PreexistingTimewait>,
    /// The namespaces that were read.
    pub namespaces: Vec<Namespace>,
    /// The gaps of the dump.
    pub gaps: Gaps,
    /// Processes whose sockets could not be seen.
    pub unreadable: usize,
    /// How long it took to make.
    pub took: Duration,
    /// Before the holders were read, and the sockets, nanoseconds of `CLOCK_MONOTONIC`. `None` where nobody has, or
    /// where it is not known.
    pub holders_ns: Option<u64>,
}

impl SocketDump {
    /// The same in pieces, each of which is soon taken in; full sockets are in the last one.
    pub fn pieces(mut self) -> impl Iterator<Item = Self> {
        let (preexisting, timewait) =
            (std::mem::take(&mut self.preexisting), std::mem::take(&mut self.timewait));
        let mut pieces: Vec<Self> = timewait
            .chunks(PIECE)
            .map(|timewait| Self { timewait: timewait.to_vec(), ..self.clone() })
            .collect();
        pieces.push(Self { preexisting, ..self });
        pieces.into_iter()
    }

    /// Whether everything was read of the namespaces that were.
    pub fn is_complete(&self) -> bool {
        self.gaps.interrupted_dumps == 0 && self.gaps.undecodable == 0
    }

    /// The gaps, for people.
    pub fn unseen(&self) -> Option<String> {
        let processes = format!("the open sockets of {} processes", self.unreadable);
        let parts = [
            (!self.gaps.is_empty()).then(|| self.gaps.to_string()),
            (self.unreadable > 0).then_some(processes),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// When the last namespace had been read, nanoseconds of `CLOCK_MONOTONIC`.
    pub fn end_ns(&self) -> u64 {
        self.namespaces.iter().map(|namespace| namespace.end_ns).max().unwrap_or(0)
    }
}

/// A full socket of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preexisting {
    /// The same number as in events that have one.
    pub cookie: u64,
    /// Its addresses and ports.
    pub flow: Flow,
    /// The state that it was in.
    pub state: State,
    /// When it entered that state.
    pub since: Since,
    /// Begin of the dump, nanoseconds of `CLOCK_MONOTONIC`: an event before that may be in it already.
    pub dumped_ns: u64,
    /// Its role, where that is known.
    pub role: Option<Role>,
    /// The process that has it open.
    pub owner: Option<Owner>,
    /// It is bound to a network device.
    pub on_device: bool,
}

/// A timewait socket that the kernel listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreexistingTimewait {
    /// The cookie of the socket that it is left of.
    pub cookie: u64,
    /// Its addresses and ports.
    pub flow: Flow,
    /// FIN_WAIT2 or TIME_WAIT.
    pub state: State,
    /// When it entered that state, nanoseconds of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// When the list was begun.
    pub dumped_ns: u64,
    /// The network device that it is bound to.
    pub device: Option<Device>,
}

/// When a socket entered its state, nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Then.
    Exactly(u64),
    /// Then or earlier.
    AtLatest(u64),
}

impl Since {
    /// That time.
    pub fn ns(self) -> u64 {
        match self {
            Self::Exactly(ns) | Self::AtLatest(ns) => ns,
        }
    }
}
