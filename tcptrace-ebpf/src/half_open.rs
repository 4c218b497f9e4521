//! The road of a half-open connection: count, filter, emit. As for a transition, but with an account of its own.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use tcptrace_common::{AF_INET, HALF_OPEN_SYN, HalfOpenRecord, KIND_HALF_OPEN, MODE_STREAM, Subject};

use crate::{
    account::{self, add},
    batch::{Class, Lost, Slot},
    config::config,
    filter,
    maps::HALF_OPEN,
    sampling,
    sock::Tuple,
};

/// What a probe tells of a half-open connection. Unknown values are 0.
pub(crate) struct Seen {
    /// `HALF_OPEN_SYN` or `HALF_OPEN_RETRANSMIT`.
    pub(crate) what: u16,
    pub(crate) tuple: Tuple,
    /// Inode of the network namespace.
    pub(crate) netns: u32,
    pub(crate) netns_cookie: u64,
    pub(crate) cookie: u64,
}

/// Counts, filters and sends it. `seen` is asked for only where it is sent.
#[inline(always)]
pub(crate) fn report(what: u16, seen: impl FnOnce() -> Seen) {
    let Some(counters) = HALF_OPEN.get_ptr_mut(0) else { return };
    // SAFETY: fields of a map value.
    unsafe {
        if what == HALF_OPEN_SYN {
            add(&raw mut (*counters).syns, 1);
        } else {
            add(&raw mut (*counters).retransmits, 1);
        }
    }
    if config().mode != MODE_STREAM {
        return;
    }
    let seen = seen();
    if config().filter.active != 0 && !wanted(&seen) {
        // SAFETY: as above.
        return unsafe { add(&raw mut (*counters).filtered, 1) };
    }
    if sampling::leaves_out(|| sampling::key(seen.cookie, seen.tuple.lport, seen.tuple.rport)) {
        // SAFETY: as above.
        return unsafe { add(&raw mut (*counters).sampled_out, 1) };
    }
    if let Err(lost) = emit(&seen) {
        account::count(&lost);
    }
}

/// The filters on addresses and ports. Those on namespace, process and state are user space's, which knows more of
/// these.
#[inline(always)]
fn wanted(seen: &Seen) -> bool {
    let subject = Subject {
        laddr: seen.tuple.laddr,
        raddr: seen.tuple.raddr,
        netns: seen.netns,
        inet: seen.tuple.family == AF_INET,
    };
    config().filter.addresses_pass(&subject) && filter::ports_pass(&seen.tuple)
}

/// Adds a record to this CPU's batch.
#[inline(always)]
fn emit(seen: &Seen) -> Result<(), Lost> {
    let Some(slot) = Slot::take() else { return Err(Lost::one(Class::HalfOpen)) };
    let record: *mut HalfOpenRecord = slot.record().cast();
    // SAFETY: there is room for it; every byte that is read is written; the helper has no arguments.
    unsafe {
        (&raw mut (*record).kind).write(KIND_HALF_OPEN);
        (&raw mut (*record).what).write(seen.what);
        (&raw mut (*record).netns).write(seen.netns);
        (&raw mut (*record).ktime_ns).write(bpf_ktime_get_ns());
        (&raw mut (*record).netns_cookie).write(seen.netns_cookie);
        (&raw mut (*record).cookie).write(seen.cookie);
        (&raw mut (*record).family).write(seen.tuple.family);
        (&raw mut (*record).lport).write(seen.tuple.lport);
        (&raw mut (*record).rport).write(seen.tuple.rport);
        (&raw mut (*record).reserved).write(0);
        (&raw mut (*record).laddr).write(seen.tuple.laddr);
        (&raw mut (*record).raddr).write(seen.tuple.raddr);
    }
    slot.add(size_of::<HalfOpenRecord>(), Class::HalfOpen)
}
