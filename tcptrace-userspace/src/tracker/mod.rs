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
    record::{Owner, Provenance, Transition},
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
    /// A transition that waits for the local port to be known.
    undecided: Option<Box<Transition>>,
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
        let mut socket = self.recall(&event);
        let out_of_order = socket.as_ref().is_some_and(|socket| socket.since_ns > event.ktime_ns);
        // What is known now tells nothing about what was before.
        let known = socket.as_ref().filter(|_| !out_of_order);
        let in_old_state_ns = self.in_old_state(&event, known);
        let owner = self.owner(&event, known);
        let waiting = socket.as_mut().and_then(|socket| socket.undecided.take());

        let mut undecided = None;
        if let Some(waiting) = waiting {
            self.decide(*waiting, event.lport, &mut emit);
        }
        let (key, cookie, state, ktime_ns) = (event.skaddr, event.cookie, event.new_state, event.ktime_ns);
        // Kernels up to 6.12 copy the listener first and fill in the child's own identity, peer and cookie, later.
        let cookie = if starts_as_child(&event) && event.rport == 0 { 0 } else { cookie };
        let transition = Transition { event, in_old_state_ns, owner: owner.clone() };
        match transition.event.verdict {
            Verdict::Pass => emit(transition),
            Verdict::Hidden => self.filtered += 1,
            Verdict::Undecided => undecided = Some(Box::new(transition)),
        }

        if out_of_order {
            // What came later already says more; keep it.
            if let Some(socket) = socket {
                self.remember(key, socket);
            }
            self.filtered += u64::from(undecided.is_some());
        } else if state != State::CLOSE {
            self.remember(key, Socket { cookie, state, since_ns: ktime_ns, owner, undecided });
        }
    }

    /// Events up to `ktime_ns` were lost. A socket may then have left its state and come back unseen: one whose
    /// address only identifies it, in another life; or one that connects again after a failure.
    pub fn gap(&mut self, ktime_ns: u64) {
        self.gap_ns = ktime_ns;
    }

    /// Forgets everything at the end of a trace; what still waits for its port is counted as filtered.
    pub fn finish(&mut self) {
        let waiting = self.sockets.iter().filter(|(_, socket)| socket.undecided.is_some()).count();
        self.filtered += waiting as u64;
        self.sockets.clear();
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
    fn recall(&mut self, event: &Event) -> Option<Socket> {
        let socket = self.sockets.remove(&event.skaddr)?;
        let another = socket.cookie != 0 && event.cookie != 0 && socket.cookie != event.cookie;
        // Both begin a life: no socket gets here from where this one was.
        let begins = starts_as_child(event) || event.old_state == State::CLOSE;
        if (another || begins) && event.ktime_ns >= socket.since_ns {
            self.filtered += u64::from(socket.undecided.is_some());
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

    fn remember(&mut self, key: u64, socket: Socket) {
        if self.sockets.len() >= self.limit
            && let Some((_, oldest)) = self.sockets.pop_front()
        {
            self.evicted += 1;
            self.filtered += u64::from(oldest.undecided.is_some());
        }
        self.sockets.insert(key, socket);
    }

    /// Emits a transition that waited, or counts it as filtered, now that its socket's port is known.
    fn decide(&mut self, waiting: Transition, lport: u16, emit: &mut impl FnMut(Transition)) {
        if self.lports.as_ref().is_none_or(|lports| lports.contains(lport)) {
            emit(waiting);
        } else {
            self.filtered += 1;
        }
    }
}

/// Whether this is the first transition of a socket that a listener made.
fn starts_as_child(event: &Event) -> bool {
    event.old_state == State::LISTEN && event.new_state == State::SYN_RECV
}
