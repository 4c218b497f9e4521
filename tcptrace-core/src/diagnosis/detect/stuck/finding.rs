//! The finding about connections that do not end.

use std::{cmp::Reverse, time::Duration};

use super::{
    super::culprits::{many, share, the_oldest},
    ABORTS, KINDS, Others, Pile, Piled, Stuck,
};
use crate::model::{
    evidence::EvidenceValue,
    finding::{Confidence, Finding, Harm, Severity},
    state::State,
};

/// Share of `tcp_max_orphans` in use from which the kernel is about to end orphans.
const NEARLY_ALL: f64 = 0.8;

impl Stuck {
    pub(super) fn finding(&self, pile: Pile, piled: &Piled) -> Finding {
        let (state, id) = KINDS[pile.kind];
        let name = state.name().unwrap_or_default();
        let is_unanswered = piled.unanswered + piled.closed_window > piled.count / 2;
        let confidence = if state == State::FIN_WAIT2 || is_unanswered {
            Confidence::HIGH
        } else {
            Confidence::medium("a longer watch: retransmissions without an answer")
        };
        let (count, oldest) = (many(piled.count, "connection"), the_oldest(piled.count, piled.oldest_ns));
        let mut finding =
            Finding::new(id, confidence, format!("{count} in {name}, {oldest}: {}", why(pile, piled)));
        let subject = match pile.others {
            Others::Elsewhere => "closing connections",
            Others::Unseen => "closing connections to addresses of this host",
            Others::Here => "closing connections within this host",
            Others::Nowhere => "closing connections that a listener of this host does not have",
        };
        piled.rests_on.iter().for_each(|cookie| finding.links.rests_on(*cookie));
        let finding = finding
            .about_in(pile.netns, subject)
            .because("stuck", piled.count)
            .because("oldest, at least", Duration::from_nanos(piled.oldest_ns))
            .because("remote ends", piled.culprits.peer_count())
            .because("sent again without an answer", piled.unanswered)
            .because("closed window of the peer", piled.closed_window)
            .then("See them with their timers", Some(format!("ss -tanpo state {}", filter(name))));
        let finding = self.aborted(pile, self.harmed(pile, piled, finding));
        let finding = match (state, pile.others) {
            (State::FIN_WAIT2, others) => of_fin_wait2(piled, others, finding),
            (_, Others::Unseen) => unacknowledged(finding.then(
                "The other ends have an address of this host, but were not seen: check its network namespaces, and what drops packets",
                Some("ip netns list; nft list ruleset; tc -s qdisc".to_owned()),
            )),
            (_, Others::Nowhere) => unacknowledged(finding.then(
                "The listener is on this host and does not have these connections: see whether its queue was full when they began",
                Some("ss -tlnp; nstat -az TcpExtListenOverflows".to_owned()),
            )),
            (_, Others::Here) => unacknowledged(finding.then(
                "The other ends are on this host: see who has them, and what drops packets between the two (firewall, traffic control)",
                Some("ss -tanpo; nft list ruleset; tc -s qdisc".to_owned()),
            )),
            (_, Others::Elsewhere) => unacknowledged(finding.then(
                "Check whether the peer is still there and the path is open",
                piled.culprits.first_peer().map(|peer| format!("ping -c 3 {peer}")),
            )),
        };
        let mut finding = piled.culprits.name(finding);
        // The processes that have the other ends come first: they do not close or read.
        if pile.others == Others::Here && state == State::FIN_WAIT2 {
            let others = piled.others.name(Finding::new(id, Confidence::HIGH, String::new())).owners;
            let here = std::mem::take(&mut finding.owners);
            let here = here.into_iter().filter(|who| others.iter().all(|other| other.pid != who.pid));
            finding.owners = others.iter().cloned().chain(here).collect();
        }
        finding
    }

    /// Sets the severity: a program that waits for an answer that may still come is not harmed.
    fn harmed(&self, pile: Pile, piled: &Piled, finding: Finding) -> Finding {
        let finding = match piled.count - piled.sure {
            0 => finding,
            waiting => finding.because("of these that may wait for an answer", waiting),
        };
        if piled.sure > 0 && self.count(pile, |piled| piled.sure) >= self.thresholds.count {
            let harm = Harm::new(piled.sure, "connections that do not end", "this host");
            finding.harms(Severity::Warning, harm)
        } else {
            finding
        }
    }

    /// Adds the kernel's counters, which are of the namespace: the kernel ends excess orphans without a message. A socket
    /// that a process has open is no orphan. A counter is reported once, with the pile that has the most orphans.
    fn aborted(&self, pile: Pile, finding: Finding) -> Finding {
        let [timed_out, no_memory] = ABORTS.map(|name| self.growth.of(pile.netns, name));
        let finding = match timed_out.by() {
            0 => finding,
            _ => finding.because("given up by the kernel (TCPAbortOnTimeout), grown by", timed_out),
        };
        let of_netns = self.piles().filter(|(other, piled)| other.netns == pile.netns && piled.orphans > 0);
        let most = of_netns.max_by_key(|(other, piled)| (piled.orphans, Reverse(*other)));
        if most.is_none_or(|(other, _)| other != pile) {
            return finding;
        }
        let finding = match no_memory.by() {
            0 => finding,
            _ => {
                finding.because("ended for want of memory or orphans (TCPAbortOnMemory), grown by", no_memory)
            }
        };
        let orphans =
            self.orphans.get(&pile.netns).filter(|orphans| share(orphans.count, orphans.most) >= NEARLY_ALL);
        let Some(orphans) = orphans else { return finding };
        let finding = match no_memory.by() {
            0 => finding,
            count => {
                let whom = "programs that have closed them";
                finding.harms(Severity::Critical, Harm::new(count, "connections ended by the kernel", whom))
            }
        };
        finding
            .because("orphans of the host (tcp_max_orphans)", EvidenceValue::part(orphans.count, orphans.most))
            .then(
                "The kernel ends orphans beyond net.ipv4.tcp_max_orphans: raise it where the memory allows that",
                Some("sysctl net.ipv4.tcp_max_orphans net.ipv4.tcp_orphan_retries".to_owned()),
            )
    }
}

/// The name of a state in a filter of `ss`.
fn filter(name: &str) -> String {
    name.to_lowercase().replace('_', "-").replace("wait1", "wait-1").replace("wait2", "wait-2")
}

fn why(pile: Pile, piled: &Piled) -> String {
    let other = piled.others.first_owner().filter(|_| pile.others == Others::Here);
    match (KINDS[pile.kind].0, other) {
        (State::FIN_WAIT2, Some(other)) => {
            format!(
                "this side has closed its half, and {other}, which has the other ends on this host, has not"
            )
        }
        (State::FIN_WAIT2, None) if pile.others == Others::Unseen => {
            "this side has closed its half, and the other ends, of an address of this host, were not seen"
                .to_owned()
        }
        (State::FIN_WAIT2, None) => {
            "this side has closed its half, the peer has not, and a program here keeps the socket open"
                .to_owned()
        }
        (_, Some(other)) if piled.closed_window > piled.count / 2 => {
            format!(
                "{other}, which has the other ends on this host, does not read, so that the FIN cannot leave"
            )
        }
        _ if piled.closed_window > piled.count / 2 => {
            "the peer's window is closed, so that the FIN cannot leave".to_owned()
        }
        _ if pile.others == Others::Unseen => {
            "nobody acknowledges the FIN: the address is of this host, and the other ends were not seen"
                .to_owned()
        }
        _ if pile.others == Others::Nowhere => {
            "their listener on this host does not have them, and does not acknowledge the FIN".to_owned()
        }
        _ => "the peer does not acknowledge the FIN".to_owned(),
    }
}

fn of_fin_wait2(piled: &Piled, others: Others, finding: Finding) -> Finding {
    let finding = match others {
        Others::Here => {
            let pids = piled.others.first_owner().map(|who| format!(" | grep pid={},", who.pid));
            let command = format!("ss -tanp state close-wait{}", pids.unwrap_or_default());
            finding.then(
                "The other ends are on this host, in CLOSE_WAIT: their program does not close",
                Some(command),
            )
        }
        Others::Unseen => finding.then(
            "The other ends have an address of this host, but were not seen: check its network namespaces for CLOSE_WAIT",
            Some("ip -all netns exec ss -tanp state close-wait".to_owned()),
        ),
        Others::Elsewhere | Others::Nowhere => finding.then(
            "On the peer, check for CLOSE_WAIT: its program does not close",
            Some("ss -tanp state close-wait".to_owned()),
        ),
    };
    finding
        .then("Here, let the program close the socket rather than only shut it down; then net.ipv4.tcp_fin_timeout ends it", None)
        .not("a half-closed connection on which the peer still sends")
        .not("a request whose answer may still come")
}

fn unacknowledged(finding: Finding) -> Finding {
    finding
        .then(
            "They end by themselves after net.ipv4.tcp_orphan_retries retransmissions",
            Some("sysctl net.ipv4.tcp_orphan_retries".to_owned()),
        )
        .not("closing as usual, which takes a round trip")
        .not("data that is still sent after close(), and acknowledged")
}
