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

/// Wakes whoever waits, from any thread.
#[derive(Debug)]
pub(crate) struct Waker(EventFd);

impl Waker {
    /// # Errors
    /// The process has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    /// Wakes.
    pub(crate) fn wake(&self) {
        // It fails only where its count is at the end, and then somebody is woken already.
        let _ = self.0.write(1);
    }

    fn clear(&self) {
        let _ = self.0.read();
    }
}

/// What ended the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The descriptor became readable.
    Readable,
    /// Somebody asked to wake up, or a signal came.
    Asked,
    /// Nothing: the time is over.
    TimedOut,
}

/// Waits for a descriptor and for a [`Waker`].
pub(crate) struct Wait<'a> {
    epoll: Epoll,
    waker: &'a Waker,
    /// The epoll knows it as long as it is open.
    _readable: OwnedFd,
}

const READABLE: u64 = 0;
const WAKER: u64 = 1;

impl<'a> Wait<'a> {
    /// `readable` is told of once each time that it becomes readable, not for as long as it is.
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
        // What the ring has must not wait behind what somebody asks: it is told of once.
        Ok(if has(READABLE) {
            Woken::Readable
        } else if has(WAKER) {
            Woken::Asked
        } else {
            Woken::TimedOut
        })
    }
}

/// Whole milliseconds, and never less than was asked for: who wakes up early waits again for nothing.
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
