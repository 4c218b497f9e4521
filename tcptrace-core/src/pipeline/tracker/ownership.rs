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
    /// The owner of the socket now; takes the process out of the event, where nobody else looks for it.
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

    /// Nobody instead of a process that had ended: who holds the socket now, a dump is to say.
    fn unless_ended(&mut self, owner: Option<Arc<Owner>>, ktime_ns: u64) -> Option<Arc<Owner>> {
        let ended = owner.as_ref().is_some_and(|owner| self.exits.have(owner, ktime_ns));
        // A dump that was made since has not found anybody, and the next one will not either.
        let since_dump = |owner: &Arc<Owner>| self.exits.by_ns(owner) > Some(self.sought_ns);
        self.lacks_holders |= ended && owner.as_ref().is_some_and(since_dump);
        owner.filter(|_| !ended)
    }

    /// Takes in that a process has ended. When it listened: who holds its sockets now, a dump is to say.
    pub fn exited(&mut self, exit: Exit) {
        self.lacks_holders |= self.listeners.has(&exit.process);
        self.exits.add(exit);
    }

    /// Whether it is known that a process has ended.
    pub fn knows_exit(&self, process: &Key) -> bool {
        self.exits.know(process)
    }

    /// The process that an event's socket would be inherited from, if nothing is known of its end.
    pub fn heir_of(&self, event: &Event) -> Option<Key> {
        if event.context_owns || !starts_as_child(event) {
            return None;
        }
        let owner = self.listeners.owner_of_child(event)?;
        Some(key(&owner)).filter(|process| !self.exits.know(process))
    }

    /// Some owners, others each time, of which it is not known that they have ended: those that listen, of which others
    /// inherit, and those that acted lately.
    pub fn owners_to_check(&mut self, most: usize) -> (Vec<Key>, Vec<Key>) {
        let listening = self.listeners.some(most).iter().map(|owner| key(owner)).collect();
        let acting = self.owners.some(most).iter().map(|owner| key(owner)).collect();
        (self.exits.others(listening), self.exits.others(acting))
    }

    /// Whether a dump of all sockets would tell who holds one whose owner has ended.
    pub fn lacks_holders(&self) -> bool {
        self.lacks_holders
    }
}

/// The process that acts. Only its main thread has its name. `before`: whose the socket was.
fn actor(context: &Context, process: Option<Arc<Process>>, before: Option<&Owner>) -> Owner {
    let before = before.filter(|before| before.pid == context.pid);
    let is_main = context.is_main_thread();
    // It has ended before anybody could look; but nobody else has this socket and its id. Another name is another program's.
    let kept = before.filter(|before| !is_main || before.comm == context.comm);
    let known = kept.and_then(|kept| kept.process.as_ref());
    // What is read of a process that is ending lacks its program.
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

/// Whether a socket in this state is open somewhere, or on its way: the kernel finishes others by itself, and whose they
/// were they stay.
fn is_held(state: State) -> bool {
    matches!(state, State::ESTABLISHED | State::CLOSE_WAIT)
}
