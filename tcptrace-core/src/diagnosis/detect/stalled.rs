//! `stalled`: data waits, and the program that should read it does not.
//!
//! A program that does not read fills its receive buffer. Then its window is closed (RFC 9293, 3.8.6.1), and the sender's
//! kernel probes it for as long as both live. Only one of the two programs can end such a connection. A server that does not
//! even read a short request closes no window, but its client waits as well.

mod chain;
mod finding;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use super::{
    Detector, Options, Sample, Seen,
    culprits::{Culprits, nanoseconds},
    holding,
    index::is_of_one_namespace,
    owes::is_server,
    thresholds,
};
use chain::Chain;

use crate::model::{
    finding::Finding,
    process::Condition,
    socket::{Kind, Socket},
    state::State,
    who::Who,
};

/// Unread bytes from which a receive buffer may be full: the kernel's first window (half of `tcp_rmem`).
const FULL_BUFFER: u32 = 65_536;

pub(super) struct Stalled {
    thresholds: thresholds::Stalled,
    /// The connections at the last scan, by the end that does not read.
    last: BTreeMap<Culprit, Pile>,
    conditions: HashMap<u32, Condition>,
}

/// The end that does not read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Culprit {
    Process(u32),
    /// An unknown program of this host, which has its end in this namespace, or whose peer is in this namespace.
    Unknown(Option<u32>),
    /// A peer at an address, with the namespace where the address is valid in one only.
    Peer(Option<u32>, IpAddr),
}

/// Connections that one end does not read.
#[derive(Default)]
struct Pile {
    who: Option<Who>,
    /// Connections on which the other end waits.
    count: u64,
    /// Connections of `count` whose reader is not known to be the client.
    of_servers: u64,
    /// Connections of `count` with a complete request that waits.
    unanswered: u64,
    /// Connections of `count` with a closed window.
    closed: u64,
    /// Connections with a full receive buffer, where it is unknown whether the other end waits.
    unknown: u64,
    oldest_ns: u64,
    /// Bytes in receive buffers of this host, and bytes that wait to be sent.
    unread: u64,
    unsent: u64,
    /// The processes of this host that wait.
    waiters: Culprits,
    culprits: Culprits,
    /// Cookies of the sockets that are not read.
    cookies: Vec<u64>,
    /// Cookies of the listeners of these sockets that the process has open: a process that does not even accept reads
    /// nothing.
    listeners: BTreeSet<u64>,
}

/// A connection on which no data moves.
struct Stall<'a> {
    reader: Option<&'a Seen>,
    sender: Option<&'a Seen>,
    why: Why,
    ns: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    ClosedWindow,
    /// The sender's data is not acknowledged, though the window is not closed.
    Unsent,
    Unanswered,
    /// It is unknown whether the other end waits.
    Unread,
}

impl Stalled {
    pub(super) fn new(options: &Options) -> Self {
        Self { thresholds: options.thresholds.stalled, last: BTreeMap::new(), conditions: HashMap::new() }
    }

    fn is_old(&self, ns: Option<u64>) -> Option<u64> {
        ns.filter(|ns| *ns >= nanoseconds(self.thresholds.age_s))
    }

    /// A socket whose data waits for the peer's window.
    fn of_sender<'a>(&self, sample: &'a Sample, sender: &'a Seen) -> Option<Stall<'a>> {
        let ns = self.is_old(sender.still_ns.filter(|_| has_closed_window(sender)))?;
        let reader = sample.other_end(&sender.socket);
        // A program that reads a little now and then opens its window late. A connection that was never accepted cannot be
        // read.
        let ns = match reader {
            Some(reader) => ns.min(self.is_old(reader.unread_ns.filter(|_| reader.socket.inode.is_some()))?),
            None => ns,
        };
        Some(Stall { reader, sender: Some(sender), why: Why::ClosedWindow, ns })
    }

    /// A socket with data that its program does not read.
    fn of_reader<'a>(&self, sample: &'a Sample, reader: &'a Seen) -> Option<Stall<'a>> {
        let socket = &reader.socket;
        let receives = [State::ESTABLISHED, State::FIN_WAIT1, State::FIN_WAIT2].contains(&socket.state);
        let ns = self.is_old(reader.unread_ns.filter(|_| receives && socket.inode.is_some()))?;
        let sender = sample.other_end(socket);
        let why = match sender {
            // The connection is reported with its sender.
            Some(sender) if self.of_sender(sample, sender).is_some() => return None,
            Some(sender) if sender.socket.send_queue > 0 && sender.socket.kind == Kind::Full => Why::Unsent,
            _ if self.waits_for_an_answer(sample, reader, sender) => Why::Unanswered,
            None if socket.recv_queue >= FULL_BUFFER => Why::Unread,
            _ => return None,
        };
        Some(Stall { reader: Some(reader), sender, why, ns })
    }

    /// Whether a client waits for an answer to a request that the server has not read: the server has sent nothing since. A
    /// client that leaves data unread, such as a notice on a connection of its pool, makes no program wait.
    fn waits_for_an_answer(&self, sample: &Sample, reader: &Seen, client: Option<&Seen>) -> bool {
        let socket = &reader.socket;
        let is_there =
            client.is_none_or(|client| client.socket.kind == Kind::Full && client.socket.inode.is_some());
        socket.state == State::ESTABLISHED
            && reader.was_sent_to_last()
            && is_there
            && self.is_old(reader.still_ns).is_some()
            && is_server(sample, reader)
    }

    fn add(&mut self, sample: &Sample, stall: &Stall) {
        let who = stall.reader.and_then(|reader| holding::first(&reader.owners));
        let culprit = match (who, stall.sender, stall.reader) {
            (Some(who), _, _) => Culprit::Process(who.pid),
            (None, _, Some(reader)) => Culprit::Unknown(reader.socket.flow.netns),
            (None, Some(sender), None) => peer(sample, &sender.socket),
            (None, None, None) => return,
        };
        // The reader of a server's data is its client.
        let is_client = stall.sender.is_some_and(|sender| is_server(sample, sender));
        let pile = self.last.entry(culprit).or_default();
        pile.who = pile.who.take().or_else(|| who.cloned());
        match stall.why {
            Why::Unread => pile.unknown += 1,
            _ => pile.count += 1,
        }
        pile.of_servers += u64::from(stall.why != Why::Unread && !is_client);
        pile.unanswered += u64::from(stall.why == Why::Unanswered);
        pile.closed += u64::from(stall.why == Why::ClosedWindow);
        pile.oldest_ns = pile.oldest_ns.max(stall.ns);
        if let Some(reader) = stall.reader {
            pile.unread += u64::from(reader.socket.recv_queue);
            pile.culprits.add(reader, false);
            pile.cookies.push(reader.socket.cookie);
            let socket = &reader.socket;
            let listeners = sample.listeners(socket.flow.local_end());
            let own = listeners
                .filter(|seen| seen.owners.iter().any(|owner| who.is_some_and(|who| who.pid == owner.pid)));
            pile.listeners.extend(own.map(|seen| seen.socket.cookie));
        }
        if let Some(sender) = stall.sender {
            pile.unsent += u64::from(sender.socket.send_queue);
            pile.waiters.add(sender, false);
        }
    }
}

/// The culprit at the other end, which was not seen. At an address of this host, it is no remote peer.
fn peer(sample: &Sample, sender: &Socket) -> Culprit {
    let (netns, address) = (sender.flow.netns, sender.flow.remote.address);
    if sample.is_here(netns, address) {
        return Culprit::Unknown(netns);
    }
    Culprit::Peer(netns.filter(|_| is_of_one_namespace(address)), address)
}

/// Whether data waits for the peer's window.
fn has_closed_window(seen: &Seen) -> bool {
    let socket = &seen.socket;
    let sends =
        [State::ESTABLISHED, State::CLOSE_WAIT, State::FIN_WAIT1, State::LAST_ACK].contains(&socket.state);
    let is_closed = socket.info.is_some_and(|info| info.snd_wnd == 0 && info.notsent_bytes > 0);
    sends && socket.kind == Kind::Full && (seen.has_closed_window() || is_closed)
}

impl Detector for Stalled {
    fn sample(&mut self, sample: &Sample) {
        self.last.clear();
        self.conditions.clone_from(&sample.processes);
        for seen in sample.sockets.iter().filter(|seen| seen.socket.kind == Kind::Full) {
            // Where the connection has begun to close and the reader is unknown, another finding reports it.
            let has_begun_to_close = [State::FIN_WAIT1, State::LAST_ACK].contains(&seen.socket.state);
            let of_sender = self.of_sender(sample, seen);
            let of_sender = of_sender.filter(|stall| stall.reader.is_some() || !has_begun_to_close);
            for stall in [of_sender, self.of_reader(sample, seen)].into_iter().flatten() {
                self.add(sample, &stall);
            }
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let behind = Chain::of(self);
        let roots = self.last.iter().filter(|(culprit, _)| behind.is_root(**culprit));
        roots.map(|(culprit, pile)| self.finding(*culprit, pile, &behind)).collect()
    }
}
