//! The order of the table.

use std::net::IpAddr;

use crate::model::{socket::Socket, state::State};

/// The states along the life of a socket: listening, beginning, connected, to be closed by the program here, closing, over.
/// Within a state, sockets are sorted by local port, so that the services come first.
const COURSE: [State; 11] = [
    State::LISTEN,
    State::SYN_SENT,
    State::SYN_RECV,
    State::ESTABLISHED,
    State::CLOSE_WAIT,
    State::LAST_ACK,
    State::FIN_WAIT1,
    State::FIN_WAIT2,
    State::CLOSING,
    State::TIME_WAIT,
    State::CLOSE,
];

/// The place of a state in the course. States without a name follow, by their number.
pub fn rank(state: State) -> usize {
    let place = COURSE.iter().position(|other| *other == state);
    place.unwrap_or(COURSE.len() + usize::from(state.0))
}

/// Sorts sockets in the order of the table.
pub fn sort(sockets: &mut [Box<Socket>]) {
    // The key of each socket is made once.
    sockets.sort_by_cached_key(|socket| {
        let remote = (bits(socket.flow.remote.address), socket.flow.remote.port);
        (
            rank(socket.state),
            socket.flow.local.port,
            socket.flow.netns,
            bits(socket.flow.local.address),
            remote,
            (socket.ifindex, socket.cookie),
        )
    });
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_place_and_unknown_ones_come_last() {
        let mut places: Vec<usize> = (1..=11).map(|number| rank(State(number))).collect();
        places.sort_unstable();
        assert_eq!(places, (0..11).collect::<Vec<_>>());
        assert!(rank(State(13)) > rank(State::CLOSE) && rank(State(14)) > rank(State(13)));
    }
}
