//! Reserve, fill, submit.

use core::ffi::c_void;

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use tcptrace_common::{
    ClosingRecord, IPPROTO_TCP, KIND_TRANSITION, RecordFlags, TCP_CLOSE, TransitionRecord,
};

use crate::{config::config, maps::EVENTS, sock::Sock, task::Task};

/// How many records a CPU submits between two looks at the fill level: a look costs about as much as a third
/// of a record, and at this stride disappears.
const LOOK_EVERY: u64 = 64;

/// What the socket does not tell of a transition.
pub(crate) struct Facts {
    /// [`RecordFlags`] of the verdict.
    pub(crate) flags: u16,
    pub(crate) ktime_ns: u64,
    pub(crate) since_ns: u64,
    pub(crate) old: u8,
    pub(crate) new: u8,
}

/// Who may be acting on a socket, and its error.
pub(crate) struct Standing {
    /// [`RecordFlags`].
    pub(crate) flags: u16,
    /// 0 where it is unknown.
    pub(crate) sk_err: i32,
}

impl Standing {
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
        match sock.error() {
            None => Self { flags, sk_err: 0 },
            Some(sk_err) => Self { flags: flags | RecordFlags::ERROR, sk_err },
        }
    }
}

/// Puts a record on the ring; `false` when there is no room. `delivered` is this CPU's count so far.
#[inline(always)]
pub(crate) fn emit<S: Sock>(sock: &S, task: &Task, facts: &Facts, delivered: u64) -> bool {
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
        fill(record.cast(), sock, task, facts, metrics_flag);
    }
    entry.submit(wakeup(delivered));
    true
}

/// Copies every field from where the kernel has it straight into the record: whatever is kept in between costs
/// a trip through the stack.
///
/// # Safety
/// `record` points to room for one.
#[inline(always)]
unsafe fn fill<S: Sock>(record: *mut TransitionRecord, sock: &S, task: &Task, facts: &Facts, flags: u16) {
    // SAFETY: the caller's promise.
    unsafe {
        let standing = Standing::of(sock, task);
        (&raw mut (*record).kind).write(KIND_TRANSITION);
        (&raw mut (*record).flags).write(facts.flags | flags | standing.flags);
        (&raw mut (*record).sk_err).write(standing.sk_err);
        (&raw mut (*record).netns).write(sock.netns());
        (&raw mut (*record).ktime_ns).write(facts.ktime_ns);
        (&raw mut (*record).since_ns).write(facts.since_ns);
        (&raw mut (*record).skaddr).write(sock.address());
        (&raw mut (*record).cookie).write(sock.cookie());
        let tuple = sock.tuple();
        (&raw mut (*record).family).write(tuple.family as u8);
        (&raw mut (*record).protocol).write(IPPROTO_TCP as u8);
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
