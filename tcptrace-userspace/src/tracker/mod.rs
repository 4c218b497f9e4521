//! From events to transitions of a connection: how long it was in the old state, and whose it is.
//!
//! The tracker is pure: events in, transitions out; time is the events' own. It assumes nothing about their
//! completeness: a socket may be older than the trace, events may be missing or come in another order than
//! they happened, and the kernel reuses socket addresses. What it cannot know it leaves out.

mod listeners;

use hashlink::LinkedHashMap;

use crate::{
    bpf::PortSet,
    event::{Event, Verdict},
    record::{Origin, Owner, Provenance, Transition},
    state::State,
};

use listeners::Listeners;

/// Live sockets, by address; bounded.
pub struct Tracker {
    sockets: LinkedHashMap<u64, Socket>,
    listeners: Listeners,
    limit: usize,
    /// Local ports that the user wants, for records that the kernel side could not decide.
    lports: Option<PortSet>,
    /// Filters hide transitions by state, so only the kernel side knows when a state began.
    since_from_kernel: bool,
    /// Events before this time may be missing.
    gap_ns: u64,
    evicted: u64,
    filtered: u64,
}

/// What is remembered of a socket.
struct Socket {
    cookie: u64,
    state: State,
    /// When it entered `state`.
    since_ns: u64,
    owner: Option<Owner>,
    /// Its first transition, which waits for the next one to tell the port or the peer.
    waiting: Option<Box<Transition>>,
}

impl Tracker {
    /// Remembers at most `limit` sockets (at least one). `since_from_kernel`: a state filter is active.
    pub fn new(limit: usize, lports: Option<PortSet>, since_from_kernel: bool) -> Self {
        let limit = limit.max(1);
        Self {
            sockets: LinkedHashMap::new(),
            listeners: Listeners::new(limit),
            limit,
            lports,
            since_from_kernel,
            gap_ns: 0,
            evicted: 0,
            filtered: 0,
        }
    }

    /// Takes an event and passes the transitions that it completes to `emit`: usually its own, none when the
    /// filters hide it or must wait, and an earlier one first when that had to wait for this.
    pub fn track(&mut self, event: Event, mut emit: impl FnMut(Transition)) {
        let mut socket = self.recall(&event, &mut emit);
        let out_of_order = socket.as_ref().is_some_and(|socket| socket.since_ns > event.ktime_ns);
        // What is known now tells nothing about what was before.
        let known = socket.as_ref().filter(|_| !out_of_order);
        let in_old_state_ns = self.in_old_state(&event, known);
        let owner = self.owner(&event, known);
        if let Some(waiting) = socket.as_mut().and_then(|socket| socket.waiting.take()) {
            self.decide(*waiting, &event, &mut emit);
        }

        let has_identity = !lacks_identity(&event);
        let (key, state, ktime_ns) = (event.skaddr, event.new_state, event.ktime_ns);
        let cookie = if has_identity { event.cookie } else { 0 };
        let transition = Transition {
            event,
            in_old_state_ns,
            owner: owner.clone(),
            origin: Origin::Observed,
            closing: None,
        };
        let mut waiting = None;
        match transition.event.verdict {
            Verdict::Pass if has_identity => emit(transition),
            Verdict::Pass | Verdict::Undecided => waiting = Some(Box::new(transition)),
            Verdict::Hidden => self.filtered += 1,
        }

        if out_of_order {
            // What came later already says more; keep it.
            if let Some(socket) = socket {
                self.remember(key, socket, &mut emit);
            }
            self.give_up(waiting, &mut emit);
        } else if state != State::CLOSE {
            self.remember(key, Socket { cookie, state, since_ns: ktime_ns, owner, waiting }, &mut emit);
        }
    }

    /// Events up to `ktime_ns` were lost. A socket may then have left its state and come back unseen: one whose
    /// address only identifies it, in another life; or one that connects again after a failure.
    pub fn gap(&mut self, ktime_ns: u64) {
        self.gap_ns = ktime_ns;
    }

    /// Forgets everything at the end of a trace. What still waits for its port is counted as filtered, for its peer
    /// is passed to `emit` as it is.
    pub fn finish(&mut self, mut emit: impl FnMut(Transition)) {
        for (_, socket) in std::mem::take(&mut self.sockets) {
            self.give_up(socket.waiting, &mut emit);
        }
    }

    /// Sockets forgotten for want of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Events that the user's filters hid here.
    pub fn filtered(&self) -> u64 {
        self.filtered
    }

    /// Sockets remembered now.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Takes out what is known of the event's socket, unless another one had its address.
    fn recall(&mut self, event: &Event, emit: &mut impl FnMut(Transition)) -> Option<Socket> {
        let socket = self.sockets.remove(&event.skaddr)?;
        let another = socket.cookie != 0 && event.cookie != 0 && socket.cookie != event.cookie;
        // Both begin a life: no socket gets here from where this one was.
        let begins = starts_as_child(event) || event.old_state == State::CLOSE;
        if (another || begins) && event.ktime_ns >= socket.since_ns {
            self.give_up(socket.waiting, emit);
            return None;
        }
        Some(socket)
    }

    fn in_old_state(&self, event: &Event, socket: Option<&Socket>) -> Option<u64> {
        if self.since_from_kernel {
            return event.ktime_ns.checked_sub(event.since_ns?);
        }
        let socket = socket.filter(|socket| socket.state == event.old_state)?;
        let identified = socket.cookie != 0 && event.cookie != 0 && socket.state != State::SYN_SENT;
        if !identified && socket.since_ns < self.gap_ns {
            return None;
        }
        event.ktime_ns.checked_sub(socket.since_ns)
    }

    fn owner(&mut self, event: &Event, socket: Option<&Socket>) -> Option<Owner> {
        let owner = if event.context_owns {
            let context = &event.context;
            Some(Owner {
                pid: context.pid,
                uid: context.uid,
                comm: context.comm,
                provenance: Provenance::Exact,
            })
        } else if starts_as_child(event) {
            self.listeners.owner(event)
        } else {
            socket.and_then(|socket| socket.owner.clone())
        };
        self.listeners.observe(event, owner.as_ref());
        owner
    }

    fn remember(&mut self, key: u64, socket: Socket, emit: &mut impl FnMut(Transition)) {
        if self.sockets.len() >= self.limit
            && let Some((_, oldest)) = self.sockets.pop_front()
        {
            self.evicted += 1;
            self.give_up(oldest.waiting, emit);
        }
        self.sockets.insert(key, socket);
    }

    /// Emits a transition that waited, or counts it as filtered, now that its socket's `next` tells what it lacked.
    fn decide(&mut self, mut waiting: Transition, next: &Event, emit: &mut impl FnMut(Transition)) {
        let first = &mut waiting.event;
        if lacks_identity(first) {
            (first.laddr, first.raddr, first.rport) = (next.laddr, next.raddr, next.rport);
            first.cookie = next.cookie;
        }
        // Had the peer not been wanted, its next transition would not be here.
        if self.lports.as_ref().is_none_or(|lports| lports.contains(next.lport)) {
            emit(waiting);
        } else {
            self.filtered += 1;
        }
    }

    /// Emits a transition that waited in vain as it is, or counts it as filtered when only that could have said
    /// whether it is wanted.
    fn give_up(&mut self, waiting: Option<Box<Transition>>, emit: &mut impl FnMut(Transition)) {
        match waiting {
            Some(waiting) if waiting.event.verdict == Verdict::Pass => emit(*waiting),
            Some(_) => self.filtered += 1,
            None => {}
        }
    }
}

/// Whether it still shows the listener's addresses and cookie instead of its own: kernels up to 6.12 report a child
/// before they fill in who it is (`inet_csk_clone_lock`).
fn lacks_identity(event: &Event) -> bool {
    starts_as_child(event) && event.rport == 0
}

/// Whether this is the first transition of a socket that a listener made.
fn starts_as_child(event: &Event) -> bool {
    event.old_state == State::LISTEN && event.new_state == State::SYN_RECV
}
