//! Questions about records to the resolver, and how long the records wait for the answers.

use std::time::Duration;

use tcptrace_core::model::input::Input;

use super::{
    super::{namespaces::Namespaces, resolver::ResolverThread, scanner::Want},
    HostQueries, Reader,
};
use crate::sys::clock::monotonic_ns;

/// The longest time between two polls of the ring while records wait for the resolver, as a power of two in
/// milliseconds. The first is 2 ms: mostly the answers are there by then.
const LONGEST: u32 = 4;

impl Reader {
    /// Sends questions to this thread from now on.
    pub(in crate::session) fn ask_of(&mut self, resolver: ResolverThread) {
        self.queries.resolver = Some(resolver);
    }

    /// Takes the answers that have come, and asks for the namespaces of records that are not released yet. Returns the
    /// time of the first record that waits, nanoseconds of `CLOCK_MONOTONIC`.
    pub(super) fn ask(&mut self) -> Option<u64> {
        let now_ns = monotonic_ns();
        let waits_ns = [self.take_answers(now_ns), self.ask_namespaces(now_ns)].into_iter().flatten().min();
        self.waits_ns = waits_ns;
        let asks = self.queries.resolver.as_ref().is_some_and(ResolverThread::is_waiting);
        self.awaits =
            if asks && self.entrance.core.waiting() > 0 { self.awaits.saturating_add(1) } else { 0 };
        waits_ns
    }

    /// Sends the questions of the core to the resolver: soon, while the processes live.
    pub(super) fn send_questions(&mut self) {
        let questions = self.entrance.core.answers().questions();
        if let Some(resolver) = &mut self.queries.resolver
            && !questions.is_empty()
        {
            resolver.ask(questions, monotonic_ns());
        }
    }

    /// Takes the answers of the resolver. Returns the time of the first record that waits for one.
    pub(super) fn take_answers(&mut self, now_ns: u64) -> Option<u64> {
        let Self { queries: HostQueries { resolver, .. }, entrance, .. } = self;
        let resolver = resolver.as_mut()?;
        for answer in resolver.answers(now_ns) {
            if entrance.core.is_new(&answer) {
                entrance.feed(answer);
            }
        }
        resolver.first_waiting()
    }

    /// Whether records wait for an answer. After a rotation, the answer would be in another file than the records.
    pub(super) fn is_waiting(&self) -> bool {
        let HostQueries { resolver, namespaces, .. } = &self.queries;
        resolver.as_ref().is_some_and(ResolverThread::is_waiting)
            || namespaces.as_ref().is_some_and(Namespaces::is_waiting)
    }

    /// How long until the next poll of the ring: `otherwise`, or less while records wait for the resolver.
    pub(super) fn until_answer(&self, otherwise: Option<Duration>) -> Option<Duration> {
        match self.awaits {
            0 => otherwise,
            awaits => {
                let soon = Duration::from_millis(1 << awaits.min(LONGEST));
                Some(otherwise.map_or(soon, |otherwise| otherwise.min(soon)))
            }
        }
    }

    /// As [`Self::ask`], for the network namespaces only.
    fn ask_namespaces(&mut self, now_ns: u64) -> Option<u64> {
        let Self { queries, entrance, .. } = self;
        let (scanner, namespaces) = (queries.scanner.as_mut()?, queries.namespaces.as_mut()?);
        let mut answers = Vec::new();
        if let Some(scan) = scanner.take_namespaces() {
            answers.extend(namespaces.learn(&scan));
        }
        let asked = entrance.core.answers().asked_namespaces().into_iter();
        answers.extend(asked.filter_map(|(cookie, ktime_ns)| namespaces.ask(cookie, ktime_ns, now_ns)));
        if namespaces.is_waiting() {
            scanner.want(Want::Namespaces);
            scanner.send();
        }
        for answer in answers.into_iter().map(Input::Namespace) {
            if entrance.core.is_new(&answer) {
                entrance.feed(answer);
            }
        }
        namespaces.first_waiting(now_ns)
    }
}
