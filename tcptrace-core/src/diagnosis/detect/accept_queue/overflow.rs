//! `accept-queue-overflow`: a listener's queue is full, and clients are turned away.

use super::{
    super::culprits::{many, share},
    AcceptQueue, DROPS, EMBRYONIC, OVERFLOWS, Place,
    listener::{Listener, is_recent, queue_capacity},
    who_accepts::Blocker,
};
use crate::model::{
    evidence::EvidenceValue,
    finding::{Confidence, Finding, Harm, Severity},
};

const ID: &str = "accept-queue-overflow";

/// SYNs and ACKs that a listener turned away because its queue was full.
struct TurnedAway {
    count: u64,
    /// Whether all of the count is this listener's, whatever other listeners dropped meanwhile.
    is_sure: bool,
}

impl AcceptQueue {
    /// Counts the SYNs and ACKs that the listener turned away. A listener also drops for other reasons, such as a client's
    /// reset before the handshake ends (`EmbryonicRsts`), and other listeners of its namespace overflow. The sure part is
    /// the listener's drops beyond all drops of the namespace for other reasons, limited to the overflows of the namespace
    /// that other listeners' drops leave. A greater count needs a scan that found the queue full.
    fn turned_away(&self, place: &Place) -> TurnedAway {
        let overflows = self.growth.of(place.netns, OVERFLOWS).by();
        let drops = self.growth.of(place.netns, DROPS).by();
        let listener = place.listener;
        let Some(dropped) = listener.dropped() else {
            return TurnedAway { count: if listener.full > 0 { overflows } else { 0 }, is_sure: false };
        };
        let reset = match place.limits.and_then(|limits| limits.abort_on_overflow) {
            // Then the kernel counts the overflows themselves as `EmbryonicRsts`.
            Some(true) => 0,
            _ => self.growth.of(place.netns, EMBRYONIC).by(),
        };
        let sure = match drops.checked_sub(overflows).map(|others| others + reset) {
            Some(0) => dropped,
            // A scan reads the counters before the sockets.
            Some(others) => listener.dropped_before().saturating_sub(others),
            None => 0,
        };
        let by_others = self.dropped_by_others(place);
        let sure = sure.min(overflows.saturating_sub(by_others));
        let at_most = dropped.min(overflows);
        if listener.full > 0 && at_most > sure {
            TurnedAway { count: at_most, is_sure: false }
        } else {
            TurnedAway { count: sure, is_sure: true }
        }
    }

    /// The drops of the other listeners of the namespace, for any reason.
    fn dropped_by_others(&self, place: &Place) -> u64 {
        let is_other = |(cookie, listener): &(&u64, &Listener)| {
            **cookie != place.cookie && listener.end.is_some_and(|end| end.netns == place.netns)
        };
        let others = self.listeners.iter().filter(is_other);
        others.map(|(_, listener)| listener.dropped().unwrap_or(0)).sum()
    }

    pub(super) fn overflow(&self, place: &Place) -> Option<Finding> {
        let listener = place.listener;
        let turned_away = self.turned_away(place);
        let fill = share(listener.longest.into(), queue_capacity(listener.backlog));
        let overflows = turned_away.count >= self.overflow.overflows;
        if !overflows && fill < self.overflow.fill {
            return None;
        }
        let confidence = match (overflows, turned_away.is_sure || listener.dropped().is_some()) {
            (true, true) => Confidence::HIGH,
            (true, false) => {
                Confidence::medium("the listener's own count of drops, which this kernel does not report")
            }
            (false, _) => Confidence::medium("SYNs and ACKs that are turned away (ListenOverflows)"),
        };
        let mut finding =
            Finding::new(ID, confidence, summary(place, overflows.then_some(turned_away.count)));
        if overflows {
            let what = "SYNs and ACKs turned away";
            let harm = Harm::new(turned_away.count, what, format!("clients of {}", place.address));
            finding = finding.harms(self.severity(place), harm);
        }
        finding.links.explains(place.cookie);
        finding.links.hangs(place.owners.first().map(|who| who.pid));
        let waiting = listener.end.and_then(|end| self.children.at.get(&end));
        if let Some(waiting) = waiting.filter(|_| place.sockets.0 <= 1) {
            waiting.children.iter().for_each(|(_, cookie)| finding.links.explains(*cookie));
        }
        let finding = finding
            .about(place.subject())
            .within(place.netns)
            .because("queue at its longest", listener.longest)
            .because("backlog of listen()", listener.backlog)
            .because("scans that found it full", EvidenceValue::part(listener.full, listener.scans))
            .because("ListenOverflows of the namespace, grown by", self.growth.of(place.netns, OVERFLOWS));
        let finding = match listener.dropped() {
            Some(drops) => finding.because("dropped at this listener", drops),
            None => finding,
        };
        let finding = about_settings(place, finding);
        let finding = place.about_who(finding).then(
            "See the queue: Recv-Q waits, Send-Q is the backlog",
            Some(format!("ss -tlnp sport = :{}", place.address.port)),
        );
        let finding = longer_backlog(place, finding)
            .not("a SYN flood: there connections are half-open, here they are complete");
        Some(Finding { owners: place.owners.clone(), ..finding })
    }

    /// Critical while the listener turns clients away.
    fn severity(&self, place: &Place) -> Severity {
        let now_ns = self.now_ns();
        let overflowed_ns = self.overflowed.get(&place.netns).and_then(|(_, scan_ns)| *scan_ns);
        let listener = place.listener;
        let now = listener.is_full(now_ns)
            || (listener.seen_ns == now_ns && listener.drops_now(now_ns) && is_recent(overflowed_ns, now_ns));
        if now { Severity::Critical } else { Severity::Warning }
    }
}

fn summary(place: &Place, turned_away: Option<u64>) -> String {
    let (listener, program, address) = (place.listener, place.program(), place.address());
    let Some(count) = turned_away else {
        let capacity = queue_capacity(listener.backlog);
        return format!(
            "{program} lets connections wait on {address}: up to {} of the {capacity} that its queue takes",
            listener.longest
        );
    };
    let why = match place.blocker {
        Some(Blocker::Stopped) => format!("{program} is stopped and does not accept on {address}"),
        Some(Blocker::Descriptors(used, limit)) => {
            format!("{program} cannot accept on {address}, {used} of {limit} descriptors are open")
        }
        None => format!("{program} does not accept fast enough on {address}"),
    };
    let times = many(count, "time");
    let full = if listener.full > 0 { "was full" } else { "overflowed between two scans" };
    format!("{why}: its queue of {} {full}, SYNs and ACKs turned away {times}", listener.backlog)
}

fn about_settings(place: &Place, finding: Finding) -> Finding {
    match place.limits.and_then(|limits| limits.abort_on_overflow) {
        Some(true) => finding.because("what clients see", "resets (tcp_abort_on_overflow is 1)"),
        Some(false) => finding.because("what clients see", "no answer; they send their SYN again"),
        None => finding,
    }
}

/// Adds the step of a longer backlog. It does not help a process that is stopped, or that has no descriptor left.
fn longer_backlog(place: &Place, finding: Finding) -> Finding {
    if place.blocker.is_some() {
        return finding;
    }
    let backlog = u64::from(place.listener.backlog);
    match place.limits.and_then(|limits| limits.somaxconn) {
        Some(most) if backlog < most => {
            finding.then(&format!("For bursts only: a longer backlog of listen(); net.core.somaxconn allows {most}"), None)
        }
        Some(most) => finding.then(
            &format!("For bursts only: a longer backlog of listen(), and a greater net.core.somaxconn, which is {most}"),
            Some(format!("sysctl -w net.core.somaxconn={}", most.saturating_mul(2).max(4_096))),
        ),
        None => finding.then(
            "For bursts only: a longer backlog of listen(), and net.core.somaxconn as large",
            Some("sysctl net.core.somaxconn".to_owned()),
        ),
    }
}
