//! The transitions of one socket, assembled from a log that does not identify sockets.

use crate::transition::{Transition, Tuple};

/// One socket's transitions from its first to CLOSE.
#[derive(Clone, Debug)]
pub struct Chain(pub Vec<Transition>);

impl Chain {
    /// The states of the socket, the first one included.
    pub fn states(&self) -> Vec<&str> {
        let first = self.0.first().map(|first| first.old.as_str());
        first.into_iter().chain(self.0.iter().map(|transition| transition.new.as_str())).collect()
    }

    /// The last ends of the socket, when both ports were known.
    pub fn tuple(&self) -> Tuple {
        self.last().tuple
    }

    fn last(&self) -> &Transition {
        self.0.last().expect("a chain has a transition")
    }

    /// Whether `next` can be the next transition of the same socket.
    fn continues_with(&self, next: &Transition) -> bool {
        let (last, new) = (self.last().tuple, next.tuple);
        let same_local = last.laddr == new.laddr && last.lport == new.lport;
        let same_remote = last.raddr == new.raddr && last.rport == new.rport;
        // connect() enters SYN_SENT before it chooses the port: the transition shows port 0, or the port of an earlier
        // connection.
        let unbound = last.lport == 0 || (self.0.len() == 1 && self.last().old == "CLOSE");
        let now_bound = unbound && last.laddr == new.laddr && same_remote;
        self.last().new == next.old
            && next.old != "CLOSE"
            && !(next.old == "LISTEN" && next.new == "SYN_RECV")
            && ((same_local && same_remote) || now_bound)
    }
}

/// Assembles transitions, in order of time, into sockets.
pub fn chains(transitions: &[Transition]) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    for transition in transitions {
        match chains.iter_mut().find(|chain| chain.continues_with(transition)) {
            Some(chain) => chain.0.push(transition.clone()),
            None => chains.push(Chain(vec![transition.clone()])),
        }
    }
    chains
}
