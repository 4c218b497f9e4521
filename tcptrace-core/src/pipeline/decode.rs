//! Decodes the bytes of the ring buffer, without trusting them.

use std::mem::offset_of;

use bytes::Buf;
use tcptrace_common::{
    AbortRecord, Address, CloseEvidence, CloseMetrics, ClosingRecord, DeviceRecord, ErrorRecord,
    HalfOpenRecord, KIND_ABORT, KIND_ERROR, KIND_HALF_OPEN, KIND_RESET, KIND_RETRANSMIT, KIND_TRANSITION,
    RecordFlags, ResetRecord, RetransmitRecord, TransitionRecord, context_owns,
};
use thiserror::Error;

use crate::model::{
    address,
    event::{Abort, Context, Device, ErrorReport, Event, Observed, Reset, Signal, Verdict},
    state::State,
};

/// A record that the kernel side of this version does not send.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Fewer bytes than a record of its kind has.
    #[error("a record of {0} bytes is too short")]
    Short(usize),
    /// A kind of record that this version does not know.
    #[error("a record of unknown kind {0}")]
    Kind(u16),
}

/// Splits an entry of the ring into its records. A record of an unknown kind includes everything that follows it.
pub fn records(mut entry: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (record, rest) = entry.split_at(record_len(entry));
        entry = rest;
        (!record.is_empty()).then_some(record)
    })
}

/// The length of the first record of an entry in bytes, at most that of the entry.
fn record_len(entry: &[u8]) -> usize {
    let mut bytes = entry;
    let len = match (bytes.try_get_u16_ne(), bytes.try_get_u16_ne()) {
        (Ok(KIND_TRANSITION), Ok(flags)) => transition_len(flags),
        (Ok(KIND_RESET), Ok(_)) => size_of::<ResetRecord>(),
        (Ok(KIND_RETRANSMIT), Ok(_)) => size_of::<RetransmitRecord>(),
        (Ok(KIND_ERROR), Ok(_)) => size_of::<ErrorRecord>(),
        (Ok(KIND_ABORT), Ok(_)) => size_of::<AbortRecord>(),
        (Ok(KIND_HALF_OPEN), Ok(_)) => size_of::<HalfOpenRecord>(),
        _ => entry.len(),
    };
    len.min(entry.len())
}

/// The length of a transition with these flags in bytes.
fn transition_len(flags: u16) -> usize {
    let has = |bits| flags & bits != 0;
    let record =
        if has(RecordFlags::CLOSING) { size_of::<ClosingRecord>() } else { size_of::<TransitionRecord>() };
    record + if has(RecordFlags::DEVICE) { size_of::<DeviceRecord>() } else { 0 }
}

/// Whether a record is a signal.
pub fn is_signal(mut record: &[u8]) -> bool {
    matches!(record.try_get_u16_ne(), Ok(KIND_RESET | KIND_RETRANSMIT | KIND_ERROR | KIND_ABORT))
}

/// Whether a record is the signal of a retransmitted segment, which keeps its place between the transitions of its time.
pub fn is_retransmit(mut record: &[u8]) -> bool {
    record.try_get_u16_ne() == Ok(KIND_RETRANSMIT)
}

/// Whether a record is of a half-open connection; its decoder is [`crate::pipeline::half_open::decode`].
pub fn is_half_open(mut record: &[u8]) -> bool {
    record.try_get_u16_ne() == Ok(KIND_HALF_OPEN)
}

/// The time when a record was made, nanoseconds of `CLOCK_MONOTONIC`; 0 when the record is too short.
pub fn ktime_ns(record: &[u8]) -> u64 {
    record
        .get(offset_of!(TransitionRecord, ktime_ns)..)
        .map_or(0, |mut bytes| bytes.try_get_u64_ne().unwrap_or(0))
}

/// Old and new state of a transition; 0, which is no state, when the record is too short.
pub fn states(record: &[u8]) -> (u8, u8) {
    let at = |offset| record.get(offset).copied().unwrap_or(0);
    (at(offset_of!(TransitionRecord, old_state)), at(offset_of!(TransitionRecord, new_state)))
}

/// Decodes one record. Bytes after the known fields are ignored.
///
/// # Errors
/// [`DecodeError`]; never panics, whatever the bytes.
pub fn decode(mut bytes: &[u8]) -> Result<Observed, DecodeError> {
    let len = bytes.len();
    let kind = bytes.try_get_u16_ne().map_err(|_| DecodeError::Short(len))?;
    match kind {
        KIND_TRANSITION => transition(bytes).map(Observed::Transition),
        KIND_RESET => reset(bytes).map(Observed::Signal),
        KIND_RETRANSMIT => retransmit(bytes).map(Observed::Signal),
        KIND_ERROR => error(bytes).map(Observed::Signal),
        KIND_ABORT => abort(bytes).map(Observed::Signal),
        kind => return Err(DecodeError::Kind(kind)),
    }
    .ok_or(DecodeError::Short(len))
}

/// Decodes a [`ResetRecord`] from the bytes after its kind; `None` when it is too short.
fn reset(mut bytes: &[u8]) -> Option<Signal> {
    let sent = bytes.try_get_u16_ne().ok()? != 0;
    let reason = bytes.try_get_u32_ne().ok()?;
    let ktime_ns = bytes.try_get_u64_ne().ok()?;
    let skaddr = bytes.try_get_u64_ne().ok()?;
    let cookie = bytes.try_get_u64_ne().ok()?;
    let ports = (bytes.try_get_u16_ne().ok()?, bytes.try_get_u16_ne().ok()?);
    Some(Signal::Reset(Reset { ktime_ns, skaddr, cookie, ports, sent, reason }))
}

/// Decodes a [`RetransmitRecord`] from the bytes after its kind; `None` when it is too short.
fn retransmit(mut bytes: &[u8]) -> Option<Signal> {
    bytes.try_get_uint_ne(6).ok()?;
    bytes.try_get_u64_ne().ok()?;
    Some(Signal::Retransmit { skaddr: bytes.try_get_u64_ne().ok()? })
}

/// Decodes an [`AbortRecord`] from the bytes after its kind; `None` when it is too short.
fn abort(mut bytes: &[u8]) -> Option<Signal> {
    bytes.try_get_uint_ne(6).ok()?;
    let ktime_ns = bytes.try_get_u64_ne().ok()?;
    let skaddr = bytes.try_get_u64_ne().ok()?;
    Some(Signal::Abort(Abort { ktime_ns, skaddr, cookie: bytes.try_get_u64_ne().ok()? }))
}

/// Decodes an [`ErrorRecord`] from the bytes after its kind; `None` when it is too short.
fn error(mut bytes: &[u8]) -> Option<Signal> {
    if bytes.len() + size_of::<u16>() < size_of::<ErrorRecord>() {
        return None;
    }
    let (lport, rport, _reserved) = (bytes.get_u16_ne(), bytes.get_u16_ne(), bytes.get_u16_ne());
    let ktime_ns = bytes.get_u64_ne();
    let (laddr, raddr) = (address(&mut bytes), address(&mut bytes));
    let flow = address::flow(None, 0, (laddr, lport), (raddr, rport));
    let error = bytes.get_i32_ne();
    Some(Signal::Error(ErrorReport { ktime_ns, flow, error }))
}

/// Decodes a [`TransitionRecord`] from the bytes after its kind, in the order of its fields; `None` when it is too short.
fn transition(mut bytes: &[u8]) -> Option<Event> {
    if bytes.len() + size_of::<u16>() < size_of::<TransitionRecord>() {
        return None;
    }
    let flags = bytes.get_u16_ne();
    let netns = bytes.get_u32_ne();
    let ktime_ns = bytes.get_u64_ne();
    let since_ns = bytes.get_u64_ne();
    let skaddr = bytes.get_u64_ne();
    let cookie = bytes.get_u64_ne();
    let cgroup_id = bytes.get_u64_ne();
    let (pid, tid, uid) = (bytes.get_u32_ne(), bytes.get_u32_ne(), bytes.get_u32_ne());
    let sk_err = bytes.get_i32_ne();
    let (family, _protocol) = (bytes.get_u8(), bytes.get_u8());
    let (lport, rport) = (bytes.get_u16_ne(), bytes.get_u16_ne());
    let (old, new) = (bytes.get_u8(), bytes.get_u8());
    let laddr = address(&mut bytes);
    let raddr = address(&mut bytes);
    let mut comm = [0; 16];
    bytes.copy_to_slice(&mut comm);

    let is_listener = State(old) == State::LISTEN;
    let (metrics, evidence) =
        if flags & RecordFlags::CLOSING == 0 { (None, None) } else { closing(&mut bytes, flags)? };
    let ifindex = if flags & RecordFlags::DEVICE == 0 { 0 } else { bytes.try_get_u32_ne().ok()? };
    // A listener transfers nothing; its zeros would look like measured values.
    let metrics = metrics.filter(|_| !is_listener);
    let netns = (netns != 0).then_some(netns);
    let flow = address::flow(netns, family, (laddr, lport), (raddr, rport));
    let context = Context {
        pid,
        tid,
        uid,
        comm,
        cgroup_id,
        in_process: (flags & RecordFlags::LOCK_KNOWN != 0).then_some(flags & RecordFlags::LOCK_OWNED != 0),
        exiting: flags & RecordFlags::EXITING != 0,
    };
    Some(Event {
        ktime_ns,
        since_ns: (since_ns != 0).then_some(since_ns),
        skaddr,
        cookie,
        flow,
        device: (ifindex != 0).then_some(Device { ifindex, name: None }),
        old_state: State(old),
        new_state: State(new),
        context_owns: context_owns(flags, sk_err, old, new) && !context.is_bystander(),
        context,
        process: None,
        error: (flags & RecordFlags::ERROR != 0).then_some(sk_err),
        metrics,
        evidence,
        has_listened: flags & RecordFlags::LISTENED != 0,
        steered: flags & RecordFlags::STEERED != 0,
        verdict: match flags {
            f if f & RecordFlags::HIDDEN != 0 => Verdict::Hidden,
            f if f & RecordFlags::UNDECIDED != 0 => Verdict::Undecided,
            _ => Verdict::Pass,
        },
    })
}

/// Decodes the fields of a `ClosingRecord` after the transition, each part where the flags announce it; `None` when the
/// record is too short.
fn closing(bytes: &mut &[u8], flags: u16) -> Option<(Option<CloseMetrics>, Option<CloseEvidence>)> {
    if bytes.len() < size_of::<ClosingRecord>() - size_of::<TransitionRecord>() {
        return None;
    }
    let metrics = CloseMetrics {
        bytes_acked: bytes.get_u64_ne(),
        bytes_received: bytes.get_u64_ne(),
        srtt_us: bytes.get_u32_ne(),
        retransmits: bytes.get_u32_ne(),
    };
    let evidence = CloseEvidence {
        user_timeout_ms: bytes.get_u32_ne(),
        segs_out: bytes.get_u32_ne(),
        unsent: bytes.get_u32_ne(),
        unread: bytes.get_u32_ne(),
        flags: bytes.get_u8(),
        shutdown: bytes.get_u8(),
        retransmits: bytes.get_u8(),
        probes_out: bytes.get_u8(),
        facts: bytes.get_u32_ne(),
    };
    Some((
        (flags & RecordFlags::METRICS != 0).then_some(metrics),
        (flags & RecordFlags::EVIDENCE != 0).then_some(evidence),
    ))
}

/// Decodes an address; `bytes` must have sixteen or more.
pub(crate) fn address(bytes: &mut &[u8]) -> Address {
    let mut octets = [0; 16];
    bytes.copy_to_slice(&mut octets);
    Address::from_v6(octets)
}
