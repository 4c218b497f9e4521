//! Finds the beginnings and ends of half-open connections from records, transitions and polls.
//!
//! The tracker is pure, like the tracker of transitions: it uses the times of events and polls only. It does not assume that
//! a source is complete: each source may be missing, and another one may show later what it does not show.

use std::sync::Arc;

use super::{
    Event, EventKind,
    open::{Open, Table},
    timer,
};
use crate::model::{
    event,
    flow::Flow,
    half_open::{Change, Connection, Counts, End, Pending, Poll, Source, What},
    hash::{HashMap, HashSet},
    owner::Owner,
    socket_filter::SocketFilter,
    state::State,
};

/// All known half-open connections.
pub struct HalfOpens {
    table: Table,
    counts: Counts,
    wanted: SocketFilter,
    /// `net.ipv4.tcp_synack_retries` of the namespaces where it is known.
    retries: HashMap<Option<u32>, u32>,
    /// Children that came during a poll. The poll may still have their connections.
    while_polling: Option<HashSet<Flow>>,
    /// Transitions up to this time may be missing, and with them completions.
    gap_ns: u64,
    /// Records of the kernel side that the user's filters hide.
    filtered: u64,
}

/// The tolerance of comparisons with the kernel's timers, nanoseconds. They fire late, never early; but a tick of the
/// kernel's clock lasts up to ten milliseconds.
const TICK_NS: u64 = 20_000_000;

impl HalfOpens {
    /// Remembers at most `limit` connections (at least one).
    pub fn new(limit: usize, wanted: SocketFilter) -> Self {
        Self {
            table: Table::new(limit),
            counts: Counts::default(),
            wanted,
            retries: HashMap::default(),
            while_polling: None,
            gap_ns: 0,
            filtered: 0,
        }
    }

    /// Takes a record of the kernel side. `owner`: the owner of its listener, if known.
    pub fn event(&mut self, event: &Event, owner: Option<Arc<Owner>>, mut emit: impl FnMut(Change)) {
        if !self.wanted.connection(&event.connection, owner.as_deref()) {
            self.filtered += 1;
            return;
        }
        let known = self.table.find(&event.connection);
        match event.kind {
            EventKind::Syn => {
                let key = known.unwrap_or_else(|| self.begin(event.connection, event.ktime_ns));
                self.table.update(key, |open| {
                    (open.since_ns, open.fires_ns) =
                        (Some(event.ktime_ns), event.ktime_ns.saturating_add(timer::interval_ns(0)));
                });
                self.tell(event.ktime_ns, What::Begin(Source::Syn), key, owner, true, &mut emit);
            }
            EventKind::Retransmit => {
                let key = known.unwrap_or_else(|| {
                    let key = self.begin(event.connection, event.ktime_ns);
                    let what = What::Begin(Source::Retransmit);
                    self.tell(event.ktime_ns, what, key, owner.clone(), false, &mut emit);
                    key
                });
                self.counts.retransmits += 1;
                self.table.update(key, |open| {
                    open.retransmits = open.retransmits.saturating_add(1);
                    open.seen_ns = open.seen_ns.max(event.ktime_ns);
                    open.fires_ns = event.ktime_ns.saturating_add(timer::interval_ns(open.retransmits));
                    open.note_netns(event.connection.flow.netns);
                });
                self.tell(event.ktime_ns, What::Retransmit, key, owner, true, &mut emit);
            }
        }
    }

    /// Takes a transition. The transition of a child completes the half-open connection that the child came from.
    pub fn transition(
        &mut self,
        event: &event::Event,
        owner: impl Fn() -> Option<Arc<Owner>>,
        emit: impl FnMut(Change),
    ) {
        let is_child = (event.old_state == State::LISTEN && event.new_state == State::SYN_RECV)
            || event.old_state == State::SYN_RECV;
        if !is_child {
            return;
        }
        let connection = Connection { cookie: event.cookie, flow: event.flow };
        if let Some(completed) = &mut self.while_polling {
            completed.insert(connection.flow.anywhere());
        }
        if let Some(key) = self.table.find(&connection) {
            self.table.update(key, |open| {
                open.note_netns(event.flow.netns);
            });
            self.end(event.ktime_ns, End::Completed, key, owner(), emit);
        }
    }

    /// Notes that a poll begins.
    pub fn poll_begins(&mut self) {
        self.while_polling = Some(HashSet::default());
    }

    /// Takes the poll that was begun, once every event up to its end has been taken: a connection that only the poll has
    /// begins; a connection that the poll lacks is over. `owner` returns the owner of a connection's listener.
    pub fn polled(
        &mut self,
        poll: &Poll,
        owner: impl Fn(&Connection) -> Option<Arc<Owner>>,
        mut emit: impl FnMut(Change),
    ) {
        let completed = self.while_polling.take().unwrap_or_default();
        for pending in &poll.pending {
            if completed.contains(&pending.connection.flow.anywhere()) {
                continue;
            }
            let known = self.table.find(&pending.connection);
            let Some(key) = known.or_else(|| self.found(poll.end_ns, pending, &owner, &mut emit)) else {
                continue;
            };
            self.table.update(key, |open| {
                open.seen_ns = poll.end_ns;
                open.note_netns(pending.connection.flow.netns);
                // An event may have shown more retransmits since the kernel answered.
                if pending.retransmits >= open.retransmits {
                    open.retransmits = pending.retransmits;
                    open.fires_ns = pending.fires_ns.unwrap_or(open.fires_ns);
                }
            });
        }
        let begun: HashMap<_, _> = poll.namespaces.iter().copied().collect();
        let gone = self.table.keys(|open| {
            let begun_ns = begun.get(&open.connection.flow.netns);
            // A connection that began during the poll may have been too late for the answer.
            begun_ns.is_some_and(|begun_ns| open.found_ns.saturating_add(TICK_NS) < *begun_ns)
                && open.seen_ns < poll.end_ns
        });
        for key in gone {
            let Some(open) = self.table.get(key) else { continue };
            let end = self.how_it_ended(open, poll.end_ns);
            let owner = owner(&open.connection);
            self.end(poll.end_ns, end, key, owner, &mut emit);
        }
    }

    /// Ends the connections that must be over by now, and whose namespace no poll reaches.
    pub fn tick(
        &mut self,
        now_ns: u64,
        owner: impl Fn(&Connection) -> Option<Arc<Owner>>,
        mut emit: impl FnMut(Change),
    ) {
        let over = self.table.keys(|open| {
            now_ns.saturating_sub(open.seen_ns)
                > timer::longest_life_ns(self.retries(open.connection.flow.netns))
        });
        for key in over {
            let owner = self.table.get(key).and_then(|open| owner(&open.connection));
            self.end(now_ns, End::Unknown, key, owner, &mut emit);
        }
    }

    /// Notes how often the kernel sends a SYN-ACK again in a namespace.
    pub fn set_retries(&mut self, netns: Option<u32>, retries: u32) {
        self.retries.insert(netns, retries);
    }

    /// Notes that events up to `ktime_ns` may be missing.
    pub fn gap(&mut self, ktime_ns: u64) {
        self.gap_ns = ktime_ns;
    }

    /// The number of half-open connections now.
    pub fn open(&self) -> usize {
        self.table.len()
    }

    /// Outcomes of all half-open connections that were seen.
    pub fn counts(&self) -> Counts {
        Counts { open: self.table.len() as u64, ..self.counts }
    }

    /// Records of the kernel side that the user's filters hide.
    pub fn filtered(&self) -> u64 {
        self.filtered
    }

    /// Begins a connection that a poll found, if it passes the filters.
    fn found(
        &mut self,
        ktime_ns: u64,
        pending: &Pending,
        owner: impl Fn(&Connection) -> Option<Arc<Owner>>,
        emit: &mut impl FnMut(Change),
    ) -> Option<u64> {
        let owner = owner(&pending.connection);
        if !self.wanted.connection(&pending.connection, owner.as_deref()) {
            return None;
        }
        let key = self.begin(pending.connection, ktime_ns);
        self.table.update(key, |open| open.retransmits = pending.retransmits);
        self.tell(ktime_ns, What::Begin(Source::Poll), key, owner, false, emit);
        Some(key)
    }

    fn begin(&mut self, connection: Connection, found_ns: u64) -> u64 {
        self.counts.begun += 1;
        let fires_ns = found_ns.saturating_add(timer::interval_ns(0));
        let open = Open { connection, since_ns: None, retransmits: 0, found_ns, seen_ns: found_ns, fires_ns };
        let (key, evicted) = self.table.insert(open);
        self.counts.evicted += evicted;
        key
    }

    fn end(
        &mut self,
        ktime_ns: u64,
        end: End,
        key: u64,
        owner: Option<Arc<Owner>>,
        emit: impl FnMut(Change),
    ) {
        let Some(open) = self.table.remove(key) else { return };
        *match end {
            End::Completed => &mut self.counts.completed,
            End::TimedOut => &mut self.counts.timed_out,
            End::Dropped => &mut self.counts.dropped,
            End::Unknown => &mut self.counts.unknown,
        } += 1;
        self.emit(ktime_ns, What::End(end), &open, owner, false, emit);
    }

    /// The end of a connection that a poll no longer has. When the connection was last seen, its timer had still to fire. If
    /// the timer has fired by now, the kernel gave up then, unless it was too early for that.
    fn how_it_ended(&self, open: &Open, gone_ns: u64) -> End {
        let retries = self.retries(open.connection.flow.netns);
        if open.seen_ns < self.gap_ns {
            End::Unknown
        } else if open.fires_ns < gone_ns.saturating_add(TICK_NS)
            && timer::may_give_up(open.retransmits, retries)
        {
            End::TimedOut
        } else {
            End::Dropped
        }
    }

    fn retries(&self, netns: Option<u32>) -> u32 {
        self.retries.get(&netns).copied().unwrap_or(timer::RETRIES)
    }

    fn tell(
        &mut self,
        ktime_ns: u64,
        what: What,
        key: u64,
        owner: Option<Arc<Owner>>,
        recorded: bool,
        emit: &mut impl FnMut(Change),
    ) {
        if let Some(open) = self.table.get(key).copied() {
            self.emit(ktime_ns, what, &open, owner, recorded, emit);
        }
    }

    fn emit(
        &mut self,
        ktime_ns: u64,
        what: What,
        open: &Open,
        owner: Option<Arc<Owner>>,
        recorded: bool,
        mut emit: impl FnMut(Change),
    ) {
        if !self.wanted.states(what) {
            self.filtered += u64::from(recorded);
            return;
        }
        emit(Change {
            ktime_ns,
            what,
            connection: open.connection,
            age_ns: match what {
                What::Begin(_) => None,
                _ => open.since_ns.and_then(|since_ns| ktime_ns.checked_sub(since_ns)),
            },
            retransmits: open.retransmits,
            open: self.table.count(&open.connection),
            owner,
            recorded,
        });
    }
}

impl SocketFilter {
    /// Whether a connection passes the filters. The kernel side has applied some of them to its records; polls have applied
    /// none.
    fn connection(&self, connection: &Connection, owner: Option<&Owner>) -> bool {
        let tgid = self.filter.tgid;
        self.flow_passes(&connection.flow) && (tgid == 0 || owner.is_some_and(|owner| owner.pid == tgid))
    }

    fn states(&self, what: What) -> bool {
        let (old, new) = what.states();
        self.filter.states_pass(old.0, new.0)
    }
}
