//! Reserve, fill, submit.

use core::ffi::c_void;

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use tcptrace_common::{
    ClosingRecord, IPPROTO_TCP, KIND_TRANSITION, RecordFlags, TCP_CLOSE, TransitionRecord,
};

use crate::{
    config::config,
    maps::EVENTS,
    sock::{Sock, Tuple},
    task::Task,
};

/// How many records a CPU submits between two looks at the fill level: a look costs about as much as a third
/// of a record, and at this stride disappears.
const LOOK_EVERY: u64 = 64;

/// What is known of a transition besides its socket.
pub(crate) struct Facts {
    /// [`RecordFlags`] of the verdict.
    pub(crate) flags: u16,
    pub(crate) ktime_ns: u64,
    pub(crate) since_ns: u64,
    pub(crate) cookie: u64,
    pub(crate) old: u8,
    pub(crate) new: u8,
}

/// What both the filters and the record need of the socket: with the fallback hook each read is a call, so it is
/// made once.
pub(crate) struct View {
    pub(crate) tuple: Tuple,
    pub(crate) netns: u32,
    /// [`RecordFlags`]: who may be acting on the socket, and whether its error is known.
    pub(crate) flags: u16,
    /// 0 where it is unknown.
    pub(crate) sk_err: i32,
}

impl View {
    #[inline(always)]
    pub(crate) fn of<S: Sock>(sock: &S, task: &Task) -> Self {
        let mut flags = match sock.lock_owned() {
            None => 0,
            Some(false) => RecordFlags::LOCK_KNOWN,
            Some(true) => RecordFlags::LOCK_KNOWN | RecordFlags::LOCK_OWNED,
        };
        if flags & RecordFlags::LOCK_OWNED != 0 && task.is_kernel_thread() {
            flags |= RecordFlags::KERNEL_THREAD;
        }
        let sk_err = sock.error();
        if sk_err.is_some() {
            flags |= RecordFlags::ERROR;
        }
        Self { tuple: sock.tuple(), netns: sock.netns(), flags, sk_err: sk_err.unwrap_or(0) }
    }
}

/// Puts a record on the ring; `false` when there is no room. `delivered` is this CPU's count so far.
#[inline(always)]
pub(crate) fn emit<S: Sock>(sock: &S, task: &Task, view: &View, facts: &Facts, delivered: u64) -> bool {
    let metrics = if facts.new == TCP_CLOSE { sock.close_metrics() } else { None };
    let size = if metrics.is_some() { size_of::<ClosingRecord>() } else { size_of::<TransitionRecord>() };
    let Some(mut entry) = EVENTS.reserve_bytes(size, 0) else { return false };
    // Without a type, since it is one of two; either is aligned to 8, as is every entry.
    let record = entry.as_mut_ptr().cast::<c_void>();
    // SAFETY: the entry is ours and of that size; every byte that is read is written.
    unsafe {
        if let Some(metrics) = metrics {
            (&raw mut (*record.cast::<ClosingRecord>()).metrics).write(metrics);
        }
        let metrics_flag = if metrics.is_some() { RecordFlags::METRICS } else { 0 };
        fill(record.cast(), sock, task, view, facts, metrics_flag);
    }
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
    view: &View,
    facts: &Facts,
    flags: u16,
) {
    // SAFETY: the caller's promise.
    unsafe {
        (&raw mut (*record).kind).write(KIND_TRANSITION);
        (&raw mut (*record).flags).write(facts.flags | flags | view.flags);
        (&raw mut (*record).sk_err).write(view.sk_err);
        (&raw mut (*record).netns).write(view.netns);
        (&raw mut (*record).ktime_ns).write(facts.ktime_ns);
        (&raw mut (*record).since_ns).write(facts.since_ns);
        (&raw mut (*record).skaddr).write(sock.address());
        (&raw mut (*record).cookie).write(facts.cookie);
        (&raw mut (*record).family).write(view.tuple.family as u8);
        (&raw mut (*record).protocol).write(IPPROTO_TCP as u8);
        (&raw mut (*record).lport).write(view.tuple.lport);
        (&raw mut (*record).rport).write(view.tuple.rport);
        (&raw mut (*record).old_state).write(facts.old);
        (&raw mut (*record).new_state).write(facts.new);
        (&raw mut (*record).laddr).write(view.tuple.laddr);
        (&raw mut (*record).raddr).write(view.tuple.raddr);
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
