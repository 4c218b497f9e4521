//! The order of the table.

use std::net::IpAddr;

use crate::model::{socket::Socket, state::State};

/// The course of a life: what serves, what begins, what talks, what the program here has yet to close, what is being
/// closed, what is over. Within a state by local port: first the services.
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

/// Where a state stands in the course; those without a name follow, by their number.
pub fn rank(state: State) -> usize {
    let place = COURSE.iter().position(|other| *other == state);
    place.unwrap_or(COURSE.len() + usize::from(state.0))
}

/// Sorts.
pub fn sort(sockets: &mut [Box<Socket>]) {
    // The key is made once of each.
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
