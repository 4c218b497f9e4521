//! Histories of sockets as Linux can make them, at random, with the truth beside each event.

pub(crate) mod checks;
pub(crate) mod kernel;
pub(crate) mod model;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use tcptrace_common::{CloseEvidence, EvidenceFlags};
use tcptrace_core::model::{event::Event, state::State};

use crate::common::{by_process, event};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ANY: [IpAddr; 3] = [LOCAL, IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// What may happen next, somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// To the socket at this address; to the one that comes there when it is free.
    place: usize,
    choice: usize,
    wait_ns: u64,
    /// The process that does it; 0 for packets.
    pid: u32,
    ending: usize,
    again: bool,
    /// A filter on what is not modelled hides it.
    hidden: bool,
    /// The ring has no room for it.
    lost: bool,
}

/// Few places, so that their addresses come again; mostly short waits, and some longer than TIME_WAIT.
pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let wait = prop_oneof![8 => 0_u64..1_000, 1 => 1_000_000_000_u64..70_000_000_000];
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.3));
    let step = (0_usize..5, 0_usize..12, wait, 0_u32..4, 0_usize..6, flags);
    let step = step.prop_map(|(place, choice, wait_ns, pid, ending, (again, hidden, lost))| Step {
        place,
        choice,
        wait_ns,
        pid,
        ending,
        again,
        hidden,
        lost,
    });
    prop::collection::vec(step, 1..most)
}

/// The same without any socket that is used again.
pub(crate) fn each_once(mut steps: Vec<Step>) -> Vec<Step> {
    for step in &mut steps {
        step.again = false;
    }
    steps
}

/// An event with all that there is to know of it.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    /// As the best of kernels tells it.
    pub(crate) event: Event,
    /// Which socket it is, whatever address and cookie say.
    pub(crate) socket: usize,
    /// The listener, of a child.
    pub(crate) listener: Option<Listener>,
    /// Its peer's port, also where the event does not have it yet.
    pub(crate) rport: u16,
    pub(crate) in_old_state_ns: Option<u64>,
    /// Since its life began.
    pub(crate) life_ns: u64,
    /// The processes that have acted on it by now.
    pub(crate) actors: Vec<u32>,
    /// It goes on as a timewait socket in this state.
    pub(crate) goes_on: Option<State>,
    pub(crate) hidden: bool,
    pub(crate) lost: bool,
}

/// Where a child comes from.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) laddr: IpAddr,
    pub(crate) cookie: u64,
    pub(crate) actors: Vec<u32>,
}

#[derive(Clone)]
struct Socket {
    id: usize,
    /// Its last event.
    event: Event,
    born_ns: u64,
    actors: Vec<u32>,
    /// It never was a connection, and may be used again. So may one that was; but where a gap hides all of its second
    /// life up to the same state, nothing tells that, and its time is told as if there had been none.
    is_unused: bool,
}

#[derive(Default)]
struct World {
    places: [Option<Socket>; 5],
    now_ns: u64,
    sockets: usize,
    history: Vec<Happening>,
}

/// What happens by these steps, in its order.
pub(crate) fn history(steps: &[Step]) -> Vec<Happening> {
    let mut world = World { now_ns: 1_000, ..World::default() };
    for step in steps {
        world.now_ns += step.wait_ns;
        match world.places[step.place].clone() {
            Some(socket) if socket.event.new_state != State::CLOSE => world.go_on(step, socket),
            free => world.begin(step, free),
        }
    }
    world.history
}

/// Where a socket can go from a state: RFC 9293, figure 5, as Linux has it.
fn next(state: State) -> &'static [State] {
    match state {
        State::SYN_SENT => &[State::ESTABLISHED, State::ESTABLISHED, State::SYN_RECV, State::CLOSE],
        State::SYN_RECV => &[State::ESTABLISHED, State::ESTABLISHED, State::FIN_WAIT1, State::CLOSE],
        State::ESTABLISHED => &[State::FIN_WAIT1, State::FIN_WAIT1, State::CLOSE_WAIT, State::CLOSE],
        State::FIN_WAIT1 => &[State::FIN_WAIT2, State::FIN_WAIT2, State::CLOSING, State::CLOSE],
        State::CLOSE_WAIT => &[State::LAST_ACK, State::LAST_ACK, State::CLOSE],
        _ => &[State::CLOSE],
    }
}

impl World {
    fn begin(&mut self, step: &Step, before: Option<Socket>) {
        let listener = self.listener(step.choice / 4);
        let (new_state, listener) = match step.choice % 4 {
            0 => (State::LISTEN, None),
            2.. if listener.is_some() => (State::SYN_RECV, listener),
            _ => (State::SYN_SENT, None),
        };
        let mut begins = event(step.place as u64 + 1, self.now_ns, State::CLOSE, new_state);
        let again = before.filter(|before| before.is_unused && step.again && listener.is_none());
        let socket = again.unwrap_or_else(|| {
            self.sockets += 1;
            let mut first = begins.clone();
            first.cookie = self.sockets as u64 + 100;
            first.flow.netns =
                listener.as_ref().map_or(Some(step.ending as u32 % 2 + 1), |one| one.event.flow.netns);
            Socket { id: self.sockets, event: first, born_ns: 0, actors: vec![], is_unused: true }
        });
        (begins.cookie, begins.flow.netns) = (socket.event.cookie, socket.event.flow.netns);
        if listener.is_some() {
            (begins.old_state, begins.flow.local.address, begins.flow.local.port, begins.flow.remote.port) =
                (State::LISTEN, LOCAL, 80, 40_000);
        } else if new_state == State::LISTEN {
            (begins.flow.local.address, begins.flow.local.port) = (ANY[step.choice / 4 % 3], 80);
            (begins.flow.remote.address, begins.flow.remote.port) = (Ipv4Addr::UNSPECIFIED.into(), 0);
        } else {
            (begins.flow.local.port, begins.flow.remote.port) = (5_000, 443);
        }
        // Few ports, so that they come again, but each to one connection at a time.
        while new_state != State::LISTEN && self.is_taken(&begins) {
            let port =
                if listener.is_some() { &mut begins.flow.remote.port } else { &mut begins.flow.local.port };
            *port += 1;
        }
        let listener = listener.map(|Socket { event, actors, .. }| Listener {
            laddr: event.flow.local.address,
            cookie: event.cookie,
            actors,
        });
        let socket = Socket { born_ns: self.now_ns, is_unused: listener.is_none(), ..socket };
        self.happens(step, socket, begins, listener, None);
    }

    /// The listener that a connection comes to in the namespace of one of them: the one bound most closely.
    fn listener(&self, choice: usize) -> Option<Socket> {
        let listening = self.places.iter().flatten().filter(|socket| socket.event.new_state == State::LISTEN);
        let listening: Vec<&Socket> = listening.collect();
        let netns = listening.get(choice.checked_rem(listening.len())?)?.event.flow.netns;
        let there = listening.into_iter().filter(|socket| socket.event.flow.netns == netns);
        there
            .min_by_key(|socket| ANY.iter().position(|laddr| *laddr == socket.event.flow.local.address))
            .cloned()
    }

    fn is_taken(&self, event: &Event) -> bool {
        let ends = |event: &Event| {
            (
                event.flow.netns,
                event.flow.local.address,
                event.flow.local.port,
                event.flow.remote.address,
                event.flow.remote.port,
            )
        };
        let others = self.places.iter().flatten().map(|socket| &socket.event);
        others.filter(|other| other.new_state != State::CLOSE).any(|other| ends(other) == ends(event))
    }

    fn go_on(&mut self, step: &Step, mut socket: Socket) {
        let all = next(socket.event.new_state);
        let mut event = Event {
            ktime_ns: self.now_ns,
            old_state: socket.event.new_state,
            new_state: all[step.choice % all.len()],
            ..event(0, 0, State::CLOSE, State::CLOSE)
        };
        (event.skaddr, event.cookie, event.flow) =
            (socket.event.skaddr, socket.event.cookie, socket.event.flow);
        socket.is_unused &= event.new_state == State::CLOSE;
        let goes_on = (event.new_state == State::CLOSE).then(|| close(step.ending, &mut event)).flatten();
        self.happens(step, socket, event, None, goes_on);
    }

    fn happens(
        &mut self,
        step: &Step,
        mut socket: Socket,
        event: Event,
        listener: Option<Listener>,
        goes_on: Option<State>,
    ) {
        // Only a process listens, and packets make children.
        let pid = if event.new_state == State::LISTEN { step.pid.max(1) } else { step.pid };
        let acts = pid != 0 && listener.is_none() && event.error == Some(0);
        let event = if acts { by_process(pid, b"p", event) } else { event };
        socket.actors.extend(acts.then_some(pid));
        let begins = event.old_state == State::CLOSE || listener.is_some();
        self.history.push(Happening {
            socket: socket.id,
            rport: event.flow.remote.port,
            in_old_state_ns: (!begins).then(|| event.ktime_ns - socket.event.ktime_ns),
            life_ns: event.ktime_ns - socket.born_ns,
            listener,
            actors: socket.actors.clone(),
            goes_on,
            hidden: step.hidden,
            lost: step.lost,
            event: event.clone(),
        });
        self.places[step.place] = Some(Socket { event, ..socket });
    }
}

/// How a connection ends, and whether it goes on as a timewait socket. `SOCK_DONE` may be there in any of them.
fn close(ending: usize, event: &mut Event) -> Option<State> {
    const SHUTDOWN_MASK: u8 = 3;
    let evidence = CloseEvidence { segs_out: 3, shutdown: SHUTDOWN_MASK, ..CloseEvidence::default() };
    let done = CloseEvidence { flags: EvidenceFlags::DONE, ..evidence };
    let can_go_on = matches!(event.old_state, State::FIN_WAIT2 | State::CLOSING);
    let (evidence, error, goes_on) = match ending {
        0..3 => (done, 0, can_go_on.then_some(State::TIME_WAIT)),
        3 if event.old_state == State::FIN_WAIT2 => (evidence, 0, Some(State::FIN_WAIT2)),
        3 => (done, 103, None),
        4 => (done, 104, None),
        _ => (done, 110, None),
    };
    (event.evidence, event.error) = (Some(evidence), Some(error));
    goes_on
}
