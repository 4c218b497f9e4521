//! Entries of the ring: the kernel side makes them, and captures have them.

use std::fmt::Write as _;

use tcptrace_core::{
    model::event::Observed,
    pipeline::{
        decode::{self, DecodeError},
        half_open,
    },
};

/// `data` is an entry.
///
/// # Panics
/// What is made of it does not hold together.
pub fn records(data: &[u8]) {
    let mut at = 0;
    for record in decode::records(data) {
        assert!(data[at..].starts_with(record) && !record.is_empty(), "records are the entry's parts");
        at += record.len();
        one(record);
    }
    assert_eq!(at, data.len(), "and all of it");
    one(data);
}

fn one(record: &[u8]) {
    let mut text = String::new();
    match decode::decode(record) {
        Ok(Observed::Transition(event)) => {
            assert!(!decode::is_signal(record) && !decode::is_half_open(record));
            assert_eq!(event.ktime_ns, decode::ktime_ns(record));
            assert_eq!(event.flow.local.address.is_ipv4(), event.flow.remote.address.is_ipv4());
            // Writing to memory does not fail.
            let _ = write!(text, "{} {} {event:?}", event.old_state, event.new_state);
        }
        Ok(Observed::Signal(signal)) => {
            assert!(decode::is_signal(record));
            let _ = write!(text, "{signal:?}");
        }
        Err(DecodeError::Short(len)) => assert_eq!(len, record.len()),
        Err(DecodeError::Kind(_)) => assert!(!decode::is_signal(record)),
    }
    if let Ok(event) = half_open::decode(record) {
        assert!(decode::is_half_open(record));
        let _ = write!(text, "{event:?}");
    }
}
