//! Queries inside of each network namespace, other than dumps of sockets.

use std::thread;

use nix::sched::{CloneFlags, setns};

use super::{Netns, namespaces};

/// Answers of the namespaces.
pub(crate) struct Visited<T> {
    /// Each answer, with the inode number of its namespace.
    pub(crate) each: Vec<(Option<u32>, T)>,
    /// Every namespace that was found could be entered.
    pub(crate) is_complete: bool,
}

/// Runs `ask` inside of each namespace that can be reached, or of the requested one, on a thread of its own. Leaves out
/// namespaces that cannot be entered.
pub(crate) fn visit<T: Send>(wanted: Option<&Netns>, ask: impl Fn() -> T + Sync) -> Visited<T> {
    let found = namespaces::find(wanted);
    // Our own is the first, so the thread is still in it.
    let visit_all = || {
        let enter = |candidate: &&namespaces::Candidate| {
            candidate.file.as_ref().is_none_or(|file| setns(file, CloneFlags::CLONE_NEWNET).is_ok())
        };
        let entered = found.candidates.iter().filter(enter);
        entered.map(|candidate| (candidate.inode, ask())).collect()
    };
    let each: Vec<_> = thread::scope(|scope| {
        let thread = thread::Builder::new().name("visit".to_owned()).spawn_scoped(scope, visit_all);
        thread.ok().and_then(|thread| thread.join().ok()).unwrap_or_default()
    });
    let is_complete = each.len() == found.candidates.len() && found.gaps.namespaces.is_empty();
    Visited { each, is_complete }
}
