//! Timewait sockets: FIN_WAIT2 and TIME_WAIT after CLOSE, which the kernel does not report.
//!
//! `tcp_time_wait()` replaces the socket that it closes by a timewait socket. The substate is TIME_WAIT if the peer's FIN
//! had come, else FIN_WAIT2. A socket stays in TIME_WAIT for 60 seconds (`TCP_TIMEWAIT_LEN`), unless a new connection with
//! the same addresses and ports replaces it.

use std::{net::IpAddr, sync::Arc};

use hashlink::LinkedHashMap;
use tcptrace_common::EvidenceFlags;

use super::{Span, quotas::Quotas};
use crate::model::{
    close::Cause,
    event::{Context, Device, Event, Verdict},
    flow::Flow,
    hash::HashMap,
    owner::Owner,
    socket_dump::PreexistingTimewait,
    state::State,
    transition::{Origin, Transition},
};

/// `TCP_TIMEWAIT_LEN`, `include/net/tcp.h`.
const TIME_WAIT_NS: u64 = 60_000_000_000;

/// The ends, and 0. Over two devices, or in two VRFs, two sockets may have the same ends. The later one then has its cookie
/// in place of the 0.
type Key = (Flow, u64);

/// Timewait sockets, bounded; each table with the oldest one first.
pub(super) struct TimewaitSockets {
    fin_wait2: LinkedHashMap<Key, Timewait>,
    time_wait: LinkedHashMap<Key, Timewait>,
    /// The cookies of the sockets that have their cookie in the key, by their ends.
    twins: HashMap<Flow, Vec<u64>>,
    quotas: Quotas,
    limit: usize,
    evicted: u64,
}

#[derive(Clone)]
struct Timewait {
    skaddr: u64,
    cookie: u64,
    device: Option<Device>,
    owner: Option<Arc<Owner>>,
    /// When it entered its state.
    since_ns: u64,
    /// When it was last known to exist.
    seen_ns: u64,
}

/// A timewait socket that is gone: a dump that would have it lacks it.
pub(super) struct Gone {
    state: State,
    key: Key,
    /// When it was gone at the latest.
    ktime_ns: u64,
}

impl TimewaitSockets {
    /// Remembers at most `limit` in each state.
    pub(super) fn new(limit: usize) -> Self {
        let (fin_wait2, time_wait) = (LinkedHashMap::new(), LinkedHashMap::new());
        Self { fin_wait2, time_wait, twins: HashMap::default(), quotas: Quotas::default(), limit, evicted: 0 }
    }

    /// Sets how many timewait sockets each namespace may have.
    pub(super) fn limit(&mut self, limits: impl IntoIterator<Item = (Option<u32>, u64)>) {
        self.quotas.limit(limits);
    }

    /// Timewait sockets forgotten because the table was full: their ends are not reported.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Whether a socket waits for its peer's FIN. Only a dump shows that the FIN has come.
    pub(super) fn waits_for_fin(&self) -> bool {
        !self.fin_wait2.is_empty()
    }

    /// Takes the CLOSE of a full socket for this cause. Returns the transition to TIME_WAIT, if the connection goes on
    /// there.
    pub(super) fn close(&mut self, closed: &Transition, cause: Option<Cause>) -> Option<Transition> {
        let event = &closed.event;
        let goes_on =
            matches!(cause, Some(Cause::ActiveClose | Cause::SimultaneousClose | Cause::ProcessExited))
                && matches!(event.old_state, State::FIN_WAIT2 | State::CLOSING);
        let evidence = event.evidence.filter(|_| goes_on && self.has_room(&event.flow, event.cookie))?;
        let Event { skaddr, cookie, ktime_ns: since_ns, .. } = *event;
        let (device, owner) = (event.device.clone(), closed.owner.clone());
        let timewait = Timewait { skaddr, cookie, device, owner, since_ns, seen_ns: since_ns };
        if evidence.flags & EvidenceFlags::DONE == 0 {
            // The connection stays in FIN_WAIT2, so there is no transition now.
            self.remember(State::FIN_WAIT2, event.flow, timewait);
            return None;
        }
        self.remember(State::TIME_WAIT, event.flow, timewait.clone());
        Some(Transition {
            in_old_state_ns: closed.in_old_state_ns,
            ..inferred(event.flow, timewait, (event.old_state, State::TIME_WAIT), since_ns)
        })
    }

    /// Adds a socket that a dump has and the trace has not seen.
    pub(super) fn add(&mut self, listed: PreexistingTimewait) {
        let PreexistingTimewait { flow, cookie, state, since_ns, dumped_ns: seen_ns, device } = listed;
        self.remember(state, flow, Timewait { skaddr: 0, cookie, device, owner: None, since_ns, seen_ns });
    }

    /// The end of the timewait socket whose addresses and ports a new connection has taken. The first event of the new
    /// connection shows it; on kernels up to 6.12, where that event does not identify the connection, the next event does.
    pub(super) fn replaced(&mut self, event: &Event) -> Option<Transition> {
        let is_new = matches!(event.new_state, State::SYN_RECV | State::ESTABLISHED);
        if !(is_new || event.old_state == State::SYN_RECV) {
            return None;
        }
        let flow = event.flow;
        // The event does not show which socket the connection has replaced. It may have replaced none, since it may be on
        // another device: each device may have the same link-local address.
        let is_of_link = matches!(flow.local.address, IpAddr::V6(laddr) if laddr.is_unicast_link_local());
        if is_of_link {
            return None;
        }
        let key = self.only_one(flow)?;
        [State::FIN_WAIT2, State::TIME_WAIT].into_iter().find_map(|state| {
            let table = self.table(state);
            if table.is_empty() {
                return None;
            }
            // The timewait socket's own connection had the same ends. Its events may come after the dump that shows the
            // timewait socket. Where events have no cookies, only the time shows to which of both connections the event
            // belongs.
            let is_other = |timewait: &Timewait| {
                let is_another = match event.cookie {
                    0 => timewait.since_ns <= event.ktime_ns,
                    cookie => cookie != timewait.cookie,
                };
                timewait.seen_ns <= event.ktime_ns
                    && is_another
                    && timewait.device.as_ref().is_none_or(|device| is_on(event, device))
            };
            table.get(&key).filter(|timewait| is_other(timewait))?;
            self.forget(state, &key)
                .map(|timewait| inferred(flow, timewait, (state, State::CLOSE), event.ktime_ns))
        })
    }

    /// The end of the next socket whose TIME_WAIT was over at `now_ns`.
    pub(super) fn expired(&mut self, now_ns: u64) -> Option<Transition> {
        let (_, first) = self.time_wait.front()?;
        let ends_ns = first.since_ns.saturating_add(TIME_WAIT_NS);
        if ends_ns > now_ns {
            return None;
        }
        let (key, timewait) = self.time_wait.pop_front()?;
        self.left(&key);
        Some(inferred(key.0, timewait, (State::TIME_WAIT, State::CLOSE), ends_ns))
    }

    /// Takes a socket of a dump. Returns its transition from FIN_WAIT2 to TIME_WAIT, if the dump shows it.
    pub(super) fn listed(&mut self, listed: &PreexistingTimewait) -> Option<Transition> {
        let PreexistingTimewait { flow, cookie, state, since_ns, dumped_ns, .. } = *listed;
        if let Some(key) = self.find(state, &flow, cookie)
            && let Some(timewait) = self.table(state).get_mut(&key)
        {
            timewait.seen_ns = timewait.seen_ns.max(dumped_ns);
            return None;
        }
        // A socket that is younger than the dump is not meant: the dump shows its predecessor.
        let waited = |timewait: &Timewait| state == State::TIME_WAIT && timewait.since_ns < dumped_ns;
        let key = self.find(State::FIN_WAIT2, &flow, cookie)?;
        self.fin_wait2.get(&key).filter(|timewait| waited(timewait))?;
        let timewait = self.forget(State::FIN_WAIT2, &key)?;
        let since_ns = since_ns.max(timewait.since_ns);
        self.remember(State::TIME_WAIT, flow, Timewait { since_ns, seen_ns: dumped_ns, ..timewait.clone() });
        Some(inferred(flow, timewait, (State::FIN_WAIT2, State::TIME_WAIT), since_ns))
    }

    /// The sockets that are older than the dumps of these namespaces, and were not in them.
    pub(super) fn snapshot_gaps(&self, namespaces: &[Span]) -> Vec<Gone> {
        let spans: HashMap<Option<u32>, &Span> = namespaces.iter().map(|span| (span.netns, span)).collect();
        let mut gone = Vec::new();
        for (state, table) in [(State::FIN_WAIT2, &self.fin_wait2), (State::TIME_WAIT, &self.time_wait)] {
            gone.extend(table.iter().filter_map(|(key, timewait)| {
                let span = spans.get(&key.0.netns)?;
                let is_gone = timewait.since_ns < span.begin_ns && timewait.seen_ns < span.begin_ns;
                is_gone.then_some(Gone { state, key: *key, ktime_ns: span.end_ns })
            }));
        }
        gone
    }

    /// Forgets a socket that is gone. Returns its end.
    pub(super) fn end(&mut self, gone: &Gone) -> Option<Transition> {
        let Gone { state, key, ktime_ns } = *gone;
        let timewait = self.forget(state, &key)?;
        Some(inferred(key.0, timewait, (state, State::CLOSE), ktime_ns))
    }

    fn remember(&mut self, state: State, flow: Flow, mut timewait: Timewait) {
        let cookie = timewait.cookie;
        for state in [State::FIN_WAIT2, State::TIME_WAIT] {
            if let Some(key) = self.find(state, &flow, cookie)
                && let Some(known) = self.forget(state, &key)
                && known.cookie == cookie
                && cookie != 0
                && timewait.skaddr == 0
            {
                // It is the same socket. The dump lacks what its events have shown.
                timewait = Timewait { skaddr: known.skaddr, owner: known.owner, ..timewait };
                timewait.device = known.device.or(timewait.device);
            }
        }
        let first = (flow, 0);
        let has_twin = self.has(&first);
        let key = if has_twin { (flow, cookie) } else { first };
        if has_twin {
            self.twins.entry(flow).or_default().push(cookie);
        }
        let limit = self.limit;
        let table = self.table(state);
        table.insert(key, timewait);
        let evicted = if table.len() > limit { table.pop_front() } else { None };
        self.quotas.enter(flow.netns);
        if let Some((evicted, _)) = evicted {
            self.left(&evicted);
            self.evicted += 1;
        }
    }

    /// The key of the socket with these ends, and with this cookie where both cookies are known.
    fn find(&self, state: State, flow: &Flow, cookie: u64) -> Option<Key> {
        let table = if state == State::TIME_WAIT { &self.time_wait } else { &self.fin_wait2 };
        // The table for FIN_WAIT2 is mostly empty, which is known without a search for the key.
        if table.is_empty() {
            return None;
        }
        let first = (*flow, 0);
        let is_it = |timewait: &Timewait| timewait.cookie == cookie || timewait.cookie == 0 || cookie == 0;
        if table.get(&first).is_some_and(is_it) {
            return Some(first);
        }
        let twin = (*flow, cookie);
        (self.twins.contains_key(flow) && table.contains_key(&twin)).then_some(twin)
    }

    fn has(&self, key: &Key) -> bool {
        self.fin_wait2.contains_key(key) || self.time_wait.contains_key(key)
    }

    /// The key of the socket with these ends; `None` where several sockets may have them.
    fn only_one(&self, flow: Flow) -> Option<Key> {
        let first = (flow, 0);
        match self.twins.get(&flow).map(Vec::as_slice) {
            None => Some(first),
            Some([cookie]) if !self.has(&first) => Some((flow, *cookie)),
            Some(_) => None,
        }
    }

    /// Notes that the socket with this key is gone.
    fn left(&mut self, key: &Key) {
        let (flow, cookie) = key;
        self.quotas.leave(flow.netns);
        if *cookie != 0
            && let Some(twins) = self.twins.get_mut(flow)
        {
            twins.retain(|twin| twin != cookie);
            if twins.is_empty() {
                self.twins.remove(flow);
            }
        }
    }

    /// Whether the kernel's limit allowed a timewait socket with these ends. A dump may have shown it already.
    fn has_room(&self, flow: &Flow, cookie: u64) -> bool {
        !self.quotas.is_full(flow.netns)
            || self.find(State::TIME_WAIT, flow, cookie).is_some()
            || self.find(State::FIN_WAIT2, flow, cookie).is_some()
    }

    fn forget(&mut self, state: State, key: &Key) -> Option<Timewait> {
        let timewait = self.table(state).remove(key);
        timewait.inspect(|_| self.left(key))
    }

    fn table(&mut self, state: State) -> &mut LinkedHashMap<Key, Timewait> {
        if state == State::TIME_WAIT { &mut self.time_wait } else { &mut self.fin_wait2 }
    }
}

/// Whether the event's socket is known to be bound to this device. The first event of a child shows its listener's device.
fn is_on(event: &Event, device: &Device) -> bool {
    let is_same = event.device.as_ref().is_some_and(|its| its.ifindex == device.ifindex);
    is_same && event.old_state != State::LISTEN
}

/// The transition of a timewait socket between these states, at `ktime_ns`.
fn inferred(
    flow: Flow,
    timewait: Timewait,
    (old_state, new_state): (State, State),
    ktime_ns: u64,
) -> Transition {
    let Timewait { skaddr, cookie, device, owner, since_ns, .. } = timewait;
    let event = Event {
        ktime_ns,
        skaddr,
        cookie,
        flow,
        device,
        since_ns: None,
        old_state,
        new_state,
        context: Context::NONE,
        context_owns: false,
        process: None,
        error: None,
        metrics: None,
        evidence: None,
        has_listened: false,
        steered: false,
        verdict: Verdict::Pass,
    };
    Transition {
        event,
        in_old_state_ns: ktime_ns.checked_sub(since_ns),
        at_least_ns: None,
        owner,
        origin: Origin::Inferred,
        closing: None,
    }
}
