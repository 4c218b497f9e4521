//! The ring buffer as user space sees it (`kernel/bpf/ringbuf.c`): a page with the reader's position, a page with the
//! writers', and the data.
//!
//! Libraries map the data twice in a row, so that an entry that wraps around the end is in one piece. But every page
//! that is mapped counts as resident. Here the data is mapped once, and such an entry is copied.

use std::{
    ffi::c_void,
    io,
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use aya::maps::MapData;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// `BPF_RINGBUF_BUSY_BIT`: the entry is still being written.
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`: the entry must not be read.
const DISCARD: u32 = 1 << 30;
/// `BPF_RINGBUF_HDR_SZ`: each entry begins with its length in bytes, the two bits, and a word of the kernel's own.
const HEADER: usize = 8;

/// The reading side of a ring buffer.
pub(crate) struct Entries {
    map: MapData,
    reader: Pages,
    /// The writers' position, and from the next page on the data.
    writers: Pages,
    page: usize,
    /// Bytes of data, a power of two.
    size: usize,
    /// An entry that is not in one piece.
    joined: Vec<u8>,
}

impl Entries {
    /// Maps a ring buffer with `size` bytes of data, a power of two.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn open(map: MapData, size: u32) -> io::Result<Self> {
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?;
        let page = page.and_then(|page| usize::try_from(page).ok()).unwrap_or(4096);
        let size = usize::try_from(size).map_err(io::Error::other)?;
        let fd = map.fd().as_fd();
        let reader = Pages::map(fd, 0, page, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?;
        let writers = Pages::map(fd, page, page + size, ProtFlags::PROT_READ)?;
        Ok(Self { map, reader, writers, page, size, joined: Vec::new() })
    }

    /// Hands the entries that are there now to `take`, until that returns `false`. Entries that come meanwhile can
    /// wait. Returns whether it got all of them: an entry that is still being written holds back those behind it.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> bool {
        // Only this thread moves the reader's position.
        let mut at = self.reader.position().load(Ordering::Relaxed);
        let end = self.writers.position().load(Ordering::Acquire);
        // Positions only grow, and may wrap.
        while at != end {
            let header = self.header(at).load(Ordering::Acquire);
            let length = (header & !(BUSY | DISCARD)) as usize;
            if header & BUSY != 0 || length > self.size - HEADER {
                return false;
            }
            let more = header & DISCARD != 0 || take(self.entry(at, length));
            at = at.wrapping_add((HEADER + length).next_multiple_of(8));
            // Now the kernel may overwrite the entry.
            self.reader.position().store(at, Ordering::Release);
            if !more {
                return at == end;
            }
        }
        true
    }

    /// The header of the entry at this position.
    fn header(&self, at: usize) -> &AtomicU32 {
        let offset = at & (self.size - 1);
        // SAFETY: the offset is within the data, which is mapped for as long as `self` is there. Entries begin at
        // multiples of eight bytes, so the whole header is within the data, and aligned. The kernel writes it as one
        // number.
        unsafe { self.writers.start.byte_add(self.page + offset).cast().as_ref() }
    }

    /// The entry at this position, which has `length` bytes.
    fn entry(&mut self, at: usize, length: usize) -> &[u8] {
        let offset = at.wrapping_add(HEADER) & (self.size - 1);
        let first = length.min(self.size - offset);
        // SAFETY: both parts are within the data, which is mapped for as long as `self` is there. The kernel does not
        // write to an entry that is complete until the reader's position is beyond it. This borrow ends before that.
        let (first, rest) = unsafe {
            let data = self.writers.start.byte_add(self.page).cast::<u8>();
            let part = |offset, length| std::slice::from_raw_parts(data.add(offset).as_ptr(), length);
            (part(offset, first), part(0, length - first))
        };
        if rest.is_empty() {
            return first;
        }
        self.joined.clear();
        self.joined.extend_from_slice(first);
        self.joined.extend_from_slice(rest);
        &self.joined
    }
}

impl AsFd for Entries {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }
}

/// A part of the map in memory.
struct Pages {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: memory that belongs to no thread.
unsafe impl Send for Pages {}

impl Pages {
    fn map(fd: BorrowedFd<'_>, offset: usize, length: usize, access: ProtFlags) -> io::Result<Self> {
        let length = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?;
        let offset = offset.try_into().map_err(io::Error::other)?;
        // SAFETY: the kernel chooses a place where nothing is.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, fd, offset) }?;
        Ok(Self { start, length })
    }

    /// The position that is at its beginning, an `unsigned long`.
    fn position(&self) -> &AtomicUsize {
        // SAFETY: a page is aligned, and mapped for as long as `self` is there. The kernel reads and writes it as one
        // number.
        unsafe { self.start.cast().as_ref() }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: nothing is borrowed from it any more.
        let unmapped = unsafe { munmap(self.start, self.length.get()) };
        debug_assert!(unmapped.is_ok(), "it was mapped");
    }
}
