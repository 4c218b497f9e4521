//! Turns events into transitions of a connection. The tracker adds the time in the old state, the owner, how the connection
//! ended, and transitions that the kernel does not report.
//!
//! The tracker is pure: it takes events and emits transitions, and it uses the times of the events only. It does not assume
//! that the events are complete: a socket may be pre-existing, events may be missing or come in another order than they
//! happened, and the kernel reuses socket addresses. The tracker leaves out what it cannot know.

mod cause;
mod closing;
mod confirm;
mod exits;
mod history;
mod listeners;
mod options;
mod owners;
mod ownership;
mod preexisting;
mod quotas;
mod reconcile;
mod signals;
mod socket;
mod stopping;
mod timewait;

use std::{mem, sync::Arc};

use hashlink::LinkedHashMap;
use tcptrace_common::Filter;

use crate::model::{
    event::{Event, Signal, Verdict},
    flow::LocalEnd,
    hash::HashSet,
    owner::Owner,
    socket_dump::{Preexisting, PreexistingTimewait, Since},
    state::State,
    summary::Reconciled,
    transition::Transition,
};

use closing::holds;
use confirm::Confirming;
use exits::Exits;
use history::History;
use listeners::Listeners;
pub use options::{Options, Spent};
use owners::Owners;
use preexisting::PreexistingSockets;
pub use reconcile::Span;
use signals::Signals;
use socket::Socket;
use stopping::Stopping;
use timewait::TimewaitSockets;

/// Makes transitions of events. It remembers live sockets by their address in the kernel, a bounded number of them.
pub struct Tracker {
    sockets: LinkedHashMap<u64, Socket>,
    listeners: Listeners,
    owners: Owners,
    exits: Exits,
    /// Whether the owner of a socket had ended, and the process that holds the socket now is not known.
    lacks_holders: bool,
    has_all_holders: bool,
    /// When the holders in the next dump were read, where that is known.
    holders_ns: Option<u64>,
    /// When holders were last read. For a process that had ended before, the holders of its sockets are known, or cannot be
    /// known.
    sought_ns: u64,
    signals: Signals,
    stopping: Stopping,
    timewait: TimewaitSockets,
    confirming: Option<Confirming>,
    preexisting: PreexistingSockets,
    /// Cookies of the sockets that closed since a dump was ordered.
    closed: Option<HashSet<u64>>,
    reconciled: Reconciled,
    options: Options,
    /// Events before this time may be missing.
    gap_ns: u64,
    evicted: u64,
    filtered: u64,
    second_children: u64,
}

impl Tracker {
    /// Makes a tracker without sockets.
    pub fn new(options: Options) -> Self {
        let limit = options.limit.max(1);
        Self {
            sockets: LinkedHashMap::new(),
            listeners: Listeners::new(limit),
            owners: Owners::default(),
            exits: Exits::default(),
            lacks_holders: false,
            has_all_holders: true,
            holders_ns: None,
            sought_ns: 0,
            signals: Signals::new(&options.reset_reasons),
            stopping: Stopping::default(),
            timewait: TimewaitSockets::new(limit),
            confirming: None,
            preexisting: PreexistingSockets::default(),
            closed: None,
            reconciled: Reconciled::default(),
            options: Options { limit, ..options },
            gap_ns: 0,
            evicted: 0,
            filtered: 0,
            second_children: 0,
        }
    }

    /// Takes the first dump: sockets of which the trace has seen no event, full and timewait ones.
    pub fn list(
        &mut self,
        preexisting: Vec<Preexisting>,
        timewait: impl IntoIterator<Item = PreexistingTimewait>,
    ) {
        for preexisting in &preexisting {
            self.listeners.list(preexisting, self.holders_ns);
        }
        // The process of a timewait socket is not known.
        if self.options.infer && self.options.wanted.filter.tgid == 0 {
            timewait.into_iter().for_each(|listed| self.timewait.add(listed));
        }
        self.preexisting = PreexistingSockets::new(preexisting, self.options.cookies, &mut self.owners);
        self.closed = None;
    }

    /// Sets how many timewait sockets each namespace may have, for all namespaces where that is known. Beyond that limit, no
    /// timewait socket follows a CLOSE.
    pub fn limit_timewait(&mut self, limits: impl IntoIterator<Item = (Option<u32>, u64)>) {
        self.timewait.limit(limits);
    }

    /// Takes a signal before the events of its time. The signal shows why the connection of one of these events ends.
    pub fn ahead(&mut self, signal: Signal) {
        match signal {
            Signal::Reset(reset) => self.signals.add_reset(reset),
            Signal::Error(report) => self.signals.add_error(report),
            Signal::Abort(abort) => self.signals.add_abort(abort),
            Signal::Retransmit { .. } => {}
        }
    }

    /// Takes a signal that has its place between the events before it and those after it: a retransmit.
    pub fn in_turn(&mut self, signal: &Signal) {
        if let Signal::Retransmit { skaddr } = signal
            && let Some(socket) = self.sockets.get_mut(skaddr)
        {
            socket.history.retransmitted();
        }
    }

    /// Forgets the signals that no event needs any more: no event up to `ktime_ns` is still to come.
    pub fn forget_signals(&mut self, ktime_ns: u64) {
        self.signals.forget(ktime_ns);
    }

    /// Completes a transition that has only its event. It passes to `emit`: first an earlier transition, if it waited for
    /// this event; then the transition itself, unless the filters hide it or it must wait; then the inferred transition that
    /// follows from it, if any.
    pub fn track(&mut self, transition: &mut Transition, mut emit: impl FnMut(&Transition)) {
        let event = &mut transition.event;
        if self.options.infer {
            self.tick(event.ktime_ns, &mut emit);
        }
        let recalled = self.recall(event, &mut emit);
        if self.options.infer && !was_looked_for(recalled.as_ref(), event) {
            let replaced = self.timewait.replaced(event);
            self.infer(replaced, &mut emit);
        }
        let out_of_order = recalled.as_ref().is_some_and(|socket| socket.is_newer(event.ktime_ns));
        // The remembered state is newer than the event, and does not show what was before the event.
        let (mut later, mut known) = if out_of_order { (recalled, None) } else { (None, recalled) };
        let (in_old_state_ns, at_least_ns) = self.in_old_state(event, known.as_ref());
        let holder = known.as_ref().and_then(|socket| socket.owner.as_deref());
        let by_holder = holder.is_some_and(|holder| holds(holder, event.context.pid));
        self.spare_owner(event, by_holder);
        let owner = self.owner(event, known.as_ref());
        let begun_unseen = known.as_ref().is_some_and(|socket| self.may_have_begun(socket, event));
        let waiting = known.as_mut().or(later.as_mut()).and_then(|socket| socket.waiting.take());
        let mut socket = known.unwrap_or_default();
        if begun_unseen {
            socket.history = mem::take(&mut socket.history).of_another_life(event);
        }
        socket.history.add(event, in_old_state_ns.filter(|_| self.options.spent == Spent::Told));
        if let Some(waiting) = waiting {
            self.decide(*waiting, event, &mut emit);
        }

        let has_identity = !lacks_identity(event);
        let (key, ktime_ns) = (event.skaddr, event.ktime_ns);
        socket.cookie = if has_identity { event.cookie } else { 0 };
        (socket.netns, socket.state) = (event.flow.netns.unwrap_or(0), event.new_state);
        socket.since = Some(Since::Exactly(ktime_ns));
        // Mostly the owner is the same; then its reference count does not change.
        if socket.owner != owner {
            socket.owner.clone_from(&owner);
        }
        (transition.in_old_state_ns, transition.at_least_ns) = (in_old_state_ns, at_least_ns);
        transition.owner = owner;
        let is_over = socket.state == State::CLOSE;
        let follows = if is_over { self.close(&socket.history, by_holder, transition) } else { None };
        match transition.event.verdict {
            Verdict::Pass if has_identity => emit(transition),
            Verdict::Pass | Verdict::Undecided => socket.waiting = Some(Box::new(transition.clone())),
            Verdict::Hidden => self.filtered += 1,
        }
        self.infer(follows, &mut emit);

        if out_of_order {
            // The remembered state is newer than the event; keep it.
            if let Some(later) = later {
                self.remember(key, later, &mut emit);
            }
            self.give_up(socket.waiting, &mut emit);
        } else if !is_over {
            self.remember(key, socket, &mut emit);
        }
    }

    /// Emits the ends of timewait sockets whose timer in the kernel has fired by `now_ns`.
    pub fn tick(&mut self, now_ns: u64, mut emit: impl FnMut(&Transition)) {
        while let Some(expired) = self.timewait.expired(now_ns) {
            self.infer(Some(expired), &mut emit);
        }
    }

    /// Emits an inferred transition, unless the filters on states hide it.
    fn infer(&self, transition: Option<Transition>, emit: &mut impl FnMut(&Transition)) {
        if let Some(transition) = transition
            && wanted(&self.options.wanted.filter, &transition)
        {
            emit(&transition);
        }
    }

    /// Notes that events up to `ktime_ns` may be missing. A socket may have left its state and come back unseen. It may be
    /// another socket at the same address, where only the address identifies it; or the same socket, which connects or
    /// listens again.
    pub fn gap(&mut self, ktime_ns: u64) {
        self.gap_ns = ktime_ns;
    }

    /// Forgets everything at the end of a trace. A transition that still waits for its port is counted as filtered; one that
    /// still waits for its peer is emitted as it is.
    pub fn finish(&mut self, mut emit: impl FnMut(&Transition)) {
        for (_, socket) in mem::take(&mut self.sockets) {
            self.give_up(socket.waiting, &mut emit);
        }
    }

    /// The owner of the listener that a connection with this local end comes from, marked as inherited; `None` when the
    /// owner had ended at that time.
    pub fn listener_owner(&self, local: LocalEnd, ktime_ns: u64) -> Option<Arc<Owner>> {
        self.listeners.owner(local).filter(|owner| !self.exits.have(owner, ktime_ns))
    }

    /// Sockets forgotten because the table was full, timewait ones included.
    pub fn evicted(&self) -> u64 {
        self.evicted + self.timewait.evicted()
    }

    /// Events that the user's filters hid in the tracker.
    pub fn filtered(&self) -> u64 {
        self.filtered
    }

    /// Children that the kernel made of a request that had one already, on another CPU, and discarded. They are no
    /// connections.
    pub fn second_children(&self) -> u64 {
        self.second_children
    }

    /// Sockets remembered now.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether no socket is remembered now.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Takes out what is known of the event's socket, unless that belongs to another socket, which had the same address.
    fn recall(&mut self, event: &Event, emit: &mut impl FnMut(&Transition)) -> Option<Socket> {
        let Some(socket) = self.sockets.remove(&event.skaddr) else {
            return self.preexisting.take(event);
        };
        let another = socket.cookie != 0 && event.cookie != 0 && socket.cookie != event.cookie;
        // Both kinds of event begin a life: the remembered socket cannot get there from its state.
        let begins = starts_as_child(event) || event.old_state == State::CLOSE;
        let maybe_another = !is_identified(&socket, event) && self.may_have_begun(&socket, event);
        if (another || begins || maybe_another) && !socket.is_newer(event.ktime_ns) {
            self.give_up(socket.waiting, emit);
            return self.preexisting.take(event);
        }
        Some(socket)
    }

    /// Nanoseconds in the old state: exactly, or at least.
    fn in_old_state(&self, event: &Event, socket: Option<&Socket>) -> (Option<u64>, Option<u64>) {
        // Filters hide transitions by state, so only the kernel side knows when a state began.
        if self.options.hidden.by_state
            && let Some(since_ns) = event.since_ns
        {
            return (event.ktime_ns.checked_sub(since_ns), None);
        }
        let Some(socket) = socket.filter(|socket| socket.state == event.old_state) else {
            return (None, None);
        };
        match socket.since {
            Some(_) if self.may_have_begun(socket, event) => (None, None),
            Some(Since::AtLatest(ns)) => (None, event.ktime_ns.checked_sub(ns)),
            Some(Since::Exactly(_)) if self.options.hidden.by_state => (None, None),
            Some(Since::Exactly(ns)) => (event.ktime_ns.checked_sub(ns), None),
            None => (None, None),
        }
    }

    /// Whether a socket may have begun another life since it was last seen, in a gap. A socket that has been a connection
    /// hardly does so, though it can (`connect()` to `AF_UNSPEC`, and then again).
    fn may_have_begun(&self, socket: &Socket, event: &Event) -> bool {
        let can = !is_identified(socket, event) || matches!(socket.state, State::SYN_SENT | State::LISTEN);
        can && socket.since.is_some_and(|since| since.ns() < self.gap_ns)
    }

    fn remember(&mut self, key: u64, socket: Socket, emit: &mut impl FnMut(&Transition)) {
        if self.sockets.len() >= self.options.limit
            && let Some((_, oldest)) = self.sockets.pop_front()
        {
            self.evicted += 1;
            self.give_up(oldest.waiting, emit);
        }
        self.sockets.insert(key, socket);
    }

    /// Emits a transition that waited, or counts it as filtered, now that the `next` event of its socket shows what it
    /// lacked.
    fn decide(&mut self, mut waiting: Transition, next: &Event, emit: &mut impl FnMut(&Transition)) {
        let first = &mut waiting.event;
        if lacks_identity(first) {
            (first.flow.local.address, first.flow.remote) = (next.flow.local.address, next.flow.remote);
            first.cookie = next.cookie;
            first.device.clone_from(&next.device);
        }
        if self.options.wanted.flow_passes(&next.flow) {
            emit(&waiting);
        } else {
            self.filtered += 1;
        }
    }

    /// Emits a transition that waited in vain as it is, or counts it as filtered when it waited for what the filters need.
    fn give_up(&mut self, waiting: Option<Box<Transition>>, emit: &mut impl FnMut(&Transition)) {
        match waiting {
            Some(waiting) if waiting.event.verdict == Verdict::Pass => emit(&waiting),
            Some(_) => self.filtered += 1,
            None => {}
        }
    }
}

/// Whether the tracker has already searched for the timewait socket of an earlier connection with the event's ends, when the
/// event's socket began.
fn was_looked_for(socket: Option<&Socket>, event: &Event) -> bool {
    event.old_state == State::SYN_RECV && socket.is_some_and(|socket| socket.cookie != 0)
}

/// Whether an event still shows the listener's addresses and cookie instead of the child's: kernels up to 6.12 report a
/// child before they fill in its own (`inet_csk_clone_lock`).
fn lacks_identity(event: &Event) -> bool {
    starts_as_child(event) && event.flow.remote.port == 0
}

/// Whether `socket` is certainly the event's socket, and not another one at its address.
fn is_identified(socket: &Socket, event: &Event) -> bool {
    socket.cookie != 0 && socket.cookie == event.cookie
}

/// Whether this is the first transition of a socket that a listener made.
fn starts_as_child(event: &Event) -> bool {
    event.old_state == State::LISTEN && event.new_state == State::SYN_RECV
}

/// Whether a transition passes the filters on states.
fn wanted(filter: &Filter, transition: &Transition) -> bool {
    filter.states_pass(transition.event.old_state.0, transition.event.new_state.0)
}
