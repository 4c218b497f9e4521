//! Whether the user wants a transition, decided before room is reserved for its record.

use tcptrace_common::{Filter, Subject, TCP_CLOSE, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT, port_in_set};

use crate::{
    config::config,
    maps::{OWNED, OWNED_PORTS, PORTS},
    sock::Tuple,
    task::Task,
};

/// What becomes of a transition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wanted.
    Pass,
    /// Wanted if its local port turns out to be; it has none yet.
    Undecided,
    /// Not wanted, but sent: others cannot be understood without it.
    Hidden,
    /// Not wanted.
    Drop,
}

/// A transition as the filters see it.
pub(crate) struct Candidate<'a> {
    pub(crate) tuple: &'a Tuple,
    pub(crate) subject: &'a Subject,
    pub(crate) old: u8,
    pub(crate) new: u8,
    pub(crate) skaddr: u64,
    /// The task, if it certainly acts on this socket.
    pub(crate) actor: Option<&'a Task>,
    /// The task is ending.
    pub(crate) exiting: bool,
}

/// Applies the filters.
///
/// `connect()` changes the state before it chooses a port, so a filter on the local port cannot decide
/// CLOSE -> SYN_SENT of a socket that was not bound: such a record is sent as undecided, and user space holds
/// it until the socket's next transition shows the port. The same goes for filters on the peer at
/// LISTEN -> SYN_RECV, where kernels up to 6.12 still show the listener's addresses.
#[inline(always)]
pub(crate) fn verdict(candidate: &Candidate<'_>) -> Verdict {
    let filter = &config().filter;
    if filter.active == 0 {
        return Verdict::Pass;
    }
    // Kept up to date by every transition, also those that other filters hide.
    let of_process = filter.tgid == 0 || belongs(filter, candidate);
    if !of_process || !filter.netns_passes(candidate.subject) {
        return Verdict::Drop;
    }
    let is_child = candidate.old == TCP_LISTEN && candidate.new == TCP_SYN_RECV;
    let mut undecided = is_child && candidate.tuple.rport == 0 && filter.by_peer();
    let wanted = || filter.addresses_pass(candidate.subject) && rport_passes(filter, candidate.tuple.rport);
    if !undecided && !wanted() {
        return Verdict::Drop;
    }
    if filter.by_lport != 0 {
        let unbound = candidate.tuple.lport == 0 && candidate.new == TCP_SYN_SENT;
        if !unbound && !port_passes(0, candidate.tuple.lport) {
            return Verdict::Drop;
        }
        undecided |= unbound;
    }
    if filter.by_state() && !filter.states_pass(candidate.old, candidate.new) {
        // Where a socket's life begins and ends user space learns whose it is, who its peer is, why it ended, and when
        // to forget it.
        let edge = candidate.new == TCP_CLOSE
            || candidate.old == TCP_CLOSE
            || candidate.old == TCP_LISTEN
            || candidate.old == TCP_SYN_RECV
            || candidate.exiting;
        return if edge { Verdict::Hidden } else { Verdict::Drop };
    }
    if undecided { Verdict::Undecided } else { Verdict::Pass }
}

/// Whether both ports pass.
#[inline(always)]
pub(crate) fn ports_pass(tuple: &Tuple) -> bool {
    let filter = &config().filter;
    (filter.by_lport == 0 || port_passes(0, tuple.lport)) && rport_passes(filter, tuple.rport)
}

#[inline(always)]
fn rport_passes(filter: &Filter, rport: u16) -> bool {
    filter.by_rport == 0 || port_passes(1, rport)
}

#[inline(always)]
fn port_passes(slot: u32, port: u16) -> bool {
    PORTS.get(slot).is_some_and(|set| port_in_set(set, port))
}

/// Whether the socket belongs to the process asked for: known from the last transition that a process made on
/// it; a new child belongs to whom its listener belongs to.
#[inline(always)]
fn belongs(filter: &Filter, candidate: &Candidate<'_>) -> bool {
    let key = candidate.skaddr;
    let port = (u64::from(candidate.subject.netns) << 32) | u64::from(candidate.tuple.lport);
    let belongs = match candidate.actor {
        Some(task) => task.tgid() == filter.tgid,
        None if candidate.old == TCP_LISTEN && candidate.new == TCP_SYN_RECV => {
            OWNED_PORTS.get_ptr(port).is_some()
        }
        None => OWNED.get_ptr(key).is_some(),
    };
    // A map that is full evicts its oldest entry; an error leaves nothing to do.
    if belongs && candidate.new != TCP_CLOSE {
        let _ = OWNED.insert(key, 1, 0);
    } else {
        let _ = OWNED.remove(key);
    }
    if belongs && candidate.new == TCP_LISTEN {
        listens(port);
    } else if belongs && candidate.old == TCP_LISTEN && candidate.new == TCP_CLOSE {
        listens_no_more(port);
    }
    belongs
}

/// One more socket listens there: on another address, or sharing it.
#[inline(always)]
fn listens(port: u64) {
    match OWNED_PORTS.get_ptr_mut(port) {
        // SAFETY: a map value.
        Some(sockets) => unsafe { *sockets += 1 },
        None => {
            let _ = OWNED_PORTS.insert(port, 1, 0);
        }
    }
}

#[inline(always)]
fn listens_no_more(port: u64) {
    match OWNED_PORTS.get_ptr_mut(port) {
        // SAFETY: a map value.
        Some(sockets) if unsafe { *sockets } > 1 => unsafe { *sockets -= 1 },
        _ => {
            let _ = OWNED_PORTS.remove(port);
        }
    }
}
