//! TCP states, by the names that the kernel uses.

use std::{fmt, str::FromStr};

use tcptrace_common::STATE_NAMES;
use thiserror::Error;

/// A TCP state by the kernel's number (`include/net/tcp_states.h`); numbers of newer kernels stay visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State(pub u8);

impl State {
    /// Data can flow.
    pub const ESTABLISHED: Self = Self(tcptrace_common::TCP_ESTABLISHED);
    /// `connect()` waits for its answer.
    pub const SYN_SENT: Self = Self(tcptrace_common::TCP_SYN_SENT);
    /// The kernel just made a child socket.
    pub const SYN_RECV: Self = Self(tcptrace_common::TCP_SYN_RECV);
    /// No connection.
    pub const CLOSE: Self = Self(tcptrace_common::TCP_CLOSE);
    /// This side closed first; its FIN is not acknowledged.
    pub const FIN_WAIT1: Self = Self(4);
    /// This side closed first; the peer has not closed.
    pub const FIN_WAIT2: Self = Self(5);
    /// The ports are kept for a time, after this side closed first.
    pub const TIME_WAIT: Self = Self(6);
    /// The peer closed, the program here has not.
    pub const CLOSE_WAIT: Self = Self(8);
    /// The peer closed first, and now this side; its FIN is not acknowledged.
    pub const LAST_ACK: Self = Self(9);
    /// Both sides closed at once; this side's FIN is not acknowledged.
    pub const CLOSING: Self = Self(11);
    /// A request socket: half-open.
    pub const NEW_SYN_RECV: Self = Self(12);
    /// A server socket.
    pub const LISTEN: Self = Self(tcptrace_common::TCP_LISTEN);

    /// The states in the order in which a socket goes through them. The states before a connection come first: the socket is
    /// closed, then it listens. TIME_WAIT, in which no full socket is, and NEW_SYN_RECV are not among them.
    pub const LIFE: [Self; 10] = [
        Self::CLOSE,
        Self::LISTEN,
        Self::SYN_SENT,
        Self::SYN_RECV,
        Self::ESTABLISHED,
        Self::FIN_WAIT1,
        Self::FIN_WAIT2,
        Self::CLOSING,
        Self::CLOSE_WAIT,
        Self::LAST_ACK,
    ];

    /// The kernel's name without `TCP_`; `None` for a number that this version does not know.
    pub fn name(self) -> Option<&'static str> {
        (self.0 != 0).then(|| STATE_NAMES.get(usize::from(self.0)).copied()).flatten()
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("STATE_{}", self.0)),
        }
    }
}

/// A word that names no state.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no TCP state is called '{0}'; the names are {names}", names = STATE_NAMES[1..].join(", "))]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    /// Accepts the kernel's names (with `TCP_` or without) and those of `ss`, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim().to_ascii_uppercase().replace('-', "_");
        let name = name.strip_prefix("TCP_").unwrap_or(&name);
        let name = match name {
            "ESTAB" | "CONNECTED" => "ESTABLISHED",
            "FIN_WAIT_1" => "FIN_WAIT1",
            "FIN_WAIT_2" => "FIN_WAIT2",
            "CLOSED" | "UNCONN" => "CLOSE",
            "LISTENING" => "LISTEN",
            other => other,
        };
        (1_u8..)
            .zip(&STATE_NAMES[1..])
            .find(|(_, known)| **known == name)
            .map(|(number, _)| Self(number))
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back() {
        for number in 1..=12 {
            assert_eq!(State(number).to_string().parse(), Ok(State(number)));
        }
    }

    #[test]
    fn names_of_ss_and_unknown_numbers() {
        assert_eq!("fin-wait-1".parse(), Ok(State(4)));
        assert_eq!("estab".parse(), Ok(State::ESTABLISHED));
        assert_eq!("tcp_close".parse(), Ok(State::CLOSE));
        assert!("UNKNOWN".parse::<State>().is_err());
        assert_eq!(State(13).to_string(), "STATE_13");
        assert_eq!(State(0).to_string(), "STATE_0");
    }
}
