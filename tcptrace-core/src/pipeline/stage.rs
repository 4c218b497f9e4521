//! Turns records into transitions and half-open connections.

use super::{
    half_open::{Side, netns_cookie},
    order::Ahead,
    outgoing::Outgoing,
    resolver::ResolverCache,
};
use crate::{
    model::{
        dump::Namespace,
        event::Observed,
        half_open::Poll,
        socket_dump::{Scope, SocketDump},
        transition::Transition,
    },
    pipeline::{
        decode::{decode, is_half_open, ktime_ns},
        tracker::{Span, Tracker},
    },
};

/// The number of owners to check at once, of those that listen and of those that have acted. A check takes some
/// microseconds.
const CHECKED: usize = 32;

/// The part of the core after the order. It is a type of its own, so that it can take a record that is borrowed from the
/// order.
pub(super) struct Stage {
    pub tracker: Tracker,
    pub answers: ResolverCache,
    pub half_open: Option<Side>,
    pub out: Outgoing,
}

impl Stage {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let Self { tracker, answers, half_open, out } = self;
        if is_half_open(bytes) {
            if let Some(side) = half_open {
                side.take(bytes, answers, tracker, out);
            }
            return;
        }
        match decode(bytes) {
            Ok(Observed::Transition(event)) => {
                let mut transition = Transition::of(event);
                let event = &mut transition.event;
                out.account.read += 1;
                out.judge(event);
                answers.identify(event);
                answers.name_device(event);
                if answers.knows_exits()
                    && let Some(heir) = tracker.heir_of(event)
                {
                    answers.ask_exit(heir, event.ktime_ns);
                }
                if let Some(side) = half_open {
                    side.transition(event, tracker, out);
                }
                tracker.track(&mut transition, |transition| out.push(transition));
            }
            Ok(Observed::Signal(signal)) => {
                tracker.in_turn(&signal);
            }
            Err(_) => {
                out.account.read += 1;
                out.account.undecodable += 1;
            }
        }
    }

    /// Asks the resolver whether some owners of sockets have ended.
    pub(super) fn ask_exits(&mut self, now_ns: u64) {
        let Self { tracker, answers, .. } = self;
        if answers.knows_exits() {
            let (listening, acting) = tracker.owners_to_check(CHECKED);
            listening.into_iter().chain(acting).for_each(|owner| answers.ask_exit(owner, now_ns));
        }
    }

    /// Takes the first dump, of pre-existing sockets.
    pub(super) fn first_dump(&mut self, dump: SocketDump) {
        self.limit_timewait(&dump);
        self.expect_holders(&dump);
        self.tracker.list(dump.preexisting, dump.timewait);
    }

    /// Takes a later dump, and compares the remembered sockets with it: full sockets at once, timewait ones by
    /// [`Self::compare`].
    pub(super) fn later_dump(&mut self, dump: SocketDump, is_first: bool) {
        self.limit_timewait(&dump);
        // An incomplete dump does not prove that a socket is gone.
        if !dump.is_complete() {
            return;
        }
        let spans = dump.namespaces.iter().map(|namespace| {
            let Namespace { inode: netns, begin_ns, end_ns, .. } = *namespace;
            Span { netns, begin_ns, end_ns }
        });
        let spans: Vec<Span> = spans.collect();
        if dump.scope == Scope::All {
            self.expect_holders(&dump);
            self.tracker.reconcile(dump.preexisting, &spans, is_first);
        }
        self.tracker.confirm(dump.timewait, spans);
    }

    fn expect_holders(&mut self, dump: &SocketDump) {
        self.tracker.expect_holders(dump.unreadable == 0, dump.holders_ns);
    }

    fn limit_timewait(&mut self, dump: &SocketDump) {
        let limit = |namespace: &Namespace| Some((namespace.inode, namespace.most_timewait?));
        self.tracker.limit_timewait(dump.namespaces.iter().filter_map(limit));
    }

    /// Compares the next part of the last dump.
    pub(super) fn compare(&mut self) {
        let Self { tracker, out, .. } = self;
        tracker.confirm_part(|transition| out.push(transition));
    }

    /// Takes a poll of half-open connections.
    pub(super) fn polled(&mut self, poll: &Poll) {
        let Self { tracker, half_open, out, .. } = self;
        if let Some(side) = half_open {
            side.polled(poll, tracker, out);
        }
    }

    pub(super) fn tick(&mut self, now_ns: u64) {
        let Self { tracker, out, .. } = self;
        tracker.tick(now_ns, |transition| out.push(transition));
    }

    pub(super) fn finish(&mut self) {
        let Self { tracker, out, .. } = self;
        tracker.finish(|transition| out.push(transition));
    }
}

impl Ahead for Stage {
    fn transition(&mut self, record: &[u8], ktime_ns: u64) {
        self.answers.ask(record, ktime_ns);
    }

    fn signal(&mut self, record: &[u8]) {
        match decode(record) {
            Ok(Observed::Signal(signal)) => self.tracker.ahead(signal),
            Ok(Observed::Transition(_)) => {}
            Err(_) => {
                self.out.account.read += 1;
                self.out.account.undecodable += 1;
            }
        }
    }

    fn half_open(&mut self, record: &[u8]) {
        if self.half_open.is_some()
            && let Some(cookie) = netns_cookie(record)
        {
            self.answers.ask_namespace(cookie, ktime_ns(record));
        }
    }
}
