//! The road of one transition: count, filter, emit.

use aya_ebpf::{EbpfContext, helpers::generated::bpf_ktime_get_ns};
use tcptrace_common::{
    AF_INET, AbortRecord, Counters, ECONNABORTED, IPPROTO_TCP, KIND_ABORT, Known, MODE_COUNT, MODE_STREAM,
    RecordFlags, STATE_SLOTS, Subject, TCP_CLOSE, TCP_LISTEN, context_owns, state_slot,
};

use crate::{
    account,
    config::{config, known},
    diagnostics,
    emit::{self, Facts, View},
    filter::{self, Candidate, Verdict},
    maps::{SINCE, Since, counters},
    newcomers, sampling, signal,
    sock::Sock,
    task::Task,
};

/// A transition that has been counted.
pub(crate) struct Transition {
    counters: &'static mut Counters,
    old: u8,
    new: u8,
}

/// Counts one event of the hook; `None` when that is all there is to do. `old` and `new` are as the kernel gives
/// them, `protocol` is `sk_protocol`.
#[inline(always)]
pub(crate) fn count<C: EbpfContext>(ctx: &C, protocol: u16, old: i32, new: i32) -> Option<Transition> {
    let counters = counters()?;
    if protocol != IPPROTO_TCP {
        one_more(&mut counters.other_protocol);
        return None;
    }
    if old == new {
        one_more(&mut counters.same_state);
        return None;
    }
    let (old, new) = (state(old), state(new));
    let (old_slot, new_slot) = (slot(old), slot(new));
    one_more(&mut counters.seen[old_slot][new_slot]);
    if old_slot == 0 || new_slot == 0 {
        diagnostics::unknown_state(ctx.as_ptr(), old, new);
    }
    if config().mode == MODE_COUNT && config().filter.active == 0 {
        one_more(&mut counters.delivered);
        return None;
    }
    Some(Transition { counters, old, new })
}

/// An event that changes no state tells only one thing: `tcp_abort()` closes a listener, then whatever waits in its queue,
/// and sets its error and closes it once more.
#[inline(always)]
pub(crate) fn repeated<C: EbpfContext, S: Sock>(ctx: &C, state: i32, sock: &S) {
    let is_closed = state == i32::from(TCP_CLOSE) && config().mode == MODE_STREAM;
    if is_closed && sock.error() == Some(ECONNABORTED) {
        signal::send(ctx, sampling::leaves_out_all(), |ktime_ns| AbortRecord {
            kind: KIND_ABORT,
            reserved: 0,
            padding: 0,
            ktime_ns,
            skaddr: sock.address(),
            cookie: sock.cookie(),
        });
    }
}

/// Filters a transition, and reports it.
#[inline(always)]
pub(crate) fn report<C: EbpfContext, S: Sock>(ctx: &C, transition: Transition, sock: &S, task: &Task) {
    let Transition { counters, old, new } = transition;
    if config().filter.active != 0 {
        let view = View::of(sock, task);
        filtered(ctx, counters, sock, task, &view, old, new);
        return;
    }
    if is_left_out(sock, old, new) {
        one_more(&mut counters.sampled_out);
        return;
    }
    let view = View::of(sock, task);
    let facts = Facts { flags: 0, ktime_ns: now(), since_ns: 0, cookie: sock.cookie(), old, new };
    stream(ctx, counters, sock, task, &view, &facts);
}

/// Whether it is only counted, since there are too many. Listeners are few, and the others' owners come from them.
#[inline(always)]
fn is_left_out<S: Sock>(sock: &S, old: u8, new: u8) -> bool {
    if matches!((old, new), (TCP_CLOSE, TCP_LISTEN) | (TCP_LISTEN, TCP_CLOSE)) {
        return sampling::leaves_out_all();
    }
    sampling::leaves_out(|| {
        let cookie = sock.cookie();
        if cookie != 0 {
            return sampling::key(cookie, 0, 0);
        }
        let tuple = sock.tuple();
        sampling::key(cookie, tuple.lport, tuple.rport)
    })
}

/// A transition that the user may not want.
#[inline(always)]
fn filtered<C: EbpfContext, S: Sock>(
    ctx: &C,
    counters: &mut Counters,
    sock: &S,
    task: &Task,
    view: &View,
    old: u8,
    new: u8,
) {
    let subject = Subject {
        laddr: view.tuple.laddr,
        raddr: view.tuple.raddr,
        netns: view.netns,
        inet: view.tuple.family == AF_INET,
    };
    let candidate = Candidate {
        tuple: &view.tuple,
        subject: &subject,
        old,
        new,
        skaddr: sock.address(),
        actor: if context_owns(view.flags, view.sk_err, old, new) { Some(task) } else { None },
        exiting: view.flags & RecordFlags::EXITING != 0,
    };
    let verdict = filter::verdict(&candidate);

    // Counting has no use for what only serves other records.
    let streaming = config().mode == MODE_STREAM;
    let dropped = verdict == Verdict::Drop || (!streaming && verdict == Verdict::Hidden);
    let by_state = config().filter.by_state();
    if dropped {
        one_more(&mut counters.filtered);
    } else if !streaming {
        one_more(&mut counters.delivered);
    }
    if !streaming || (dropped && !by_state) {
        return;
    }
    let ktime_ns = now();
    let cookie = sock.cookie();
    let since_ns = if by_state { since(sock, ktime_ns, cookie, new) } else { 0 };
    if dropped {
        return;
    }
    if is_left_out(sock, old, new) {
        // What is hidden serves other records only.
        if verdict == Verdict::Hidden {
            one_more(&mut counters.filtered);
        } else {
            one_more(&mut counters.sampled_out);
        }
        return;
    }
    let flags = match verdict {
        Verdict::Undecided => RecordFlags::UNDECIDED,
        Verdict::Hidden => RecordFlags::HIDDEN,
        Verdict::Pass | Verdict::Drop => 0,
    };
    stream(ctx, counters, sock, task, view, &Facts { flags, ktime_ns, since_ns, cookie, old, new });
}

/// Sends a transition on its way, and counts what became of it.
#[inline(always)]
fn stream<C: EbpfContext, S: Sock>(
    ctx: &C,
    counters: &mut Counters,
    sock: &S,
    task: &Task,
    view: &View,
    facts: &Facts,
) {
    one_more(&mut counters.delivered);
    newcomers::notice(task, view.flags, facts.old, facts.new, facts.ktime_ns);
    if let Err(lost) = emit::emit(sock, task, view, facts) {
        account::lost(ctx, &lost);
    }
}

/// Counts one, in one instruction where this program may come in between: that takes longer.
#[inline(always)]
fn one_more(counter: &mut u64) {
    if known(Known::NESTS) {
        // SAFETY: a field of a map value.
        unsafe { account::add(counter, 1) };
    } else {
        *counter += 1;
    }
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// The matrix index of a state. The mask is opaque to the compiler, which would drop it as needless; the verifier
/// needs to see it.
#[inline(always)]
fn slot(state: u8) -> usize {
    core::hint::black_box(state_slot(state)) & (STATE_SLOTS - 1)
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
