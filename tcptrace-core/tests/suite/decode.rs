//! Decoding the kernel side's records: right where they are right, and never a panic.

use proptest::prelude::*;
use tcptrace_common::{
    Address, CloseEvidence, CloseMetrics, KIND_ABORT, KIND_ERROR, KIND_RESET, KIND_RETRANSMIT,
    KIND_TRANSITION, LARGEST_RECORD, RecordFlags,
};
use tcptrace_core::{
    model::{
        event::{Abort, Device, ErrorReport, Event, Observed, Reset, Signal, Verdict},
        flow::{Endpoint, Flow},
        state::State,
    },
    pipeline::decode::{DecodeError, decode, is_signal, records},
};

/// The bytes of a record, field by field in the order of `TransitionRecord`.
struct Bytes {
    kind: u16,
    flags: u16,
    family: u8,
    laddr: Address,
    raddr: Address,
    states: (u8, u8),
    sk_err: i32,
    comm: [u8; 16],
}

impl Bytes {
    fn new() -> Self {
        Self {
            kind: KIND_TRANSITION,
            flags: RecordFlags::LOCK_KNOWN | RecordFlags::ERROR,
            family: 2,
            laddr: Address::from_v4([192, 0, 2, 1]),
            raddr: Address::from_v4([198, 51, 100, 7]),
            states: (1, 8),
            sk_err: 0,
            comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0",
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(55_u32.to_ne_bytes());
        for word in [11_u64, 0, 22, 33, 44] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [66_u32, 77, 88] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(self.sk_err.to_ne_bytes());
        bytes.extend([self.family, 6]);
        for port in [80_u16, 40_000] {
            bytes.extend(port.to_ne_bytes());
        }
        bytes.extend([self.states.0, self.states.1]);
        bytes.extend(self.laddr.octets());
        bytes.extend(self.raddr.octets());
        bytes.extend(self.comm);
        bytes
    }
}

fn transition(bytes: &[u8]) -> Event {
    match decode(bytes) {
        Ok(Observed::Transition(event)) => event,
        other => panic!("no transition: {other:?}"),
    }
}

#[test]
fn every_field_arrives() {
    let event = transition(&Bytes::new().encode());
    assert_eq!((event.ktime_ns, event.since_ns, event.skaddr, event.cookie), (11, None, 22, 33));
    assert_eq!((event.context.cgroup_id, event.flow.netns), (44, Some(55)));
    assert_eq!((event.context.pid, event.context.tid, event.context.uid), (66, 77, 88));
    assert_eq!((event.flow.local.port, event.flow.remote.port), (80, 40_000));
    assert_eq!(
        (event.flow.local.address.to_string(), event.flow.remote.address.to_string()),
        ("192.0.2.1".into(), "198.51.100.7".into())
    );
    assert_eq!((event.old_state, event.new_state), (State::ESTABLISHED, State::CLOSE_WAIT));
    assert_eq!((event.error, event.metrics, event.context.in_process), (Some(0), None, Some(false)));
    assert_eq!((event.verdict, event.context_owns, event.flow.family()), (Verdict::Pass, false, 4));
}

/// What follows a transition to CLOSE.
fn closing() -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend([1_u64, 2].map(u64::to_ne_bytes).concat());
    bytes.extend([3_u32, 4, 5, 6, 7, 10].map(u32::to_ne_bytes).concat());
    bytes.extend([1, 3, 8, 9, 0, 0, 0, 0]);
    bytes
}

#[test]
fn what_a_close_brings_follows_when_announced_and_must() {
    let metrics = CloseMetrics { bytes_acked: 1, bytes_received: 2, srtt_us: 3, retransmits: 4 };
    let evidence = CloseEvidence {
        user_timeout_ms: 5,
        segs_out: 6,
        unsent: 7,
        unread: 10,
        flags: 1,
        shutdown: 3,
        retransmits: 8,
        probes_out: 9,
        facts: 0,
    };
    for (flags, expected) in [
        (RecordFlags::METRICS, (Some(metrics), None)),
        (RecordFlags::EVIDENCE, (None, Some(evidence))),
        (RecordFlags::CLOSING, (Some(metrics), Some(evidence))),
    ] {
        let mut bytes = Bytes { flags, states: (9, 7), ..Bytes::new() }.encode();
        assert_eq!(decode(&bytes), Err(DecodeError::Short(120)));
        bytes.extend(closing());
        let event = transition(&bytes);
        assert_eq!((event.metrics, event.evidence), expected);
        assert_eq!(event.error, None);
        assert_eq!(records(&[bytes.clone(), bytes.clone()].concat()).count(), 2);
    }
}

#[test]
fn a_device_follows_either_record() {
    for (flags, states, between) in [(0, (1, 8), vec![]), (RecordFlags::CLOSING, (9, 7), closing())] {
        let flags = flags | RecordFlags::DEVICE;
        let mut bytes = [Bytes { flags, states, ..Bytes::new() }.encode(), between].concat();
        assert!(decode(&bytes).is_err(), "it must");
        bytes.extend([7_u32, 0].map(u32::to_ne_bytes).concat());
        assert_eq!(transition(&bytes).device, Some(Device { ifindex: 7, name: None }));
        assert_eq!(records(&[bytes.clone(), bytes].concat()).count(), 2);
    }
    assert_eq!(transition(&Bytes::new().encode()).device, None);
}

#[test]
fn a_reset_is_told_with_its_reason() {
    let mut bytes = Vec::new();
    bytes.extend([KIND_RESET, 1].map(u16::to_ne_bytes).concat());
    bytes.extend(20_u32.to_ne_bytes());
    bytes.extend([11_u64, 22, 33].map(u64::to_ne_bytes).concat());
    bytes.extend([80_u16, 4_000, 0, 0].map(u16::to_ne_bytes).concat());
    let reset = Reset { ktime_ns: 11, skaddr: 22, cookie: 33, ports: (80, 4_000), sent: true, reason: 20 };
    assert_eq!(decode(&bytes), Ok(Observed::Signal(Signal::Reset(reset))));
    let two = [bytes.clone(), Bytes::new().encode()].concat();
    assert_eq!(records(&two).map(<[u8]>::len).collect::<Vec<_>>(), [40, 120]);
    assert_eq!(decode(&bytes[..31]), Err(DecodeError::Short(31)));
}

#[test]
fn a_segment_sent_again_tells_whose_it_is() {
    let mut bytes = [KIND_RETRANSMIT, 0, 0, 0].map(u16::to_ne_bytes).concat();
    bytes.extend([11_u64, 22].map(u64::to_ne_bytes).concat());
    assert_eq!(decode(&bytes), Ok(Observed::Signal(Signal::Retransmit { skaddr: 22 })));
    let two = [bytes.clone(), Bytes::new().encode()].concat();
    assert_eq!(records(&two).map(<[u8]>::len).collect::<Vec<_>>(), [24, 120]);
    bytes.pop();
    assert_eq!(decode(&bytes), Err(DecodeError::Short(23)));
}

#[test]
fn a_listener_that_was_destroyed_is_told_by_address_and_cookie() {
    let mut bytes = [KIND_ABORT, 0, 0, 0].map(u16::to_ne_bytes).concat();
    bytes.extend([11_u64, 22, 33].map(u64::to_ne_bytes).concat());
    let abort = Abort { ktime_ns: 11, skaddr: 22, cookie: 33 };
    assert_eq!(decode(&bytes), Ok(Observed::Signal(Signal::Abort(abort))));
    assert!(is_signal(&bytes));
    let two = [bytes.clone(), Bytes::new().encode()].concat();
    assert_eq!(records(&two).map(<[u8]>::len).collect::<Vec<_>>(), [32, 120]);
    bytes.pop();
    assert_eq!(decode(&bytes), Err(DecodeError::Short(31)));
}

#[test]
fn flags_of_listeners_and_their_children() {
    for (flags, expected) in
        [(0, (false, false)), (RecordFlags::LISTENED, (true, false)), (RecordFlags::STEERED, (false, true))]
    {
        let bytes = Bytes { flags, ..Bytes::new() }.encode();
        let Ok(Observed::Transition(event)) = decode(&bytes) else { panic!("a transition") };
        assert_eq!((event.has_listened, event.steered), expected);
    }
}

#[test]
fn an_error_tells_of_which_connection() {
    let mut bytes = [KIND_ERROR, 4_000, 80, 0].map(u16::to_ne_bytes).concat();
    bytes.extend(11_u64.to_ne_bytes());
    for last in [1, 2] {
        bytes.extend(Address::from_v4([192, 0, 2, last]).octets());
    }
    bytes.extend([111_i32, 0].map(i32::to_ne_bytes).concat());
    let end = |last, port| Endpoint::new([192, 0, 2, last].into(), port);
    let flow = Flow { netns: None, local: end(1, 4_000), remote: end(2, 80) };
    let report = ErrorReport { ktime_ns: 11, flow, error: 111 };
    assert_eq!(decode(&bytes), Ok(Observed::Signal(Signal::Error(report))));
    let two = [bytes.clone(), Bytes::new().encode()].concat();
    assert_eq!(records(&two).map(<[u8]>::len).collect::<Vec<_>>(), [56, 120]);
    bytes.pop();
    assert_eq!(decode(&bytes), Err(DecodeError::Short(55)));
}

#[test]
fn a_process_that_ends_is_told() {
    let flags = RecordFlags::EXITING;
    assert!(transition(&Bytes { flags, ..Bytes::new() }.encode()).context.exiting);
}

#[test]
fn an_ipv6_socket_that_talks_ipv4_is_ipv4() {
    let mapped = Bytes { family: 10, laddr: Address::UNSPECIFIED, ..Bytes::new() };
    let event = transition(&mapped.encode());
    assert_eq!((event.flow.local.address.to_string(), event.flow.family()), ("0.0.0.0".into(), 4));
    let any = Bytes { family: 10, laddr: Address::UNSPECIFIED, raddr: Address::UNSPECIFIED, ..Bytes::new() };
    let event = transition(&any.encode());
    assert_eq!((event.flow.local.address.to_string(), event.flow.family()), ("::".into(), 6));
}

#[test]
fn owners_are_processes_that_hold_the_lock() {
    let owned = RecordFlags::LOCK_KNOWN | RecordFlags::LOCK_OWNED;
    let owns = |flags, sk_err, comm: &[u8; 16], states| {
        transition(&Bytes { flags, sk_err, comm: *comm, states, ..Bytes::new() }.encode()).context_owns
    };
    let nginx = b"nginx\0\0\0\0\0\0\0\0\0\0\0";
    assert!(owns(owned, 0, nginx, (1, 4)));
    assert!(!owns(owned | RecordFlags::KERNEL_THREAD, 0, nginx, (1, 4)));
    assert!(!owns(owned, 0, b"kworker/1:2-mptc", (1, 4)));
    assert!(!owns(owned, 0, b"tcptrace-holder\0", (10, 7)), "it lets go of what another one has closed");
    assert!(!owns(owned, 103, nginx, (1, 7)), "ss -K closes other people's sockets");
}

#[test]
fn strange_records_are_refused_and_strange_states_kept() {
    assert_eq!(decode(&[]), Err(DecodeError::Short(0)));
    assert_eq!(decode(&Bytes { kind: 9, ..Bytes::new() }.encode()), Err(DecodeError::Kind(9)));
    let event = transition(&Bytes { states: (13, 255), ..Bytes::new() }.encode());
    assert_eq!(
        (event.old_state.to_string(), event.new_state.to_string()),
        ("STATE_13".into(), "STATE_255".into())
    );
}

proptest! {
    #[test]
    fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn any_bytes_of_the_right_kind_decode(mut bytes in prop::collection::vec(any::<u8>(), LARGEST_RECORD..200)) {
        bytes[..2].copy_from_slice(&KIND_TRANSITION.to_ne_bytes());
        let event = transition(&bytes);
        prop_assert_eq!(event.flow.local.address.is_ipv4(), event.flow.remote.address.is_ipv4());
    }
}
