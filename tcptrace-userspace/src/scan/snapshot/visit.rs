//! Looking at something else than sockets inside of each namespace.

use std::thread;

use nix::sched::{CloneFlags, setns};

use super::{Netns, namespaces};

/// Runs `look` inside of each namespace that can be reached, or the wanted one, on a thread of its own; returns what it
/// says, with their inode numbers. What cannot be entered is left out.
pub(crate) fn visit<T: Send>(wanted: Option<&Netns>, look: impl Fn() -> T + Sync) -> Vec<(Option<u32>, T)> {
    let found = namespaces::find(wanted);
    // Our own is the first, so the thread is still in it.
    let visit_all = || {
        let enter = |candidate: &&namespaces::Candidate| {
            candidate.file.as_ref().is_none_or(|file| setns(file, CloneFlags::CLONE_NEWNET).is_ok())
        };
        let entered = found.candidates.iter().filter(enter);
        entered.map(|candidate| (candidate.inode, look())).collect()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("visit".to_owned()).spawn_scoped(scope, visit_all);
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
    })
}
