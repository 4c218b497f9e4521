//! Findings about resets at one end.

use super::{
    Resets,
    endings::{Counts, Endings, Group, Overflow, Part},
    outcome::{Kind, Story},
};
use crate::{
    diagnosis::detect::{culprits::many, scoped::ScopedEndpoint},
    model::{
        finding::{Confidence, Finding, Harm, Severity},
        who::Who,
    },
};

const ID: &str = "reset-storm";

/// The kernel's counters of resets, by namespace.
pub(super) const COUNTERS: [&str; 9] = [
    "OutRsts",
    "EstabResets",
    EMBRYONIC,
    "ListenOverflows",
    "TCPAbortOnData",
    "TCPAbortOnClose",
    "TCPAbortOnLinger",
    "TCPAbortOnMemory",
    "TCPAbortOnTimeout",
];

/// Resets to clients whose connection was not taken, or had not begun.
pub(super) const EMBRYONIC: &str = "EmbryonicRsts";

/// The resets at one end.
pub(super) struct Storm<'a> {
    pub(super) endpoint: ScopedEndpoint,
    pub(super) endings: &'a Endings,
    pub(super) counts: Counts,
}

impl Storm<'_> {
    /// The finding where something was lost.
    pub(super) fn with_losses(&self, resets: &Resets) -> Finding {
        let Counts { all, data, unanswered, refused, lost_here, .. } = self.counts;
        let (lost, end) = (self.counts.lost(), self.endpoint.end);
        let kind = self.counts.most();
        let (how, what) = match kind {
            _ if [data, unanswered, refused].iter().filter(|count| **count > 0).count() > 1 => (
                "reset with data, a request or a client lost",
                "connections that lost data, an answer or their server",
            ),
            Some(Kind::Unanswered) => ("reset before a request was answered", "requests without an answer"),
            Some(Kind::Refused) => ("reset before anybody accepted", "clients refused"),
            _ => ("reset with data outstanding", "connections that lost data"),
        };
        let part = self.part(kind);
        let overflow = self.overflow(kind);
        let by = match (overflow, self.sender(kind, part)) {
            (Some(overflow), _) => overflow.of_whom(),
            (None, Some((who, Story::ClosedFirst))) => format!(": {who} had closed first"),
            (None, Some((who, Story::Exited))) => format!(": {who} ended"),
            (None, Some((who, _))) => format!(": {who}"),
            (None, None) => String::new(),
        };
        let verb = if lost == 1 { "was" } else { "were" };
        let summary = format!(
            "{lost} of {} at {end} {verb} {how}, {}{by}",
            many(all, "connection"),
            by_whom(lost_here, lost)
        );
        let mut finding = Finding::new(ID, confidence(overflow), summary)
            .harms(Severity::Warning, Harm::new(lost, what, self.whom(part)));
        if let Some(overflow) = overflow {
            overflow.cookies.iter().for_each(|cookie| finding.links.rests_on_any(*cookie));
        }
        self.complete(finding, kind, resets)
    }

    /// The finding where no loss is known.
    pub(super) fn without_losses(&self, resets: &Resets) -> Finding {
        let Counts { all, reset, here, unknown, .. } = self.counts;
        let lost = match unknown {
            0 if self.counts.lost() == 0 => "nothing was lost",
            0 => "few lost anything",
            _ => "what they lost is not known",
        };
        let summary = format!(
            "{reset} of {} at {} ended by a reset, {}; {lost}",
            many(all, "connection"),
            self.endpoint.end,
            by_whom(here, reset)
        );
        self.complete(Finding::new(ID, Confidence::HIGH, summary), None, resets)
    }

    fn part(&self, kind: Option<Kind>) -> Option<&Part> {
        let groups = [kind.map(Group::Lost), kind.and(Some(Group::MayBeRefused)), Some(Group::Any)];
        groups.into_iter().flatten().find_map(|group| self.endings.part(group))
    }

    /// The listeners whose queue was full, where most resets with a loss were refusals by them.
    fn overflow(&self, kind: Option<Kind>) -> Option<&Overflow> {
        let refused = kind == Some(Kind::Refused) && self.endings.part(Group::Lost(Kind::Refused)).is_none();
        self.endings.overflow.as_ref().filter(|_| refused)
    }

    /// The program behind most of the resets, where it is one of this host.
    fn sender<'a>(&self, kind: Option<Kind>, part: Option<&'a Part>) -> Option<(&'a Who, Story)> {
        let story = self.endings.story(kind).filter(|story| story.has_culprit())?;
        Some((part?.senders.first_owner()?, story))
    }

    fn whom(&self, part: Option<&Part>) -> String {
        let hit = part.and_then(|part| part.hit.first_owner());
        match hit.filter(|_| !self.endings.is_served_here()) {
            Some(who) => who.to_string(),
            None => format!("clients of {}", self.endpoint.end),
        }
    }

    /// Adds evidence, steps, and those who have a part.
    fn complete(&self, finding: Finding, kind: Option<Kind>, resets: &Resets) -> Finding {
        let counts = &self.counts;
        let mut finding = finding
            .about(self.endpoint.subject())
            .because("ended", counts.all)
            .because("by a reset", counts.reset)
            .because("of these sent by this host", counts.here)
            .because("with a request that had no answer", counts.unanswered)
            .because("with data that was not sent, acknowledged or read", counts.data)
            .because("of clients that nobody had accepted", counts.refused)
            .because("without a loss", counts.reset - counts.lost() - counts.unknown);
        if counts.unknown > 0 {
            finding = finding.because("of which it is not known what was lost", counts.unknown);
        }
        let part = self.part(kind);
        for (cause, count) in part.map(|part| part.causes.top(5)).unwrap_or_default() {
            finding = finding.because(&cause, count);
        }
        let overflow = self.overflow(kind);
        finding = self.steps(finding, kind, part, overflow);
        if let Some(part) = part {
            // The fault is also in the namespaces of those that were reset.
            let (mut senders, mut hit) = (part.senders.clone(), part.hit.clone());
            senders.within_those_of(&hit);
            hit.within_those_of(&senders);
            finding = if senders.first_owner().is_some() { senders } else { hit }.name(finding);
        }
        if let Some(overflow) = overflow {
            finding = finding.because("listeners there, with tcp_abort_on_overflow", overflow.cookies.len());
            finding.owners.clone_from(&overflow.owners);
            finding.netns = overflow.netns;
        }
        for name in COUNTERS {
            let grown = resets.growth.of(finding.netns, name);
            if finding.netns.is_some() && grown.by() > 0 {
                finding = finding.because(&format!("{name} of the namespace, grown by"), grown);
            }
        }
        finding
    }

    fn steps(
        &self,
        finding: Finding,
        kind: Option<Kind>,
        part: Option<&Part>,
        overflow: Option<&Overflow>,
    ) -> Finding {
        let port = self.endpoint.end.port;
        let finding = finding.then(
            "See them with who and why",
            Some(format!("tcptrace life --duration 30s -o json | jq -c 'select(.lport == {port} or .rport == {port}) | [.owner.comm, .cause, .reset_reason]'")),
        );
        if overflow.is_some() {
            return finding
                .then(
                    "The kernel resets clients because the accept queue is full and tcp_abort_on_overflow is 1: Recv-Q waits, Send-Q is the backlog",
                    Some(format!("ss -tlnp sport = :{port}")),
                )
                .then("Find out why the program does not accept in time", None)
                .not("resets by the peer: both ends are on this host");
        }
        let who = part.and_then(|part| part.senders.first_owner()).map(ToString::to_string);
        let who = who.unwrap_or_else(|| "the program".to_owned());
        let step = match self.endings.story(kind) {
            Some(Story::Linger) => format!("Reset here: {who} closes with SO_LINGER 0"),
            Some(Story::Unread) => format!("Reset here: {who} closes without reading all that came"),
            Some(Story::Disconnect) => format!("Reset here: {who} disconnects by connect() to AF_UNSPEC"),
            Some(Story::ListenerClosed) => {
                format!("Reset here: {who} closes its listener before it has accepted all that wait")
            }
            Some(Story::Killed) => "Reset here: something destroys the sockets, as ss -K does".to_owned(),
            Some(Story::ClosedFirst) => format!(
                "Reset here: {who} closes first, and this host's kernel answers what comes after by a reset; compare its time limit with how long the other end takes"
            ),
            Some(Story::Exited) => format!("Reset here: {who} ended with the connections open, as in a crash: find out why"),
            Some(Story::Unexplained) => {
                "Reset here: the other end is on this host, and ended by a time limit or for another reason: see its cause"
                    .to_owned()
            }
            Some(Story::Kernel) => {
                "Reset here by the kernel: data for a closed socket, or no memory for it".to_owned()
            }
            Some(Story::ThisHost) => {
                "The other end is on this host: watch it as well, without a filter, to see who resets".to_owned()
            }
            Some(Story::Peer) | None => {
                "Reset by the peer: ask there, or check for a time limit of a load balancer or firewall between"
                    .to_owned()
            }
        };
        finding.then(&step, None).not("resets after all was said, as of health checks, which lose nothing")
    }
}

/// The confidence. Only the number of refused clients is known, not which of the resets refused them.
fn confidence(overflow: Option<&Overflow>) -> Confidence {
    match overflow {
        Some(_) => Confidence::medium("which clients the kernel has refused (EmbryonicRsts counts them)"),
        None => Confidence::HIGH,
    }
}

impl Overflow {
    /// The process whose queue was full, in words.
    fn of_whom(&self) -> String {
        match self.owners.first() {
            Some(who) => format!(": the accept queue of {who} was full"),
            None => ": the accept queue was full".to_owned(),
        }
    }
}

/// The senders of resets: this host sent `here` of `reset`.
fn by_whom(here: u64, reset: u64) -> &'static str {
    match here {
        0 => "by the peer",
        here if here >= reset => "by this host",
        _ => "by both sides",
    }
}
