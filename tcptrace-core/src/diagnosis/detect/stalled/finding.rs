//! The finding about data that waits.

use std::{net::IpAddr, time::Duration};

use super::{
    super::{
        culprits::{many, ss_host, the_oldest},
        hanging,
    },
    Culprit, Pile, Stalled,
    chain::Chain,
};
use crate::model::{
    evidence::EvidenceValue,
    finding::{Confidence, Finding, Harm, Severity, in_namespace},
};

const ID: &str = "stalled";

/// The name of a culprit on this host whose socket, or whose owner, was not seen.
const NOT_KNOWN: &str = "a program of this host that is not known";

impl Stalled {
    pub(super) fn finding(&self, culprit: Culprit, pile: &Pile, behind: &Chain) -> Finding {
        let count = if pile.count > 0 { pile.count } else { pile.unknown };
        let (subject, who) = match (culprit, &pile.who) {
            (Culprit::Process(pid), Some(who)) => (format!("process {pid}"), who.to_string()),
            (Culprit::Process(pid), None) => (format!("process {pid}"), format!("process {pid}")),
            (Culprit::Unknown(netns), _) => {
                (in_namespace(netns, "a program that is not known"), NOT_KNOWN.to_owned())
            }
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
        let those_behind: Vec<(Culprit, &Pile)> = self.those_behind(culprit, behind).collect();
        let waiting_behind = those_behind.iter().map(|(_, pile)| pile.count).sum::<u64>();
        let ring = behind.ring(culprit);
        // No other finding reports the connections behind it.
        let harms_behind = those_behind.iter().any(|(other, pile)| self.is_harm(*other, pile));
        if pile.count > 0 && (self.is_harm(culprit, pile) || harms_behind || ring.is_some()) {
            let waiter = pile.waiters.first_owner().map(ToString::to_string);
            let whom = waiter.unwrap_or_else(|| format!("who is connected to {who}"));
            let harm = Harm::new(pile.count + waiting_behind, "connections on which somebody waits", whom);
            finding = finding.harms(Severity::Warning, harm);
        }
        pile.cookies.iter().for_each(|cookie| finding.links.explains(*cookie));
        pile.listeners.iter().for_each(|cookie| finding.links.rests_on(*cookie));
        let finding = finding
            .about(subject)
            .because("connections", count)
            .because("with a closed window", pile.closed)
            .because("with a request that was not read", pile.unanswered)
            .because("oldest, at least", Duration::from_nanos(pile.oldest_ns))
            .because("unread data", EvidenceValue::Bytes(pile.unread))
            .because("data that waits to be sent", EvidenceValue::Bytes(pile.unsent));
        let finding =
            if is_stopped { finding.because("stopped by a signal or a debugger", true) } else { finding };
        let finding = match waiting_behind {
            0 => finding,
            count => finding.because("connections that wait behind those", count),
        };
        let finding = match ring {
            None => finding,
            Some(count) => finding.because("processes that wait for each other", count),
        };
        let finding = steps(culprit, is_stopped, finding)
            .not("a program that reads slowly, but reads")
            .not("a client that leaves something unread for which nobody waits");
        let Culprit::Process(_) = culprit else {
            // The processes that wait are not the cause.
            return Finding { owners: Vec::new(), ..pile.waiters.name(finding) };
        };
        // First the processes that do not read, then those that wait.
        let mut finding = pile.culprits.name(finding);
        let waiting = pile.waiters.name(Finding::new(ID, Confidence::HIGH, String::new())).owners;
        let more = waiting.into_iter().filter(|who| finding.owners.iter().all(|known| known.pid != who.pid));
        let more: Vec<_> = more.collect();
        finding.owners.extend(more);
        finding
    }

    pub(super) fn is_stopped(&self, culprit: Culprit) -> bool {
        let Culprit::Process(pid) = culprit else { return false };
        self.conditions.get(&pid).is_some_and(|condition| condition.stopped == Some(true))
    }

    /// Whether these connections alone justify a warning.
    fn is_harm(&self, culprit: Culprit, pile: &Pile) -> bool {
        let is_bad = pile.of_servers > 0 || self.is_stopped(culprit) || pile.count >= self.thresholds.count;
        pile.count > 0 && is_bad
    }

    /// Connections that other culprits do not read, and that wait for this one.
    fn those_behind(&self, culprit: Culprit, behind: &Chain) -> impl Iterator<Item = (Culprit, &Pile)> {
        behind.those_behind(culprit).filter_map(|other| Some((other, self.last.get(&other)?)))
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
                hanging::go_on(finding, pid)
            } else {
                hanging::find_out(finding, "Find out what the program waits for instead of reading", pid)
            };
            finding.then(
                "See the queues: Recv-Q is unread, Send-Q waits to be sent",
                Some(format!("ss -tanop | grep pid={pid},")),
            )
        }
        Culprit::Unknown(_) => finding.then(
            "Both ends are on this host, but the owner of the one that does not read was not seen: scan as root, and check other network namespaces",
            Some("ss -tanpo; ip -all netns exec ss -tanpo".to_owned()),
        ),
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
