//! What several scans tell of a socket: its age, whether data moves, whether its program reads.

use tcptrace_core::{
    diagnosis::detect::{Ages, Seen},
    model::{socket::Info, state::State},
};

use crate::common::scans::{INFO, SECOND, scan, socket};

/// A connection at one scan: bytes acknowledged and received, bytes that wait to be read, and seconds since data came and
/// was sent.
#[derive(Clone, Copy)]
struct At {
    acked: u64,
    received: u64,
    unread: u32,
    silent_s: u32,
}

fn seen(state: State, at: At) -> Seen {
    let mut seen = socket(state, 1, 812);
    seen.socket.recv_queue = at.unread;
    let silent_ms = at.silent_s * 1_000;
    seen.socket.info = Some(Info {
        bytes_acked: at.acked,
        bytes_received: at.received,
        last_data_sent_ms: Some(silent_ms),
        last_data_recv_ms: Some(silent_ms),
        ..INFO
    });
    seen
}

/// What scans ten seconds apart tell at the last of them: seconds without data, and with data unread.
fn told(state: State, scans: &[At]) -> (Option<u64>, Option<u64>) {
    let mut ages = Ages::default();
    let mut last = (None, None);
    for (number, at) in (1..).zip(scans) {
        let mut sample = scan(1_000 + 10 * number, vec![seen(state, *at)]);
        ages.apply(&mut sample);
        last = (sample.sockets[0].still_ns, sample.sockets[0].unread_ns);
    }
    (last.0.map(|ns| ns / SECOND), last.1.map(|ns| ns / SECOND))
}

const IDLE: At = At { acked: 100, received: 100, unread: 0, silent_s: 0 };

#[test]
fn data_that_moves_is_no_standstill() {
    let streams = [0, 1, 2].map(|number| At { acked: number * 500, ..IDLE });
    assert_eq!(told(State::CLOSE_WAIT, &streams), (Some(0), None));
    assert_eq!(told(State::CLOSE_WAIT, &[IDLE; 3]), (Some(20), None), "by the scans alone");
    let silent = At { silent_s: 45, ..IDLE };
    assert_eq!(
        told(State::ESTABLISHED, &[silent]),
        (Some(45), None),
        "as the kernel tells at the first scan"
    );
}

/// What was sent long ago, and is acknowledged only now.
#[test]
fn a_late_acknowledgement_is_progress() {
    let late = [0, 1].map(|number| At { acked: number * 500, silent_s: 60, ..IDLE });
    assert_eq!(told(State::ESTABLISHED, &late).0, Some(10), "since the scan before, at the most");
    let [first, acknowledged] = late;
    assert_eq!(
        told(State::ESTABLISHED, &[first, acknowledged, acknowledged]).0,
        Some(20),
        "and still since then"
    );
}

/// A segment that is sent again and again without an answer moves nothing.
#[test]
fn a_retransmission_is_no_progress() {
    let again = At { silent_s: 1, ..IDLE };
    assert_eq!(told(State::ESTABLISHED, &[again; 4]).0, Some(31));
}

#[test]
fn who_reads_slowly_reads() {
    let unread = At { received: 1_000, unread: 900, silent_s: 30, ..IDLE };
    assert_eq!(told(State::ESTABLISHED, &[unread; 2]).1, Some(40));
    let reads = [900, 800, 700].map(|unread| At { received: 1_000, unread, silent_s: 30, ..IDLE });
    assert_eq!(told(State::ESTABLISHED, &reads).1, Some(0));
    // Between its last two reads there may be two scans, as at the end of a watch.
    let between = [900, 800, 800].map(|unread| At { received: 1_000, unread, silent_s: 30, ..IDLE });
    assert_eq!(told(State::ESTABLISHED, &between).1, Some(10), "since the scan that saw it read");
    let read = [unread, At { unread: 0, ..unread }];
    assert_eq!(told(State::ESTABLISHED, &read).1, None);
}

/// The peer's FIN counts as a byte that nobody reads.
#[test]
fn a_fin_is_no_data() {
    let fin = At { unread: 1, silent_s: 30, ..IDLE };
    assert_eq!(told(State::CLOSE_WAIT, &[fin]).1, None);
    assert_eq!(told(State::ESTABLISHED, &[fin]).1, Some(30));
    assert_eq!(told(State::CLOSE_WAIT, &[At { unread: 2, ..fin }]).1, Some(30));
}
