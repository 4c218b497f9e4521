//! Connections as their records, in the order of time.

use super::record::{End, Step};

/// Transitions of a connection that comes and goes, both ends included.
pub const PER_LIFE: u32 = 10;
/// The time from one connection to the next.
pub const PERIOD_NS: u64 = 10_000;
/// The time from one transition of a connection to its next: about a hundred connections overlap.
const STEP_NS: u64 = 100_000;

const fn call(old: u8, new: u8) -> Step {
    Step { old, new, is_call: true }
}

const fn packet(old: u8, new: u8) -> Step {
    Step { old, new, is_call: false }
}

/// The transitions of a life, each with the end that makes it. The client connects and closes first. States by their
/// numbers: 1 ESTABLISHED, 2 SYN_SENT, 3 SYN_RECV, 4 FIN_WAIT1, 5 FIN_WAIT2, 7 CLOSE, 8 CLOSE_WAIT, 9 LAST_ACK, 10
/// LISTEN.
const LIFE: [(bool, Step); PER_LIFE as usize] = [
    (false, call(7, 2)),
    (true, packet(10, 3)),
    (false, packet(2, 1)),
    (true, packet(3, 1)),
    (false, call(1, 4)),
    (true, packet(1, 8)),
    (false, packet(4, 5)),
    (true, call(8, 9)),
    (false, packet(5, 7)),
    (true, packet(9, 7)),
];

/// Records in an entry of the ring: about as many as the kernel side puts into one.
const PER_ENTRY: usize = 16;

/// Entries with the records of this many connections that come and go, from `start_ns` on.
pub fn lives(connections: u32, start_ns: u64) -> Vec<Vec<u8>> {
    let mut steps: Vec<(u64, u32, bool, Step)> = (0..connections)
        .flat_map(|connection| {
            let begun_ns = start_ns + PERIOD_NS * u64::from(connection);
            let times = (0_u64..).map(move |number| begun_ns + STEP_NS * number);
            times.zip(LIFE).map(move |(at_ns, (is_server, step))| (at_ns, connection, is_server, step))
        })
        .collect();
    // The sort is stable: the transitions of a connection stay in their order.
    steps.sort_by_key(|(at_ns, ..)| *at_ns);
    let entry = |steps: &[(u64, u32, bool, Step)]| {
        let mut bytes = Vec::new();
        for &(at_ns, connection, is_server, step) in steps {
            End { connection, is_server }.record(step, at_ns, &mut bytes);
        }
        bytes
    };
    steps.chunks(PER_ENTRY).map(entry).collect()
}

/// Appends the records of a socket that is opened at this time and stays open. Even numbers are sockets that have
/// connected, odd ones sockets that have been accepted. Each belongs to a different connection.
pub fn open(number: u32, ktime_ns: u64, bytes: &mut Vec<u8>) {
    let is_server = number % 2 == 1;
    let steps = if is_server { [packet(10, 3), packet(3, 1)] } else { [call(7, 2), packet(2, 1)] };
    for (step, at_ns) in steps.into_iter().zip(ktime_ns..) {
        End { connection: number, is_server }.record(step, at_ns, bytes);
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_core::{
        model::{event::Observed, transition::Transition},
        pipeline::{
            decode::{decode, ktime_ns, records},
            tracker::{Options, Tracker},
        },
    };

    use super::*;

    fn tracked<'a>(all: impl IntoIterator<Item = &'a [u8]>) -> (Tracker, usize) {
        let (mut tracker, mut ends) = (Tracker::new(Options::default()), 0);
        for record in all {
            let Ok(Observed::Transition(event)) = decode(record) else { panic!("no transition") };
            tracker.track(&mut Transition::of(event), |transition| {
                ends += usize::from(transition.closing.is_some());
            });
        }
        (tracker, ends)
    }

    #[test]
    fn lives_come_in_order_and_end() {
        let entries = lives(500, 1_000);
        let all: Vec<&[u8]> = entries.iter().flat_map(|entry| records(entry)).collect();
        assert!(all.iter().map(|record| ktime_ns(record)).is_sorted());
        assert_eq!(all.len(), 500 * PER_LIFE as usize);
        let (tracker, ends) = tracked(all);
        assert_eq!((tracker.len(), ends), (0, 1_000));
    }

    #[test]
    fn open_ones_stay() {
        let mut bytes = Vec::new();
        (0..500).for_each(|number| open(number, u64::from(number) * PERIOD_NS, &mut bytes));
        assert_eq!(records(&bytes).count(), 500 * 2);
        let (tracker, ends) = tracked(records(&bytes));
        assert_eq!((tracker.len(), ends), (500, 0));
    }
}
