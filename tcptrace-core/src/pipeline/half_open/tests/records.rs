//! Tests with records of the ring, and with bytes that are no record.

use proptest::prelude::*;
use tcptrace_common::{HALF_OPEN_RETRANSMIT, HALF_OPEN_SYN, KIND_HALF_OPEN};

use super::*;

fn record(what: u16, family: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(KIND_HALF_OPEN.to_ne_bytes());
    bytes.extend(what.to_ne_bytes());
    bytes.extend(NETNS.to_ne_bytes());
    for word in [5_u64, 6, 7] {
        bytes.extend(word.to_ne_bytes());
    }
    for half in [family, 80, 1_024, 0] {
        bytes.extend(half.to_ne_bytes());
    }
    bytes.extend([[0; 10].as_slice(), &[0xff, 0xff, 192, 0, 2, 1]].concat());
    bytes.extend([[0; 10].as_slice(), &[0xff, 0xff, 203, 0, 113, 9]].concat());
    bytes
}

#[test]
fn records_decode() {
    let decoded = decode(&record(HALF_OPEN_SYN, 2)).expect("a record");
    assert_eq!((decoded.kind, decoded.ktime_ns, decoded.netns_cookie), (EventKind::Syn, 5, Some(6)));
    assert_eq!(decoded.connection, Connection { cookie: 7, ..connection(9) });
    let decoded = decode(&record(HALF_OPEN_RETRANSMIT, 10)).expect("a record");
    assert_eq!(decoded.kind, EventKind::Retransmit);
    assert!(decoded.connection.flow.local.address.is_ipv4(), "IPv4 on an IPv6 listener is IPv4");
    assert!(decode(&record(9, 2)).is_err());
    let record = record(HALF_OPEN_SYN, 2);
    assert!((0..record.len()).all(|len| decode(&record[..len]).is_err()));
    let entry = [record.clone(), record.clone(), vec![2, 0, 0]].concat();
    let lengths: Vec<_> = crate::pipeline::decode::records(&entry).map(<[u8]>::len).collect();
    assert_eq!(lengths, [72, 72, 3]);
}

proptest! {
    /// Any bytes decode to an event or to an error.
    #[test]
    fn nothing_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in any::<bool>()) {
        if let (true, Some(start)) = (kind, bytes.get_mut(..2)) {
            start.copy_from_slice(&KIND_HALF_OPEN.to_ne_bytes());
        }
        let _ = decode(&bytes);
        prop_assert_eq!(crate::pipeline::decode::records(&bytes).map(<[u8]>::len).sum::<usize>(), bytes.len());
    }
}
