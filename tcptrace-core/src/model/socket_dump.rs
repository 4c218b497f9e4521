//! Dumps of the host's sockets for a trace. They show pre-existing sockets, and the outcome of sockets for which the kernel
//! reports nothing more.

use std::{sync::Arc, time::Duration};

use super::{
    close::Role,
    dump::{Gaps, Namespace},
    event::Device,
    flow::Flow,
    owner::Owner,
    state::State,
};

/// Timewait sockets that are processed at once.
const PIECE: usize = 8_192;

/// The sockets that a dump covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All sockets, with their owners.
    All,
    /// Sockets of which only a timewait socket is left.
    Timewait,
}

/// A dump of sockets.
#[derive(Clone, Debug)]
pub struct SocketDump {
    /// The sockets that the dump covers.
    pub scope: Scope,
    /// Full sockets.
    pub preexisting: Vec<Preexisting>,
    /// Timewait ones.
    pub timewait: Vec<PreexistingTimewait>,
    /// The namespaces that were read.
    pub namespaces: Vec<Namespace>,
    /// The gaps of the dump.
    pub gaps: Gaps,
    /// Processes whose sockets could not be read.
    pub unreadable: usize,
    /// How long the dump took.
    pub took: Duration,
    /// Time before the holders and the sockets were read, nanoseconds of `CLOCK_MONOTONIC`. `None` where no holders were
    /// read, or where the time is not known.
    pub holders_ns: Option<u64>,
}

impl SocketDump {
    /// The dump in pieces, each of which is processed quickly. Full sockets are in the last piece.
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

    /// Whether the namespaces that were read were read completely.
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

    /// The time at which the last namespace had been read, nanoseconds of `CLOCK_MONOTONIC`.
    pub fn end_ns(&self) -> u64 {
        self.namespaces.iter().map(|namespace| namespace.end_ns).max().unwrap_or(0)
    }
}

/// A full socket of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preexisting {
    /// The socket cookie, the same as in events that have one.
    pub cookie: u64,
    /// Its addresses and ports.
    pub flow: Flow,
    /// The state that it was in.
    pub state: State,
    /// When it entered that state.
    pub since: Since,
    /// Begin of the dump, nanoseconds of `CLOCK_MONOTONIC`: the dump may already include an event before that.
    pub dumped_ns: u64,
    /// Its role, where that is known.
    pub role: Option<Role>,
    /// The process that has it open. Sockets with the same owner share it.
    pub owner: Option<Arc<Owner>>,
    /// It is bound to a network device.
    pub on_device: bool,
}

/// A timewait socket of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreexistingTimewait {
    /// The cookie of the socket of which it is left.
    pub cookie: u64,
    /// Its addresses and ports.
    pub flow: Flow,
    /// FIN_WAIT2 or TIME_WAIT.
    pub state: State,
    /// When it entered that state, nanoseconds of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// Begin of the dump.
    pub dumped_ns: u64,
    /// The network device that it is bound to.
    pub device: Option<Device>,
}

/// When a socket entered its state, nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// At this time.
    Exactly(u64),
    /// At this time or earlier.
    AtLatest(u64),
}

impl Since {
    /// The time.
    pub fn ns(self) -> u64 {
        match self {
            Self::Exactly(ns) | Self::AtLatest(ns) => ns,
        }
    }
}
