//! Writing a record.

use tcptrace_common::{
    ClosingRecord, DeviceRecord, IPPROTO_TCP, KIND_TRANSITION, RecordFlags, TCP_CLOSE, TCP_LISTEN,
    TCP_SYN_RECV, TransitionRecord,
};

use crate::{
    batch::{Class, Lost, Slot},
    sock::{Sock, Tuple},
    task::Task,
};

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
        if flags & RecordFlags::LOCK_OWNED != 0 {
            flags |= task.kind();
        }
        let sk_err = sock.error();
        if sk_err.is_some() {
            flags |= RecordFlags::ERROR;
        }
        Self { tuple: sock.tuple(), netns: sock.netns(), flags, sk_err: sk_err.unwrap_or(0) }
    }
}

/// Adds a record to this CPU's batch.
///
/// # Errors
/// [`Lost`]: the ring has no room for the batch.
#[inline(always)]
pub(crate) fn emit<S: Sock>(sock: &S, task: &Task, view: &View, facts: &Facts) -> Result<(), Lost> {
    let Some(slot) = Slot::take() else { return Err(Lost::one(Class::Transition)) };
    let mut flags = 0;
    // SAFETY: there is room for either, and what may follow it; every byte that is read is written.
    unsafe {
        if facts.new == TCP_CLOSE {
            // Written where they are read: kernels before 6.3 refuse to copy what may have no value yet.
            if sock.close_metrics(&raw mut (*slot.record()).metrics) {
                flags |= RecordFlags::METRICS;
            }
            if sock.close_evidence(&raw mut (*slot.record()).evidence) {
                flags |= RecordFlags::EVIDENCE;
            }
        }
        if facts.new == TCP_LISTEN && sock.has_listened() {
            flags |= RecordFlags::LISTENED;
        }
        if facts.old == TCP_LISTEN && facts.new == TCP_SYN_RECV && sock.may_be_steered() {
            flags |= RecordFlags::STEERED;
        }
    }
    let mut size = if flags & RecordFlags::CLOSING == 0 {
        size_of::<TransitionRecord>()
    } else {
        size_of::<ClosingRecord>()
    };
    let ifindex = sock.bound_device();
    // SAFETY: as above.
    unsafe {
        if ifindex != 0 {
            slot.record().byte_add(size).cast::<DeviceRecord>().write(DeviceRecord { ifindex, reserved: 0 });
            flags |= RecordFlags::DEVICE;
            size += size_of::<DeviceRecord>();
        }
        fill(slot.record().cast(), sock, task, view, facts, flags);
    }
    slot.add(size, Class::Transition)
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
