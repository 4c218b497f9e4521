//! This CPU's batch: records wait in it and go onto the ring together, when it is full or user space asks.

use core::{arch::asm, hint::black_box};

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::bpf_ringbuf_output,
};
use tcptrace_common::{BATCH_BYTES, BATCH_FULL, ClosingRecord, Flushed, Waiting};

use crate::{
    config::config,
    maps::{BATCHES, EVENTS, WAITING},
    sampling, wakeup,
};

/// Room for one record of any kind, until it is added.
///
/// The program that flushes may interrupt one of the hooks, and be interrupted by one. Whoever comes first marks
/// the batch as busy. A hook that finds it so takes the second batch, and sends it at once.
pub(crate) struct Slot {
    waiting: *mut Waiting,
    batch: *mut u64,
    at: u64,
    nested: bool,
}

/// Which of the counters a record goes into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Transition,
    Signal,
    HalfOpen,
}

/// Records that found no room on the ring.
#[derive(Clone, Copy)]
pub(crate) struct Lost {
    pub(crate) transitions: u64,
    pub(crate) signals: u64,
    pub(crate) half_open: u64,
}

impl Lost {
    /// One record.
    #[inline(always)]
    pub(crate) const fn one(class: Class) -> Self {
        let mut lost = Self { transitions: 0, signals: 0, half_open: 0 };
        match class {
            Class::Transition => lost.transitions = 1,
            Class::Signal => lost.signals = 1,
            Class::HalfOpen => lost.half_open = 1,
        }
        lost
    }
}

impl Slot {
    /// Takes hold of this CPU's batch. Never `None`; the verifier wants the checks.
    #[inline(always)]
    pub(crate) fn take() -> Option<Self> {
        let waiting = WAITING.get_ptr_mut(0)?;
        // SAFETY: a map value of this CPU.
        let nested = unsafe { (*waiting).busy } != 0;
        let batch = BATCHES.get_ptr_mut(u32::from(nested))?.cast();
        // SAFETY: as above.
        let at = unsafe {
            (*waiting).busy = 1;
            barrier();
            if nested { 0 } else { u64::from((*waiting).bytes) }
        };
        // The compiler must not see where it comes from, or it moves the check away from the use.
        let at = black_box(at);
        (at <= BATCH_FULL as u64).then_some(Self { waiting, batch, at, nested })
    }

    /// Where the record is to be written.
    #[inline(always)]
    pub(crate) fn record(&self) -> *mut ClosingRecord {
        // SAFETY: at most BATCH_FULL, see above.
        unsafe { self.batch.byte_add(self.at as usize).cast() }
    }

    /// Adds the record of `size` bytes that was written there.
    ///
    /// # Errors
    /// [`Lost`]: what of the batch found no room on the ring, this record included.
    #[inline(always)]
    pub(crate) fn add(self, size: usize, class: Class) -> Result<(), Lost> {
        let bytes = self.at + size as u64;
        let mut lost = Lost::one(class);
        // SAFETY: map values of this CPU; `busy` keeps others away from them.
        let outcome = unsafe {
            if self.nested || bytes > u64::from(config().batch) || wakeup::is_asleep() {
                if !self.nested {
                    lost.transitions += u64::from((*self.waiting).transitions);
                    lost.signals += u64::from((*self.waiting).signals);
                    lost.half_open += u64::from((*self.waiting).half_open);
                    empty(self.waiting);
                }
                if output(self.batch, bytes, wakeup()) {
                    Ok(())
                } else {
                    sampling::no_room();
                    Err(lost)
                }
            } else {
                (*self.waiting).bytes = bytes as u32;
                match class {
                    Class::Transition => (*self.waiting).transitions += 1,
                    Class::Signal => (*self.waiting).signals += 1,
                    Class::HalfOpen => (*self.waiting).half_open += 1,
                }
                Ok(())
            }
        };
        if !self.nested {
            // SAFETY: as above.
            unsafe {
                barrier();
                (*self.waiting).busy = 0;
            }
        }
        outcome
    }
}

/// Sends what waits on this CPU; [`Flushed`].
#[inline(always)]
pub(crate) fn flush() -> u32 {
    let (Some(waiting), Some(batch)) = (WAITING.get_ptr_mut(0), BATCHES.get_ptr_mut(0)) else {
        return Flushed::DONE;
    };
    // SAFETY: map values of this CPU; `busy` keeps others away from them.
    unsafe {
        if (*waiting).busy != 0 {
            return Flushed::BUSY;
        }
        (*waiting).busy = 1;
        barrier();
        let bytes = black_box(u64::from((*waiting).bytes));
        let sent = bytes == 0 || output(batch.cast(), bytes, u64::from(BPF_RB_NO_WAKEUP));
        if sent {
            empty(waiting);
        }
        barrier();
        (*waiting).busy = 0;
        if sent { Flushed::DONE } else { Flushed::NO_ROOM }
    }
}

/// Begins the batch anew.
///
/// # Safety
/// `waiting` is a map value of this CPU, and the batch is marked as busy.
#[inline(always)]
unsafe fn empty(waiting: *mut Waiting) {
    // SAFETY: the caller's promise. The compiler would make a call to memset() of plain stores, for which the object has
    // no type information.
    unsafe {
        (&raw mut (*waiting).bytes).write_volatile(0);
        (&raw mut (*waiting).transitions).write_volatile(0);
        (&raw mut (*waiting).signals).write_volatile(0);
        (&raw mut (*waiting).half_open).write_volatile(0);
    }
}

/// Copies `bytes` of a batch onto the ring; `false` when it has no room.
///
/// # Safety
/// `batch` is a value of [`BATCHS`].
#[inline(always)]
unsafe fn output(batch: *mut u64, bytes: u64, flags: u64) -> bool {
    let bytes = black_box(bytes);
    if bytes > BATCH_BYTES as u64 {
        return false;
    }
    // SAFETY: the caller's promise.
    unsafe { bpf_ringbuf_output((&raw const EVENTS).cast_mut().cast(), batch.cast(), bytes, flags) == 0 }
}

/// Whether to wake the reader. While something happens it comes by itself, twenty times a second, and a wakeup costs more
/// than many records; so wake it only when the ring fills faster than that, or when it sleeps. When it does not come then,
/// less is sent.
#[inline(always)]
fn wakeup() -> u64 {
    if wakeup::is_asleep() {
        wakeup::woken();
        return u64::from(BPF_RB_FORCE_WAKEUP);
    }
    let unread = EVENTS.query(u64::from(BPF_RB_AVAIL_DATA));
    if unread >= u64::from(config().watermark) {
        sampling::unread(unread);
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}

/// Keeps the compiler from moving memory accesses across it: a program on the same CPU may interrupt here.
#[inline(always)]
fn barrier() {
    // SAFETY: no instruction.
    unsafe { asm!("", options(nostack, preserves_flags)) }
}
