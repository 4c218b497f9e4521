//! The independent witness: tracefs' own `sock:inet_sock_set_state` event, in a separate instance.

use std::{collections::HashSet, net::IpAddr, ops::RangeInclusive};

use crate::{
    init,
    instance::{Instance, ktime_ns},
    transition::{Transition, Tuple},
};

const EVENT: &str = "events/sock/inet_sock_set_state";

/// A tracefs instance that records the event.
#[derive(Debug)]
pub struct Tracefs(Instance);

impl Tracefs {
    /// Starts recording transitions of sockets with a port in `ports`, at most `buffer_kib` on each CPU. `number` must
    /// be unique among the tests that run now.
    pub fn start(number: u16, ports: &RangeInclusive<u16>, buffer_kib: u32) -> Self {
        let this = Self(Instance::new(&number.to_string(), buffer_kib));
        let (first, last) = (ports.start(), ports.end());
        let filter =
            format!("(sport >= {first} && sport <= {last}) || (dport >= {first} && dport <= {last})");
        this.0.set(&format!("{EVENT}/filter"), &filter);
        this.0.set(&format!("{EVENT}/enable"), "1");
        this
    }

    /// The transitions so far: real transitions of TCP, in order of time, children with their own ends.
    pub fn transitions(&self) -> Vec<Transition> {
        let mut transitions: Vec<Transition> = self.0.log().lines().filter_map(parse).collect();
        transitions.sort_by_key(|transition| transition.ktime_ns);
        with_peers(&without_leftovers(transitions))
    }

    /// The number of events of all kinds in the time of process 1, which some kernels hide from tracers; see [`init`].
    pub fn during_init(&self) -> usize {
        let threads = init::threads();
        let of_init = |line: &&str| pid(line).is_some_and(|pid| threads.iter().any(|thread| thread == pid));
        self.0.log().lines().filter(of_init).count()
    }

    /// The number of events of all kinds so far; cheap.
    pub fn entries(&self) -> u64 {
        self.0.entries()
    }
}

/// The transitions without those of pre-existing connections. Such connections belong to an earlier test with these
/// ports; its namespace is gone, but the kernel is still closing its connections.
fn without_leftovers(mut all: Vec<Transition>) -> Vec<Transition> {
    let mut known = HashSet::new();
    all.retain(|transition| {
        let begins = matches!(transition.old.as_str(), "CLOSE" | "LISTEN" | "SYN_SENT" | "SYN_RECV");
        if begins {
            known.insert(transition.tuple);
        }
        begins || known.contains(&transition.tuple)
    });
    all
}

/// The transitions with the own ends of new children. Kernels up to 6.12 show a new child with the listener's ends; its
/// own are in its next transition.
fn with_peers(all: &[Transition]) -> Vec<Transition> {
    let mut complete = all.to_vec();
    let mut used = vec![false; all.len()];
    for (index, transition) in complete.iter_mut().enumerate() {
        if transition.old == "LISTEN" && transition.new == "SYN_RECV" && transition.tuple.rport == 0 {
            let next = (index + 1..all.len()).find(|next| {
                let next = (&all[*next], used[*next]);
                next.0.old == "SYN_RECV" && next.0.tuple.lport == transition.tuple.lport && !next.1
            });
            if let Some(next) = next {
                used[next] = true;
                transition.tuple = all[next].tuple;
            }
        }
    }
    complete
}

/// The running thread, from a line of `trace`: `comm-pid [cpu] ...`.
fn pid(line: &str) -> Option<&str> {
    let (head, _) = line.rsplit_once(": inet_sock_set_state: ")?;
    let (thread, _) = head.rsplit_once('[')?;
    Some(thread.trim_end().rsplit_once('-')?.1)
}

/// Parses a line of `trace`, if it is a transition of a TCP socket to another state.
fn parse(line: &str) -> Option<Transition> {
    let (head, event) = line.rsplit_once(": inet_sock_set_state: ")?;
    let field = |name: &str| {
        event.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')).expect("a known field")
    };
    if field("protocol") != "IPPROTO_TCP" || field("oldstate") == field("newstate") {
        return None;
    }
    let v6 = field("family") == "AF_INET6";
    let address = |v4: &str, name6: &str| {
        let text = if v6 { field(name6) } else { field(v4) };
        text.parse::<IpAddr>().expect("an address")
    };
    let port = |name: &str| field(name).parse().expect("a port");
    let tuple = Tuple {
        laddr: address("saddr", "saddrv6"),
        lport: port("sport"),
        raddr: address("daddr", "daddrv6"),
        rport: port("dport"),
    };
    let state = |name: &str| field(name).trim_start_matches("TCP_").to_owned();
    Some(Transition {
        ktime_ns: ktime_ns(head).expect("a time"),
        tuple: tuple.canonical(),
        old: state("oldstate"),
        new: state("newstate"),
        json: serde_json::Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "  a: b c-77    [001] b..2.  2701.744205: inet_sock_set_state: family=AF_INET6 \
        protocol=IPPROTO_TCP sport=0 dport=9999 saddr=127.0.0.1 daddr=127.0.0.1 saddrv6=::ffff:127.0.0.1 \
        daddrv6=::ffff:127.0.0.1 oldstate=TCP_CLOSE newstate=TCP_SYN_SENT";

    #[test]
    fn a_line_is_understood() {
        let transition = parse(LINE).expect("a transition");
        assert_eq!(transition.ktime_ns, 2_701_744_205_000);
        assert_eq!(transition.to_string(), "2701.744205 127.0.0.1 0 > 127.0.0.1 9999: CLOSE -> SYN_SENT");
        assert_eq!(pid(LINE), Some("77"));
    }

    #[test]
    fn a_child_has_the_ends_that_it_shows_next() {
        let child = |old: &str, new: &str, rport: u16| {
            let states = format!("oldstate=TCP_{old} newstate=TCP_{new}");
            let line = LINE.replace("oldstate=TCP_CLOSE newstate=TCP_SYN_SENT", &states);
            parse(&line.replace("dport=9999", &format!("dport={rport}"))).expect("a transition")
        };
        let log = [child("LISTEN", "SYN_RECV", 0), child("LISTEN", "SYN_RECV", 0)];
        let next = [child("SYN_RECV", "ESTABLISHED", 7), child("SYN_RECV", "ESTABLISHED", 8)];
        let ports = |log: &[Transition]| log.iter().map(|event| event.tuple.rport).collect::<Vec<_>>();
        let whole = [log.as_slice(), &next].concat();
        assert_eq!(ports(&with_peers(&whole)), [7, 8, 7, 8]);
        assert_eq!(ports(&with_peers(&log)), [0, 0]);
    }

    #[test]
    fn other_protocols_and_no_change_are_left_out() {
        assert!(parse(&LINE.replace("IPPROTO_TCP", "IPPROTO_MPTCP")).is_none());
        assert!(parse(&LINE.replace("TCP_CLOSE", "TCP_SYN_SENT")).is_none());
        assert!(parse("# tracer: nop").is_none());
    }
}
