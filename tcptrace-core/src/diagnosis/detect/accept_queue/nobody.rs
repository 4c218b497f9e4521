//! `nobody-accepts`: clients wait in a queue that need not be full.

use std::time::Duration;

use super::{
    super::culprits::{many, nanoseconds, the_oldest},
    AcceptQueue, Place,
    children::Waiting,
    listener::Listener,
    who_accepts::Blocker,
};
use crate::model::{
    evidence::EvidenceValue,
    finding::{Confidence, Finding, Harm, Severity},
};

const ID: &str = "nobody-accepts";

/// The clients that wait in a listener's queue.
struct Queued<'a> {
    clients: u64,
    oldest_ns: u64,
    waiting: Option<&'a Waiting>,
    /// Whether it is certain that the clients wait in this queue: other listeners at the same end may have them.
    is_sure: bool,
}

impl AcceptQueue {
    pub(super) fn nobody(&self, place: &Place) -> Option<Finding> {
        let queued = self.queued(place)?;
        let (listener, address, program) = (place.listener, place.address(), place.program());
        let why = match place.blocker {
            Some(Blocker::Stopped) => format!("{program} is stopped and accepts nobody on {address}"),
            Some(Blocker::Descriptors(used, limit)) => {
                format!("{program} cannot accept on {address}, {used} of {limit} descriptors are open")
            }
            // The program accepted some connections while others waited.
            None if listener.steady_since_ns > listener.nonempty_since_ns => {
                format!("{program} accepts too slowly on {address}")
            }
            None => format!("{program} accepts nobody on {address}"),
        };
        let clients = many(queued.clients, "client");
        let verb = if queued.clients == 1 { "waits" } else { "wait" };
        let since = the_oldest(queued.clients, queued.oldest_ns);
        let confidence = if queued.is_sure {
            Confidence::HIGH
        } else {
            Confidence::medium("a longer watch: of several sockets there, which one's queue does not move")
        };
        let harm = Harm::new(
            queued.clients,
            "clients that wait to be accepted",
            format!("clients of {}", place.address),
        );
        let gone = queued.waiting.map_or(0, |waiting| waiting.gone);
        let gave_up = if gone > 0 { format!("; {gone} of them have given up") } else { String::new() };
        // A client that has closed has failed. Clients that close their half only to end a request are no majority.
        let severity = if gone * 2 > queued.clients { Severity::Critical } else { Severity::Warning };
        let mut finding = Finding::new(ID, confidence, format!("{why}: {clients} {verb}, {since}{gave_up}"))
            .harms(severity, harm)
            .about(place.subject())
            .within(place.netns)
            .because("wait to be accepted", listener.length)
            .because("backlog of listen()", listener.backlog)
            .because("oldest, at least", Duration::from_nanos(queued.oldest_ns));
        finding.links.explains(place.cookie);
        finding.links.hangs(place.owners.first().map(|who| who.pid));
        finding.links.rests_on(place.cookie);
        if let Some(waiting) = queued.waiting {
            waiting.children.iter().for_each(|(_, cookie)| finding.links.explains(*cookie));
            finding = finding
                .because("data that they have sent, unread", EvidenceValue::Bytes(waiting.bytes))
                .because("clients that have given up (CLOSE_WAIT)", waiting.gone);
            finding.samples.clone_from(&waiting.samples);
        }
        let finding = place
            .about_who(finding)
            .then(
                "See the queue: Recv-Q waits, Send-Q is the backlog",
                Some(format!("ss -tlnp sport = :{}", place.address.port)),
            )
            .not("a busy server, whose queue is never empty and where nobody waits for long")
            .not("TCP_DEFER_ACCEPT: what is deferred is not in this queue");
        Some(Finding { owners: place.owners.clone(), ..finding })
    }

    fn queued(&self, place: &Place) -> Option<Queued<'_>> {
        let (now_ns, limit_ns) = (self.now_ns(), nanoseconds(self.nobody.age_s));
        let (listener, end) = (place.listener, place.listener.end?);
        if listener.seen_ns != now_ns || listener.length == 0 {
            return None;
        }
        let waiting = self.children.at.get(&end);
        let is_old = |since_ns: u64| now_ns.saturating_sub(since_ns) >= limit_ns;
        let oldest =
            waiting.and_then(|waiting| waiting.children.first()).filter(|(child, _)| is_old(child.since_ns));
        let is_steady = listener.steady_since_ns.filter(|since_ns| is_old(*since_ns) && *since_ns < now_ns);
        let length = u64::from(listener.length);
        let Some((oldest, _)) = oldest else {
            // A client that gave up by a reset is still in the queue, but no scan shows it.
            let oldest_ns = now_ns.saturating_sub(is_steady?);
            return Some(Queued { clients: length, oldest_ns, waiting: None, is_sure: true });
        };
        let oldest_ns = now_ns.saturating_sub(oldest.since_ns);
        if place.sockets.0 <= 1 {
            let clients = waiting.map_or(length, |waiting| waiting.children.len() as u64);
            return Some(Queued { clients, oldest_ns, waiting, is_sure: true });
        }
        // It waits in one of the queues that have not been empty since it came.
        let may_have = |listener: &Listener| {
            listener.nonempty_since_ns.is_some_and(|since_ns| since_ns <= oldest.found_ns)
        };
        let does_not_move = |listener: &Listener| {
            listener.steady_since_ns.is_some_and(|since_ns| since_ns <= oldest.found_ns)
        };
        let candidates: Vec<&Listener> = self.at(end).filter(|listener| may_have(listener)).collect();
        let still: Vec<&Listener> =
            candidates.iter().copied().filter(|listener| does_not_move(listener)).collect();
        let is_this = match (&candidates[..], &still[..]) {
            ([_], _) => may_have(listener),
            (_, []) => {
                let longest = candidates.iter().map(|listener| listener.length).max();
                may_have(listener) && Some(listener.length) == longest
            }
            _ => does_not_move(listener) && (listener.scans > 1 || still.len() == 1),
        };
        let is_only = candidates.len() == 1;
        let waiting = waiting.filter(|waiting| is_only && waiting.children.len() as u64 == length);
        let is_sure = is_only || !still.is_empty();
        is_this.then_some(Queued { clients: length, oldest_ns, waiting, is_sure })
    }
}
