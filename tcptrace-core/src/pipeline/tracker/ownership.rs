//! The owner of a socket after an event: the process that acted on it, or one that is known to have the socket open.

use std::sync::Arc;

use super::{Socket, Tracker, exits::key, starts_as_child};
use crate::model::{
    event::{Context, Event},
    input::{Exit, Key},
    owner::{Owner, Provenance, padded},
    process::Process,
    state::State,
};

impl Tracker {
    /// The owner of the socket after the event. It takes the process out of the event, since nothing else reads it there.
    pub(super) fn owner(&mut self, event: &mut Event, socket: Option<&Socket>) -> Option<Arc<Owner>> {
        let before = socket.and_then(|socket| socket.owner.as_ref());
        let owner = if event.context_owns {
            let owner = actor(&event.context, event.process.take(), before.map(AsRef::as_ref));
            self.exits.acts(&owner, event.ktime_ns);
            Some(self.owners.share(owner))
        } else if starts_as_child(event) {
            self.listeners.note_steering(event);
            let owner = self.listeners.owner_of_child(event);
            self.unless_ended(owner, event.ktime_ns)
        } else if is_held(event.old_state) {
            self.unless_ended(before.cloned(), event.ktime_ns)
        } else {
            before.cloned()
        };
        self.listeners.observe(event, owner.as_deref());
        owner
    }

    /// `None` instead of a process that had ended. A dump has to show which process holds the socket now.
    fn unless_ended(&mut self, owner: Option<Arc<Owner>>, ktime_ns: u64) -> Option<Arc<Owner>> {
        let ended = owner.as_ref().is_some_and(|owner| self.exits.have(owner, ktime_ns));
        // A dump made after the process ended has found no holder, and the next one will not find one either.
        let since_dump = |owner: &Arc<Owner>| self.exits.by_ns(owner) > Some(self.sought_ns);
        self.lacks_holders |= ended && owner.as_ref().is_some_and(since_dump);
        owner.filter(|_| !ended)
    }

    /// Notes that a process has ended. If it listened, a dump has to show which processes hold its sockets now.
    pub fn exited(&mut self, exit: Exit) {
        self.lacks_holders |= self.listeners.has(&exit.process);
        self.exits.add(exit);
    }

    /// Whether it is known that a process has ended.
    pub fn knows_exit(&self, process: &Key) -> bool {
        self.exits.know(process)
    }

    /// The owner's process that an event's socket would inherit from its listener, unless that process is known to have
    /// ended.
    pub fn heir_of(&self, event: &Event) -> Option<Key> {
        if event.context_owns || !starts_as_child(event) {
            return None;
        }
        let owner = self.listeners.owner_of_child(event)?;
        Some(key(&owner)).filter(|process| !self.exits.know(process))
    }

    /// Some owners that are not known to have ended, others at each call: first those that listen, from which children
    /// inherit, then those that acted lately.
    pub fn owners_to_check(&mut self, most: usize) -> (Vec<Key>, Vec<Key>) {
        let listening = self.listeners.some(most).iter().map(|owner| key(owner)).collect();
        let acting = self.owners.some(most).iter().map(|owner| key(owner)).collect();
        (self.exits.others(listening), self.exits.others(acting))
    }

    /// Whether a dump of all sockets could show which process holds a socket whose owner has ended.
    pub fn lacks_holders(&self) -> bool {
        self.lacks_holders
    }
}

/// The process that acts, as an owner. Only its main thread has its name. `before`: the owner before.
fn actor(context: &Context, process: Option<Arc<Process>>, before: Option<&Owner>) -> Owner {
    let before = before.filter(|before| before.pid == context.pid);
    let is_main = context.is_main_thread();
    // The process may have ended before the resolver could read it. But no other process has this socket and this id, so
    // what was known still holds. Another name is another program's.
    let kept = before.filter(|before| !is_main || before.comm == context.comm);
    let known = kept.and_then(|kept| kept.process.as_ref());
    // Data of a process that was read while it ended lacks its program.
    let says_less = |process: &Arc<Process>| {
        known.is_some_and(|known| {
            process.exe.is_none() && known.exe.is_some() && known.start_ticks == process.start_ticks
        })
    };
    let process = process.filter(|process| !says_less(process)).or_else(|| known.cloned());
    let comm = match (&process, before) {
        _ if is_main => context.comm,
        (Some(process), _) => padded(&process.comm),
        (None, Some(before)) => before.comm,
        (None, None) => Owner::NAMELESS,
    };
    Owner { pid: context.pid, uid: context.uid, comm, provenance: Provenance::Exact, others: None, process }
}

/// Whether a process has a socket in this state open, or will get it. The kernel finishes other sockets by itself, and they
/// keep their owner.
fn is_held(state: State) -> bool {
    matches!(state, State::ESTABLISHED | State::CLOSE_WAIT)
}
