use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use tcptrace_core::model::flow::Endpoint;

const NOTHING: Facts = Facts { netns: None, fin_timeout_ms: None, now_ns: 0 };

/// An answer as the kernel writes it.
struct Answer {
    now_ns: u64,
    ifindex: u32,
    family: u8,
    state: u8,
    timer: u8,
    addresses: [[u8; 16]; 2],
    expires_ms: u32,
    uid: u32,
    inode: u32,
    attributes: Vec<u8>,
}

impl Default for Answer {
    fn default() -> Self {
        let mut this = Self {
            now_ns: 0,
            ifindex: 0,
            family: 2,
            state: State::ESTABLISHED.0,
            timer: 0,
            addresses: [v4([192, 0, 2, 1]), v4([198, 51, 100, 2])],
            expires_ms: 0,
            uid: 1000,
            inode: 77,
            attributes: Vec::new(),
        };
        this.attribute(INET_DIAG_INFO, &tcp_info(|_| 0));
        this.attribute(INET_DIAG_SKMEMINFO, &words([0, 0, 0, 0, 0, 0, 0, 0, 5]));
        this
    }
}

impl Answer {
    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.attributes.extend(attribute(kind, value));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.family, self.state, self.timer, 3];
        bytes.extend(80_u16.to_be_bytes());
        bytes.extend(40_000_u16.to_be_bytes());
        bytes.extend(self.addresses.concat());
        bytes.extend(words([
            self.ifindex,
            0x2222_2222,
            0x1111_1111,
            self.expires_ms,
            11,
            12,
            self.uid,
            self.inode,
        ]));
        bytes.extend(&self.attributes);
        bytes
    }

    fn decode(&self) -> Socket {
        let facts = Facts { netns: Some(9), fin_timeout_ms: Some(30_000), now_ns: self.now_ns };
        decode(&self.bytes(), &facts).expect("a whole answer")
    }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).expect("short");
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn words<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_ne_bytes).collect()
}

/// A `struct tcp_info`. `word` returns its 32-bit word at each offset.
fn tcp_info(word: impl Fn(usize) -> u32) -> Vec<u8> {
    (0..58).flat_map(|index| word(4 * index).to_ne_bytes()).collect()
}

fn v4(octets: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&octets);
    bytes
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_connection() {
    let mut answer = Answer { timer: 1, expires_ms: 212, ..Answer::default() };
    answer.attribute(INET_DIAG_CGROUP_ID, &0x1_0000_0007_u64.to_ne_bytes());
    answer.attribute(INET_DIAG_INFO, &tcp_info(|offset| u32::try_from(offset).expect("small")));
    answer.attribute(99, b"from a newer kernel");
    let socket = answer.decode();
    assert_eq!(socket.flow.local, Endpoint::new(ip("192.0.2.1"), 80));
    assert_eq!(socket.flow.remote, Endpoint::new(ip("198.51.100.2"), 40_000));
    assert_eq!((socket.flow.netns, socket.cookie), (Some(9), 0x1111_1111_2222_2222));
    assert_eq!((socket.kind, socket.state), (Kind::Full, State::ESTABLISHED));
    assert_eq!((socket.uid, socket.inode), (Some(1000), Some(77)));
    assert_eq!((socket.recv_queue, socket.send_queue, socket.drops), (11, 12, Some(5)));
    assert_eq!(socket.timer, Some(Timer { kind: TimerKind::On, expires_ms: 212, retransmits: 3 }));
    assert_eq!(socket.cgroup_id, Some(0x1_0000_0007));
    let info = socket.info.expect("figures");
    assert_eq!((info.srtt_us, info.unacked, info.total_retrans), (Some(68), 24, 100));
    let since = (info.last_data_sent_ms, info.last_data_recv_ms, info.last_ack_recv_ms);
    assert_eq!(since, (Some(44), Some(52), Some(56)));
    assert_eq!((info.bytes_sent, info.bytes_retrans), (Some(0xcc_0000_00c8), Some(0xd4_0000_00d0)));
    assert_eq!((info.notsent_bytes, info.snd_wnd), (144, 228));
    assert_eq!((info.bytes_acked, info.bytes_received), (0x7c_0000_0078, 0x84_0000_0080));
    assert_eq!(socket.age_at_least_ns, Some(56_000_000), "the latest of three");
}

#[test]
fn timewait_sockets_have_no_owner_and_no_figures() {
    let timewait = |state: State, timer: u8, expires_ms| {
        Answer {
            state: state.0,
            timer,
            expires_ms,
            uid: 0,
            inode: 0,
            attributes: Vec::new(),
            ..Answer::default()
        }
        .decode()
    };
    let request = timewait(State::SYN_RECV, 1, 900);
    assert_eq!((request.kind, request.age_at_least_ns), (Kind::Request, None));
    assert_eq!((request.uid, request.inode, request.drops, request.info), (None, None, None, None));
    let time_wait = timewait(State::TIME_WAIT, 3, 59_000);
    assert_eq!((time_wait.kind, time_wait.age_at_least_ns), (Kind::TimeWait, Some(1_000_000_000)));
    let fin_wait2 = timewait(State::FIN_WAIT2, 3, 20_000);
    assert_eq!((fin_wait2.kind, fin_wait2.state), (Kind::TimeWait, State::FIN_WAIT2));
    assert_eq!(fin_wait2.age_at_least_ns, Some(10_000_000_000));
    // Its program has set a longer time.
    assert_eq!(timewait(State::FIN_WAIT2, 3, 31_000).age_at_least_ns, None);
}

#[test]
fn ages_that_an_acknowledgement_bounds() {
    let with = |state: State| {
        let mut answer = Answer { state: state.0, ..Answer::default() };
        answer.attribute(INET_DIAG_INFO, &tcp_info(|offset| if offset == 56 { 4_000 } else { 9_000 }));
        answer.decode().age_at_least_ns
    };
    assert_eq!(with(State::CLOSE_WAIT), Some(4_000_000_000));
    assert_eq!(with(State::FIN_WAIT2), Some(4_000_000_000));
    assert_eq!(with(State(4)), None);
    assert_eq!(with(State::LISTEN), None);
}

/// After a simultaneous open, no data has come. The kernel returns its clock of jiffies, which begins five minutes
/// before 0.
#[test]
fn what_never_was_has_no_age() {
    let now_ms = 1_090_466;
    let with = |received: u32, sent: u32, acked: u32, clock_ms: u32| {
        let mut answer = Answer { now_ns: u64::from(now_ms) * 1_000_000, ..Answer::default() };
        answer.attribute(
            INET_DIAG_INFO,
            &tcp_info(|offset| match offset {
                tcp_info::LAST_DATA_SENT => 1_000,
                tcp_info::LAST_DATA_RECV | tcp_info::LAST_ACK_RECV => clock_ms,
                tcp_info::BYTES_RECEIVED => received,
                tcp_info::DATA_SEGS_OUT => sent,
                tcp_info::BYTES_ACKED => acked,
                _ => 0,
            }),
        );
        let socket = answer.decode();
        let info = socket.info.expect("figures");
        let age_ms = socket.age_at_least_ns.map(|ns| ns / 1_000_000);
        ((info.last_data_sent_ms, info.last_data_recv_ms, info.last_ack_recv_ms), age_ms)
    };
    let clock_ms = now_ms - 300_000 - 254;
    assert_eq!(with(0, 0, 0, clock_ms), ((Some(1_000), None, None), Some(1_000)));
    assert_eq!(with(1, 0, 0, clock_ms), ((Some(1_000), None, None), Some(1_000)), "a FIN is no data");
    // Data that has come has a time, even if that equals the clock.
    let all = (Some(1_000), Some(clock_ms), Some(clock_ms));
    assert_eq!(with(2, 1, 1, clock_ms), (all, Some(clock_ms.into())));
    // A connection that has been silent for another time.
    let idle = (Some(1_000), Some(600_000), Some(600_000));
    assert_eq!(with(0, 0, 0, 600_000), (idle, Some(600_000)));
}

#[test]
fn devices_and_transparent_sockets() {
    let mut answer = Answer { ifindex: 7, ..Answer::default() };
    assert_eq!((answer.decode().ifindex, answer.decode().transparent), (Some(7), None));
    answer.attribute(INET_DIAG_SOCKOPT, &[SOCKOPT_TRANSPARENT, 0]);
    assert_eq!(answer.decode().transparent, Some(true));
    let mut answer = Answer::default();
    answer.attribute(INET_DIAG_SOCKOPT, &[!SOCKOPT_TRANSPARENT, 0]);
    assert_eq!((answer.decode().ifindex, answer.decode().transparent), (None, Some(false)));
}

#[test]
fn addresses_in_the_family_that_they_talk() {
    let octets = |text: &str| text.parse::<std::net::Ipv6Addr>().expect("an address").octets();
    let of = |pair: [&str; 2]| {
        let socket = Answer { family: 10, addresses: pair.map(octets), ..Answer::default() }.decode();
        (socket.flow.local.address, socket.flow.remote.address)
    };
    assert_eq!(of(["2001:db8::1", "2001:db8::2"]), (ip("2001:db8::1"), ip("2001:db8::2")));
    assert_eq!(of(["::ffff:192.0.2.1", "::ffff:192.0.2.2"]), (ip("192.0.2.1"), ip("192.0.2.2")));
    assert_eq!(of(["::", "::"]), (ip("::"), ip("::")));
}

#[test]
fn names_above_tcp() {
    let is_mptcp = |name: &[u8]| {
        let mut answer = Answer::default();
        answer.attribute(INET_DIAG_ULP_INFO, &attribute(INET_ULP_INFO_NAME, name));
        answer.decode().mptcp
    };
    assert!(is_mptcp(b"mptcp\0") && is_mptcp(b"mptcp"));
    assert!(!is_mptcp(b"tls\0") && !is_mptcp(b"mptcp2\0") && !is_mptcp(b""));
}

#[test]
fn what_the_kernel_does_not_say_yet_stays_visible() {
    let socket = Answer { state: 42, timer: 9, ..Answer::default() }.decode();
    assert_eq!((socket.state, socket.timer.expect("a timer").kind), (State(42), TimerKind::Other(9)));
    assert_eq!(socket.timer.expect("a timer").kind.to_string(), "timer_9");
    let bound = Answer { state: TCP_BOUND_INACTIVE, ..Answer::default() }.decode();
    assert_eq!((bound.state, bound.info), (State::CLOSE, None));
}

#[test]
fn damaged_answers_are_refused() {
    let whole = Answer::default().bytes();
    assert_eq!(decode(&whole[..71], &NOTHING), Err(AnswerError::Short(71)));
    assert_eq!(decode(&[], &NOTHING), Err(AnswerError::Short(0)));
    assert_eq!(decode(&whole[..whole.len() - 1], &NOTHING), Err(AnswerError::Attribute));
    for (kind, value) in [
        (INET_DIAG_INFO, &[0; 100][..]),
        (INET_DIAG_SKMEMINFO, &[0; 32]),
        (INET_DIAG_CGROUP_ID, &[0; 4]),
        (INET_DIAG_SOCKOPT, &[]),
        (INET_DIAG_ULP_INFO, &[9, 0, 1, 0]),
    ] {
        let mut answer = Answer::default();
        answer.attribute(kind, value);
        assert_eq!(decode(&answer.bytes(), &NOTHING), Err(AnswerError::Attribute), "{kind}");
    }
}

proptest! {
    /// Random bytes rarely get past the first length, so the test damages whole answers, too.
    #[test]
    fn decoding_never_panics(
        noise in prop::collection::vec(any::<u8>(), 0..400),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let _ = decode(&noise, &NOTHING);
        let mut bytes = Answer::default().bytes();
        for (place, value) in damages {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let _ = decode(&bytes, &NOTHING);
        let _ = decode(
            &bytes[..end.index(bytes.len())],
            &Facts { netns: None, fin_timeout_ms: Some(u32::MAX), now_ns: u64::MAX },
        );
    }
}
