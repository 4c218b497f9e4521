//! The road of one transition: count, filter, emit.

use aya_ebpf::{EbpfContext, helpers::generated::bpf_ktime_get_ns};
use tcptrace_common::{
    AF_INET, IPPROTO_TCP, MODE_STREAM, RecordFlags, STATE_SLOTS, Subject, TCP_CLOSE, context_owns, state_slot,
};

use crate::{
    config::config,
    diagnostics,
    emit::{self, Facts},
    filter::{self, Candidate, Verdict},
    maps::{SINCE, Since, counters},
    sock::Sock,
    task::Task,
};

/// Handles one event of the hook. `old` and `new` are as the kernel gives them.
#[inline(always)]
pub(crate) fn observe<C: EbpfContext, S: Sock>(ctx: &C, sock: &S, task: &Task, old: i32, new: i32) {
    let Some(counters) = counters() else { return };
    if sock.protocol() != IPPROTO_TCP {
        counters.other_protocol += 1;
        return;
    }
    if old == new {
        counters.same_state += 1;
        return;
    }
    let (old_slot, new_slot) = (slot(old), slot(new));
    counters.seen[old_slot][new_slot] += 1;
    let (old, new) = (state(old), state(new));
    if old_slot == 0 || new_slot == 0 {
        diagnostics::unknown_state(ctx.as_ptr(), old, new);
    }
    let streaming = config().mode == MODE_STREAM;
    if !streaming && config().filter.active == 0 {
        counters.delivered += 1;
        return;
    }

    let tuple = sock.tuple();
    let sk_err = sock.error();
    let mut flags = match sock.lock_owned() {
        None => 0,
        Some(false) => RecordFlags::LOCK_KNOWN,
        Some(true) => RecordFlags::LOCK_KNOWN | RecordFlags::LOCK_OWNED,
    };
    if flags & RecordFlags::LOCK_OWNED != 0 && task.is_kernel_thread() {
        flags |= RecordFlags::KERNEL_THREAD;
    }
    let subject = Subject {
        laddr: tuple.laddr,
        raddr: tuple.raddr,
        netns: sock.netns(),
        inet: tuple.family == AF_INET,
    };
    let candidate = Candidate {
        tuple: &tuple,
        subject: &subject,
        old,
        new,
        skaddr: sock.address(),
        actor: if context_owns(flags, sk_err.unwrap_or(0), old, new) { Some(task) } else { None },
    };
    let verdict = filter::verdict(&candidate);

    // Counting has no use for what only serves other records.
    let dropped = verdict == Verdict::Drop || (!streaming && verdict == Verdict::Hidden);
    let by_state = config().filter.active != 0 && config().filter.by_state();
    if dropped {
        counters.filtered += 1;
    } else if !streaming {
        counters.delivered += 1;
    }
    if !streaming || (dropped && !by_state) {
        return;
    }
    // SAFETY: no arguments.
    let ktime_ns = unsafe { bpf_ktime_get_ns() };
    let cookie = sock.cookie();
    let since_ns = if by_state { since(sock, ktime_ns, cookie, new) } else { 0 };
    if dropped {
        return;
    }
    flags |= match verdict {
        Verdict::Undecided => RecordFlags::UNDECIDED,
        Verdict::Hidden => RecordFlags::HIDDEN,
        Verdict::Pass | Verdict::Drop => 0,
    };
    let facts = Facts { flags, ktime_ns, since_ns, cookie, sk_err, old, new };
    if emit::emit(sock, task, &facts, &tuple, subject.netns, counters.delivered) {
        counters.delivered += 1;
    } else {
        counters.lost_ring_full += 1;
        // Rare even in a storm: the 1st, 2nd, 4th, 8th... loss of this CPU.
        if counters.lost_ring_full.is_power_of_two() {
            diagnostics::ring_full(ctx.as_ptr(), counters.lost_ring_full);
        }
    }
}

/// The matrix index of a state. The mask is opaque to the compiler, which would drop it as needless; the verifier
/// needs to see it.
#[inline(always)]
fn slot(number: i32) -> usize {
    core::hint::black_box(state_slot(state(number))) & (STATE_SLOTS - 1)
}

/// States are small; what is not fits no slot and shows as 255.
#[inline(always)]
fn state(number: i32) -> u8 {
    if (0..=255).contains(&number) { number as u8 } else { 255 }
}

/// When the socket entered the state that it leaves now (0: not known), noting the time for the next one.
#[inline(always)]
fn since<S: Sock>(sock: &S, ktime_ns: u64, cookie: u64, new: u8) -> u64 {
    let key = sock.address();
    // SAFETY: the value is copied out before anything else can run.
    let since = match unsafe { SINCE.get(key) } {
        // It may have had no cookie then: it gets one when someone first asks.
        Some(since) if since.cookie == cookie || since.cookie == 0 => since.ktime_ns,
        _ => 0,
    };
    if new == TCP_CLOSE {
        let _ = SINCE.remove(key);
    } else {
        let _ = SINCE.insert(key, Since { ktime_ns, cookie }, 0);
    }
    since
}
