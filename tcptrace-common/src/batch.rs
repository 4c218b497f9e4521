//! Records of one CPU that go onto the ring together: its lock is taken once for all of them.

use crate::{ClosingRecord, DeviceRecord};

/// Bytes of a batch, at most: about thirty records. More would save no more: a record's part of what putting a batch
/// onto the ring takes is small by then.
pub const BATCH_BYTES: usize = 4096;

/// Bytes of the largest record, with what may follow it.
pub const LARGEST_RECORD: usize = size_of::<ClosingRecord>() + size_of::<DeviceRecord>();

/// A batch with more bytes than this has no room for every kind of record, and goes onto the ring.
pub const BATCH_FULL: usize = BATCH_BYTES - LARGEST_RECORD;

/// What waits on one CPU. User space looks at it to see where there is something to be flushed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Bytes in the batch.
    pub bytes: u32,
    /// Transitions in it.
    pub transitions: u32,
    /// Signals in it.
    pub signals: u32,
    /// Records of half-open connections in it.
    pub half_open: u32,
    /// 1 while a program works on the batch: whatever interrupts it must leave the batch alone.
    pub busy: u32,
}

const _: () = assert!(size_of::<Waiting>() == 4 * 5);

/// What the program that flushes a CPU returns.
pub struct Flushed;

impl Flushed {
    /// Nothing waits on this CPU any more.
    pub const DONE: u32 = 0;
    /// Another program was at work on the batch: try again.
    pub const BUSY: u32 = 1;
    /// The ring has no room: the batch waits on.
    pub const NO_ROOM: u32 = 2;
}
