//! Processes that connect or listen for the first time. What they are can be read in `/proc` only while they live, and commands
//! end long before their records are read: so user space is told of them by a ring of its own, and woken for it.

use aya_ebpf::{bindings::BPF_RB_FORCE_WAKEUP, helpers::generated::bpf_ringbuf_output};
use tcptrace_common::{Known, RecordFlags, TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT};

use crate::{
    config::known,
    maps::{ARRIVALS, NEWCOMERS},
    shared::Shared,
    task::Task,
};

/// In the upper bits which 1.07 seconds it is, in the lower eight how often user space has been woken in them.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.woken")]
static WOKEN: Shared = Shared::new();

/// Wakeups in 1.07 seconds: each costs as much as many records.
const MOST: u32 = 200;
/// How far to shift nanoseconds for that time.
const PERIOD_BITS: u32 = 30;

/// Tells user space at once of a process that begins a socket's life, unless it has been told of that under this name before:
/// `execve()` gives it another one.
#[inline(always)]
pub(crate) fn notice(task: &Task, flags: u16, old: u8, new: u8, ktime_ns: u64) {
    if !known(Known::NEWCOMERS) || old != TCP_CLOSE || !matches!(new, TCP_SYN_SENT | TCP_LISTEN) {
        return;
    }
    let key = task.program();
    if flags & RecordFlags::KERNEL_THREAD != 0 || NEWCOMERS.get_ptr(key).is_some() {
        return;
    }
    // One that comes when there were enough is a newcomer the next time, too.
    if may_wake(ktime_ns) {
        // A map that is full forgets the one that was not seen for the longest time; a ring that is full has enough for now.
        let _ = NEWCOMERS.insert(key, 1, 0);
        let mut pid = u64::from(task.tgid());
        // SAFETY: eight bytes of the stack.
        unsafe {
            bpf_ringbuf_output(
                (&raw const ARRIVALS).cast_mut().cast(),
                (&raw mut pid).cast(),
                size_of::<u64>() as u64,
                u64::from(BPF_RB_FORCE_WAKEUP),
            );
        }
    }
}

/// Counts a wakeup, unless there were enough. Two CPUs that do so at once may count one for both.
#[inline(always)]
fn may_wake(ktime_ns: u64) -> bool {
    let period = (ktime_ns >> PERIOD_BITS) as u32;
    let before = WOKEN.get();
    let count = if before >> 8 == period & 0x00ff_ffff { before & 0xff } else { 0 };
    if count >= MOST {
        return false;
    }
    WOKEN.set(period << 8 | (count + 1));
    true
}
