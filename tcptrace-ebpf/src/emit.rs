//! Reserve, fill, submit.

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use tcptrace_common::{ClosingRecord, KIND_TRANSITION, RecordFlags, TCP_CLOSE, TransitionRecord};

use crate::{
    config::config,
    maps::EVENTS,
    sock::{Sock, Tuple},
    task::Task,
};

/// How many records a CPU submits between two looks at the fill level: a look costs about as much as a third
/// of a record, and at this stride disappears.
const LOOK_EVERY: u64 = 64;

/// What is known of a transition once it has passed the filters.
pub(crate) struct Facts {
    pub(crate) flags: u16,
    pub(crate) ktime_ns: u64,
    pub(crate) since_ns: u64,
    pub(crate) cookie: u64,
    pub(crate) sk_err: Option<i32>,
    pub(crate) old: u8,
    pub(crate) new: u8,
}

/// Puts a record on the ring; `false` when there is no room. `delivered` is this CPU's count so far.
#[inline(always)]
pub(crate) fn emit<S: Sock>(
    sock: &S,
    task: &Task,
    facts: &Facts,
    tuple: &Tuple,
    netns: u32,
    delivered: u64,
) -> bool {
    if facts.new == TCP_CLOSE
        && let Some(metrics) = sock.close_metrics()
    {
        let Some(mut entry) = EVENTS.reserve::<ClosingRecord>(0) else { return false };
        let record = entry.as_mut_ptr();
        // SAFETY: the entry is ours, aligned to 8 and large enough; every byte that is read is written.
        unsafe {
            fill(&raw mut (*record).transition, sock, task, facts, tuple, netns, RecordFlags::METRICS);
            (&raw mut (*record).metrics).write(metrics);
        }
        entry.submit(wakeup(delivered));
        return true;
    }
    let Some(mut entry) = EVENTS.reserve::<TransitionRecord>(0) else { return false };
    // SAFETY: as above.
    unsafe { fill(entry.as_mut_ptr(), sock, task, facts, tuple, netns, 0) };
    entry.submit(wakeup(delivered));
    true
}

/// Writes every field of a record in place: a copy through the stack would double its cost.
///
/// # Safety
/// `record` points to room for one.
#[inline(always)]
unsafe fn fill<S: Sock>(
    record: *mut TransitionRecord,
    sock: &S,
    task: &Task,
    facts: &Facts,
    tuple: &Tuple,
    netns: u32,
    flags: u16,
) {
    let error_flag = if facts.sk_err.is_some() { RecordFlags::ERROR } else { 0 };
    // SAFETY: the caller's promise.
    unsafe {
        (&raw mut (*record).kind).write(KIND_TRANSITION);
        (&raw mut (*record).flags).write(facts.flags | flags | error_flag);
        (&raw mut (*record).ktime_ns).write(facts.ktime_ns);
        (&raw mut (*record).since_ns).write(facts.since_ns);
        (&raw mut (*record).skaddr).write(sock.address());
        (&raw mut (*record).cookie).write(facts.cookie);
        (&raw mut (*record).netns).write(netns);
        (&raw mut (*record).sk_err).write(facts.sk_err.unwrap_or(0));
        (&raw mut (*record).family).write(tuple.family as u8);
        (&raw mut (*record).protocol).write(tcptrace_common::IPPROTO_TCP as u8);
        (&raw mut (*record).lport).write(tuple.lport);
        (&raw mut (*record).rport).write(tuple.rport);
        (&raw mut (*record).old_state).write(facts.old);
        (&raw mut (*record).new_state).write(facts.new);
        (&raw mut (*record).laddr).write(tuple.laddr);
        (&raw mut (*record).raddr).write(tuple.raddr);
        task.fill(record);
    }
}

/// Whether to wake the reader. It comes by itself every few milliseconds, and a wakeup for each record would
/// cost the host more than all the rest; so wake it only when the ring fills faster than that.
#[inline(always)]
fn wakeup(delivered: u64) -> u64 {
    let due = delivered % LOOK_EVERY == LOOK_EVERY - 1;
    if due && EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) >= u64::from(config().watermark) {
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}
