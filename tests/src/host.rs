//! Access to the host's kernel: most tests share it, tests that load it run alone.
//!
//! The kernel does not run a program again on a CPU where it is already running: a transition in an interrupt at that
//! moment is missed, and counted as such. Under load this happens at times. A test that counts every transition would
//! then fail because of another test.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use nix::fcntl::{Flock, FlockArg};

/// Holds the host until it is dropped. A test holds at most one guard: a second one would wait for a test that waits
/// for the first.
#[derive(Debug)]
pub struct Guard {
    _lock: Flock<File>,
}

/// Shares the host with other tests.
pub fn share() -> Guard {
    enter(FlockArg::LockShared)
}

/// Takes the host alone.
pub fn alone() -> Guard {
    enter(FlockArg::LockExclusive)
}

fn enter(how: FlockArg) -> Guard {
    // The turnstile is held while waiting, so that later tests queue behind a test that wants to be alone.
    let _turnstile = lock("turnstile", FlockArg::LockExclusive);
    Guard { _lock: lock("host", how) }
}

fn lock(name: &str, how: FlockArg) -> Flock<File> {
    let file = File::create(locks().join(name)).expect("a lock file");
    Flock::lock(file, how).map_err(|(_, errno)| errno).expect("a lock")
}

/// The directory of lock files, the same for all tests.
pub(crate) fn locks() -> PathBuf {
    let directory = std::env::temp_dir().join("tcptrace-tests");
    fs::create_dir_all(&directory).expect("a directory for lock files");
    directory
}
