//! Who uses the host's kernel at the moment: most tests share it, those that load it are alone.
//!
//! The kernel does not run a program again on a CPU where it is running: a transition in an interrupt of just
//! that moment is missed, and counted as such. Under load this happens now and then, and a test that counts
//! to the last one would fail by what another test does.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use nix::fcntl::{Flock, FlockArg};

/// Holds the host until dropped. A test holds at most one: a second one would wait for a test that waits for
/// the first.
#[derive(Debug)]
pub struct Guard {
    _lock: Flock<File>,
}

/// Together with others that share.
pub fn share() -> Guard {
    enter(FlockArg::LockShared)
}

/// With no other test.
pub fn alone() -> Guard {
    enter(FlockArg::LockExclusive)
}

fn enter(how: FlockArg) -> Guard {
    // Held while waiting, so that those who come later queue behind one who wants to be alone.
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
