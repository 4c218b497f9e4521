//! What is said of data that waits.

use std::net::IpAddr;

use super::{
    super::{
        Confidence, Finding, Harm, Severity,
        culprits::{many, seconds, ss_host, the_oldest},
        endpoint::in_namespace,
    },
    Culprit, Pile, Stalled,
};

const ID: &str = "stalled";

impl Stalled {
    pub(super) fn finding(&self, culprit: Culprit, pile: &Pile) -> Option<Finding> {
        if self.waits_behind_another(culprit, pile) {
            return None;
        }
        let count = if pile.count > 0 { pile.count } else { pile.unknown };
        let (subject, who) = match (culprit, &pile.who) {
            (Culprit::Process(pid), Some(who)) => (format!("process {pid}"), who.to_string()),
            (Culprit::Process(pid), None) => (format!("process {pid}"), format!("process {pid}")),
            (Culprit::Peer(netns, address), _) => {
                (in_namespace(netns, format!("peer {address}")), format!("the peer {address}"))
            }
        };
        let is_stopped = self.is_stopped(culprit);
        let does_not = if is_stopped { "is stopped and does not read" } else { "does not read" };
        let (connections, oldest) = (many(count, "connection"), the_oldest(count, pile.oldest_ns));
        let summary = format!("{who} {does_not} from {connections}, {oldest}: {}", what_waits(pile));
        let confidence = if pile.count > 0 {
            Confidence::HIGH
        } else {
            Confidence::medium("the other ends: whether they have more to send")
        };
        let mut finding = Finding::new(ID, confidence, summary);
        if pile.count > 0 && (pile.of_servers > 0 || is_stopped || pile.count >= self.thresholds.count) {
            let waiter = pile.waiters.first_owner().map(ToString::to_string);
            let whom = waiter.unwrap_or_else(|| format!("who is connected to {who}"));
            let harm = Harm::new(pile.count, "connections on which somebody waits", whom);
            finding = finding.harms(Severity::Warning, harm);
        }
        pile.cookies.iter().for_each(|cookie| finding.part.explains(*cookie));
        pile.listeners.iter().for_each(|cookie| finding.part.rests_on(*cookie));
        let finding = finding
            .about(subject)
            .because("connections", count)
            .because("with a closed window", pile.closed)
            .because("with a request that was not read", pile.unanswered)
            .because("oldest, at least", seconds(pile.oldest_ns))
            .because("bytes unread", pile.unread)
            .because("bytes that wait to be sent", pile.unsent);
        let finding =
            if is_stopped { finding.because("stopped", "by a signal or a debugger") } else { finding };
        let behind = self.behind(culprit);
        let finding = match behind {
            0 => finding,
            _ => finding.because("connections that wait behind those", behind),
        };
        let finding = steps(culprit, is_stopped, finding)
            .not("a program that reads slowly, but reads")
            .not("a client that leaves something unread for which nobody waits");
        let owners = |of: &super::Culprits| of.name(Finding::new(ID, Confidence::HIGH, String::new()));
        let finding = match culprit {
            Culprit::Process(_) => pile.culprits.name(finding),
            Culprit::Peer(..) => pile.waiters.name(finding),
        };
        // Who does not read, and then who waits.
        let waiting = owners(&pile.waiters).owners;
        let mut finding = finding;
        let more = waiting.into_iter().filter(|who| finding.owners.iter().all(|known| known.pid != who.pid));
        let more: Vec<_> = more.collect();
        finding.owners.extend(more);
        Some(finding)
    }

    fn is_stopped(&self, culprit: Culprit) -> bool {
        let Culprit::Process(pid) = culprit else { return false };
        self.conditions.get(&pid).is_some_and(|condition| condition.stopped == Some(true))
    }

    /// A proxy that cannot send on reads nothing more: who waits for another one is not the root.
    fn waits_behind(&self, culprit: Culprit, other: Culprit, pile: &Pile) -> bool {
        let Culprit::Process(pid) = culprit else { return false };
        let (Some(own), false) = (self.last.get(&culprit), self.is_stopped(culprit)) else { return false };
        let waits = |pile: &Pile, pid: u32| pile.waiters.has_owner(pid);
        let is_mutual = matches!(other, Culprit::Process(other) if waits(own, other));
        culprit != other && pile.closed > 0 && waits(pile, pid) && !is_mutual
    }

    fn waits_behind_another(&self, culprit: Culprit, _pile: &Pile) -> bool {
        self.last.iter().any(|(other, pile)| self.waits_behind(culprit, *other, pile))
    }

    /// Connections on which a process does not read that itself waits for this one.
    fn behind(&self, culprit: Culprit) -> u64 {
        let Some(pile) = self.last.get(&culprit) else { return 0 };
        let behind = self.last.iter().filter(|(other, _)| self.waits_behind(**other, culprit, pile));
        behind.map(|(_, other)| other.count).sum()
    }
}

fn what_waits(pile: &Pile) -> String {
    let bytes = |count: u64, what: &str| (count > 0).then(|| format!("{} {what}", many(count, "byte")));
    let parts = [
        (pile.closed > 0).then(|| "its window is closed".to_owned()),
        bytes(pile.unread, "unread"),
        bytes(pile.unsent, "waiting to be sent"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn steps(culprit: Culprit, is_stopped: bool, finding: Finding) -> Finding {
    match culprit {
        Culprit::Process(pid) => {
            let finding = if is_stopped {
                finding.then("It is stopped: let it go on, or end it", Some(format!("kill -CONT {pid}")))
            } else {
                finding.then(
                    "Find out what the program waits for instead of reading",
                    Some(format!("cat /proc/{pid}/wchan; ls /proc/{pid}/task")),
                )
            };
            finding.then(
                "See the queues: Recv-Q is unread, Send-Q waits to be sent",
                Some(format!("ss -tanop | grep pid={pid},")),
            )
        }
        Culprit::Peer(_, address) => of_peer(address, finding),
    }
}

fn of_peer(address: IpAddr, finding: Finding) -> Finding {
    finding
        .then(
            "See the connections: timer:(persist,...) probes a closed window, Send-Q waits to be sent",
            Some(format!("ss -tano dst {}", ss_host(address))),
        )
        .then("Find out why the program at the other end does not read", None)
        .then(
            "Here, a time limit for sending (TCP_USER_TIMEOUT, or the program's own) ends such connections",
            None,
        )
}
