//! Waiting for several descriptors, or for a while.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use nix::sys::{
    epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
    eventfd::{EfdFlags, EventFd},
};

/// Wakes the thread that waits. Any thread may use it.
#[derive(Debug)]
pub(crate) struct Waker(EventFd);

impl Waker {
    /// # Errors
    /// The process has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    /// Wakes the thread that waits.
    pub(crate) fn wake(&self) {
        // It fails only where the counter is at its maximum, and then the thread is woken already.
        let _ = self.0.write(1);
    }

    fn clear(&self) {
        let _ = self.0.read();
    }
}

/// The reason why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The descriptor became readable.
    Readable,
    /// A [`Waker`] was used, or a signal came.
    Asked,
    /// The time is over.
    TimedOut,
}

/// Waits for a descriptor and for a [`Waker`].
pub(crate) struct Wait<'a> {
    epoll: Epoll,
    waker: &'a Waker,
    /// The epoll watches this descriptor as long as it is open.
    _readable: OwnedFd,
}

const READABLE: u64 = 0;
const WAKER: u64 = 1;

impl<'a> Wait<'a> {
    /// Reports `readable` once each time that it becomes readable, not for as long as it is.
    ///
    /// # Errors
    /// The process has no descriptor left, or the kernel no memory.
    pub(crate) fn new(readable: OwnedFd, waker: &'a Waker) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&readable, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, READABLE))?;
        epoll.add(waker.0.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, WAKER))?;
        Ok(Self { epoll, waker, _readable: readable })
    }

    /// Waits until something happens or `limit` is over; `None` waits for ever.
    ///
    /// # Errors
    /// The kernel refuses to wait.
    pub(crate) fn wait(&self, limit: Option<Duration>) -> io::Result<Woken> {
        let mut events = [EpollEvent::empty(); 2];
        let count = match self.epoll.wait(&mut events, timeout(limit)) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => return Ok(Woken::Asked),
            Err(error) => return Err(error.into()),
        };
        let has = |which| events[..count].iter().any(|event| event.data() == which);
        if has(WAKER) {
            self.waker.clear();
        }
        // The descriptor goes before the waker, since the epoll reports it only once.
        Ok(if has(READABLE) {
            Woken::Readable
        } else if has(WAKER) {
            Woken::Asked
        } else {
            Woken::TimedOut
        })
    }
}

/// Whole milliseconds, rounded up: a thread that wakes up early would have to wait again.
fn timeout(limit: Option<Duration>) -> EpollTimeout {
    limit.map_or(EpollTimeout::NONE, |limit| {
        let milliseconds = limit.as_nanos().div_ceil(1_000_000);
        i32::try_from(milliseconds)
            .ok()
            .and_then(|ms| EpollTimeout::try_from(ms).ok())
            .unwrap_or(EpollTimeout::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_descriptor_a_waker_or_time_ends_it() {
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        let waker = Waker::new().expect("a waker");
        let wait = Wait::new(reader, &waker).expect("a wait");
        let begun = Instant::now();
        assert_eq!(wait.wait(Some(Duration::from_micros(1_500))).unwrap(), Woken::TimedOut);
        assert!(begun.elapsed() >= Duration::from_micros(1_500));
        waker.wake();
        waker.wake();
        assert_eq!(wait.wait(None).unwrap(), Woken::Asked);
        assert_eq!(wait.wait(Some(Duration::ZERO)).unwrap(), Woken::TimedOut, "both are done with");
        nix::unistd::write(&writer, b"x").expect("room");
        waker.wake();
        assert_eq!(wait.wait(None).unwrap(), Woken::Readable);
        assert_eq!(wait.wait(Some(Duration::ZERO)).unwrap(), Woken::TimedOut, "each is told once");
    }
}
